"""A guard that decides as the application's own, for credentials that an audit makes and nobody else has.

The twin has the policy, the mode and the settings of the guard, and none of its authenticators: no store is asked, and
no real credential means anything to it. Its own are made of 256 random bits each, for one audit, live in memory and
are never sent anywhere. So a guard in live mode can be asked without being weakened: it is not overridden, it is not
there. While the twin stands in its place, whoever else calls is refused, and behind it is no handler.
"""

import secrets
from dataclasses import dataclass, field
from typing import Final

from guestpass.authenticators import Verdict
from guestpass.credentials import Credential
from guestpass.grants import Grant
from guestpass.guard import Guard
from guestpass.principal import (
    ACCOUNT_SESSION,
    IDENTITY_TOKEN,
    PUBLISHABLE_KEY,
    SECRET_KEY,
    SIGNED_TOKEN,
    Principal,
)
from guestpass.rules import Rule

PLATFORM: Final = "guestpass-audit"
_USUAL: Final = (ACCOUNT_SESSION, SIGNED_TOKEN, IDENTITY_TOKEN, PUBLISHABLE_KEY, SECRET_KEY)


class Passes:
    """The credentials of one audit: an authenticator that knows what it has made, and nothing else."""

    def __init__(self) -> None:
        self._made: Final[dict[str, Principal]] = {}

    def make(self, principal: Principal) -> str:
        """A new credential."""
        text = f"audit.{secrets.token_hex(32)}"
        self._made[text] = principal
        return text

    def kind_of(self, credential: Credential, /) -> str | None:
        """The kind of one that was made here."""
        made = self._made.get(credential.text)
        return None if made is None else made.kind

    def authenticate(self, credential: Credential, now: float, /) -> Verdict:  # noqa: ARG002 - as the port has it
        """Its principal."""
        return self._made[credential.text]


@dataclass(frozen=True, slots=True)
class Twin:
    """A guard's twin, and what makes its credentials."""

    guard: Guard
    passes: Passes = field(repr=False)

    @classmethod
    def of(cls, guard: Guard, passes: Passes | None = None) -> "Twin":
        """The twin of `guard`, which is only read. Guards that stand one behind the other have the same `passes`."""
        passes = passes or Passes()
        made = Guard(
            authenticators=[passes],
            policy=guard.policy,
            mode=guard.mode,
            realm=guard.realm,
            account_header=guard.account_header,
        )
        return cls(made, passes)

    def principal(self, kind: str, account: str, *, without: str | None = None) -> Principal:
        """One that may do everything in one account, but for the component `without`."""
        policy = self.guard.policy
        components = frozenset(
            name for name in policy.all_components() if without is None or name.partition("/")[0] != without
        )
        grant = Grant(
            PLATFORM,
            self.guard.mode,
            frozenset() if kind == PUBLISHABLE_KEY else frozenset({account}),
            components,
            policy.close_roles(frozenset(policy.roles)),
        )
        return Principal(kind=kind, subject="audit", grant=grant, credential_id="audit")


def kind_for(rule: Rule | None) -> str:
    """A kind of credential that a rule lets in."""
    if rule is not None and rule.mints:
        return SECRET_KEY
    if rule is None or rule.kinds is None:
        return ACCOUNT_SESSION
    return next((kind for kind in _USUAL if kind in rule.kinds), min(rule.kinds))
