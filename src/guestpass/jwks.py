"""Keys as a key set holds them: JSON Web Keys (RFC 7517, 7518, 8037) read into keys that can verify.

Knows which algorithms a key may serve: its type, its curve, its length and its own `use`, `key_ops` and `alg`
decide, never a token. Knows nothing of where a set came from, but for one thing: symmetric keys are read
only where the caller says that the set was given in code. All of it is pure.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias, cast

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from jwt.algorithms import (
    Algorithm,
    ECAlgorithm,
    HMACAlgorithm,
    OKPAlgorithm,
    RSAAlgorithm,
    get_default_algorithms,
)
from jwt.exceptions import PyJWTError

from guestpass.errors import ConfigurationError

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | bytes
PrivateKey: TypeAlias = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey | bytes

MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 16384
MAX_KEYS: Final = 256
"""More keys than this in one set are not read; real issuers publish fewer than ten."""

_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_EC: Final = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}
_ED25519: Final = ("EdDSA", "Ed25519")
# The bytes that the hash puts out; RFC 7518 section 3.2 asks for a key of no less.
_HMAC: Final = {"HS256": 32, "HS384": 48, "HS512": 64}

SYMMETRIC: Final = frozenset(_HMAC)
ASYMMETRIC: Final = frozenset(_RSA) | {name for served in _EC.values() for name in served} | frozenset(_ED25519)

_PYJWT = get_default_algorithms()
# PyJWT knows Ed25519 only by its older name (RFC 9864 section 2.2).
ALGORITHMS: Final[Mapping[str, Algorithm]] = MappingProxyType(
    {name: _PYJWT["EdDSA" if name == "Ed25519" else name] for name in sorted(ASYMMETRIC | SYMMETRIC)}
)
"""Every algorithm that is checked here, by its name in a token's header. There is no ``none`` among them."""


Verifier: TypeAlias = Callable[[bytes, bytes], bool]


@dataclass(frozen=True, slots=True, eq=False)
class VerificationKey:
    """A key, and the algorithms that it may serve, each with what checks a signature: of the signing input and the
    signature, whether they belong together. `kid` is None for a key without a name.

    `key_id` names it by content: its thumbprint (RFC 7638), equal for equal keys.
    """

    kid: str | None
    key_id: str = field(repr=False)
    algorithms: Mapping[str, Verifier] = field(repr=False)

    def verifies(self, algorithm: str, signing_input: bytes, signature: bytes) -> bool:
        """Whether `signature` is this key's for `signing_input`; False too for an algorithm it does not serve."""
        verifier = self.algorithms.get(algorithm)
        return verifier is not None and verifier(signing_input, signature)


@dataclass(frozen=True, slots=True, eq=False)
class ParsedKeys:
    """The keys of one set, by what a header names. Immutable; a refresh makes another one.

    `skipped` says why keys of the document were left out, each by its place. `fitting` holds, for ``(kid,
    alg)``, the one key that fits; for ``(None, alg)`` the one key of the whole set that does. What fits no
    key or several is not in it.
    """

    keys: tuple[VerificationKey, ...]
    kids: frozenset[str]
    fitting: Mapping[tuple[str | None, str], VerificationKey]
    skipped: tuple[str, ...] = ()


def parse_jwks(document: Mapping[str, object], *, symmetric: bool) -> ParsedKeys:
    """Read a JWK Set (RFC 7517 section 5). One unusable key is skipped, not the set.

    `symmetric` says whether the set was given in code, so that HMAC keys in it may be used. Raises
    `ValueError` where it is no key set, or none of its keys can be used.
    """
    listed = document.get("keys")
    if not isinstance(listed, list | tuple):
        raise ValueError('not a key set: it has no array "keys"')
    entries = cast("Sequence[object]", listed)
    if len(entries) > MAX_KEYS:
        raise ValueError(f"more than {MAX_KEYS} keys")
    keys: list[VerificationKey] = []
    skipped: list[str] = []
    for place, jwk in enumerate(entries):
        try:
            keys.append(read_jwk(jwk, symmetric=symmetric))
        except ValueError as problem:
            skipped.append(f"key {place}: {problem}")
    if not keys:
        raise ValueError("no key of the set can be used" + "".join(f"; {reason}" for reason in skipped[:3]))
    return index_keys(keys, skipped)


def index_keys(keys: Iterable[VerificationKey], skipped: Iterable[str] = ()) -> ParsedKeys:
    """These keys as a set. The same key twice under one name counts once."""
    distinct = {(key.kid, key.key_id): key for key in keys}.values()
    fitting: dict[tuple[str | None, str], VerificationKey] = {}
    several: set[tuple[str | None, str]] = set()
    for key in distinct:
        for algorithm in key.algorithms:
            for name in {key.kid, None}:
                asked = (name, algorithm)
                if asked in fitting and (name is not None or fitting[asked].key_id != key.key_id):
                    several.add(asked)
                fitting[asked] = key
    for asked in several:
        del fitting[asked]
    kids = frozenset(key.kid for key in distinct if key.kid is not None)
    return ParsedKeys(tuple(distinct), kids, MappingProxyType(fitting), tuple(skipped))


def read_jwk(given: object, *, symmetric: bool) -> VerificationKey:
    """One JWK as a key to verify with; of a private one only the public half. Raises `ValueError` with the
    reason why it cannot be used: its type, curve, length, or what its `use`, `key_ops` or `alg` forbids."""
    if not isinstance(given, Mapping):
        raise ValueError("not an object")
    jwk = cast("Mapping[str, object]", given)
    kid = jwk.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise ValueError("kid is not a string")
    if jwk.get("use", "sig") != "sig":
        raise ValueError("use is not sig")
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list | tuple) or "verify" not in operations:
        raise ValueError("key_ops does not hold verify")
    kty = jwk.get("kty")
    if kty == "oct" and not symmetric:
        raise ValueError("a symmetric key that came over the network")
    reader = _READERS.get(kty) if isinstance(kty, str) else None
    if reader is None:
        raise ValueError("a key type that is not known here")
    members, read = reader
    public = {name: jwk.get(name) for name in members}
    if not all(isinstance(value, str) for value in public.values()):
        raise ValueError(f"it needs {', '.join(members)} as strings")
    try:
        material = read({"kty": kty, **public})
    except (PyJWTError, ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("its numbers are no key of its type") from None
    serves = served_by(material)
    if not serves:
        raise ValueError("its length or curve serves no algorithm")
    declared = jwk.get("alg")
    if declared is not None:
        # Two names of one algorithm (RFC 9864): a key that declares one of them serves both.
        serves = serves if serves == _ED25519 and declared in _ED25519 else tuple(n for n in serves if n == declared)
        if not serves:
            raise ValueError("its alg is none that a key like it can verify")
    verifiers = MappingProxyType({name: _verifier(name, material) for name in serves})
    return VerificationKey(kid, thumbprint(jwk), verifiers)


def served_by(key: PublicKey | PrivateKey) -> tuple[str, ...]:
    """The algorithms that a key serves by its type, curve and length; none for a key too short or too
    long."""
    if isinstance(key, RSAPublicKey | RSAPrivateKey):
        return _RSA if MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS else ()
    if isinstance(key, EllipticCurvePublicKey | EllipticCurvePrivateKey):
        return _EC.get(key.curve.name, ())
    if isinstance(key, bytes):
        return tuple(name for name, length in _HMAC.items() if len(key) >= length)
    return _ED25519


def allowed_algorithms(given: Collection[str]) -> frozenset[str]:
    """An allowlist of algorithms, checked: not empty, not a lone string, nothing unknown and never ``none``.

    Raises `ConfigurationError`.
    """
    if isinstance(given, str) or not given:
        raise ConfigurationError(f'algorithms={given!r}: list the ones the issuer signs with, as algorithms=("RS256",)')
    unknown = sorted(str(name) for name in given if name not in ALGORITHMS)
    if unknown:
        raise ConfigurationError(
            f"algorithms={tuple(given)!r}: not {', '.join(unknown)}; there are {', '.join(ALGORITHMS)}"
        )
    return frozenset(given)


def thumbprint(jwk: Mapping[str, object]) -> str:
    """The JWK thumbprint (RFC 7638 section 3, RFC 8037 section 2) with SHA-256, in base64url.

    Raises `ValueError` for a key type without one here.
    """
    kty = jwk.get("kty")
    if not isinstance(kty, str) or kty not in _READERS:
        raise ValueError("a key type that is not known here")
    required = {name: jwk[name] for name in sorted((*_READERS[kty][0], "kty"))}
    digest = hashlib.sha256(json.dumps(required, separators=(",", ":"), ensure_ascii=False).encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _verifier(name: str, key: PublicKey) -> Verifier:
    """What checks signatures of `key` by the algorithm `name`."""
    if isinstance(key, bytes):
        algorithm = ALGORITHMS[name]
        return lambda signing_input, signature: algorithm.verify(signing_input, key, signature)
    # What PyJWT's verify makes anew for each token, and its question for the type of the key, cost 5 % of a check.
    # These are the same calls of `cryptography`, held to PyJWT's answers by a differential test.
    if isinstance(key, Ed25519PublicKey):
        return _eddsa(key)
    hash_: hashes.HashAlgorithm = getattr(hashes, f"SHA{name[2:]}")()
    # The same digest, made a third of a microsecond sooner than inside of `cryptography`.
    digest: Callable[[bytes], _Digest] = getattr(hashlib, f"sha{name[2:]}")
    if isinstance(key, RSAPublicKey):
        padding = PKCS1v15() if name.startswith("RS") else PSS(MGF1(hash_), hash_.digest_size)
        return _rsassa(key, padding, digest, Prehashed(hash_))
    return _ecdsa(key, digest, ECDSA(Prehashed(hash_)))


def signing_with(name: str, key: PrivateKey) -> Callable[[bytes], bytes]:
    """What signs with `key` by the algorithm `name`: of the signing input, the signature (RFC 7515 section 5.1).

    Raises `ConfigurationError` where the key does not serve the algorithm by type, curve and length.
    """
    if name not in served_by(key):
        raise ConfigurationError(f"algorithm={name!r}: a {type(key).__name__} like this cannot sign with it")
    if isinstance(key, bytes):
        algorithm = ALGORITHMS[name]
        return lambda signing_input: algorithm.sign(signing_input, key)
    if isinstance(key, Ed25519PrivateKey):
        return key.sign
    # As for what checks signatures: PyJWT makes these anew for each token, and asks what type the key is.
    hash_: hashes.HashAlgorithm = getattr(hashes, f"SHA{name[2:]}")()
    if isinstance(key, RSAPrivateKey):
        padding = PKCS1v15() if name.startswith("RS") else PSS(MGF1(hash_), hash_.digest_size)
        return lambda signing_input: key.sign(signing_input, padding, hash_)
    scheme, size = ECDSA(hash_), (key.key_size + 7) // 8

    def sign(signing_input: bytes) -> bytes:
        r, s = decode_dss_signature(key.sign(signing_input, scheme))
        return r.to_bytes(size) + s.to_bytes(size)

    return sign


class _Digest(Protocol):
    def digest(self) -> bytes: ...


def _eddsa(key: Ed25519PublicKey) -> Verifier:
    verify = key.verify

    def verifies(signing_input: bytes, signature: bytes) -> bool:
        try:
            verify(signature, signing_input)
        except InvalidSignature:
            return False
        return True

    return verifies


def _rsassa(
    key: RSAPublicKey, padding: PKCS1v15 | PSS, digest: Callable[[bytes], _Digest], prehashed: Prehashed
) -> Verifier:
    verify = key.verify

    def verifies(signing_input: bytes, signature: bytes) -> bool:
        try:
            verify(signature, digest(signing_input).digest(), padding, prehashed)
        except InvalidSignature:
            return False
        return True

    return verifies


def _ecdsa(key: EllipticCurvePublicKey, digest: Callable[[bytes], _Digest], scheme: ECDSA) -> Verifier:
    verify, size = key.verify, (key.key_size + 7) // 8

    def verifies(signing_input: bytes, signature: bytes) -> bool:
        if len(signature) != 2 * size:
            return False
        try:
            verify(_der_of(signature[:size], signature[size:]), digest(signing_input).digest(), scheme)
        except InvalidSignature:
            return False
        return True

    return verifies


# What a number begins with by its length in bytes, and again where its first bit is set, which alone would mean a
# negative one; and what two numbers of so many bytes begin with.
_INTEGER: Final = tuple((bytes((2, length)), bytes((2, length + 1, 0))) for length in range(67))
_SEQUENCE: Final = tuple(
    bytes((0x30, length) if length < 0x80 else (0x30, 0x81, length)) for length in range(2 * (3 + 66) + 1)
)


def _der_of(r: bytes, s: bytes) -> bytes:
    """ECDSA-Sig-Value (RFC 3279 section 2.2.3): what `encode_dss_signature` writes, in a third of the time."""
    r, s = r.lstrip(b"\0") or b"\0", s.lstrip(b"\0") or b"\0"
    numbers = _INTEGER[len(r)][r[0] >> 7] + r + _INTEGER[len(s)][s[0] >> 7] + s
    return _SEQUENCE[len(numbers)] + numbers


def _rsa(jwk: dict[str, object]) -> PublicKey:
    key = RSAAlgorithm.from_jwk(jwk)
    assert isinstance(key, RSAPublicKey)  # noqa: S101 - only public members were handed over
    return key


def _ec(jwk: dict[str, object]) -> PublicKey:
    key = ECAlgorithm.from_jwk(jwk)
    assert isinstance(key, EllipticCurvePublicKey)  # noqa: S101 - only public members were handed over
    return key


def _okp(jwk: dict[str, object]) -> PublicKey:
    key = OKPAlgorithm.from_jwk(jwk)
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("another curve than Ed25519")
    return key


_UNPADDED = re.compile(r"[A-Za-z0-9_-]+={0,2}\Z")


def _oct(jwk: dict[str, object]) -> PublicKey:
    # Strictly, since what a lenient decoder drops would shorten a secret unnoticed.
    if not _UNPADDED.match(str(jwk["k"])):
        raise ValueError("not base64url")
    # PyJWT refuses a public key in PEM or SSH form here: the oldest confusion of all.
    return _PYJWT["HS256"].prepare_key(HMACAlgorithm.from_jwk(jwk))  # type: ignore[no-any-return]


_READERS: Final[Mapping[str, tuple[tuple[str, ...], Callable[[dict[str, object]], PublicKey]]]] = MappingProxyType(
    {
        "RSA": (("n", "e"), _rsa),
        "EC": (("crv", "x", "y"), _ec),
        "OKP": (("crv", "x"), _okp),
        "oct": (("k",), _oct),
    }
)
