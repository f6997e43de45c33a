"""What open stores do when their process forks.

Knows which stores are open, weakly, and tells each before and after `os.fork`. Knows nothing of what they
hold. A server that loads the application before it forks its workers (gunicorn's ``--preload``) comes
through here.
"""

import os
import threading
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    """A store that a fork concerns. None of the three may raise."""

    def before_fork(self) -> None:
        """Come to rest: nothing may be half done, or held by another thread, when the process is copied."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Go on as a new process, in which no other thread exists."""


_open: WeakSet[Forkable] = WeakSet()
# Held across a fork, so that the stores that came to rest and those that are told to go on are the same ones.
_lock = threading.Lock()
_resting: list[Forkable] = []


def watch(store: Forkable) -> None:
    """Tell `store` of every fork from now on, for as long as somebody else refers to it."""
    with _lock:
        _open.add(store)


def _before() -> None:
    _lock.acquire()
    _resting.extend(_open)
    for store in _resting:
        store.before_fork()


def _in_parent() -> None:
    for store in _resting:
        store.after_fork_in_parent()
    _resting.clear()
    _lock.release()


def _in_child() -> None:
    for store in _resting:
        store.after_fork_in_child()
    _resting.clear()
    _lock.release()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
