"""``pytest --guestpass-audit module:app``: an audit as one more test, which fails with what was found.

A package of its own, since pytest loads every plugin that is installed: it imports nothing of guestpass, and no
framework, until the option is there.
"""

from pathlib import Path
from typing import NoReturn

import pytest

OPTION = "--guestpass-audit"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option."""
    group = parser.getgroup("guestpass")
    group.addoption(
        OPTION,
        action="append",
        default=[],
        metavar="MODULE:APP",
        help="audit this application, as `guestpass audit` does, as one more test; may be repeated",
    )


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """One more test for each application that is named."""
    named: list[str] = config.getoption(OPTION) or []
    for name in named:
        made: AuditItem = AuditItem.from_parent(session, name=f"guestpass audit {name}", application=name)  # pyright: ignore[reportUnknownMemberType]
        items.append(made)


class Found(Exception):
    """What an audit found, as pytest shows it."""


class AuditItem(pytest.Item):
    """The audit of one application."""

    def __init__(self, *, application: str, **settings: object) -> None:
        super().__init__(**settings)  # type: ignore[arg-type]  # what pytest hands on is pytest's
        self.application = application

    def runtest(self) -> None:
        """Audit it. Raises `Found`, and what `guestpass.cli.application.load` and `audit` raise."""
        from guestpass.audit import audit
        from guestpass.audit.report import findings_lines, summary
        from guestpass.audit.settings import FILE, Settings, read_settings
        from guestpass.cli.application import load

        file = Path(self.config.rootpath, FILE)
        settings = read_settings(file) if file.is_file() else Settings()
        seen = audit(
            load(self.application), account_names=settings.account_names, host=settings.host, accept=settings.accept
        )
        if not seen.clean:
            self._fail("\n".join([*findings_lines(seen), "", summary(seen)]))

    def _fail(self, said: str) -> NoReturn:
        raise Found(said)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:  # noqa: ARG002
        """The findings; for anything that was raised instead, that in one line."""
        if isinstance(excinfo.value, Found):
            return str(excinfo.value)
        return f"{type(excinfo.value).__name__}: {excinfo.value}"

    def reportinfo(self) -> tuple[Path, None, str]:
        """How pytest calls it."""
        return self.path, None, self.name
