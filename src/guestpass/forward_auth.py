"""The forward-auth door: an application that a reverse proxy asks about each request before it passes the request on.

For nginx's `auth_request`, Traefik's `ForwardAuth`, Caddy's `forward_auth` and Envoy's `ext_authz` over HTTP. Knows in
which headers each of them says what it was asked for, and what each makes of an answer; decides nothing. It is ASGI
alone: a WSGI server joins headers of one name, and then nobody can tell one from two.
"""

import logging
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, cast
from urllib.parse import unquote

from guestpass.asgi import decide, is_preflight, request_of
from guestpass.asgi_types import ASGIApp, Receive, Scope, Send
from guestpass.credentials import without_pairs
from guestpass.door_settings import check_settings
from guestpass.errors import ConfigurationError
from guestpass.guard import ANYONE, Guard, seen_by_application
from guestpass.identity_headers import NOTHING, identity_headers
from guestpass.principal import Principal
from guestpass.problems import Answer, Headers, Renderer, render
from guestpass.refusals import Refusal
from guestpass.requests import canonical

__all__ = ["forward_auth"]

log = logging.getLogger("guestpass")

ProxyName: TypeAlias = Literal["nginx", "traefik", "caddy", "envoy"]

UPGRADE: Final = b"x-original-upgrade"
"""The header in which a proxy says to what it would upgrade the connection; no proxy does so by itself."""

MAX_PROBLEM: Final = 2_048
"""Bytes of a refusal's body that nginx is told in a header."""

# RFC 9112 section 3.2.1. Above all no fragment: one server cuts it off the path, another does not.
_TARGET = re.compile(rb"/[\x21\x22\x24-\x7e]*\Z")
_ONE_LINE = re.compile(rb"[\x20-\x7e]+\Z")


@dataclass(frozen=True, slots=True)
class _Proxy:
    """How one proxy asks. `method` and `target` are its headers with the line that makes it send them, None where the
    question itself has the method and the path of the request. `joins`: it joins headers of one name with commas.
    `three_answers`: it knows 2xx, 401 and 403 alone."""

    method: tuple[bytes, str] | None
    target: tuple[bytes, str] | None
    upgrade: str
    joins: bool = False
    three_answers: bool = False


_BY_ITSELF: Final = "the proxy sends it by itself, unless the list of headers for this application leaves it out"
_FORWARDED: Final = ((b"x-forwarded-method", _BY_ITSELF), (b"x-forwarded-uri", _BY_ITSELF))

_PROXIES: Final[Mapping[str, _Proxy]] = MappingProxyType(
    {
        "nginx": _Proxy(
            (b"x-original-method", "proxy_set_header X-Original-Method $request_method;"),
            (b"x-original-uri", "proxy_set_header X-Original-URI $request_uri;"),
            "proxy_set_header X-Original-Upgrade $guestpass_upgrade;",
            three_answers=True,
        ),
        "traefik": _Proxy(*_FORWARDED, "a headers middleware before this one, with customRequestHeaders"),
        "caddy": _Proxy(*_FORWARDED, "request_header X-Original-Upgrade …"),
        "envoy": _Proxy(None, None, "an envoy.filters.http.header_mutation filter before ext_authz", joins=True),
    }
)


def forward_auth(
    guard: Guard,
    *,
    proxy: ProxyName,
    trusted: Collection[str],
    sockets: bool = False,
    root_path: str = "",
    path_prefix: str = "",
    preflight: Literal["refuse", "pass"] = "refuse",
    render: Renderer = render,
) -> ASGIApp:
    """The application for `proxy` to ask: ``forward_auth(guard, proxy="nginx", trusted=["127.0.0.1"])``.

    A request that is let in is answered with 200 and every header of `guestpass.identity_headers`, for the proxy to put
    on it in place of what the client sent; one that is not, with its refusal. nginx knows 401 and 403 alone, so there
    status and body stand in headers too (`Guestpass-Status`, `Guestpass-Refusal`, `Guestpass-Problem`).

    - `trusted`: who may ask: addresses and networks (``10.1.0.0/24``), ``"unix"`` for a Unix domain socket. Anybody
      else is refused.
    - `sockets`: WebSocket handshakes pass too, and the proxy says in `X-Original-Upgrade` what it upgrades to:
      ``websocket``, or ``-`` where it does not. Without it a handshake is refused.
    - `root_path`: what stands before the paths that the rules are written for, as in an ASGI scope.
    - `path_prefix`: what Envoy puts before the path of the request in its question.
    - `preflight`: ``"pass"`` lets CORS preflights through to the upstream unjudged; ``"refuse"`` does not.
    - `render`: turns a refusal into an answer.

    Raises `ConfigurationError` for a policy without rules, and for settings that cannot work.
    """
    check_settings(guard.policy)
    if proxy not in _PROXIES:
        raise ConfigurationError(f"forward_auth(proxy={proxy!r}): one of {', '.join(map(repr, _PROXIES))}")
    if preflight not in ("refuse", "pass"):
        raise ConfigurationError(f'forward_auth(preflight={preflight!r}): "refuse" or "pass"')
    for name, path in (("root_path", root_path), ("path_prefix", path_prefix)):
        if path and (path[0] != "/" or path[-1] == "/"):
            raise ConfigurationError(f'forward_auth({name}={path!r}): a path such as "/api"')
    if path_prefix and proxy != "envoy":
        raise ConfigurationError('forward_auth(path_prefix=…): that is for proxy="envoy"; see root_path')
    return ForwardAuth(
        guard, _PROXIES[proxy], _Peers(trusted), sockets, root_path, path_prefix, preflight == "pass", render
    )


class _Misasked(Exception):
    """Nobody can tell what was asked, or the one who asks is not the proxy: for the operator to see to."""


@dataclass(frozen=True, slots=True, eq=False)
class ForwardAuth:
    """What `forward_auth` makes."""

    guard: Guard
    proxy: _Proxy
    peers: "_Peers"
    sockets: bool
    root_path: str
    path_prefix: str
    preflight: bool
    render: Renderer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one question."""
        kind = scope["type"]
        if kind == "lifespan":
            await _live(receive, send)
            return
        if kind == "websocket":
            log.error("forward auth: asked by a handshake: have the proxy leave out Upgrade and Connection")
            await receive()
            await send({"type": "websocket.close", "code": Refusal("internal_error").close_code})
            return
        if kind != "http":
            raise RuntimeError(f"guestpass lets no {kind!r} connection through: it cannot judge one")
        answer = await self._answer(scope)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body})

    async def _answer(self, question: Scope) -> Answer:
        try:
            asked = self._asked_about(question)
            request = request_of(asked)
            handed_on = self.preflight and is_preflight(asked) and self.guard.reads_one_way(request)
            proof = ANYONE if handed_on else await decide(self.guard, request)
            if isinstance(proof, Principal):
                return self._let_in(proof, asked)
        except (_Misasked, ValueError) as problem:
            log.error("forward auth: %s; nobody was let in", problem)
            proof = Refusal("internal_error")
        return self._refused(proof)

    def _asked_about(self, question: Scope) -> Scope:
        """The scope that the request would have at the upstream."""
        self.peers.check(question)
        headers: Headers = list(question["headers"])
        if self.proxy.method is None or self.proxy.target is None:
            method, target = question["method"], self._own_target(question)
        else:
            method = _one(headers, *self.proxy.method).decode("latin-1")
            target = _one(headers, *self.proxy.target)
        path, _, query = target.partition(b"?")
        if self.proxy.joins:
            headers = list(_each(headers))
        socket = self._is_handshake(method, headers)
        return {
            "type": "websocket" if socket else "http",
            "method": method,
            # What is no target has no path, which is nobody's to read.
            "path": unquote(path.decode("ascii")) if _TARGET.match(target) else "",
            "raw_path": path,
            "query_string": query,
            "root_path": self.root_path,
            "headers": headers,
            "subprotocols": _subprotocols(headers) if socket else [],
        }

    def _own_target(self, question: Scope) -> bytes:
        raw: bytes | None = question.get("raw_path")
        if raw is None:
            raise _Misasked("this server does not show paths as they were sent (raw_path); take uvicorn or hypercorn")
        path, prefix = raw.partition(b"?")[0], self.path_prefix.encode()
        if not path.startswith(prefix):
            raise _Misasked(f"asked for a path that does not begin with path_prefix={self.path_prefix!r}")
        query: bytes = question.get("query_string") or b""
        return path[len(prefix) :] + (b"?" + query if query else b"")

    def _is_handshake(self, method: str, headers: Headers) -> bool:
        """Whether the proxy would make a WebSocket of it: by its own word alone, since a client can send any header."""
        if not self.sockets:
            if any(canonical(name) == b"sec-websocket-key" for name, _ in headers):
                raise _Misasked("asked about a WebSocket handshake: forward_auth(…, sockets=True) lets them through")
            return False
        upgrade = _one(headers, UPGRADE, self.proxy.upgrade, empty=True).lower()
        if upgrade in (b"", b"-"):
            return False
        if upgrade != b"websocket" or method != "GET":
            raise _Misasked("asked about an upgrade that is no WebSocket handshake: have the proxy leave out Upgrade")
        return True

    def _let_in(self, proof: Principal, asked: Scope) -> Answer:
        """The answer to a request that is let in. Raises ValueError for a principal that does not fit into headers."""
        offered = cast("list[str]", asked["subprotocols"])
        announced, left = without_pairs(offered)
        named = [*identity_headers(seen_by_application(proof)), ("Guestpass-Subprotocol", announced or NOTHING)]
        headers: Headers = [(name.lower().encode(), value.encode()) for name, value in named]
        if left := [protocol for protocol in left if protocol]:
            headers.append((b"sec-websocket-protocol", ", ".join(left).encode("latin-1")))
        elif offered and self.proxy.joins:
            # Envoy replaces a header by the answer's; to take one away it has to be told.
            headers.append((b"x-envoy-auth-headers-to-remove", b"sec-websocket-protocol"))
        always = ((b"cache-control", b"no-store"), (b"vary", b"Authorization"), (b"content-length", b"0"))
        return Answer(200, [*headers, *always], b"")

    def _refused(self, refusal: Refusal) -> Answer:
        answer = self.render(refusal, self.guard.realm)
        if 200 <= answer.status < 300:
            log.error("forward auth: render answers %s to a refusal, which would let everybody in", answer.status)
            answer = render(Refusal("internal_error"), self.guard.realm)
        if not self.proxy.three_answers:
            return answer
        body = answer.body if _fits(answer.body) else render(refusal, self.guard.realm).body
        told: Headers = [
            (b"guestpass-status", str(answer.status).encode()),
            (b"guestpass-refusal", refusal.code.encode()),
            (b"guestpass-problem", body),
        ]
        return Answer(401 if answer.status == 401 else 403, [*answer.headers, *told], answer.body)


class _Peers:
    """Who may ask."""

    def __init__(self, trusted: Collection[str]) -> None:
        if isinstance(trusted, str) or not trusted:
            raise ConfigurationError('forward_auth(trusted=…): the addresses of the proxy: ["127.0.0.1"], or ["unix"]')
        self._unix = "unix" in trusted
        self._networks: list[IPv4Network | IPv6Network] = []
        for written in trusted:
            if written == "unix":
                continue
            try:
                network = ip_network(written)
            except ValueError as problem:
                raise ConfigurationError(f"forward_auth(trusted=[{written!r}]): {problem}") from None
            if network.prefixlen == 0:
                raise ConfigurationError(f"forward_auth(trusted=[{written!r}]): that is everybody; name the proxy")
            self._networks.append(network)

    def check(self, question: Scope) -> None:
        """Raise `_Misasked` unless one of them asks."""
        client = question.get("client")
        if client is None:
            # Over TCP too a server may not know who asked: who has gone again, for one.
            server = question.get("server")
            if self._unix and (server is None or server[1] is None):
                return
            raise _Misasked('asked by a peer without an address, and trusted=… has no "unix"')
        host: str = client[0]
        if not any(address in network for address in _addresses(host) for network in self._networks):
            raise _Misasked(
                f"asked by {host!r}, which is not in trusted=…; if that is the proxy's own client, "
                "have the server leave X-Forwarded-For alone (uvicorn --no-proxy-headers)"
            )


def _addresses(host: str) -> Iterable[IPv4Address | IPv6Address]:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return []
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return [mapped or address]


def _one(headers: Headers, name: bytes, line: str, *, empty: bool = False) -> bytes:
    """The value of a header that has to stand there exactly once."""
    values = [value.strip(b" \t") for key, value in headers if canonical(key) == name]
    if len(values) > 1:
        raise _Misasked(
            f"{name.decode()} stands there {len(values)} times: the proxy has to replace what a client sends"
        )
    if not values or not (values[0] or empty):
        raise _Misasked(f"{name.decode()} is missing: {line}")
    return values[0]


def _each(headers: Headers) -> Iterable[tuple[bytes, bytes]]:
    """Headers as they were before a proxy joined those of one name. Nothing that the guard reads holds a comma
    otherwise, but an Origin, which is then nobody's; as in `guestpass.wsgi`."""
    for name, value in headers:
        for part in (value,) if canonical(name) == b"origin" else value.split(b","):
            yield name, part


def _subprotocols(headers: Headers) -> list[str]:
    # By this one name alone, as a server reads them.
    values = [value for name, value in headers if name.lower() == b"sec-websocket-protocol"]
    return [protocol.strip(b" \t").decode("latin-1") for value in values for protocol in value.split(b",")]


def _fits(body: bytes) -> bool:
    return len(body) <= MAX_PROBLEM and _ONE_LINE.match(body) is not None


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
