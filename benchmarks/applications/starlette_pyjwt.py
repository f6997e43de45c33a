"""Starlette's AuthenticationMiddleware with a backend that checks tokens with PyJWT, as their documents have both."""

from benchmarks.applications.pyjwt import Decoder
from benchmarks.driving import ASGIApp
from benchmarks.scene import Scene


def asgi(scene: Scene) -> ASGIApp:
    """One route, which asks for `authenticated`."""
    from starlette.applications import Starlette
    from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError, SimpleUser
    from starlette.middleware import Middleware
    from starlette.middleware.authentication import AuthenticationMiddleware
    from starlette.requests import HTTPConnection, Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    decode = Decoder(scene)

    class Backend(AuthenticationBackend):
        async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser] | None:
            scheme, _, token = conn.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer":
                return None
            try:
                claims = decode(token)
            except decode.problems as problem:
                raise AuthenticationError("invalid token") from problem
            return AuthCredentials(["authenticated"]), SimpleUser(claims["sub"])

    def refused(_: HTTPConnection, problem: AuthenticationError) -> Response:
        return PlainTextResponse(str(problem), status_code=401)

    async def view(request: Request) -> PlainTextResponse:
        if not request.user.is_authenticated:
            return PlainTextResponse("", status_code=401)
        return PlainTextResponse("ok")

    guard = Middleware(AuthenticationMiddleware, backend=Backend(), on_error=refused)
    return Starlette(routes=[Route(scene.path, view)], middleware=[guard])
