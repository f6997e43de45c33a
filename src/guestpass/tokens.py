"""JSON Web Tokens: read once, verified with a key that somebody chose, their claims checked; and signed.

Knows the JWS compact serialization (RFC 7515), the registered claims (RFC 7519) and what of both is
refused. Knows nothing of key sets, issuers' settings or principals, and never looks at the clock. What a
token says of itself chooses nothing but which key of its issuer to try.
"""

import json
import math
from binascii import a2b_base64, b2a_base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, cast

from guestpass.errors import ConfigurationError, InvalidToken
from guestpass.jwks import PrivateKey, VerificationKey, allowed_algorithms, parse_jwks, signing_with
from guestpass.slots import slot
from guestpass.strict_json import decode, decode_object

MAX_TOKEN: Final = 8192
"""Bytes; what is longer is refused unread."""

_TOO_LONG: Final = "it is longer than 8 KiB"

BAD_SIGNATURE: Final = "its signature is not that of its issuer's key"

# The year 9999: later ends are as good as this one, and nothing that prints a date trips over it.
_LATEST: Final = 253402300799.0

# An issuer writes the same header into all its tokens for weeks, so those of verified tokens are kept, as long as they
# are short and few.
_SHORT_HEADER: Final = 512
_FEW_HEADERS: Final = 256
_kept_headers: Final[dict[str, Mapping[str, object]]] = {}

# By what is over after groups of four: the characters that may come last, because the bits that stand for
# nothing are zero in them (RFC 4648 section 3.5), and the padding that was left away.
_LAST: Final = ("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", "", "AQgw", "AEIMQUYcgkosw048")
_PADDING: Final = ("", "", "==", "=")


@dataclass(frozen=True, slots=True, repr=False, eq=False, init=False)
class UnverifiedToken:
    """A signed JWT, taken apart and decoded, and not to be believed until a key has verified it.

    `header` has passed every rule that needs no key: `alg` and `kid` are of the right type, nothing in it is
    critical and unknown. `encoded_header` is its text, up to the dot. `signing_input` is what the signature is over
    (RFC 7515 section 5.2). No sequence: who reports errors with the variables at hand writes out what those hold.
    """

    encoded_header: str
    header: Mapping[str, object]
    claims: Mapping[str, object]
    signing_input: bytes
    signature: bytes

    def __init__(
        self,
        encoded_header: str,
        header: Mapping[str, object],
        claims: Mapping[str, object],
        signing_input: bytes,
        signature: bytes,
    ) -> None:
        _put_encoded_header(self, encoded_header)
        _put_header(self, header)
        _put_claims(self, claims)
        _put_signing_input(self, signing_input)
        _put_signature(self, signature)

    def __repr__(self) -> str:
        return f"UnverifiedToken(header={self.header!r})"

    @property
    def alg(self) -> str:
        """The algorithm that the header names."""
        return self.header["alg"]  # type: ignore[return-value] # read_header saw to it

    @property
    def kid(self) -> str | None:
        """The name of the key, None where the header gives none."""
        return self.header.get("kid")  # type: ignore[return-value] # read_header saw to it

    @property
    def issuer(self) -> str:
        """The `iss` claim, empty where it is not there or no string."""
        issuer = self.claims.get("iss")
        return issuer if isinstance(issuer, str) else ""


_put_encoded_header: Final = slot(UnverifiedToken, "encoded_header")
_put_header: Final = slot(UnverifiedToken, "header")
_put_claims: Final = slot(UnverifiedToken, "claims")
_put_signing_input: Final = slot(UnverifiedToken, "signing_input")
_put_signature: Final = slot(UnverifiedToken, "signature")


def read_header(text: str) -> Mapping[str, object]:
    """The header of a compact JWS, decoded and checked, before anything is done about the rest.

    Raises `InvalidToken` for more than 8,192 characters without looking further, and for a header that is no
    object, has `crit` beyond what is understood here (``b64: true``, RFC 7797), asks for an unencoded
    payload, or belongs to an encrypted token (RFC 7516 section 9). `jku`, `x5u`, `jwk` and `x5c` are never
    followed.
    """
    if len(text) > MAX_TOKEN:
        raise InvalidToken(_TOO_LONG)
    encoded = text[: text.find(".")]
    return _kept_headers.get(encoded) or _header(encoded)


def keep_header(encoded: str, header: Mapping[str, object]) -> bool:
    """Remember the header of a token that a key has verified, by its text up to the dot; what strangers write never
    gets here. False for more than 512 characters, which are not kept."""
    if encoded not in _kept_headers:
        if len(encoded) > _SHORT_HEADER:
            return False
        if len(_kept_headers) >= _FEW_HEADERS:
            _kept_headers.clear()
        _kept_headers[encoded] = header
    return True


def read_token(text: str) -> UnverifiedToken:
    """Take a signed JWT apart, decoding header and payload once. Raises `InvalidToken`; verifies nothing."""
    if len(text) > MAX_TOKEN:
        raise InvalidToken(_TOO_LONG)
    encoded = text[: text.find(".")]
    header = _kept_headers.get(encoded) or _header(encoded)
    payload, signing_input, signature = split(text)
    return UnverifiedToken(encoded, header, read_claims(payload), signing_input, signature)


def split(text: str) -> tuple[bytes, bytes, bytes]:
    """Payload, signing input and signature of a compact JWS whose header `read_header` has accepted.

    Raises `InvalidToken` for anything but three parts, none of them empty, and for a part with more than one
    encoding of the same bytes: padding, line breaks, stray bits, the alphabet of base64.
    """
    signed, _, signature = text.rpartition(".")
    _, _, payload = signed.partition(".")
    try:
        if "+" in text or "/" in text or "=" in text:
            raise ValueError
        payload, signature = _to_base64(payload), _to_base64(signature)
        # The shorter one first and the other straight after it: processors then foresee how CPython's loop over groups
        # of four goes, and the longer takes half the time (measured on Zen 5: 1.0 µs instead of 2.3).
        decoded = a2b_base64(signature, strict_mode=True)
        return a2b_base64(payload, strict_mode=True), signed.encode("ascii"), decoded
    except ValueError:
        if text.count(".") != 2:
            raise InvalidToken("it has not three parts") from None
        raise InvalidToken("its payload or signature: not base64url") from None


def read_claims(payload: bytes) -> Mapping[str, object]:
    """The claims that a payload holds: a JSON object, decoded strictly. Raises `InvalidToken`."""
    try:
        claims = decode(payload)
    except ValueError as problem:
        raise InvalidToken(f"its payload: {problem}") from None
    if not isinstance(claims, dict):
        raise InvalidToken("its payload: not a JSON object")
    return claims


def check_signature(token: str, jwks: Mapping[str, object], algorithms: Collection[str]) -> bytes:
    """The payload of a compact JWS (RFC 7515) that a key of `jwks` signed. It may be anything, also no JSON.

    The JWS level alone: key and signature, no claims. `jwks` is a JWK Set as a mapping, given in code, so
    it may hold symmetric keys; `algorithms` says which algorithms are accepted. Of a token without `kid`
    exactly one key must fit. Raises `InvalidToken`, and `ConfigurationError` for arguments that no token
    could pass with.
    """
    allowed = allowed_algorithms(algorithms)
    header = read_header(token)
    payload, signing_input, signature = split(token)
    read = UnverifiedToken(token.partition(".")[0], header, {}, signing_input, signature)
    if read.alg not in allowed:
        raise InvalidToken("its algorithm is not allowed")
    try:
        keys = parse_jwks(jwks, symmetric=True)
    except ValueError as problem:
        if not isinstance(jwks.get("keys"), list | tuple):
            raise ConfigurationError(f"jwks: {problem}") from None
        raise InvalidToken(f"there is no key for it: {problem}") from None
    key = keys.fitting.get((read.kid, read.alg))
    if key is None:
        raise InvalidToken("no key, or more than one, fits its kid and algorithm")
    verify(read, key)
    return payload


def verify(token: UnverifiedToken, key: VerificationKey) -> None:
    """Check a token's signature with the key that was chosen for it. Raises `InvalidToken`.

    That the algorithm is allowed is for the caller to say first; that the key may serve it is checked here.
    """
    if not key.verifies(token.alg, token.signing_input, token.signature):
        raise InvalidToken(BAD_SIGNATURE)
    keep_header(token.encoded_header, token.header)


def check_times(claims: Mapping[str, object], now: float, leeway: float) -> float:
    """The instant, in Unix seconds, from which the token is no longer valid: `exp` and the leeway (in seconds).

    Raises `InvalidToken` where `exp` is missing, any of `exp`, `nbf` and `iat` is no finite number, or `nbf` or
    `iat` lie in the future beyond the leeway; with the code ``token_expired`` where it has ended (RFC 7519
    section 4.1.4: on `exp` it is too late). Parts of a second of `exp` are cut off.
    """
    latest = now + leeway
    # They are ints nearly always, and a call costs as much as the comparison.
    if "nbf" in claims:
        begin = claims["nbf"]
        if (begin if type(begin) is int else _instant(begin)) > latest:
            raise InvalidToken("it is not valid yet")
    if "iat" in claims:
        issued = claims["iat"]
        if (issued if type(issued) is int else _instant(issued)) > latest:
            raise InvalidToken("it was issued in the future")
    exp = claims.get("exp")
    end = (exp if type(exp) is int else math.floor(_instant(exp))) + leeway
    if now >= end:
        raise InvalidToken("it has expired", code="token_expired")
    return end if end < _LATEST else _LATEST  # noqa: FURB136 - min() would take a third of the time of all this


def check_audience(claims: Mapping[str, object], audience: Collection[str] | None) -> None:
    """Check `aud` (RFC 7519 section 4.1.3): a string or an array of strings, one of them in `audience`.

    None for `audience` asks only that a claim which is there has that form. Raises `InvalidToken`.
    """
    if audience is None and "aud" not in claims:
        return
    named = claims.get("aud")
    listed = cast("list[object]", named) if isinstance(named, list) else [named]
    meant = audience is None
    for one in listed:
        if not isinstance(one, str):
            raise InvalidToken("its aud is missing, or no string and no array of strings")
        meant = meant or one in cast("Collection[str]", audience)
    if not meant:
        wanted = ", ".join(sorted(cast("Collection[str]", audience)))
        raise InvalidToken(f"it is for another audience than {wanted}")


def text_claim(claims: Mapping[str, object], name: str) -> str:
    """A claim that must be there, as a string, not empty, without control characters. Raises
    `InvalidToken`."""
    value = claims.get(name)
    if type(value) is not str or not value or not value.isprintable():
        raise InvalidToken(f"its {name} is missing or no text")
    return value


def sign(claims: Mapping[str, object], headers: Mapping[str, object], private_key: PrivateKey, algorithm: str) -> str:
    """A signed JWT (RFC 7515 section 7.1). Claims are written as compact UTF-8, without escapes.

    `headers` go into the header beside `alg`. Raises `ConfigurationError` where the key does not serve the
    algorithm by type, curve and length, and `ValueError` for claims that JSON cannot hold.
    """
    return ClaimsSigner(headers, private_key, algorithm).sign(as_json(claims))


class ClaimsSigner:
    """`sign`, for all that one key signs under the same `headers`."""

    def __init__(self, headers: Mapping[str, object], private_key: PrivateKey, algorithm: str) -> None:
        self._signature = signing_with(algorithm, private_key)
        self._header = _encode_part(as_json({**headers, "alg": algorithm}).encode()) + b"."

    def sign(self, claims: str) -> str:
        """A signed JWT; `claims` are those that `as_json` has written."""
        signing_input = self._header + _encode_part(claims.encode())
        return (signing_input + b"." + _encode_part(self._signature(signing_input))).decode()


def as_json(value: object) -> str:
    """Compact JSON without escapes. Raises `ValueError` for what JSON cannot hold."""
    return _ENCODER.encode(value)


# Built once: json.dumps with arguments makes a new encoder each time.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _instant(value: object) -> float:
    # type() and not isinstance(): True is an int. Beyond 64 bits strict_json lets none through.
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return value
    raise InvalidToken("one of its times is missing or no number")


def _header(encoded: str) -> Mapping[str, object]:
    try:
        header = decode_object(_decode_part(encoded))
    except ValueError as problem:
        raise InvalidToken(f"its header: {problem}") from None
    if type(header.get("alg")) is not str:
        raise InvalidToken("its header has no alg")
    if "kid" in header and type(header["kid"]) is not str:
        raise InvalidToken("its kid is not a string")
    if "b64" in header and header["b64"] is not True:
        raise InvalidToken("its payload is not encoded")
    if "crit" in header and (header["crit"] != ["b64"] or "b64" not in header):
        raise InvalidToken("it needs an extension that is not known here")
    if "enc" in header:
        raise InvalidToken("it is encrypted")
    return MappingProxyType(header)


def _decode_part(encoded: str) -> bytes:
    # As `split` does it, for one part alone.
    try:
        if "+" in encoded or "/" in encoded or "=" in encoded:
            raise ValueError
        return a2b_base64(_to_base64(encoded), strict_mode=True)
    except ValueError:
        raise ValueError("not base64url") from None


def _to_base64(encoded: str) -> str:
    """Base64url without padding as base64 with it. Raises `ValueError` where there is nothing, or where it ends in
    stray bits, which the decoder would not mind, so that the text of a token were malleable."""
    over = len(encoded) & 3
    if not encoded or encoded[-1] not in _LAST[over]:
        raise ValueError
    return encoded.replace("-", "+").replace("_", "/") + _PADDING[over]


def _encode_part(data: bytes) -> bytes:
    return b2a_base64(data, newline=False).rstrip(b"=").replace(b"+", b"-").replace(b"/", b"_")
