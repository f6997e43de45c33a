"""What a store holds, and everything that it can be asked.

Records are frozen values; questions are frozen too, and each says what its answer is. A store is whatever answers
them (`guestpass.inquiry.Answers`). Instants are Unix time: `…_at` in seconds, `…_ms` in milliseconds. Of a
credential a store only ever sees the SHA-256 digest, of a private key only the wrapped form.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from guestpass.grants import Grant, Mode
from guestpass.inquiry import Question


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An API key. `kind` is ``secret_key`` or ``publishable_key``; `revoked_at` is None while it lives.

    The end of its life is `grant.expires_at`.
    """

    id: str
    digest: bytes
    kind: str
    grant: Grant
    name: str
    created_at: float
    origins: frozenset[str] = frozenset()
    revoked_at: float | None = None


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """An account session. `minted_by` is the id of the secret key that made it."""

    id: str
    digest: bytes
    grant: Grant
    minted_by: str
    minted_ms: int
    revoked_at: float | None = None


@dataclass(frozen=True, slots=True)
class SigningKeyRecord:
    """A key that signs tokens. `serial` counts up within a mode, and no two keys of a mode share one.

    It signs from `signs_from` until a later one does. `wrapped` is its private half, encrypted with a key that the
    operator holds.
    """

    kid: str
    mode: Mode
    serial: int
    algorithm: str
    jwk: Mapping[str, object]
    wrapped: bytes
    created_at: float
    signs_from: float


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A request that may come again: the minting key, its Idempotency-Key, and the digest of what was asked.

    It is remembered until `expires_at`.
    """

    minted_by: str
    key: str
    body: bytes
    expires_at: float


@dataclass(frozen=True, slots=True)
class Cutoff:
    """Everything called `name` that was minted at or before `at_ms` has ended. Kept until `expires_at`."""

    name: str
    at_ms: int
    expires_at: float


@dataclass(frozen=True, slots=True)
class FoundSession:
    """A session, and the latest cut-off that applies to it: of its minting key, its account or itself."""

    session: SessionRecord
    cutoff_ms: int | None


@dataclass(frozen=True, slots=True)
class Conflict:
    """The Idempotency-Key was used before, with another body."""


@dataclass(frozen=True, slots=True)
class AddKey(Question[None]):
    """Keep a new API key."""

    key: KeyRecord


@dataclass(frozen=True, slots=True)
class FindKey(Question[KeyRecord | None]):
    """The API key whose secret has this digest, revoked and expired ones included."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class FindKeyById(Question[KeyRecord | None]):
    """The API key with this id."""

    id: str


@dataclass(frozen=True, slots=True)
class ListKeys(Question[tuple[KeyRecord, ...]]):
    """The keys of one platform, or of all, oldest first."""

    platform: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeKey(Question[KeyRecord | None]):
    """Change a key's grant from `expected` to `grant`, or revoke it at `revoked_at`, and end what it minted: in one
    step, with `cutoff`.

    None for a part that stays. Where the grant is no longer as `expected`, nothing changes. Revoking twice keeps the
    first instant. Answers the key as it then is, None for an unknown id.
    """

    id: str
    cutoff: Cutoff
    expected: Grant | None = None
    grant: Grant | None = None
    revoked_at: float | None = None


@dataclass(frozen=True, slots=True)
class AddSession(Question[SessionRecord | Conflict]):
    """Keep a new session.

    With `idempotency`, a request that was made before with the same body answers the session it made then, which
    takes over the new digest (so its old secret ends) and keeps all else; with another body, `Conflict`.
    """

    session: SessionRecord
    idempotency: Idempotency | None = None


@dataclass(frozen=True, slots=True)
class FindSession(Question[FoundSession | None]):
    """The session whose client secret has this digest, and the latest cut-off among ``key:<minted_by>``,
    ``account:<platform>:<account>`` and ``session:<id>``."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class FindSessionById(Question[SessionRecord | None]):
    """The session with this id."""

    id: str


@dataclass(frozen=True, slots=True)
class RevokeSession(Question[SessionRecord | None]):
    """End a session at `revoked_at`; ending it twice keeps the first instant. None for an unknown id."""

    id: str
    revoked_at: float


@dataclass(frozen=True, slots=True)
class FindCutoff(Question[int | None]):
    """The latest cut-off, in milliseconds, among these names; None where there is none."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AddCutoff(Question[None]):
    """End everything of this name. A cut-off never moves back: of two, the later instant and expiry stay."""

    cutoff: Cutoff


@dataclass(frozen=True, slots=True)
class AddSigningKey(Question[bool]):
    """Keep a new signing key. False, and nothing kept, where its mode has a key with this serial already."""

    key: SigningKeyRecord


@dataclass(frozen=True, slots=True)
class ListSigningKeys(Question[tuple[SigningKeyRecord, ...]]):
    """All signing keys, by mode and serial."""


@dataclass(frozen=True, slots=True)
class Purge(Question[int]):
    """Drop at most `limit` rows each of: sessions that ended (expired or revoked) before `ended_before`, and
    idempotency and cut-off records whose `expires_at` lies before `now`. Answers how many went; 0 means clean."""

    now: float
    ended_before: float
    limit: int = 500
