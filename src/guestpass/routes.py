"""What the routes of a Starlette or FastAPI application say they need, made into rules.

Walks the router's own table: included routers, mounts and hosts, in the order in which requests are matched. A
route that the walk cannot read gets no rule, and so is denied. Decides nothing about any request.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.routing import BaseRoute, Host, Mount, Route, WebSocketRoute

from guestpass.errors import ConfigurationError
from guestpass.policy import overlapping
from guestpass.rules import MARK, WEBSOCKET, Needs, Rule

_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::([a-z]+))?\}\Z")
_MIXED = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*(?::([a-z]+))?\}")


@dataclass(frozen=True, slots=True)
class Site:
    """One route: the requests that it takes, as the pattern of a rule, and what it says they need."""

    pattern: str
    needs: Needs | None
    label: str

    def shape(self) -> Rule:
        """The requests that it takes, apart from what they need."""
        return Rule(self.pattern, account=False, role=None)


def rules_of(routes: Sequence[BaseRoute]) -> list[Rule]:
    """The rules that the routes ask for. Raises `ConfigurationError` where one is not well formed, where a route has
    two `needs`, and where an earlier route would take requests that a later one's rule lets in."""
    sites = list(_walk(routes, ""))
    rules = {place: _rule(site) for place, site in enumerate(sites) if site.needs is not None}
    shapes = [site.shape() for site in sites]
    places = {id(shape): place for place, shape in enumerate(shapes)}
    for shape, later_shape in overlapping(shapes):
        earlier, later = places[id(shape)], places[id(later_shape)]
        if later not in rules or shape.weight > later_shape.weight:
            continue
        if earlier not in rules or not rules[earlier].asks_the_same(rules[later]):
            raise ConfigurationError(
                f"{sites[later].label} ({sites[later].pattern}) is behind {sites[earlier].label} "
                f"({sites[earlier].pattern}), which takes requests of its: declare the more particular route first, or "
                "give both the same needs(…)"
            )
        if shape.weight == later_shape.weight and rules[earlier].methods >= rules[later].methods:
            del rules[later]
    return list(rules.values())


def _rule(site: Site) -> Rule:
    assert site.needs is not None  # noqa: S101 - only asked of sites that have one
    try:
        return site.needs.rule(site.pattern)
    except ConfigurationError as problem:
        raise ConfigurationError(f"{site.label}: {problem}") from None


def _walk(routes: Iterable[BaseRoute], prefix: str) -> Iterator[Site]:
    for route in routes:
        for entry in _entries(route):
            yield from _visit(entry, prefix)


def _visit(entry: "Entry", prefix: str) -> Iterator[Site]:
    route = entry.route
    if isinstance(route, Host):
        yield from _walk(route.routes, prefix)
    elif isinstance(route, Mount):
        below = prefix + entry.path
        inner = list(route.routes)
        yield from _walk(inner, below)
        # Whatever no inner route takes stays with the mounted application: nothing later gets it.
        yield from _site(entry, f"{below}/{{mounted:path}}", "*", _mark(route.app))
    elif isinstance(route, Route):
        methods = ",".join(sorted(set(entry.methods or ()) - {"HEAD"})) if entry.methods else "*"
        yield from _site(entry, prefix + entry.path, methods or "GET", _one_mark(entry))
    elif isinstance(route, WebSocketRoute):
        yield from _site(entry, prefix + entry.path, WEBSOCKET, _one_mark(entry))


def _site(entry: "Entry", path: str, methods: str, mark: Needs | None) -> Iterator[Site]:
    written = _rule_path(path)
    if written is None:
        if mark is not None:
            raise ConfigurationError(f"{entry.label} ({path}): a rule cannot say a path that goes on after {{…:path}}")
        # Taken for all that begins as it does, so that no later route's rule opens it.
        written = _rule_path(path[: path.index(":path}") + len(":path}")])
    yield Site(f"{methods} {written}", mark, entry.label)


def _rule_path(path: str) -> str | None:
    """The path of a rule for a route's path; None for what a rule cannot say."""
    segments: list[str] = []
    parts = (path or "/")[1:].split("/")
    for place, part in enumerate(parts):
        parameter = _PARAMETER.match(part)
        if parameter is not None and parameter[2] == "path":
            if place < len(parts) - 1:
                return None
            segments.append(f"{{{parameter[1]}...}}")
        elif parameter is not None:
            segments.append(f"{{{parameter[1]}}}")
        elif _MIXED.search(part):
            if "path" in _MIXED.findall(part):
                return "/" + "/".join([*segments, "{rest...}"]) if place == len(parts) - 1 else None
            # ``{id}.json``: any segment will do for the rule; the router is stricter.
            segments.append("{}")
        else:
            segments.append(part)
    return "/" + "/".join(segments)


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
