"""The task that is running. As `asyncio.current_task`, which on Python 3.11 takes a system call each time.

There, the loop that a thread ran last is remembered. That is wrong of a loop which has gone to another thread while
its first one runs another; so who does something with the task looks whether its loop is the one that is running.
"""

import asyncio
import sys
from threading import get_ident

from guestpass.concurrency.forking import begins_anew

if sys.version_info >= (3, 12):
    current_task = asyncio.current_task
else:

    class _Home:
        known: tuple[int, asyncio.AbstractEventLoop] | None = None

        def after_fork(self) -> None:
            """In the child: none of its loops is the parent's."""
            self.known = None

    _home = _Home()
    begins_anew(_home)

    def current_task() -> asyncio.Task[object] | None:
        """The task that is running here. Raises RuntimeError where no event loop of asyncio runs."""
        known = _home.known
        if known is not None and known[0] == get_ident():
            task = asyncio.current_task(known[1])
            if task is not None:
                return task
        task = asyncio.current_task()
        _home.known = get_ident(), asyncio.get_running_loop()
        return task
