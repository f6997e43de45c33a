"""A value for each parameter of a path, so that there is a request to ask with.

Knows expressions of routers' converters, and no router.
"""

import re
from collections.abc import Callable
from typing import Final

ACCOUNT: Final = "acct_audit_one"
OTHER_ACCOUNT: Final = "acct_audit_two"

_VALUES: Final = (
    "auditsample",
    "1",
    "1.5",
    "00000000-0000-4000-8000-000000000001",
    "2026-01-31",
    "2026-01-31T12:00:00",
    "12:00:00",
    "P1D",
    "2026",
    "01",
    "a",
    "en",
    "sample-1",
    "S",
    "aaaaaaaaaaaaaaaaaaaaaaaa",
)
_ACCOUNTS: Final = (ACCOUNT, "1001", "00000000-0000-4000-8000-000000001001")


def value_for(fits: Callable[[str], bool], *, account: bool) -> str | None:
    """A value that a parameter takes; one that could be an account's id for `account`. None where none is known."""
    for value in (*_ACCOUNTS, *_VALUES) if account else _VALUES:
        try:
            if fits(value):
                return value
        except (ValueError, TypeError, ArithmeticError):
            continue
    return None


def fitting(regex: str) -> Callable[[str], bool]:
    """Whether a value is what an expression is for, whole."""
    compiled = re.compile(regex)
    return lambda value: compiled.fullmatch(value) is not None
