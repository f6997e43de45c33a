"""Issuers for a platform whose API and back end are one process: they mint with the guard's own sessions and signer.

The secret key is checked again for each, so that one that was revoked mints nothing more.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar, Unpack

from guestpass.errors import ConfigurationError
from guestpass.guard import Guard
from guestpass.platform.issuer import SessionArguments, TokenArguments
from guestpass.sessions import AccountSession, AccountSessions
from guestpass.signer import SignedToken, TokenSigner

T = TypeVar("T")


class InProcess:
    """For plain code, such as Flask's: ``InProcess(guard, secret_key)``.

    Raises `ConfigurationError` when it is asked for what the guard does not mint.
    """

    def __init__(self, guard: Guard, secret_key: str) -> None:
        self._guard = guard
        self._key = secret_key

    @property
    def account_sessions(self) -> "_Sessions":
        """Makes sessions."""
        return _Sessions(self._guard, self._key, _sessions_of(self._guard))

    @property
    def auth(self) -> "_Tokens":
        """Signs tokens."""
        return _Tokens(self._guard, self._key, _signer_of(self._guard))


class AsyncInProcess:
    """For an event loop, such as Starlette's: ``AsyncInProcess(guard, secret_key)``.

    Raises `ConfigurationError` when it is asked for what the guard does not mint.
    """

    def __init__(self, guard: Guard, secret_key: str) -> None:
        self._guard = guard
        self._key = secret_key

    @property
    def account_sessions(self) -> "_AsyncSessions":
        """Makes sessions."""
        return _AsyncSessions(self._guard, self._key, _sessions_of(self._guard))

    @property
    def auth(self) -> "_AsyncTokens":
        """Signs tokens."""
        return _AsyncTokens(self._guard, self._key, _signer_of(self._guard))


@dataclass(frozen=True, slots=True)
class _Sessions:
    guard: Guard
    key: str = field(repr=False)
    sessions: AccountSessions

    def create(self, **asked: Unpack[SessionArguments]) -> AccountSession:
        return self.sessions.create(by=self.guard.check(self.key), **asked)


@dataclass(frozen=True, slots=True)
class _AsyncSessions:
    guard: Guard
    key: str = field(repr=False)
    sessions: AccountSessions

    async def create(self, **asked: Unpack[SessionArguments]) -> AccountSession:
        return await self.sessions.create_async(by=await self.guard.check_async(self.key), **asked)


@dataclass(frozen=True, slots=True)
class _Tokens:
    guard: Guard
    key: str = field(repr=False)
    signer: TokenSigner

    def sign(self, **asked: Unpack[TokenArguments]) -> SignedToken:
        return self.signer.sign(by=self.guard.check(self.key), **asked)


@dataclass(frozen=True, slots=True)
class _AsyncTokens:
    guard: Guard
    key: str = field(repr=False)
    signer: TokenSigner

    async def sign(self, **asked: Unpack[TokenArguments]) -> SignedToken:
        return await self.signer.sign_async(by=await self.guard.check_async(self.key), **asked)


def _sessions_of(guard: Guard) -> AccountSessions:
    return _first(guard.authenticators, AccountSessions, "AccountSessions(store)")


def _signer_of(guard: Guard) -> TokenSigner:
    return _first(guard.authenticators, TokenSigner, "TokenSigner(KeyRing(store, …), …)")


def _first(found: Iterable[object], kind: type[T], line: str) -> T:
    for one in found:
        if isinstance(one, kind):
            return one
    raise ConfigurationError(f"the guard mints none of these: Guard(authenticators=[{line}, …])")
