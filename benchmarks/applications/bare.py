"""The applications without a guard: what everything else is measured over."""

from collections.abc import Iterable
from typing import Any

from benchmarks.driving import ASGIApp, Environ, Receive, Scope, Send, StartResponse, WSGIApp
from benchmarks.scene import Scene

HEADERS = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"2")]


def asgi(_: Scene) -> ASGIApp:
    """Two messages."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": b"ok"})

    return app


def wsgi(_: Scene) -> WSGIApp:
    """Two lines."""

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", "2")])
        return [b"ok"]

    return app


def starlette(scene: Scene) -> ASGIApp:
    """One route of Starlette's."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def view(_: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    return Starlette(routes=[Route(scene.path, view)])


def fastapi(scene: Scene) -> ASGIApp:
    """One route of FastAPI's."""
    from fastapi import FastAPI
    from fastapi.responses import PlainTextResponse

    app = FastAPI()

    @app.get(scene.path)
    async def view() -> PlainTextResponse:
        return PlainTextResponse("ok")

    return app


def flask(scene: Scene) -> WSGIApp:
    """One route of Flask's."""
    from flask import Flask

    app: Any = Flask(__name__)

    @app.get(scene.path)
    def view() -> str:
        return "ok"

    return app.wsgi_app
