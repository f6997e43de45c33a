"""The FastAPI door: `protect`, `Caller` for whoever is calling, and what the OpenAPI document says of it all."""

from collections.abc import Callable, Collection
from typing import Annotated, Any, Literal, TypeAlias

try:
    from fastapi import Depends, FastAPI
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError('guestpass.fastapi needs FastAPI: pip install "guestpass[fastapi]"') from missing
from starlette.requests import HTTPConnection

from guestpass import starlette
from guestpass.access import principal_of
from guestpass.guard import Guard
from guestpass.live.long_answers import EVENT_STREAM, EndStreams
from guestpass.policy import Policy
from guestpass.principal import Principal
from guestpass.problems import Renderer, render
from guestpass.routing.starlette_routes import read_routes
from guestpass.rules import Rule, needs

__all__ = ["Caller", "OptionalCaller", "needs", "protect"]

SCHEME = "guestpass"


# Async, since FastAPI runs a plain function in a thread, and this one only reads the scope.
async def _caller(connection: HTTPConnection) -> Principal:
    return principal_of(connection)


async def _optional_caller(connection: HTTPConnection) -> Principal | None:
    return principal_of(connection, None)


Caller: TypeAlias = Annotated[Principal, Depends(_caller)]
"""Who is calling: ``async def call_logs(caller: Caller)``. On a public route it raises `guestpass.NoPrincipal`."""

OptionalCaller: TypeAlias = Annotated[Principal | None, Depends(_optional_caller)]
"""Who is calling, or None on a public route without a credential."""


def protect(
    app: FastAPI,
    guard: Guard,
    *,
    issuing: str | None = None,
    allow_origins: Collection[str] = (),
    preflight: Literal["refuse", "pass"] = "refuse",
    websocket_refusal: Literal["close", "accept"] = "close",
    end_streams: EndStreams = EVENT_STREAM,
    socket_renewal: bool = False,
    render: Renderer = render,
) -> None:
    """Guard `app`, as `guestpass.starlette.protect` does, and say in its OpenAPI document what each route needs.

    Routes say so with ``@needs(…)``, or ``Depends(needs(…))`` at the route, its router or the application.
    """
    starlette.protect(
        app,
        guard,
        issuing=issuing,
        allow_origins=allow_origins,
        preflight=preflight,
        websocket_refusal=websocket_refusal,
        end_streams=end_streams,
        socket_renewal=socket_renewal,
        render=render,
    )
    _document(app, guard)


def _document(app: FastAPI, guard: Guard) -> None:
    undocumented: Callable[[], dict[str, Any]] = app.openapi

    def openapi() -> dict[str, Any]:
        document = undocumented()
        # The routes join the guard's policy when the application starts; the document may be asked for before.
        policy = guard.policy if guard.policy.has_routes else guard.policy.with_routes(read_routes(app.router))
        schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
        schemes[SCHEME] = {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, a client secret or a token. Scopes are the components and roles needed.",
        }
        for path, operations in document.get("paths", {}).items():
            for method, operation in operations.items():
                rule = policy.rule_of_route(method.upper(), path)
                if rule is not None and isinstance(operation, dict):
                    operation["security"] = _security(policy, rule)
        return document

    # The way that FastAPI documents for extending its document.
    app.openapi = openapi  # type: ignore[method-assign]


def _security(policy: Policy, rule: Rule) -> list[dict[str, list[str]]]:
    if rule.public:
        return [{}, {SCHEME: []}] if rule.optional else []
    feature = None if rule.feature is None else f"{rule.component}/{rule.feature}"
    asked = (rule.component, feature, policy.role_of(rule))
    return [{SCHEME: [scope for scope in asked if scope is not None]}]
