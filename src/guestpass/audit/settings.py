"""What a project says of its audits, in its own ``pyproject.toml``.

[tool.guestpass.audit]
account-names = ["account", "tenant"]
host = "api.example"
accept = [{ finding = "route_uncovered", route = "GET /old/*", reason = "gone in March" }]
"""

import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from guestpass.audit.findings import Accepted
from guestpass.audit.route import ACCOUNT_NAMES
from guestpass.audit.sending import HOST, is_host
from guestpass.errors import ConfigurationError

FILE: Final = "pyproject.toml"
_TABLE: Final = "[tool.guestpass.audit]"


@dataclass(frozen=True, slots=True)
class Settings:
    """What `audit` is to be called with."""

    account_names: Collection[str] = ACCOUNT_NAMES
    accept: Sequence[Accepted] = ()
    host: str = HOST


def read_settings(file: Path) -> Settings:
    """The settings in a file, the usual ones where it has none. Raises `ConfigurationError`, OSError."""
    try:
        table: object = tomllib.loads(file.read_text("utf-8"))
    except tomllib.TOMLDecodeError as problem:
        raise ConfigurationError(f"{file}: {problem}") from None
    for name in ("tool", "guestpass", "audit"):
        table = _table(table, file).get(name, dict[str, object]())
    said = _table(table, file)
    unknown = sorted(set(said) - {"account-names", "accept", "host"})
    if unknown:
        raise ConfigurationError(f"{file}: {_TABLE} has no {unknown[0]!r}: account-names, accept, host")
    names = _list(said.get("account-names", [*ACCOUNT_NAMES]))
    if names is None or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(f"{file}: account-names is a list of names")
    host = said.get("host", HOST)
    if not isinstance(host, str) or not is_host(host):
        raise ConfigurationError(f'{file}: host is the name of a host, such as "api.example"')
    return Settings(tuple(map(str, names)), tuple(_accepted(said.get("accept", []), file)), host)


def _accepted(given: object, file: Path) -> Iterator[Accepted]:
    for entry in _list(given) or ([] if given == [] else [None]):
        fields = cast("Mapping[str, object]", entry) if isinstance(entry, Mapping) else dict[str, object]()
        if set(fields) != {"finding", "route", "reason"} or not all(isinstance(v, str) for v in fields.values()):
            raise ConfigurationError(f"{file}: accept is a list of {{ finding = …, route = …, reason = … }}")
        try:
            yield Accepted(str(fields["finding"]), str(fields["route"]), str(fields["reason"]))
        except ConfigurationError as problem:
            raise ConfigurationError(f"{file}: {problem}") from None


def _table(value: object, file: Path) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{file}: {_TABLE} is a table")
    return cast("Mapping[str, object]", value)


def _list(value: object) -> list[object] | None:
    return cast("list[object]", value) if isinstance(value, list) else None
