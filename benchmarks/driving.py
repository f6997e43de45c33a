"""How an application is called in process: as its server would, without a server.

One request after another, in one task of one event loop (ASGI) or in one thread (WSGI). Knows the protocols; knows no
contender.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Any, TypeAlias

from benchmarks.measuring import Turn

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Any]
WSGIApp: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]
RequestHeaders: TypeAlias = Sequence[tuple[bytes, bytes]]

Clock: TypeAlias = Callable[[], float]

CPU: Clock = time.thread_time
"""What this thread has had of a processor: for what waits for nobody, and must not pay for who ran meanwhile."""

WALL: Clock = time.perf_counter
"""For what waits: for a disk, a server, or another thread."""

WARM_UP = 10
"""What the others pushed out of the processor's caches is not this one's cost: a tenth of a turn goes uncounted."""


def of_calls(call: Callable[[], object], clock: Clock = CPU) -> Turn:
    """Turns of a plain function."""

    def turn(calls: int) -> float:
        for _ in range(calls // WARM_UP + 1):
            call()
        counted = range(calls)
        began = clock()
        for _ in counted:
            call()
        return clock() - began

    return turn


def of_coroutines(call: Callable[[], Awaitable[object]], loop: asyncio.AbstractEventLoop, clock: Clock = CPU) -> Turn:
    """Turns of a coroutine function."""

    async def some(calls: int) -> float:
        for _ in range(calls // WARM_UP + 1):
            await call()
        counted = range(calls)
        began = clock()
        for _ in counted:
            await call()
        return clock() - began

    return lambda calls: loop.run_until_complete(some(calls))


def of_asgi(
    app: ASGIApp,
    path: str,
    requests: Sequence[RequestHeaders],
    loop: asyncio.AbstractEventLoop,
    clock: Clock = CPU,
) -> Turn:
    """Turns of an ASGI application; the requests differ in their headers, and are taken in turn."""
    template, headers = http_scope(path), itertools.cycle(requests)

    def one() -> Awaitable[None]:
        return app({**template, "state": {}, "headers": [*next(headers)]}, receive, send)

    return of_coroutines(one, loop, clock)


def of_wsgi(app: WSGIApp, path: str, requests: Sequence[RequestHeaders], clock: Clock = CPU) -> Turn:
    """Turns of a WSGI application; the requests differ in their headers, and are taken in turn."""
    environs = itertools.cycle([wsgi_environ(path, headers) for headers in requests])

    def one() -> None:
        answer = app(next(environs).copy(), start_response)
        for _ in answer:
            pass
        close = getattr(answer, "close", None)
        if close is not None:
            close()

    return of_calls(one, clock)


def asgi_status(app: ASGIApp, path: str, headers: RequestHeaders, loop: asyncio.AbstractEventLoop) -> int:
    """The status that an ASGI application answers with."""
    seen: list[int] = []

    async def look(message: Message) -> None:
        if message["type"] == "http.response.start":
            seen.append(message["status"])

    async def one() -> None:
        await app({**http_scope(path), "state": {}, "headers": [*headers]}, receive, look)

    loop.run_until_complete(one())
    (status,) = seen
    return status


def wsgi_status(app: WSGIApp, path: str, headers: RequestHeaders) -> int:
    """The status that a WSGI application answers with."""
    seen: list[str] = []
    answer = app(wsgi_environ(path, headers), lambda status, *_: seen.append(status))
    for _ in answer:
        pass
    (status,) = seen
    return int(status.split()[0])


def http_scope(path: str) -> Scope:
    """The scope of a GET request as uvicorn makes it, without its headers."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 51234),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
    }


def wsgi_environ(path: str, headers: RequestHeaders) -> Environ:
    """The environ of a GET request as gunicorn makes it."""
    sent: Mapping[str, str] = {
        "HTTP_" + name.decode().upper().replace("-", "_"): value.decode() for name, value in headers
    }
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "RAW_URI": path,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": None,
        "wsgi.errors": None,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        **sent,
    }


async def receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(_: Message) -> None:
    return


def start_response(*_: object) -> Callable[[bytes], object]:
    return lambda _: None
