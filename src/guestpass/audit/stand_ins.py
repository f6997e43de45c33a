"""What stands in for handlers while an audit asks: it is put in their place, tells that it was reached, and goes.

Nothing of the application runs behind it. What was there before is back when the patches are taken off, whatever
happened in between.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Final, Self, TypeAlias

from guestpass.asgi_types import Receive, Scope, Send
from guestpass.wsgi import StartResponse, WSGIEnvironment

Reached: TypeAlias = Callable[[object], None]
"""Told whose handler a request has reached."""

_ABSENT: Final = object()


class Patches:
    """Attributes of objects that are another for a while; a context manager."""

    def __init__(self) -> None:
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def put(self, subject: object, name: str, value: object) -> None:
        """Set an attribute until the end."""
        own = getattr(subject, "__dict__", None)
        slotted = own is None or name not in own
        before = getattr(subject, name, _ABSENT) if own is None or (slotted and _is_slot(subject, name)) else _ABSENT
        if own is not None and name in own:
            before = own[name]
        setattr(subject, name, value)
        if before is _ABSENT:
            self._undo.callback(delattr, subject, name)
        else:
            self._undo.callback(setattr, subject, name, before)


def _is_slot(subject: object, name: str) -> bool:
    return any(name in vars(cls) and hasattr(vars(cls)[name], "__set__") for cls in type(subject).__mro__)


async def answer(status: int, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request without a body; a handshake by closing it."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
        return
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def answer_wsgi(found: bool, _: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer a request without a body."""
    start_response("204 No Content" if found else "404 Not Found", [])
    return []
