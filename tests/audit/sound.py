"""Sound applications of every framework: whatever is found in them is a mistake of the audit's."""

from typing import Any

from django.contrib.staticfiles.views import serve  # type: ignore[import-untyped]
from django.urls import include, path, re_path  # type: ignore[import-untyped]
from django.views import View  # type: ignore[import-untyped]
from fastapi import APIRouter, Depends, FastAPI, Header
from flask import Blueprint, Flask
from flask.views import MethodView
from litestar import Controller, Litestar
from litestar import get as litestar_get
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

import guestpass.fastapi
import guestpass.flask
import guestpass.starlette
from audit.gaps import LITESTAR_RULE, LOGS, django, litestar, litestar_events, marked, read, urls, view
from audit.houses import Ran, a_guard, asgi, handler
from guestpass import KeyRing, Rule, needs, open_store
from guestpass.asgi import GuardMiddleware
from guestpass.demo.house import open_house
from guestpass.wsgi import GuardMiddleware as WSGIGuardMiddleware


def demo() -> Any:
    return open_house(open_store("memory://"), KeyRing.new_wrapping_key()).app


def fastapi() -> Any:
    app = FastAPI()
    accounts = APIRouter(prefix="/v1/accounts/{account}", dependencies=[Depends(LOGS)])

    async def never() -> None:
        raise Ran

    @accounts.get("/calls/{call:int}")
    async def call(account: str, call: int, session: None = Depends(never)) -> None:
        raise Ran

    @accounts.api_route("/calls", methods=["GET", "POST", "DELETE"])
    async def calls(account: str) -> None:
        raise Ran

    @app.get("/v1/notes")
    @needs(account=["query:account_id", "header:X-Tenant"])
    async def notes(account_id: str, x_tenant: str = Header()) -> None:
        raise Ran

    @app.post("/v1/keys")
    @needs(mints=True)
    async def mint() -> None:
        raise Ran

    @app.get("/v1/publishable")
    @needs(account=False, role=None, kinds={"publishable_key", "of_ours"})
    async def publishable() -> None:
        raise Ran

    app.include_router(accounts)
    app.include_router(accounts, prefix="/again")
    app.add_middleware(CORSMiddleware, allow_origins=["https://app.example"])
    guestpass.fastapi.protect(app, a_guard(), issuing="/", allow_origins=["https://app.example"])
    app.add_middleware(CORSMiddleware, allow_origins=["https://app.example"])
    return app


def starlette() -> Any:
    inner = Starlette(
        routes=[Route("/logs", marked()), Route("/{rest:path}", marked(needs()))], middleware=[Middleware(Untouched)]
    )
    app = Starlette(
        routes=[
            Mount("/v1/{account}", inner),
            WebSocketRoute("/events", marked(needs())),
            Mount("/static", StaticFiles(directory=".")),
            Host("admin.example", Starlette(routes=[Route("/users", marked(needs(role="admin")))])),
            Route("/health", marked(needs(public=True, reason="probes carry no credential"))),
        ]
    )
    guestpass.starlette.protect(app, a_guard(Rule("GET /static/{rest...}", role="admin")))
    return app


class Untouched:
    """Middleware that has no place in an audit: it stands behind the guard."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def starlette_of_parts() -> Any:
    """Two guards, each before its own part."""
    parts = [
        Mount(f"/{name}", GuardMiddleware(Starlette(routes=[Route("/x", read)]), a_guard(Rule("GET /x"))))
        for name in "ab"
    ]
    return Starlette(routes=parts)


def fastapi_below_a_root() -> Any:
    app = FastAPI()
    # As ``--root-path`` of a server has it for whatever it serves.
    app.root_path = "/api"

    class Account(BaseModel):
        name: str

    @app.put("/v1/account")
    @needs(role="admin")
    async def rename(account: Account) -> None:
        raise Ran

    guestpass.fastapi.protect(app, a_guard())
    return app


def guards_in_line() -> Any:
    """One guard behind another."""
    inner = Starlette(routes=[Route("/logs", marked())])
    guestpass.starlette.protect(inner, a_guard())
    return GuardMiddleware(Starlette(routes=[Mount("/v1", inner)]), a_guard(Rule("GET /v1/{rest...}")))


def starlette_with_a_default() -> Any:
    router = Router(routes=[Route("/x", read)], default=asgi)
    return GuardMiddleware(router, a_guard(Rule("GET /x"), Rule("GET /{rest...}", role="admin")))


def flask_dispatched() -> Any:
    """Two applications behind one guard."""
    apps = [Flask(name, static_folder=None) for name in ("outer", "inner")]
    for app in apps:
        app.add_url_rule("/users", view_func=handler)
    rules = [Rule("GET /users"), Rule("GET /admin/users", role="admin")]
    return WSGIGuardMiddleware(DispatcherMiddleware(apps[0], {"/admin": apps[1]}), a_guard(*rules))


def flask() -> Any:
    app = Flask(__name__)
    blueprint = Blueprint("calls", __name__)

    class Calls(MethodView):
        @LOGS
        def get(self, account: str) -> Any:
            raise Ran

        @needs(component="call_logs", role="admin")
        def delete(self, account: str) -> Any:
            raise Ran

    blueprint.add_url_rule("/<account>/calls/", view_func=Calls.as_view("calls"))
    app.register_blueprint(blueprint, url_prefix="/v1/accounts")

    @app.before_request
    def never() -> Any:
        raise Ran

    @app.teardown_request
    def neither(_: object) -> Any:
        raise Ran

    @app.get("/v1/days/<any(monday, friday):day>/<float:hour>/<uuid:id>/<path:rest>")
    @needs()
    def days(**_: object) -> Any:
        raise Ran

    guestpass.flask.protect(app, a_guard(), issuing="/", allow_origins=["https://app.example"])
    app.wsgi_app = ProxyFix(app.wsgi_app)  # type: ignore[method-assign]
    return app


class LitestarCalls(Controller):
    path = "/v1/calls"

    @litestar_get("/{call:int}")
    async def call(self) -> None:
        raise Ran

    @litestar_get("/{day:date}/{rest:path}")
    async def day(self) -> None:
        raise Ran


def litestar_sound() -> Any:
    rules = [Rule("WEBSOCKET /v1/events"), Rule("GET /v1/calls/{call}"), Rule("GET /v1/calls/{day}/{rest...}")]
    return litestar(litestar_events, LitestarCalls, rules=rules)


def litestar_with_documents() -> Any:
    from audit.gaps import litestar_logs

    return GuardMiddleware(Litestar([litestar_logs]), a_guard(LITESTAR_RULE))  # type: ignore[arg-type]


class Notes(View):  # type: ignore[misc]
    def get(self, request: object, **_: object) -> Any:
        raise Ran

    def post(self, request: object, **_: object) -> Any:
        raise Ran


DJANGO_URLS = urls(
    path("v1/", include([path("accounts/<account>/notes/", Notes.as_view())])),
    re_path(r"^v1/reports/(?P<year>[0-9]{4})/(?P<name>[a-z]+)\.csv$", view),
    path("static/<path:path>", serve),
)
DJANGO_RULES = (Rule("GET,POST /v1/accounts/{account}/notes/"), Rule("GET /v1/reports/{year}/{name}"))

SOUND: dict[str, Any] = {
    "the demo": demo,
    "FastAPI": fastapi,
    "Starlette": starlette,
    "Starlette, in parts": starlette_of_parts,
    "Flask": flask,
    "FastAPI below a root": fastapi_below_a_root,
    "Starlette behind two guards": guards_in_line,
    "Starlette with a default": starlette_with_a_default,
    "Flask, dispatched": flask_dispatched,
    "Litestar": litestar_sound,
    "Litestar with its documents": litestar_with_documents,
    "Django": lambda: django(*DJANGO_RULES),
    "Django under WSGI": lambda: django(*DJANGO_RULES, asynchronous=False),
}
__all__ = ["DJANGO_URLS", "SOUND", "handler"]
