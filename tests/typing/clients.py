"""What the checkers have to see of the clients and the platform's back end. Read by mypy and pyright, run by nobody."""

from collections.abc import Mapping
from typing import assert_type

import httpx
from flask import Blueprint
from starlette.requests import Request
from starlette.routing import Route

from guestpass import Guard
from guestpass.client import (
    AsyncClient,
    Bearer,
    Client,
    ClientError,
    Code,
    IssuedSession,
    IssuedToken,
    RefreshAuth,
    Revoked,
)
from guestpass.platform import AsyncInProcess, EndUser, InProcess, Issuer, PlatformBackend, SessionTerms
from guestpass.platform.flask import platform_blueprint
from guestpass.platform.starlette import platform_routes

client = Client("https://api.example", "sk_live_x", timeout=5, retries=1, transport=httpx.HTTPTransport())
async_client = AsyncClient(http=httpx.AsyncClient())


def plainly() -> None:
    session = client.account_sessions.create(account="acct_1", components={"call_logs": {"enabled": True}})
    assert_type(session, IssuedSession)
    assert_type(session.components, Mapping[str, object])
    assert_type(client.auth.sign(metadata={"plan": "pro"}), IssuedToken)
    assert_type(client.revocations.account("acct_1"), Revoked)
    try:
        client.account_sessions.revoke(session.id)
    except ClientError as problem:
        assert_type(problem.code, Code)
        assert_type(problem.details, Mapping[str, object])


async def on_a_loop() -> None:
    assert_type(await async_client.account_sessions.create(account="acct_1"), IssuedSession)
    assert_type(await async_client.auth.sign(), IssuedToken)


async def refresh(entity_id: str | None) -> IssuedToken:
    return await async_client.auth.sign(id=entity_id)


RefreshAuth(refresh, base_url="https://api.example")
RefreshAuth(lambda _: client.account_sessions.create(account="acct_1"), base_url="https://api.example")
RefreshAuth(lambda _: Bearer("cs_live_x", 60), base_url="https://api.example", initial="cs_live_y")


class User:
    id: str


def may_access(user: User, account: str) -> bool:
    return account == user.id


async def may_access_later(user: User, account: str) -> bool:
    return account == user.id


def issuers(guard: Guard) -> list[Issuer]:
    return [client, async_client, InProcess(guard, "sk_live_x"), AsyncInProcess(guard, "sk_live_x")]


def end_user(user: User) -> EndUser:
    return EndUser(user.id, metadata={"plan": "pro"})


plain = PlatformBackend(client, may_access=may_access, session=lambda user, account: SessionTerms(expires_in=60))
assert_type(plain, PlatformBackend[User])
later = PlatformBackend(async_client, may_access=may_access_later, end_user=end_user)


def request_user(request: Request) -> User | None:
    return None if request.cookies.get("user") is None else User()


async def request_user_later(request: Request) -> User | None:
    return request_user(request)


assert_type(platform_routes(plain, user=request_user), list[Route])
platform_routes(later, user=request_user_later)
assert_type(platform_blueprint(plain, user=lambda: User()), Blueprint)
