"""What begins anew in a forked child: locks that another thread held, what was under way, what was half done.

Knows which objects are concerned, weakly. A server that loads the application before it forks its workers comes
through here.
"""

import os
from typing import Final, Protocol
from weakref import WeakSet


class Forked(Protocol):
    """An object that a fork concerns."""

    def after_fork(self) -> None:
        """In the child, where no other thread exists: begin anew. Takes no lock, and must not raise."""


_concerned: Final[WeakSet[Forked]] = WeakSet()


def begins_anew(concerned: Forked) -> None:
    """Have `after_fork` called in every child from now on, for as long as somebody else refers to the object."""
    _concerned.add(concerned)


def _in_child() -> None:
    for concerned in list(_concerned):
        concerned.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_in_child)
