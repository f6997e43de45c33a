"""What an audit can find: one table of codes, a finding, and what is accepted on purpose.

Knows no application. A finding is accepted by its code and its route, with a reason; an acceptance that no finding
needs any more is one itself, so that the list of them cannot outlive what it was made for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from guestpass.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Kind:
    """What findings of one code have in common: a line for people, and whether it opens something (``error``) or is a
    mistake that lets nobody in (``warning``)."""

    says: str
    level: str = "error"


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "unguarded": Kind("No guard stands before the application."),
        "guard_not_called": Kind("A guard is there, and no request passes it."),
        "outside_guard": Kind("A part of the application stands beside the guard."),
        "sockets_unguarded": Kind("The guard judges HTTP alone; WebSocket handshakes pass it by."),
        "route_uncovered": Kind("No rule is for a route, so nobody can reach it.", "warning"),
        "rule_unmatched": Kind("A rule is for no route.", "warning"),
        "public_without_reason": Kind("A public route does not say why everybody may have it."),
        "account_unbound": Kind("A handler takes an account that no rule holds against the caller's."),
        "rules_compete": Kind("Two rules are for one request.", "warning"),
        "rules_unreadable": Kind("The rules contradict themselves or the application.", "warning"),
        "needs_without_effect": Kind("A needs(…) stands where nobody reads it.", "warning"),
        "reached_without_credential": Kind("A handler was reached without a credential."),
        "reached_for_other_account": Kind("A handler was reached for one account with the credential of another."),
        "reached_without_component": Kind("A handler was reached by a credential whose component is disabled."),
        "reached_to_mint": Kind("A browser's credential reached what creates credentials."),
        "reached_uncovered": Kind("A handler was reached though no rule is for it."),
        "asked_in_vain": Kind("No request reached any handler, so asking has told nothing."),
        "acceptance_unused": Kind("A finding is accepted that is not there.", "warning"),
    }
)
"""Every code. They are stable: a new release may add some, and gives none another meaning."""


@dataclass(frozen=True, slots=True)
class Location:
    """Where in the source something stands."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One gap: its `code`, the `route` or rule as the table shows it, and what to change."""

    code: str
    route: str
    message: str
    location: Location | None = field(default=None, compare=False)

    @property
    def level(self) -> str:
        """``error`` where something stands open, ``warning`` where nothing does."""
        return KINDS[self.code].level


@dataclass(frozen=True, slots=True)
class Accepted:
    """A finding that is meant to be so: ``Accepted("route_uncovered", "GET /old", reason="gone in March")``.

    `route` is as the finding has it; ``*`` at its end stands for anything. Raises `ConfigurationError` without a
    reason, and for a code that there is none of.
    """

    code: str
    route: str
    reason: str

    def __post_init__(self) -> None:
        if self.code not in KINDS:
            raise ConfigurationError(f"Accepted({self.code!r}, …): no such finding; one of {', '.join(KINDS)}")
        if not says_something(self.reason):
            raise ConfigurationError(f"Accepted({self.code!r}, {self.route!r}): a reason is needed: reason=…")
        if not self.route.strip("* "):
            raise ConfigurationError(f"Accepted({self.code!r}, {self.route!r}): name the route, such as GET /old/*")

    def covers(self, finding: Finding) -> bool:
        """Whether it is for this finding."""
        if self.code != finding.code:
            return False
        begins = self.route.removesuffix("*")
        return finding.route.startswith(begins) if begins != self.route else finding.route == self.route


_NO_REASON: Final = frozenset({"", "todo", "tbd", "fixme", "xxx", "none", "na", "wip", "public", "reason", "because"})


def says_something(reason: str | None) -> bool:
    """Whether a reason is more than a word put there to have one."""
    return "".join(c for c in (reason or "").lower() if c.isalnum()) not in _NO_REASON


def sift(
    findings: Iterable[Finding], accepted: Sequence[Accepted]
) -> tuple[tuple[Finding, ...], tuple[tuple[Finding, Accepted], ...]]:
    """What is left, and what is accepted by what."""
    left: list[Finding] = []
    taken: list[tuple[Finding, Accepted]] = []
    for finding in dict.fromkeys(findings):
        by = next((one for one in accepted if one.covers(finding)), None)
        if by is None:
            left.append(finding)
        else:
            taken.append((finding, by))
    used = {by for _, by in taken}
    for one in accepted:
        if one not in used:
            said = f"{one.code} is accepted for {one.route}, and there is no such finding: take the acceptance out"
            left.append(Finding("acceptance_unused", one.route, said))
    return tuple(left), tuple(taken)
