"""The case table through every door, over ASGI on asyncio and trio, over WSGI, and behind proxies: the doors cannot
differ."""

import functools
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from wsgiref.validate import validator

import flask
import pytest
from fastapi import FastAPI, Request, WebSocket

from cases import CASES, ISSUING, ROUTES, UNROUTED, WS, Case, World, filled, world
from forwarding import PROXIES, behind
from guestpass.asgi import ASGIApp, GuardMiddleware, Message, Receive, Scope, Send
from guestpass.fastapi import needs, protect
from guestpass.flask import protect as protect_flask
from guestpass.forward_auth import ProxyName
from guestpass.issuing_api import issuing_api
from guestpass.issuing_wsgi import issuing_api as issuing_wsgi
from guestpass.refusals import CASES as REFUSALS
from guestpass.wsgi import GuardMiddleware as WSGIGuardMiddleware
from guestpass.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
from support import Outcome, call, echo, http_scope, seen, socket_scope
from wsgi_support import ask_wsgi, echo_wsgi, seen_in


def bare() -> tuple[World, ASGIApp]:
    """The middleware around a bare ASGI application."""
    made = world("asgi", with_rules=True)
    issuing = issuing_api(made.guard)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        root: str = scope.get("root_path", "")
        issues = scope["path"].removeprefix(root).startswith(("/v1/account_sessions", "/api/v1/jwt", "/.well-known"))
        await (issuing if issues else echo)(scope, receive, send)

    return made, GuardMiddleware(app, made.guard)


def fastapi() -> tuple[World, ASGIApp]:
    """A FastAPI application whose routes say what they need."""
    made = world("fastapi", with_rules=False)
    app = FastAPI()

    for method, path, need in ROUTES:
        route = path.replace("...}", ":path}")
        if method == WS:
            app.add_api_websocket_route(route, needs(**need)(_talking()))
        else:
            methods = ["GET", "HEAD"] if method == "GET" else [method]
            app.add_api_route(route, needs(**need)(_answering()), methods=methods, response_model=None)
    for path in UNROUTED:
        app.add_api_route(path, _answering(), methods=["GET"])
    protect(app, made.guard, issuing="/")
    return made, app


def _answering() -> Callable[[Request], Awaitable[dict[str, object]]]:
    """An endpoint of its own for each route, since the mark is put on the function."""

    async def answer(request: Request) -> dict[str, object]:
        return seen(request.scope)

    return answer


def _talking() -> Callable[[WebSocket], Awaitable[None]]:
    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_json(seen(websocket.scope))
        await websocket.close()

    return talk


def bare_wsgi() -> tuple[World, WSGIApplication]:
    """The middleware around a bare WSGI application."""
    made = world("wsgi", with_rules=True)
    issuing = issuing_wsgi(made.guard)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path: str = environ["PATH_INFO"]
        issues = path.startswith(("/v1/account_sessions", "/api/v1/jwt", "/.well-known"))
        return (issuing if issues else echo_wsgi)(environ, start_response)

    # Held to PEP 3333 from both sides: what it serves, and (in `ask_wsgi`) how it serves.
    return made, WSGIGuardMiddleware(validator(app), made.guard)


def in_flask() -> tuple[World, WSGIApplication]:
    """A Flask application whose views say what they need."""
    made = world("flask", with_rules=False)
    app = flask.Flask(__name__)

    def view() -> Callable[..., dict[str, object]]:
        return lambda **_: seen_in(flask.request.environ)

    for number, (method, path, need) in enumerate(ROUTES):
        if method != WS:
            route = re.sub(r"\{(\w+)\.\.\.\}", r"<path:\1>", path).replace("{", "<").replace("}", ">")
            app.add_url_rule(route, f"view_{number}", needs(**need)(view()), methods=[method])
    for path in UNROUTED:
        app.add_url_rule(path, path.replace("/", "_"), view())
    protect_flask(app, made.guard, issuing="/")
    return made, app


DOORS: dict[str, Callable[[], tuple[World, ASGIApp]]] = {"asgi": bare, "fastapi": fastapi}
WSGI_DOORS: dict[str, Callable[[], tuple[World, WSGIApplication]]] = {"wsgi": bare_wsgi, "flask": in_flask}


@functools.cache
def door(name: str) -> tuple[World, ASGIApp]:
    """One door, made once."""
    return DOORS[name]()


@functools.cache
def wsgi_door(name: str) -> tuple[World, WSGIApplication]:
    """One door for WSGI, made once."""
    return WSGI_DOORS[name]()


def headers_of(case: Case, made: World) -> list[tuple[str, str]]:
    """The headers of a row."""
    headers = [(name, filled(value, made)) for name, value in case.headers]
    if case.credential is not None:
        headers.append(("Authorization", f"Bearer {made.credentials[case.credential]}"))
    return headers


def body_of(case: Case, made: World) -> bytes:
    """The body of a row."""
    return filled(case.body.decode("latin-1"), made).encode("latin-1")


def scope_of(case: Case, made: World, *, http_response: bool = True) -> Scope:
    """The scope that a server would make of a row."""
    headers = headers_of(case, made)
    target = filled(case.target, made)
    if case.method == WS:
        offered = [filled(name, made) for name in case.subprotocols]
        return socket_scope(target, headers, offered, root_path=case.root_path, http_response=http_response)
    method = case.method.removeprefix("HTTP ")
    return http_scope(method, target, headers, root_path=case.root_path, raw=case.raw)


def judged_as(outcome: Outcome, case: Case) -> None:
    """What the row says of the answer."""
    assert outcome.status == case.status, outcome.sent
    if case.code is not None:
        if case.method != "HEAD":
            assert outcome.code == case.code
        refused_as(outcome, case)
    elif case.account is not None:
        assert outcome.said["account"] == case.account


def refused_as(outcome: Outcome, case: Case) -> None:
    """The whole of a refusal, as the table of refusals has it."""
    assert case.code is not None
    row = REFUSALS[case.code]
    headers = outcome.headers
    assert row.status == case.status
    assert headers["content-type"] == "application/problem+json"
    assert headers["cache-control"] == "no-store"
    assert "authorization" in headers["vary"].lower()
    challenge = headers.get("www-authenticate")
    if row.challenge is None:
        assert challenge is None
    elif row.challenge:
        assert challenge is not None
        assert challenge.startswith(f'Bearer realm="api", error="{row.challenge}"')
    else:
        assert challenge == 'Bearer realm="api"'
    assert ("retry-after" in headers) == (row.status == 503)


NAMES = [case.name for case in CASES]


def test_the_table_is_large_and_no_row_stands_there_twice() -> None:
    assert len(CASES) >= 150
    assert len(set(NAMES)) == len(CASES)


def test_the_table_has_every_refusal_that_needs_no_outage() -> None:
    outages = {"keys_unavailable", "store_unavailable", "overloaded", "internal_error"}
    # In test_issuing_api.py, where a case has two requests.
    twice = {"idempotency_conflict"}
    assert {case.code for case in CASES} - {None} == set(REFUSALS) - outages - twice


@pytest.mark.anyio
@pytest.mark.parametrize("name", DOORS)
@pytest.mark.parametrize("case", CASES, ids=NAMES)
async def test_every_door_gives_the_verdict_of_the_table(case: Case, name: str) -> None:
    made, app = door(name)
    # Cold and warm: what the cache knows must not change a verdict.
    for _ in range(2):
        judged_as(await call(app, scope_of(case, made), body_of(case, made)), case)


# Over WSGI several headers of one name cannot be told from one that a client has put together.
ONE_HEADER = {"two accounts in one header": "account_mismatch"}


@pytest.mark.parametrize("name", WSGI_DOORS)
@pytest.mark.parametrize("case", [case for case in CASES if case.method != WS], ids=lambda case: case.name)
def test_every_wsgi_door_gives_the_verdict_of_the_table(case: Case, name: str) -> None:
    made, app = wsgi_door(name)
    case = replace(case, code=ONE_HEADER.get(case.name, case.code))
    method, headers = case.method.removeprefix("HTTP "), headers_of(case, made)
    for _ in range(2):
        more = {"root_path": case.root_path, "raw": case.raw, "body": body_of(case, made)}
        judged_as(ask_wsgi(app, method, filled(case.target, made), headers, **more), case)


# A proxy shows paths as they were sent, always.
FORWARDED = [case for case in CASES if case.raw]


@functools.cache
def behind_proxy(proxy: ProxyName, root_path: str) -> tuple[World, ASGIApp]:
    """One proxy with an application behind it, made once."""
    made = world("forward auth", with_rules=True)
    return made, behind(proxy, made.guard, root_path=root_path)


# Caddy asks as Traefik does.
@pytest.mark.anyio
@pytest.mark.parametrize("proxy", [proxy for proxy in PROXIES if proxy != "caddy"])
@pytest.mark.parametrize("case", FORWARDED, ids=lambda case: case.name)
async def test_every_proxy_gives_the_verdict_of_the_table(case: Case, proxy: ProxyName) -> None:
    made, app = behind_proxy(proxy, case.root_path)
    if proxy == "envoy":
        case = replace(case, code=ONE_HEADER.get(case.name, case.code))
    if case in ISSUING:
        # What the issuing API makes of a body is its own affair: whether it gets the request is the guard's.
        reached = await call(GuardMiddleware(echo, made.guard), scope_of(case, made))
        case = replace(case, status=reached.status, code=reached.code)
    for _ in range(2):
        judged_as(await call(app, scope_of(case, made)), case)


@pytest.mark.anyio
@pytest.mark.parametrize("name", DOORS)
@pytest.mark.parametrize("case", [case for case in CASES if case.method == WS], ids=lambda case: case.name)
async def test_a_handshake_that_no_http_can_answer_is_closed(case: Case, name: str) -> None:
    made, app = door(name)
    outcome = await call(app, scope_of(case, made, http_response=False))
    if case.code is None:
        assert outcome.status == 101
        return
    closed: list[Message] = [{"type": "websocket.close", "code": REFUSALS[case.code].close_code, "reason": case.code}]
    assert outcome.sent == closed
