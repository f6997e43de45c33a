"""What a principal may touch: the lattice that "never more than what minted it" rests on.

Knows sets of names and how two grants compare. Knows nothing of requests, credentials or policies; names
that stand for others (a role for the lower ones, ``call_logs/*`` for every feature) are spelled out by
`guestpass.policy.Policy.close` before grants are compared.

A component is a name, ``call_logs``; a feature of it is ``call_logs/transcripts``. Both live in one set, so in
every dimension *covers* is "superset" and *meet* is "intersection".
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal, TypeAlias

Mode: TypeAlias = Literal["live", "test"]


class All(Enum):
    """The set of every name, also of those that do not exist yet."""

    ALL = "ALL"

    def __contains__(self, name: object) -> bool:
        return True

    def __repr__(self) -> str:
        return "ALL"


ALL: Final = All.ALL

Names: TypeAlias = frozenset[str] | All


_STRING: Final = frozenset({str})


def names(given: Iterable[str] | All) -> Names:
    """`given` as a set of names. A lone string is refused: it would be read as a set of letters."""
    if isinstance(given, All):
        return given
    if isinstance(given, str | bytes):
        raise TypeError(f"expected ALL or a collection of names, not the string {given!r}: write {{{given!r}}}")
    frozen = frozenset(given)
    if not (_STRING.issuperset(map(type, frozen)) or all(isinstance(name, str) for name in frozen)):
        raise TypeError("expected ALL or a collection of names, each of them a string")
    return frozen


def superset(larger: Names, smaller: Names) -> bool:
    """Whether every name of `smaller` is in `larger`."""
    if larger is ALL:
        return True
    return smaller is not ALL and larger >= smaller


def intersection(one: Names, other: Names) -> Names:
    """The names in both."""
    if one is ALL:
        return other
    return one if other is ALL else one & other


def listed(given: Names) -> list[str]:
    """The names in order; none of `ALL`, which has no end."""
    return [] if given is ALL else sorted(given)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a principal may do: accounts × components with their features × roles, on one platform, in one mode.

    `accounts`, `components` and `roles` are `ALL` or a set of names, never None; the empty set covers nothing.
    `expires_at` is in Unix seconds; infinity where there is no end.
    """

    platform: str
    mode: Mode
    accounts: Names = frozenset()
    components: Names = frozenset()
    roles: Names = frozenset()
    expires_at: float = math.inf

    def __post_init__(self) -> None:
        if self.mode not in ("live", "test"):
            raise ValueError(f"mode is 'live' or 'test', not {self.mode!r}")
        if math.isnan(self.expires_at):
            raise ValueError("expires_at is a number of seconds, or infinity")
        for field, given in (("accounts", self.accounts), ("components", self.components), ("roles", self.roles)):
            checked = names(given)
            if checked is not given:
                object.__setattr__(self, field, checked)

    def until(self, expires_at: float) -> "Grant":
        """The same with another end."""
        if expires_at == self.expires_at:
            return self
        return _checked(self.platform, self.mode, self.accounts, self.components, self.roles, expires_at)

    def to(self, accounts: Names, components: Names, roles: Names, expires_at: float) -> "Grant":
        """The same platform and mode, and for the rest sets of names that have been checked."""
        return _checked(self.platform, self.mode, accounts, components, roles, expires_at)

    def covers(self, other: "Grant") -> bool:
        """Whether all that `other` allows is allowed here too. A partial order."""
        return not self.lacks(other)

    def lacks(self, other: "Grant") -> tuple[str, ...]:
        """The dimensions in which `other` goes beyond this grant; empty where this one covers it."""
        beyond: tuple[str, ...] = ()
        if self.platform != other.platform:
            beyond += ("platform",)
        if self.mode != other.mode:
            beyond += ("mode",)
        if not superset(self.accounts, other.accounts):
            beyond += ("account",)
        if not superset(self.components, other.components):
            beyond += ("components",)
        if not superset(self.roles, other.roles):
            beyond += ("roles",)
        if self.expires_at < other.expires_at:
            beyond += ("expires_in",)
        return beyond

    def meet(self, other: "Grant") -> "Grant | None":
        """The greatest grant that both cover, or None: two platforms, or two modes, have nothing in common."""
        if self == other:
            return self
        if self.platform != other.platform or self.mode != other.mode:
            return None
        return Grant(
            platform=self.platform,
            mode=self.mode,
            accounts=intersection(self.accounts, other.accounts),
            components=intersection(self.components, other.components),
            roles=intersection(self.roles, other.roles),
            expires_at=min(self.expires_at, other.expires_at),
        )


def _checked(platform: str, mode: Mode, accounts: Names, components: Names, roles: Names, expires_at: float) -> Grant:
    """A grant of parts of others: what was checked once is not checked again."""
    grant, put = object.__new__(Grant), object.__setattr__
    put(grant, "platform", platform)
    put(grant, "mode", mode)
    put(grant, "accounts", accounts)
    put(grant, "components", components)
    put(grant, "roles", roles)
    put(grant, "expires_at", expires_at)
    return grant
