"""Who is measured against whom: each contender, the environment it runs in, and what it is put in front of."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

from benchmarks.driving import asgi_status, of_asgi, of_wsgi, wsgi_status
from benchmarks.environments import MAIN
from benchmarks.measuring import Turn
from benchmarks.scene import Scene

PACKAGES = (
    "guestpass",
    "mcp",
    "auth0-fastapi-api",
    "guardpost",
    "fastapi-jwks",
    "Flask-JWT-Extended",
    "Authlib",
    "joserfc",
    "PyJWT",
    "cryptography",
    "starlette",
    "fastapi",
    "Flask",
    "uvicorn",
    "uvloop",
    "httptools",
    "SQLAlchemy",
    "psycopg",
    "redis",
)


@dataclass(frozen=True, slots=True)
class Contender:
    """`made_by` is ``module:function`` below `benchmarks.applications`, from a `Scene` to an application; `over` is
    the same of its application without the guard, None where it is that."""

    name: str
    door: Literal["asgi", "wsgi"]
    made_by: str
    over: str | None = None
    environment: str = MAIN


ASGI = (
    Contender("bare ASGI", "asgi", "bare:asgi"),
    Contender("floor", "asgi", "floor:asgi", "bare:asgi"),
    Contender("guestpass", "asgi", "guarded:asgi", "bare:asgi"),
    Contender("bare Starlette", "asgi", "bare:starlette"),
    Contender("floor on Starlette", "asgi", "floor:starlette", "bare:starlette"),
    Contender("guestpass on Starlette", "asgi", "guarded:starlette", "bare:starlette"),
    Contender("bare FastAPI", "asgi", "bare:fastapi"),
    Contender("guestpass on FastAPI", "asgi", "guarded:fastapi", "bare:fastapi"),
)
ASGI_PEERS = (
    Contender("Starlette AuthenticationMiddleware + PyJWT", "asgi", "starlette_pyjwt:asgi", "bare:starlette"),
    Contender("FastAPI dependency + PyJWT", "asgi", "fastapi_pyjwt:asgi", "bare:fastapi"),
    Contender("mcp", "asgi", "mcp_bearer:asgi", "bare:asgi", "mcp"),
    Contender("auth0-fastapi-api", "asgi", "auth0:asgi", "bare:fastapi", "auth0-fastapi-api"),
    Contender("guardpost", "asgi", "guardpost_bearer:asgi", "bare:asgi", "guardpost"),
    Contender("fastapi-jwks", "asgi", "fastapi_jwks_bearer:asgi", "bare:fastapi", "fastapi-jwks"),
)
WSGI = (
    Contender("bare WSGI", "wsgi", "bare:wsgi"),
    Contender("floor", "wsgi", "floor:wsgi", "bare:wsgi"),
    Contender("guestpass", "wsgi", "guarded:wsgi", "bare:wsgi"),
    Contender("bare Flask", "wsgi", "bare:flask"),
    Contender("floor on Flask", "wsgi", "floor:flask", "bare:flask"),
    Contender("guestpass on Flask", "wsgi", "guarded:flask", "bare:flask"),
)
WSGI_PEERS = (
    Contender("Flask-JWT-Extended", "wsgi", "flask_jwt:wsgi", "bare:flask"),
    Contender("Authlib", "wsgi", "authlib_flask:wsgi", "bare:flask"),
)


def application(made_by: str, scene: Scene) -> Any:
    """The application itself."""
    module, _, function = made_by.partition(":")
    make: Callable[[Scene], Any] = getattr(import_module(f"benchmarks.applications.{module}"), function)
    return make(scene)


class Bench:
    """Makes applications into turns, and sees to it that each does what it is measured for."""

    def __init__(self) -> None:
        import asyncio

        self.loop = asyncio.new_event_loop()

    def turn(self, name: str, door: str, made_by: str, scene: Scene, *, guards: bool) -> Turn:
        """Turns of one application. Raises ValueError for one that lets nobody in, or everybody."""
        app = application(made_by, scene)
        right, forged = (self._status(door, app, scene, token) for token in (scene.tokens[0], scene.forged))
        if right != 200 or guards != (forged == 401):
            raise ValueError(f"{name} answers {right} to a right token, and {forged} to a forged one")
        if door == "asgi":
            return of_asgi(app, scene.path, scene.requests, self.loop)
        return of_wsgi(app, scene.path, scene.requests)

    def _status(self, door: str, app: Any, scene: Scene, token: str) -> int:
        headers = scene.headers(token)
        if door == "asgi":
            return asgi_status(app, scene.path, headers, self.loop)
        return wsgi_status(app, scene.path, headers)

    def close(self) -> None:
        self.loop.close()


def versions() -> dict[str, str]:
    """Of the packages that figures depend on, those that are installed here."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
