"""Sessions that last a minute, for the page to be seen renewing them, and their end at the press of a button.

A customer's back end as `guestpass.demo.backend` is one, but for the lifetime, and that it remembers what it asked for:
who signs out of the customer's application has no session left either.
"""

from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Unpack

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from guestpass import AccountSessions, Guard, Refused, needs
from guestpass.demo.backend import User, may_access, signed_in
from guestpass.platform import AsyncInProcess, PlatformBackend, SessionTerms
from guestpass.platform.issuer import Session, SessionArguments, SignsTokens
from guestpass.platform.origins import PageRequest, is_own_page
from guestpass.platform.starlette import platform_routes

LASTS: Final = 60
"""Seconds; the least that a session may last."""

REMEMBERED: Final = 100
"""Sessions, more than can be alive at once without somebody trying to have them."""


async def session(_user: User, _account: str) -> SessionTerms:
    """What the page's session is to open."""
    components = {"call_logs": {"enabled": True}, "voicemails": {"enabled": False}}
    return SessionTerms(components=components, expires_in=LASTS)


def short_pass_router(guard: Guard, sessions: AccountSessions, secret_key: str) -> APIRouter:
    """``/demo/create-session``, which asks `may_access` first, and ``/demo/end-sessions``."""
    remembering = _Remembering(guard, sessions, secret_key)
    issuer = _Issuer(remembering, AsyncInProcess(guard, secret_key).auth)
    backend = PlatformBackend(issuer, may_access=may_access, session=session)
    router = APIRouter(routes=[*platform_routes(backend, user=signed_in, prefix="/demo")])

    @router.post("/demo/end-sessions")
    @needs(public=True, reason="the customer's own back end, behind the customer's own login")
    async def end_sessions(request: Request) -> JSONResponse:
        headers = request.headers
        asked = PageRequest(
            b"", headers.get("content-type"), headers.get("origin"), headers.get("sec-fetch-site"), headers.get("host")
        )
        # Another site's page must not sign anybody out.
        if not (asked.is_json and is_own_page(asked, ())):
            return JSONResponse({"error": "Access denied"}, 403, {"Cache-Control": "no-store"})
        return JSONResponse({"ended": await remembering.end()}, headers={"Cache-Control": "no-store"})

    return router


@dataclass(frozen=True, slots=True)
class _Remembering:
    """Creates sessions, and knows the last of them."""

    guard: Guard
    sessions: AccountSessions
    secret_key: str = field(repr=False)
    ids: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    async def create(self, **asked: Unpack[SessionArguments]) -> Session:
        made = await self.sessions.create_async(by=await self.guard.check_async(self.secret_key), **asked)
        self.ids.append(made.id)
        return made

    async def end(self) -> int:
        """End them all; answers how many there were."""
        by = await self.guard.check_async(self.secret_key)
        ended = 0
        while self.ids:
            # One that ended long ago is no longer known.
            with suppress(Refused):
                await self.sessions.revoke_async(self.ids.pop(), by=by)
                ended += 1
        return ended


@dataclass(frozen=True, slots=True)
class _Issuer:
    account_sessions: _Remembering
    auth: SignsTokens
