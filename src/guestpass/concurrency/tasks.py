"""The task that is running. As `asyncio.current_task`, which on Python 3.11 takes a system call each time.

There, the loop that a thread ran last is remembered. That is wrong of a loop which has gone to another thread while
its first one runs another; so who does something with the task looks whether its loop is the one that is running.
"""

import asyncio
import sys
from threading import get_ident

if sys.version_info >= (3, 12):
    current_task = asyncio.current_task
else:
    _home: tuple[int, asyncio.AbstractEventLoop] | None = None

    def current_task() -> asyncio.Task[object] | None:
        """The task that is running here. Raises RuntimeError where no event loop of asyncio runs."""
        global _home
        home = _home
        if home is not None and home[0] == get_ident():
            task = asyncio.current_task(home[1])
            if task is not None:
                return task
        task = asyncio.current_task()
        _home = get_ident(), asyncio.get_running_loop()
        return task
