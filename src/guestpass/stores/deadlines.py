"""Until when the question that is being answered may take.

Knows one instant for each thread or task. The driver's connections look at it while they wait.
"""

import math
import time
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Final

_until: Final[ContextVar[float]] = ContextVar("guestpass_until", default=math.inf)


class Within:
    """While it is entered, what is done in this thread or task has `seconds` in all."""

    __slots__ = ("_outer", "_seconds")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._outer: Token[float] = _until.set(time.monotonic() + self._seconds)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _until.reset(self._outer)


def left() -> float:
    """Seconds that are left, below 0 once the time is over; infinity where nobody set any."""
    return _until.get() - time.monotonic()
