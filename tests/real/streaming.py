"""Live connections behind a guard, for the servers of `test_streams` and `test_renewal`: run by them, not imported.

``python -m real.streaming SERVER APPLICATION STORE`` for ASGI; gunicorn and waitress call `wsgi`. The store is a file
that the test has made and mints in; what is revoked there is revoked elsewhere.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import anyio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from flask import Flask
from flask import Response as FlaskResponse
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from guestpass import Guard, Rule, flask, needs
from guestpass.asgi import ASGIApp, GuardMiddleware, Receive, Scope, Send
from guestpass.starlette import protect
from real.asgi_server import SERVERS, Post
from real.wsgi_app import guard_over

HEADERS = [(b"content-type", b"text/event-stream")]
EVENT = b"data: tick\n\n"


def say(line: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def bare(guard: Guard) -> ASGIApp:
    """An application that waits for something that never comes, and listens to nobody."""
    guard.add_rules([Rule("GET /idle"), Rule("GET /busy"), Rule("GET /whole"), Rule("GET /crash")])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while scope["type"] == "lifespan":
            step = (await receive())["type"]
            await send({"type": f"{step}.complete"})
            if step == "lifespan.shutdown":
                return
        if scope["path"] == "/crash":
            raise RuntimeError("a crash, on purpose")
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        try:
            await send({"type": "http.response.body", "body": EVENT, "more_body": True})
            while scope["path"] == "/busy":
                await anyio.sleep(0.05)
                await send({"type": "http.response.body", "body": EVENT, "more_body": True})
            if scope["path"] == "/idle":
                await anyio.sleep_forever()
            await send({"type": "http.response.body", "body": EVENT})
        finally:
            say("the application has ended")

    return GuardMiddleware(app, guard)


def starlette(guard: Guard) -> ASGIApp:
    """Starlette's own responses, which listen for a disconnect while they stream."""

    async def events(path: str) -> AsyncIterator[bytes]:
        try:
            yield EVENT
            while path == "/busy":
                await anyio.sleep(0.05)
                yield EVENT
            if path == "/idle":
                await anyio.sleep_forever()
            yield EVENT
        finally:
            say("the application has ended")

    @needs()
    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(events(request.url.path), media_type="text/event-stream")

    @needs()
    async def crash(_: Request) -> PlainTextResponse:
        raise RuntimeError("a crash, on purpose")

    routes = [Route(path, stream) for path in ("/idle", "/busy", "/whole")]
    app = Starlette(routes=[*routes, Route("/crash", crash)])
    protect(app, guard)
    return app


def sockets(guard: Guard) -> ASGIApp:
    """A socket that says what it hears, and may be renewed."""

    @needs()
    async def echo(socket: WebSocket) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(f"heard {text}")

    app = Starlette(routes=[WebSocketRoute("/echo", echo)])
    protect(app, guard, socket_renewal=True)
    return app


class Passing(BaseHTTPMiddleware):
    """A middleware that ends answers by itself when what it is put round raises."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        return await call_next(request)


def wrapped(guard: Guard) -> ASGIApp:
    """The same, with middleware outside of the guard."""
    return Passing(starlette(guard))


def wrapped_twice(guard: Guard) -> ASGIApp:
    """The same, with more of it."""
    return Passing(Passing(starlette(guard)))


def wsgi() -> Flask:
    """A Flask application whose streams have a heartbeat."""
    app = Flask(__name__)
    guard = guard_over(os.environ["GUESTPASS_STORE"])[0]

    def events(whole: bool) -> Iterator[bytes]:
        try:
            yield EVENT
            while not whole:
                time.sleep(0.05)
                yield b": still here\n\n"
            yield EVENT
        finally:
            say("the application has ended")

    @app.get("/busy")
    @needs()
    def busy() -> FlaskResponse:
        return FlaskResponse(events(whole=False), mimetype="text/event-stream")

    @app.get("/whole")
    @needs()
    def whole() -> FlaskResponse:
        return FlaskResponse(events(whole=True), mimetype="text/event-stream")

    @app.get("/file")
    @needs()
    def file() -> FlaskResponse:
        return FlaskResponse(pieces(), mimetype="application/octet-stream", headers={"Content-Length": "6"})

    def pieces() -> Iterable[bytes]:
        yield b"one"
        yield b"two"

    flask.protect(app, guard)
    return app


def daphne_over_tls(post: Post) -> None:
    """Daphne, which speaks HTTP/2 over TLS alone, with a certificate that nobody has to trust."""
    # Without types.
    server_of: Any = import_module("daphne.server").Server
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
        .sign(key, SHA256())
        .public_bytes(Encoding.PEM)
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(private + certificate)
        file.flush()
        server: Any = server_of(
            post.app,
            endpoints=[f"ssl:port=0:interface=127.0.0.1:privateKey={file.name}:certKey={file.name}"],
            ready_callable=lambda: post.announce(server.listening_addresses[0][1]),
        )
        server.run()


def main(server: str, application: str, store: str) -> None:
    """Serve an application above, and print the port."""
    guard = guard_over(store)[0]
    app = globals()[application](guard)

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/watched":
            await app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(len(guard._watchers)).encode()})

    post = Post(watched, lambda port: say(json.dumps({"port": port})))
    (daphne_over_tls if server == "daphne_over_tls" else SERVERS[server])(post)


if __name__ == "__main__":
    main(*sys.argv[1:])
