"""The routes of a Starlette or FastAPI router, for an audit: `guestpass.routing.starlette_routes` walks them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, cast

from starlette.convertors import CONVERTOR_TYPES
from starlette.routing import PARAM_REGEX, Host, Match, Mount, Router

from guestpass.asgi_types import ASGIApp, Receive, Scope, Send
from guestpass.audit.bodies import has_fields, is_identifier, named_in
from guestpass.audit.handlers import location_of, module_of, name_of
from guestpass.audit.route import ACCOUNT_NAMES, Look, Parameter, Route, Standing, Where
from guestpass.audit.samples import fitting, value_for
from guestpass.audit.sending import Interface
from guestpass.audit.stand_ins import Patches, Reached, answer
from guestpass.guarded import doors_of, isinstance_of
from guestpass.routing.starlette_routes import Dependency, Entry, Site, own_sites, shows_all
from guestpass.rules import HTTP_METHODS

_NAME = re.compile(r"\{[A-Za-z0-9_]+")
_OWN: Final = ("fastapi.", "starlette.")


def read(thing: object, standing: Standing, look: Look) -> "StarletteTable | None":
    """The table of a router."""
    return StarletteTable(cast("Router", thing), standing, look) if isinstance_of(thing, Router) else None


class StarletteTable:
    """The table of one router, without what it mounts."""

    def __init__(self, router: Router, standing: Standing, look: Look) -> None:
        self.subject: Final = router
        self.standing: Final = standing
        self.interface: Final[Interface] = "asgi"
        self._sites: Final = list(own_sites(router.routes))
        self._open: Final = {
            id(app) for site in self._sites if _is_mount(site) and look(app := _app_of(site), standing)
        }

    def routes(self, names: frozenset[str]) -> Iterator[Route]:
        """The routes that have a handler of their own, and what is mounted and cannot be looked into."""
        for site in self._sites:
            if site.entry is None or (_is_mount(site) and id(_app_of(site)) in self._open):
                continue
            route = _route(site, site.entry, self.standing, names)
            door = next(iter(doors_of(route.handler)), None) if _is_mount(site) else None
            # What is mounted behind a guard of its own, and cannot be read, is that guard's to close.
            yield route if door is None else replace(route, standing=route.standing.behind(door), opaque=True)
        if not shows_all(self.subject):
            yield self._rest()

    def _rest(self) -> Route:
        """What the router hands on that none of its routes takes."""
        standing, default = self.standing, self.subject.default
        return Route(
            framework="Starlette",
            methods=frozenset(),
            path=f"{standing.prefix}/*",
            shape=f"{PARAM_REGEX.sub('{}', standing.inner)}/{{...}}",
            sample=None if standing.sample is None else f"{standing.sample}/guestpass-audit-no-route",
            account=standing.account,
            takes=(),
            name=name_of(default),
            location=location_of(default),
            standing=standing,
            handler=default,
        )

    def mounted(self) -> Iterator[tuple[object, Standing]]:
        """The applications that it mounts and hosts, and that have tables of their own."""
        for site in self._sites:
            if site.entry is not None and _is_mount(site) and id(_app_of(site)) in self._open:
                yield _app_of(site), _standing_of(site, site.entry, self.standing)

    def sentinel(self, reached: Reached) -> ASGIApp:
        """An application that matches as the router does, and runs none of its handlers."""

        default = not shows_all(self.subject)

        async def stand_in(scope: Scope, receive: Receive, send: Send) -> None:
            for route in self.subject.routes:
                match, child = route.matches(scope)
                if match is not Match.FULL:
                    continue
                if isinstance(route, Mount | Host) and id(route.app) in self._open:
                    scope.update(child)
                    await route.app(scope, receive, send)
                    return
                guarded = isinstance(route, Mount | Host) and bool(doors_of(route.app))
                if not guarded:
                    reached(self.subject)
                await answer(404 if guarded else 204, scope, receive, send)
                return
            if default:
                reached(self.subject)
            await answer(204 if default else 404, scope, receive, send)

        return stand_in

    def stand_in(self, patches: Patches, reached: Reached) -> None:
        """Put the sentinel where the router is called."""
        patches.put(self.subject, "middleware_stack", self.sentinel(reached))


def _is_mount(site: Site) -> bool:
    return site.entry is not None and isinstance(site.entry.route, Mount | Host)


def _app_of(site: Site) -> object:
    return cast("Mount", site.entry.route).app if site.entry is not None else None


def _standing_of(site: Site, entry: Entry, standing: Standing) -> Standing:
    """Where the application stands that a route mounts, or hosts."""
    host = _sample_path(site.host.strip(), frozenset())[0] or ""
    sample, account = _sample_path(entry.path, frozenset(ACCOUNT_NAMES))
    return standing.at(site.template.removesuffix("/{mounted}"), sample, account, host)


def _route(site: Site, entry: Entry, standing: Standing, names: frozenset[str]) -> Route:
    mount = _is_mount(site)
    handler = _app_of(site) if mount else entry.endpoint if entry.endpoint is not None else entry.route
    sample, account = _sample_path(_whole(entry, mount=mount), names)
    methods = site.methods - {"HEAD"} if "GET" in site.methods else site.methods
    inner = standing.inner + (site.template or site.path)
    return Route(
        framework="FastAPI" if entry.dependant is not None else "Starlette",
        methods=frozenset() if methods >= HTTP_METHODS else methods,
        path=standing.prefix + (site.template or site.path).replace("/{mounted}", "/*"),
        shape=PARAM_REGEX.sub("{}", standing.inner) + _NAME.sub("{", site.path),
        sample=None if sample is None or standing.sample is None else standing.sample + sample,
        account=standing.account or account,
        takes=(*_in_path(inner), *_in_signature(entry.dependant)),
        name=name_of(handler),
        location=location_of(handler),
        standing=replace(standing, host=_sample_path(site.host.strip(), frozenset())[0] or standing.host),
        own=module_of(handler).startswith(_OWN) and not mount,
        mark=site.needs is not None,
        handler=handler,
    )


def _whole(entry: Entry, *, mount: bool) -> str:
    path = entry.path or "/"
    return f"{path.rstrip('/')}/{{mounted:path}}" if mount else path


def _sample_path(path: str, names: frozenset[str]) -> tuple[str | None, str | None]:
    """A path that a route takes, and the account in it."""
    account: str | None = None
    written: list[str] = []
    at = 0
    for parameter in PARAM_REGEX.finditer(path):
        name, convertor = parameter.groups()
        regex = CONVERTOR_TYPES[(convertor or "").removeprefix(":") or "str"].regex
        value = value_for(fitting(regex), account=name in names)
        if value is None:
            return None, None
        if name in names and account is None:
            account = value
        written += [path[at : parameter.start()], value]
        at = parameter.end()
    return "".join([*written, path[at:]]), account


def _in_path(path: str) -> Iterator[Parameter]:
    for place, part in enumerate(path[1:].split("/")):
        names = PARAM_REGEX.findall(part)
        for name, _ in names:
            whole = part == f"{{{name}}}"
            yield Parameter("path", name, place if whole else None)


_PLACES: Final[tuple[tuple[Where, str], ...]] = (
    ("query", "query_params"),
    ("header", "header_params"),
    ("cookie", "cookie_params"),
    ("body", "body_params"),
)


def _in_signature(dependant: Dependency | None) -> Iterator[Parameter]:
    """What FastAPI takes from elsewhere than the path, for the handler and all that it depends on."""
    if dependant is None:
        return
    for where, attribute in _PLACES:
        for taken in cast("Iterable[object]", getattr(dependant, attribute, ())):
            annotation: object = getattr(getattr(taken, "field_info", None), "annotation", None)
            if has_fields(annotation):
                yield from (Parameter(where, name) for name in named_in(annotation))
                continue
            if where == "body" and not is_identifier(annotation):
                # Something called an account, not the name of one.
                continue
            yield Parameter(where, str(getattr(taken, "alias", None) or getattr(taken, "name", "")))
    for dependency in dependant.dependencies:
        yield from _in_signature(dependency)
