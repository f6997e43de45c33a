"""Who is asked for sessions and tokens: the API over HTTP, or guestpass in the same process. What either has to be.

`guestpass.client.Client` and `AsyncClient` are issuers as they are; so are `InProcess` and `AsyncInProcess`.
"""

from collections.abc import Awaitable, Collection, Mapping
from typing import Protocol, Required, TypeAlias, TypedDict

Components: TypeAlias = Mapping[str, Mapping[str, object]]
"""``{name: {"enabled": bool, "features": {name: bool}}}``."""


class SessionArguments(TypedDict, total=False):
    """The arguments of `CreatesSessions.create`, for who hands them on."""

    account: Required[str]
    components: Components | None
    roles: Collection[str] | None
    expires_in: int | None


class TokenArguments(TypedDict, total=False):
    """The arguments of `SignsTokens.sign`, for who hands them on."""

    id: Required[str]
    tenant_id: str | None
    metadata: Mapping[str, object] | None
    roles: Collection[str] | None
    components: Components | None
    expires_in: int | None


class Session(Protocol):
    """What a page is told of a session. `expires_at` is ISO 8601, `expires_in` seconds."""

    @property
    def account(self) -> str: ...
    @property
    def client_secret(self) -> str: ...
    @property
    def expires_at(self) -> str: ...
    @property
    def expires_in(self) -> int: ...
    @property
    def components(self) -> Mapping[str, object]: ...


class Token(Protocol):
    """What a page is told of a signed token. `expires_at` is in Unix seconds; `id` is the end user's."""

    @property
    def jwt(self) -> str: ...
    @property
    def expires_at(self) -> int: ...
    @property
    def id(self) -> str: ...


class CreatesSessions(Protocol):
    """``issuer.account_sessions``."""

    def create(
        self,
        *,
        account: str,
        components: Components | None,
        roles: Collection[str] | None,
        expires_in: int | None,
    ) -> Session | Awaitable[Session]: ...


class SignsTokens(Protocol):
    """``issuer.auth``."""

    def sign(
        self,
        *,
        id: str,  # noqa: A002 - the field's name in the document
        tenant_id: str | None,
        metadata: Mapping[str, object] | None,
        roles: Collection[str] | None,
        components: Components | None,
        expires_in: int | None,
    ) -> Token | Awaitable[Token]: ...


class Issuer(Protocol):
    """Both, plain or async. Raises `guestpass.client_error.ClientError`, or `guestpass.Refused` and
    `guestpass.Unavailable`."""

    @property
    def account_sessions(self) -> CreatesSessions: ...
    @property
    def auth(self) -> SignsTokens: ...
