"""Routes with their rules: what the guard would hold a request for each to.

The rule is the policy's own answer for a request that the route takes, so it cannot differ from the decision.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from guestpass.audit.route import Route, shown_methods
from guestpass.policy import Policy
from guestpass.rules import HTTP_METHODS, WEBSOCKET, Rule


@dataclass(frozen=True, slots=True)
class Row:
    """A route, those of its methods that one rule is for, and the rule; None where there is none, or no guard."""

    route: Route
    methods: frozenset[str]
    rule: Rule | None

    @property
    def shown(self) -> str:
        """Methods and path, as a rule would be written."""
        return f"{shown_methods(self.methods)} {self.route.path}"

    @property
    def needs(self) -> str:
        """What the rule asks for, in words."""
        door = self.route.standing.door
        if door is None:
            return "no guard"
        if self.route.opaque:
            return "a guard of its own; what it serves cannot be read"
        return "nobody gets in" if self.rule is None else describe(door.guard.policy, self.rule)


def rows_of(routes: Iterable[Route]) -> list[Row]:
    """One row for each route and rule."""
    rows: list[Row] = []
    for route in routes:
        by_rule: dict[int, tuple[Rule | None, set[str]]] = {}
        for method, rule in _rules(route):
            by_rule.setdefault(id(rule), (rule, set()))[1].add(method)
        rows += [Row(route, frozenset(methods), rule) for rule, methods in by_rule.values()]
    return rows


def _rules(route: Route) -> Iterator[tuple[str, Rule | None]]:
    door = route.standing.door
    if door is None or route.opaque:
        # A row all the same, for the table.
        yield from ((method, None) for method in route.methods or {"*"})
        return
    policy = door.guard.policy
    if route.methods:
        yield from ((method, rule_for(policy, route, method)) for method in sorted(route.methods))
        return
    # It takes any method, or nobody can tell which: those that have a rule count.
    found = [(method, rule_for(policy, route, method)) for method in sorted(HTTP_METHODS | {WEBSOCKET})]
    ruled = [(method, rule) for method, rule in found if rule is not None]
    yield from ruled
    if not ruled:
        yield "*", None


def rule_for(policy: Policy, route: Route, method: str) -> Rule | None:
    """The rule for a request of `method` that the route takes."""
    if route.sample is not None:
        return policy.find(method, inner_path(route))
    # No request is known that it would take: the first rule that could be for one.
    pattern = route.pattern()
    return next((rule for rule in policy.rules if method in rule.methods and rule.overlaps(pattern)), None)


def inner_path(route: Route) -> str:
    """The path of the route's sample as the guard sees it: below where the guard stands."""
    return route.standing.inner_sample(route.sample or "")


def describe(policy: Policy, rule: Rule) -> str:
    """What a rule asks for, in words."""
    if rule.public:
        return f"public: {rule.reason}"
    said: list[str] = []
    if rule.account:
        places = ", ".join(f"{place.where} {place.name}" for place in rule.places)
        said.append(f"account ({places})" if places else "account")
    if rule.component is not None:
        said.append(f"{rule.component}/{rule.feature}" if rule.feature is not None else rule.component)
    role = policy.role_of(rule)
    if role is not None:
        said.append(f"role {role}")
    if rule.kinds is not None:
        said.append(f"kinds {', '.join(sorted(rule.kinds))}")
    if rule.mints:
        said.append("mints")
    return "; ".join(said) or "a credential"
