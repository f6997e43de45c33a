"""What the value of a key in the settings can be: a check, and the words to refuse with.

A value of the file comes as TOML has it, one of the environment as text. Pure.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, cast

from guestpass.errors import ConfigurationError
from guestpass.grants import Mode
from guestpass.principal import is_account_id, is_name, is_origin, is_platform
from guestpass.stores.http import check_url

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MAX_TEXT: Final = 4_096


@dataclass(frozen=True, slots=True)
class Kind(Generic[T_co]):
    """`read` answers what a value of the file stands for, and raises ValueError for what is none; `how` says what it
    has to be. `written` makes a value of the file of a text."""

    how: str
    read: Callable[[object], T_co]
    written: Callable[[str], object] = str


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or not value.isprintable():
        raise ValueError
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _listed(text: str) -> object:
    return [part.strip() for part in text.split(",") if part.strip()]


_WORDS: Final[Mapping[str, bool]] = {"true": True, "false": False}

TEXT: Final = Kind("a text in one line", _text)
FLAG: Final = Kind("true or false", _flag, lambda text: _WORDS.get(text, text))


def text_that(how: str, fits: Callable[[str], bool]) -> Kind[str]:
    """A text of a certain form."""

    def read(value: object) -> str:
        text = _text(value)
        if not fits(text):
            raise ValueError
        return text

    return Kind(how, read)


def matching(pattern: re.Pattern[str], how: str) -> Kind[str]:
    """A text that a pattern matches as a whole."""
    return text_that(how, lambda text: pattern.fullmatch(text) is not None)


def one_of(*choices: T) -> Kind[T]:
    """One of a few texts."""

    def read(value: object) -> T:
        for choice in choices:
            if isinstance(value, str) and choice == value:
                return choice
        raise ValueError

    return Kind("one of " + ", ".join(f'"{choice}"' for choice in choices), read)


def whole(lowest: int, highest: int) -> Kind[int]:
    """A whole number between two bounds, both included."""

    def read(value: object) -> int:
        if type(value) is not int or not lowest <= value <= highest:
            raise ValueError
        return value

    return Kind(f"a whole number from {lowest} to {highest}", read, _number)


def _number(text: str) -> object:
    # Digits alone, and few enough: int() takes more than people mean.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else text


def several(one: Kind[T], *, least: int = 0) -> Kind[tuple[T, ...]]:
    """A list of values of a kind. In the environment they stand with commas between them."""

    def read(value: object) -> tuple[T, ...]:
        if not isinstance(value, list) or len(cast("list[object]", value)) < least:
            raise ValueError
        return tuple(one.read(entry) for entry in cast("list[object]", value))

    # "one of …" reads the same of each.
    how = f"a list, each {one.how}" if not least else f"a list of at least {least}, each {one.how}"
    return Kind(how, read, _listed)


def either(one: Kind[T], other: Kind[T]) -> Kind[T]:
    """A value of one kind or of another. In the environment it is a text."""

    def read(value: object) -> T:
        try:
            return one.read(value)
        except ValueError:
            return other.read(value)

    return Kind(f"{one.how}, or {other.how}", read)


def texts_or_one(one: Kind[str]) -> Kind[tuple[str, ...]]:
    """One text, or a list of at least one."""

    def read(value: object) -> tuple[str, ...]:
        return (one.read(value),)

    return either(Kind(one.how, read), several(one, least=1))


def table_of(one: Kind[T]) -> Kind[dict[str, T]]:
    """A table whose keys are the file's own to choose."""

    def read(value: object) -> dict[str, T]:
        if not isinstance(value, dict):
            raise ValueError
        return {_text(key): one.read(entry) for key, entry in cast("dict[str, object]", value).items()}

    return Kind(f"a table, each value {one.how}", read)


def _is_url(text: str) -> bool:
    try:
        check_url(text)
    except ConfigurationError:
        return False
    return True


NAME: Final = text_that("1-64 of a-z 0-9 _ . -", is_name)
PLATFORM: Final = text_that("1-64 of A-Z a-z 0-9 _ . -", is_platform)
ACCOUNT: Final = text_that("1-128 of A-Z a-z 0-9 . _ : @ -", is_account_id)
ORIGIN: Final = text_that('an origin as browsers send it: "https://app.example"', is_origin)
URL: Final = text_that("an https URL, or an http one of this machine (127.0.0.1, ::1, localhost)", _is_url)
MODE: Final[Kind[Mode]] = one_of("live", "test")
