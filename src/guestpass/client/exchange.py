"""One call as a whole: sent, tried again where that is safe and can help, answered or given up.

Knows statuses, the API's own refusals (RFC 9457 problems), `Retry-After` and back-off. How bytes come and go is a
`Link`'s to know; nothing here waits, reads a clock or touches a socket.
"""

import email.utils
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from guestpass.client.results import junk
from guestpass.client.settings import Settings
from guestpass.client_error import ClientError, Code
from guestpass.strict_json import decode_object
from guestpass.values import FrozenDict, as_collection, as_mapping

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

MAX_ANSWER: Final = 512 * 1024
"""Bytes of an answer's body; what is longer is not read."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
MOST_RETRY_AFTER: Final = 10.0
"""Seconds that a server may have a caller wait; where it names more, the caller is told at once."""

_TRIED_AGAIN: Final[frozenset[Code]] = frozenset({"NETWORK_ERROR", "UNAVAILABLE"})


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request: always POST, always JSON. Both its credential and its body are secrets."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. `retry_after` is in seconds; `received_at` an instant of the link's monotonic clock."""

    status: int
    body: bytes = field(repr=False)
    received_at: float
    retry_after: float | None = None


class Link(Protocol):
    """Takes a request there and brings the answer back.

    `send` raises `ClientError`: ``NETWORK_ERROR``, or ``INVALID_RESPONSE`` for an answer that it will not read.
    """

    async def send(self, outgoing: Outgoing, /) -> Reply: ...

    async def pause(self, seconds: float, /) -> None: ...


class Read(Protocol[T_co]):
    """Makes a result of a body and the instant of its receipt; raises `ClientError` (``INVALID_RESPONSE``)."""

    def __call__(self, content: bytes, received_at: float, /) -> T_co: ...


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One thing asked of the API. It must be safe to ask for twice: whoever makes one sees to that."""

    path: str
    body: bytes = field(repr=False)
    read: Read[T]
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


async def exchange(call: Call[T], link: Link, settings: Settings) -> T:
    """The result of a call. Raises `ClientError`."""
    url, key = settings.address(call.path)
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Accept": "application/json",
        # A small answer that is packed could be a large one.
        "Accept-Encoding": "identity",
        "User-Agent": "guestpass-client",
        **call.headers,
    }
    outgoing = Outgoing(url, headers, call.body)
    failures = 0
    while True:
        try:
            return result_of(call, await link.send(outgoing), key)
        except ClientError as problem:
            pause = pause_after(problem, failures, settings.chance)
            failures += 1
            if pause is None or failures > settings.retries:
                raise
        await link.pause(pause)


def result_of(call: Call[T], reply: Reply, key: str) -> T:
    """What an answer gives. Raises `ClientError`; `key` is the secret that must not be in it."""
    if reply.status not in (200, 201):
        raise error_of(reply, key)
    try:
        return call.read(reply.body, reply.received_at)
    except ClientError as problem:
        raise ClientError(problem.code, problem.message, status=reply.status) from None


def pause_after(problem: ClientError, failures: int, chance: Callable[[], float]) -> float | None:
    """The seconds before another try, after so many earlier failures; None where another would be of no use.

    Back-off with full jitter, on top of what the server asked for: those that it sent away together do not come back
    together.
    """
    asked = problem.retry_after
    again = problem.code in _TRIED_AGAIN or (problem.code == "RATE_LIMITED" and asked is not None)
    if not again or (asked is not None and asked > MOST_RETRY_AFTER):
        return None
    longest = min(math.ldexp(FIRST_PAUSE, failures), LONGEST_PAUSE)
    return (asked or 0.0) + longest * chance()


def retry_after(value: str | None, date: str | None) -> float | None:
    """`Retry-After` in seconds (RFC 9110 section 10.2.3). One that is an instant is counted from the answer's own
    `date`, since the clock here may be another."""
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        until, now = (email.utils.parsedate_to_datetime(one) for one in (value, date or ""))
        return max(0.0, (until - now).total_seconds())
    except (TypeError, ValueError, OverflowError):
        return None


_CODES: Final[Mapping[int, Code]] = {
    400: "VALIDATION_ERROR",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    409: "CONFLICT",
    422: "VALIDATION_ERROR",
    429: "RATE_LIMITED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "UNAVAILABLE",
}

_NEXT: Final[Mapping[Code, str]] = {
    "VALIDATION_ERROR": "Correct the arguments; details says which.",
    "UNAUTHORIZED": "Check GUESTPASS_API_KEY, or Client(api_key=…): a secret key of this very API, neither expired "
    "nor revoked.",
    "FORBIDDEN": "Ask for less, or use a key that has more; a key that was ever in a browser is to be replaced.",
    "NOT_FOUND": "Check base_url, or the id.",
    "CONFLICT": "Use another idempotency_key for another session.",
    "RATE_LIMITED": "Ask less often.",
    "UNAVAILABLE": "Try again later.",
    "SERVER_ERROR": "Try again later; if it stays so, tell whoever runs the API.",
    "INVALID_REQUEST": "Check base_url.",
}


def error_of(reply: Reply, key: str) -> ClientError:
    """What an answer other than success means to the caller; `key` is the secret that must not be in it."""
    status = reply.status
    if status < 400:
        what = "it redirects, and a key is sent nowhere else" if 300 <= status < 400 else f"its status is {status}"
        return junk(what, status)
    code = _CODES.get(status)
    if code is None:
        code = "INVALID_REQUEST" if status < 500 else "SERVER_ERROR"
    details = read_problem(reply.body, key)
    said = f"the API answered {status}"
    if "code" in details:
        said += f" {details['code']}"
    if "detail" in details:
        said += f". {details['detail']}".removesuffix(".")
    for error in as_collection(details.get("errors")) or ():
        one = as_mapping(error) or {}
        said += f". {one.get('field')}: {one.get('reason')}"
    return ClientError(code, f"{said}. {_NEXT[code]}", status=status, details=details, retry_after=reply.retry_after)


_PROBLEM_CODE = re.compile(r"[a-z_]{1,64}\Z")
# Longer than any word, shorter than any credential.
_OPAQUE = re.compile(r"[A-Za-z0-9_\-.~+/=]{32,}")
_LONGEST_TEXT: Final = 500
_MOST_ERRORS: Final = 20


def read_problem(content: bytes, key: str) -> FrozenDict:
    """Of a problem (RFC 9457) its `code`, `detail` and `errors`, as far as they are there; empty for anything else."""

    def harmless(value: object) -> str:
        text = str(value).replace(key, "[removed]")
        return "".join(filter(str.isprintable, _OPAQUE.sub("[removed]", text)))[:_LONGEST_TEXT]

    try:
        problem = decode_object(content)
    except ValueError:
        return FrozenDict()
    found: dict[str, object] = {}
    code, detail, errors = problem.get("code"), problem.get("detail"), as_collection(problem.get("errors"))
    if isinstance(code, str) and _PROBLEM_CODE.match(code):
        found["code"] = code
    if isinstance(detail, str):
        found["detail"] = harmless(detail)
    if errors is not None:
        read = [as_mapping(one) for one in list(errors)[:_MOST_ERRORS]]
        found["errors"] = tuple(
            FrozenDict(field=harmless(one["field"]), reason=harmless(one["reason"]))
            for one in read
            if one is not None and "field" in one and "reason" in one
        )
    return FrozenDict(found)
