"""One request as the guard sees it, built by a door: nothing of any framework is left in it.

Knows which headers matter to a decision, and how two spellings of one header are the same.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import AnyStr, Final, Generic, TypeAlias, cast
from urllib.parse import parse_qsl, quote, unquote

from guestpass import paths
from guestpass.credentials import from_subprotocols
from guestpass.paths import below_root
from guestpass.refusals import Refusal
from guestpass.rules import WEBSOCKET, Place, Rule

Headers = Sequence[tuple[bytes, bytes]]

_AS_IT_IS: Final = "/%:@!$&'()*+,;=~\\"

HeaderItems: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]
"""Headers as people write them."""

IDENTITY_PREFIX: Final = b"guestpass-"
"""What the names of the guard's own headers begin with: it sets them, a caller never does."""


NOTHING, AUTHORIZATION, ACCOUNT, BROWSER, CLOSER = range(5)
"""What the name of a header means to a guard; `CLOSER`: that it takes `read` to tell."""

MOST_NAMES: Final = 512
LONGEST_NAME: Final = 64
"""Names of headers that are remembered at a time, and bytes of each: strangers choose them."""


class Meanings(Generic[AnyStr]):
    """What the names of headers mean, by `meaning_of` them: `known` has those that were met."""

    def __init__(self, meaning_of: Callable[[AnyStr], int]) -> None:
        self._meaning_of: Callable[[AnyStr], int] = meaning_of
        self.known: Final[dict[AnyStr, int]] = {}

    def learn(self, name: AnyStr) -> int:
        """What `name` means. Kept; with too many that strangers have sent, all begin anew."""
        meaning = self._meaning_of(name)
        if len(name) <= LONGEST_NAME:
            if len(self.known) >= MOST_NAMES:
                # Not full for good: the usual names are met again at once.
                self.known.clear()
            self.known[name] = meaning
        return meaning


def meanings_of_request(account_header: bytes) -> Meanings[bytes]:
    """What a request's headers mean to the guard whose account header this is."""

    def meaning_of(name: bytes) -> int:
        spelled = canonical(name)
        if spelled == account_header:
            meaning = ACCOUNT
        elif spelled.startswith(IDENTITY_PREFIX):
            meaning = CLOSER
        else:
            meaning = _READ.get(spelled, NOTHING)
        return CLOSER if meaning != NOTHING and name != spelled else meaning

    return Meanings(meaning_of)


def canonical(name: bytes) -> bytes:
    """A header name as a WSGI server or a proxy may spell it later: without case, ``_`` as ``-``."""
    return name.lower().replace(b"_", b"-")


_READ: Final = {
    b"authorization": AUTHORIZATION,
    b"origin": BROWSER,
    b"sec-fetch-site": BROWSER,
    b"access-control-request-method": CLOSER,
}


@dataclass(slots=True)
class Request:
    """A request or a WebSocket handshake.

    `method` is upper case, ``WEBSOCKET`` for a handshake. `path` is decoded and below the application's root; it is
    None where root and path contradict each other. `whole_path` and `raw_path` are as the server shows them.
    Header names are lower case.
    """

    method: str
    path: str | None
    whole_path: str
    raw_path: bytes | None
    query: bytes = field(repr=False)
    headers: Headers = field(repr=False)
    subprotocols: Sequence[str] = field(default=(), repr=False)

    def header(self, name: bytes) -> list[bytes]:
        """Every value of a header; `name` is canonical."""
        return [value for key, value in self.headers if canonical(key) == name]

    def accounts(self, rule: Rule) -> list[str]:
        """Every account that the request names at one of the rule's places."""
        return [name for place in rule.places for name in self.named(place, rule.parameters)]

    def named(self, place: Place, parameters: Sequence[str | None]) -> list[str]:
        """Every value that the request gives at `place`; `parameters` are the rule's, by segment."""
        if place.where == "header":
            return [value.strip(b" \t").decode("latin-1") for value in self.header(place.name.encode())]
        if place.where == "path":
            return [(self.path or "")[1:].split("/")[parameters.index(place.name)]]
        pairs = parse_qsl(self.query.decode("latin-1"), keep_blank_values=True)
        return [value for name, value in pairs if name == place.name]


Asked: TypeAlias = tuple[str, str | None, str, bytes | None, bytes, Headers]
"""What an HTTP `Request` is made of, for doors: most requests are let in again, and none is made for those."""


def written(
    line: str,
    headers: HeaderItems = (),
    subprotocols: Sequence[str] = (),
    *,
    root_path: str = "",
) -> Request:
    """A request as a client would send it: ``written("GET /v1/call_logs?page=2", {"Authorization": …})``, or
    ``WEBSOCKET /v1/events``. What is left out of the path's escapes is put in.

    Raises ValueError for a line that is none.
    """
    method, _, target = line.strip().partition(" ")
    if not method or not target.startswith("/") or " " in target:
        raise ValueError("write the method and the path: GET /v1/things?page=2, or WEBSOCKET /v1/events")
    method = WEBSOCKET if method.upper() in ("WEBSOCKET", "WS") else method
    sent, _, query = target.partition("?")
    raw = quote(sent, safe=_AS_IT_IS)
    whole = unquote(raw)
    return Request(
        method,
        below_root(whole, root_path),
        whole,
        raw.encode(),
        quote(query, safe=_AS_IT_IS + "?").encode(),
        [(name.strip().lower().encode("latin-1"), value.strip().encode("latin-1")) for name, value in _items(headers)],
        tuple(subprotocols),
    )


def _items(headers: HeaderItems) -> Iterable[tuple[str, str]]:
    return cast("Mapping[str, str]", headers).items() if isinstance(headers, Mapping) else headers


def reads_one_way(request: Request, rule: Rule | None) -> bool:
    """Whether nobody could take the path of a request, which is for `rule`, for another."""
    path, whole, raw = request.path, request.whole_path, request.raw_path
    if path is None:
        return False
    if rule is not None and whole == rule.literal and (raw is None or len(raw) == len(whole)):
        # Such a path was looked at when the rule was made.
        return True
    trouble = paths.trouble(whole, raw)
    if trouble is None:
        return True
    if trouble == "ambiguous" or rule is None or not rule.encoded_slashes or raw is None:
        return False
    above = whole.count("/") - path.count("/")
    return paths.raw_prefix_agrees(whole, raw, above + len(rule.segments))


@dataclass(slots=True)
class Presented:
    """What of a request's headers matters: who it says it is, where it comes from, which account it names."""

    authorization: list[bytes] = field(repr=False)
    accounts: list[str]
    pair: tuple[str, str] | Refusal | None = field(default=None, repr=False)
    origin: str | None = None
    in_browser: bool = False
    preflight: bool = False


@dataclass(slots=True)
class Rehearsed(Presented):
    """The same, presented only to have the decision explained: what comes of it is reported to nobody."""


def read(request: Request, meanings: Meanings[bytes]) -> Presented:
    """What the headers say that matters to the guard whose `meanings` these are."""
    presented, known = Presented([], []), meanings.known
    for name, value in request.headers:
        meaning = known.get(name)
        if meaning is None:
            meaning = meanings.learn(name)
        if meaning == NOTHING:
            continue
        if meaning == CLOSER and b"_" in name:
            name = canonical(name)
            meaning = meanings.learn(name)
        if meaning == AUTHORIZATION:
            presented.authorization.append(value)
        elif meaning == ACCOUNT:
            presented.accounts.append(value.strip(b" \t").decode("latin-1"))
        elif meaning == BROWSER:
            presented.in_browser = True
            if name == b"origin":
                presented.origin = value.decode("latin-1")
        elif name == b"access-control-request-method":
            presented.preflight = request.method == "OPTIONS"
    if request.method == WEBSOCKET:
        presented.pair = from_subprotocols(request.subprotocols)
        # A page's script cannot set headers on a handshake, so a credential in one is a backend's.
        presented.in_browser = presented.in_browser and presented.pair is not None
    return presented
