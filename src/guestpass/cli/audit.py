"""``guestpass audit``: which routes an application has, what guards each, and what is wrong with that."""

import argparse
from typing import Final

from guestpass.cli import application, arguments
from guestpass.cli.command import Command

CONFIG: Final = "pyproject.toml"


def run(asked: argparse.Namespace) -> int:
    """Audit an application; answers 1 where something was found."""
    # No other command should have to wait for it to be imported.
    from guestpass.cli.auditing import answer

    return answer(asked, CONFIG)


def _named(text: str) -> str:
    if not text.isidentifier():
        raise argparse.ArgumentTypeError(f"{text[:64]!r}: the name of a parameter, such as tenant_id")
    return text


def _host(text: str) -> str:
    from guestpass.audit.sending import is_host

    if not is_host(text):
        raise argparse.ArgumentTypeError(f"{text[:64]!r}: the name of a host, such as api.example")
    return text


def _arguments(parser: argparse.ArgumentParser) -> None:
    application.argument(parser)
    parser.add_argument("--no-ask", dest="ask", action="store_false", help="only look; send the application nothing")
    parser.add_argument("--sarif", metavar="FILE", help="write the findings there, as SARIF 2.1.0 for code scanning")
    parser.add_argument("--config", metavar="FILE", help=f"where accepted findings are; left out: {CONFIG}, if there")
    parser.add_argument(
        "--host", type=_host, help="whom requests are for, where something before the guard looks; left out: localhost"
    )
    arguments.several(
        parser, "--account-name", _named, "what else a parameter is called that takes an account, such as tenant_id"
    )


COMMANDS: Final = (
    Command(
        "audit",
        "list an application's routes with what guards them, and find the gaps",
        run,
        _arguments,
        "Reads the routes of FastAPI, Starlette, Flask, Litestar and Django, and then sends requests through the "
        "application in this process, with every handler replaced: nothing of it runs. Exit code 1 where something "
        "was found.",
        store="",
    ),
)
