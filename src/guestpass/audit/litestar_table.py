"""The routes of a Litestar application, for an audit. The guard stands before it, with the rules in the policy."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, cast

from litestar import Litestar
from litestar.exceptions import HTTPException, LitestarException
from litestar.handlers import BaseRouteHandler
from litestar.routes import ASGIRoute, HTTPRoute, WebSocketRoute
from litestar.types.internal_types import PathParameterDefinition
from litestar.utils import normalize_path

from guestpass.asgi_types import ASGIApp, Receive, Scope, Send
from guestpass.audit.bodies import named_in
from guestpass.audit.handlers import location_of, marked, module_of, name_of
from guestpass.audit.route import Look, Parameter, Route, Standing, Where
from guestpass.audit.samples import value_for
from guestpass.audit.sending import Interface
from guestpass.audit.stand_ins import Patches, Reached, answer
from guestpass.guarded import isinstance_of
from guestpass.rules import WEBSOCKET


def read(thing: object, standing: Standing, _: Look) -> "LitestarTable | None":
    """The table of an application."""
    return LitestarTable(cast("Litestar", thing), standing) if isinstance_of(thing, Litestar) else None


class LitestarTable:
    """The routes of one application."""

    def __init__(self, app: Litestar, standing: Standing) -> None:
        self.subject: Final = app
        self.standing: Final = standing
        self.interface: Final[Interface] = "asgi"

    def routes(self, names: frozenset[str]) -> Iterator[Route]:
        """Its routes, those of its controllers and routers among them."""
        for route in self.subject.routes:
            for handler, methods in _handlers(route):
                yield _route(route, handler, methods, self.standing, names)

    def mounted(self) -> Iterable[tuple[object, Standing]]:
        """Nothing: what is mounted is called by a handler."""
        return ()

    def sentinel(self, reached: Reached) -> ASGIApp:
        """An application that matches as Litestar does, and runs none of its handlers."""

        async def stand_in(scope: Scope, receive: Receive, send: Send) -> None:
            path: str = scope["path"]
            if root := scope.get("root_path", ""):
                path = path.split(root, maxsplit=1)[-1]
            try:
                self.subject.asgi_router.handle_routing(path=normalize_path(path), method=scope.get("method"))
            except (HTTPException, LitestarException):
                await answer(404, scope, receive, send)
                return
            reached(self.subject)
            await answer(204, scope, receive, send)

        return stand_in

    def stand_in(self, patches: Patches, reached: Reached) -> None:
        """Put the sentinel before the router, in the place of Litestar's own middleware."""
        patches.put(self.subject, "asgi_handler", self.sentinel(reached))


def _handlers(route: HTTPRoute | WebSocketRoute | ASGIRoute) -> Iterator[tuple[BaseRouteHandler, frozenset[str]]]:
    if isinstance(route, HTTPRoute):
        for handler in route.route_handlers:
            methods = frozenset(str(method) for method in handler.http_methods)
            # Litestar answers OPTIONS by itself; that needs a rule of the policy, as every other does.
            if not (methods == frozenset({"OPTIONS"}) and module_of(handler.fn).startswith("litestar.")):
                yield handler, methods
    elif isinstance(route, WebSocketRoute):
        yield route.route_handler, frozenset({WEBSOCKET})
    else:
        yield route.route_handler, frozenset()


def _route(
    route: HTTPRoute | WebSocketRoute | ASGIRoute,
    handler: BaseRouteHandler,
    methods: frozenset[str],
    standing: Standing,
    names: frozenset[str],
) -> Route:
    written: list[str] = []
    shape: list[str] = []
    sample: list[str | None] = []
    account: str | None = None
    takes: list[Parameter] = []
    before = standing.inner.count("/")
    for place, component in enumerate(route.path_components):
        if not isinstance(component, PathParameterDefinition):
            written.append(component)
            shape.append(component)
            sample.append(component)
            continue
        written.append(f"{{{component.name}}}")
        rest = component.type.__name__ == "Path"
        shape.append("{...}" if rest else "{}")
        takes.append(Parameter("path", component.name, None if rest else before + place))
        value = value_for(_taken(component), account=component.name in names)
        sample.append(value)
        account = value if component.name in names and account is None else account
    mount = bool(getattr(handler, "is_mount", False))
    if mount:
        written.append("*")
        shape.append("{...}")
        sample.append("sample")
    takes += _in_signature(route, methods)
    known = all(part is not None for part in sample)
    return Route(
        framework="Litestar",
        methods=methods,
        path=f"{standing.prefix}/{'/'.join(written)}",
        shape=f"{standing.inner}/{'/'.join(shape)}",
        sample=f"{standing.sample or ''}/{'/'.join(part or '' for part in sample)}" if known else None,
        account=account,
        takes=tuple(takes),
        name=name_of(handler.fn),
        location=location_of(handler.fn),
        standing=standing,
        own=module_of(handler.fn).startswith("litestar."),
        mark=marked(handler) or marked(handler.fn),
        handler=handler.fn,
    )


def _taken(component: PathParameterDefinition) -> Any:
    def fits(value: str) -> bool:
        if component.parser is not None:
            component.parser(value)
        return True

    return fits


_PLACES: Final[tuple[tuple[Where, str], ...]] = (
    ("query", "expected_query_params"),
    ("header", "expected_header_params"),
    ("cookie", "expected_cookie_params"),
)


def _in_signature(route: object, methods: frozenset[str]) -> Iterator[Parameter]:
    """What Litestar takes from elsewhere than the path, for the handler and all that it depends on."""
    model: object = getattr(route, "handler_parameter_model", None)
    if isinstance(route, HTTPRoute):
        model = next((entry[1] for method, entry in route.route_handler_map.items() if str(method) in methods), None)
    for where, attribute in _PLACES:
        for taken in cast("Iterable[object]", getattr(model, attribute, ())):
            yield Parameter(where, str(getattr(taken, "field_alias", "")))
    yield from (Parameter("body", name) for name in named_in(_body_of(route, methods)))


def _body_of(route: object, methods: frozenset[str]) -> object:
    """What a handler takes as ``data``: the whole body."""
    if not isinstance(route, HTTPRoute):
        return None
    handler = next((entry[0] for method, entry in route.route_handler_map.items() if str(method) in methods), None)
    field: object = getattr(handler, "parsed_data_field", None)
    return getattr(field, "annotation", None)
