"""The ASGI door: a guard around any ASGI application, for HTTP and WebSocket, on asyncio and trio.

Knows scopes and messages, and decides nothing. `lifespan` passes; a scope type that is unknown is refused.
"""

import logging
from collections.abc import Awaitable, Collection, Generator, Sequence
from functools import partial
from typing import Final, Literal, cast
from urllib.parse import quote

from guestpass.asgi_types import ASGIApp, Message, Receive, Scope, Send
from guestpass.concurrency.tasks import current_task
from guestpass.credentials import without_pairs
from guestpass.door_settings import check_settings
from guestpass.errors import ConfigurationError
from guestpass.explaining.tracing import Decides
from guestpass.guard import ANYONE, UNNAMED, Guard, seen_by_application
from guestpass.inquiry import drive_async
from guestpass.live.answers import Answer
from guestpass.live.life import Life
from guestpass.live.long_answers import EVENT_STREAM, EndStreams, LongAnswers
from guestpass.live.sockets import serve_socket
from guestpass.live.streams import Streams
from guestpass.paths import below_root
from guestpass.principal import Principal
from guestpass.problems import Renderer, render, vary_by_credential
from guestpass.proving import Proof
from guestpass.refusals import Refusal
from guestpass.requests import IDENTITY_PREFIX, Headers, Request, canonical
from guestpass.rules import WEBSOCKET

__all__ = ["ASGIApp", "GuardMiddleware", "Message", "Nobody", "Receive", "Scope", "Send", "check_settings"]

log = logging.getLogger("guestpass")


class GuardMiddleware:
    """Lets `app` see only what `guard` admits: ``GuardMiddleware(app, guard)``.

    - `allow_origins`: the web origins whose pages may call the API; the door then answers CORS preflights and makes
      refusals readable to the page's script.
    - `preflight`: ``"pass"`` hands CORS preflights to the application unjudged; ``"refuse"`` does not.
    - `websocket_refusal`: ``"close"`` refuses a handshake with an HTTP answer where the server can, else by closing
      before it accepts; ``"accept"`` accepts and closes at once, so that a page's script sees the close code.
    - `end_streams`: the content types of answers that are broken off when the credential that they were given to ends:
      ``"all"`` for every answer, ``()`` for none. A client sees a lost connection, never a clean end.
    - `socket_renewal`: lets a client present a fresh credential on an open socket, and stay: see
      `guestpass.live.renewal`.
    - `render`: turns a refusal into an answer.

    A socket is closed when its credential ends, always. Raises `ConfigurationError` for a policy without rules.
    """

    def __init__(
        self,
        app: ASGIApp,
        guard: Guard,
        *,
        allow_origins: Collection[str] = (),
        preflight: Literal["refuse", "pass"] = "refuse",
        websocket_refusal: Literal["close", "accept"] = "close",
        end_streams: EndStreams = EVENT_STREAM,
        socket_renewal: bool = False,
        render: Renderer = render,
    ) -> None:
        check_settings(guard.policy, allow_origins)
        if preflight not in ("refuse", "pass"):
            raise ConfigurationError(f'preflight={preflight!r}: "refuse" or "pass"')
        if websocket_refusal not in ("close", "accept"):
            raise ConfigurationError(f'websocket_refusal={websocket_refusal!r}: "close" or "accept"')
        self.app: Final = app
        self.guard: Final = guard
        self._preflight = preflight == "pass"
        self._accept_to_close = websocket_refusal == "accept"
        self._streams = Streams(guard, decide, LongAnswers(end_streams))
        self._renewal = socket_renewal
        self._render = render
        self._cross_origin: ASGIApp | None = None
        if allow_origins:
            within = GuardMiddleware(
                app,
                guard,
                preflight=preflight,
                websocket_refusal=websocket_refusal,
                end_streams=end_streams,
                socket_renewal=socket_renewal,
                render=render,
            )
            self._cross_origin = cross_origin(within, guard, allow_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        kind = scope["type"]
        if self._cross_origin is not None:
            await self._cross_origin(scope, receive, send)
            return
        if kind != "http":
            await self._serve_other(kind, scope, receive, send)
            return
        whole_path, root, raw_path = scope["path"], scope.get("root_path"), scope.get("raw_path")
        path, headers = below_root(whole_path, root) if root else whole_path, scope["headers"]
        method: str = scope["method"]
        try:
            principal = self.guard.recall(method, path, whole_path, raw_path, headers)
        except Exception:
            log.exception("the guard could not recall anybody; the request is judged anew")
            principal = None
        if principal is None:
            request = request_of(scope)
            principal = await self._judge(request, scope, receive, send)
            if principal is None:
                return
            if principal is ANYONE or principal is UNNAMED:
                # There is no credential that could end.
                await self.app(scope, receive, send if principal is ANYONE else _varying(send))
                return
            method = request.method
        else:
            scope["principal"] = scope["user"] = scope["auth"] = principal
            # A list of its own: servers append to theirs what comes after the body, when nobody looks at it any more.
            scope["headers"] = [*headers]
            if root:
                _route_as_judged(scope)
        asked = (method, path, whole_path, raw_path, scope.get("query_string") or b"", headers)
        answer = Answer(self._streams, principal, asked, receive, send)
        try:
            answer.host, on_asyncio = current_task(), True
        except RuntimeError:
            on_asyncio = False
        if not on_asyncio:
            # So trio, where what may have to be cancelled needs its scope from the start. Not while that is handled:
            # it would stand in every traceback of the application's.
            await answer.serve_in_company(self.app, scope)
            return
        try:
            await self.app(scope, answer.receive, answer.send)
        except BaseException as problem:
            if answer.stream is not None:
                await answer.stream.close(problem)
            raise
        if answer.stream is not None:
            await answer.stream.close(None)

    async def _serve_other(self, kind: str, scope: Scope, receive: Receive, send: Send) -> None:
        if kind == "lifespan":
            await self.app(scope, receive, send)
            return
        if kind != "websocket":
            raise RuntimeError(f"guestpass lets no {kind!r} connection through: it cannot judge one")
        request = request_of(scope)
        principal = await self._judge(request, scope, receive, send)
        if principal is None:
            return
        send = _accepting(_take_out_pair(scope), send)
        if scope["principal"] is None:
            await self.app(scope, receive, send)
            return
        renewed = partial(_show_principal, scope) if self._renewal else None
        await serve_socket(self.app, scope, receive, send, Life(self.guard, principal, request, decide), renewed)

    async def _judge(self, request: Request, scope: Scope, receive: Receive, send: Send) -> Principal | None:
        """Whom the guard lets in by what it decides, shown to the application; None where it was refused."""
        handed_on = self._preflight and is_preflight(scope) and self.guard.reads_one_way(request)
        proof = ANYONE if handed_on else await decide(self.guard, request)
        if not isinstance(proof, Principal):
            await self._refuse(proof, scope, receive, send)
            return None
        _show(scope, proof)
        _route_as_judged(scope)
        return proof

    async def _refuse(self, refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._render(refusal, self.guard.realm)
        head: Message = {"status": answer.status, "headers": answer.headers}
        if scope["type"] == "http":
            body = b"" if scope["method"] == "HEAD" else answer.body
            await send({"type": "http.response.start", **head})
            await send({"type": "http.response.body", "body": body})
            return
        message = await receive()
        if message["type"] != "websocket.connect":
            return
        if not self._accept_to_close and "websocket.http.response" in (scope.get("extensions") or {}):
            await send({"type": "websocket.http.response.start", **head})
            await send({"type": "websocket.http.response.body", "body": answer.body})
            return
        if self._accept_to_close:
            await send({"type": "websocket.accept", "subprotocol": _take_out_pair(scope)})
        await send({"type": "websocket.close", "code": refusal.close_code, "reason": refusal.code})


def cross_origin(app: ASGIApp, guard: Guard, allow_origins: Collection[str]) -> ASGIApp:
    """`app` behind Starlette's CORS middleware, set to what the policy of `guard` has."""
    from starlette.middleware.cors import CORSMiddleware

    return CORSMiddleware(
        app,
        allow_origins=list(allow_origins),
        allow_methods=sorted(guard.policy.methods),
        allow_headers=["Authorization", "Content-Type", guard.account_header],
        expose_headers=["WWW-Authenticate", "Retry-After"],
    )


async def decide(guard: Decides, request: Request) -> Proof:
    """The verdict of `guard`; a refusal where it fails."""
    try:
        verdict = guard.decide(request)
        if isinstance(verdict, Principal):
            return verdict
        return await drive_async(verdict) if isinstance(verdict, Generator) else verdict
    except Exception:
        log.exception("the guard failed; nobody was let in")
        return Refusal("internal_error")


def request_of(scope: Scope) -> Request:
    """An ASGI scope as the guard sees it."""
    whole: str = scope["path"]
    root: str | None = scope.get("root_path")
    http = scope["type"] == "http"
    return Request(
        # Over HTTP/2 a server may pass on any method, also a handshake's name here; it is to be no other's either.
        scope["method"].replace("(", "?") if http else WEBSOCKET,
        below_root(whole, root) if root else whole,
        whole,
        scope.get("raw_path"),
        scope.get("query_string") or b"",
        scope["headers"],
        () if http else _offered(scope),
    )


class Nobody:
    """What Starlette's own tools expect at ``scope["user"]`` and ``scope["auth"]`` of a public request."""

    is_authenticated: Final = False
    display_name: Final = ""
    identity: Final = ""
    scopes: Final[Sequence[str]] = []


def _show_principal(scope: Scope, principal: Principal) -> None:
    seen = seen_by_application(principal)
    scope["principal"] = seen
    scope["user"] = scope["auth"] = Nobody() if seen is None else seen


# What the names of the guard's own headers begin with. No text of bytes: to look for bytes in one costs an exception.
_OWN: Final = frozenset({b"g", b"G"})


def _show(scope: Scope, principal: Principal) -> None:
    """Put into `scope` what the application is to see, and take out what it is not."""
    _show_principal(scope, principal)
    headers: Headers = scope["headers"]
    # A list of its own: servers append to theirs what comes after the body, when nobody looks at it any more.
    scope["headers"] = [
        entry for entry in headers if entry[0][:1] not in _OWN or not canonical(entry[0]).startswith(IDENTITY_PREFIX)
    ]


def _route_as_judged(scope: Scope) -> None:
    """Put a root that the path does not begin with before it, as the ASGI specification has it: a router that cuts the
    root off would otherwise take the path for another below a mount."""
    root: str = scope.get("root_path") or ""
    if root == "/":
        scope["root_path"] = ""
    if root in ("", "/") or scope["path"].startswith(root):
        return
    if root.endswith("/"):
        # Before the path it would make an empty segment, which routers read in their own ways.
        scope["root_path"] = ""
        return
    scope["path"] = root + scope["path"]
    if scope.get("raw_path") is not None:
        scope["raw_path"] = quote(root).encode() + scope["raw_path"]


def _offered(scope: Scope) -> Sequence[str]:
    """The subprotocols that a client offers. They may come in several headers (RFC 6455 section 11.3.4), of which a
    server may show the last alone."""
    shown = cast("Sequence[str]", scope.get("subprotocols") or ())
    sent = [value for name, value in scope["headers"] if name.lower() == b"sec-websocket-protocol"]
    if len(sent) < 2:
        return shown
    return [part for part in (part.strip() for part in b",".join(sent).decode("latin-1").split(",")) if part]


def _take_out_pair(scope: Scope) -> str | None:
    """Take the credential's pair out of the subprotocols; answers the name to accept with, where the server would."""
    shown = cast("Sequence[str]", scope.get("subprotocols") or ())
    name, left = without_pairs(_offered(scope))
    if name is None:
        return None
    scope["subprotocols"] = left
    headers = [entry for entry in scope["headers"] if entry[0].lower() != b"sec-websocket-protocol"]
    if left:
        headers.append((b"sec-websocket-protocol", ", ".join(left).encode()))
    scope["headers"] = headers
    return name if name in shown else None


def _accepting(name: str | None, send: Send) -> Send:
    """`send` that accepts with the pair's name where the application names no subprotocol of its own: a browser
    drops a connection whose server takes up none of what it offered."""
    if name is None:
        return send

    def accept(message: Message) -> Awaitable[None]:
        if message["type"] == "websocket.accept" and not message.get("subprotocol"):
            message = {**message, "subprotocol": name}
        return send(message)

    return accept


def _varying(send: Send) -> Send:
    def vary(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            message = {**message, "headers": vary_by_credential(message.get("headers") or ())}
        return send(message)

    return vary


def is_preflight(scope: Scope) -> bool:
    """Whether this is a CORS preflight."""
    if scope["type"] != "http" or scope["method"] != "OPTIONS":
        return False
    named = {name.lower() for name, _ in scope["headers"]}
    return b"origin" in named and b"access-control-request-method" in named
