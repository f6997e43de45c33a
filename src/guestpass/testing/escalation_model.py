"""What each credential of a small world may do at most: the second opinion that the machine holds a guard to.

Sets of names, spelled out, and instants; shares no code with the lattice of grants, on purpose: what is wrong there
must not be wrong here too. Knows nothing of hypothesis.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, cast

from guestpass.api_keys import Components
from guestpass.grants import ALL, All, Grant, Names
from guestpass.policy import Policy
from guestpass.principal import PUBLISHABLE_KEY, SECRET_KEY, Principal
from guestpass.rules import BASE_ROLE, Rule

ACCOUNTS: Final[Mapping[str, tuple[str, ...]]] = {
    "plat_a": ("acct_a1", "acct_a2"),
    "plat_b": ("acct_b1",),
}
"""The platforms of the world, and whose its accounts are."""

EVERY_ACCOUNT: Final = tuple(account for owned in ACCOUNTS.values() for account in owned)


def owns(platform: str, account: str) -> bool:
    """The register of the world."""
    return account in ACCOUNTS.get(platform, ())


@dataclass(frozen=True, slots=True)
class Bound:
    """At most this. `accounts` None: every one of the platform's own. `ends` in Unix seconds."""

    platform: str
    accounts: frozenset[str] | None
    components: frozenset[str]
    roles: frozenset[str]
    ends: float

    def within(self, other: "Bound") -> "Bound":
        """What both allow, on this one's platform."""
        if self.accounts is None or other.accounts is None:
            accounts = other.accounts if self.accounts is None else self.accounts
        else:
            accounts = frozenset(one for one in self.accounts if one in other.accounts)
        return replace(
            self,
            accounts=accounts,
            components=frozenset(one for one in self.components if one in other.components),
            roles=frozenset(one for one in self.roles if one in other.roles),
            ends=min(other.ends, self.ends),
        )

    def covers_account(self, account: str) -> bool:
        """Whether it is for this account."""
        return owns(self.platform, account) if self.accounts is None else account in self.accounts

    def exceeded_by(self, grant: Grant, vocabulary: "Vocabulary") -> list[str]:
        """In which ways a grant goes beyond it."""
        beyond: list[str] = []
        if grant.platform != self.platform:
            beyond.append(f"platform {grant.platform}")
        if grant.mode != "test":
            beyond.append(f"mode {grant.mode}")
        for what, given, allowed, known in (
            ("component", grant.components, self.components, vocabulary.components),
            ("role", grant.roles, self.roles, vocabulary.roles),
        ):
            # Of ALL, the names that the policy knows: nothing else is ever asked for.
            beyond += [
                f"{what} {name}" for name in (known if isinstance(given, All) else sorted(given)) if name not in allowed
            ]
        if self.accounts is not None:
            named = EVERY_ACCOUNT if isinstance(grant.accounts, All) else sorted(grant.accounts)
            beyond += [f"account {name}" for name in named if name not in self.accounts]
        if grant.expires_at > self.ends:
            beyond.append(f"{grant.expires_at - self.ends} more seconds")
        return beyond


@dataclass(slots=True)
class Key:
    """An API key of the world. `secrets` are its texts, the newest last."""

    id: str
    kind: str
    bound: Bound
    secrets: list["Held"] = field(default_factory=list["Held"])
    minted: list["Held"] = field(default_factory=list["Held"])

    def end_minted(self, why: str) -> None:
        """All that it minted until now has ended."""
        for held in self.minted:
            held.end(why)


@dataclass(slots=True)
class Held:
    """One credential that somebody has: a key's secret, a session's or a token.

    `ended` says why it is good for nothing any more. `principal` is who it proved to be when it was made, and
    `principal_bound` what that may do: a backend may hold on to it.
    """

    label: str
    text: str = field(repr=False)
    kind: str
    key: Key = field(repr=False)
    bound: Bound
    principal: Principal
    principal_bound: Bound
    id: str = ""
    kid: str = ""
    ended: str = ""

    def end(self, why: str) -> None:
        """It is good for nothing any more."""
        self.ended = self.ended or why

    @property
    def is_key(self) -> bool:
        """Whether it is an API key's secret."""
        return self.kind in (SECRET_KEY, PUBLISHABLE_KEY)

    def limit(self) -> Bound:
        """What it may do now: never more than its key has left."""
        return self.key.bound.within(self.bound)

    def objections(self, principal: Principal, now: float, vocabulary: "Vocabulary") -> list[str]:
        """What is wrong with its being let in, at `now`, as this principal."""
        wrong = [f"it is good although {self.ended}"] if self.ended else []
        limit = self.limit()
        if now >= limit.ends:
            wrong.append(f"it is good {now - limit.ends} seconds after its end")
        if principal.kind != self.kind:
            wrong.append(f"it passes for a {principal.kind}")
        return wrong + [f"it has {what}, and should not" for what in limit.exceeded_by(principal.grant, vocabulary)]

    def objections_to(
        self, rule: Rule, account: str | None, principal: Principal, now: float, vocabulary: "Vocabulary"
    ) -> list[str]:
        """What is wrong with its being let in by `rule`, at `now`, as this principal, where `account` was asked for."""
        wrong, limit = self.objections(principal, now, vocabulary), self.limit()
        if self.kind == PUBLISHABLE_KEY if rule.kinds is None else self.kind not in rule.kinds:
            wrong.append(f"it is a {self.kind}")
        if rule.mints and self.kind != SECRET_KEY:
            wrong.append("it may mint")
        if account is not None and principal.account != account:
            wrong.append(f"it acts for {principal.account}, and {account} was asked for")
        if principal.account is not None and not limit.covers_account(principal.account):
            wrong.append(f"it acts for {principal.account}")
        if rule.account is not False and principal.account is None:
            wrong.append("it acts for no account in particular")
        feature = None if rule.feature is None else f"{rule.component}/{rule.feature}"
        wrong += [f"it has no {name}" for name in (rule.component, feature) if name and name not in limit.components]
        role = vocabulary.base_role if rule.role is BASE_ROLE else rule.role
        if role is not None and role not in limit.roles:
            wrong.append(f"it has not the role {role}")
        return wrong


class Vocabulary:
    """The names of a policy, and what those that stand for others mean, said once more."""

    def __init__(self, policy: Policy) -> None:
        self.features: Final = {name: tuple(sorted(features)) for name, features in sorted(policy.components.items())}
        self.components: Final = tuple(
            name for one, features in self.features.items() for name in (one, *(f"{one}/{f}" for f in features))
        )
        self.roles: Final = tuple(policy.roles)
        self.base_role: Final = policy.base_role

    def meant_components(self, given: Components) -> frozenset[str]:
        """What a key with these components has."""
        if isinstance(given, All):
            return frozenset(self.components)
        found: set[str] = set()
        if isinstance(given, Mapping):
            listed = dict(cast("Mapping[str, Collection[str]]", given))
        else:
            listed = {component: self.features[component] for component in given}
        for component, features in listed.items():
            found.add(component)
            found.update(f"{component}/{feature}" for feature in features)
        return frozenset(found)

    def meant_roles(self, given: Collection[str] | All) -> frozenset[str]:
        """What a key with these roles has: the highest brings the lower ones."""
        if isinstance(given, All):
            return frozenset(self.roles)
        return frozenset(role for at, role in enumerate(self.roles) if any(one in given for one in self.roles[at:]))

    def asked_components(self, asked: Mapping[str, object] | None, minter: Bound) -> frozenset[str]:
        """What is asked for when something is minted: `asked` as in the body of a request."""
        if asked is None:
            return minter.components
        found: set[str] = set()
        for component, setting in asked.items():
            wanted = cast("Mapping[str, object]", setting)
            if wanted["enabled"] is not True:
                continue
            found.add(component)
            features = cast("Mapping[str, bool] | None", wanted.get("features"))
            on = [one for one in self.features[component] if features is None or features.get(one) is True]
            found.update(f"{component}/{feature}" for feature in on)
        return frozenset(found)

    def asked_roles(self, asked: Collection[str] | None) -> frozenset[str]:
        """The roles that are asked for when something is minted."""
        if asked is None:
            return frozenset() if self.base_role is None else frozenset({self.base_role})
        return self.meant_roles(asked)


def accounts_of(given: Names) -> frozenset[str] | None:
    """The accounts of a key, as a bound has them."""
    return None if given is ALL else frozenset(given)
