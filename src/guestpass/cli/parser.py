"""From what was typed to what was meant: one argparse parser, built from the table of commands.

Knows the arguments that all commands share, and how to refuse what cannot be read in one line.
"""

import argparse
import re
from collections.abc import Sequence
from typing import Final, NoReturn, Protocol

import guestpass
from guestpass.cli.command import Command
from guestpass.cli.problems import Misused, refuse_credentials
from guestpass.cli.table import AREAS, COMMANDS

_ABOUT: Final = "Keys, sessions and revocations of an API that guestpass guards."

_MORE: Final = """\
exit codes:
  0    done
  1    not done: refused, not found, or out of reach
  2    used or set up wrongly
  130  interrupted

environment:
  GUESTPASS_STORE         the URL of the store, where --store is left out
  GUESTPASS_WRAPPING_KEY  what the signing keys in the store are encrypted with
  GUESTPASS__TABLE__KEY   a setting of guestpass serve
  GUESTPASS_DEBUG         1 shows where something unforeseen went wrong
"""

# A kid is a thumbprint in base64url (RFC 7638), and one in 64 begins with a dash.
_THUMBPRINT: Final = re.compile(r"-[A-Za-z0-9_-]{42}")


def read(arguments: Sequence[str]) -> argparse.Namespace:
    """What is asked for; `run` is the function that does it.

    Raises `Misused`, and SystemExit once ``--help`` or ``--version`` has been answered.
    """
    try:
        "".join(arguments).encode()
    except UnicodeEncodeError:
        raise Misused("an argument is no text in UTF-8") from None
    refuse_credentials(arguments)
    return build().parse_args(_with_dashed_last(arguments))


def build() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    # Abbreviated options would change their meaning with every option that is added.
    parser = _Parser(
        prog="guestpass",
        description=_ABOUT,
        epilog=_MORE,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"guestpass {guestpass.__version__}")
    parser.set_defaults(parser=parser)
    words = parser.add_subparsers(required=True, metavar="COMMAND", title="commands", parser_class=_Parser)
    areas: dict[str, _Words] = {}
    for command in COMMANDS:
        area, _, action = command.name.rpartition(" ")
        if area and area not in areas:
            of_area = words.add_parser(area, help=AREAS[area], description=_sentence(AREAS[area]), allow_abbrev=False)
            areas[area] = of_area.add_subparsers(required=True, metavar="ACTION", title="actions", parser_class=_Parser)
        _add(areas[area] if area else words, action, command)
    return parser


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Misused(f"{message}; {self.prog} --help")


class _Words(Protocol):
    """Where argparse is told of one more word."""

    def add_parser(self, name: str, *, help: str, description: str, allow_abbrev: bool) -> _Parser: ...  # noqa: A002


def _add(words: _Words, word: str, command: Command) -> None:
    about = f"{_sentence(command.summary)} {command.more}"
    parser = words.add_parser(word, help=command.summary, description=about, allow_abbrev=False)
    command.arguments(parser)
    if command.store:
        parser.add_argument("--store", metavar="URL", help=f"where it is kept; {command.store}")
    parser.add_argument("--json", action="store_true", help="answer with one line of JSON on standard output")
    parser.set_defaults(run=command.run)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _with_dashed_last(arguments: Sequence[str]) -> list[str]:
    dashed = [argument for argument in arguments if _THUMBPRINT.fullmatch(argument)]
    if not dashed or "--" in arguments:
        return list(arguments)
    return [*(argument for argument in arguments if argument not in dashed), "--", *dashed]
