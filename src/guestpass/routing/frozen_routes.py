"""Routes that nobody can add to any more.

A route that comes after the guard has read the table would be judged by the rules of others. So the table is closed
with the first request, and whoever changes it then is told at that line.
"""

from typing import Any, NoReturn, cast

from starlette.routing import BaseRoute, Router

from guestpass.errors import ConfigurationError


class FrozenRoutes(list[BaseRoute]):
    """The routes of a router, as the guard has read them."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise ConfigurationError(
            "routes are added before the first request: the guard has read them, and would not know this one"
        )

    append = extend = insert = remove = pop = clear = sort = reverse = cast("Any", _refuse)
    __setitem__ = __delitem__ = __iadd__ = __imul__ = cast("Any", _refuse)


def freeze(app: object, seen: set[int] | None = None) -> None:
    """Close the table of an application or a router, and those of whatever it includes, mounts or hosts."""
    seen = set() if seen is None else seen
    router = getattr(app, "router", app)
    routes = getattr(router, "routes", None)
    if id(router) in seen or not isinstance(routes, list):
        return
    seen.add(id(router))
    for route in cast("list[BaseRoute]", routes):
        for inner in ("original_router", "app", "_base_app"):
            freeze(getattr(route, inner, None), seen)
    if not isinstance(routes, FrozenRoutes) and "routes" in getattr(router, "__dict__", ()):
        cast("Router", router).routes = FrozenRoutes(cast("list[BaseRoute]", routes))
