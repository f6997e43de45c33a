"""A route that serves the browser module, for Starlette and FastAPI."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from guestpass.browser import module_file
from guestpass.rules import needs

WHY: Final = "the same script for everyone, and nothing in it is secret"


def module_route(path: str = "/guestpass.js") -> Route:
    """``guestpass.js`` at `path`, public to the guard: ``app.router.routes.append(module_route())``.

    Read once, when the route is made. A browser that has it already is answered 304 (RFC 9110 section 13.1.2).
    """
    file = module_file()
    etag = file.headers["ETag"]

    @needs(public=True, reason=WHY)
    async def module(request: Request) -> Response:
        # A proxy that compresses makes the tag a weak one.
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")]
        if etag in known or "*" in known:
            kept = {name: value for name, value in file.headers.items() if name != "Content-Length"}
            return Response(status_code=304, headers=kept)
        return Response(file.content, headers=dict(file.headers))

    return Route(path, module)
