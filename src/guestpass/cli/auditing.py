"""What ``guestpass audit`` does: an application is loaded, audited, and told of, to people and to machines."""

import argparse
import contextlib
import inspect
import json
import sys
from pathlib import Path

import guestpass
from guestpass.audit import Location, audit
from guestpass.audit.report import data
from guestpass.audit.sarif import sarif
from guestpass.audit.settings import Settings, read_settings
from guestpass.cli import application
from guestpass.cli.answers import Answer, say
from guestpass.cli.audit_page import lines
from guestpass.cli.problems import DONE, NOT_DONE


def answer(asked: argparse.Namespace, config: str) -> int:
    """Audit an application; answers 1 where something was found."""
    settings = _settings(asked.config, config)
    # What an application prints while it is made is none of the answer.
    with contextlib.redirect_stdout(sys.stderr):
        seen = audit(
            application.load(asked.application),
            ask=asked.ask,
            account_names=(*settings.account_names, *asked.account_name),
            host=asked.host or settings.host,
            accept=settings.accept,
        )
    if asked.sarif:
        log = sarif(seen, version=guestpass.__version__, application=_location(asked.application))
        Path(asked.sarif).write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")
    said = say(Answer(data(seen), lines(seen, sys.stdout)), asked.json)
    return NOT_DONE if said == DONE and not seen.clean else said


def _settings(named: str | None, usual: str) -> Settings:
    file = Path(named or usual)
    if named is None and not file.is_file():
        return Settings()
    return read_settings(file)


def _location(name: str) -> Location | None:
    """The file of the application's module: where what has no line of its own is shown."""
    module = sys.modules.get(name.partition(":")[0])
    try:
        file = None if module is None else inspect.getsourcefile(module)
    except TypeError:
        return None
    if file is None:
        return None
    path = Path(file)
    here = Path.cwd()
    return Location(str(path.relative_to(here)) if path.is_relative_to(here) else str(path), 1)
