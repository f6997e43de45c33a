"""All the rules, and the vocabulary that they and every grant are written in.

Knows the platform's components with their features, the roles in their order, and which rule a request is for.
What is not listed here is not known: default deny. Immutable.
"""

import copy
import difflib
import itertools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from guestpass.contested import contested, twins
from guestpass.errors import ConfigurationError, RulesCompete
from guestpass.grants import ALL, Grant, Names
from guestpass.paths import trouble
from guestpass.principal import is_name
from guestpass.rule_table import RouteRule, RuleTable, find, tables
from guestpass.rules import BASE_ROLE, WEBSOCKET, Rule

EXTERNAL_ENTITY: Final = "external_entity"
EVERY_FEATURE: Final = "/*"

# Text that is read in one way, but for what is left empty in it; what else there is may be, too.
_PLAIN: Final = re.compile(r"/[A-Za-z0-9_/-]*").fullmatch


class Policy:
    """The rules of one API: ``Policy(Rule("GET /v1/call_logs", component="call_logs"), components=…, roles=…)``.

    `components` maps each component to its features; `roles` are in order, the lowest first. Raises
    `ConfigurationError` for a policy that says nothing, a rule with an unknown component, feature or role, and
    for two rules between which some request could not choose.
    """

    def __init__(
        self,
        *rules: Rule,
        components: Mapping[str, Collection[str]] | None = None,
        roles: Sequence[str] = (),
    ) -> None:
        self.components: Final = _read_components(components or {})
        self.roles: Final = _read_roles(roles)
        self._features = {
            component: frozenset(f"{component}/{feature}" for feature in features)
            for component, features in self.components.items()
        }
        self._every_component = frozenset(self.components).union(*self._features.values())
        self.base_role: Final = EXTERNAL_ENTITY if EXTERNAL_ENTITY in self.roles else next(iter(self.roles), None)
        if not (rules or self.components or self.roles):
            raise ConfigurationError(
                'Policy(): an empty policy lets nobody in; give it rules, Policy(Rule("GET /…")), or, if those stand '
                'at the routes, the names that they use: Policy(components={…}) or Policy(roles=("external_entity",))'
            )
        for rule in rules:
            if not isinstance(rule, Rule):
                raise ConfigurationError(f'Policy({rule!r}, …): its rules one after another: Policy(Rule("GET /…"), …)')
            self._check(rule)
        _refuse_rivals(rules)
        self.rules: tuple[Rule, ...] = tuple(rules)
        self._tables = tables([RouteRule(rule, rule.methods) for rule in rules])
        self._routes: tuple[RouteRule, ...] = ()
        self._route_tables: Mapping[str, RuleTable] | None = None
        self._contested = _contested(rules)
        self._use(None)

    def with_rules(self, rules: Iterable[Rule]) -> "Policy":
        """This policy with more rules of its own. Raises `ConfigurationError` as construction does."""
        if self._route_tables is not None:
            raise ConfigurationError("rules are added before the application starts")
        return Policy(*self.rules, *rules, components=self.components, roles=self.roles)

    def with_routes(self, routes: Sequence[RouteRule]) -> "Policy":
        """This policy, and what the routes of one application say.

        A route that says nothing is closed to the rules of other routes, and open to this policy's own. Raises
        `ConfigurationError` as construction does, and where routes were added before.
        """
        if self._route_tables is not None:
            raise ConfigurationError("a guard protects one application: give the other one a guard of its own")
        said = [route.rule for route in routes if not route.closed]
        for rule in said:
            self._check(rule)
        _refuse_rivals([*self.rules, *said], unless=lambda one, other: one in said and one.asks_the_same(other))
        closed = [route.rule for route in routes if route.closed]
        for one, other in overlapping([*self.rules, *said]):
            if one in self.rules and other in said and one.weight > other.weight:
                _refuse_override(one, other, closed)
        policy = copy.copy(self)
        policy.rules = (*self.rules, *said)
        policy._routes = tuple(routes)
        policy._route_tables = tables(routes)
        # The router is known now, and with it what a path is for.
        policy._contested = {}
        policy._use(policy._route_tables)
        return policy

    def _use(self, routes: Mapping[str, RuleTable] | None) -> None:
        self._by_method = _in_turn(routes, self._tables)
        self.literal: Mapping[str, Mapping[str, RouteRule]] = {
            method: {path: route for path, route in tables[0].literal.items() if self._tells_all(route)}
            for method, tables in self._by_method.items()
            if method != WEBSOCKET
        }
        """Of HTTP's methods the rules that a path alone finds, and that need nothing else of the request."""
        self._over_http = {
            method: [(table.literal, table.plain) for table in tables]
            for method, tables in self._by_method.items()
            if method != WEBSOCKET
        }

    def _tells_all(self, route: RouteRule) -> bool:
        return route.simple and not route.closed and id(route.rule) not in self._contested

    @property
    def has_routes(self) -> bool:
        """Whether the routes of an application are part of it."""
        return self._route_tables is not None

    @property
    def own_rules(self) -> tuple[Rule, ...]:
        """Its rules without those that the routes of an application say."""
        said = {id(route.rule) for route in self._routes}
        return tuple(rule for rule in self.rules if id(rule) not in said)

    def find(self, method: str, path: str) -> Rule | None:
        """The rule for a request, None where there is none. HEAD is GET."""
        found = self.match(method, path)
        return None if found is None else found.rule

    def match(self, method: str, path: str) -> RouteRule | None:
        """`find`, with exactly the requests that the rule is for here."""
        tables = self._by_method.get(method, ())
        if method == "HEAD":
            own, routes = self._tables, self._route_tables or {}
            route = find(routes, "HEAD", path) or find(routes, "GET", path)
            if route is not None and not route.closed:
                return route
            tables = (own["GET"],) if "GET" in own else ()
        for table in tables:
            found = table.find(path)
            if found is not None and not found.closed:
                return found
        return None

    def recall(self, method: str, path: str, account: str | None) -> RouteRule | None:
        """The rule for an HTTP request that nobody could take for another; its path names no account but `account`.

        None where there is none, and wherever that takes a closer look: then `find` knows. `path` has no escapes left.
        """
        segments: list[str] | None = None
        for literal, plain in self._over_http.get(method, ()):
            found = literal.get(path)
            if found is None:
                if segments is None:
                    segments = path.split("/")
                parts = len(segments)
                for key, rules in plain[parts if parts < len(plain) else -1]:
                    found = rules.get(key(segments))
                    if found is not None:
                        break
            if found is not None and not found.closed:
                break
        else:
            return None
        if not found.simple or (self._contested and id(found.rule) in self._contested):
            return None
        if segments is None:
            return found
        if segments[0]:
            # What does not begin with a slash is no path.
            return None
        if found.account_at and (account is None or segments[found.account_at] != account):
            return None
        if found.account_alone and account > "/":  # type: ignore[operator] # it stands in the path
            # It stands for all that the rule leaves open, is not empty and no dots, so the path has been read whole.
            return found
        if path[-1] == "/" or ((not _PLAIN(path) or "//" in path) and trouble(path, None) is not None):
            return None
        return found

    def is_contested(self, method: str, path: str, rule: Rule | None) -> bool:
        """Whether a request that `rule` is for may be meant for another rule: see `guestpass.contested`.

        Never where the application's routes are part of the policy. The application's root without a slash, where
        `path` is empty, always may: it is ``/`` to one router, nothing to the next, and the rest of a path to a third.
        """
        if not path:
            return rule is not None and not self.has_routes
        if not self._contested:
            return False
        tables = self._contested.get(id(rule))
        return tables is not None and find(tables, "GET" if method == "HEAD" else method, path) is not None

    @property
    def routes(self) -> tuple[RouteRule, ...]:
        """What the application's routes say; empty where they are no part of it."""
        return self._routes

    def rule_of_route(self, method: str, template: str) -> Rule | None:
        """The rule for the requests of one documented route, None where there is none."""
        for route in self._routes:
            if route.template == template and method in route.methods and not route.closed:
                return route.rule
        return self.find(method, template)

    def role_of(self, rule: Rule) -> str | None:
        """The lowest role that will do for a rule, None where none is needed."""
        return self.base_role if rule.role is BASE_ROLE else rule.role

    @property
    def methods(self) -> frozenset[str]:
        """The HTTP methods that some rule is for."""
        return frozenset(method for rule in self.rules for method in rule.methods) - {WEBSOCKET}

    def features(self, component: str) -> frozenset[str]:
        """The features of a component, as names of a grant (``call_logs/transcripts``)."""
        return self._features[component]

    def all_components(self) -> frozenset[str]:
        """Every component and feature, by name."""
        return self._every_component

    def close(self, grant: Grant) -> Grant:
        """`grant` with everything spelled out: a role brings the lower ones, ``call_logs/*`` every feature, a
        feature its component. What the policy does not know is worth nothing and falls away."""
        components, roles = self._close_components(grant.components), self.close_roles(grant.roles)
        if components == grant.components and roles == grant.roles:
            return grant
        return replace(grant, components=components, roles=roles)

    def _close_components(self, given: Names) -> Names:
        if given is ALL:
            return ALL
        closed: set[str] = set()
        for name in given:
            component, _, feature = name.partition("/")
            if component not in self.components:
                continue
            if feature == "*":
                closed |= {component, *self.features(component)}
            elif not feature:
                closed.add(component)
            elif feature in self.components[component]:
                closed |= {component, name}
        return frozenset(closed)

    def close_roles(self, given: Names) -> Names:
        """Roles with the lower ones that each brings; unknown ones fall away."""
        if given is ALL:
            return ALL
        highest = max((self.roles.index(role) for role in given if role in self.roles), default=-1)
        return frozenset(self.roles[: highest + 1])

    def _check(self, rule: Rule) -> None:
        if rule.component is not None:
            _known(rule, "component", rule.component, self.components, "Policy(components={…})")
            if rule.feature is not None:
                _known(rule, "feature", rule.feature, self.components[rule.component], "that component's features")
        if isinstance(rule.role, str):
            _known(rule, "role", rule.role, self.roles, "Policy(roles=(…))")


def _in_turn(
    routes: Mapping[str, RuleTable] | None, own: Mapping[str, RuleTable]
) -> Mapping[str, tuple[RuleTable, ...]]:
    """The tables of each method in the order in which they count: what stands at a route holds for it, whatever else
    the policy says of such requests."""
    order = (own,) if routes is None else (routes, own)
    return {method: tuple(by[method] for by in order if method in by) for method in {*own, *(routes or ())}}


def _contested(rules: Sequence[Rule]) -> Mapping[int, Mapping[str, RuleTable]]:
    """Of each rule, by identity, the requests that may be meant for another."""
    origin = {id(twin): (twin, rule) for rule in rules for twin in twins(rule)}
    found: dict[int, list[RouteRule]] = {}
    for one, other in overlapping([*rules, *(twin for twin, _ in origin.values())]):
        _, whose = origin.get(id(other), (other, other))
        if id(one) in origin or whose is one:
            continue
        common = contested(one, other, twin=whose is not other)
        if common is None:
            continue
        # A twin's paths are not its rule's, but for the empty rest.
        for rule in (one, whose) if whose is other or whose.rest else (one,):
            found.setdefault(id(rule), []).append(RouteRule(common, common.methods))
    return {rule: tables(routes) for rule, routes in found.items()}


def _read_components(components: Mapping[str, Collection[str]]) -> dict[str, frozenset[str]]:
    read: dict[str, frozenset[str]] = {}
    if not isinstance(components, Mapping):
        raise ConfigurationError(
            'Policy(components=…): each component with its features: {"call_logs": ("transcripts",)}'
        )
    for component, features in components.items():
        if isinstance(features, str):
            raise ConfigurationError(
                f"Policy(components={{{component!r}: {features!r}}}): the features are a tuple: ({features!r},)"
            )
        for name in (component, *features):
            if not is_name(name):
                raise ConfigurationError(f"Policy(components=…): {name!r} is not 1-64 of a-z 0-9 _ . -")
        read[component] = frozenset(features)
    return read


def _read_roles(roles: Sequence[str]) -> tuple[str, ...]:
    if isinstance(roles, str) or not isinstance(roles, Sequence):
        raise ConfigurationError(
            f'Policy(roles={roles!r}): roles is a tuple in order, the lowest first: ("external_entity", "admin")'
        )
    for role in roles:
        if not is_name(role):
            raise ConfigurationError(f"Policy(roles=…): {role!r} is not 1-64 of a-z 0-9 _ . -")
    if len(set(roles)) < len(roles):
        raise ConfigurationError("Policy(roles=…): a role stands there twice, so the order is unclear")
    return tuple(roles)


def _known(rule: Rule, what: str, name: str, known: Collection[str], where: str) -> None:
    if name in known:
        return
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]!r}?" if close else f"add it to {where}"
    raise ConfigurationError(f"Rule({rule.pattern!r}): the policy knows no {what} {name!r}; {hint}")


def _refuse_rivals(rules: Sequence[Rule], unless: Callable[[Rule, Rule], bool] | None = None) -> None:
    for one, other in overlapping(rules):
        if one.weight == other.weight and not (unless is not None and unless(one, other)):
            raise RulesCompete(
                f"Rule({one.pattern!r}) and Rule({other.pattern!r}) are for the same requests, and neither is the more "
                "particular: drop one, or make their paths differ"
            )


def _refuse_override(rule: Rule, route: Rule, closed: Sequence[Rule]) -> None:
    """A policy's rule may be for a route that says nothing, not for a part of what a route that does is for."""
    if rule.asks_the_same(route):
        return
    for other in closed:
        if (other.segments, other.rest) == (rule.segments, rule.rest) and other.methods >= rule.methods & route.methods:
            return
    raise RulesCompete(
        f"Rule({rule.pattern!r}) of the policy and needs(…) at the route {route.pattern!r} are for some of the same "
        "requests, which have two rules so: say it at a route of its own"
    )


def overlapping(rules: Sequence[Rule]) -> Iterator[tuple[Rule, Rule]]:
    """Every pair of rules that some request fits both of, each pair in the order of `rules`."""
    shapes: dict[tuple[int, bool, tuple[int, ...]], list[tuple[int, Rule]]] = {}
    for order, rule in enumerate(rules):
        literal = tuple(place for place, segment in enumerate(rule.segments) if segment is not None)
        shapes.setdefault((len(rule.segments), rule.rest, literal), []).append((order, rule))
    # Shape against shape, each indexed by the literals that both have: ten thousand rules must not mean fifty
    # million comparisons.
    for one, other in itertools.combinations_with_replacement(shapes, 2):
        if one[0] != other[0] and not (one[1] or other[1]):
            continue
        common = sorted({*one[2]} & {*other[2]})
        index: dict[tuple[str | None, ...], list[tuple[int, Rule]]] = {}
        for entry in shapes[one]:
            index.setdefault(tuple(entry[1].segments[place] for place in common), []).append(entry)
        for order, rule in shapes[other]:
            for earlier, candidate in index.get(tuple(rule.segments[place] for place in common), ()):
                if (earlier < order if one == other else earlier != order) and candidate.overlaps(rule):
                    yield (candidate, rule) if earlier < order else (rule, candidate)
