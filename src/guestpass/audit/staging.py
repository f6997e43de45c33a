"""The stage for asking: the application as it is, each guard's twin in the guard's place, a sentinel in each router's.

What stands before a guard – middleware, mounts, dispatchers – is the application's own and runs, since it decides
whether the guard is called at all. What stands between a guard and its router does not, where that can be told.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import cast

from guestpass.asgi import GuardMiddleware
from guestpass.audit.route import Table
from guestpass.audit.stand_ins import Patches, Reached
from guestpass.audit.twin import Twin
from guestpass.guarded import Guarded, doors_of
from guestpass.live.streams import Streams
from guestpass.wsgi import GuardMiddleware as WSGIGuardMiddleware


@contextmanager
def staged(
    doors: Iterable[Guarded], tables: Sequence[Table], twins: Mapping[int, Twin], reached: Reached
) -> Generator[None]:
    """Put everything up, and take it down again. `doors` are all that there are, `twins` by the id of the guard.

    Raises `TypeError` where a door is not built as this release builds them: then nothing is asked.
    """
    with Patches() as patches:
        for table in tables:
            table.stand_in(patches, reached)
        for door in _unique([*doors, *(table.standing.door for table in tables)]):
            roots = [
                table
                for table in tables
                if table.standing.door is not None
                and table.standing.door.door is door.door
                and not table.standing.nested
            ]
            # Where more than one stands behind it, what stands between them decides which.
            alone = len(roots) == 1 and roots[0].standing.inner == ""
            inside = roots[0].sentinel(reached) if alone else None
            _replace(patches, door, twins[id(door.guard)], inside)
        yield


def _unique(doors: Iterable[Guarded | None]) -> list[Guarded]:
    return list({id(door.door): door for door in doors if door is not None}.values())


def _replace(patches: Patches, door: Guarded, twin: Twin, inside: object) -> None:
    for middleware in _middleware_of(door):
        if isinstance(middleware, GuardMiddleware):
            streams = getattr(middleware, "_streams", None)
            if not isinstance(streams, Streams):
                raise TypeError("GuardMiddleware is not built as an audit knows it")
            patches.put(middleware, "_streams", Streams(twin.guard, streams.decide, streams.answers))
        patches.put(middleware, "guard", twin.guard)
        if inside is not None:
            patches.put(middleware, "app", inside)


def _middleware_of(door: Guarded) -> list[GuardMiddleware | WSGIGuardMiddleware]:
    """What of a door judges: the middleware itself or what `protect` has put up, and what it has behind its CORS."""
    standing = door.door
    made: object = standing if isinstance(standing, GuardMiddleware | WSGIGuardMiddleware) else standing.put_up()
    found = [within.door for within in doors_of(made) if within.guard is door.guard][:1]
    if not found:
        raise TypeError("a door has no guard in it: it is not built as an audit knows it")
    for middleware in tuple(found):
        behind = getattr(middleware, "_cross_origin", None)
        found += [within.door for within in doors_of(behind) if within.guard is door.guard][:1] if behind else []
    return cast("list[GuardMiddleware | WSGIGuardMiddleware]", found)
