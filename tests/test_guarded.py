"""From an application to its guard, through whatever stands around it."""

import dataclasses
import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]
from django.core.wsgi import get_wsgi_application  # type: ignore[import-untyped]
from fastapi import FastAPI
from flask import Flask
from litestar import Litestar
from litestar import get as litestar_get
from quart import Quart
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

import framework_apps as frameworks
import guestpass.fastapi
import guestpass.flask
import guestpass.starlette
from guestpass import ApiKeys, ConfigurationError, Guard, Policy, Rule, needs, open_store
from guestpass.asgi import ASGIApp, GuardMiddleware, Receive, Scope, Send
from guestpass.forward_auth import forward_auth
from guestpass.guarded import doors_of, guarded
from guestpass.ownership import SINGLE_PLATFORM
from guestpass.wsgi import GuardMiddleware as WSGIGuardMiddleware


def a_guard(*rules: Rule) -> Guard:
    keys = ApiKeys(open_store("memory://"), owns=SINGLE_PLATFORM)
    return Guard(authenticators=[keys], policy=Policy(*rules, components={"call_logs": ()}), mode="live")


@needs(component="call_logs")
async def call_logs(_: Request) -> PlainTextResponse:
    return PlainTextResponse("")


def fastapi(guard: Guard) -> object:
    app = FastAPI()
    app.add_api_route("/call_logs", call_logs)
    guestpass.fastapi.protect(app, guard, allow_origins=["https://app.example"])
    return app


def starlette(guard: Guard) -> object:
    app = Starlette(routes=[Route("/call_logs", call_logs)])
    app.add_middleware(CORSMiddleware)
    guestpass.starlette.protect(app, guard)
    app.add_middleware(CORSMiddleware)
    return app


def flask(guard: Guard) -> object:
    app = Flask(__name__)
    app.add_url_rule("/call_logs", view_func=needs(component="call_logs")(lambda: ""))
    guestpass.flask.protect(app, guard, allow_origins=["https://app.example"])
    return app


def flask_behind_a_proxy(guard: Guard) -> object:
    app: Any = flask(guard)
    app.wsgi_app = ProxyFix(app.wsgi_app)
    return app


OWN = {"fastapi": fastapi, "starlette": starlette, "flask": flask, "flask behind a proxy": flask_behind_a_proxy}


@pytest.mark.parametrize("made", OWN.values(), ids=OWN)
def test_a_protected_application(made: Callable[[Guard], object]) -> None:
    guard = a_guard()
    found = guarded(made(guard))
    assert found.guard is guard
    rule = guard.policy.find("GET", "/call_logs")
    assert rule is not None
    assert rule.component == "call_logs"
    # Once is enough, and does no harm twice.
    assert guarded(found.door).guard is guard


async def asgi(scope: Scope, receive: Receive, send: Send) -> None: ...


def closing_over(app: ASGIApp) -> ASGIApp:
    @functools.wraps(app)
    async def middleware(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return middleware


def quart(guard: Guard) -> object:
    app: Any = Quart(__name__)
    app.asgi_app = GuardMiddleware(app.asgi_app, guard)
    return app


def wrapped_flask(guard: Guard) -> object:
    app: Any = Flask(__name__)
    app.wsgi_app = WSGIGuardMiddleware(app.wsgi_app, guard)
    return app


@litestar_get("/")
async def litestar_handler() -> str:
    return ""


BY_HAND: dict[str, Callable[[Guard], object]] = {
    "anything": lambda guard: GuardMiddleware(asgi, guard),
    "under middleware": lambda guard: CORSMiddleware(GuardMiddleware(asgi, guard), allow_origins=["*"]),
    "under a function": lambda guard: closing_over(GuardMiddleware(asgi, guard)),
    "under a partial": lambda guard: functools.partial(CORSMiddleware(GuardMiddleware(asgi, guard)).__call__),
    "in a mount": lambda guard: Starlette(routes=[Mount("/api", GuardMiddleware(asgi, guard))]),
    "Starlette": lambda guard: Starlette(
        middleware=[guestpass_middleware(guard)],
    ),
    "Litestar": lambda guard: GuardMiddleware(Litestar([litestar_handler]), guard),  # type: ignore[arg-type]
    "Quart": quart,
    "Django, ASGI": lambda guard: GuardMiddleware(get_asgi_application(), guard),
    "Django, WSGI": lambda guard: WSGIGuardMiddleware(get_wsgi_application(), guard),
    "Flask": wrapped_flask,
    "dispatched": lambda guard: DispatcherMiddleware(Flask(__name__), {"/api": wrapped_flask(guard)}),  # type: ignore[dict-item]
}


def guestpass_middleware(guard: Guard) -> Any:
    from starlette.middleware import Middleware

    return Middleware(GuardMiddleware, guard=guard)


@pytest.mark.parametrize("made", BY_HAND.values(), ids=BY_HAND)
def test_one_that_is_wrapped_by_hand(made: Callable[[Guard], object]) -> None:
    guard = a_guard(Rule("GET /call_logs"))
    assert guarded(made(guard)).guard is guard


UNGUARDED: dict[str, Callable[[], object]] = {
    "a function": lambda: asgi,
    "FastAPI": lambda: FastAPI(),
    "Flask": lambda: Flask(__name__),
    "Litestar": lambda: Litestar([litestar_handler]),
    "Quart": lambda: Quart(__name__),
    "Django": lambda: frameworks.django({}),
}


@pytest.mark.parametrize("made", UNGUARDED.values(), ids=UNGUARDED)
def test_none_is_said(made: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError, match="no guard stands before this application"):
        guarded(made())


def test_several_are_said_with_the_way_to_each() -> None:
    parts = [Mount(f"/{name}", GuardMiddleware(asgi, a_guard(Rule("GET /x")))) for name in ("one", "two")]
    with pytest.raises(ConfigurationError, match=r"2 guards stand in this application .* → Mount → GuardMiddleware"):
        guarded(Starlette(routes=parts))


def test_a_guard_at_two_doors_is_one() -> None:
    guard = a_guard(Rule("GET /x"))
    parts = [Mount(f"/{name}", GuardMiddleware(asgi, guard)) for name in ("one", "two")]
    app = Starlette(routes=parts)
    assert guarded(app).guard is guard
    assert len(doors_of(app)) == 2


def test_the_door_of_a_proxy_has_nothing_behind_it() -> None:
    door = forward_auth(a_guard(Rule("GET /x")), proxy="nginx", trusted=["127.0.0.1"])
    with pytest.raises(ConfigurationError, match="Name its guard"):
        guarded(door)


def test_routes_that_contradict_each_other_are_said_as_the_first_request_would() -> None:
    app = FastAPI()
    app.add_api_route("/x", needs(component="no_such_component")(lambda: ""))
    guestpass.fastapi.protect(app, a_guard())
    with pytest.raises(ConfigurationError, match="no_such_component"):
        guarded(app)


def test_it_ends_in_a_circle_and_looks_past_what_answers_for_something_else() -> None:
    class Circle:
        def __init__(self) -> None:
            self.app, self.current = self, guestpass.flask.current_principal

        def __call__(self) -> None: ...

    assert doors_of(Circle()) == []


async def inside(scope: Scope, receive: Receive, send: Send) -> None: ...


DOOR = GuardMiddleware(inside, a_guard(Rule("GET /x")))
SHOP: Any = ModuleType("shop")
SHOP.main = ModuleType("shop.main")
SHOP.main.app = DOOR


async def by_a_modules_name(scope: Scope, receive: Receive, send: Send) -> None:
    await SHOP.main.app(scope, receive, send)


def by_a_name_further_in(environ: Any, start_response: Any) -> Any:
    def begin() -> object:
        return DOOR

    return begin()


async def handler(account: str) -> object:
    return DOOR


@dataclasses.dataclass
class Mounted:
    prefix: str
    app: object


class Holds:
    def __init__(self, held: object) -> None:
        self.held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


@pytest.mark.parametrize(
    "app",
    [
        by_a_modules_name,
        by_a_name_further_in,
        Holds([("/a", inside), ("/b", DOOR)]),
        Holds({"a": {"/b": [DOOR]}}),
        Holds([Mounted("/b", DOOR)]),
        Holds({DOOR}),
        Holds({"a": ({"b": Mounted("/", DOOR)},)}),
    ],
)
def test_a_dispatcher_of_ones_own_is_looked_through(app: object) -> None:
    assert [found.guard for found in doors_of(app)] == [DOOR.guard]


def test_what_a_handler_names_is_not_what_it_is_served_by() -> None:
    assert doors_of(handler) == []
    # Nor does it end nowhere where tables hold themselves.
    around: list[object] = []
    around.append(around)
    assert doors_of(Holds(around)) == []
