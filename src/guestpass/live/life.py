"""A live connection, a socket or a long answer, which ends when the credential that opened it does.

A watcher beside the application looks out for the end: the instant at which the credential expires, and whether it
still stands, whenever the guard hears of its ending and every few seconds. Neither waits for the other: a store that is
slow to say puts no expiry off. Once it is over, who waits for a message gets a disconnect. Knows nothing of why a
credential ends, nor of what is sent at the end.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final, TypeAlias

import anyio
from anyio import CancelScope, Event
from anyio.abc import TaskGroup

from guestpass.asgi_types import Message, Receive
from guestpass.explaining.tracing import Decides
from guestpass.guard import Guard
from guestpass.live.long_answers import LOOK_AGAIN
from guestpass.principal import Principal
from guestpass.proving import Proof
from guestpass.requests import Request

Decide: TypeAlias = Callable[[Decides, Request], Awaitable[Proof]]
"""The verdict of a guard on a request, as a door has it."""

_LAST: Final = datetime.max.replace(tzinfo=UTC).timestamp() - 1


class Life:
    """How long one connection lasts: as long as `principal`, whom the guard let in by `request`.

    `over` is True from its end on, `reason` says why. Nothing is looked out for until `begin`. Used from the event
    loop of the connection alone.
    """

    __slots__ = (
        "_changed", "_decide", "_forget", "_guard", "_stopped", "_told", "_waiting", "over", "principal", "reason",
        "request",
    )  # fmt: skip

    def __init__(self, guard: Guard, principal: Principal, request: Request, decide: Decide) -> None:
        self.principal = principal
        self.request = request
        self.over = False
        self.reason = "the credential has ended"
        self._guard = guard
        self._decide = decide
        self._told: Event | None = None
        self._changed: Event | None = None
        self._forget: Callable[[], None] | None = None
        self._stopped = False
        self._waiting: set[CancelScope] = set()

    def begin(self) -> None:
        """Have the guard tell of the credential's end. To be followed by a look: what ended before has told nobody."""
        if self._forget is not None:
            self._forget()
        self._forget = self._guard.watch(self.principal, _thread_safe(self.look))

    def look(self) -> None:
        """Have the watcher look at once whether the credential still stands."""
        if self._told is None:
            self._told = Event()
        self._told.set()

    async def decide(self, request: Request) -> Proof:
        """The guard's verdict on another request of this connection."""
        return await self._decide(self._guard, request)

    async def still_admitted(self) -> bool:
        """Whether the credential would be let in now. True while nobody can tell: an outage is not a refusal."""
        again = await self._decide(self._guard.reviewing, self.request)
        return isinstance(again, Principal) or again.status == 503

    def lasts(self) -> dict[str, object]:
        """Until when, in ISO 8601 and in seconds from now; None for both where there is no end that anybody sees."""
        ends = self.principal.expires_at
        if ends > _LAST:
            return {"expires_at": None, "expires_in": None}
        instant = datetime.fromtimestamp(int(ends), UTC).isoformat().replace("+00:00", "Z")
        return {"expires_at": instant, "expires_in": int(self._left())}

    async def watch(self, at_end: Callable[[], Awaitable[None]]) -> None:
        """Run `at_end` when it is over; return after that, or when it is stopped."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._look_again)
            await self._until_over()
            if self.over:
                await at_end()
            tasks.cancel_scope.cancel()

    def end(self, reason: str | None = None) -> None:
        """Have it be over now."""
        self.reason = self.reason if reason is None else reason
        self.over = True
        for waiting in list(self._waiting):
            waiting.cancel()
        self._change()

    def stop(self) -> None:
        """Look out for the end no longer: the connection has come to its own."""
        self._stopped = True
        if self._forget is not None:
            self._forget()
        self._change()

    def renew(self, principal: Principal, request: Request) -> None:
        """Go on with another credential, which has just been let in by `request`; it alone counts from now on."""
        self.principal, self.request = principal, request
        self.begin()
        self.look()
        self._change()

    def _change(self) -> None:
        if self._changed is not None:
            self._changed.set()

    async def _until_over(self) -> None:
        while not (self.over or self._stopped):
            left, self._changed = self._left(), Event()
            if left <= 0:
                self.end()
            else:
                # Not for longer: the clock may be put forward.
                with anyio.move_on_after(min(left, LOOK_AGAIN)):
                    await self._changed.wait()

    async def _look_again(self) -> None:
        while not self.over:
            told = self._told = self._told or Event()
            with anyio.move_on_after(LOOK_AGAIN):
                await told.wait()
            self._told, judged = None, self.request
            if not await self.still_admitted() and judged is self.request:
                self.end()

    async def receive(self, receive: Receive) -> Message | None:
        """The next message; None once it is over, also for who is waiting."""
        with CancelScope() as waiting:
            self._waiting.add(waiting)
            try:
                return None if self.over else await receive()
            finally:
                self._waiting.discard(waiting)
        return None

    def _left(self) -> float:
        return self.principal.expires_at - self._guard.clock()


async def in_company(app: Callable[[TaskGroup], Awaitable[None]]) -> Exception | None:
    """Run `app` with a task group for what is to run beside it, and no longer. What it raises is the answer: its own,
    not the group's."""
    problem: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            await app(tasks)
        except Exception as raised:  # noqa: BLE001 - handed on, but not wrapped in the group's
            problem = raised
        tasks.cancel_scope.cancel()
    return problem


def _thread_safe(call: Callable[[], None]) -> Callable[[], None]:
    """`call`, to be made from any thread, on the event loop that is running here."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        # Not asyncio, so trio; whoever runs it has it.
        import trio

        soon: Callable[[Callable[[], None]], object] = trio.lowlevel.current_trio_token().run_sync_soon
    else:
        soon = loop.call_soon_threadsafe

    def tell() -> None:
        # Who ends a credential has nothing to do with a loop that was ended before its connections were.
        with suppress(RuntimeError):
            soon(call)

    return tell
