"""What the sample applications share: guards, and ways to put one up badly."""

from collections.abc import Awaitable, Callable
from typing import Any

from guestpass import AccountSessions, ApiKeys, Guard, Policy, Rule, open_store
from guestpass.asgi import ASGIApp, GuardMiddleware, Receive, Scope, Send
from guestpass.ownership import SINGLE_PLATFORM
from guestpass.wsgi import GuardMiddleware as WSGIGuardMiddleware
from guestpass.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

COMPONENTS = {"call_logs": ("transcripts",), "voicemails": ()}


def a_guard(*rules: Rule) -> Guard:
    """A live one, as an application has it."""
    store = open_store("memory://")
    return Guard(
        authenticators=[ApiKeys(store, owns=SINGLE_PLATFORM), AccountSessions(store)],
        policy=Policy(*rules, components=COMPONENTS, roles=("external_entity", "admin")),
        mode="live",
    )


class Ran(Exception):
    """A handler ran, which no audit may let happen."""


def handler(*_: object, **__: object) -> Any:
    """A handler that must not run."""
    raise Ran


class PaintedOn:
    """Middleware that has a guard, and calls what is behind it."""

    def __init__(self, app: Any, guard: Guard) -> None:
        self.app = app
        self.door = GuardMiddleware(app, guard)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class PaintedOnWSGI:
    """The same, for WSGI."""

    def __init__(self, app: WSGIApplication, guard: Guard) -> None:
        self.app = app
        self.door = WSGIGuardMiddleware(app, guard)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        return self.app(environ, start_response)


class HttpOnly:
    """Middleware whose guard sees HTTP alone."""

    def __init__(self, app: Any, guard: Guard) -> None:
        self.app = app
        self.door = GuardMiddleware(app, guard)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        chosen = self.door if scope["type"] == "http" else self.app
        await chosen(scope, receive, send)


class TrustsWhoeverKnocks:
    """Middleware that calls the guard for those without a credential alone."""

    def __init__(self, app: Any, guard: Guard) -> None:
        self.app = app
        self.door = GuardMiddleware(app, guard)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        knocked = any(name == b"authorization" for name, _ in scope.get("headers", ()))
        await (self.app if knocked else self.door)(scope, receive, send)


class GoesBy:
    """Middleware that goes by the guard for some requests."""

    def __init__(self, app: Any, guard: Guard, when: Callable[[Scope], bool]) -> None:
        self.app, self.when = app, when
        self.door = GuardMiddleware(app, guard)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.app if self.when(scope) else self.door)(scope, receive, send)


def by_method(method: str) -> Callable[[Any, Guard], GoesBy]:
    """One that goes by it for a method."""
    return lambda app, guard: GoesBy(app, guard, lambda scope: scope.get("method") == method)


class ByProtocol:
    """A dispatcher as Django's Channels has one."""

    def __init__(self, applications: dict[str, Any]) -> None:
        self.application_mapping = applications

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.application_mapping[scope["type"]](scope, receive, send)


def logged(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator that puts a function of its own around another, as many do."""
    import functools

    @functools.wraps(function)
    def around(*args: object, **kwargs: object) -> Any:
        return function(*args, **kwargs)

    return around


async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
    """An application of no framework."""
    raise Ran


Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]
__all__ = [
    "COMPONENTS",
    "ASGIApp",
    "Asgi",
    "ByProtocol",
    "GoesBy",
    "HttpOnly",
    "PaintedOn",
    "PaintedOnWSGI",
    "Ran",
    "TrustsWhoeverKnocks",
    "a_guard",
    "asgi",
    "by_method",
    "handler",
    "logged",
]
