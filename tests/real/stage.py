"""A small guarded application for the tests of ASGI servers, whose clock is the test's. `asgi_server` runs it.

Before the guard stand the addresses below ``/control``: they move the clock, and count what is left behind.
"""

import asyncio
import gc
import os
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

import anyio.lowlevel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from guestpass import (
    SINGLE_PLATFORM,
    AccountSessions,
    ApiKeys,
    Guard,
    JwtIssuer,
    KeyRing,
    KeySet,
    Policy,
    TokenSigner,
    needs,
    open_store,
    principal_of,
)
from guestpass.asgi import ASGIApp, Receive, Scope, Send
from guestpass.claims import ANY, Always, Claim, ClaimMapping
from guestpass.live.sockets import serve_socket
from guestpass.principal import PUBLISHABLE_KEY, SECRET_KEY, SIGNED_TOKEN
from guestpass.revocation.feed import feed_of
from guestpass.starlette import protect
from guestpass.stores import Store

ISSUER: Final = "https://login.example/"
AUDIENCE: Final = "api"

KINDS: Final = (SECRET_KEY, PUBLISHABLE_KEY, "account_session", SIGNED_TOKEN, "identity_token")


class StageClock:
    """Unix time that stands still, until it is set to run on from an instant."""

    def __init__(self) -> None:
        self._at = float(int(time.time()))
        self._since: float | None = None

    def __call__(self) -> float:
        return self._at if self._since is None else self._at + time.monotonic() - self._since

    def set(self, at: float, *, runs: bool) -> None:
        """It is `at` now, and stays so unless it `runs`."""
        self._at, self._since = at, time.monotonic() if runs else None


def stage(
    jwks: dict[str, Any],
    allow_origins: Sequence[str] = (),
    key_origins: Sequence[str] = (),
    grace: float | None = None,
    **settings: Any,
) -> tuple[ASGIApp, dict[str, str]]:
    """The application, and what the test is told of it.

    `jwks` is the key set of an outside issuer, `key_origins` are the origins of the publishable key, `grace` the
    seconds that an application has to end by itself once its socket is closed; the other settings are those of
    `protect`.
    """
    if grace is not None:
        # Not a setting, and there is no waiting for the real one here.
        assert serve_socket.__defaults__ is not None
        serve_socket.__defaults__ = (*serve_socket.__defaults__[:-1], grace)
    clock = StageClock()
    store = open_store("memory://", clock=clock)
    keys = ApiKeys(store, owns=SINGLE_PLATFORM, clock=clock)
    ring = KeyRing(store, wrapping_key="a wrapping key that is long enough: 32 bytes", algorithm="ES256", clock=clock)
    outside = JwtIssuer(
        ISSUER,
        keys=KeySet.from_jwks(jwks),
        audience=AUDIENCE,
        algorithms=("ES256",),
        leeway=0,
        mapping=ClaimMapping(accounts=Claim("account", ANY), roles=Always("external_entity")),
    )
    guard = Guard(
        authenticators=[
            keys,
            AccountSessions(store, clock=clock),
            TokenSigner(ring, issuer="https://api.example", audience=AUDIENCE, clock=clock),
            outside,
        ],
        policy=Policy(components={"call_logs": ()}, roles=("external_entity",)),
        mode="live",
        clock=clock,
    )
    said = {
        "secret_key": keys.create(platform="voice", mode="live").secret,
        "publishable_key": keys.create(
            platform="voice", mode="live", kind=PUBLISHABLE_KEY, origins=list(key_origins)
        ).secret,
    }
    routes = [
        Route("/health", _health),
        Route("/v1/me", _me),
        Route("/v1/call_logs", _call_logs, methods=["GET", "DELETE"]),
        Route("/v1/headers", _headers, methods=["POST"]),
        WebSocketRoute("/v1/events", _events),
        WebSocketRoute("/v1/flood", _flood),
    ]
    app = Starlette(routes=routes)
    protect(app, guard, issuing="/", allow_origins=allow_origins, **settings)
    return _Control(app, guard, store, clock), said


@needs(public=True, reason="a probe of the tests")
async def _health(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


@needs(account=False, role=None, kinds=KINDS)
async def _me(request: Request) -> JSONResponse:
    caller = principal_of(request)
    return JSONResponse({"kind": caller.kind, "account": caller.account})


@needs(component="call_logs")
async def _call_logs(request: Request) -> JSONResponse:
    return JSONResponse({"account": principal_of(request).account})


@needs(account=False, role=None)
async def _headers(_: Request) -> Response:
    return _HeadersAfterBody()


class _HeadersAfterBody(Response):
    """Begins, reads the body of the request, and then says which headers it sees."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"reading ", "more_body": True})
        while (await receive()).get("more_body"):
            pass
        names = " ".join(name.decode() for name, _ in scope["headers"])
        await send({"type": "http.response.body", "body": names.encode()})


@needs(account=False, role="external_entity")
async def _events(socket: WebSocket) -> None:
    """Says whom it sees and what is left of the offer, and then the length of whatever it is sent."""
    caller, offer = principal_of(socket), socket.scope["subprotocols"]
    await socket.accept(next((name for name in offer if name.startswith("graphql")), None))
    sent = [value.decode() for name, value in socket.scope["headers"] if name == b"sec-websocket-protocol"]
    try:
        await socket.send_json({"kind": caller.kind, "account": caller.account, "offer": offer, "sent": sent})
        while True:
            await socket.send_text(str(len(await socket.receive_text())))
    except WebSocketDisconnect:
        pass


@needs(account=False, role="external_entity")
async def _flood(socket: WebSocket) -> None:
    """Sixteen megabytes, more than lies between the two ends, for whoever does not read."""
    await socket.accept()
    for _ in range(256):
        await socket.send_bytes(bytes(65_536))
        # Daphne takes it all, and makes nobody wait.
        await anyio.lowlevel.checkpoint()
    await socket.receive()


class _Control:
    def __init__(self, app: ASGIApp, guard: Guard, store: Store, clock: StageClock) -> None:
        self._app = app
        self._guard = guard
        self._store = store
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        actions: dict[str, Callable[..., object]] = {
            "/control/clock": self._clock,
            "/control/set_clock": self._set_clock,
            "/control/counts": self._counts,
        }
        action = actions.get(scope.get("path", ""))
        if action is None or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = action(**dict(parse_qsl(scope["query_string"].decode())))
        answer: Awaitable[None] = JSONResponse(said)(scope, receive, send)
        await answer

    def _set_clock(self, at: str, runs: str = "") -> None:
        self._clock.set(float(at), runs=bool(runs))
        # What was read a moment ago is not old for that.
        feed_of(self._store).read()

    def _counts(self) -> dict[str, int]:
        """How much there is of everything that a connection could leave behind."""
        gc.collect()
        return {
            "watched": len(self._guard._watchers),
            "tasks": _tasks(),
            "files": len(os.listdir("/proc/self/fd")),
            "threads": threading.active_count(),
            "objects": len(gc.get_objects()),
            "kilobytes": _resident() // 1024,
        }


def _tasks() -> int:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        import trio

        return trio.lowlevel.current_statistics().tasks_living


def _resident() -> int:
    """Bytes of memory that this process holds, as Linux shows them."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
