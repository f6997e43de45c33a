"""Private keys: made, wrapped for the store, read from PEM files, and their public halves as JWKs.

Knows no rotation and no token.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from guestpass.errors import ConfigurationError
from guestpass.grants import Mode
from guestpass.inquiry import Question
from guestpass.jwks import PrivateKey, served_by, thumbprint
from guestpass.records import SigningKeyRecord

T = TypeVar("T")

AsymmetricKey: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

MIN_WRAPPING_BYTES: Final = 32
_NONCE_BYTES: Final = 12

_MAKERS: Final[Mapping[str, Callable[[], AsymmetricKey]]] = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}
ALGORITHMS: Final = tuple(_MAKERS)
"""The algorithms that tokens can be signed with here."""


@dataclass(frozen=True, slots=True)
class MakeSigningKey(Question[AsymmetricKey]):
    """A new private key. A question, since making one takes a while and must not hold up an event loop."""

    algorithm: str


class KeyMaker:
    """Answers `MakeSigningKey`."""

    def answer(self, question: Question[T]) -> T:
        """A new private key for the algorithm."""
        if not isinstance(question, MakeSigningKey):
            raise TypeError(f"cannot answer {question!r}")
        return cast("T", _MAKERS[question.algorithm]())


class Wrapping:
    """Encrypts private keys (AES-256-GCM) so that a store alone gives nothing away.

    A wrapped key is bound to its `context`, so that it cannot be passed off as another.
    """

    def __init__(self, keys: str | bytes | Sequence[str | bytes], randomness: Callable[[int], bytes]) -> None:
        given = [keys] if isinstance(keys, str | bytes) else list(keys)
        material = [key.encode() if isinstance(key, str) else key for key in given]
        if not material or any(len(key) < MIN_WRAPPING_BYTES for key in material):
            raise ConfigurationError(
                f"KeyRing(wrapping_key=…): a random value of at least {MIN_WRAPPING_BYTES} bytes, such as "
                "KeyRing.new_wrapping_key() makes; keep it apart from the store"
            )
        self._ciphers: Final = [AESGCM(_derive(key)) for key in material]
        self._randomness = randomness

    def wrap(self, key: AsymmetricKey, context: bytes) -> bytes:
        """The private key, encrypted."""
        plain = key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        nonce = self._randomness(_NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, plain, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> AsymmetricKey:
        """The private key. Raises `ConfigurationError` where no wrapping key fits."""
        for cipher in self._ciphers:
            try:
                plain = cipher.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], context)
            except InvalidTag:
                continue
            return _signing(serialization.load_der_private_key(plain, password=None))
        raise ConfigurationError(
            "KeyRing(wrapping_key=…): it is not the one that the keys in this store were wrapped with; give both, "
            "the new one first: wrapping_key=[new, old]"
        )


def from_pem(pem: Mapping[Mode, Sequence[str | bytes]], algorithm: str) -> list[tuple[SigningKeyRecord, PrivateKey]]:
    """Keys from the contents of PEM files, by mode: the first of each signs, the others are still accepted.

    Raises `ConfigurationError` for what is no unencrypted private key that serves `algorithm`.
    """
    found: list[tuple[SigningKeyRecord, PrivateKey]] = []
    for mode, contents in pem.items():
        if isinstance(contents, str | bytes) or not contents:
            raise ConfigurationError(f"KeyRing(pem={{{mode!r}: …}}): a list of PEM files' contents")
        for age, content in enumerate(contents):
            data = content.encode() if isinstance(content, str) else content
            try:
                private = _signing(serialization.load_pem_private_key(data, password=None))
            except (ValueError, TypeError):
                raise ConfigurationError(
                    f"KeyRing(pem={{{mode!r}: …}}): number {age + 1} is no unencrypted private key in PEM"
                ) from None
            if algorithm not in served_by(private):
                raise ConfigurationError(f"KeyRing(pem={{{mode!r}: …}}): number {age + 1} cannot sign with {algorithm}")
            jwk = public_jwk(private, algorithm)
            # The later in the list, the older: the first signs.
            record = SigningKeyRecord(str(jwk["kid"]), mode, len(contents) - age, algorithm, jwk, b"", 0.0, 0.0)
            found.append((record, private))
    return sorted(found, key=lambda entry: (entry[0].mode, entry[0].serial))


def public_jwk(key: AsymmetricKey, algorithm: str) -> dict[str, object]:
    """The public half as a JWK (RFC 7517 section 4), its ``kid`` the key's thumbprint (RFC 7638)."""
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        jwk: dict[str, object] = dict(RSAAlgorithm.to_jwk(public, as_dict=True))
    elif isinstance(public, ec.EllipticCurvePublicKey):
        jwk = dict(ECAlgorithm.to_jwk(public, as_dict=True))
    else:
        jwk = dict(OKPAlgorithm.to_jwk(public, as_dict=True))
    jwk.pop("key_ops", None)
    return {**jwk, "kid": thumbprint(jwk), "use": "sig", "alg": algorithm}


def _derive(material: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=None, info=b"guestpass signing keys").derive(material)


def _signing(key: object) -> AsymmetricKey:
    if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        return key
    raise ValueError("not a key that signs tokens")
