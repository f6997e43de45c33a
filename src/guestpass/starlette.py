"""The Starlette door: one call that guards an application, reading what its routes say they need."""

import threading
from collections.abc import Collection
from typing import Final, Literal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from guestpass.asgi import ASGIApp, GuardMiddleware, Receive, Scope, Send
from guestpass.door_settings import check_settings, tell_closed
from guestpass.errors import ConfigurationError, Refused, Unavailable
from guestpass.guard import Guard
from guestpass.issuing_api import answer_refused, issuing_routes
from guestpass.live.long_answers import EVENT_STREAM, EndStreams, LongAnswers
from guestpass.problems import Renderer, render
from guestpass.routing.frozen_routes import freeze
from guestpass.routing.starlette_routes import read_routes


def protect(
    app: Starlette,
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
    """Guard `app`: what its routes say with `needs` joins the policy of `guard` before the first request.

    A route that says nothing and that no rule of the policy is for is denied. `issuing` adds the issuing API below
    that path; the other settings are those of `guestpass.asgi.GuardMiddleware`. What contradicts itself raises
    `ConfigurationError`, at the latest when the application starts. Middleware added to `app` afterwards runs before
    the guard; an application is protected once.
    """
    if not isinstance(app, Starlette) or not isinstance(guard, Guard):
        raise ConfigurationError("protect(app, guard): the application first, then its guard")
    # What is wrong with it is said here, and not with the first request.
    LongAnswers(end_streams)
    if any(str(middleware.cls) == str(Protection) for middleware in app.user_middleware):
        raise ConfigurationError("protect(app, guard): this application is protected already")
    if issuing is not None:
        if not issuing.startswith("/"):
            raise ConfigurationError(f'protect(issuing={issuing!r}): a path, such as "/"')
        app.router.routes.extend(issuing_routes(guard, issuing.rstrip("/"), render=render))

    async def refused(_: Request, problem: Exception) -> Response:
        return answer_refused(problem, guard, render)

    app.add_exception_handler(Refused, refused)
    app.add_exception_handler(Unavailable, refused)
    app.add_middleware(
        Protection,
        root=app,
        guard=guard,
        allow_origins=allow_origins,
        preflight=preflight,
        websocket_refusal=websocket_refusal,
        end_streams=end_streams,
        socket_renewal=socket_renewal,
        render=render,
    )


class Protection:
    """The guard, put up when the application is complete: at its start, or with its first request.

    Made by `protect` alone; `inside` is what stands behind the guard.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        root: Starlette,
        guard: Guard,
        allow_origins: Collection[str],
        preflight: Literal["refuse", "pass"],
        websocket_refusal: Literal["close", "accept"],
        end_streams: EndStreams,
        socket_renewal: bool,
        render: Renderer,
    ) -> None:
        self.inside: Final = app
        self._root = root
        self.guard: Final = guard
        self._allow_origins = allow_origins
        self._preflight: Literal["refuse", "pass"] = preflight
        self._websocket_refusal: Literal["close", "accept"] = websocket_refusal
        self._end_streams: EndStreams = end_streams
        self._socket_renewal = socket_renewal
        self._render = render
        self._lock = threading.Lock()
        self._door: GuardMiddleware | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            # What starts may still add routes; what is wrong with those that are there is said before.
            try:
                self._check()
            except ConfigurationError as problem:
                # In the protocol's words: a server may take an exception for an application without a lifespan.
                await receive()
                await send({"type": "lifespan.startup.failed", "message": f"ConfigurationError: {problem}"})
                raise
            await self.inside(scope, receive, send)
            return
        door = self._door or self.put_up()
        await door(scope, receive, send)

    def put_up(self) -> GuardMiddleware:
        """The guard's door, with the routes read into its policy. Raises `ConfigurationError`."""
        with self._lock:
            if self._door is None:
                freeze(self._root)
                routes = read_routes(self._root.router)
                self.guard.add_routes(routes)
                tell_closed(self.guard.policy, routes)
                self._door = GuardMiddleware(
                    self.inside,
                    self.guard,
                    allow_origins=self._allow_origins,
                    preflight=self._preflight,
                    websocket_refusal=self._websocket_refusal,
                    end_streams=self._end_streams,
                    socket_renewal=self._socket_renewal,
                    render=self._render,
                )
            return self._door

    def _check(self) -> None:
        if self._door is None:
            check_settings(self.guard.policy.with_routes(read_routes(self._root.router)), self._allow_origins)
