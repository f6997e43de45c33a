"""Coroutines that never suspend, run as plain functions: one text serves callers with and without an event loop.

Whatever such a coroutine awaits is done when it is awaited: who calls it from plain code hands in plain functions in
the form of coroutines. Knows no event loop, and needs none.
"""

from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


def run_plain(coroutine: Coroutine[object, None, T]) -> T:
    """The answer of a coroutine that does not suspend. Raises `RuntimeError` where it does."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        answer: T = end.value
        return answer
    finally:
        coroutine.close()
    raise RuntimeError("this waits for an event loop, and none runs here: hand in plain functions, not async ones")
