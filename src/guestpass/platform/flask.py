"""A platform's back end as a Flask blueprint.

    app.register_blueprint(platform_blueprint(backend, user=lambda: session.get("user")))

Knows how Flask reads a request and sends an answer; all else is in `guestpass.platform.backend`.
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Final, TypeVar

try:
    from flask import Blueprint, Response, request
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError('guestpass.platform.flask needs Flask: pip install "guestpass[flask]"') from missing

from guestpass.concurrency.coroutines import run_plain
from guestpass.errors import ConfigurationError
from guestpass.platform.backend import MAX_BODY, Endpoint, PlatformBackend
from guestpass.platform.origins import PageRequest
from guestpass.rules import needs

__all__ = ["platform_blueprint"]

T = TypeVar("T")
U = TypeVar("U")

NAME: Final = "guestpass_platform"

# Public to a guard in the same application: what comes here carries no credential of the API's, and is behind the
# platform's own login. `PlatformBackend` sees to that.
_PUBLIC: Final = needs(public=True, reason="the platform's own back end, behind the platform's own login")


def platform_blueprint(
    backend: PlatformBackend[U], *, user: Callable[[], U | None], prefix: str = "/api", name: str = NAME
) -> Blueprint:
    """POST ``/api/create-session``, ``/api/sdk-token`` and ``/api/refresh-sdk-token``, as far as `backend` has them.

    `user` answers whoever is signed in, None where nobody is (or one whose `is_authenticated` is False). Raises
    `ConfigurationError`, also where one of the functions is async, or the issuer is: Flask has no event loop for them.
    """
    if not callable(user):
        raise ConfigurationError("user: a function that answers who is signed in, or None")
    if prefix and not prefix.startswith("/"):
        raise ConfigurationError(f'prefix={prefix!r}: a path, such as "/api"')
    if any(inspect.iscoroutinefunction(one) for one in [user, *backend.functions]):
        raise ConfigurationError("Flask calls plain functions: guestpass.client.Client or InProcess, and no async def")
    blueprint = Blueprint(name, __name__, url_prefix=prefix.rstrip("/") or None)
    for endpoint in backend.endpoints:
        view = _PUBLIC(_view(backend, endpoint, user))
        blueprint.add_url_rule(f"/{endpoint}", endpoint=endpoint, view_func=view, methods=["POST"])
    return blueprint


def _view(backend: PlatformBackend[U], endpoint: Endpoint, user: Callable[[], U | None]) -> Callable[[], Response]:
    def view() -> Response:
        headers = request.headers
        read = PageRequest(
            _body(),
            headers.get("Content-Type"),
            headers.get("Origin"),
            headers.get("Sec-Fetch-Site"),
            headers.get("Host"),
        )
        answer = run_plain(backend.answer(endpoint, read, user, _ask))
        return Response(answer.body, answer.status, answer.headers, content_type="application/json")

    return view


async def _ask(function: Callable[..., T | Awaitable[T]], /, *arguments: object) -> T:
    answer = function(*arguments)
    if isinstance(answer, Awaitable):
        if isinstance(answer, Coroutine):
            answer.close()
        raise ConfigurationError("Flask calls plain functions, and this one answered something to be awaited")
    return answer


def _body() -> bytes:
    """The body, as far as is needed to see that it is too long; also where something before the view has read it."""
    length = request.content_length
    if length is not None and length <= MAX_BODY:
        return request.get_data()
    read = bytearray()
    while len(read) <= MAX_BODY and (chunk := request.stream.read(MAX_BODY + 1 - len(read))):
        read += chunk
    return bytes(read) or request.get_data()
