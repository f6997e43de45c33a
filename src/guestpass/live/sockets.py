"""A live socket, which ends when the credential that it was opened with does: at its expiry, or when it is revoked.

When the time has come it is closed, `receive` yields disconnect, a later `send` raises as on a lost connection, and an
application that still goes on after a while is cancelled. Where renewals are let in, they are taken out of what the
application receives: see `guestpass.live.renewal`.
"""

from contextlib import suppress
from functools import partial
from typing import Final

import anyio
from anyio import CancelScope
from anyio.abc import TaskGroup

from guestpass.asgi_types import ASGIApp, Message, Receive, Scope, Send
from guestpass.errors import ConnectionEnded
from guestpass.live.life import Life, in_company
from guestpass.live.long_answers import caused_by_end
from guestpass.live.renewal import Renewals, Shown
from guestpass.refusals import UNAUTHORIZED

GRACE: Final = 5.0
"""Seconds that an application has to end by itself once its socket is closed."""


async def serve_socket(
    app: ASGIApp,
    scope: Scope,
    receive: Receive,
    send: Send,
    life: Life,
    renewed: Shown | None = None,
    grace: float = GRACE,
) -> None:
    """Run `app` on one socket, no longer than its credential lasts. Its own exceptions come out as they are.

    `renewed` lets renewals in, and shows the application whom it has to do with then.
    """
    socket = _Socket(life, receive, send, renewed)

    async def run(tasks: TaskGroup) -> None:
        tasks.start_soon(life.watch, partial(socket.end, tasks.cancel_scope, grace))
        if socket.renewals is not None:
            tasks.start_soon(socket.renewals.read_ahead)
        await app(scope, socket.receive, socket.send)

    life.begin()
    try:
        if not await life.still_admitted():
            life.end()
        problem = await in_company(run)
        if life.over:
            # An application that ends at once is faster than who would close its socket.
            await socket.close(grace)
    finally:
        life.stop()
    if problem is not None and not (life.over and caused_by_end(problem)):
        raise problem


class _Socket:
    def __init__(self, life: Life, receive: Receive, send: Send, renewed: Shown | None) -> None:
        self._life = life
        self._send = send
        self._closed = False
        self.renewals = None if renewed is None else Renewals(life, receive, self._answer, renewed)
        self._receive = receive if self.renewals is None else self.renewals.receive

    async def end(self, app: CancelScope, grace: float) -> None:
        """Close the socket, now that it is over; after `grace` seconds cancel the application."""
        await self.close(grace)
        await anyio.sleep(grace)
        app.cancel()

    async def close(self, grace: float) -> None:
        """Close the socket, once. An application that ends meanwhile does not keep its client from being told."""
        if not self._closed:
            self._closed = True
            # Who is gone already need not be told, and servers may say so in any way.
            with suppress(Exception), anyio.move_on_after(grace, shield=True):
                await self._send({"type": "websocket.close", **self._end()})

    async def receive(self) -> Message:
        """The next message; a disconnect once the socket is over, also for who is waiting."""
        message = await self._life.receive(self._receive)
        return {"type": "websocket.disconnect", **self._end()} if message is None else message

    async def send(self, message: Message) -> None:
        """Send, unless the socket is over."""
        if self._life.over:
            raise ConnectionEnded
        if message["type"] in ("websocket.close", "websocket.http.response.start"):
            self._closed = True
        elif message["type"] == "websocket.accept" and self.renewals is not None:
            self.renewals.accepted()
        await self._send(message)

    async def _answer(self, text: str) -> None:
        """Send a message of the door's own, where the socket is still open."""
        if not (self._closed or self._life.over):
            await self._send({"type": "websocket.send", "text": text})

    def _end(self) -> dict[str, object]:
        return {"code": UNAUTHORIZED, "reason": self._life.reason}
