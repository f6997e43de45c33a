"""A fuzz target for what strangers write: tokens, key sets, JSON. `make fuzz` runs it, from the seeds beside it.

Each input is taken for four things at once: a JSON document, a key set, the text of a token, and (header, line
break, payload) of a token that is then signed with a right key, so that the claims are reached as well. What must
hold: nothing comes out but the errors that are documented, JSON passes exactly where a slow and simple reader lets
it pass, no token passes that `jwt.decode` refuses, and nothing takes long. Knows nothing of how any of it is done.
"""

# ruff: noqa: S101 - an assertion is how a fuzz target speaks

import base64
import hashlib
import hmac
import json
import sys
import time
from collections.abc import Callable
from typing import NoReturn, TypeVar

import atheris  # type: ignore[import-untyped,unused-ignore]

with atheris.instrument_imports(include=["guestpass"]):
    from guestpass.errors import ConfigurationError, InvalidToken
    from guestpass.issuers import JwtIssuer
    from guestpass.jwks import parse_jwks
    from guestpass.keysets.keyset import KeySet
    from guestpass.strict_json import decode
    from guestpass.tokens import MAX_TOKEN, check_signature, read_token

import jwt

T = TypeVar("T")

# Of tests/vectors/attacks.json, so that its tokens are of use here.
NOW = 1_800_000_000
ISSUER = "https://issuer.example/"
AUDIENCE = "api"
SECRET = b"a secret of this fuzz target: 32 bytes, or more"
KID = "oct"
ALGORITHMS = ("HS256", "HS384", "HS512")
JWKS = {"keys": [{"kty": "oct", "kid": KID, "k": base64.urlsafe_b64encode(SECRET).rstrip(b"=").decode()}]}
CHECKED = JwtIssuer(ISSUER, keys=KeySet.from_jwks(JWKS), audience=AUDIENCE, algorithms=ALGORITHMS)

# What no input may take, of processor time. Instrumented code is some ten times as slow as it is otherwise.
SECONDS = 0.5


class Then(jwt.PyJWT):
    """PyJWT at `NOW`."""

    def _validate_exp(self, payload: dict[str, object], now: float, leeway: float) -> None:  # noqa: ARG002
        super()._validate_exp(payload, NOW, leeway)

    def _validate_nbf(self, payload: dict[str, object], now: float, leeway: float) -> None:  # noqa: ARG002
        super()._validate_nbf(payload, NOW, leeway)

    def _validate_iat(self, payload: dict[str, object], now: float, leeway: float) -> None:  # noqa: ARG002
        super()._validate_iat(payload, NOW, leeway)


def one_input(data: bytes) -> None:
    """Everything that is checked of one input."""
    began = time.thread_time()
    document = json_document(data)
    if isinstance(document, dict):
        key_set(document)
    token(data.decode("latin-1"))
    header, line_break, payload = data.partition(b"\n")
    if line_break:
        token(signed(header, payload))
    assert time.thread_time() - began < SECONDS, "it took too long"


def json_document(data: bytes) -> object:
    """Decoded as strictly as by the simplest reader, and to the same value."""
    accepted, value = outcome(lambda: decode(data), ValueError)
    expected, same = outcome(lambda: reference(data), Exception)
    assert accepted == expected, "JSON passes in one of two readers"
    assert repr(value) == repr(same), "JSON is two things in two readers"
    return value


def key_set(document: dict[str, object]) -> None:
    """A stranger's key set is read, or refused with a `ValueError`; the keys of code with a `ConfigurationError`."""
    outcome(lambda: parse_jwks(document, symmetric=False), ValueError)
    outcome(
        lambda: check_signature(signed(b'{"alg":"HS256"}', b"{}"), document, ALGORITHMS),
        InvalidToken,
        ConfigurationError,
    )


def token(text: str) -> None:
    """Each of three ways in refuses with `InvalidToken` alone, and passes nothing that `jwt.decode` refuses."""
    read, parts = outcome(lambda: read_token(text), InvalidToken)
    verified, payload = outcome(lambda: check_signature(text, JWKS, ALGORITHMS), InvalidToken)
    passed, claims = outcome(lambda: CHECKED.check(text, now=NOW), InvalidToken)
    if read:
        assert len(text) <= MAX_TOKEN
        assert parts is not None
        assert text.startswith(parts.signing_input.decode()), "what is signed is not what was given"
    if verified:
        assert jwt.PyJWS().decode(text, SECRET, algorithms=list(ALGORITHMS)) == payload
    if passed:
        assert read
        assert verified, "claims passed without their signature"
        same = Then().decode(
            text,
            SECRET,
            algorithms=list(ALGORITHMS),
            issuer=ISSUER,
            audience=AUDIENCE,
            leeway=30,
            options={"require": ["exp", "iss", "sub", "aud"]},
        )
        assert same == claims


def signed(header: bytes, payload: bytes) -> str:
    """A token of the issuer with this header and payload, whatever they are; always signed as HS256 asks."""
    signing_input = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, payload))
    signature = hmac.digest(SECRET, signing_input, hashlib.sha256)
    return (signing_input + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


def outcome(attempt: Callable[[], T], *expected: type[Exception]) -> tuple[bool, T | None]:
    """Whether `attempt` came through, and with what. Anything but the errors expected goes on up: a finding."""
    try:
        return True, attempt()
    except expected:
        return False, None


# The slow and simple reader.


def reference(data: bytes) -> object:
    """JSON by `json.loads`, every rule checked where it is met."""
    value = json.loads(
        data.decode(), object_pairs_hook=unique, parse_int=bounded, parse_float=finite, parse_constant=refuse
    )
    assert depth(value) <= 32
    json.dumps(value, ensure_ascii=False).encode()
    return value


def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    assert len(set(names)) == len(names)
    return dict(pairs)


def bounded(text: str) -> int:
    assert len(text) <= 20
    assert -(2**63) <= int(text) < 2**63
    return int(text)


def finite(text: str) -> float:
    assert abs(float(text)) != float("inf")
    return float(text)


def refuse(text: str) -> NoReturn:
    raise AssertionError(text)


def depth(value: object) -> int:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inside is None else 1 + max(map(depth, inside), default=0)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
