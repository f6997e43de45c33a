"""The issuing API over HTTP: account sessions, signed tokens and the key set, as Starlette routes.

`issuing_routes` are mounted behind the guard, with `issuing_rules` in its policy. Knows bodies and answers; what may
be issued is `guestpass.minting`'s to say.
"""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from guestpass.access import principal_of
from guestpass.errors import ConfigurationError, Refused, Unavailable
from guestpass.guard import Guard
from guestpass.inquiry import drive_async
from guestpass.keyring import MAX_AGE
from guestpass.problems import Renderer, render
from guestpass.refusals import Refusal
from guestpass.routes import read_routes
from guestpass.rules import Needs, Rule, needs
from guestpass.sessions import AccountSession, AccountSessions
from guestpass.signer import TokenSigner
from guestpass.strict_json import decode_object

MAX_BODY: Final = 65_536
"""Bytes of a request's body; what is longer is refused unread."""

_NO_STORE: Final = {"Cache-Control": "no-store"}

Handler = Callable[[Request], Awaitable[Response]]


def issuing_api(guard: Guard, *, render: Renderer = render) -> Starlette:
    """The issuing API as an application of its own, to be mounted behind `guard`, whose policy needs `issuing_rules`.

    Raises `ConfigurationError` where the guard has nothing that mints.
    """
    return Starlette(routes=issuing_routes(guard, render=render))


def issuing_rules(guard: Guard, prefix: str = "") -> list[Rule]:
    """The rules of the issuing API below `prefix`; `protect` reads them from the routes by itself."""
    return [route.rule for route in read_routes(Router(issuing_routes(guard, prefix)))]


def issuing_routes(guard: Guard, prefix: str = "", *, render: Renderer = render) -> list[Route]:
    """The routes of the issuing API below `prefix`, by what the guard has that mints.

    Raises `ConfigurationError` where nothing does.
    """
    sessions, signer = _minters(guard)
    routes: list[Route] = []

    def add(method: str, path: str, handler: Handler, need: Needs) -> None:
        routes.append(Route(prefix + path, need(_refusing(handler, guard, render)), methods=[method]))

    if sessions is not None:
        api = _SessionsApi(sessions)
        add("POST", "/v1/account_sessions", api.create, _minting())
        add("POST", "/v1/account_sessions/{id}/revoke", api.revoke, _minting())
    if signer is not None:
        tokens = _TokensApi(signer, guard)
        add("POST", "/api/v1/jwt/sign", tokens.sign, _minting())
        add("GET", "/.well-known/jwks.json", tokens.jwks, needs(public=True, reason="public keys are public"))
    return routes


def _minting() -> Needs:
    return needs(mints=True, account=False, role=None)


def answer_refused(problem: Exception, guard: Guard, render: Renderer) -> Response:
    """The answer to a `Refused` or `Unavailable` that a handler raised. Raises any other."""
    if isinstance(problem, Refused):
        refusal = problem.refusal
    elif isinstance(problem, Unavailable):
        refusal = Refusal(problem.code, retry_after=problem.retry_after)
    else:
        raise problem
    answer = render(refusal, guard.realm)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in answer.headers}
    return Response(answer.body, answer.status, headers)


@dataclass(frozen=True, slots=True)
class _SessionsApi:
    sessions: AccountSessions

    async def create(self, request: Request) -> Response:
        keys = request.headers.getlist("idempotency-key")
        if len(keys) > 1:
            raise Refused(Refusal("body_malformed", more="There are several Idempotency-Key headers."))
        inquiry = self.sessions.create_from(principal_of(request), await _body(request), next(iter(keys), None))
        return JSONResponse(_session(await drive_async(inquiry)), 201, _NO_STORE)

    async def revoke(self, request: Request) -> Response:
        session_id: str = request.path_params["id"]
        ended = await drive_async(self.sessions.revoke_from(session_id, principal_of(request)))
        return JSONResponse({"id": ended.id, "revoked": True}, headers=_NO_STORE)


@dataclass(frozen=True, slots=True)
class _TokensApi:
    signer: TokenSigner
    guard: Guard

    async def sign(self, request: Request) -> Response:
        signed = await drive_async(self.signer.sign_from(principal_of(request), await _body(request)))
        answer = {"jwt": signed.jwt, "expiresAt": signed.expires_at, "id": signed.id}
        return JSONResponse(answer, headers=_NO_STORE)

    async def jwks(self, _: Request) -> Response:
        keys = await drive_async(self.signer.ring.jwks_from(self.guard.mode))
        return JSONResponse(keys, headers={"Cache-Control": f"public, max-age={MAX_AGE}"})


def _session(session: AccountSession) -> dict[str, object]:
    return {
        "id": session.id,
        "account": session.account,
        "client_secret": session.client_secret,
        "expires_at": session.expires_at,
        "expires_in": session.expires_in,
        "components": session.components,
        "livemode": session.livemode,
    }


def _minters(guard: Guard) -> tuple[AccountSessions | None, TokenSigner | None]:
    sessions = next((one for one in guard.authenticators if isinstance(one, AccountSessions)), None)
    signer = next((one for one in guard.authenticators if isinstance(one, TokenSigner)), None)
    if sessions is None and signer is None:
        raise ConfigurationError(
            "the issuing API has nothing to issue: Guard(authenticators=[AccountSessions(store), …])"
        )
    return sessions, signer


def _refusing(handler: Handler, guard: Guard, render: Renderer) -> Handler:
    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except (Refused, Unavailable) as problem:
            return answer_refused(problem, guard, render)

    return handle


async def _body(request: Request) -> dict[str, object]:
    """The JSON object of the body; an empty body is an empty object. Raises `Refused` (``body_malformed``)."""
    body = bytearray()
    async with contextlib.aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > MAX_BODY:
                raise Refused(Refusal("body_malformed", more=f"It is longer than {MAX_BODY} bytes."))
    if not body:
        return {}
    try:
        return decode_object(bytes(body))
    except ValueError as problem:
        raise Refused(Refusal("body_malformed", more=f"It is {problem}.")) from None
