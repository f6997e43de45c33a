"""How a refusal is answered over HTTP: status, headers and an RFC 9457 body. Every door renders here."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from guestpass.refusals import Refusal

Headers: TypeAlias = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: Headers
    body: bytes


Renderer: TypeAlias = Callable[[Refusal, str], Answer]
"""From a refusal and the realm to an answer; `render` is the one that is used unless another is given."""

VARY: Final = (b"vary", b"Authorization")

_ALWAYS: Final[Headers] = [
    (b"content-type", b"application/problem+json"),
    (b"cache-control", b"no-store"),
    VARY,
    # The body may be shown where a page was expected; it must not be taken for one.
    (b"x-content-type-options", b"nosniff"),
]


def render(refusal: Refusal, realm: str) -> Answer:
    """The answer to a refused request (RFC 9457, with RFC 6750's challenge)."""
    body = json.dumps(refusal.problem(), separators=(",", ":")).encode()
    headers = [*_ALWAYS, (b"content-length", str(len(body)).encode())]
    challenge, retry_after = refusal.challenge(realm), refusal.retry_after_seconds()
    if challenge is not None:
        headers.append((b"www-authenticate", challenge.encode()))
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    return Answer(refusal.status, headers, body)


def vary_by_credential(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """`headers` with ``Vary: Authorization`` merged in (RFC 9110 section 12.5.5)."""
    merged = list(headers)
    said = varies_by_credential(value.decode("latin-1") for name, value in merged if name.lower() == b"vary")
    return merged if said else [*merged, VARY]


def varies_by_credential(vary: Iterable[str]) -> bool:
    """Whether these values of Vary say so already."""
    named = [field.strip().lower() for value in vary for field in value.split(",")]
    return "authorization" in named or "*" in named
