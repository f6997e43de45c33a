"""How an application finds its caller, whatever door the request came through."""

from collections.abc import Mapping
from enum import Enum
from typing import Final, TypeVar, cast, overload

from guestpass.errors import NoPrincipal, NotGuarded
from guestpass.principal import Principal

ENVIRON_KEY: Final = "guestpass.principal"
"""Where a WSGI environ has the principal; an ASGI scope has it at ``principal``."""

D = TypeVar("D")


class _Unset(Enum):
    UNSET = "UNSET"


@overload
def principal_of(source: object) -> Principal: ...
@overload
def principal_of(source: object, default: D) -> Principal | D: ...
def principal_of(source: object, default: object = _Unset.UNSET) -> object:
    """Who is calling, from an ASGI scope, a WSGI environ, or a request or WebSocket that carries one at ``scope`` or
    ``environ``: those of Starlette, FastAPI, Litestar, Quart, Django and Flask do.

    On a public route there is nobody: `default` if one is given, else `NoPrincipal` is raised. Raises `NotGuarded`
    where no guard ran, and TypeError for what carries no request.
    """
    carried = _carried(source)
    for key in ("principal", ENVIRON_KEY):
        if key in carried:
            principal = carried[key]
            break
    else:
        raise NotGuarded(
            "no guard ran for this request: wrap the application, app = GuardMiddleware(app, guard), or call "
            "protect(app, guard) of guestpass.fastapi, guestpass.starlette or guestpass.flask"
        )
    if isinstance(principal, Principal):
        return principal
    if default is _Unset.UNSET:
        raise NoPrincipal("this route is public and nobody said who they are; principal_of(request, None) gives None")
    return default


def _carried(source: object) -> Mapping[str, object]:
    if isinstance(source, Mapping):
        return cast("Mapping[str, object]", source)
    for attribute in ("scope", "environ"):
        carried = getattr(source, attribute, None)
        if isinstance(carried, Mapping):
            return cast("Mapping[str, object]", carried)
    raise TypeError(f"principal_of takes a scope, an environ or a request, not {type(source).__name__}")
