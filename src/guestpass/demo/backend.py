"""A customer's back end: where a browser gets its credentials from, once the customer's own login says who it is.

It holds the platform's secret key, and asks `may_access` before it asks for anything. To keep the demo to one
process it mints in process and is served beside the API; elsewhere it is another server, and calls the API with a
`guestpass.client.AsyncClient` in the place of `AsyncInProcess`.
"""

import uuid
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request

from guestpass import Guard
from guestpass.demo import data
from guestpass.platform import AsyncInProcess, EndUser, PlatformBackend, SessionTerms
from guestpass.platform.starlette import platform_routes


@dataclass(frozen=True, slots=True)
class User:
    """A user of the customer's own application. `id` is a UUID; `accounts` are those that the user works for."""

    id: str
    name: str
    accounts: frozenset[str]


SIGNED_IN: Final = User(str(uuid.UUID("5f0c9a52-7a0e-4f0e-9d0f-3a4b8e6d1c27")), "Ada", frozenset({data.ACCOUNT}))
"""Whoever opens the page: a real back end finds its user in a login cookie of its own."""


async def signed_in(_: Request) -> User:
    """Who asks."""
    return SIGNED_IN


async def may_access(user: User, account: str) -> bool:
    """Whether a user may act for an account. The API cannot know; the customer must."""
    return account in user.accounts


async def session(_user: User, _account: str) -> SessionTerms:
    """What the page's session is to open."""
    return SessionTerms(components={"call_logs": {"enabled": True}, "voicemails": {"enabled": False}})


async def end_user(user: User) -> EndUser:
    """Who a user is to the API."""
    (account,) = user.accounts
    return EndUser(id=user.id, tenant_id=account, metadata={"name": user.name})


def backend_router(guard: Guard, secret_key: str) -> APIRouter:
    """The back end's addresses. The key never leaves this process."""
    issuer = AsyncInProcess(guard, secret_key)
    backend = PlatformBackend(issuer, may_access=may_access, session=session, end_user=end_user)
    return APIRouter(routes=[*platform_routes(backend, user=signed_in)])
