"""The arguments of the command line, and how they are read.

Knows nothing of stores. There is no argument for a credential: it would stand in the list of processes.
"""

import argparse
import re
from collections.abc import Sequence
from typing import Final, NoReturn

DEFAULT_STORE: Final = "sqlite:///guestpass.db"
STORE_VARIABLE: Final = "GUESTPASS_STORE"

MAX_SECONDS: Final = 100 * 366 * 86_400
"""A century: what is further away is a mistake, and no date in some places."""

_CREDENTIAL = re.compile(r"\b([a-z][a-z0-9]*_(?:live|test)_|eyJ)[\w.-]{8,}")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        # argparse quotes what it could not place, and somebody may have put a credential there.
        super().error(_CREDENTIAL.sub(r"\1…", message))


def read(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What is asked for: `command` and `action`, and what belongs to them. Raises SystemExit, as argparse does."""
    return _parser().parse_args(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="guestpass", description="Keys and sessions of a guarded API, and a demo of one.")
    areas = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = _common(f"left out: ${STORE_VARIABLE}, else {DEFAULT_STORE}")

    actions = areas.add_parser("keys", help="the API keys in a store").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    _key(actions.add_parser("create", parents=[common], help="make a key; its secret is printed once"))
    listing = actions.add_parser("list", parents=[common], help="every key, never its secret")
    listing.add_argument("--platform", help="those of one platform")
    ending = actions.add_parser("revoke", parents=[common], help="end a key, and all that it minted")
    ending.add_argument("id", metavar="ID")

    actions = areas.add_parser("sessions", help="the account sessions in a store").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    _session(actions.add_parser("create", parents=[common], help="mint one; its client secret is printed once"))
    ending = actions.add_parser("revoke", parents=[common], help="end a session")
    ending.add_argument("id", metavar="ID")

    common = _common("left out: a SQLite file that goes when the demo ends")
    demo = areas.add_parser("demo", parents=[common], help="serve a small voice platform here, with a page to try it")
    demo.add_argument("--port", type=_port, default=8000, help="0 takes a free one")
    return parser


def _common(store: str) -> _Parser:
    common = _Parser(add_help=False)
    common.add_argument("--store", metavar="URL", help=store)
    common.add_argument("--json", action="store_true", help="one line of JSON on standard output")
    return common


def _key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--platform", required=True, help="whose key it is")
    parser.add_argument("--publishable", action="store_true", help="one that names the platform in a browser")
    parser.add_argument("--mode", choices=("live", "test"), default="live")
    _several(parser, "--account", "hold it to this account; left out, it has all")
    _several(parser, "--component", "hold it to this component; left out, it has all")
    _several(parser, "--role", "hold it to this role and the lower ones; left out, it has all")
    _several(parser, "--origin", "a web origin, such as https://app.example, that it may be used from")
    parser.add_argument("--name", default="", help="for people")
    parser.add_argument("--expires-in", type=_seconds, metavar="SECONDS", help="left out, it has no end")


def _session(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--key-file", required=True, metavar="FILE", help="where the secret key is; - is standard input"
    )
    parser.add_argument("--account", required=True, help="whose session it is; that it is the platform's, you vouch")
    _several(parser, "--component", "enable this component, or one feature of it, such as call_logs/transcripts")
    parser.add_argument("--expires-in", type=int, metavar="SECONDS", help="60 to 86400; left out, an hour")


def _several(parser: argparse.ArgumentParser, flag: str, text: str) -> None:
    parser.add_argument(flag, action="append", default=[], help=f"{text}; may be repeated")


def _seconds(text: str) -> int:
    seconds = int(text)
    if not 0 < seconds <= MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"1 to {MAX_SECONDS} seconds")
    return seconds


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError("0 to 65535")
    return port
