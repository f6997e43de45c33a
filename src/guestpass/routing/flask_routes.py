"""What the views of a Flask application say they need, made into rules.

Walks the application's own url_map: routes, blueprints, classes of views. A view that says nothing is closed, and so
is the static route. Decides nothing about any request.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn, cast

from flask import Flask
from flask.typing import RouteCallable
from flask.views import MethodView
from werkzeug.routing import Rule as Route

from guestpass.errors import ConfigurationError, RulesCompete
from guestpass.policy import overlapping
from guestpass.routing.flask_paths import RoutePath, parameters, route_paths, template
from guestpass.rule_table import RouteRule
from guestpass.rules import HTTP_METHODS, MARK, Needs, Rule

_EVERY_METHOD: Final = HTTP_METHODS | {"HEAD"}


@dataclass(frozen=True, slots=True)
class Site:
    """One path of one route, with those of its methods that need the same."""

    route: Route
    path: RoutePath
    methods: frozenset[str]
    needs: Needs | None

    @property
    def label(self) -> str:
        """The route by its endpoint, for messages."""
        return f"{self.route.endpoint} ({self.route.rule})"

    @property
    def realm(self) -> tuple[str, bool]:
        """What else than path and method chooses among routes: the host or subdomain, and whether it is a handshake."""
        host = self.route.host if self.route.map.host_matching else self.route.subdomain
        return host or "", self.route.websocket

    def takes_all_before(self, other: "Site") -> bool:
        """Whether the view behind it is reached by every request that both are for."""
        return self.path.exact and self.realm == other.realm and self.path.tried_before(other.path)

    def rule(self) -> RouteRule:
        """The rule for these requests. Raises `ConfigurationError`."""
        written = "" if self.path.redirects else template(self.route.rule)
        methods = "*" if self.methods >= _EVERY_METHOD else ",".join(sorted(self.methods))
        if self.needs is None:
            rule = Rule(f"{methods} {_unnamed(self.path.path)}", account=False, role=None)
            return RouteRule(rule, self.methods, self.path.stricter, closed=True, template=written)
        try:
            rule = self.needs.rule(f"{methods} {self.path.path}")
        except ConfigurationError as problem:
            raise ConfigurationError(f"{self.label}: {problem}") from None
        if not rule.public and rule.account is not False and "account" not in rule.parameters:
            self._refuse_other_account()
        return RouteRule(rule, self.methods, self.path.stricter, template=written)

    def _refuse_other_account(self) -> None:
        """The view is given an account that the guard does not see: none, or the one of a place that it knows."""
        defaults: Mapping[str, object] = self.route.defaults or {}
        if defaults.get("account") is not None:
            raise ConfigurationError(f"{self.label}: the default of account is None, or the rule says account=False")
        if "account" in parameters(self.route.rule) | parameters(self.realm[0]) and "account" not in defaults:
            raise ConfigurationError(f"{self.label}: <account> has to be a segment of the path, whole")


def read_url_map(app: Flask) -> list[tuple[Site, RouteRule]]:
    """What the views ask for, by route; one that says nothing is closed.

    Raises `ConfigurationError` where a rule is not well formed, where a view has two `needs`, and where a request
    would be judged by the rule of one view and reach another that asks for something else.
    """
    # Of rules with one path the first counts, so they stand in Werkzeug's order.
    sites = sorted(reached(app), key=lambda site: site.path.order)
    rules = [site.rule() for site in sites]
    places = {id(rule.rule): place for place, rule in enumerate(rules)}
    for one, other in overlapping([rule.rule for rule in rules]):
        first, second = places[id(one)], places[id(other)]
        if sites[first].methods & sites[second].methods:
            _refuse_confusion(sites[first], rules[first], sites[second], rules[second])
    return list(zip(sites, rules, strict=True))


def _refuse_confusion(site: Site, rule: RouteRule, other_site: Site, other: RouteRule) -> None:
    """Of two routes that some request fits both of, the policy takes the heavier, and Werkzeug what it tries first."""
    if site.route is other_site.route or (rule.closed and other.closed):
        return
    if not rule.closed and not other.closed and rule.rule.asks_the_same(other.rule):
        return
    same_path = rule.rule.segments == other.rule.segments and rule.rule.rest == other.rule.rest
    # Of two that are equal in weight a closed one counts.
    if not same_path and (rule.rule.weight, rule.closed) < (other.rule.weight, other.closed):
        site, other_site = other_site, site
    if site.takes_all_before(other_site):
        return
    raise RulesCompete(
        f"{site.label} and {other_site.label} take some of the same requests and do not need the same: make their "
        "paths differ in a literal segment before any <converter>, or give both the same needs(…)"
    )


def reached(app: Flask) -> list[Site]:
    """Every site; a path without its slash, such as ``/x`` for ``/x/``, leads there unless it is a route itself."""
    sites = [site for route in app.url_map.iter_rules() for site in _sites(app, route)]
    ends = {
        (site.realm, site.path.place, method) for site in sites if not site.path.redirects for method in site.methods
    }
    left: list[Site] = []
    for site in sites:
        if site.path.redirects:
            at = (site.realm, site.path.place)
            site = replace(site, methods=frozenset(method for method in site.methods if (*at, method) not in ends))
        left.append(site)
    return [site for site in left if site.methods]


def _sites(app: Flask, route: Route) -> Iterator[Site]:
    if route.build_only:
        return
    view = app.view_functions.get(route.endpoint)
    methods = _EVERY_METHOD if route.methods is None else frozenset(route.methods)
    if answers_options(route):
        # Flask's own answer, not the view's: it needs a rule of the policy, as every other OPTIONS does.
        methods -= {"OPTIONS"}
    by_needs: dict[int, tuple[Needs | None, set[str]]] = {}
    for method in methods:
        mark = _one_mark(view, method, route)
        by_needs.setdefault(id(mark), (mark, set()))[1].add(method)
    for path in route_paths(route):
        for mark, named in by_needs.values():
            yield Site(route, path, frozenset(named), mark)


def answers_options(route: Route) -> bool:
    """Whether Flask answers OPTIONS for a route by itself, without its view."""
    return bool(getattr(route, "provide_automatic_options", False))


def _one_mark(view: RouteCallable | None, method: str, route: Route) -> Needs | None:
    marks = {id(mark): mark for mark in _marks(view, method)}
    if len(marks) > 1:
        said = " and ".join(repr(mark) for mark in marks.values())
        raise RulesCompete(
            f"{route.endpoint} ({route.rule}) has two rules for {method}: {said}; put all it needs into one"
        )
    return next(iter(marks.values()), None)


def _marks(view: object, method: str) -> Iterator[Needs]:
    """What is said at a view: at the function, at its class, and at the class's method for an HTTP method."""
    cls: object = getattr(view, "view_class", None)
    said = [getattr(view, MARK, None)]
    if isinstance(cls, type):
        # A class says what its own requests need; what its parents said was said of theirs.
        said.append(vars(cls).get(MARK))
        if issubclass(cls, MethodView):
            handler = getattr(cls, method.lower(), None)
            if handler is None and method == "HEAD":
                handler = getattr(cls, "get", None)
            said.append(getattr(handler, MARK, None))
    yield from (mark for mark in said if isinstance(mark, Needs))


def _unnamed(path: str) -> str:
    """A rule's path without the names of its parameters."""
    segments = path.split("/")
    return "/".join("{...}" if s.endswith("...}") else "{}" if s.startswith("{") else s for s in segments)


class _FrozenViews(dict[str, Any]):
    """The views of an application, as the guard has read them."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        _refuse_late()

    __setitem__ = __delitem__ = __ior__ = update = setdefault = pop = popitem = clear = cast("Any", _refuse)


def freeze(app: Flask) -> None:
    """Close the tables of routes and views: what came later would be judged by the rules of others."""
    vars(app.url_map)["add"] = _refuse_late
    app.view_functions = _FrozenViews(app.view_functions)


def _refuse_late(*_: object) -> NoReturn:
    raise ConfigurationError(
        "routes are added before the first request: the guard has read them, and would not know this one"
    )
