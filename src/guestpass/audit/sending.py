"""A request sent to an application in process: no server, no network, no lifespan."""

import asyncio
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias
from urllib.parse import quote

from guestpass.asgi_types import ASGIApp, Message, Scope
from guestpass.rules import WEBSOCKET
from guestpass.wsgi import ExcInfo, WSGIApplication, WSGIEnvironment

Interface: TypeAlias = Literal["asgi", "wsgi"]

HOST: Final = "localhost"
"""Whom requests are for, unless it is said otherwise."""

SECONDS: Final = 10.0
"""For which an application may take to answer one request."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request, or a handshake where the method is `WEBSOCKET`."""

    method: str
    path: str
    query: str = ""
    host: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


def is_host(text: str) -> bool:
    """Whether a text can stand in a Host header."""
    return re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?", text) is not None


async def send_asgi(app: ASGIApp, sent: Sent) -> None:
    """Send one request, or one handshake, and wait for the answer. Raises what the application raises, and
    TimeoutError."""
    done = asyncio.Event()
    scope = _scope(sent)
    first: Message = {"type": "websocket.connect"} if sent.method == WEBSOCKET else {"type": "http.request"}
    incoming = [first]

    async def receive() -> Message:
        if incoming:
            return incoming.pop()
        await done.wait()
        return (
            {"type": "websocket.disconnect", "code": 1000} if sent.method == WEBSOCKET else {"type": "http.disconnect"}
        )

    async def send(message: Message) -> None:
        ended = message["type"] in ("http.response.body", "websocket.http.response.body")
        if (ended and not message.get("more_body")) or message["type"] == "websocket.close":
            done.set()

    async with asyncio.timeout(SECONDS):
        await app(scope, receive, send)


def send_wsgi(app: WSGIApplication, sent: Sent) -> None:
    """Send one request, and read the answer. Raises what the application raises."""

    def start_response(
        status: str,  # noqa: ARG001 - nobody reads what was answered
        headers: list[tuple[str, str]],  # noqa: ARG001
        exc_info: ExcInfo | None = None,  # noqa: ARG001
        /,
    ) -> Callable[[bytes], object]:
        return len

    answer = app(_environ(sent), start_response)
    try:
        for _ in answer:
            pass
    finally:
        close = getattr(answer, "close", None)
        if close is not None:
            close()


def _scope(sent: Sent) -> Scope:
    host = sent.host or HOST
    scope: Scope = {
        "type": "websocket" if sent.method == WEBSOCKET else "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        # As behind TLS: whatever sends others there answers by itself, and nothing behind it would be asked.
        "scheme": "wss" if sent.method == WEBSOCKET else "https",
        "path": sent.path,
        "raw_path": quote(sent.path, safe="/:@!$&'()*+,;=~").encode(),
        "query_string": sent.query.encode(),
        "root_path": "",
        "headers": [
            (b"host", host.encode()),
            *((name.lower().encode(), value.encode()) for name, value in sent.headers.items()),
        ],
        "client": ("127.0.0.1", 50_000),
        "server": (host, 443),
        "state": {},
    }
    more: Scope = {"subprotocols": []} if sent.method == WEBSOCKET else {"method": sent.method}
    return {**scope, **more}


def _environ(sent: Sent) -> WSGIEnvironment:
    host = sent.host or HOST
    return {
        "REQUEST_METHOD": "GET" if sent.method == WEBSOCKET else sent.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": sent.path.encode().decode("latin-1"),
        "QUERY_STRING": sent.query,
        "SERVER_NAME": host,
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": host,
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": "0",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": True,
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in sent.headers.items()},
    }
