"""The application that ``guestpass serve`` serves: which part a request is for, readiness, the access log.

Knows paths and nothing of credentials. What is for neither of its parts is a refusal like any other.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from guestpass.asgi_types import ASGIApp, Message, Receive, Scope, Send
from guestpass.errors import Unavailable
from guestpass.inquiry import ask, drive_async
from guestpass.problems import Answer, Headers, render
from guestpass.records import FindKeyById
from guestpass.redaction import without_credentials
from guestpass.refusals import Refusal
from guestpass.stores import Store

log = logging.getLogger("guestpass")
access_log = logging.getLogger("guestpass.access")

REMEMBERED: Final = 1.0
"""Seconds for which one look at the store answers everybody who asks for readiness."""


@dataclass(frozen=True, slots=True)
class Question:
    """The forward-auth door, and its path; `joined`, what is asked about follows that path."""

    path: str
    joined: bool
    app: ASGIApp

    def is_here(self, path: str) -> bool:
        """Whether a proxy asks at `path`."""
        return path == self.path or (self.joined and path.startswith(self.path + "/"))


@dataclass(slots=True, eq=False)
class Readiness:
    """Whether the store answers, asked at most once a second however many want to know."""

    store: Store
    clock: Callable[[], float] = time.monotonic
    _look: "asyncio.Task[bool] | None" = field(default=None, init=False)
    _looked_at: float = field(default=0.0, init=False)

    async def __call__(self) -> bool:
        """Whether requests can be judged."""
        now = self.clock()
        if self._look is None or (self._look.done() and not now < self._looked_at + REMEMBERED):
            self._look, self._looked_at = asyncio.create_task(self._ask()), now
        return await asyncio.shield(self._look)

    async def _ask(self) -> bool:
        try:
            await drive_async(ask(self.store, FindKeyById("")))
        except Unavailable as problem:
            log.warning("not ready: %s", problem)
            return False
        except Exception:
            log.exception("not ready")
            return False
        return True


class Application:
    """One ASGI application of the parts that the settings turn on; `health` is the path of readiness."""

    def __init__(
        self,
        health: str,
        ready: Callable[[], Awaitable[bool]],
        question: Question | None,
        issuing: ASGIApp | None,
        *,
        realm: str,
        logs: bool,
    ) -> None:
        self._health = health
        self._ready = ready
        self._question = question
        self._issuing = issuing
        self._realm = realm
        self._logs = logs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif self._logs and scope["type"] == "http":
            await self._serve_and_tell(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if path == self._health and scope["type"] == "http":
            await _send(await self._health_answer(scope["method"]), scope, send)
        elif self._question is not None and self._question.is_here(path):
            await self._question.app(scope, receive, send)
        elif self._issuing is not None:
            await self._issuing(scope, receive, send)
        elif scope["type"] == "http":
            await _send(render(Refusal("rule_missing"), self._realm), scope, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": Refusal("rule_missing").close_code})

    async def _health_answer(self, method: str) -> Answer:
        headers: Headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        if method not in ("GET", "HEAD"):
            return Answer(405, [*headers, (b"allow", b"GET, HEAD")], b"{}")
        if await self._ready():
            return Answer(200, headers, _said("ok"))
        return Answer(503, [*headers, (b"retry-after", b"1")], _said("unavailable"))

    async def _serve_and_tell(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, status = time.perf_counter(), 0

        async def telling(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._serve(scope, receive, telling)
        finally:
            client = scope.get("client")
            # The path is anybody's text, and its query may hold what was never meant to be in one.
            path = without_credentials(ascii(scope["path"])[1:-1])
            milliseconds = (time.perf_counter() - began) * 1_000
            who = client[0] if client else "-"
            access_log.info("%s %s %s %d %.1f ms", who, scope["method"], path, status, milliseconds)


def _said(status: str) -> bytes:
    return json.dumps({"status": status}).encode()


async def _send(answer: Answer, scope: Scope, send: Send) -> None:
    headers: Headers = [*(one for one in answer.headers if one[0] != b"content-length")]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
