"""How far long work has come, for whoever sits at the terminal; nothing for anybody else."""

import sys
from types import TracebackType
from typing import Self


class Progress:
    """One line on standard error that is written over and over, and gone in the end."""

    def __init__(self) -> None:
        self._shows = sys.stderr is not None and sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.show("")

    def show(self, text: str) -> None:
        """How far it is."""
        if self._shows:
            # Back to the first column, and the rest of what was there erased.
            sys.stderr.write(f"\r{text}\x1b[K")
            sys.stderr.flush()
