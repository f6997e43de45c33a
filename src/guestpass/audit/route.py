"""What an audit knows of a route, of where it stands, and of the tables that routes are in.

Knows no framework: each has a module that reads its table into these.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from types import MethodType
from typing import Final, Literal, Protocol, TypeAlias, cast

from guestpass.audit.findings import Location
from guestpass.audit.sending import Interface
from guestpass.audit.stand_ins import Patches, Reached
from guestpass.guarded import Guarded, isinstance_of
from guestpass.rules import HTTP_METHODS, WEBSOCKET, Rule

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
    stands below the first `below` segments. `sample` is a path for `prefix`, with `account` in it. `nested`: another
    table stands between it and its door."""

    prefix: str = ""
    sample: str | None = ""
    account: str | None = None
    host: str = ""
    door: Guarded | None = None
    below: int = 0
    nested: bool = False

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
        return replace(self, door=door, below=self.prefix.count("/"), nested=False)

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
    if methods >= HTTP_METHODS and WEBSOCKET not in methods:
        return "*"
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


Look: TypeAlias = Callable[[object, Standing], list[Table]]
"""Finds the tables in an application that stands there."""


def method_of(thing: object, name: str) -> object:
    """Whose method `thing` is, None where it is no method of that name."""
    if not isinstance_of(thing, MethodType):
        return None
    method = cast("MethodType", thing)
    return method.__self__ if getattr(method.__func__, "__name__", "") == name else None
