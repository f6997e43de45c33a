"""The client of a platform's backend, without an event loop: `Client`. Its twin is in `guestpass.client.async_client`.

with Client("https://api.example", "sk_live_…") as client:
    session = client.account_sessions.create(account="acct_1")
"""

import random
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Final, Self, TypeVar

import httpx

from guestpass.client import calls
from guestpass.client.exchange import Call, exchange
from guestpass.client.links import Connections, SyncLink
from guestpass.client.results import IssuedSession, IssuedToken, Revoked
from guestpass.client.settings import RETRIES, TIMEOUT, Settings, invalid
from guestpass.client_error import ClientError
from guestpass.concurrency.coroutines import run_plain

T = TypeVar("T")


class Client:
    """Asks the API for sessions and signed tokens, with the platform's secret key. For backends only.

    `base_url` and `api_key` left out are ``GUESTPASS_BASE_URL`` and ``GUESTPASS_API_KEY``. `timeout` is in seconds, for
    the connection, for each wait, and for the whole body of the answer. What fails for want of a connection or of a
    service (502, 503, 504; 429 where it says until when) is tried again up to `retries` times, after a pause that
    honours ``Retry-After`` up to ten seconds; a session is made once, however often its creation is sent. Redirects
    are not followed.

    It may be shared by threads. `transport` is httpx's own, for other TLS settings or a proxy; `http` a whole
    `httpx.Client` to use, which is then not closed here. `clock` is monotonic, in seconds; `chance` answers a number
    from 0 to 1. Every method raises `ClientError`, and nothing else on purpose.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout: float = TIMEOUT,
        retries: int = RETRIES,
        transport: httpx.BaseTransport | None = None,
        http: httpx.Client | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        if transport is not None and http is not None:
            raise invalid("transport and http: one of them, httpx.Client(transport=…)")
        if http is not None and not isinstance(http, httpx.Client):
            raise invalid(f"http={type(http).__name__}: an httpx.Client")
        self._settings: Final = Settings.read(base_url, api_key, timeout, retries, chance)
        # A proxy of the environment would see a key that goes to this machine in the clear.
        trust_env = not self._settings.on_loopback
        self._owned: Final = http is None

        def open_http() -> httpx.Client:
            return httpx.Client(transport=transport, trust_env=trust_env)

        open_anew = open_http if transport is None and http is None else None
        self._http: Final = Connections(open_http() if http is None else http, open_anew)
        self._link: Final = SyncLink(self._http, self._settings.timeout, clock, sleep)
        self.account_sessions: Final = AccountSessions(self)
        self.auth: Final = Auth(self)
        self.revocations: Final = Revocations(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._settings.base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back. Twice is no fault."""
        opened = self._http.opened
        if self._owned and opened is not None:
            opened.close()

    def perform(self, call: Call[T]) -> T:
        """Carry out one call. Raises `ClientError`."""
        try:
            return run_plain(exchange(call, self._link, self._settings))
        except ClientError as problem:
            # The frames within hold the key, and error reporters show what frames hold.
            raise problem.with_traceback(None) from None


class AccountSessions:
    """``client.account_sessions``."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create(
        self,
        *,
        account: str | None = None,
        components: Mapping[str, Mapping[str, object]] | None = None,
        roles: Collection[str] | None = None,
        expires_in: int | None = None,
        idempotency_key: str | None = None,
    ) -> IssuedSession:
        """A session for one account; whether the user may act for it is to be asked before.

        `account` left out is the key's own, where it has one. `components` maps names to
        ``{"enabled": bool, "features": {name: bool}}``; left out, all that the key has. `expires_in` is 60 to 86,400
        seconds; left out, an hour. With an `idempotency_key` of your own, another call with it within 24 hours answers
        the same session with a new secret, and the old secret ends.
        """
        return self._client.perform(calls.create_session(account, components, roles, expires_in, idempotency_key))

    def revoke(self, session_id: str) -> None:
        """End a session by its id, everywhere, for good."""
        self._client.perform(calls.revoke_session(session_id))


class Auth:
    """``client.auth``."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def sign(
        self,
        *,
        id: str | uuid.UUID | None = None,  # noqa: A002 - the field's name in the document
        tenant_id: str | None = None,
        metadata: Mapping[str, object] | None = None,
        roles: Collection[str] | None = None,
        components: Mapping[str, Mapping[str, object]] | None = None,
        expires_in: int | None = None,
    ) -> IssuedToken:
        """A token for one end user.

        `id` is the user's UUID, made if left out. `tenant_id` is the token's account; without one it passes no account
        rule. `metadata` is at most 4,096 bytes as JSON, and authorises nothing. `roles` left out is the lowest,
        `components` none. `expires_in` is 60 to 86,400 seconds; left out, an hour.
        """
        return self._client.perform(calls.sign(id, tenant_id, metadata, roles, components, expires_in))


class Revocations:
    """``client.revocations``: what was minted until now ends, and what is minted later does not."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def account(self, account: str) -> Revoked:
        """End everything of an account."""
        return self._client.perform(calls.revoke(account=account))

    def subject(self, subject: str, account: str | None = None) -> Revoked:
        """End every token that was signed for a user in an account, or without one."""
        return self._client.perform(calls.revoke(subject=subject, account=account))

    def token(self, jti: str) -> Revoked:
        """End one token, by its ``jti`` claim, for good."""
        return self._client.perform(calls.revoke(token=jti))
