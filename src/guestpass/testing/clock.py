"""Time for tests: it passes at a word, so no test waits for it."""

from typing import Final

START: Final = 1_900_000_000.0
"""Where a `Clock` starts unless it is said: in March 2030."""


class Clock:
    """Unix time, in seconds, that only `advance` lets pass. Give it as the ``clock`` of all that a test builds.

    ``clock = Clock()`` … ``clock.advance(3600)``. Calling it tells the time, as `time.time` does.
    """

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass. Raises ValueError for less than none: what was refused would be let in again."""
        if not seconds >= 0:
            raise ValueError(f"advance({seconds!r}): time passes, and never goes back")
        self.now += seconds

    def __repr__(self) -> str:
        return f"Clock({self.now!r})"
