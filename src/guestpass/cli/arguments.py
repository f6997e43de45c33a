"""Arguments that several commands have, and how their values are read.

There is no argument for a credential: it would stand in the list of processes.
"""

import argparse
from collections.abc import Callable
from typing import Final

from guestpass.credentials import OpaqueForm
from guestpass.grants import Mode
from guestpass.principal import is_account_id, is_name, is_platform

MAX_SECONDS: Final = 100 * 366 * 86_400
"""A century: what is further away is a mistake, and no date in some places."""

MODES: Final[tuple[Mode, ...]] = ("live", "test")


def platform(text: str) -> str:
    """A platform's name."""
    return _fitting(text, is_platform, "a platform is 1-64 of A-Z a-z 0-9 _ . -")


def account(text: str) -> str:
    """An account's id."""
    return _fitting(text, is_account_id, "an account is 1-128 of A-Z a-z 0-9 . _ : @ -")


def role(text: str) -> str:
    """A role's name."""
    return _fitting(text, is_name, "a role is 1-64 of a-z 0-9 _ . -")


def component(text: str) -> str:
    """A component's name, or that of one of its features."""
    how = "a component is 1-64 of a-z 0-9 _ . -, one feature of it is written call_logs/transcripts"
    name, slash, feature = text.partition("/")
    return _fitting(text, lambda _: is_name(name) and (not slash or is_name(feature)), how)


def text(value: str) -> str:
    """Something that an issuer named: whatever can be read, up to 256 characters."""
    return _fitting(value, lambda it: 0 < len(it) <= 256 and it.isprintable(), "1-256 characters that can be read")


def seconds(lowest: int, highest: int) -> Callable[[str], int]:
    """A whole number of seconds between two bounds, both included."""
    return _whole(lowest, highest, f"a whole number of seconds, {lowest} to {highest}")


def whole_seconds(text: str) -> int:
    """A number of seconds whose bounds somebody else knows."""
    return _whole(-(10**9), 10**9, "a whole number of seconds")(text)


def port(text: str) -> int:
    """A TCP port; 0 for a free one."""
    return _whole(0, 65_535, "a port is 0 to 65535")(text)


def several(parser: argparse.ArgumentParser, flag: str, read: Callable[[str], str], help_text: str) -> None:
    """An option that may be repeated; left out, it is an empty list."""
    parser.add_argument(
        flag, action="append", type=read, default=[], metavar=flag[2:].upper(), help=f"{help_text}; may be repeated"
    )


def mode(parser: argparse.ArgumentParser, default: Mode | None, help_text: str) -> None:
    """``--mode``."""
    parser.add_argument("--mode", choices=MODES, default=default, help=help_text)


def prefix(parser: argparse.ArgumentParser, default: str) -> None:
    """``--prefix``: the store does not know what the API's credentials begin with."""
    parser.add_argument(
        "--prefix",
        type=_prefix,
        help=f"what the secret begins with, where the API has a prefix of its own; else {default}",
    )


def identifier(parser: argparse.ArgumentParser, help_text: str) -> None:
    """The id of what is to be changed."""
    parser.add_argument("id", metavar="ID", type=text, help=help_text)


def _prefix(text: str) -> str:
    try:
        return OpaqueForm(text).prefix
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None


def _fitting(text: str, fits: Callable[[str], bool], how: str) -> str:
    if not fits(text):
        raise argparse.ArgumentTypeError(f"{how}, not {text[:64]!r}")
    return text


def _whole(lowest: int, highest: int, how: str) -> Callable[[str], int]:
    def read(text: str) -> int:
        # Digits alone, and few enough: int() takes more than people mean.
        if not (text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 18):
            raise argparse.ArgumentTypeError(how)
        if not lowest <= int(text) <= highest:
            raise argparse.ArgumentTypeError(how)
        return int(text)

    return read
