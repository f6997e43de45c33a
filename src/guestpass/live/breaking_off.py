"""Breaking an answer off where it takes more than an application that raises.

An exception is enough for most: uvicorn, Hypercorn and Granian close the connection, or reset the stream, and the body
has no end. Two servers have to be told, by way of the `send` that they hand to an application, also through the
wrappers that middleware is wont to put round it; where it is not found, nothing is done. And middleware may end an
answer by itself when what it is put round raises. Knows the inside of these, and nothing else does.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from types import FunctionType
from typing import Any, Final

from anyio.lowlevel import checkpoint

from guestpass.asgi_types import Message, Send
from guestpass.errors import ConnectionEnded

_DEEPEST: Final = 32
"""Wrappers that are looked into."""

_ROUNDS: Final = 64
"""Turns of the event loop in which a message passes whatever middleware stands outside."""


class _NoBody:
    """What no server and no middleware takes for a part of a body."""

    def __len__(self) -> int:
        raise ConnectionEnded

    __bytes__ = __iter__ = __len__

    def __bool__(self) -> bool:
        return True


# Where an application raises, Starlette's BaseHTTPMiddleware round it ends the answer, and raises then. So something
# has to go wrong further out, and nothing of these is sent to anybody. The first goes through all such middleware, and
# is refused by the server; by Granian it is not, and the second goes no further than the first middleware.
_REFUSED: Final[Sequence[Message]] = (
    {"type": "http.response.body", "body": _NoBody(), "more_body": True},
    {"type": "guestpass.broken_off", "more_body": True},
)


async def break_off(send: Send) -> None:
    """Break off the answer that `send` belongs to. An exception out of the application is to follow.

    Waits for whoever takes the messages, as each `send` may.
    """
    for message in _REFUSED:
        with suppress(Exception):
            await send({**message})
            # Somebody took it, and may be handing it on. Where it is refused further out, this is cancelled, and what
            # comes out at the end is that one refusal, not a second one of the next message beside it.
            for _ in range(_ROUNDS):
                await checkpoint()
    # They may be of any version. What is not as expected is let be, and the exception does what it can.
    with suppress(Exception):
        own = _of_the_server(send)
        if isinstance(own, partial):
            _on_daphne(*own.args[:1])
        else:
            await _on_hypercorn(getattr(own, "__self__", None))


def _of_the_server(send: Any) -> Any:
    """What is inside of wrappers that close over their `send`, as Starlette's outermost does, or are given it."""
    for _ in range(_DEEPEST):
        if isinstance(send, FunctionType) and "send" in send.__code__.co_freevars and send.__closure__:
            send = send.__closure__[send.__code__.co_freevars.index("send")].cell_contents
        elif isinstance(send, partial) and "send" in send.keywords:
            send = send.keywords["send"]
    return send  # pyright: ignore[reportUnknownVariableType] # a partial of anything


def _on_daphne(request: Any = None) -> None:
    # Daphne answers an exception with a page, also in the middle of an answer. That fails, and so does from then on its
    # care for every other connection. What is disconnected already it leaves alone.
    if type(request).__module__ != "daphne.http_protocol" or request.channel is None:
        return
    if hasattr(request.channel, "abortConnection"):
        # One stream of HTTP/2, which the other call would end whole.
        request.channel.abortConnection()
        request.connectionLost(ConnectionAbortedError())
    else:
        request.channel.loseConnection()


async def _on_hypercorn(stream: Any) -> None:
    # Over HTTP/2, Hypercorn forgets the stream of an application that raised, without a word to the other end.
    if type(stream).__module__ != "hypercorn.protocol.http_stream":
        return
    protocol: Any = getattr(stream.send, "__self__", None)
    connection: Any = getattr(protocol, "connection", None)
    if hasattr(connection, "reset_stream"):
        connection.reset_stream(stream.stream_id)
        await protocol._flush()
