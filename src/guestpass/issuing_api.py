"""The issuing API over ASGI: account sessions, signed tokens and the key set, as Starlette routes.

`issuing_routes` are mounted behind the guard, with `issuing_rules` in its policy. Knows how Starlette reads a request
and sends an answer; all else is in `guestpass.issuing`.
"""

import contextlib
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from guestpass.errors import Refused
from guestpass.guard import Guard
from guestpass.inquiry import drive_async
from guestpass.issuing import MAX_BODY, Call, Endpoint, answer_to, endpoints, issuing_rules
from guestpass.problems import Answer, Renderer, render
from guestpass.refusals import Refusal

__all__ = ["MAX_BODY", "answer_refused", "issuing_api", "issuing_routes", "issuing_rules"]

Handler = Callable[[Request], Awaitable[Response]]


def issuing_api(guard: Guard, *, render: Renderer = render) -> Starlette:
    """The issuing API as an application of its own, to be mounted behind `guard`, whose policy needs `issuing_rules`.

    Raises `ConfigurationError` where the guard has nothing that mints.
    """
    return Starlette(routes=issuing_routes(guard, render=render))


def issuing_routes(guard: Guard, prefix: str = "", *, render: Renderer = render) -> list[Route]:
    """The routes of the issuing API below `prefix`, by what the guard has that mints.

    Raises `ConfigurationError` where nothing does.
    """
    return [
        Route(prefix + one.path, one.needs(_handler(one, guard, render)), methods=[one.method])
        for one in endpoints(guard)
    ]


def answer_refused(problem: Exception, guard: Guard, render: Renderer) -> Response:
    """The answer to what a handler raised: a `Refused`, an `Unavailable`, or something unforeseen."""
    return _response(answer_to(problem, guard, render))


def _handler(endpoint: Endpoint, guard: Guard, render: Renderer) -> Handler:
    async def handle(request: Request) -> Response:
        named: str = request.path_params.get("id", "")
        try:
            body = await _body(request) if endpoint.takes_body else b""
        except ClientDisconnect:
            # Nobody is left to read this, and nothing went wrong here.
            return answer_refused(Refused(Refusal("body_malformed")), guard, render)
        call = Call(request, named, request.headers.getlist("idempotency-key"), body)
        try:
            reply = await drive_async(endpoint.answer(call))
        except Exception as problem:  # noqa: BLE001 - every one has its answer
            return answer_refused(problem, guard, render)
        return Response(reply.body, reply.status, dict(reply.headers), "application/json")

    return handle


def _response(answer: Answer) -> Response:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers}
    return Response(answer.body, answer.status, headers)


async def _body(request: Request) -> bytes:
    """The body, as far as is needed to see that it is too long."""
    body = bytearray()
    async with contextlib.aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > MAX_BODY:
                break
    return bytes(body[: MAX_BODY + 1])
