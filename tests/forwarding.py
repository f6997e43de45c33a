"""A proxy in front of an application, without the network: what each one asks the forward-auth application, and what it
makes of the answer. `real/test_proxies.py` holds the real programs to the same.
"""

from collections.abc import Sequence

from guestpass.asgi import ASGIApp, Message, Receive, Scope, Send
from guestpass.forward_auth import ProxyName, forward_auth
from guestpass.guard import Guard
from guestpass.identity_headers import read_identity_headers
from support import Outcome, call, echo

PROXIES: Sequence[ProxyName] = ("nginx", "traefik", "caddy", "envoy")
PREFIX = "/check"
PEER = ("127.0.0.1", 50_000)


def question(proxy: ProxyName, scope: Scope) -> Scope:
    """What `proxy` asks when the request or the handshake of `scope` comes in."""
    socket = scope["type"] == "websocket"
    method = "GET" if socket else scope["method"]
    sent: bytes = scope["raw_path"]
    query: bytes = scope["query_string"]
    target = sent + (b"?" + query if query else b"")
    said = {b"x-original-upgrade": b"websocket" if socket else b"-"}
    if proxy == "nginx":
        said |= {b"x-original-method": method.encode(), b"x-original-uri": target}
    elif proxy != "envoy":
        said |= {b"x-forwarded-method": method.encode(), b"x-forwarded-uri": target, b"x-forwarded-for": b"192.0.2.1"}
    headers = [(name, value) for name, value in scope["headers"] if name not in said] + list(said.items())
    asked: Scope = {
        "type": "http",
        "asgi": scope["asgi"],
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": PEER,
        "server": ("127.0.0.1", 9000),
    }
    if proxy == "envoy":
        path = PREFIX.encode() + sent
        own = {"method": method, "path": path.decode("latin-1"), "raw_path": path, "query_string": query}
        return {**asked, **own, "headers": joined(headers)}
    return asked


def joined(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers of one name as Envoy joins them."""
    by_name: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        by_name.setdefault(name, []).append(value)
    return [(name, b",".join(values)) for name, values in by_name.items()]


def as_client_sees(proxy: ProxyName, answered: Outcome) -> tuple[int, dict[str, str], bytes]:
    """What a client is answered whose request is refused: by nginx, what the example configuration makes of it."""
    headers = answered.headers
    if proxy != "nginx":
        return answered.status, headers, answered.body
    assert answered.status in (401, 403)
    kept = ("content-type", "cache-control", "vary", "www-authenticate", "retry-after")
    shown = {name: headers[name] for name in kept if name in headers}
    return int(headers["guestpass-status"]), shown, headers["guestpass-problem"].encode()


def behind(proxy: ProxyName, guard: Guard, *, root_path: str = "") -> ASGIApp:
    """An application that says what it sees, behind `proxy`, which asks about every request."""
    prefix = PREFIX if proxy == "envoy" else ""
    asked = forward_auth(
        guard, proxy=proxy, trusted=["127.0.0.1"], sockets=True, root_path=root_path, path_prefix=prefix
    )

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        answered = await call(asked, question(proxy, scope))
        if answered.status == 200:
            left = answered.headers.get("sec-websocket-protocol")
            subprotocols = [] if left is None else left.split(", ")
            principal = read_identity_headers(answered.headers.items())
            await echo({**scope, "principal": principal, "subprotocols": subprotocols}, receive, send)
            return
        status, headers, body = as_client_sees(proxy, answered)
        kind = "http.response" if scope["type"] == "http" else "websocket.http.response"
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        start: Message = {"type": f"{kind}.start", "status": status, "headers": raw}
        await send(start)
        await send({"type": f"{kind}.body", "body": b"" if scope.get("method") == "HEAD" else body})

    return door
