"""A live socket, which ends when the credential that opened it does: at its expiry, or when it is revoked.

One watcher beside the application: when the time has come it sends close, `receive` yields disconnect, a later `send`
raises as on a lost connection, and an application that still goes on after a while is cancelled. Knows nothing of
why a credential ends.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, cast

import anyio
from anyio import CancelScope, Event

from guestpass.asgi_types import ASGIApp, Message, Receive, Scope, Send
from guestpass.guard import Guard
from guestpass.principal import Principal
from guestpass.refusals import UNAUTHORIZED

GRACE: Final = 5.0
"""Seconds that an application has to end by itself once its socket is closed."""

LOOK_AGAIN: Final = 5.0
"""Seconds between two looks at whether the credential still stands, for what ends without a word in this process."""


_ENDED: Final[dict[str, object]] = {"code": UNAUTHORIZED, "reason": "the credential has ended"}


class SocketEnded(OSError):
    """The credential of this socket has ended, and so has the socket; to an application, a lost connection."""


async def serve_until_ended(
    app: ASGIApp,
    scope: Scope,
    receive: Receive,
    send: Send,
    guard: Guard,
    principal: Principal,
    still_admitted: Callable[[], Awaitable[bool]],
    grace: float = GRACE,
) -> None:
    """Run `app` on one socket, no longer than `principal` lasts. Its own exceptions come out as they are.

    `still_admitted` is asked once the watch is on, since what ended before it told nobody; whenever the guard drops its
    verdict on the principal; and every few seconds.
    """
    socket = _Socket(receive, send, still_admitted)
    problem: Exception | None = None
    forget = guard.watch(principal, _thread_safe(socket.look))
    try:
        if not await still_admitted():
            socket.over.set()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(socket.watch, tasks.cancel_scope, guard.clock, principal.expires_at, grace)
            try:
                await app(scope, socket.receive, socket.send)
            except Exception as raised:  # noqa: BLE001 - handed on, but not wrapped in the group's
                problem = raised
            tasks.cancel_scope.cancel()
    finally:
        forget()
    if problem is not None and not (socket.over.is_set() and isinstance(problem, SocketEnded)):
        raise problem


class _Socket:
    def __init__(self, receive: Receive, send: Send, still_admitted: Callable[[], Awaitable[bool]]) -> None:
        self.over = Event()
        self._receive = receive
        self._send = send
        self._still_admitted = still_admitted
        self._told = Event()
        self._waiting: set[CancelScope] = set()
        self._closed = False

    def look(self) -> None:
        """Have the watcher look at once whether the credential still stands."""
        self._told.set()

    async def watch(self, app: CancelScope, clock: Callable[[], float], end: float, grace: float) -> None:
        """Close the socket at `end`, or as soon as it is over; after `grace` seconds cancel the application."""
        while not self.over.is_set() and (left := end - clock()) > 0:
            with anyio.move_on_after(min(left, LOOK_AGAIN)):
                await self._told.wait()
            self._told = Event()
            if clock() < end and not await self._still_admitted():
                break
        self.over.set()
        for waiting in list(self._waiting):
            waiting.cancel()
        if not self._closed:
            self._closed = True
            with anyio.move_on_after(grace):
                await self._send({"type": "websocket.close", **_ENDED})
        await anyio.sleep(grace)
        app.cancel()

    async def receive(self) -> Message:
        """The next message; a disconnect once the socket is over, also for who is waiting."""
        with CancelScope() as waiting:
            self._waiting.add(waiting)
            try:
                if not self.over.is_set():
                    return await self._receive()
            finally:
                self._waiting.discard(waiting)
        return {"type": "websocket.disconnect", **_ENDED}

    async def send(self, message: Message) -> None:
        """Send, unless the socket is over."""
        if self.over.is_set():
            raise SocketEnded("the credential of this socket has ended")
        if message["type"] == "websocket.close":
            self._closed = True
        await self._send(message)


def _thread_safe(call: Callable[[], None]) -> Callable[[], None]:
    """`call`, to be made from any thread, on the event loop that is running here."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        # Not asyncio, so trio; whoever runs it has it.
        import trio

        token = trio.lowlevel.current_trio_token()
        return lambda: token.run_sync_soon(call)
    return lambda: cast("None", loop.call_soon_threadsafe(call))
