"""Applications with a gap each, and what has to be found in them: nothing else."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, Any, ClassVar, NewType
from uuid import UUID

from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]
from django.core.wsgi import get_wsgi_application  # type: ignore[import-untyped]
from django.urls import include, path, re_path  # type: ignore[import-untyped]
from fastapi import APIRouter, Body, Cookie, Depends, FastAPI, Header, Query, WebSocket
from flask import Blueprint, Flask
from litestar import Controller, Litestar
from litestar import get as litestar_get
from litestar import post as litestar_post
from litestar import websocket as litestar_websocket
from litestar.connection import WebSocket as LitestarSocket
from litestar.middleware import DefineMiddleware
from litestar.params import FromPath, FromQuery, JSONBody
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware.httpsredirect import HTTPSRedirectMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from werkzeug.middleware.dispatcher import DispatcherMiddleware

import framework_apps as frameworks
import guestpass.fastapi
import guestpass.flask
import guestpass.starlette
from audit.houses import (
    ByProtocol,
    HttpOnly,
    PaintedOn,
    PaintedOnWSGI,
    Ran,
    TrustsWhoeverKnocks,
    a_guard,
    asgi,
    by_method,
    handler,
    logged,
)
from guestpass import Rule, needs
from guestpass.asgi import GuardMiddleware, Receive, Scope, Send
from guestpass.wsgi import GuardMiddleware as WSGIGuardMiddleware

assert frameworks.settings.configured  # type: ignore[attr-defined]

LOGS = needs(component="call_logs")
AccountId = NewType("AccountId", str)


async def read(request: Request) -> PlainTextResponse:
    raise Ran


def marked(mark: Any = None, name: str = "read") -> Any:
    """A handler for Starlette that says what it needs."""

    async def endpoint(request: Request) -> PlainTextResponse:
        raise Ran

    endpoint.__name__ = endpoint.__qualname__ = name
    return (mark or LOGS)(endpoint)


# FastAPI


def fastapi(guard: Any = None) -> FastAPI:
    app = FastAPI()

    @app.get("/v1/call_logs")
    @LOGS
    async def call_logs() -> None:
        raise Ran

    guestpass.fastapi.protect(app, guard or a_guard())
    return app


def fastapi_forgotten() -> Any:
    app = fastapi()

    @app.post("/v1/call_logs")
    async def create(request: Request) -> None:
        raise Ran

    return app


def fastapi_forgotten_in_a_router() -> Any:
    app, router = fastapi(), APIRouter(prefix="/v1")

    @router.get("/exports/{export:int}")
    async def export(export: int) -> None:
        raise Ran

    app.include_router(router)
    return app


def fastapi_account_in_the_path() -> Any:
    app = fastapi()

    @app.get("/v1/tenants/{account_id}/call_logs")
    @LOGS
    async def call_logs_of(account_id: str) -> None:
        raise Ran

    return app


def fastapi_account_false() -> Any:
    app = fastapi()

    @app.get("/v1/accounts/{account}/notes")
    @needs(account=False)
    async def notes(account: str) -> None:
        raise Ran

    return app


async def whose(account_id: str) -> str:
    return account_id


def fastapi_account_in_the_query() -> Any:
    app = fastapi()

    @app.get("/v1/notes")
    @needs()
    async def notes(whose: str = Depends(whose)) -> None:
        raise Ran

    return app


def fastapi_account_in_a_cookie() -> Any:
    app = fastapi()

    @app.get("/v1/notes")
    @needs()
    async def notes(account_id: str = Cookie()) -> None:
        raise Ran

    return app


def fastapi_account_in_the_body() -> Any:
    app = fastapi()

    @app.post("/v1/notes")
    @needs()
    async def notes(account_id: Annotated[str, Body(embed=True)]) -> None:
        raise Ran

    return app


class Note(BaseModel):
    text: str
    account: str | None = Field(alias="accountId", default=None)


class Page(BaseModel):
    account_id: UUID
    number: int = 1


def fastapi_account_in_a_model() -> Any:
    app = fastapi()

    @app.post("/v1/notes")
    @needs()
    async def notes(note: Annotated[Note | None, Body()] = None) -> None:
        raise Ran

    return app


def fastapi_account_in_a_model_of_the_query() -> Any:
    app = fastapi()

    @app.get("/v1/notes")
    @needs()
    async def notes(page: Annotated[Page, Query()]) -> None:
        raise Ran

    return app


def fastapi_account_in_a_header() -> Any:
    app = fastapi()

    @app.get("/v1/notes")
    @needs(account="query:account")
    async def notes(account: str, acct_id: Annotated[str, Header()], account_id: Annotated[str, Header()]) -> None:
        raise Ran

    return app


def fastapi_account_in_a_part_of_a_segment() -> Any:
    app = fastapi()

    @app.get("/v1/{account_id}.json")
    @needs()
    async def notes(account_id: str) -> None:
        raise Ran

    return app


def fastapi_needs_above() -> Any:
    app = fastapi()

    @needs(component="voicemails")
    @logged
    @app.get("/v1/voicemails")
    def voicemails() -> None:
        raise Ran

    return app


def fastapi_two_rules() -> Any:
    app = FastAPI()
    router = APIRouter(dependencies=[Depends(needs(role="admin"))])

    @router.get("/v1/call_logs")
    @LOGS
    async def call_logs() -> None:
        raise Ran

    app.include_router(router)
    guestpass.fastapi.protect(app, a_guard())
    return app


def fastapi_dead_rule() -> Any:
    return fastapi(a_guard(Rule("GET /v1/voicemail", component="voicemails")))


def fastapi_http_only() -> Any:
    app = FastAPI(openapi_url=None)

    @app.websocket("/v1/events")
    async def events(websocket: WebSocket) -> None:
        raise Ran

    @app.get("/v1/call_logs")
    async def call_logs() -> None:
        raise Ran

    return HttpOnly(app, a_guard(Rule("GET /v1/call_logs"), Rule("WEBSOCKET /v1/events")))


def fastapi_mounted_beside() -> Any:
    admin = FastAPI(openapi_url=None)

    @admin.get("/users")
    async def users() -> None:
        raise Ran

    return Starlette(routes=[Mount("/admin", admin), Mount("/", fastapi())])


# Starlette


def starlette(*routes: Any, guard: Any = None) -> Any:
    app = Starlette(routes=[Route("/v1/call_logs", marked()), *routes])
    guestpass.starlette.protect(app, guard or a_guard())
    return app


def starlette_painted_on() -> Any:
    app = Starlette(routes=[Route("/v1/call_logs", read)])
    return PaintedOn(app, a_guard(Rule("GET /v1/call_logs")))


def starlette_trusting() -> Any:
    routes = [
        Route("/v1/accounts/{account}/call_logs", read),
        Route("/v1/sessions", read, methods=["POST"]),
    ]
    rules = [
        Rule("GET /v1/accounts/{account}/call_logs", component="call_logs"),
        Rule("POST /v1/sessions", mints=True),
    ]
    return TrustsWhoeverKnocks(Starlette(routes=routes), a_guard(*rules))


class AdminBeside:
    """A dispatcher that knows what stands beside the guard by a name of its module's."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (ADMIN if scope["path"].startswith("/admin") else self.app)(scope, receive, send)


ADMIN = Starlette(routes=[Route("/admin/users", read)])


class InPairs:
    """A dispatcher with a list of prefixes and what is called there."""

    def __init__(self, app: Any, *pairs: tuple[str, Any]) -> None:
        self.app, self.pairs = app, pairs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        called = next((app for prefix, app in self.pairs if scope["path"].startswith(prefix)), self.app)
        await called(scope, receive, send)


class ByTable:
    """A dispatcher whose class has the table."""

    mounts: ClassVar[dict[str, Any]] = {"/admin": ADMIN}

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        called = next((app for prefix, app in self.mounts.items() if scope["path"].startswith(prefix)), self.app)
        await called(scope, receive, send)


def by_default(app: Any) -> Any:
    """A dispatcher that has what stands beside the guard as a default."""

    async def dispatch(scope: Scope, receive: Receive, send: Send, *, admin: Any = ADMIN) -> None:
        await (admin if scope["path"].startswith("/admin") else app)(scope, receive, send)

    return dispatch


async def dispatched(scope: Scope, receive: Receive, send: Send) -> None:
    """A dispatcher that knows everything by names of its module's."""
    await (ADMIN if scope["path"].startswith("/admin") else PROTECTED)(scope, receive, send)


class AnyMethod(HTTPEndpoint):
    async def get(self, request: Request) -> PlainTextResponse:
        raise Ran

    async def options(self, request: Request) -> PlainTextResponse:
        raise Ran


def starlette_answers_none() -> Any:
    app = starlette_painted_on()
    return TrustedHostMiddleware(app, allowed_hosts=["api.example"])


def starlette_stack_replaced() -> Any:
    app = starlette()
    app.middleware_stack = app.router
    return app


PROTECTED = starlette()


# Flask


def flask(guard: Any = None) -> Flask:
    app = Flask(__name__)

    @app.get("/v1/call_logs")
    @LOGS
    def call_logs() -> Any:
        raise Ran

    guestpass.flask.protect(app, guard or a_guard())
    return app


def flask_forgotten() -> Any:
    app, blueprint = flask(), Blueprint("reports", __name__)

    @blueprint.get("/<int:year>")
    def report(year: int) -> Any:
        raise Ran

    app.register_blueprint(blueprint, url_prefix="/v1/reports")
    return app


def flask_account_elsewhere() -> Any:
    app = flask()

    @app.get("/v1/customers/<acct>/call_logs")
    @LOGS
    def call_logs_of(acct: str) -> Any:
        raise Ran

    return app


def flask_guard_taken_off() -> Any:
    app: Any = flask()
    app.wsgi_app = Flask.wsgi_app.__get__(app)
    return app


def flask_dispatched_beside() -> Any:
    inner = Flask("inner", static_folder=None)
    inner.add_url_rule("/users", view_func=handler)
    app: Any = flask()
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/admin": inner})
    return app


def flask_needs_above() -> Any:
    app = flask()

    @needs(component="voicemails")
    @logged
    @app.get("/v1/voicemails")
    def voicemails() -> Any:
        raise Ran

    return app


def flask_open_to_head() -> Any:
    app: Any = Flask("open to HEAD", static_folder=None)
    app.add_url_rule("/v1/call_logs", view_func=handler)
    inside, door = app.wsgi_app, WSGIGuardMiddleware(app.wsgi_app, a_guard(Rule("GET /v1/call_logs")))
    app.wsgi_app = lambda environ, start: (inside if environ["REQUEST_METHOD"] == "HEAD" else door)(environ, start)
    return app


def flask_painted_on_for_a_host() -> Any:
    app: Any = Flask("painted", static_folder=None, host_matching=True)
    app.add_url_rule("/v1/call_logs", view_func=handler, host="<part>.api.example")
    app.wsgi_app = PaintedOnWSGI(app.wsgi_app, a_guard(Rule("GET /v1/call_logs")))
    return app


def flask_painted_on() -> Any:
    app: Any = Flask("painted", static_folder=None)
    app.add_url_rule("/v1/call_logs", view_func=handler)
    app.wsgi_app = PaintedOnWSGI(app.wsgi_app, a_guard(Rule("GET /v1/call_logs")))
    return app


def flask_two_rules() -> Any:
    return flask(a_guard(Rule("GET /v1/call_logs", role="admin")))


# Litestar


@litestar_get("/v1/accounts/{account:str}/call_logs")
async def litestar_logs(account: FromPath[str]) -> None:
    raise Ran


@litestar_post("/v1/exports")
async def litestar_export() -> None:
    raise Ran


@litestar_get("/v1/notes")
async def litestar_notes(account_id: FromQuery[str]) -> None:
    raise Ran


@needs(component="call_logs")
@litestar_get("/v1/marked")
async def litestar_marked() -> None:
    raise Ran


@litestar_websocket("/v1/events")
async def litestar_events(socket: LitestarSocket[Any, Any, Any]) -> None:
    raise Ran


@dataclass
class LitestarNote:
    text: str
    account: AccountId


@litestar_post("/v1/notes")
async def litestar_write(data: JSONBody[LitestarNote]) -> None:
    raise Ran


class LitestarAdmin(Controller):
    path = "/admin"

    @litestar_get("/logo")
    async def logo(self) -> None:
        raise Ran


BEHIND: Any = GuardMiddleware
LITESTAR_RULE = Rule("GET /v1/accounts/{account}/call_logs", component="call_logs")


def litestar(*handlers: Any, rules: Any = (), put_up: Any = GuardMiddleware) -> Any:
    app = Litestar([litestar_logs, *handlers], openapi_config=None)
    return put_up(app, a_guard(LITESTAR_RULE, *rules))


# Django


def view(request: object, **_: object) -> Any:
    raise Ran


@needs(component="call_logs")
def marked_view(request: object) -> Any:
    raise Ran


DJANGO_LOGS = path("v1/accounts/<account>/call_logs", view)
DJANGO_RULE = Rule("GET /v1/accounts/{account}/call_logs", component="call_logs")


def urls(*patterns: Any) -> Any:
    made: Any = ModuleType("urls")
    made.urlpatterns = [DJANGO_LOGS, *patterns]
    return made


def django(*rules: Rule, asynchronous: bool = True, put_up: Any = None) -> Any:
    made = get_asgi_application() if asynchronous else get_wsgi_application()
    put_up = put_up or (GuardMiddleware if asynchronous else WSGIGuardMiddleware)
    return put_up(made, a_guard(DJANGO_RULE, *rules))


class Gap:
    """An application with a gap, what is to be found, and where Django's URLs are."""

    def __init__(self, make: Callable[[], Any], *found: tuple[str, str], urls: Any = None) -> None:
        self.make, self.found, self.urls = make, set(found), urls


GAPS = {
    "FastAPI: a forgotten route": Gap(fastapi_forgotten, ("route_uncovered", "POST /v1/call_logs")),
    "FastAPI: one in a router": Gap(fastapi_forgotten_in_a_router, ("route_uncovered", "GET /v1/exports/{export}")),
    "FastAPI: an account in the path that the rule does not see": Gap(
        fastapi_account_in_the_path, ("account_unbound", "GET /v1/tenants/{account_id}/call_logs")
    ),
    "FastAPI: an account where the rule is for none": Gap(
        fastapi_account_false, ("account_unbound", "GET /v1/accounts/{account}/notes")
    ),
    "FastAPI: an account in the query of a dependency": Gap(
        fastapi_account_in_the_query, ("account_unbound", "GET /v1/notes")
    ),
    "FastAPI: an account in a cookie": Gap(fastapi_account_in_a_cookie, ("account_unbound", "GET /v1/notes")),
    "FastAPI: an account in the body": Gap(fastapi_account_in_the_body, ("account_unbound", "POST /v1/notes")),
    "FastAPI: an account in a model of the body": Gap(
        fastapi_account_in_a_model, ("account_unbound", "POST /v1/notes")
    ),
    "FastAPI: an account in a model of the query": Gap(
        fastapi_account_in_a_model_of_the_query, ("account_unbound", "GET /v1/notes")
    ),
    "FastAPI: an account in another header": Gap(fastapi_account_in_a_header, ("account_unbound", "GET /v1/notes")),
    "FastAPI: an account in a part of a segment": Gap(
        fastapi_account_in_a_part_of_a_segment, ("account_unbound", "GET /v1/{account_id}.json")
    ),
    "FastAPI: needs above the route decorator": Gap(
        fastapi_needs_above,
        ("needs_without_effect", "GET /v1/voicemails"),
        ("route_uncovered", "GET /v1/voicemails"),
    ),
    "FastAPI: two rules at a route": Gap(fastapi_two_rules, ("rules_compete", "*")),
    "FastAPI: a rule for no route": Gap(fastapi_dead_rule, ("rule_unmatched", "GET /v1/voicemail")),
    "FastAPI: a guard for HTTP alone": Gap(fastapi_http_only, ("sockets_unguarded", "WEBSOCKET /v1/events")),
    "FastAPI: a mount beside the guard": Gap(fastapi_mounted_beside, ("outside_guard", "GET /admin/users")),
    "FastAPI: no guard": Gap(FastAPI, ("unguarded", "*")),
    "Starlette: a forgotten route": Gap(
        lambda: starlette(Route("/v1/exports", read, methods=["DELETE"])), ("route_uncovered", "DELETE /v1/exports")
    ),
    "Starlette: a forgotten socket in a mount": Gap(
        lambda: starlette(Mount("/v1", routes=[WebSocketRoute("/events", read)])),
        ("route_uncovered", "WEBSOCKET /v1/events"),
    ),
    "Starlette: a public route that does not say why": Gap(
        lambda: starlette(Route("/health", marked(needs(public=True, reason="TODO")))),
        ("public_without_reason", "GET /health"),
    ),
    "Starlette: an account in the path of a mount": Gap(
        lambda: starlette(Mount("/v1/{acct}", routes=[Route("/notes", marked(needs()))])),
        ("account_unbound", "GET /v1/{acct}/notes"),
    ),
    "Starlette: a guard that is painted on": Gap(
        starlette_painted_on, ("reached_without_credential", "GET /v1/call_logs")
    ),
    "Starlette: a guard for those without a credential alone": Gap(
        starlette_trusting,
        ("reached_for_other_account", "GET /v1/accounts/{account}/call_logs"),
        ("reached_without_component", "GET /v1/accounts/{account}/call_logs"),
        ("reached_for_other_account", "POST /v1/sessions"),
        ("reached_to_mint", "POST /v1/sessions"),
    ),
    "Starlette: a dispatcher that knows another application by name": Gap(
        lambda: AdminBeside(starlette()), ("outside_guard", "GET /admin/users")
    ),
    "Starlette: a dispatcher with pairs": Gap(
        lambda: InPairs(starlette(), ("/admin", ADMIN)), ("outside_guard", "GET /admin/users")
    ),
    "Starlette: a dispatcher whose class has a table": Gap(
        lambda: ByTable(starlette()), ("outside_guard", "GET /admin/users")
    ),
    "Starlette: a dispatcher with a default": Gap(
        lambda: by_default(starlette()), ("outside_guard", "GET /admin/users")
    ),
    "Starlette: a dispatcher that is a function": Gap(lambda: dispatched, ("outside_guard", "GET /admin/users")),
    "Starlette: a guard that OPTIONS goes by": Gap(
        lambda: by_method("OPTIONS")(Starlette(routes=[Route("/x", AnyMethod)]), a_guard(Rule("GET /x"))),
        ("reached_without_credential", "GET /x"),
    ),
    "Starlette: a guard that HEAD goes by": Gap(
        lambda: by_method("HEAD")(Starlette(routes=[Route("/x", read)]), a_guard(Rule("GET /x"))),
        ("reached_without_credential", "GET /x"),
    ),
    "Starlette: a guard that nobody can ask": Gap(starlette_answers_none, ("asked_in_vain", "*")),
    "Starlette: a painted guard behind a redirect to https": Gap(
        lambda: HTTPSRedirectMiddleware(starlette_painted_on()), ("reached_without_credential", "GET /v1/call_logs")
    ),
    "Starlette: a stack without its guard": Gap(starlette_stack_replaced, ("guard_not_called", "*")),
    "Starlette: a guard beside its own part": Gap(
        lambda: Starlette(routes=[Route("/v1/open", read), Mount("/", GuardMiddleware(asgi, a_guard(Rule("GET /x"))))]),
        ("outside_guard", "GET /v1/open"),
    ),
    "Starlette: needs where the guard was put up by hand": Gap(
        lambda: GuardMiddleware(Starlette(routes=[Route("/x", marked())]), a_guard(Rule("GET /x"))),
        ("needs_without_effect", "GET /x"),
    ),
    "Flask: a forgotten view of a blueprint": Gap(flask_forgotten, ("route_uncovered", "GET /v1/reports/{year}")),
    "Flask: an account that the rule does not see": Gap(
        flask_account_elsewhere, ("account_unbound", "GET /v1/customers/{acct}/call_logs")
    ),
    "Flask: a guard that was taken off": Gap(flask_guard_taken_off, ("guard_not_called", "*")),
    "Flask: an application dispatched beside the guard": Gap(
        flask_dispatched_beside, ("outside_guard", "GET /admin/users")
    ),
    "Flask: needs above the route decorator": Gap(
        flask_needs_above,
        ("needs_without_effect", "GET /v1/voicemails"),
        ("route_uncovered", "GET /v1/voicemails"),
    ),
    "Flask: a guard that is painted on": Gap(flask_painted_on, ("reached_without_credential", "GET /v1/call_logs")),
    "Flask: a guard that HEAD goes by": Gap(flask_open_to_head, ("reached_without_credential", "GET /v1/call_logs")),
    "Flask: a painted guard of one host": Gap(
        flask_painted_on_for_a_host, ("reached_without_credential", "GET /v1/call_logs")
    ),
    "Flask: two rules, one at the view": Gap(flask_two_rules, ("rules_compete", "*")),
    "Litestar: a forgotten route": Gap(lambda: litestar(litestar_export), ("route_uncovered", "POST /v1/exports")),
    "Litestar: an account in the query": Gap(
        lambda: litestar(litestar_notes, rules=[Rule("GET /v1/notes")]), ("account_unbound", "GET /v1/notes")
    ),
    "Litestar: an account in the body": Gap(
        lambda: litestar(litestar_write, rules=[Rule("POST /v1/notes")]), ("account_unbound", "POST /v1/notes")
    ),
    "Litestar: needs that nobody reads": Gap(
        lambda: litestar(litestar_marked, rules=[Rule("GET /v1/marked")]),
        ("needs_without_effect", "GET /v1/marked"),
    ),
    "Litestar: two rules for one request": Gap(
        lambda: litestar(LitestarAdmin, rules=[Rule("GET /{tenant}/logo"), Rule("GET /admin/{rest...}", role="admin")]),
        ("rules_compete", "GET /admin/logo"),
    ),
    "Litestar: a guard behind the router": Gap(
        lambda: Litestar([litestar_logs], middleware=[DefineMiddleware(BEHIND, guard=a_guard(LITESTAR_RULE))]),
        ("unguarded", "*"),
    ),
    "Litestar: a guard for HTTP alone": Gap(
        lambda: litestar(litestar_events, rules=[Rule("WEBSOCKET /v1/events")], put_up=HttpOnly),
        ("sockets_unguarded", "WEBSOCKET /v1/events"),
    ),
    "Litestar: a rule for no route": Gap(
        lambda: litestar(rules=[Rule("DELETE /v1/accounts/{account}/call_logs")]),
        ("rule_unmatched", "DELETE /v1/accounts/{account}/call_logs"),
    ),
    "Django: a forgotten URL": Gap(
        django,
        ("route_uncovered", "* /v1/admin/exports/{key}"),
        urls=urls(path("v1/admin/", include([path("exports/<uuid:key>", view)]))),
    ),
    "Django: an account in a regular expression": Gap(
        lambda: django(Rule("GET /v1/tenants/{tenant}/notes")),
        ("account_unbound", "GET /v1/tenants/{account_id}/notes"),
        urls=urls(re_path(r"^v1/tenants/(?P<account_id>[a-z0-9_]+)/notes$", view)),
    ),
    "Django: a rule without the slash": Gap(
        lambda: django(Rule("GET /v1/notes")),
        ("route_uncovered", "* /v1/notes/"),
        ("rule_unmatched", "GET /v1/notes"),
        urls=urls(path("v1/notes/", view)),
    ),
    "Django: needs that nobody reads": Gap(
        lambda: django(Rule("GET /v1/marked")),
        ("needs_without_effect", "* /v1/marked"),
        urls=urls(path("v1/marked", marked_view)),
    ),
    "Django: a guard that is painted on": Gap(
        lambda: django(put_up=PaintedOn),
        ("reached_without_credential", "GET /v1/accounts/{account}/call_logs"),
        urls=urls(),
    ),
    "Django: a guard that another method goes by": Gap(
        lambda: django(put_up=by_method("PATCH")),
        ("reached_without_credential", "GET /v1/accounts/{account}/call_logs"),
        urls=urls(),
    ),
    "Django: a guard before one protocol": Gap(
        lambda: ByProtocol({"http": django(), "websocket": asgi}), ("sockets_unguarded", "WEBSOCKET /*"), urls=urls()
    ),
    "Django under WSGI: a forgotten URL": Gap(
        lambda: django(asynchronous=False), ("route_uncovered", "* /v1/open"), urls=urls(path("v1/open", view))
    ),
    "Django under WSGI: a guard that is painted on": Gap(
        lambda: django(asynchronous=False, put_up=PaintedOnWSGI),
        ("reached_without_credential", "GET /v1/accounts/{account}/call_logs"),
        urls=urls(),
    ),
}
"""Each gap by its framework and what it is."""
