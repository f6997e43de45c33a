"""The client of a platform's backend on an event loop, asyncio's or trio's: `AsyncClient`.

    async with AsyncClient("https://api.example", "sk_live_…") as client:
        session = await client.account_sessions.create(account="acct_1")

What each argument means stands at its twin, `guestpass.client.client`.
"""

import random
import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final, Self, TypeVar

import anyio
import httpx

from guestpass.client import calls
from guestpass.client.exchange import Call, exchange
from guestpass.client.links import AsyncLink, Connections
from guestpass.client.results import IssuedSession, IssuedToken, Revoked
from guestpass.client.settings import RETRIES, TIMEOUT, Settings, invalid
from guestpass.client_error import ClientError

T = TypeVar("T")


class AsyncClient:
    """As `guestpass.client.Client`, on an event loop: one client for each loop. `timeout` is for an attempt as a whole,
    in seconds."""

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
        http: httpx.AsyncClient | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = anyio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        if transport is not None and http is not None:
            raise invalid("transport and http: one of them, httpx.AsyncClient(transport=…)")
        if http is not None and not isinstance(http, httpx.AsyncClient):
            raise invalid(f"http={type(http).__name__}: an httpx.AsyncClient")
        self._settings: Final = Settings.read(base_url, api_key, timeout, retries, chance)
        # A proxy of the environment would see a key that goes to this machine in the clear.
        trust_env = not self._settings.on_loopback
        self._owned: Final = http is None

        def open_http() -> httpx.AsyncClient:
            return httpx.AsyncClient(transport=transport, trust_env=trust_env)

        open_anew = open_http if transport is None and http is None else None
        self._http: Final = Connections(open_http() if http is None else http, open_anew)
        self._link: Final = AsyncLink(self._http, self._settings.timeout, clock, sleep)
        self.account_sessions: Final = AsyncAccountSessions(self)
        self.auth: Final = AsyncAuth(self)
        self.revocations: Final = AsyncRevocations(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._settings.base_url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Give the connections back. Twice is no fault."""
        opened = self._http.opened
        if self._owned and opened is not None:
            await opened.aclose()

    async def perform(self, call: Call[T]) -> T:
        """Carry out one call. Raises `ClientError`."""
        try:
            return await exchange(call, self._link, self._settings)
        except ClientError as problem:
            # The frames within hold the key, and error reporters show what frames hold.
            raise problem.with_traceback(None) from None


class AsyncAccountSessions:
    """``client.account_sessions``."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def create(
        self,
        *,
        account: str | None = None,
        components: Mapping[str, Mapping[str, object]] | None = None,
        roles: Collection[str] | None = None,
        expires_in: int | None = None,
        idempotency_key: str | None = None,
    ) -> IssuedSession:
        """A session for one account; whether the user may act for it is to be asked before."""
        return await self._client.perform(calls.create_session(account, components, roles, expires_in, idempotency_key))

    async def revoke(self, session_id: str) -> None:
        """End a session by its id, everywhere, for good."""
        await self._client.perform(calls.revoke_session(session_id))


class AsyncAuth:
    """``client.auth``."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def sign(
        self,
        *,
        id: str | uuid.UUID | None = None,  # noqa: A002 - the field's name in the document
        tenant_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        roles: Collection[str] | None = None,
        components: Mapping[str, Mapping[str, object]] | None = None,
        expires_in: int | None = None,
    ) -> IssuedToken:
        """A token for one end user."""
        return await self._client.perform(calls.sign(id, tenant_id, metadata, roles, components, expires_in))


class AsyncRevocations:
    """``client.revocations``."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    async def account(self, account: str) -> Revoked:
        """End everything of an account."""
        return await self._client.perform(calls.revoke(account=account))

    async def subject(self, subject: str, account: str | None = None) -> Revoked:
        """End every token that was signed for a user in an account, or without one."""
        return await self._client.perform(calls.revoke(subject=subject, account=account))

    async def token(self, jti: str) -> Revoked:
        """End one token, by its ``jti`` claim, for good."""
        return await self._client.perform(calls.revoke(token=jti))
