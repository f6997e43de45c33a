"""A platform's back end as Starlette routes, for FastAPI too.

    app.router.routes.extend(platform_routes(backend, user=lambda request: request.state.user))

Knows how Starlette reads a request and sends an answer; all else is in `guestpass.platform.backend`.
"""

import contextlib
import inspect
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar, cast

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from guestpass.errors import ConfigurationError
from guestpass.platform.backend import MAX_BODY, Endpoint, PlatformBackend
from guestpass.platform.origins import PageRequest
from guestpass.rules import needs

__all__ = ["platform_routes"]

T = TypeVar("T")
U = TypeVar("U")

# Public to a guard in the same application: what comes here carries no credential of the API's, and is behind the
# platform's own login. `PlatformBackend` sees to that.
_PUBLIC: Final = needs(public=True, reason="the platform's own back end, behind the platform's own login")


def platform_routes(
    backend: PlatformBackend[U],
    *,
    user: Callable[[Request], U | Awaitable[U | None] | None],
    prefix: str = "/api",
) -> list[Route]:
    """POST ``/api/create-session``, ``/api/sdk-token`` and ``/api/refresh-sdk-token``, as far as `backend` has them.

    `user` answers whoever is signed in, None where nobody is (or one whose `is_authenticated` is False). It and the
    functions of `backend` may be async; plain ones run in a thread. Raises `ConfigurationError`.
    """
    if not callable(user):
        raise ConfigurationError("user: a function of the request that answers who is signed in, or None")
    if prefix and not prefix.startswith("/"):
        raise ConfigurationError(f'prefix={prefix!r}: a path, such as "/api"')
    base = prefix.rstrip("/")
    return [
        Route(f"{base}/{name}", _PUBLIC(_handler(backend, name, user)), methods=["POST"], name=name)
        for name in backend.endpoints
    ]


def _handler(
    backend: PlatformBackend[U], endpoint: Endpoint, user: Callable[[Request], U | Awaitable[U | None] | None]
) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        read = PageRequest(
            await _body(request),
            request.headers.get("content-type"),
            request.headers.get("origin"),
            request.headers.get("sec-fetch-site"),
            request.headers.get("host"),
        )
        answer = await backend.answer(endpoint, read, partial(user, request), _ask)
        return Response(answer.body, answer.status, answer.headers, "application/json")

    return handle


async def _ask(function: Callable[..., T | Awaitable[T]], /, *arguments: object) -> T:
    if inspect.iscoroutinefunction(function):
        return cast("T", await function(*arguments))
    # It may look something up: other requests go on. In a tuple, since trio lets no coroutine out of a thread.
    (answer,) = await anyio.to_thread.run_sync(lambda: (function(*arguments),))
    return cast("T", await answer if isinstance(answer, Awaitable) else answer)


async def _body(request: Request) -> bytes:
    """The body, as far as is needed to see that it is too long."""
    body = bytearray()
    async with contextlib.aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > MAX_BODY:
                break
    return bytes(body[: MAX_BODY + 1])
