"""The keys that sign tokens, and their rotation without a refused request.

A new key is published long before it signs, and an old one stays published until its last token has ended; both
follow from the keys' serials and instants alone, in pure functions. Private keys lie in the store, wrapped with a
key that the operator holds, or come from PEM files; no process ever makes up one of its own.
"""

import math
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from guestpass.concurrency.forking import begins_anew
from guestpass.concurrency.look_ups import LookUps
from guestpass.errors import ConfigurationError, KeysUnavailable
from guestpass.grants import Mode
from guestpass.inquiry import Answers, Inquiry, ask, drive, drive_async
from guestpass.jwks import PrivateKey, VerificationKey, read_jwk
from guestpass.minting import MAX_LIFETIME
from guestpass.records import AddCutoff, AddSigningKey, Ending, FindCutoff, ListSigningKeys, SigningKeyRecord
from guestpass.revocation.cutoff_list import FOREVER_MS, signing_key_name
from guestpass.revocation.feed import feed_of
from guestpass.signing_keys import ALGORITHMS, KeyMaker, MakeSigningKey, Wrapping, from_pem, public_jwk

MAX_AGE: Final = 600
"""Seconds for which others may keep the published key set."""

PUBLISH_AHEAD: Final = 900.0
"""Seconds that a key is published before it signs: the key set's `MAX_AGE`, and the time workers take to refresh."""

FRESH: Final = 1.0
"""Seconds for which a look at the store's keys is good enough to sign with."""

STALE: Final = 60.0
"""Seconds for which it will do while somebody is looking already, so that a crowd does not look all at once."""

LOOKS_AT_ONCE: Final = 64
"""How many may look at once where they have not heard the same."""

LOOKS: Final = 5
"""How many looks for unknown keys may come at once; one more a second after that."""


@dataclass(frozen=True, slots=True)
class Ring:
    """The keys as one look at the store found them, oldest first within a mode. Decides, at any `now`."""

    records: tuple[SigningKeyRecord, ...]
    keys: Mapping[str, VerificationKey]
    distrusted: frozenset[str]
    seen_at: float
    from_files: bool = False

    def signing(self, mode: Mode, now: float) -> SigningKeyRecord | None:
        """The key that signs: the newest whose time has come, else (the others being distrusted) the next one."""
        first = None
        for key in reversed(self.records):
            if key.mode == mode and key.kid not in self.distrusted:
                if key.signs_from <= now:
                    return key
                first = key
        return first

    def published(self, mode: Mode, now: float) -> tuple[SigningKeyRecord, ...]:
        """The keys with which a token may be signed now or later, or was signed and has not ended yet."""
        return tuple(key for key, until in self.publications(mode) if now < until)

    def publications(self, mode: Mode) -> tuple[tuple[SigningKeyRecord, float], ...]:
        """The keys that are not distrusted, each with the instant until which it is published; infinity for the newest,
        and for those from files."""
        trusted = self._trusted(mode)
        if self.from_files:
            return tuple((key, math.inf) for key in trusted)
        # An hour more than its last token needs: others' clocks, and how long they keep the set.
        ends = [later.signs_from + MAX_LIFETIME + 3_600 for later in trusted[1:]]
        return tuple(zip(trusted, [*ends, math.inf], strict=False))

    def _trusted(self, mode: Mode) -> list[SigningKeyRecord]:
        return [key for key in self.records if key.mode == mode and key.kid not in self.distrusted]

    def key(self, kid: str | None, now: float) -> tuple[VerificationKey, Mode] | None:
        """The key called `kid`, and its mode; None for one whose tokens have all ended. A distrusted one is found, so
        that its tokens are told to be revoked."""
        for record in self.records:
            if record.kid == kid and (kid in self.distrusted or record in self.published(record.mode, now)):
                return self.keys[record.kid], record.mode
        return None


class KeyRing:
    """The signing keys of all modes, shared by every process on one store.

    `wrapping_key` encrypts the private halves: a random value of at least 32 bytes (`new_wrapping_key` makes one), or
    several of which the first encrypts and all decrypt. With `pem`, the keys come from PEM files' contents instead,
    by mode; the first of each signs, the others are still accepted. `algorithm` is ``RS256``, ``ES256`` or ``EdDSA``.
    Raises `ConfigurationError`.
    """

    def __init__(
        self,
        store: Answers,
        *,
        wrapping_key: str | bytes | Sequence[str | bytes] | None = None,
        pem: Mapping[Mode, Sequence[str | bytes]] | None = None,
        algorithm: str = "RS256",
        publish_ahead: float = PUBLISH_AHEAD,
        clock: Callable[[], float] = time.time,
        randomness: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        if algorithm not in ALGORITHMS:
            raise ConfigurationError(f"KeyRing(algorithm={algorithm!r}): one of {', '.join(ALGORITHMS)}")
        if not 0 <= publish_ahead <= MAX_LIFETIME:
            raise ConfigurationError(f"KeyRing(publish_ahead={publish_ahead!r}): seconds, from 0 to {MAX_LIFETIME}")
        if pem is not None and not pem:
            raise ConfigurationError('KeyRing(pem={}): the files\' contents by mode: pem={"live": [content]}')
        if (wrapping_key is None) == (pem is None):
            raise ConfigurationError("KeyRing(…): give wrapping_key=KeyRing.new_wrapping_key(), kept safe, or pem={…}")
        self.store: Final = store
        self._wrapping = Wrapping(wrapping_key, randomness) if wrapping_key is not None else None
        files = None if pem is None else from_pem(pem, algorithm)
        self._files = None if files is None else tuple(record for record, _ in files)
        self._algorithm = algorithm
        self._publish_ahead = publish_ahead
        self._clock = clock
        self._ring: Ring | None = None
        self._changes = 0
        # Many who wait for one look are no more work than one.
        self._under_way: LookUps[Ring] = LookUps(LOOKS_AT_ONCE)
        self.after_fork()
        begins_anew(self)
        self._private: dict[str, PrivateKey] = {record.kid: private for record, private in files or ()}
        self._looks = Budget(LOOKS)

    def after_fork(self) -> None:
        """In a forked child: nobody is looking, and nobody makes a key."""
        self._looking = self._making = False

    @staticmethod
    def new_wrapping_key() -> str:
        """A new random wrapping key, for the operator's secret store."""
        return secrets.token_urlsafe(32)

    def rotate(self, mode: Mode) -> str:
        """Add a key, which is published now and signs later; answers its ``kid``."""
        return drive(self._rotate(mode))

    async def rotate_async(self, mode: Mode) -> str:
        """`rotate`, without holding up the event loop."""
        return await drive_async(self._rotate(mode))

    def look(self) -> Ring:
        """The keys as the store has them at this moment."""
        return drive(self._look(0))

    def distrust(self, kid: str) -> None:
        """End a leaked key: every token it signed is refused, and the next key signs at once."""
        drive(self._distrust(kid))

    async def distrust_async(self, kid: str) -> None:
        """`distrust`, without holding up the event loop."""
        await drive_async(self._distrust(kid))

    def jwks(self, mode: Mode) -> dict[str, object]:
        """The public keys of one mode as a JWK Set (RFC 7517 section 5); makes the first key if there is none."""
        return drive(self.jwks_from(mode))

    def jwks_from(self, mode: Mode) -> Inquiry[dict[str, object]]:
        """`jwks` as an inquiry: drive the answer."""
        ring = yield from self._look(FRESH)
        if ring.signing(mode, self._clock()) is None:
            # Anybody may ask for the key set, and making a key is work: one at a time.
            if self._making:
                raise KeysUnavailable("the first key is being made")
            self._making = True
            try:
                yield from self.signer(mode)
            finally:
                self._making = False
            ring = yield from self._look(FRESH)
        return {"keys": [dict(key.jwk) for key in ring.published(mode, self._clock())]}

    def signer(self, mode: Mode) -> Inquiry[tuple[SigningKeyRecord, PrivateKey]]:
        """The key that signs now, with its private half; made if the mode has none."""
        now, ring = self._clock(), self._ring
        if ring is None or not 0 <= now - ring.seen_at < FRESH:
            ring = yield from self._look(FRESH)
            now = self._clock()
        record = ring.signing(mode, now)
        if record is None:
            yield from self._add(mode, ring, signs_from=self._clock())
            ring = yield from self._look(0)
            record = ring.signing(mode, self._clock())
        if record is None:
            raise KeysUnavailable(f"there is no key that signs in {mode} mode")
        private = self._private.get(record.kid)
        if private is None:
            private = self._unwrap(record)
            self._private[record.kid] = private
        return record, private

    def find(self, kid: str | None, now: float) -> Inquiry[tuple[VerificationKey, Mode] | None]:
        """The key called `kid` and its mode, asking the store if need be.

        Raises `KeysUnavailable` where too many unknown ones have been asked for.
        """
        if self._ring is not None and kid in self._ring.keys:
            return self._ring.key(kid, now)
        if self._ring is not None and not self._looks.spend(now):
            raise KeysUnavailable("too many tokens with unknown keys")
        ring = yield from self._look(0)
        return ring.key(kid, now)

    def distrusts(self, kid: str | None) -> bool:
        """Whether a key that `find` found is one whose tokens have all been ended."""
        return self._ring is not None and kid in self._ring.distrusted

    def look_again(self) -> None:
        """Forget what the store said last: something has changed there."""
        self._ring = None
        self._changes += 1

    def _look(self, good_for: float) -> Inquiry[Ring]:
        now, ring = self._clock(), self._ring
        if ring is not None and 0 <= now - ring.seen_at < (STALE if self._looking and good_for else good_for):
            return ring
        self._looking, changes = True, self._changes
        try:
            found = yield from self._under_way.run(self._read(ring, now), key=b"", known=True, seen=self._changes)
        finally:
            self._looking = False
        if changes == self._changes:
            self._ring = found
        return found

    def _read(self, ring: Ring | None, now: float) -> Inquiry[Ring]:
        if self._files is not None:
            records = self._files
        else:
            records = yield from ask(self.store, ListSigningKeys())
        distrusted: set[str] = set()
        for record in records:
            cutoff = yield from ask(self.store, FindCutoff((signing_key_name(record.kid),)))
            if cutoff == FOREVER_MS:
                distrusted.add(record.kid)
        seen: Mapping[str, VerificationKey] = {} if ring is None else ring.keys
        keys = {r.kid: seen.get(r.kid) or read_jwk(r.jwk, symmetric=False) for r in records}
        return Ring(records, keys, frozenset(distrusted), now, self._files is not None)

    def _rotate(self, mode: Mode) -> Inquiry[str]:
        ring = yield from self._look(0)
        first = not any(key.mode == mode for key in ring.records)
        ahead = 0.0 if first else self._publish_ahead
        yield from self._add(mode, ring, signs_from=self._clock() + ahead)
        ring = yield from self._look(0)
        return [key for key in ring.records if key.mode == mode][-1].kid

    def _add(self, mode: Mode, ring: Ring, *, signs_from: float) -> Inquiry[None]:
        if self._wrapping is None:
            raise ConfigurationError("KeyRing(pem=…): keys from files are rotated there: add the new one, restart")
        serial = max((key.serial for key in ring.records if key.mode == mode), default=0) + 1
        private = yield from ask(KeyMaker(), MakeSigningKey(self._algorithm))
        jwk = public_jwk(private, self._algorithm)
        kid = str(jwk["kid"])
        wrapped = self._wrapping.wrap(private, _context(kid, mode))
        record = SigningKeyRecord(
            kid, mode, serial, self._algorithm, jwk, wrapped, created_at=self._clock(), signs_from=signs_from
        )
        # False where another process was quicker: then its key is the one.
        yield from ask(self.store, AddSigningKey(record))

    def _distrust(self, kid: str) -> Inquiry[None]:
        cutoff = yield from ask(self.store, AddCutoff(Ending(signing_key_name(kid), FOREVER_MS, math.inf)))
        self.look_again()
        feed_of(self.store, self._clock).note(cutoff)

    def _unwrap(self, record: SigningKeyRecord) -> PrivateKey:
        if self._wrapping is None:
            raise ConfigurationError(f"KeyRing(pem=…): the key {record.kid} in the store is not among the files")
        return self._wrapping.unwrap(record.wrapped, _context(record.kid, record.mode))


class Budget:
    """So many at once, and one more a second after that."""

    def __init__(self, burst: int) -> None:
        self._burst = burst
        self._left = float(burst)
        self._then = 0.0
        self.after_fork()
        begins_anew(self)

    def after_fork(self) -> None:
        """In a forked child: another thread of the parent's may have held it."""
        self._lock = threading.Lock()

    def spend(self, now: float) -> bool:
        """Take one, if there is one at `now` (seconds)."""
        with self._lock:
            self._left = min(self._burst, self._left + max(0.0, now - self._then))
            self._then = now
            if self._left < 1:
                return False
            self._left -= 1
            return True


def _context(kid: str, mode: Mode) -> bytes:
    return f"{mode}:{kid}".encode()
