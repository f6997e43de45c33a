"""The event socket: a greeting, then what happens at the caller's account, for as long as somebody listens.

The guard has judged the handshake before anything here runs. Knows no credential.
"""

import math
from datetime import UTC, datetime
from typing import Final

import anyio
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from starlette.types import Message

from guestpass.demo import data
from guestpass.fastapi import Caller, needs

EVERY: Final = 4.0
"""Seconds between two events."""


def events_router(every: float = EVERY) -> APIRouter:
    """The socket, with an event every so many seconds."""
    router = APIRouter()

    # No account rule: a token without an account may listen as well, and is told of no account's events.
    @router.websocket("/v1/events")
    @needs(role="external_entity", account=False)
    async def events(socket: WebSocket, caller: Caller) -> None:
        await socket.accept()
        try:
            await socket.send_json({"type": "hello", "kind": caller.kind, "account": caller.account})
            await _tell(socket, caller.account, every)
        except WebSocketDisconnect:
            pass

    return router


async def _tell(socket: WebSocket, account: str | None, every: float) -> None:
    number = heard = 0
    while True:
        message: Message | None = None
        with anyio.move_on_after(math.inf if account is None else every):
            message = await socket.receive()
        if message is None and account is not None:
            await socket.send_json(data.event(account, number, datetime.now(UTC)))
            number += 1
        elif message is not None and message["type"] == "websocket.disconnect":
            return
        elif message is not None:
            # Counted and never sent back: what somebody types here may be a credential.
            heard += 1
            await socket.send_json({"type": "heard", "messages": heard})
