"""What the routes of a Starlette or FastAPI application say they need, made into rules.

Walks the router's own table: included routers, mounts and hosts, in the order in which requests are matched. A
route that says nothing is closed, and so are those that the walk cannot see. Decides nothing about any request.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from starlette.routing import BaseRoute, Host, Mount, Route, WebSocketRoute

from guestpass.errors import ConfigurationError
from guestpass.policy import RouteRule, overlapping
from guestpass.rules import HTTP_METHODS, MARK, WEBSOCKET, Needs, Rule

_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::([a-z]+))?\}\Z")
_NAME = re.compile(r"\{[A-Za-z0-9_]+")
_ODD = re.compile(r"[{}%;\\\x00-\x20\x7f]")
_EVERY_METHOD: Final = HTTP_METHODS | {"HEAD"}


@dataclass(frozen=True, slots=True)
class Site:
    """One route: the requests that it takes, by method and path, and what it says they need.

    `exact`: it takes every request that `path`, the path of a rule, is for; otherwise only some of them, and the
    others go on to later routes.
    """

    path: str
    methods: frozenset[str]
    exact: bool
    needs: Needs | None
    label: str

    def rule(self) -> RouteRule:
        """The rule for these requests. Raises `ConfigurationError`."""
        listed = {"*"} | (self.methods & {WEBSOCKET}) if self.methods >= _EVERY_METHOD else self.methods
        methods = ",".join(sorted(method.strip("()").upper() for method in listed))
        if self.needs is None:
            anonymous = _NAME.sub("{", self.path)
            return RouteRule(Rule(f"{methods} {anonymous}", account=False, role=None), self.methods, closed=True)
        pattern = f"{methods} {self.path}"
        try:
            return RouteRule(self.needs.rule(pattern), self.methods)
        except ConfigurationError as problem:
            raise ConfigurationError(f"{self.label}: {problem}") from None


def read_routes(routes: Sequence[BaseRoute]) -> list[RouteRule]:
    """What the routes ask for; one that says nothing is closed.

    Raises `ConfigurationError` where a rule is not well formed, where a route has two `needs`, and where a request
    would be judged by the rule of one route and reach another that asks for something else.
    """
    sites = list(_walk(routes, "", exact=True))
    rules = [site.rule() for site in sites]
    places = {id(rule.rule): place for place, rule in enumerate(rules)}
    for one, other in overlapping([rule.rule for rule in rules]):
        earlier, later = places[id(one)], places[id(other)]
        if sites[earlier].methods & sites[later].methods:
            _refuse_confusion(sites[earlier], rules[earlier], sites[later], rules[later])
    return rules


def _refuse_confusion(site: Site, rule: RouteRule, later_site: Site, later: RouteRule) -> None:
    """Of two routes that some request fits both of, the router tries the earlier, and the policy takes the heavier."""
    if rule.closed and later.closed:
        return
    if not rule.closed and not later.closed and rule.rule.asks_the_same(later.rule):
        return
    if later.rule.weight > rule.rule.weight:
        confused = not later.closed
    elif later.rule.weight == rule.rule.weight and rule.rule.segments != later.rule.segments:
        # Neither is more particular; a closed one counts, so nothing is opened by mistake.
        confused = not rule.closed and not later.closed
    else:
        confused = not rule.closed and not site.exact
    if confused:
        raise ConfigurationError(
            f"{site.label} ({rule.rule.pattern}) and, after it, {later_site.label} ({later.rule.pattern}) take some of "
            "the same requests and do not need the same: declare the more particular route first, without a convertor "
            "such as :int, or give both the same needs(…)"
        )


def _walk(routes: Iterable[BaseRoute], prefix: str, *, exact: bool) -> Iterator[Site]:
    for route in routes:
        for entry in _entries(route):
            yield from _visit(entry, prefix, exact)


def _visit(entry: "Entry", prefix: str, exact: bool) -> Iterator[Site]:
    route, path = entry.route, prefix + entry.path
    if isinstance(route, Host):
        yield from _walk(route.routes, prefix, exact=False)
    elif isinstance(route, Mount):
        yield from _walk(route.routes, path, exact=exact and _rule_path(path)[1])
        # Whatever no inner route takes stays with the mounted application: nothing later gets it.
        yield from _site(entry, f"{path}/{{mounted:path}}", _EVERY_METHOD | {WEBSOCKET}, exact, _mark(route.app))
    elif isinstance(route, WebSocketRoute):
        yield from _site(entry, path, frozenset({WEBSOCKET}), exact, _one_mark(entry))
    elif isinstance(route, Route):
        yield from _site(entry, path, frozenset(entry.methods or _EVERY_METHOD), exact, _one_mark(entry))
    else:
        # A kind of route that is not known here may take anything.
        yield from _site(entry, f"{prefix}/{{unknown:path}}", _EVERY_METHOD | {WEBSOCKET}, exact=False, mark=None)


def _site(entry: "Entry", path: str, methods: frozenset[str], exact: bool, mark: Needs | None) -> Iterator[Site]:
    if "//" in path:
        # Never reached: a path like it is refused.
        return
    written, whole = _rule_path(path)
    yield Site(written, methods, exact and whole, mark, entry.label)


def _rule_path(path: str) -> tuple[str, bool]:
    """The path of a rule that is for all requests that a route's path is for, and whether for no others."""
    segments: list[str] = []
    exact = True
    parts = (path or "/")[1:].split("/")
    for place, part in enumerate(parts):
        parameter = _PARAMETER.match(part)
        if parameter is not None and parameter[2] != "path":
            segments.append(f"{{{parameter[1]}}}")
            exact = exact and parameter[2] in (None, "str")
        elif ":path}" in part:
            last = parameter is not None and place == len(parts) - 1
            name = parameter[1] if parameter is not None else "rest"
            return "/" + "/".join([*segments, f"{{{name}...}}"]), exact and last
        elif _ODD.search(part):
            # ``{id}.json``: for a rule any segment; the router is stricter.
            segments.append("{}")
            exact = False
        else:
            segments.append(part)
    return "/" + "/".join(segments), exact


class Dependency(Protocol):
    """As much of FastAPI's record of a route's dependencies as is read here."""

    @property
    def call(self) -> object: ...
    @property
    def dependencies(self) -> "Sequence[Dependency]": ...


@dataclass(frozen=True, slots=True)
class Entry:
    """A route as it is in effect where it stands: an included router's prefix and dependencies are in it."""

    route: BaseRoute
    path: str
    methods: frozenset[str] | None
    endpoint: object
    dependant: Dependency | None

    @property
    def label(self) -> str:
        """The route by its endpoint's name, for messages."""
        named = self.endpoint if self.endpoint is not None else self.route
        return getattr(named, "__qualname__", None) or type(named).__name__


def _entries(route: BaseRoute) -> Iterator[Entry]:
    for effective in _effective(route):
        methods: Iterable[str] | None = getattr(effective, "methods", None)
        original = getattr(effective, "original_route", None) or route
        yield Entry(
            route=original,
            path=getattr(effective, "path", None) or "",
            methods=None if methods is None else frozenset(methods),
            endpoint=getattr(effective, "endpoint", None),
            dependant=getattr(effective, "dependant", None),
        )


def _effective(route: BaseRoute) -> Iterable[object]:
    """FastAPI nests the routers it includes and tells the effective routes itself; Starlette's are as they stand."""
    if type(route).__module__.partition(".")[0] != "fastapi":
        return [route]
    from fastapi.routing import iter_route_contexts

    return iter_route_contexts([route])


def _one_mark(entry: Entry) -> Needs | None:
    marks = {
        id(mark): mark for mark in (_mark(entry.endpoint), *_dependency_marks(entry.dependant)) if mark is not None
    }
    if len(marks) > 1:
        said = " and ".join(repr(mark) for mark in marks.values())
        raise ConfigurationError(f"{entry.label} ({entry.path}) has two rules: {said}; put all it needs into one")
    return next(iter(marks.values()), None)


def _mark(endpoint: object) -> Needs | None:
    mark = getattr(endpoint, MARK, None)
    return mark if isinstance(mark, Needs) else None


def _dependency_marks(dependant: Dependency | None) -> Iterator[Needs]:
    if dependant is None:
        return
    for dependency in dependant.dependencies:
        if isinstance(dependency.call, Needs):
            yield dependency.call
        yield from _dependency_marks(dependency)
