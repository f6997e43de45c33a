"""The kit: credentials of every kind for one guard of test mode, made as a platform would make them.

Nothing is faked: keys are in the guard's store, sessions and tokens are minted with them, and every check stands.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar, Unpack

from guestpass.api_keys import ApiKeys, Components, NewKey, component_names
from guestpass.authenticators import Authenticator
from guestpass.errors import ConfigurationError
from guestpass.grants import ALL
from guestpass.guard import Guard
from guestpass.keyring import KeyRing
from guestpass.ownership import SINGLE_PLATFORM, Owns, SinglePlatform
from guestpass.policy import Policy
from guestpass.principal import SECRET_KEY, Principal
from guestpass.sessions import AccountSession, AccountSessions
from guestpass.signer import SignedToken, TokenSigner
from guestpass.stores import open_store
from guestpass.testing.asked import KeyAsked, SessionAsked, TokenAsked, refuse_unknown
from guestpass.testing.clients import ClientAs
from guestpass.testing.clock import Clock
from guestpass.testing.principals import ACCOUNT, PLATFORM, principal

A = TypeVar("A")
C = TypeVar("C")


class Kit:
    """Credentials for `guard`, whose mode has to be ``test``: ``kit = Kit(guard)``, or ``Kit.around(policy)``.

    `platform` is whose they are unless it is said. Raises `ConfigurationError` for a live guard.
    """

    def __init__(self, guard: Guard, *, platform: str = PLATFORM) -> None:
        if not isinstance(guard, Guard):
            raise ConfigurationError(f"Kit({type(guard).__name__}): Kit(guard), or Kit.around(policy)")
        if guard.mode != "test":
            raise ConfigurationError(
                "Kit(guard): this guard is in live mode, for which the kit makes nothing; let the application take its "
                'mode from its configuration, Guard(mode=settings.mode), and build it with "test" in its tests'
            )
        self.guard: Final = guard
        self.platform: Final = platform

    @classmethod
    def around(
        cls,
        policy: Policy,
        *,
        clock: Callable[[], float] | None = None,
        owns: Owns | SinglePlatform = SINGLE_PLATFORM,
        authenticators: Iterable[Authenticator] = (),
        platform: str = PLATFORM,
    ) -> "Kit":
        """A kit with a guard of its own around `policy`: keys, sessions and signed tokens in memory, and more
        `authenticators`. `owns` is as in `ApiKeys`.

        Its clock is a `Clock` unless another is given. Raises `ConfigurationError` as `Guard` does.
        """
        clock = clock or Clock()
        store = open_store("memory://", clock=clock)
        ring = KeyRing(store, wrapping_key=KeyRing.new_wrapping_key(), algorithm="EdDSA", clock=clock)
        made: list[Authenticator] = [
            ApiKeys(store, owns=owns, clock=clock),
            AccountSessions(store, clock=clock),
            TokenSigner(ring, issuer="https://api.example", audience="api", clock=clock),
        ]
        return cls(
            Guard(authenticators=[*made, *authenticators], policy=policy, mode="test", clock=clock), platform=platform
        )

    @property
    def clock(self) -> Clock:
        """The guard's clock, where it is a `Clock`. Raises `ConfigurationError` where it is not."""
        clock = self.guard.clock
        if not isinstance(clock, Clock):
            raise ConfigurationError(
                "kit.clock: the guard has another clock; build it, and what it authenticates with, with "
                "clock=guestpass.testing.Clock()"
            )
        return clock

    @property
    def account_header(self) -> str:
        """Where a request names the account that a key is to be used for."""
        return self.guard.account_header

    @property
    def keys(self) -> ApiKeys:
        """The guard's API keys. Raises `ConfigurationError` where it has none."""
        return self._own(ApiKeys)

    @property
    def sessions(self) -> AccountSessions:
        """The guard's account sessions. Raises `ConfigurationError` where it has none."""
        return self._own(AccountSessions)

    @property
    def signer(self) -> TokenSigner:
        """The guard's signer of tokens. Raises `ConfigurationError` where it has none."""
        return self._own(TokenSigner)

    def key(self, **asked: Unpack[KeyAsked]) -> NewKey:
        """A new API key, its text in `secret`: a secret key that may do everything, unless it is said (`KeyAsked`)."""
        refuse_unknown("kit.key", asked, KeyAsked)
        return self.keys.create(
            platform=asked.get("platform", self.platform),
            mode="test",
            kind=asked.get("kind", SECRET_KEY),
            accounts=asked.get("accounts", ALL),
            components=asked.get("components", ALL),
            roles=asked.get("roles", ALL),
            origins=asked.get("origins", ()),
            expires_at=self.guard.clock() + asked.get("expires_in", math.inf),
        )

    def minter(self, **asked: Unpack[KeyAsked]) -> Principal:
        """The principal of a new secret key: for ``sessions.create(by=…)`` and ``signer.sign(by=…)``."""
        return self.guard.check(self.key(**asked).secret)

    def session(self, **asked: Unpack[SessionAsked]) -> AccountSession:
        """A new account session, its text in `client_secret`: see `SessionAsked`.

        A key made for its account mints it, so nobody is asked whose the account is. Raises `Refused` as
        `AccountSessions.create` does.
        """
        refuse_unknown("kit.session", asked, SessionAsked)
        account, components = asked.get("account", ACCOUNT), asked.get("components", ALL)
        return self.sessions.create(
            by=self._minter_for(account, asked.get("platform")),
            account=account,
            components=None if components is ALL else _enabled(components),
            roles=asked.get("roles"),
            expires_in=asked.get("expires_in"),
        )

    def token(self, **asked: Unpack[TokenAsked]) -> SignedToken:
        """A new signed token, its text in `jwt`: see `TokenAsked`. Raises `Refused` as `TokenSigner.sign` does."""
        refuse_unknown("kit.token", asked, TokenAsked)
        account = asked.get("account", ACCOUNT)
        components = asked.get("components", ())
        if components is ALL:
            components = self.guard.policy.components
        return self.signer.sign(
            by=self._minter_for(account, asked.get("platform")),
            id=asked.get("subject"),
            tenant_id=account,
            metadata=asked.get("metadata"),
            roles=asked.get("roles"),
            components=_enabled(components),
            expires_in=asked.get("expires_in"),
        )

    def client(self, client: C) -> ClientAs[C]:
        """Clients like this one that send as somebody: ``kit.client(TestClient(app)).as_session(account="acct_1")``."""
        return ClientAs(self, client)

    def _minter_for(self, account: str, platform: str | None) -> Principal:
        whose = platform or self.platform
        if not any(isinstance(one, ApiKeys) for one in self.guard.authenticators):
            # Keys that are kept elsewhere mint by their principal alone.
            return principal(SECRET_KEY, platform=whose, account=account)
        return self.minter(platform=whose, accounts={account})

    def _own(self, kind: type[A]) -> A:
        found = next((one for one in self.guard.authenticators if isinstance(one, kind)), None)
        if found is None:
            raise ConfigurationError(
                f"the kit's guard has no {kind.__name__}: Guard(authenticators=[{kind.__name__}(…), …])"
            )
        return found


def _enabled(components: Components) -> Mapping[str, Mapping[str, object]]:
    """Components as they are asked for when something is minted."""
    named = component_names(components)
    asked: dict[str, dict[str, object]] = {}
    for name in sorted(() if named is ALL else named):
        component, _, feature = name.partition("/")
        setting = asked.setdefault(component, {"enabled": True, "features": {}})
        if feature == "*":
            # Without features, all that the minter has.
            asked[component] = {"enabled": True}
        elif feature:
            features = setting.get("features")
            if isinstance(features, dict):
                features[feature] = True
    return asked
