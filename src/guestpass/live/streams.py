"""A long answer over ASGI, which is broken off when the credential that it was given to ends.

ASGI has no message for breaking an answer off: an exception out of the application is what a server does it by. The
application sees a lost connection: `receive` yields disconnect, a later `send` raises, and one that still goes on after
a while is cancelled. An answer that is not long costs no more than a look at its Content-Type.
"""

import asyncio
from collections.abc import Awaitable
from typing import Final

import anyio
from anyio.abc import TaskGroup

from guestpass.asgi_types import ASGIApp, Message, Receive, Scope, Send
from guestpass.errors import ConnectionEnded
from guestpass.guard import Guard
from guestpass.live.breaking_off import break_off
from guestpass.live.life import Decide, Life, in_company
from guestpass.live.long_answers import LongAnswers, caused_by_end
from guestpass.principal import Principal
from guestpass.problems import VARY, vary_by_credential
from guestpass.requests import Request

GRACE: Final = 1.0
"""Seconds that an application has to end by itself once its answer is over. Few, since the other end sees it then."""

_PARTS: Final = frozenset({"http.response.body", "http.response.zerocopysend", "http.response.pathsend"})
"""The messages that a body is made of; after the last of them it is complete."""


class Streams:
    """Serves answers, and breaks off those among `answers` that outlast their credential."""

    def __init__(self, guard: Guard, decide: Decide, answers: LongAnswers, grace: float = GRACE) -> None:
        self.guard: Final = guard
        self.decide: Final = decide
        self.answers: Final = answers
        self.grace: Final = grace

    async def serve(
        self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, principal: Principal, request: Request
    ) -> None:
        """Run `app` on the one request by which the guard let in `principal`.

        Raises `ConnectionEnded` where the answer was broken off, for the server. What the application raises of its own
        comes out as it is.
        """
        answer = Answer(self, principal, request, receive, send)
        try:
            answer.host, on_asyncio = asyncio.current_task(), True
        except RuntimeError:
            on_asyncio = False
        if not on_asyncio:
            # So trio, where what may have to be cancelled needs its scope from the start. Not while that is handled:
            # it would stand in every traceback of the application's.
            await answer.serve_in_company(app, scope)
            return
        try:
            await app(scope, answer.receive, answer.send)
        except BaseException as problem:
            if not answer.ended_by(problem):
                raise
        finally:
            if answer.life is not None:
                answer.leave(answer.life)
        if answer.life is not None:
            await answer.finish()


class Answer:
    # What most answers never need has no place in the instance.
    host: asyncio.Task[object] | None = None
    _asked = False
    _complete = False
    _told = False
    _begun = False
    life: Life | None = None
    _beside: asyncio.Task[None] | None = None
    _tasks: TaskGroup | None = None
    _before = 0
    _cancelled = 0

    def __init__(self, streams: Streams, principal: Principal, request: Request, receive: Receive, send: Send) -> None:
        self._streams = streams
        self._principal = principal
        self._request = request
        self._receive = receive
        self._send = send

    @property
    def broken(self) -> bool:
        """Whether the end came before the answer was complete."""
        return self.life is not None and self.life.over and not self._complete

    def receive(self) -> Awaitable[Message]:
        """The next message. The first one is the body, or begins it, and is not waited for like a disconnect."""
        if self._asked or self.broken:
            return self._receive_or_end()
        self._asked = True
        return self._receive()

    def send(self, message: Message) -> Awaitable[None]:
        """Send, unless the answer is over. A long one is watched from its start on, until it is complete."""
        if message["type"] == "http.response.start":
            # They are any iterable, which may be read but once.
            answers, headers = self._streams.answers, [*(message.get("headers") or ())]
            long, varies = answers.all, False
            for name, value in headers:
                if len(name) == 12:
                    if name == b"content-type" or name.lower() == b"content-type":
                        known = answers.known.get(value)
                        long = long or (answers.learn(value) if known is None else known)
                elif len(name) == 4:
                    varies = varies or name.lower() == b"vary"
            if long and not self._begun:
                self._begin()
            if varies:
                headers = vary_by_credential(headers)
            else:
                headers += (VARY,)
            return self._send({**message, "headers": headers})
        if self.life is not None:
            if self.broken:
                return _lost()
            if message["type"] in _PARTS and not message.get("more_body"):
                self._complete = True
                self.life.stop()
        return self._send(message)

    async def serve_in_company(self, app: ASGIApp, scope: Scope) -> None:
        """Run `app` in a task group, which also cancels it."""

        async def run(tasks: TaskGroup) -> None:
            self._tasks = tasks
            await app(scope, self.receive, self.send)

        try:
            problem = await in_company(run)
        finally:
            if self.life is not None:
                self.leave(self.life)
        if problem is not None and not self.ended_by(problem):
            raise problem
        await self.finish()

    def ended_by(self, problem: BaseException) -> bool:
        """Whether `problem` came out of the application because its answer was over."""
        if not self.broken:
            return False
        if self.host is not None and isinstance(problem, asyncio.CancelledError):
            # Not where the server cancels as well. There may be fewer than were made: anyio takes back what it finds.
            return self._cancelled > 0 and self.host.cancelling() - self._before <= self._cancelled
        return caused_by_end(problem)

    async def finish(self) -> None:
        """Raise `ConnectionEnded` where the answer was broken off, once whoever serves it has been told."""
        if self.broken:
            await self.tell()
            raise ConnectionEnded from None

    async def tell(self) -> None:
        """Tell the server, and what stands between, that the answer is broken off."""
        if not self._told:
            with anyio.move_on_after(self._streams.grace):
                await break_off(self._send)
                self._told = True

    def leave(self, life: Life) -> None:
        """Look out for the end no longer."""
        life.stop()
        if self._beside is not None:
            self._beside.cancel()
        if self.host is not None:
            for _ in range(min(self._cancelled, self.host.cancelling() - self._before)):
                self.host.uncancel()

    def _alive(self) -> Life:
        if self.life is None:
            self.life = Life(self._streams.guard, self._principal, self._request, self._streams.decide)
        return self.life

    def _begin(self) -> None:
        self._begun = True
        life = self._alive()
        life.begin()
        # What ended before has told nobody.
        life.look()
        if self._tasks is not None:
            self._tasks.start_soon(life.watch, self._break_off)
            return
        if self.host is not None:
            self._before = self.host.cancelling()
        self._beside = asyncio.create_task(life.watch(self._break_off))

    async def _break_off(self) -> None:
        await self.tell()
        while True:
            await anyio.sleep(self._streams.grace)
            if self._tasks is not None:
                self._tasks.cancel_scope.cancel()
            elif self.host is not None and self.host.cancel():
                # Again after a while: on asyncio an application can catch it, and go on.
                self._cancelled += 1

    async def _receive_or_end(self) -> Message:
        message = await self._alive().receive(self._receive)
        return {"type": "http.disconnect"} if message is None else message


async def _lost() -> None:
    raise ConnectionEnded
