"""One rule: which requests it is for, and what they need.

A rule decides nothing by itself; `guestpass.policy.Policy` finds it and `guestpass.authorize` applies it.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields
from enum import Enum
from inspect import Signature
from typing import Final, Literal, TypedDict, TypeVar, Unpack, overload

from guestpass.errors import ConfigurationError

WEBSOCKET: Final = "(websocket)"
"""The method of a WebSocket handshake: no HTTP method can be called so."""

HTTP_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "TRACE", "CONNECT"})

_METHODS: Final[Mapping[str, AbstractSet[str]]] = {
    "*": HTTP_METHODS,
    "HEAD": {"GET"},
    "WEBSOCKET": {WEBSOCKET},
    "WS": {WEBSOCKET},
}

_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)?(\.\.\.)?\}\Z")
_METHOD = re.compile(r"[A-Z][A-Z-]*\Z")
_LITERAL = re.compile(r"(?!:)[^{}%;?#<>\\\x00-\x20\x7f]*\Z")


class BaseRole(Enum):
    """The lowest role there is: what a rule asks for when it names none."""

    BASE_ROLE = "BASE_ROLE"

    def __repr__(self) -> str:
        return "BASE_ROLE"


BASE_ROLE: Final = BaseRole.BASE_ROLE


class Need(TypedDict, total=False):
    """What a request needs; the keywords of `Rule` and `needs`."""

    component: str | None
    feature: str | None
    role: str | BaseRole | None
    kinds: Collection[str] | None
    account: bool | str | Sequence[str]
    mints: bool
    public: bool
    optional: bool
    reason: str | None
    encoded_slashes: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request names the account: a path parameter, a query parameter or a header."""

    where: Literal["path", "query", "header"]
    name: str


@dataclass(frozen=True, slots=True)
class Rule:
    """``Rule("GET /v1/accounts/{account}/call_logs", component="call_logs")``.

    The pattern is one method, several (``GET,POST``), ``*`` for every HTTP method, or ``WEBSOCKET``, then a path
    in which ``{name}`` stands for one segment and ``{name...}`` for the rest. HEAD is GET.

    - `component`, `feature`: what must be enabled.
    - `role`: the lowest role that will do; left out, the policy's lowest; None, no role is needed.
    - `kinds`: the kinds of credential let in; left out, all but publishable keys.
    - `account`: True, the request is for one account, named by a path parameter ``account``, the account header or
      the credential itself; a name such as ``"path:tenant"``, ``"query:account_id"`` or ``"header:X-Tenant"``, or
      several, where else the request names it; False, it is for no account.
    - `mints`: it creates credentials: only a secret key can.
    - `public`: everybody may; `reason` says why. With `optional`, a credential is checked if there is one.
    - `encoded_slashes`: ``%2F`` may stand in the ``{name...}`` part.

    Raises `ConfigurationError` for what contradicts itself.
    """

    pattern: str
    component: str | None = None
    feature: str | None = None
    role: str | BaseRole | None = BASE_ROLE
    kinds: Collection[str] | None = None
    account: bool | str | Sequence[str] = True
    mints: bool = False
    public: bool = False
    optional: bool = False
    reason: str | None = None
    encoded_slashes: bool = False
    methods: frozenset[str] = field(init=False, repr=False, compare=False)
    segments: tuple[str | None, ...] = field(init=False, repr=False, compare=False)
    rest: bool = field(init=False, repr=False, compare=False)
    places: tuple[Place, ...] = field(init=False, repr=False, compare=False)
    parameters: tuple[str | None, ...] = field(init=False, repr=False, compare=False)
    literal: str | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        methods, path = _split_pattern(self.pattern)
        segments, parameters, rest = _read_path(self.pattern, path)
        put("methods", methods)
        put("segments", segments)
        put("parameters", parameters)
        put("rest", rest)
        # The one path that it is for, where nothing in that is left open.
        put("literal", None if rest or None in segments else path)
        put("kinds", _kinds(self.pattern, self.kinds))
        put("places", tuple(_places(self.pattern, self.account, parameters)))
        self._check()

    def _check(self) -> None:
        if self.public:
            self._check_public()
        elif self.optional or self.reason is not None:
            raise ConfigurationError(f"Rule({self.pattern!r}): optional and reason belong to public=True")
        if self.role is not None and not isinstance(self.role, str | BaseRole):
            raise ConfigurationError(f"Rule({self.pattern!r}): role={self.role!r} is no role; role=None needs none")
        if self.kinds == {"publishable_key"} and self.account is not False:
            raise ConfigurationError(f"Rule({self.pattern!r}): a publishable key has no account: account=False")
        if self.mints and self.kinds is not None and "secret_key" not in self.kinds:
            raise ConfigurationError(f'Rule({self.pattern!r}): only a secret key mints: kinds={{"secret_key"}}')
        if self.feature is not None and self.component is None:
            raise ConfigurationError(f"Rule({self.pattern!r}): feature={self.feature!r} needs component=…")
        if self.encoded_slashes and not self.rest:
            raise ConfigurationError(f"Rule({self.pattern!r}): encoded_slashes is for a path that ends in {{name...}}")

    def _check_public(self) -> None:
        if not self.reason:
            raise ConfigurationError(f'Rule({self.pattern!r}): a public rule says why: reason="…"')
        asked = [f.name for f in fields(self) if f.name in _NOT_PUBLIC and getattr(self, f.name) != f.default]
        if asked:
            raise ConfigurationError(f"Rule({self.pattern!r}): a public rule needs nothing; drop {', '.join(asked)}")

    @property
    def weight(self) -> tuple[int, bool, int]:
        """How particular the path is: of two rules for one request, the heavier one counts."""
        literals = sum(segment is not None for segment in self.segments)
        return (literals, not self.rest, len(self.segments))

    def overlaps(self, other: "Rule") -> bool:
        """Whether some request is for both."""
        if not self.methods & other.methods:
            return False
        shorter, longer = sorted((self, other), key=lambda rule: len(rule.segments))
        if len(shorter.segments) < len(longer.segments) and not shorter.rest:
            return False
        if len(shorter.segments) == len(longer.segments) and shorter.rest != longer.rest:
            # ``/a/{b...}`` is at least one segment longer than its own fixed part.
            return False
        pairs = zip(shorter.segments, longer.segments, strict=False)
        return all(one is None or another is None or one == another for one, another in pairs)

    def asks_the_same(self, other: "Rule") -> bool:
        """Whether both need the same of a request, wherever they stand."""
        asked = [f.name for f in fields(self) if f.compare and f.name != "pattern"]
        return self._placed() == other._placed() and all(getattr(self, n) == getattr(other, n) for n in asked)

    def _placed(self) -> list[tuple[str, str | int]]:
        """Where the account stands, whatever its parameter is called."""
        return [(p.where, self.parameters.index(p.name) if p.where == "path" else p.name) for p in self.places]


_WHERE: Final[Mapping[str, Literal["path", "query", "header"]]] = {"path": "path", "query": "query", "header": "header"}

_NOT_PUBLIC: Final = frozenset({"component", "feature", "role", "kinds", "account", "mints"})

F = TypeVar("F", bound=Callable[..., object])


class Needs:
    """What a route needs, said at the route: as a decorator, or as a FastAPI dependency.

    A mark, no more: `protect` reads it from the application's routes and makes it a rule of the policy.
    """

    def __init__(self, need: Need) -> None:
        self.need = need
        # What FastAPI reads of a dependency: it takes nothing from the request.
        self.__signature__ = Signature()

    @overload
    def __call__(self) -> None: ...
    @overload
    def __call__(self, endpoint: F) -> F: ...
    def __call__(self, endpoint: F | None = None) -> F | None:
        """Mark `endpoint`, above or below the route decorator; called by FastAPI without one, do nothing."""
        if endpoint is not None:
            if MARK in getattr(endpoint, "__dict__", ()):
                raise ConfigurationError(f"{endpoint!r} has two needs(…): put all it needs into one")
            setattr(endpoint, MARK, self)
        return endpoint

    def rule(self, pattern: str) -> Rule:
        """The rule that this makes of a route."""
        return Rule(pattern, **self.need)

    def __repr__(self) -> str:
        return f"needs({', '.join(f'{name}={value!r}' for name, value in self.need.items())})"


MARK: Final = "__guestpass_needs__"


def needs(**need: Unpack[Need]) -> Needs:
    """What the requests of one route need: ``@needs(component="call_logs")``, or ``Depends(needs(…))``.

    Takes the keywords of `Rule`. Contradictions raise `ConfigurationError` here, unknown names when routes are read.
    """
    marker = Needs(need)
    # Read once on a path that has whatever it names, so that a contradiction is found at this line.
    account = need.get("account", True)
    places = () if isinstance(account, bool) else (account,) if isinstance(account, str) else tuple(account)
    named = [f"{{{place.removeprefix('path:')}}}" for place in dict.fromkeys(places) if place.startswith("path:")]
    pattern = "/".join(["GET ", *named, "{rest...}"])
    try:
        marker.rule(pattern)
    except ConfigurationError as problem:
        raise ConfigurationError(str(problem).replace(f"Rule({pattern!r})", "needs(…)")) from None
    return marker


def _split_pattern(pattern: str) -> tuple[frozenset[str], str]:
    given, _, path = pattern.partition(" ")
    if not path.startswith("/"):
        raise ConfigurationError(f'Rule({pattern!r}): write the method and the path: "GET /v1/things/{{id}}"')
    named: set[str] = set()
    for method in given.split(","):
        named |= _METHODS.get(method.upper(), {method.upper()})
    if not all(method == WEBSOCKET or _METHOD.match(method) for method in named):
        raise ConfigurationError(f"Rule({pattern!r}): {given!r} is not a method: GET, POST, …, * or WEBSOCKET")
    return frozenset(named), path


def _read_path(pattern: str, path: str) -> tuple[tuple[str | None, ...], tuple[str | None, ...], bool]:
    """The literal of each segment (None where any will do), its parameter's name, and whether more may follow."""
    parts = path[1:].split("/")
    segments: list[str | None] = []
    parameters: list[str | None] = []
    rest = False
    for place, part in enumerate(parts):
        parameter = _PARAMETER.match(part)
        if parameter is None:
            if not _LITERAL.match(part) or part in (".", "..") or (not part and place < len(parts) - 1):
                raise ConfigurationError(
                    f"Rule({pattern!r}): {part!r} is neither a literal segment nor {{name}} nor {{name...}}"
                )
            segments.append(part)
            parameters.append(None)
            continue
        name, more = parameter.groups()
        if more:
            if place < len(parts) - 1:
                raise ConfigurationError(f"Rule({pattern!r}): {part} can only be the last segment")
            if name == "account":
                raise ConfigurationError(f"Rule({pattern!r}): an account is one segment: {{account}}")
            rest = True
            break
        if name is not None and name in parameters:
            raise ConfigurationError(f"Rule({pattern!r}): {{{name}}} stands there twice")
        segments.append(None)
        parameters.append(name)
    return tuple(segments), tuple(parameters), rest


def _kinds(pattern: str, kinds: Collection[str] | None) -> frozenset[str] | None:
    if kinds is None:
        return None
    if isinstance(kinds, str) or not kinds:
        raise ConfigurationError(f'Rule({pattern!r}): kinds is a set of kinds, such as {{"secret_key"}}')
    return frozenset(kinds)


def _places(pattern: str, account: bool | str | Sequence[str], parameters: tuple[str | None, ...]) -> Sequence[Place]:
    if account is False:
        return ()
    if account is True:
        return (Place("path", "account"),) if "account" in parameters else ()
    places: list[Place] = []
    for written in (account,) if isinstance(account, str) else account:
        where, _, name = written.partition(":")
        if where not in _WHERE or not name:
            raise ConfigurationError(
                f'Rule({pattern!r}): account={written!r} is not "path:NAME", "query:NAME" or "header:NAME"'
            )
        if where == "path" and name not in parameters:
            raise ConfigurationError(f"Rule({pattern!r}): account={written!r}, but the path has no {{{name}}}")
        places.append(Place(_WHERE[where], name.lower().replace("_", "-") if where == "header" else name))
    if not places:
        raise ConfigurationError(f"Rule({pattern!r}): account=() names no place; account=False is for no account")
    if "account" in parameters and Place("path", "account") not in places:
        places.append(Place("path", "account"))
    return places
