"""What a request presented, before anything about it is known: how credentials arrive, and their forms.

Knows the Authorization header (RFC 6750 section 2.1), the WebSocket subprotocol pair and the form of opaque
credentials. Knows nothing of whether a credential is any good. Randomness is handed in.
"""

import hashlib
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from guestpass.grants import Mode
from guestpass.principal import ACCOUNT_SESSION, IDENTITY_TOKEN, PUBLISHABLE_KEY, SECRET_KEY, SIGNED_TOKEN
from guestpass.refusals import Refusal
from guestpass.slots import slot
from guestpass.tokens import UnverifiedToken

PROTOCOLS: Final[Mapping[str, frozenset[str] | None]] = {
    "apikey": frozenset({SECRET_KEY, PUBLISHABLE_KEY}),
    "jwt": frozenset({SIGNED_TOKEN}),
    "client_secret": frozenset({ACCOUNT_SESSION}),
    # Also the name for kinds of the user's own, which none of the others fits.
    "token": None,
}
"""The WebSocket subprotocol names that announce a credential, and the kinds that each may announce."""

_TAKEN_ELSEWHERE: Final = frozenset({SECRET_KEY, PUBLISHABLE_KEY, SIGNED_TOKEN, ACCOUNT_SESSION})

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PAIRS: Final = tuple(one + other for one in _BASE62 for other in _BASE62)
_SQUARE: Final = len(_BASE62) ** 2
_RANDOM_BYTES, _RANDOM_CHARS, _CHECKSUM_CHARS = 24, 33, 6
MAX_CREDENTIAL: Final = 8192
"""Bytes; what is longer is refused unread."""

NOT_AS_ISSUED: Final = "it has not the form and the checksum of one that was issued"

Randomness = Callable[[int], bytes]
"""`secrets.token_bytes`, or a test's own: a number of bytes in, that many random bytes out."""


@dataclass(frozen=True, slots=True, init=False)
class Credential:
    """One presented credential. Its text is never part of its repr, nor is it a sequence: who reports errors with the
    variables at hand writes out what sequences hold.

    `protocol` is the WebSocket subprotocol that announced it, None where it came in the header. `token` is its
    content where it has the form of a JWT: read, not verified; `unreadable` is why it could not be.
    """

    text: str = field(repr=False)
    protocol: str | None
    token: UnverifiedToken | None = field(repr=False)
    unreadable: str

    def __init__(
        self, text: str, protocol: str | None = None, token: UnverifiedToken | None = None, unreadable: str = ""
    ) -> None:
        _put_text(self, text)
        _put_protocol(self, protocol)
        _put_token(self, token)
        _put_unreadable(self, unreadable)

    @property
    def digest(self) -> bytes:
        """SHA-256 of the text: all that a store or a cache ever keeps of it."""
        return digest(self.text)


_put_text: Final = slot(Credential, "text")
_put_protocol: Final = slot(Credential, "protocol")
_put_token: Final = slot(Credential, "token")
_put_unreadable: Final = slot(Credential, "unreadable")


def digest(text: str) -> bytes:
    """SHA-256 of a credential's text."""
    return hashlib.sha256(text.encode()).digest()


def announces(protocol: str, kind: str) -> bool:
    """Whether a credential of `kind` may come under this WebSocket subprotocol name."""
    kinds = PROTOCOLS[protocol]
    if kinds is None:
        return kind == IDENTITY_TOKEN or kind not in _TAKEN_ELSEWHERE
    return kind in kinds


def from_header(values: Sequence[bytes]) -> str | Refusal | None:
    """The credential in the values of the Authorization headers (RFC 6750 section 2.1), None if there is none.

    Another scheme is as good as none. More than one header, or anything but one token68 after the scheme, is
    refused.
    """
    if not values:
        return None
    if len(values) > 1:
        return Refusal("credential_malformed", more="There are several Authorization headers.")
    scheme, _, rest = values[0].strip(b" \t").partition(b" ")
    if scheme != b"Bearer" and scheme.lower() != b"bearer":
        return None
    presented = rest.strip(b" ")
    if len(presented) > MAX_CREDENTIAL or not _is_token68(presented):
        return Refusal("credential_malformed")
    return presented.decode("ascii")


def from_subprotocols(offered: Sequence[str]) -> tuple[str, str] | Refusal | None:
    """The pair ``<name>, <credential>`` among the WebSocket subprotocols offered, None if there is none."""
    found = [place for place, name in enumerate(offered) if name in PROTOCOLS]
    if not found:
        return None
    (place, *others) = found
    if others or place + 1 == len(offered):
        return Refusal("credential_malformed", more="Offer exactly one pair of subprotocols: its name, the credential.")
    text = offered[place + 1]
    if len(text) > MAX_CREDENTIAL or not text.isascii() or not _is_token68(text.encode()):
        return Refusal("credential_malformed")
    return offered[place], text


_TOKEN68: Final = _BASE62.encode() + b"-._~+/"


def _is_token68(text: bytes) -> bool:
    """Whether this is a token68 (RFC 9110 section 11.2). To see what is left without its characters takes half the time
    of a regular expression."""
    unpadded = text.rstrip(b"=")
    return unpadded != b"" and not unpadded.translate(None, _TOKEN68)


def without_pairs(offered: Sequence[str]) -> tuple[str | None, list[str]]:
    """The name of the first pair, None where there is none, and the subprotocols that are left without any, nor what
    stood in one, wherever it stands again."""
    after = [*offered[1:], ""]
    pairs = [(name, text) for name, text in zip(offered, after, strict=False) if name in PROTOCOLS]
    taken = {part for pair in pairs for part in pair}
    return (pairs[0][0] if pairs else None), [protocol for protocol in offered if protocol not in taken]


@dataclass(frozen=True, slots=True)
class OpaqueForm:
    """The form of keys and client secrets: ``prefix_mode_``, at least 192 random bits and a checksum, in base62.

    The CRC-32 at the end stops mistakes, not attackers: a mistyped credential is refused without a look-up, and
    scanners can tell a leaked one from noise. `checksum` off admits keys of an older form with the same prefix.
    `beginnings` are what one begins with, live and test.
    """

    prefix: str
    checksum: bool = True
    beginnings: tuple[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "beginnings", (f"{self.prefix}_live_", f"{self.prefix}_test_"))
        if not re.match(r"[a-z][a-z0-9]*\Z", self.prefix):
            raise ValueError(f"a credential prefix is lower-case letters and digits, not {self.prefix!r}")

    def mode(self, text: str) -> Mode:
        """The mode that a text with one of the `beginnings` names."""
        return "live" if text.startswith(self.beginnings[0]) else "test"

    def well_formed(self, text: str) -> bool:
        """Whether a text with one of the `beginnings` has the form and the checksum of one that was issued."""
        body = text[len(self.prefix) + len("_live_") :]
        if not self.checksum:
            return body.isascii() and _is_token68(body.encode())
        return (
            len(body) >= _RANDOM_CHARS + _CHECKSUM_CHARS
            and body.isascii()
            and body.isalnum()
            and text[-_CHECKSUM_CHARS:] == _checksum(text[:-_CHECKSUM_CHARS])
        )

    def issue(self, mode: Mode, randomness: Randomness) -> str:
        """A new credential."""
        unsealed = f"{self.prefix}_{mode}_{_base62(int.from_bytes(randomness(_RANDOM_BYTES)), _RANDOM_CHARS)}"
        return unsealed + _checksum(unsealed)


def new_id(prefix: str, randomness: Randomness) -> str:
    """A new public id, such as ``as_4kd…``: 120 random bits in base62."""
    return f"{prefix}_{_base62(int.from_bytes(randomness(15)), 21)}"


def _checksum(text: str) -> str:
    # What `_base62` makes of it, in a third of its time: every mistyped credential comes this far.
    rest, last = divmod(zlib.crc32(text.encode()), _SQUARE)
    first, middle = divmod(rest, _SQUARE)
    return _PAIRS[first] + _PAIRS[middle] + _PAIRS[last]


def _base62(number: int, width: int) -> str:
    # Two digits at a time: to divide takes longest.
    pairs: list[str] = []
    for _ in range((width + 1) // 2):
        number, pair = divmod(number, _SQUARE)
        pairs.append(_PAIRS[pair])
    return "".join(reversed(pairs))[-width:]
