"""A customer's back end: where a browser gets its credentials from, once the customer's own login says who it is.

It holds the platform's secret key, and asks `may_access` before it asks for anything. To keep the demo to one
process it mints in process and is served beside the API; elsewhere it is another server, and calls the API.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from guestpass import AccountSessions, Guard, TokenSigner, needs
from guestpass.demo import data
from guestpass.strict_json import decode_object

MAX_BODY: Final = 4_096
"""Bytes."""


@dataclass(frozen=True, slots=True)
class User:
    """A user of the customer's own application. `id` is a UUID; `accounts` are those that the user works for."""

    id: str
    name: str
    accounts: frozenset[str]


SIGNED_IN: Final = User(str(uuid.UUID("5f0c9a52-7a0e-4f0e-9d0f-3a4b8e6d1c27")), "Ada", frozenset({data.ACCOUNT}))
"""Whoever opens the page: a real back end finds its user in a login cookie of its own."""


@dataclass(frozen=True, slots=True)
class Backend:
    """What the back end holds. The key never leaves this process."""

    guard: Guard
    sessions: AccountSessions
    signer: TokenSigner
    secret_key: str = field(repr=False)


def may_access(user: User, account: object) -> bool:
    """Whether a user may act for an account. The API cannot know; the customer must."""
    return account in user.accounts


def backend_router(backend: Backend) -> APIRouter:
    """The back end's addresses."""
    # Public to the guard, since what comes here carries no credential of the platform: these addresses are the
    # customer's, behind the customer's own login. They hand out nothing that `may_access` has not let through.
    public = needs(public=True, reason="the customer's own back end, behind the customer's own login")
    router = APIRouter(prefix="/api")

    @router.post("/create-session")
    @public
    async def create_session(request: Request) -> JSONResponse:
        body = await _body(request)
        if body is None:
            return _error(400, "Bad request")
        account = body.get("accountId")
        if not isinstance(account, str) or not may_access(SIGNED_IN, account):
            return _error(403, "Access denied")
        session = await backend.sessions.create_async(
            by=await backend.guard.check_async(backend.secret_key),
            account=account,
            components={"call_logs": {"enabled": True}, "voicemails": {"enabled": False}},
        )
        return _answer(
            {
                "client_secret": session.client_secret,
                "expires_at": session.expires_at,
                "expires_in": session.expires_in,
                "account": session.account,
                "components": session.components,
            }
        )

    @router.post("/sdk-token")
    @public
    async def sdk_token(_: Request) -> JSONResponse:
        return await _token(backend)

    @router.post("/refresh-sdk-token")
    @public
    async def refresh_sdk_token(request: Request) -> JSONResponse:
        body = await _body(request)
        if body is None:
            return _error(400, "Bad request")
        # The id is the signed-in user's, whatever the page says: else one user could ask for another's token.
        if body.get("entityId", SIGNED_IN.id) != SIGNED_IN.id:
            return _error(403, "Access denied")
        return await _token(backend)

    return router


async def _token(backend: Backend) -> JSONResponse:
    (account,) = SIGNED_IN.accounts
    signed = await backend.signer.sign_async(
        by=await backend.guard.check_async(backend.secret_key),
        id=SIGNED_IN.id,
        tenant_id=account,
        metadata={"name": SIGNED_IN.name},
    )
    return _answer({"token": signed.jwt, "expiresAt": signed.expires_at, "id": signed.id})


async def _body(request: Request) -> dict[str, object] | None:
    """The JSON object of the body, None where there is none.

    Nothing but JSON: another site's page cannot send that without a preflight, which is refused.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            return None
    try:
        return decode_object(bytes(body))
    except ValueError:
        return None


def _answer(content: Mapping[str, object], status: int = 200) -> JSONResponse:
    return JSONResponse(content, status, {"Cache-Control": "no-store"})


def _error(status: int, error: str) -> JSONResponse:
    return _answer({"error": error}, status)
