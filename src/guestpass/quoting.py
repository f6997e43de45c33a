"""What a stranger sent, as an operator may see it: bounded, on one line, and never a credential.

Two ways, since one alone is not enough: by form, for a credential that stands where none belongs, and by comparison
with what was presented, whatever its form.
"""

import re
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

LONGEST: Final = 64
"""Characters of one value; what is longer is cut."""

PIECE: Final = 12
"""Characters of a credential that are never shown in a row."""

# Bounded where it could begin anywhere, since strangers send long texts on purpose.
_CREDENTIAL = re.compile(r"([a-z][a-z0-9]{0,31}_(?:live|test)_|eyJ)[\w.~+/=-]{8,}", re.ASCII)


def quoted(text: str) -> str:
    """`text` between quotation marks, in printable ASCII."""
    # Cut before it is looked at, but not so that the form of a credential were cut off what is shown.
    shown = without_credentials(text[: 2 * LONGEST])
    return ascii(shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…")


def without_credentials(text: str) -> str:
    """`text` with everything cut short that has the form of a credential."""
    return _CREDENTIAL.sub(r"\1…", text)


def instant(seconds: float) -> str:
    """An instant in Unix seconds, as ISO 8601 in UTC."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return "no date"


def where(problem: BaseException) -> str:
    """What was raised and where, without its text, which may quote anything."""
    frames = traceback.extract_tb(problem.__traceback__)
    return type(problem).__name__ + (f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else "")


class Veil:
    """Takes what was presented out of texts: no `PIECE` of it in a row is left."""

    def __init__(self, presented: Iterable[str]) -> None:
        self._pieces = frozenset(
            text[start : start + PIECE] for text in presented for start in range(len(text) - PIECE + 1)
        )

    def __repr__(self) -> str:
        return "Veil(…)"

    def __call__(self, text: str) -> str:
        """`text`, with what must not be seen replaced by ``…``."""
        text = without_credentials(text)
        hidden = [False] * len(text)
        for start in range(len(text) - PIECE + 1):
            if text[start : start + PIECE] in self._pieces:
                hidden[start : start + PIECE] = [True] * PIECE
        if True not in hidden:
            return text
        shown = "".join("\0" if hide else character for character, hide in zip(text, hidden, strict=True))
        return re.sub(r"\0+", "…", shown)
