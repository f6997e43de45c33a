"""How an application finds its caller."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import litestar
import pytest
import quart
import starlette.requests
import starlette.websockets
import werkzeug
from django.core.handlers.asgi import ASGIRequest  # type: ignore[import-untyped]
from django.core.handlers.wsgi import WSGIRequest  # type: ignore[import-untyped]

import framework_apps  # noqa: F401 - Django's requests want its settings
from guestpass import NoPrincipal, NotGuarded, Principal, principal_of
from guestpass.access import ENVIRON_KEY
from support import build, http_scope, socket_scope
from wsgi_support import environ_of


class Carrier:
    """A request or a WebSocket, of whatever framework."""

    def __init__(self, **carried: Any) -> None:
        for name, value in carried.items():
            setattr(self, name, value)


@pytest.fixture
def principal() -> Principal:
    return build().minter()


def test_a_principal_is_found_in_everything_that_carries_one(principal: Principal) -> None:
    for source in (
        {"principal": principal},
        {ENVIRON_KEY: principal},
        Carrier(scope={"principal": principal}),
        Carrier(environ={ENVIRON_KEY: principal}),
        Carrier(scope=None, environ={ENVIRON_KEY: principal}),
    ):
        assert principal_of(source) is principal
        assert principal_of(source, None) is principal


async def _nothing(*_: Any) -> Any:
    raise AssertionError("nobody reads or writes here")


def _quart_request(scope: Any) -> Any:
    async def push(path: str, headers: Any) -> None:
        raise AssertionError("nothing is pushed here")

    return quart.Request(
        "GET", "http", "/", b"", werkzeug.datastructures.Headers(), "", "1.1", scope, send_push_promise=push
    )


REQUESTS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "Starlette": ("principal", lambda scope: starlette.requests.Request(scope)),
    "Litestar": ("principal", lambda scope: litestar.Request(scope)),
    "Quart": ("principal", _quart_request),
    "Django over ASGI": ("principal", lambda scope: ASGIRequest(scope, BytesIO())),
    "Django over WSGI": (ENVIRON_KEY, lambda environ: WSGIRequest(environ)),
    "Flask": (ENVIRON_KEY, lambda environ: werkzeug.Request(environ)),
}
"""The requests of frameworks, and the key at which what they carry has the principal."""


@pytest.mark.parametrize("framework", REQUESTS)
def test_every_frameworks_request_carries_one(framework: str, principal: Principal) -> None:
    key, request_of = REQUESTS[framework]

    def carried() -> Any:
        return environ_of("GET", "/") if key == ENVIRON_KEY else http_scope("GET", "/")

    assert principal_of(request_of({**carried(), key: principal})) is principal
    assert principal_of(request_of({**carried(), key: None}), None) is None
    with pytest.raises(NotGuarded):
        principal_of(request_of(carried()))


def test_so_does_a_websocket(principal: Principal) -> None:
    scope: Any = {**socket_scope("/"), "principal": principal}
    sockets: list[object] = [starlette.websockets.WebSocket(scope, _nothing, _nothing), litestar.WebSocket(scope)]
    for socket in sockets:
        assert principal_of(socket) is principal


def test_on_a_public_route_there_is_nobody() -> None:
    for source in ({"principal": None}, {ENVIRON_KEY: None}, Carrier(scope={"principal": None})):
        with pytest.raises(NoPrincipal, match="public"):
            principal_of(source)
        assert principal_of(source, None) is None
        assert principal_of(source, "nobody") == "nobody"


def test_what_is_no_principal_is_nobody() -> None:
    # Whatever another middleware left there.
    for impostor in ("admin", True, object(), {"kind": "secret_key"}):
        assert principal_of({"principal": impostor}, None) is None


def test_where_no_guard_ran_the_error_names_the_line_to_add() -> None:
    for source in ({}, {"user": "admin"}, Carrier(scope={}), Carrier(environ={})):
        with pytest.raises(NotGuarded, match=r"GuardMiddleware\(app, guard\)"):
            principal_of(source)
        # A default is for public routes; a missing guard is a mistake all the same.
        with pytest.raises(NotGuarded):
            principal_of(source, None)


@pytest.mark.parametrize("source", [None, 7, "scope", object(), Carrier(scope="x")])
def test_what_carries_no_request_is_a_mistake(source: object) -> None:
    with pytest.raises(TypeError, match="a scope, an environ or a request"):
        principal_of(source)
