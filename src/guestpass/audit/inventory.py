"""Every table of routes in an application, mounted parts included, and which guard stands before it.

Goes from what a server would be given to the tables in it, through middleware, mounts and dispatchers, and keeps in
mind below which path and behind which door it is. How each framework's table is read is its own module's.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol, TypeAlias, cast

from guestpass.asgi import GuardMiddleware
from guestpass.audit.route import Look, Standing, Table
from guestpass.guarded import Guarded, Protection, inner_of, is_protection, is_starlette, isinstance_of
from guestpass.wsgi import GuardMiddleware as WSGIGuardMiddleware

ReadTable: TypeAlias = Callable[[object, Standing, Look], Table | None]


def tables_of(app: object, standing: Standing | None = None) -> list[Table]:
    """The tables of routes in `app`. One that is reached with and without a guard is told of as guarded: whether the
    guard is called can only be asked."""
    found: dict[tuple[int, str, int], Table] = {}
    seen: set[tuple[int, int, str]] = set()
    held: list[object] = []
    ahead: deque[tuple[object, Standing]] = deque([(app, standing or Standing())])
    readers = _readers()
    while ahead and len(held) < 100_000:
        thing, at = ahead.popleft()
        key = (id(thing), id(at.door.door) if at.door else 0, at.prefix)
        if key in seen:
            continue
        seen.add(key)
        held.append(thing)
        table = next((made for make in readers if (made := make(thing, at, tables_of)) is not None), None)
        if table is None:
            ahead.extend(_within(thing, at))
        else:
            found[(id(table.subject), at.prefix, key[1])] = table
            ahead.extend((app, replace(below, nested=True)) for app, below in table.mounted())
    guarded = {key[:2] for key, table in found.items() if table.standing.door is not None}
    return [table for key, table in found.items() if table.standing.door is not None or key[:2] not in guarded]


def _within(thing: object, standing: Standing) -> Iterator[tuple[object, Standing]]:
    if isinstance_of(thing, GuardMiddleware, WSGIGuardMiddleware):
        door = cast("GuardMiddleware | WSGIGuardMiddleware", thing)
        behind = Guarded(door.guard, door, door.app, ())
        yield door.app, standing.behind(behind)
    elif is_protection(thing):
        protection = cast("Protection", thing)
        behind = Guarded(protection.guard, protection, protection.inside, ())
        yield protection.inside, standing.behind(behind)
    elif is_starlette(thing):
        # Its stack alone leads anywhere, from the outside in.
        yield next(inner_of(thing)), standing
    elif _is(thing, "werkzeug.middleware.dispatcher", "DispatcherMiddleware"):
        dispatcher = cast("_Dispatcher", thing)
        yield dispatcher.app, standing
        yield from ((app, standing.at(path)) for path, app in dispatcher.mounts.items())
    elif _is(thing, "flask", "Flask") or _is(thing, "quart", "Quart"):
        yield getattr(thing, "wsgi_app", None) or getattr(thing, "asgi_app", None), standing
    elif thing is not None:
        yield from ((inner, standing) for inner in inner_of(thing))


class _Dispatcher(Protocol):
    app: object
    mounts: Mapping[str, object]


def _readers() -> list[ReadTable]:
    """How tables are read, of the frameworks that are loaded: one that is not has no table here."""
    made: list[ReadTable] = []
    if "starlette.routing" in sys.modules:
        from guestpass.audit import starlette_table

        made.append(starlette_table.read)
    if "flask" in sys.modules:
        from guestpass.audit import flask_table

        made.append(flask_table.read)
    if "litestar" in sys.modules:
        from guestpass.audit import litestar_table

        made.append(litestar_table.read)
    if "django.core.handlers.base" in sys.modules:
        from guestpass.audit import django_table

        made.append(django_table.read)
    return made


def _is(thing: object, module: str, name: str) -> bool:
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance_of(thing, getattr(loaded, name))
