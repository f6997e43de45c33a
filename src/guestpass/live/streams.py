"""A long answer over ASGI, which is broken off when the credential that it was given to ends.

ASGI has no message for breaking an answer off: an exception out of the application is what a server does it by. The
application sees a lost connection: `receive` yields disconnect, a later `send` raises, and one that still goes on after
a while is cancelled.
"""

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeAlias

import anyio
from anyio.abc import TaskGroup

from guestpass.asgi_types import Message, Receive, Send
from guestpass.errors import ConnectionEnded
from guestpass.guard import Guard
from guestpass.live.breaking_off import break_off
from guestpass.live.life import Decide, Life
from guestpass.live.long_answers import LongAnswers, caused_by_end
from guestpass.principal import Principal
from guestpass.requests import Asked, Request

Host: TypeAlias = asyncio.Task[object] | TaskGroup | None
"""What runs an application: a task on asyncio, a group of them on trio. None for none that is known."""

GRACE: Final = 1.0
"""Seconds that an application has to end by itself once its answer is over. Few, since the other end sees it then."""

_PARTS: Final = frozenset({"http.response.body", "http.response.zerocopysend", "http.response.pathsend"})
"""The messages that a body is made of; after the last of them it is complete."""


class Streams:
    """How answers are served: those among `answers` that outlast their credential are broken off."""

    def __init__(self, guard: Guard, decide: Decide, answers: LongAnswers, grace: float = GRACE) -> None:
        self.guard: Final = guard
        self.decide: Final = decide
        self.answers: Final = answers
        self.grace: Final = grace


class Stream:
    """One long answer, as `Answer` has it. `host` runs the application, and is what can be cancelled.

    Made in any thread, since an application may call `receive` in one and leave the waiting to its loop.
    """

    def __init__(
        self, streams: Streams, principal: Principal, asked: Asked, receive: Receive, send: Send, host: Host
    ) -> None:
        self._life = Life(streams.guard, principal, Request(*asked), streams.decide)
        self._grace = streams.grace
        self._receive = receive
        self._send = send
        self._tasks = host if isinstance(host, TaskGroup) else None
        self._task = None if isinstance(host, TaskGroup) else host
        self._begun = self._complete = self._told = False
        self._beside: asyncio.Task[None] | None = None
        self._before = self._cancelled = 0

    @property
    def broken(self) -> bool:
        """Whether the end came before the answer was complete."""
        return self._life.over and not self._complete

    async def receive(self) -> Message:
        """The next message; a disconnect once it is over, also for who is waiting."""
        message = await self._life.receive(self._receive)
        return {"type": "http.disconnect"} if message is None else message

    def begin(self) -> None:
        """Look out for the end, from now on."""
        if self._begun:
            return
        self._begun = True
        self._life.begin()
        # What ended before has told nobody.
        self._life.look()
        if self._tasks is not None:
            self._tasks.start_soon(self._life.watch, self._break_off)
            return
        if self._task is not None and self._task.get_loop() is not asyncio.get_running_loop():
            self._task = asyncio.current_task()
        if self._task is not None:
            self._before = self._task.cancelling()
        self._beside = asyncio.create_task(self._life.watch(self._break_off))

    def send(self, message: Message) -> Awaitable[None]:
        """Send what follows the start of the answer. Once it is over, that fails."""
        if self.broken:
            return _lost()
        if message["type"] in _PARTS and not message.get("more_body"):
            self._complete = True
            self._life.stop()
        return self._send(message)

    async def close(self, problem: BaseException | None) -> None:
        """After the application, out of which came `problem`.

        Raises `ConnectionEnded` where the answer was broken off, for the server, once that has been told. What the
        application raised of its own is to come out as it is.
        """
        broken = self.broken and (problem is None or self._caused(problem))
        self.leave()
        if broken:
            await self._tell()
            raise ConnectionEnded from None

    def leave(self) -> None:
        """Look out for the end no longer."""
        self._life.stop()
        if self._beside is not None:
            self._beside.cancel()
        if self._task is not None:
            for _ in range(min(self._cancelled, self._task.cancelling() - self._before)):
                self._task.uncancel()

    def _caused(self, problem: BaseException) -> bool:
        """Whether `problem` came out of the application because its answer was over."""
        if self._task is not None and isinstance(problem, asyncio.CancelledError):
            # Not where the server cancels as well. There may be fewer than were made: anyio takes back what it finds.
            return self._cancelled > 0 and self._task.cancelling() - self._before <= self._cancelled
        return caused_by_end(problem)

    async def _tell(self) -> None:
        """Tell the server, and what stands between, that the answer is broken off."""
        if not self._told:
            with anyio.move_on_after(self._grace):
                await break_off(self._send)
                self._told = True

    async def _break_off(self) -> None:
        await self._tell()
        while True:
            await anyio.sleep(self._grace)
            if self._tasks is not None:
                self._tasks.cancel_scope.cancel()
            elif self._task is not None and self._task.cancel():
                # Again after a while: on asyncio an application can catch it, and go on.
                self._cancelled += 1


async def _lost() -> None:
    raise ConnectionEnded
