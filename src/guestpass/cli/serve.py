"""``guestpass serve``: the forward-auth door and the issuing API as a process, from a settings file.

What the file says is `guestpass.service.settings`'s to read, what serves `guestpass.service.building`'s to make. Here a
start is checked, announced, and told of where it fails.
"""

import argparse
import contextlib
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from guestpass.cli.answers import Answer, note, say, visible
from guestpass.cli.command import Command
from guestpass.cli.problems import Failed
from guestpass.cli.settings_file import read_file
from guestpass.errors import ConfigurationError
from guestpass.service.secrets import store_url
from guestpass.service.settings import Settings, read_settings
from guestpass.stores.urls import shown
from guestpass.values import as_collection, as_mapping

DEFAULT_FILE: Final = "guestpass.toml"
EXAMPLE: Final = Path(__file__).parents[1] / "service" / "example.toml"


def run(asked: argparse.Namespace) -> Answer | int:
    """Serve until told to end; or only look, or print a file to begin with."""
    if asked.print_example:
        text = EXAMPLE.read_text(encoding="utf-8")
        return Answer({"example": text}, text.splitlines())
    if find_spec("uvicorn") is None:
        raise ConfigurationError('guestpass serve needs uvicorn: pip install "guestpass[serve]"')
    text = read_file(asked.config)
    settings = read_settings(text, asked.config, os.environ)
    return _check(settings) if asked.check else _serve(settings, text, asked.json)


def _check(settings: Settings) -> Answer:
    from guestpass.cli.served import looked_at

    with looked_at(settings):
        told = _told(settings, shown(store_url(settings)))
    return Answer(told, [f"{settings.name} is sound. It serves:", *_lines(told)])


def _serve(settings: Settings, text: str, as_json: bool) -> int:
    from guestpass.service.building import build
    from guestpass.service.listening import address, listening
    from guestpass.service.running import run as run_here
    from guestpass.service.running import set_up_log
    from guestpass.service.workers import Source, Workers

    listen = settings.listen
    with contextlib.ExitStack() as held:
        try:
            bound = held.enter_context(listening(listen))
        except OSError as problem:
            where = listen.socket or f"{listen.host}:{listen.port}"
            raise Failed("address_unavailable", f"{where}: {problem.strerror or problem}") from None
        service = build(settings, os.environ)
        held.callback(service.close)
        set_up_log()
        told = {"url": address(bound), **_told(settings, shown(store_url(settings)))}

        def announce() -> None:
            if as_json:
                say(Answer(told, []), as_json)
            else:
                note(f"{told['url']}: serving {' and '.join(_parts(settings))}, mode {settings.mode}. Ctrl-C ends it.")

        if listen.workers == 1:
            run_here(service.app, bound, announce)
            return 0
        # Each of them opens the store for itself.
        service.close()
        return Workers(Source(text, settings.name), bound, listen.workers).run(announce)


def _told(settings: Settings, store: str) -> dict[str, object]:
    listen, door, issuing, signed = settings.listen, settings.forward_auth, settings.issuing, settings.signed_tokens
    return {
        "mode": settings.mode,
        "listen": listen.socket or f"{listen.host}:{listen.port}",
        "workers": listen.workers,
        "store": store,
        "health": settings.health,
        "forward_auth": None if door is None else {"proxy": door.proxy, "path": door.path},
        "issuing": None if issuing is None else issuing.prefix or "/",
        "signed_tokens": None if signed is None else {"issuer": signed.issuer, "algorithm": signed.algorithm},
        "issuers": [issuer.issuer for issuer in settings.issuers],
        "rules": [rule.pattern for rule in settings.policy.rules],
    }


def _parts(settings: Settings) -> list[str]:
    parts: list[str] = []
    if settings.forward_auth is not None:
        parts.append(f"forward auth for {settings.forward_auth.proxy} at {settings.forward_auth.path}")
    if settings.issuing is not None:
        parts.append(f"the issuing API below {settings.issuing.prefix or '/'}")
    return parts


def _lines(told: Mapping[str, object]) -> list[str]:
    lines: list[str] = []
    for name, value in told.items():
        mapping, several = as_mapping(value), as_collection(value)
        if mapping is not None:
            value = ", ".join(f"{key} {one}" for key, one in mapping.items())
        said = "" if several else f" {value or 'none'}"
        lines.append(f"  {name.replace('_', ' ')}:{said}")
        lines += [f"    {one}" for one in several or ()]
    return [visible(line) for line in lines]


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", metavar="FILE", default=DEFAULT_FILE, help=f"the settings; left out: {DEFAULT_FILE}"
    )
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--check", action="store_true", help="look whether all is well, and serve nothing")
    either.add_argument("--print-example", action="store_true", help="print a settings file to begin with")


COMMANDS: Final = (
    Command(
        "serve",
        "serve forward auth and the issuing API, for an API that is not written in Python",
        run,
        _arguments,
        "A TOML file and the environment say what. It ends on SIGTERM or Ctrl-C, once requests under way are done.",
        store="",
    ),
)
