"""Every route of an application, mounted parts included, and which guard stands before it.

Goes from what a server would be given to the tables of routes in it, through middleware, mounts and dispatchers, and
keeps in mind below which path and behind which door it is. How each framework's table is read is its own module's.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MethodType
from typing import Final, Literal, Protocol, TypeAlias, cast

from guestpass.asgi import GuardMiddleware
from guestpass.audit.findings import Location
from guestpass.audit.sending import Interface
from guestpass.audit.stand_ins import Patches, Reached
from guestpass.guarded import Guarded, inner_of, is_protection, is_starlette, isinstance_of
from guestpass.guarded import Protection as Protection
from guestpass.rules import WEBSOCKET, Rule
from guestpass.wsgi import GuardMiddleware as WSGIGuardMiddleware

ACCOUNT_NAMES: Final = ("account", "account_id", "acct", "acct_id", "accountId")
"""What parameters that take an account are called."""

Where: TypeAlias = Literal["path", "query", "header", "cookie", "body"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that a handler takes of a request; `segment` is where in the route's own path, None elsewhere."""

    where: Where
    name: str
    segment: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where in an application something stands: below which path, for which host, and behind which door, which itself
    stands below the first `below` segments. `sample` is a path for `prefix`, with `account` in it."""

    prefix: str = ""
    sample: str | None = ""
    account: str | None = None
    host: str = ""
    door: Guarded | None = None
    below: int = 0

    def at(self, path: str, sample: str | None = None, account: str | None = None, host: str = "") -> "Standing":
        """Further down; `sample` is left out where the path is its own."""
        written = path.rstrip("/")
        sampled = written if sample is None else sample.rstrip("/")
        return replace(
            self,
            prefix=self.prefix + written,
            sample=None if self.sample is None else self.sample + sampled,
            account=self.account or account,
            host=host or self.host,
        )

    def behind(self, door: Guarded) -> "Standing":
        """The same place, behind a door that stands here."""
        return replace(self, door=door, below=self.prefix.count("/"))

    @property
    def inner(self) -> str:
        """The part of the prefix that is behind the door."""
        return "".join(f"/{segment}" for segment in self.prefix.split("/")[1 + self.below :])

    def inner_sample(self, sample: str) -> str:
        """A whole path as it is behind the door."""
        return "/" + "/".join(sample.split("/")[1 + self.below :])


@dataclass(frozen=True, slots=True)
class Route:
    """One route as it can be asked for.

    - `methods`: what it takes, `WEBSOCKET` for a handshake; empty where it takes any.
    - `path`: as people write it, from the root on; `shape`, as a rule's, seen from the guard.
    - `sample`: a path that it takes, None where none is known; `account`, the account that is named in it.
    - `own`: it is the framework's, such as a page of documentation.
    - `opaque`: a mounted application of no known framework, behind a guard of its own.
    - `mark`: its own ``needs(…)`` is read by `protect`; `handler` is what was registered.
    """

    framework: str
    methods: frozenset[str]
    path: str
    shape: str
    sample: str | None
    account: str | None
    takes: tuple[Parameter, ...]
    name: str
    location: Location | None
    standing: Standing
    own: bool = False
    opaque: bool = False
    mark: bool = False
    handler: object = field(default=None, repr=False, compare=False)

    @property
    def socket(self) -> bool:
        """Whether it is for WebSocket handshakes alone."""
        return self.methods == frozenset({WEBSOCKET})

    @property
    def shown(self) -> str:
        """Methods and path, as a rule would be written."""
        return f"{shown_methods(self.methods)} {self.path}"

    def pattern(self) -> Rule:
        """The requests that it takes, as a rule for them would say."""
        return Rule(f"{shown_methods(self.methods)} {self.shape}", account=False, role=None)


def shown_methods(methods: frozenset[str]) -> str:
    """Methods as a pattern has them."""
    return ",".join(sorted(method.strip("()").upper() for method in methods)) or "*"


class Table(Protocol):
    """The routes of one application or router."""

    @property
    def standing(self) -> Standing:
        """Where it stands."""
        ...

    @property
    def subject(self) -> object:
        """What has the routes."""
        ...

    @property
    def interface(self) -> Interface:
        """How it is called."""
        ...

    def routes(self, names: frozenset[str]) -> Iterable[Route]:
        """Its routes; `names` are the parameters that take an account."""
        ...

    def mounted(self) -> Iterable[tuple[object, Standing]]:
        """Other applications that stand in it."""
        ...

    def sentinel(self, reached: Reached) -> object:
        """An application that tells where a request would have got, and runs none of the handlers."""
        ...

    def stand_in(self, patches: Patches, reached: Reached) -> None:
        """Put the sentinel in the place of the router, until the patches are taken off."""
        ...


MakeTable: TypeAlias = Callable[[object, Standing], Table | None]


def tables_of(app: object, standing: Standing | None = None) -> list[Table]:
    """The tables of routes in `app`. One that is reached with and without a guard is told of as guarded: whether the
    guard is called can only be asked."""
    found: dict[tuple[int, str, int], Table] = {}
    seen: set[tuple[int, int, str]] = set()
    held: list[object] = []
    ahead: deque[tuple[object, Standing]] = deque([(app, standing or Standing())])
    while ahead and len(held) < 100_000:
        thing, at = ahead.popleft()
        key = (id(thing), id(at.door.door) if at.door else 0, at.prefix)
        if key in seen:
            continue
        seen.add(key)
        held.append(thing)
        table = next((made for make in _readers() if (made := make(thing, at)) is not None), None)
        if table is None:
            ahead.extend(_within(thing, at))
        else:
            found[(id(table.subject), at.prefix, key[1])] = table
            ahead.extend(table.mounted())
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


def _readers() -> list[MakeTable]:
    """How tables are read, of the frameworks that are loaded: one that is not has no table here."""
    made: list[MakeTable] = []
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


def method_of(thing: object, name: str) -> object:
    """Whose method `thing` is, None where it is no method of that name."""
    if not isinstance_of(thing, MethodType):
        return None
    method = cast("MethodType", thing)
    return method.__self__ if getattr(method.__func__, "__name__", "") == name else None
