"""What the routes of a Starlette or FastAPI application say they need, made into rules.

Walks the router's own table: included routers, mounts and hosts, in the order in which requests are matched. A
route that says nothing is closed, and so are those that the walk cannot see. Decides nothing about any request.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from starlette.convertors import CONVERTOR_TYPES, FloatConvertor, IntegerConvertor, UUIDConvertor
from starlette.routing import PARAM_REGEX, BaseRoute, Host, Mount, Route, WebSocketRoute, compile_path

from guestpass.errors import ConfigurationError, RulesCompete
from guestpass.policy import overlapping
from guestpass.rule_table import RouteRule
from guestpass.rules import HTTP_METHODS, MARK, WEBSOCKET, Needs, Rule

_NAME = re.compile(r"\{[A-Za-z0-9_]+")
_ODD = re.compile(r"[{}%;\\\x00-\x20\x7f]")
_EVERY_METHOD: Final = HTTP_METHODS | {"HEAD"}
# Of Starlette's convertors: those that take one segment, all of it or what looks like a number, and one that takes on.
_SEGMENT, _REST = "[^/]+", ".*"
_PART_OF_SEGMENT: Final = frozenset({IntegerConvertor.regex, FloatConvertor.regex, UUIDConvertor.regex})


class Router(Protocol):
    """As much of Starlette's and FastAPI's routers as is read here."""

    @property
    def routes(self) -> Sequence[BaseRoute]: ...
    @property
    def default(self) -> object: ...
    @property
    def not_found(self) -> object: ...


@dataclass(frozen=True, slots=True)
class Site:
    """One route: the requests that it takes, by method and path, and what it says they need.

    `path` is a rule's, and `stricter` says which of the paths it is for the route takes. `exact`: the route takes all
    of these; otherwise only some, and the others go on to later routes. `host` is the part of the table for one host
    that it stands in, empty where it is for any.
    """

    path: str
    stricter: re.Pattern[str] | None
    methods: frozenset[str]
    exact: bool
    host: str
    needs: Needs | None
    label: str
    parameters: frozenset[str]
    template: str = ""
    entry: "Entry | None" = None

    def takes_all_before(self, later: "Site") -> bool:
        """Whether no request that its rule is for goes on to `later`."""
        return self.exact and self.host in ("", later.host)

    def rule(self) -> RouteRule:
        """The rule for these requests. Raises `ConfigurationError`."""
        listed = {"*"} | (self.methods & {WEBSOCKET}) if self.methods >= _EVERY_METHOD else self.methods
        methods = ",".join(sorted(method.strip("()").upper() for method in listed))
        if self.needs is None:
            rule = Rule(f"{methods} {_NAME.sub('{', self.path)}", account=False, role=None)
            return RouteRule(rule, self.methods, self.stricter, closed=True, template=self.template)
        try:
            rule = self.needs.rule(f"{methods} {self.path}")
        except ConfigurationError as problem:
            raise ConfigurationError(f"{self.label}: {problem}") from None
        if rule.account is not False and not rule.public and self.parameters - set(rule.parameters) >= {"account"}:
            raise ConfigurationError(f"{self.label} ({self.path}): {{account}} has to be a segment of the path, whole")
        return RouteRule(rule, self.methods, self.stricter, template=self.template)


def read_routes(router: Router) -> list[RouteRule]:
    """What the routes ask for; one that says nothing is closed.

    Raises `ConfigurationError` where a rule is not well formed, where a route has two `needs`, and where a request
    would be judged by the rule of one route and reach another that asks for something else.
    """
    sites = list(_walk(router.routes, _Place("", exact=True, host="")))
    if not shows_all(router):
        sites.append(_everything("what no route takes"))
    rules = [site.rule() for site in sites]
    places = {id(rule.rule): place for place, rule in enumerate(rules)}
    for one, other in overlapping([rule.rule for rule in rules]):
        earlier, later = places[id(one)], places[id(other)]
        if sites[earlier].methods & sites[later].methods:
            _refuse_confusion(sites[earlier], rules[earlier], sites[later], rules[later])
    return rules


def own_sites(routes: Iterable[BaseRoute]) -> Iterator[Site]:
    """The routes of one router, in its order; of what it mounts and hosts, one site for all that comes there."""
    yield from _walk(routes, _Place("", exact=True, host="", opens=False))


def shows_all(app: object) -> bool:
    """Whether an application's routes are all there is: what none of them takes is not found."""
    router = getattr(app, "router", app)
    default, not_found = getattr(router, "default", None), getattr(router, "not_found", None)
    return default is not None and default == not_found and not getattr(router, "_low_priority_routes", None)


def _refuse_confusion(site: Site, rule: RouteRule, later_site: Site, later: RouteRule) -> None:
    """Of two routes that some request fits both of, the router tries the earlier, and the policy takes the heavier."""
    if rule.closed and later.closed:
        return
    if not rule.closed and not later.closed and rule.rule.asks_the_same(later.rule):
        return
    same_path = rule.rule.segments == later.rule.segments and rule.rule.rest == later.rule.rest
    # Of two that are equal in weight a closed one counts.
    first = rule.rule.weight > later.rule.weight or same_path or (rule.rule.weight == later.rule.weight and rule.closed)
    if first and site.takes_all_before(later_site):
        return
    if rule.stricter is not None and _literal(later.rule) and not rule.stricter.match(_literal(later.rule)):
        return
    raise RulesCompete(
        f"{site.label} ({rule.rule.pattern}) and, after it, {later_site.label} ({later.rule.pattern}) take some of the "
        "same requests and do not need the same: declare the more particular route first, routes for one host last, "
        "or give both the same needs(…)"
    )


def _literal(rule: Rule) -> str:
    """The one path that a rule is for, empty where there are more."""
    literals = [segment for segment in rule.segments if segment is not None]
    return "" if rule.rest or len(literals) < len(rule.segments) else "/" + "/".join(literals)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the table a route stands: below which prefix, and for which host. `opens`: what is mounted there is
    walked too."""

    prefix: str
    exact: bool
    host: str
    opens: bool = True


def _walk(routes: Iterable[BaseRoute], place: _Place) -> Iterator[Site]:
    for route in routes:
        for entry in _entries(route):
            yield from _visit(entry, place)


def _visit(entry: "Entry", place: _Place) -> Iterator[Site]:
    route, path = entry.route, place.prefix + entry.path
    everything = _EVERY_METHOD | {WEBSOCKET}
    if isinstance(route, Host):
        host = f"{place.host} {route.host}"
        if not place.opens:
            yield replace(_everything(entry.label, host), template="/{mounted}", entry=entry)
            return
        yield from _walk(entry.routes, replace(place, host=host))
        if not shows_all(route.app):
            yield _everything(entry.label, host)
    elif isinstance(route, Mount):
        if getattr(route.app, "root_path", ""):
            raise ConfigurationError(
                f"the application mounted at {path} has a root_path of its own: leave it to the mount"
            )
        exact = place.exact and "...}" not in _rule_path(path)[0]
        if place.opens:
            yield from _walk(entry.routes, replace(place, prefix=path, exact=exact))
        # Whatever no inner route takes stays with the mounted application: nothing later gets it.
        yield from _site(entry, f"{path}/{{mounted:path}}", everything, place, _mark(route.app))
    elif isinstance(route, WebSocketRoute):
        yield from _site(entry, path, frozenset({WEBSOCKET}), place, _one_mark(entry))
    elif isinstance(route, Route):
        yield from _site(entry, path, frozenset(entry.methods or _EVERY_METHOD), place, _one_mark(entry))
    else:
        # A kind of route that is not known here may take anything, or nothing.
        yield replace(_everything(entry.label, place.host, exact=False), entry=entry)


def _everything(label: str, host: str = "", *, exact: bool = True) -> Site:
    return Site("/{...}", None, _EVERY_METHOD | {WEBSOCKET}, exact, host, None, label, frozenset())


def _site(entry: "Entry", path: str, methods: frozenset[str], place: _Place, mark: Needs | None) -> Iterator[Site]:
    if "//" in path:
        # Never reached: a path like it is refused.
        return
    written, whole = _rule_path(path)
    stricter = None if whole else _compiled(path or "/")
    named = frozenset(name for name, _ in PARAM_REGEX.findall(place.host + path))
    template = PARAM_REGEX.sub(r"{\1}", path)
    yield Site(written, stricter, methods, place.exact, place.host, mark, entry.label, named, template, entry)


def _compiled(path: str) -> re.Pattern[str]:
    # Numbered, since a mount and a route in it may name their parameters alike.
    numbers = itertools.count()
    return compile_path(_NAME.sub(lambda _: f"{{p{next(numbers)}", path))[0]


def _rule_path(path: str) -> tuple[str, bool]:
    """The path of a rule that is for all requests that a route's path is for, and whether for no others."""
    segments: list[str] = []
    exact = True
    parts = (path or "/")[1:].split("/")
    for place, part in enumerate(parts):
        parameter = PARAM_REGEX.fullmatch(part)
        takes = [_takes(convertor) for _, convertor in PARAM_REGEX.findall(part)]
        if any(taken is None or taken == _REST for taken in takes):
            last = parameter is not None and takes == [_REST] and place == len(parts) - 1
            name = parameter[1] if parameter is not None else "rest"
            return "/" + "/".join([*segments, f"{{{name}...}}"]), exact and last
        if parameter is not None:
            segments.append(f"{{{parameter[1]}}}")
            exact = exact and takes == [_SEGMENT]
        elif _ODD.search(part):
            # ``{id}.json``: for a rule any segment.
            segments.append("{}")
            exact = False
        else:
            segments.append(part)
    return "/" + "/".join(segments), exact


def _takes(convertor: str) -> str | None:
    """What a path convertor takes: a whole segment, a part of what one can be (empty), the rest; None for anything."""
    regex = CONVERTOR_TYPES[convertor.removeprefix(":") or "str"].regex
    if regex in (_SEGMENT, _REST):
        return regex
    return "" if regex in _PART_OF_SEGMENT else None


class Dependency(Protocol):
    """As much of FastAPI's record of a route's dependencies as is read here, and by an audit."""

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
    routes: Sequence[BaseRoute]

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
            # FastAPI moves what a host of an included router has below the router's prefix.
            routes=getattr(effective, "routes", ()),
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
        raise RulesCompete(f"{entry.label} ({entry.path}) has two rules: {said}; put all it needs into one")
    return next(iter(marks.values()), None)


def _mark(endpoint: object) -> Needs | None:
    # A class says what its own requests need; what its parents said was said of theirs.
    mark = vars(endpoint).get(MARK) if isinstance(endpoint, type) else getattr(endpoint, MARK, None)
    return mark if isinstance(mark, Needs) else None


def _dependency_marks(dependant: Dependency | None) -> Iterator[Needs]:
    if dependant is None:
        return
    for dependency in dependant.dependencies:
        if isinstance(dependency.call, Needs):
            yield dependency.call
        yield from _dependency_marks(dependency)
