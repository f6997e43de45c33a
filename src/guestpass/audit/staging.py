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
from guestpass.streams import Streams
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
    for put_up in _put_up(door):
        if isinstance(put_up, GuardMiddleware):
            asked: object = getattr(put_up, "_door", None)
            streams = getattr(asked, "_streams", None)
            if not isinstance(streams, Streams) or getattr(asked, "_guard", None) is not door.guard:
                raise TypeError("a door of another make")
            patches.put(asked, "_guard", twin.guard)
            patches.put(asked, "_streams", Streams(twin.guard, streams.decide, streams.answers))
            if inside is not None:
                patches.put(asked, "_app", inside)
        else:
            patches.put(put_up, "guard", twin.guard)
            if inside is not None:
                patches.put(put_up, "app", inside)


def _put_up(door: Guarded) -> list[GuardMiddleware | WSGIGuardMiddleware]:
    """The middleware of a door: itself, or what `protect` has put up."""
    if isinstance(door.door, GuardMiddleware | WSGIGuardMiddleware):
        return [door.door]
    within = doors_of(door.door.put_up())
    made = [found.door for found in within if found.guard is door.guard]
    return cast("list[GuardMiddleware | WSGIGuardMiddleware]", made)[:1]
