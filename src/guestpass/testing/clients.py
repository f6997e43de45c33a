"""Test clients that send as somebody: any client that has default headers, and those of Flask.

Knows how a client is given a credential. How one is made is `guestpass.testing.kit`'s.
"""

import copy
from collections.abc import Callable, Mapping, MutableMapping
from typing import Final, Generic, Protocol, TypeVar, Unpack, cast, runtime_checkable

from guestpass.api_keys import NewKey
from guestpass.sessions import AccountSession
from guestpass.signer import SignedToken
from guestpass.testing.asked import KeyAsked, SessionAsked, TokenAsked
from guestpass.testing.identity_provider import IdentityProvider

C = TypeVar("C")

AUTHORIZATION: Final = "Authorization"


@runtime_checkable
class HasHeaders(Protocol):
    """A client with headers that go with every request: those of httpx and requests, and Starlette's `TestClient`."""

    headers: MutableMapping[str, str]


@runtime_checkable
class HasEnviron(Protocol):
    """A client with an environ that every request starts from: Flask's, and Werkzeug's."""

    environ_base: Mapping[str, object]


class MakesCredentials(Protocol):
    """Who makes what the clients present: `guestpass.testing.kit.Kit`."""

    @property
    def account_header(self) -> str: ...

    def key(self, **asked: Unpack[KeyAsked]) -> NewKey: ...

    def session(self, **asked: Unpack[SessionAsked]) -> AccountSession: ...

    def token(self, **asked: Unpack[TokenAsked]) -> SignedToken: ...


class ClientAs(Generic[C]):
    """``kit.client(TestClient(app))``: each method answers a client like the one given, that sends as somebody.

    It shares everything but the credential with the one given: cookies, connections, and what ``with`` has begun. Ask
    for it inside of that ``with``. `plain` is the client given.
    """

    def __init__(self, kit: MakesCredentials, plain: C) -> None:
        if not isinstance(plain, HasHeaders | HasEnviron):
            raise TypeError(
                f"kit.client({type(plain).__name__}): a client with default headers, such as httpx.Client(…), "
                "httpx.AsyncClient(…) and starlette.testclient.TestClient(app), or Flask's app.test_client()"
            )
        self._kit = kit
        self.plain: Final = plain

    def as_session(self, **asked: Unpack[SessionAsked]) -> C:
        """One that presents a new account session: see `Kit.session`."""
        return self.as_credential(self._kit.session(**asked).client_secret)

    def as_token(self, **asked: Unpack[TokenAsked]) -> C:
        """One that presents a new signed token: see `Kit.token`."""
        return self.as_credential(self._kit.token(**asked).jwt)

    def as_key(self, *, account: str | None = None, **asked: Unpack[KeyAsked]) -> C:
        """One that presents a new API key: see `Kit.key`. It names `account` in the guard's header, as a platform-wide
        key has to."""
        named = {} if account is None else {self._kit.account_header: account}
        return self.as_credential(self._kit.key(**asked).secret, named)

    def as_identity(self, provider: IdentityProvider, subject: str = "user_1", **claims: object) -> C:
        """One that presents a new token of an outside issuer: see `IdentityProvider.token`."""
        return self.as_credential(provider.sign(provider.claims(subject, **claims)))

    def as_credential(self, text: str, headers: Mapping[str, str] | None = None) -> C:
        """One that presents this, whatever it is, and sends more `headers` with it."""
        return self._with({**(headers or {}), AUTHORIZATION: f"Bearer {text}"})

    def as_anyone(self) -> C:
        """One that presents nothing."""
        return self._with({AUTHORIZATION: None})

    def _with(self, headers: Mapping[str, str | None]) -> C:
        twin = copy.copy(self.plain)
        if isinstance(twin, HasEnviron):
            spelled = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
            base = {name: value for name, value in twin.environ_base.items() if name not in spelled}
            twin.environ_base = base | {name: value for name, value in spelled.items() if value is not None}
        elif isinstance(twin, HasHeaders):
            # Of the same class as before: to it names have no case.
            fresh = cast("Callable[[object], MutableMapping[str, str]]", type(twin.headers))(twin.headers)
            for name, value in headers.items():
                fresh.pop(name, None)
                if value is not None:
                    fresh[name] = value
            twin.headers = fresh
        return twin
