"""The command line: ``guestpass keys create|list|revoke``, ``sessions create|revoke``, ``demo``.

Knows what is printed and the exit codes: 0 done, 1 refused or not found, 2 used or set up wrongly. Arguments are read
in `guestpass.cli.arguments`, and `guestpass.cli.commands` does what they ask. A credential is never an argument, and
stands on standard output once, when it is made.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from guestpass.cli import commands
from guestpass.cli.arguments import DEFAULT_STORE, STORE_VARIABLE, read
from guestpass.errors import ConfigurationError, GuestpassError, Refused, Unavailable

__all__ = ["main"]

_COLUMNS: Final = ("id", "platform", "mode", "kind", "state", "created_at", "name")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command says: `data` for --json; else `lines` on standard output, and `hint` beside it."""

    data: object
    lines: Sequence[str]
    hint: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and answer its exit code; `arguments` left out are those of the process."""
    try:
        asked = read(arguments)
        if asked.command == "demo":
            from guestpass import demo

            return demo.run(port=asked.port, store=asked.store, as_json=asked.json)
        _say(_run(asked, asked.store or os.environ.get(STORE_VARIABLE) or DEFAULT_STORE), asked.json)
    except SystemExit as end:
        # argparse's way to end, and the demo's on a signal.
        return end.code if isinstance(end.code, int) else 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has left. Nothing more can be said there, at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (GuestpassError, ValueError, OSError) as problem:
        text, code = _explained(problem)
        sys.stderr.write(f"{text}\n")
        return code
    return 0


def _say(answer: Answer, as_json: bool) -> None:
    lines = [json.dumps(answer.data)] if as_json else answer.lines
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()
    if answer.hint and not as_json:
        sys.stderr.write(f"{answer.hint}\n")


def _explained(problem: Exception) -> tuple[str, int]:
    """What to say of a problem, ``code: text``, and the exit code."""
    match problem:
        case Refused():
            errors = [f"\n  {error.field}: {error.reason}" for error in problem.refusal.errors]
            return f"{problem.code}: {problem.refusal.detail}{''.join(errors)}", 1
        case Unavailable() | commands.NotFound():
            return f"{problem.code}: {problem}", 1
        case ConfigurationError():
            return f"configuration: {problem}", 2
        case UnicodeDecodeError():
            return "usage: the key file is no text", 2
        case OSError():
            return f"file: {problem.strerror or type(problem).__name__}: {problem.filename or ''}", 2
        case _:
            return f"usage: {problem}", 2


def _run(asked: argparse.Namespace, store_url: str) -> Answer:
    if store_url.startswith("memory:"):
        raise ConfigurationError(f"memory:// is gone when this command ends: --store {DEFAULT_STORE}")
    # Read before the store is opened, which makes one where there is none.
    secret = _secret(asked.key_file) if "key_file" in asked else ""
    wish = _wish(asked) if "publishable" in asked else None
    with commands.opened(store_url) as store:
        if wish is not None:
            return _created(*commands.create_key(store, wish))
        if asked.action == "create":
            session = commands.create_session(store, secret, asked.account, asked.component, asked.expires_in)
            hint = f"{session['id']}: for {session['account']}, until {session['expires_at']}."
            if any("/" not in component for component in asked.component):
                hint += " Only the API knows a component's features: name those it is to have, --component call_logs/…"
            return Answer(session, [str(session["client_secret"])], hint)
        if asked.action == "list":
            keys = commands.list_keys(store, asked.platform)
            return Answer(keys, _table(keys))
        if asked.command == "keys":
            key = commands.revoke_key(store, asked.id)
            return Answer(key, [f"{key['id']} is revoked, with every session and token that it minted."])
        commands.revoke_session(store, asked.id)
        return Answer({"id": asked.id, "revoked": True}, [f"{asked.id} is revoked."])


def _created(secret: str, key: Mapping[str, object]) -> Answer:
    hint = f"{key['id']}: this is the only time that its secret is shown; only a digest of it is kept."
    return Answer({"secret": secret, **key}, [secret], hint)


def _wish(asked: argparse.Namespace) -> commands.KeyWish:
    held_to = (asked.account, asked.component, asked.role)
    if asked.publishable and any(held_to):
        raise ValueError("a publishable key has no account, component or role: drop them, or drop --publishable")
    return commands.KeyWish(
        asked.platform, asked.mode, asked.publishable, *held_to, asked.origin, asked.name, asked.expires_in
    )


def _secret(path: str) -> str:
    """The credential in a file, or on standard input for ``-``."""
    if path == "-":
        return sys.stdin.read(commands.MAX_SECRET).strip()
    with open(path, encoding="utf-8") as file:
        return file.read(commands.MAX_SECRET).strip()


def _table(keys: Sequence[Mapping[str, object]]) -> list[str]:
    if not keys:
        return []
    rows = [[name.removesuffix("_at") for name in _COLUMNS], *([str(key[name]) for name in _COLUMNS] for key in keys)]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
