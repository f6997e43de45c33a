"""One table of routes in every framework, each route answering its name; and a client that waits as servers do.

Django's settings are the process's: made here once, with URLs that a test puts there.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from types import ModuleType
from typing import Any, cast

from django.conf import settings  # type: ignore[import-untyped]
from django.core.asgi import get_asgi_application  # type: ignore[import-untyped]
from django.core.wsgi import get_wsgi_application  # type: ignore[import-untyped]
from django.http import HttpRequest, HttpResponse  # type: ignore[import-untyped]
from django.test.utils import override_settings  # type: ignore[import-untyped]
from django.urls import path as django_path  # type: ignore[import-untyped]
from django.urls import re_path
from fastapi import FastAPI
from flask import Flask
from litestar import Litestar, MediaType, asgi, get
from litestar.types import Receive as LitestarReceive
from litestar.types import Scope as LitestarScope
from litestar.types import Send as LitestarSend
from quart import Quart
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from guestpass.asgi import ASGIApp, Message, Scope
from guestpass.wsgi import WSGIApplication
from support import Outcome

Table = Mapping[str, str]
"""The paths of routes, as rules write them, by name. The more particular ones stand first."""

MOUNT = "mount"
"""The route that a framework which can mounts an application for."""

if not settings.configured:
    settings.configure(
        ROOT_URLCONF=(),
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="not a secret",
        USE_TZ=True,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        LOGGING_CONFIG=None,
    )


def _flask_path(path: str) -> str:
    return re.sub(r"\{(\w+)\.\.\.\}", r"<path:\1>", path).replace("{", "<").replace("}", ">")


def _endpoint(name: str) -> Callable[[Request], Awaitable[PlainTextResponse]]:
    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(name)

    return answer


def starlette(table: Table) -> ASGIApp:
    def route(name: str, path: str) -> Route | Mount:
        if name == MOUNT:
            return Mount(path.removesuffix("/{rest...}"), Starlette(routes=[Route("/{rest:path}", _endpoint(name))]))
        return Route(path.replace("...}", ":path}"), _endpoint(name))

    return Starlette(routes=[route(name, path) for name, path in table.items()])


def fastapi(table: Table) -> ASGIApp:
    app = FastAPI(openapi_url=None)
    for name, path in table.items():
        if name == MOUNT:
            mounted = FastAPI(openapi_url=None)
            mounted.add_api_route("/{rest:path}", _endpoint(name))
            app.mount(path.removesuffix("/{rest...}"), mounted)
        else:
            app.add_api_route(path.replace("...}", ":path}"), _endpoint(name))
    return app


def litestar(table: Table, *, mounts: bool = False) -> ASGIApp:
    def route(name: str, path: str) -> Any:
        async def answer() -> str:
            return name

        @asgi(path.removesuffix("/{rest...}"), is_mount=True, copy_scope=True)
        async def mounted(scope: LitestarScope, receive: LitestarReceive, send: LitestarSend) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": name.encode(), "more_body": False})

        if name == MOUNT and mounts:
            return mounted
        written = re.sub(r"\{(\w+)\}", r"{\1:str}", path.replace("...}", ":path}"))
        return get(written, media_type=MediaType.TEXT)(answer)

    handlers = [route(name, path) for name, path in table.items()]
    return cast("ASGIApp", Litestar(handlers, openapi_config=None))


def quart(table: Table, *, strict_slashes: bool = True) -> ASGIApp:
    app = Quart("differential", static_folder=None)
    app.url_map.strict_slashes = strict_slashes
    for name, path in table.items():

        async def answer(name: str = name, **_: str) -> str:
            return name

        app.add_url_rule(_flask_path(path), name, answer)
    return cast("ASGIApp", app)


def flask(table: Table, *, strict_slashes: bool = True) -> WSGIApplication:
    app = Flask("differential", static_folder=None)
    app.url_map.strict_slashes = strict_slashes
    for name, path in table.items():

        def answer(name: str = name, **_: str) -> str:
            return name

        app.add_url_rule(_flask_path(path), name, answer)
    return app


def _urls(table: Table, *, asynchronous: bool, loose: bool) -> Any:
    def view(name: str) -> Any:
        async def answer(request: HttpRequest, **_: str) -> HttpResponse:
            return HttpResponse(name)

        def answer_at_once(request: HttpRequest, **_: str) -> HttpResponse:
            return HttpResponse(name)

        return answer if asynchronous else answer_at_once

    def pattern(path: str) -> str:
        written = re.sub(r"\\\{(\w+)\\\.\\\.\\\.\\\}", r"(?P<\1>.*)", re.escape(path[1:]))
        return re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", written).removesuffix("/") + "/?$"

    urls: Any = ModuleType("urls")
    if loose:
        urls.urlpatterns = [re_path(pattern(path), view(name)) for name, path in table.items()]
    else:
        urls.urlpatterns = [django_path(_flask_path(path)[1:], view(name)) for name, path in table.items()]
    return urls


def django(table: Table, *, loose: bool = False) -> ASGIApp:
    app: Any = get_asgi_application()
    urls = _urls(table, asynchronous=True, loose=loose)

    async def with_urls(scope: Scope, receive: Any, send: Any) -> None:
        with override_settings(ROOT_URLCONF=urls):
            await app(scope, receive, send)

    return with_urls


def django_wsgi(table: Table, *, loose: bool = False) -> WSGIApplication:
    app = get_wsgi_application()
    urls = _urls(table, asynchronous=False, loose=loose)

    def with_urls(environ: Any, start_response: Any) -> Any:
        with override_settings(ROOT_URLCONF=urls):
            return app(environ, start_response)

    return with_urls


async def call(app: ASGIApp, scope: Scope) -> Outcome:
    """Send one request without a body, or one handshake; the client goes when the answer is complete, or it is
    told to."""
    outcome, done = Outcome(), asyncio.Event()
    http = scope["type"] == "http"
    incoming: list[Message] = [{"type": "http.request", "body": b""} if http else {"type": "websocket.connect"}]

    async def receive() -> Message:
        if incoming:
            return incoming.pop()
        await done.wait()
        return {"type": "http.disconnect"} if http else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: Message) -> None:
        outcome.sent.append(message)
        complete = message["type"].endswith("response.body") and not message.get("more_body")
        if complete or message["type"] == "websocket.close":
            done.set()

    async with asyncio.timeout(30):
        await app(scope, receive, send)
    return outcome
