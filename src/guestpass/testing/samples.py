"""Records to try stores with. Those of one name are equal, those of two differ in id and digest."""

import hashlib
import math

from guestpass.grants import ALL, Grant
from guestpass.records import Idempotency, KeyRecord, SessionRecord, SigningKeyRecord

NOW = 1_900_000_000.0
NOW_MS = 1_900_000_000_000
HOUR = 3600.0
NEVER = -math.inf


def some(*names: str) -> frozenset[str]:
    """A set of names."""
    return frozenset(names)


def digest(of: str) -> bytes:
    """A digest like that of a credential."""
    return hashlib.sha256(of.encode()).digest()


def key(name: str = "k", *, platform: str = "plat", created_at: float = NOW) -> KeyRecord:
    """An API key with id ``key_<name>``."""
    grant = Grant(platform, "live", ALL, some("call_logs", "call_logs/transcripts"), some("agent"))
    return KeyRecord(f"key_{name}", digest(name), "secret_key", grant, name, created_at)


def session(name: str = "s", *, account: str = "acct_1", expires_at: float = NOW + HOUR) -> SessionRecord:
    """An account session with id ``as_<name>``, minted by ``key_k`` at `NOW_MS`."""
    grant = Grant("plat", "live", some(account), some("call_logs"), some("external_entity"), expires_at)
    return SessionRecord(f"as_{name}", digest(f"session {name}"), grant, "key_k", NOW_MS)


def asked(text: str = "req", *, body: str = "body", by: str = "key_k", expires_at: float = NOW + HOUR) -> Idempotency:
    """A request that may come again."""
    return Idempotency(by, text, digest(body), expires_at)


def signing_key(kid: str = "kid", *, serial: int = 1) -> SigningKeyRecord:
    """A signing key of mode ``live``."""
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "ä", "key_ops": ["verify"]}
    return SigningKeyRecord(kid, "live", serial, "EdDSA", jwk, b"\x00\xffwrapped", NOW, NOW + 900.5)
