"""What a platform's back end does for its pages, apart from any framework: who asks, may they, and what they get.

Knows users only as the application's own objects, and whose page a request comes from. How a request is read and an
answer sent is each framework's: `guestpass.platform.starlette`, `guestpass.platform.flask`.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from types import NoneType
from typing import Final, Generic, Literal, Protocol, TypeAlias, TypeVar

from guestpass.client_error import ClientError
from guestpass.errors import ConfigurationError, Refused, Unavailable
from guestpass.platform.answers import (
    BAD_REQUEST,
    DENIED,
    NOT_SIGNED_IN,
    PageAnswer,
    failure_answer,
    session_answer,
    token_answer,
)
from guestpass.platform.issuer import Components, Issuer
from guestpass.platform.origins import PageRequest, check_origins, is_own_page
from guestpass.principal import is_account_id
from guestpass.strict_json import decode_object

T = TypeVar("T")
U = TypeVar("U")

MAX_BODY: Final = 4_096
"""Bytes of a request's body."""

Endpoint: TypeAlias = Literal["create-session", "sdk-token", "refresh-sdk-token"]


@dataclass(frozen=True, slots=True)
class SessionTerms:
    """What a page's session is to be; what is left out is the API's default: all that the key has, for an hour."""

    components: Components | None = None
    roles: Collection[str] | None = None
    expires_in: int | None = None


@dataclass(frozen=True, slots=True)
class EndUser:
    """Who a user is to the API, and what their token is to be.

    `id` is the user's UUID, always the same for the same user. `tenant_id` is the account that the token is for, which
    `may_access` is asked about. What is left out is the API's default: the lowest role, no component, an hour.
    """

    id: str
    tenant_id: str | None = None
    metadata: Mapping[str, object] | None = None
    roles: Collection[str] | None = None
    components: Components | None = None
    expires_in: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.id, str):
            raise TypeError("EndUser(id=…): the user's UUID as a text, str(user.id)")


def everything(_user: object, _account: str) -> SessionTerms:
    """A session with all that the key has."""
    return SessionTerms()


class Ask(Protocol):
    """Calls a function of the application's, plain or async, in the way that its framework allows."""

    async def __call__(self, function: Callable[..., T | Awaitable[T]], /, *arguments: object) -> T: ...


class PlatformBackend(Generic[U]):
    """Gives an application's pages sessions and tokens for the user who is signed in. `U` is the application's user.

    `issuer` is a `guestpass.client.Client` or `AsyncClient`, or `InProcess` or `AsyncInProcess`. `may_access(user,
    account)` is asked first, always: only on True is anything asked for. `session(user, account)` says what the session
    is to be, None that there are none; `end_user(user)` says whose token it is, None that there are none.
    `allow_origins` are further web origins whose pages may ask; their preflights are the application's to answer.

    The functions may be async where the framework is. Raises `ConfigurationError` for what cannot work.
    """

    def __init__(
        self,
        issuer: Issuer,
        *,
        may_access: Callable[[U, str], bool | Awaitable[bool]],
        session: Callable[[U, str], SessionTerms | Awaitable[SessionTerms]] | None = everything,
        end_user: Callable[[U], EndUser | Awaitable[EndUser]] | None = None,
        allow_origins: Collection[str] = (),
    ) -> None:
        if not callable(may_access):
            raise ConfigurationError("may_access: a function of the user and the account that answers True or False")
        if session is None and end_user is None:
            raise ConfigurationError("neither sessions nor tokens: session=… or end_user=…")
        needed = {"account_sessions": session, "auth": end_user}
        if not all(hasattr(issuer, name) for name, wanted in needed.items() if wanted is not None):
            raise ConfigurationError("PlatformBackend(issuer): a guestpass.client.Client, or InProcess(guard, key)")
        self._issuer = issuer
        self._may_access = may_access
        self._session = session
        self._end_user = end_user
        self._origins = check_origins(allow_origins)

    @property
    def endpoints(self) -> list[Endpoint]:
        """What there is to be asked for, by the last part of its address."""
        sessions: list[Endpoint] = ["create-session"] if self._session is not None else []
        tokens: list[Endpoint] = ["sdk-token", "refresh-sdk-token"] if self._end_user is not None else []
        return sessions + tokens

    @property
    def functions(self) -> list[Callable[..., object]]:
        """Every function that answering may call, for a framework that must see whether it can call them."""
        called: list[Callable[..., object]] = [self._may_access]
        if self._session is not None:
            called += [self._session, self._issuer.account_sessions.create]
        if self._end_user is not None:
            called += [self._end_user, self._issuer.auth.sign]
        return called

    async def answer(
        self,
        endpoint: Endpoint,
        request: PageRequest,
        find_user: Callable[[], U | Awaitable[U | None] | None],
        ask: Ask,
    ) -> PageAnswer:
        """The answer to a page. What a function of the application's raises is raised on; nothing is given out then."""
        if not is_own_page(request, self._origins):
            return DENIED
        user = await ask(find_user)
        if user is None or not _is_signed_in(user):
            return NOT_SIGNED_IN
        body = _fields(request, required=endpoint != "sdk-token")
        if body is None:
            return BAD_REQUEST
        try:
            if endpoint == "create-session":
                return await self._create_session(user, body.get("accountId"), ask)
            return await self._sign_token(user, body, ask)
        except (ClientError, Refused, Unavailable) as problem:
            return failure_answer(problem)

    async def _create_session(self, user: U, account: object, ask: Ask) -> PageAnswer:
        if self._session is None or not isinstance(account, str) or not await self._may(user, account, ask):
            return DENIED
        terms = await ask(self._session, user, account)
        create = partial(
            self._issuer.account_sessions.create,
            account=account,
            components=terms.components,
            roles=terms.roles,
            expires_in=terms.expires_in,
        )
        return session_answer(await ask(create))

    async def _sign_token(self, user: U, body: Mapping[str, object], ask: Ask) -> PageAnswer:
        if self._end_user is None:
            return DENIED
        who = await ask(self._end_user, user)
        # The id is the signed-in user's, whatever the page says: else one user could ask for another's token.
        named = body.get("entityId", who.id)
        if not isinstance(named, str) or named.lower() != who.id.lower():
            return DENIED
        if who.tenant_id is not None and not await self._may(user, who.tenant_id, ask):
            return DENIED
        sign = partial(
            self._issuer.auth.sign,
            id=who.id,
            tenant_id=who.tenant_id,
            metadata=who.metadata,
            roles=who.roles,
            components=who.components,
            expires_in=who.expires_in,
        )
        return token_answer(await ask(sign))

    async def _may(self, user: U, account: str, ask: Ask) -> bool:
        if not is_account_id(account):
            return False
        granted = await ask(self._may_access, user, account)
        if not isinstance(granted, bool):
            # Something that is merely true may be a forgotten `await`, or a query that was never run.
            raise TypeError(f"may_access answered {type(granted).__name__}: it answers True or False")
        return granted


def _is_signed_in(user: object) -> bool:
    # A proxy of nobody, as Flask's kind is, is not None itself; and frameworks have a user for whoever has not signed
    # in: Flask-Login, Starlette and Django all say so in the same word.
    said = getattr(user, "is_authenticated", True)
    # A method, as it was in their early days, is true whatever it would answer.
    return not isinstance(user, NoneType) and bool(said) and not callable(said)


def _fields(request: PageRequest, *, required: bool) -> dict[str, object] | None:
    """The JSON object of the body, None where there is none."""
    if not request.body and not required:
        return {}
    # Nothing but JSON: another site's page cannot send that without a preflight, which is refused.
    if not request.is_json or len(request.body) > MAX_BODY:
        return None
    try:
        return decode_object(request.body)
    except ValueError:
        return None
