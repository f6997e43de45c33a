"""From an application to its guard: which door stands before it, and whose guard decides there.

For tools that are handed an application and nothing else. Looks through whatever stands around a door – middleware,
mounts, dispatchers, closures – by what objects hold, and calls none of it. Loads no framework: a door of one that is
not loaded is in no application.
"""

import contextlib
import dataclasses
import dis
import functools
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Final, Protocol, cast, runtime_checkable

from guestpass.asgi import GuardMiddleware
from guestpass.errors import ConfigurationError
from guestpass.guard import Guard
from guestpass.wsgi import GuardMiddleware as WSGIGuardMiddleware

_FAR: Final = 40
"""Objects one within the other, after which nobody would still call what comes an application's door."""

_MANY: Final = 100_000
"""Objects to look at in all."""


@runtime_checkable
class Protection(Protocol):
    """The door of `protect`, which reads the application's routes when it is put up."""

    @property
    def guard(self) -> Guard: ...
    @property
    def inside(self) -> object: ...
    def put_up(self) -> object: ...


Door = GuardMiddleware | WSGIGuardMiddleware | Protection


@dataclass(frozen=True, slots=True)
class Guarded:
    """A door: its guard, what stands behind it, and the way to it from the application, by the names of classes."""

    guard: Guard
    door: Door
    inside: object
    way: tuple[str, ...]

    def __str__(self) -> str:
        return " → ".join(self.way)


def guarded(app: object) -> Guarded:
    """The one guard of `app`, its policy as the first request would find it: with what the routes say.

    `app` is what a server would be given: an application after `protect`, or one around which stands a
    `GuardMiddleware`, whatever else does. Raises `ConfigurationError` where there is no guard or more than one, and for
    routes that contradict each other.
    """
    doors = {id(found.guard): found for found in reversed(doors_of(app))}
    if not doors:
        raise ConfigurationError(
            f"no guard stands before this application ({_name(app)}): protect(app, guard) of guestpass.fastapi, "
            "guestpass.starlette or guestpass.flask, or app = GuardMiddleware(app, guard), and name what the server "
            "is given"
        )
    if len(doors) > 1:
        ways = "; ".join(sorted(str(found) for found in doors.values()))
        raise ConfigurationError(
            f"{len(doors)} guards stand in this application ({ways}): name the part that one of them guards"
        )
    (found,) = doors.values()
    put_up(found)
    return found


def put_up(found: Guarded) -> None:
    """Have the routes read into the guard's policy, as the first request would. Raises `ConfigurationError`."""
    if not isinstance(found.door, GuardMiddleware | WSGIGuardMiddleware):
        found.door.put_up()


def doors_of(app: object) -> list[Guarded]:
    """Every door in `app`, the outermost first. Routes are not read yet."""
    found: list[Guarded] = []
    seen: set[int] = set()
    # Held on to, since an id is only as good as its object.
    held: list[object] = []
    ahead: deque[tuple[object, tuple[str, ...]]] = deque([(app, ())])
    while ahead and len(held) < _MANY:
        thing, way = ahead.popleft()
        if id(thing) in seen or len(way) > _FAR:
            continue
        seen.add(id(thing))
        held.append(thing)
        way = (*way, _name(thing))
        if isinstance_of(thing, GuardMiddleware, WSGIGuardMiddleware):
            door = cast("GuardMiddleware | WSGIGuardMiddleware", thing)
            found.append(Guarded(door.guard, door, door.app, way))
            ahead.append((door.app, way))
        elif is_protection(thing):
            protection = cast("Protection", thing)
            found.append(Guarded(protection.guard, protection, protection.inside, way))
            ahead.append((protection.inside, way))
        elif is_forward_auth(thing):
            raise ConfigurationError(
                "this is what a proxy asks (forward_auth): there is no application behind it. Name its guard, to "
                "explain what it decides"
            )
        else:
            ahead.extend((inner, way) for inner in inner_of(thing))
    return found


def is_protection(thing: object) -> bool:
    """Whether this is the door that `protect` of some framework has put up."""
    doors = (sys.modules.get(module) for module in ("guestpass.starlette", "guestpass.flask"))
    return isinstance_of(thing, *(door.Protection for door in doors if door is not None))


def is_forward_auth(thing: object) -> bool:
    """Whether this is the application that a proxy asks."""
    module = sys.modules.get("guestpass.forward_auth")
    return module is not None and isinstance_of(thing, module.ForwardAuth)


def is_starlette(thing: object) -> bool:
    """Whether this is an application of Starlette's or FastAPI's."""
    module = sys.modules.get("starlette.applications")
    return module is not None and isinstance_of(thing, module.Starlette)


def isinstance_of(thing: object, *classes: type) -> bool:
    """isinstance, without asking the thing itself: a proxy for something else would answer for that."""
    return issubclass(type(thing), classes)


def inner_of(thing: object) -> Iterator[object]:
    """What `thing` may call: what it holds that can be called, directly or in a list or a table."""
    if is_starlette(thing):
        # As its first request does. Until then its middleware is a list of classes.
        app: _Stacked = cast("_Stacked", thing)
        if app.middleware_stack is None:
            app.middleware_stack = app.build_middleware_stack()
        yield app.middleware_stack
    elif entry := _entry_of(thing):
        # What it holds beside that is called by it, behind whatever stands there.
        yield getattr(thing, entry)
        return
    for held in _held(thing):
        yield from _leading_on(held)


def _entry_of(thing: object) -> str:
    """The attribute through which Flask and Quart are called, and which people wrap."""
    for module, name, entry in (("flask", "Flask", "wsgi_app"), ("quart", "Quart", "asgi_app")):
        loaded = sys.modules.get(module)
        if loaded is not None and isinstance_of(thing, getattr(loaded, name)):
            return entry
    return ""


class _Stacked(Protocol):
    middleware_stack: object

    def build_middleware_stack(self) -> object: ...


def _held(thing: object) -> Iterator[object]:
    if isinstance_of(thing, functools.partial):
        partial = cast("functools.partial[object]", thing)
        yield from (partial.func, *partial.args, *partial.keywords.values())
    elif isinstance_of(thing, MethodType):
        method = cast("MethodType", thing)
        yield from (method.__self__, method.__func__)
    elif isinstance_of(thing, FunctionType):
        function = cast("FunctionType", thing)
        for cell in function.__closure__ or ():
            try:
                yield cell.cell_contents
            except ValueError:
                # Not assigned yet.
                continue
        yield from vars(function).values()
        yield from _called_by_name(function)
    else:
        yield from _attributes(thing)
        for cls in type(thing).__mro__:
            said = list(vars(cls).values())
            functions = [cast("FunctionType", one) for one in said if isinstance_of(one, FunctionType)]
            if any(map(_is_application, functions)):
                # What a class has for all of its instances, such as a table of mounts.
                yield from (one for one in said if isinstance_of(one, list, tuple, dict))
            for function in functions:
                yield from _called_by_name(function)


_FIRST: Final = frozenset({"scope", "environ", "env"})
"""What the first argument of an application is called, by ASGI and by WSGI."""


def _is_application(function: FunctionType) -> bool:
    """Whether a function takes what a server hands on, itself or as a method."""
    taken = function.__code__.co_varnames[: function.__code__.co_argcount][:2]
    return not _FIRST.isdisjoint(name.strip("_") for name in taken)


def _called_by_name(function: FunctionType) -> Iterator[object]:
    """What a function that is an application, or a method of one, calls by a name of its module's or has as a default,
    as dispatchers are written. Of other functions, such as handlers, that would lead anywhere."""
    if not _is_application(function):
        return
    yield from (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
    for name, attributes in _names_in(function.__code__):
        found: object = function.__globals__.get(name)
        for attribute in attributes:
            if not isinstance_of(found, ModuleType):
                break
            found = vars(cast("ModuleType", found)).get(attribute)
        yield found


@functools.lru_cache(maxsize=1024)
def _names_in(code: CodeType) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The global names that are used in some code, each with the attributes that are taken of it."""
    found: list[tuple[str, tuple[str, ...]]] = []
    reading = False
    for step in dis.get_instructions(code):
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            found.append((str(step.argval), ()))
            reading = True
        elif reading and step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
            name, attributes = found[-1]
            found[-1] = (name, (*attributes, str(step.argval)))
        elif step.opname not in ("CACHE", "PUSH_NULL"):
            reading = False
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            found += _names_in(inner)
    return tuple(dict.fromkeys(found))


def _attributes(thing: object) -> Iterator[object]:
    with contextlib.suppress(AttributeError, TypeError, RuntimeError):
        # Past what a class may have put in its way, such as a proxy for the request of the moment.
        yield from list(cast("dict[str, object]", object.__getattribute__(thing, "__dict__")).values())
    for cls in type(thing).__mro__:
        slots = cast("str | Iterable[str]", vars(cls).get("__slots__", ()))
        for name in (slots,) if isinstance(slots, str) else tuple(slots):
            member = vars(cls).get(name)
            if isinstance_of(member, MemberDescriptorType):
                with contextlib.suppress(AttributeError):
                    # Where it is not assigned.
                    yield cast("MemberDescriptorType", member).__get__(thing)


_NESTED: Final = 4
"""Lists and tables one within the other."""


def _leading_on(held: object, deep: int = _NESTED) -> Iterator[object]:
    """What can be called of something that is held: it, or what is in it, where it is a list, a table or a record."""
    if _may_lead_on(held):
        yield held
        return
    within: Iterable[object] = ()
    if isinstance_of(held, list, tuple, set, frozenset):
        within = list(cast("Iterable[object]", held))
    elif isinstance_of(held, dict):
        within = list(cast("Mapping[object, object]", held).values())
    elif dataclasses.is_dataclass(type(held)):
        within = _attributes(held)
    if deep:
        for one in within:
            yield from _leading_on(one, deep - 1)


def _may_lead_on(thing: object) -> bool:
    return callable(thing) and not isinstance_of(thing, type, ModuleType, Guard)


def _name(thing: object) -> str:
    named: object = getattr(type(thing), "__name__", "")
    if isinstance_of(thing, FunctionType, MethodType):
        return cast("FunctionType", thing).__qualname__.rpartition(".")[2]
    return str(named).lstrip("_")
