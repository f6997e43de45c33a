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

    The end of its life is `grant.expires_at`. `digest` is that of its newest secret; the one before, `old_digest`,
    is good until `old_until`. `last_used_at` may be a minute behind.
    """

    id: str
    digest: bytes
    kind: str
    grant: Grant
    name: str
    created_at: float
    origins: frozenset[str] = frozenset()
    revoked_at: float | None = None
    old_digest: bytes | None = None
    old_until: float = 0.0
    last_used_at: float | None = None


@dataclass(frozen=True, slots=True)
class Minter:
    """An API key, and an instant of the store's clock, in Unix milliseconds, from before the key was read: what changes
    the key after this look has a later one. Without a key of that id the instant alone."""

    key: KeyRecord | None
    now_ms: int


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
class Ending:
    """To end everything called `name` that was minted until `at_ms`; with None until now, by the store's clock at an
    instant after the question came. Remembered until `expires_at`."""

    name: str
    at_ms: int | None
    expires_at: float


@dataclass(frozen=True, slots=True)
class Cutoff:
    """Everything called `name` that was minted at or before `at_ms` has ended. Kept until `expires_at`."""

    name: str
    at_ms: int
    expires_at: float


@dataclass(frozen=True, slots=True)
class Epoch:
    """One life of a store's list of cut-offs: a store that lost its list, or went back to an older one, begins another.

    `started_ms` is of the store's clock. `after_loss` where somebody knew that there had been another list before.
    """

    id: str
    started_ms: int
    after_loss: bool


@dataclass(frozen=True, slots=True)
class CutoffPage:
    """Part of the list of cut-offs, in the order in which they were added or moved, as of one instant.

    `position` counts what was ever added or moved in this epoch; `reached` is the position of the last cut-off in
    `cutoffs`, and `position` where there are no more.
    """

    epoch: Epoch
    position: int
    reached: int
    cutoffs: tuple[Cutoff, ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """The Idempotency-Key was used before, with another body."""


@dataclass(frozen=True, slots=True)
class AddKey(Question[None]):
    """Keep a new API key."""

    key: KeyRecord


@dataclass(frozen=True, slots=True)
class FindKey(Question[KeyRecord | None]):
    """The API key whose secret, the newest or the one before, has this digest; revoked and expired ones included."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class FindKeyById(Question[KeyRecord | None]):
    """The API key with this id."""

    id: str


@dataclass(frozen=True, slots=True)
class FindMinter(Question[Minter]):
    """The API key with this id, if there is one, and when it was looked at."""

    id: str


@dataclass(frozen=True, slots=True)
class ListKeys(Question[tuple[KeyRecord, ...]]):
    """The keys of one platform, or of all, oldest first."""

    platform: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeKey(Question[KeyRecord | None]):
    """Change a key's grant from `expected` to `grant`, or revoke it at `revoked_at`, and end what it minted: in one
    step, with `ending`.

    None for a part that stays. Where the grant is no longer as `expected`, nothing changes. Revoking twice keeps the
    first instant. Answers the key as it then is, None for an unknown id.
    """

    id: str
    ending: Ending
    expected: Grant | None = None
    grant: Grant | None = None
    revoked_at: float | None = None


@dataclass(frozen=True, slots=True)
class RotateKey(Question[KeyRecord | None]):
    """Give a key a new secret: `digest` becomes its newest, the newest until now is good until `old_until`, and the one
    before that is forgotten. With `ending`, in the same step, what the key minted ends.

    Answers the key as it then is, None for an unknown id.
    """

    id: str
    digest: bytes
    old_until: float
    ending: Ending | None = None


@dataclass(frozen=True, slots=True)
class NoteUses(Question[None]):
    """Remember when keys were last used, by id, in Unix seconds; an earlier instant changes nothing."""

    uses: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class AddSession(Question[SessionRecord | Conflict]):
    """Keep a new session.

    With `idempotency`, a request that was made before with the same body answers the session it made then, which
    takes over the new digest (so its old secret ends) and keeps all else; with another body, `Conflict`. That a secret
    ended is news: in the same step a cut-off ``session:<id>`` at 0, which ends nothing, is put at the list's end.
    """

    session: SessionRecord
    idempotency: Idempotency | None = None


@dataclass(frozen=True, slots=True)
class FindSession(Question[SessionRecord | None]):
    """The session whose client secret has this digest, expired and revoked ones included."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class FindSessionById(Question[SessionRecord | None]):
    """The session with this id."""

    id: str


@dataclass(frozen=True, slots=True)
class RevokeSession(Question[SessionRecord | None]):
    """End a session at `revoked_at`; ending it twice keeps the first instant. None for an unknown id.

    In the same step a cut-off ``session:<id>`` after everything, kept until the session's own end, is added.
    """

    id: str
    revoked_at: float


@dataclass(frozen=True, slots=True)
class FindCutoff(Question[int | None]):
    """The latest cut-off, in milliseconds, among these names; None where there is none.

    In an epoch that began after a loss, everything minted before it has ended: then not less than the millisecond
    before its start.
    """

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AddCutoff(Question[Cutoff]):
    """End everything of one name, and put that at the end of the list. A cut-off never moves back: of two with one
    name, the later instant and expiry stay. Answers what is kept."""

    ending: Ending


@dataclass(frozen=True, slots=True)
class ReadCutoffs(Question[CutoffPage]):
    """At most `limit` of the cut-offs that were added or moved after position `after` (0: from the start).

    Whoever reads page after page until `reached` is `position` has the whole list, whatever is added meanwhile.
    """

    after: int
    limit: int = 10_000


@dataclass(frozen=True, slots=True)
class BeginEpoch(Question[Epoch]):
    """Where the epoch is still the one called `known`, begin another, after a loss. Answers the epoch as it then is."""

    known: str


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
