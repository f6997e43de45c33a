"""What the command line says when something did not work: one line, with a code and what to do next.

Knows the exit codes. Nothing that it says holds a credential, whatever the problem quoted.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from guestpass.credentials import OpaqueForm
from guestpass.errors import ConfigurationError, GuestpassError, Refused, Unavailable
from guestpass.redaction import PREFIXED, without_credentials
from guestpass.refusals import FieldError

DONE: Final = 0
NOT_DONE: Final = 1
"""Refused, not found, out of reach, or unforeseen."""
MISUSED: Final = 2
"""Used or set up wrongly."""
INTERRUPTED: Final = 130

_OPAQUE = re.compile(rf"\b({PREFIXED})[0-9A-Za-z]+")
_JWT = re.compile(r"\beyJ[\w-]+\.eyJ[\w-]+\.[\w-]+")


_BUG: Final = "internal_error"


class Misused(GuestpassError):
    """The command line was written wrongly."""


class Failed(GuestpassError):
    """What was asked for cannot be done: there is no such thing, or not in the state that it would have to be in."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, as it is told; `errors` are about single fields."""

    code: str
    detail: str
    exit_code: int
    errors: tuple[FieldError, ...] = ()

    @property
    def is_bug(self) -> bool:
        """Whether nobody foresaw it."""
        return self.code == _BUG

    def line(self, as_json: bool) -> str:
        """The one line."""
        fields = [(error.field, error.reason) for error in self.errors]
        if as_json:
            errors = [{"field": field, "reason": reason} for field, reason in fields]
            return json.dumps({"code": self.code, "detail": self.detail, **({"errors": errors} if errors else {})})
        return f"{self.code}: {self.detail}" + "".join(f" {field}: {reason}." for field, reason in fields)


def problem_of(raised: Exception) -> Problem:
    """What to say of an exception."""
    code, text, exit_code = _said_of(raised)
    errors = raised.refusal.errors if isinstance(raised, Refused) else ()
    return Problem(code, " ".join(without_credentials(text).split()), exit_code, errors)


def refuse_credentials(arguments: Iterable[str]) -> None:
    """Raises `Misused` where a credential stands among the arguments, where every process of the machine sees it."""
    for argument in arguments:
        found = [m for m in _OPAQUE.finditer(argument) if OpaqueForm(m[1].partition("_")[0]).well_formed(m[0])]
        if found or _JWT.search(argument):
            raise Misused(
                "an argument is a credential, and every process here can read it: revoke it, and hand over the new one "
                "in a file, by --key-file or --credential-file"
            )


def _said_of(raised: Exception) -> tuple[str, str, int]:
    match raised:
        case Refused():
            return raised.code, raised.refusal.detail, NOT_DONE
        case Failed():
            return raised.code, str(raised), NOT_DONE
        case Unavailable():
            return (
                raised.code,
                f"{raised}. Try again; if something was to be changed, look first whether it was",
                NOT_DONE,
            )
        case Misused():
            return "usage", str(raised), MISUSED
        case ConfigurationError():
            return "configuration", str(raised), MISUSED
        case UnicodeDecodeError():
            return "usage", "the file is no text in UTF-8", MISUSED
        case OSError():
            named = "" if raised.filename is None else f": {raised.filename}"
            return "file", f"{raised.strerror or type(raised).__name__}{named}", MISUSED
        case ValueError():
            return "usage", str(raised), MISUSED
        case _:
            told = f"{type(raised).__name__}: {raised}"
            return _BUG, f"{told}. This is a bug of guestpass; GUESTPASS_DEBUG=1 shows where", NOT_DONE
