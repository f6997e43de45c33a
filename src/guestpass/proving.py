"""From what a request presented to a principal: the first half of the pipeline, and the cache that shortens it.

header form → credential → mode. The credential's own form names its kind, and each kind has one authenticator. What
the cache knows takes one plain call; a look-up makes an inquiry.
"""

import copy
import hashlib
import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from guestpass.authenticators import Authenticator, Authenticators
from guestpass.authorize import noun
from guestpass.cache import VerifiedCache
from guestpass.concurrency.look_ups import LookUps, NoPlace
from guestpass.concurrency.upkeep import UPKEEP
from guestpass.credentials import Credential, announces, from_header
from guestpass.errors import InvalidToken, Refused, Unavailable
from guestpass.grants import Grant, Mode
from guestpass.inquiry import Inquiry
from guestpass.principal import (
    SECRET_KEY,
    Principal,
    Remembered,
)
from guestpass.refusals import Refusal
from guestpass.requests import Presented
from guestpass.revocation.cutoff_list import KEYS
from guestpass.revocation.endings import Endings
from guestpass.standings import Standings
from guestpass.tokens import read_token
from guestpass.unproved import (
    expired,
    invalid,
    looks_like,
    refusal_of,
    revoked,
    secret_key_in_browser,
    whence,
    why_nobodys,
    wrong_mode,
)

Proof: TypeAlias = Principal | Refusal
Verdict: TypeAlias = Proof | Inquiry[Proof]

log = logging.getLogger("guestpass")


class Finds(Protocol):
    """Finds whose a credential is: see `Authenticators`."""

    def whose(self, credential: Credential, /) -> tuple[Authenticator, str] | None: ...


class Recalls(Protocol):
    """Knows verdicts from before: see `VerifiedCache`."""

    @property
    def generation(self) -> int: ...
    @property
    def get(self) -> Callable[[bytes], Remembered | None]: ...
    def knew(self, key: bytes) -> bool: ...


@dataclass(slots=True)
class _Attempt:
    """One credential on its way to a verdict: whose it is, and what had been heard when it set out."""

    authenticator: Authenticator
    kind: str
    key: bytes | None
    generation: int
    versions: tuple[int, ...]


class Prover:
    """Proves credentials, in one mode.

    `close` spells a grant out in the policy's names. A verdict is kept for as long as its authenticator says that it
    is good, for `recheck` seconds where it does not say, and never against `endings`. At most `lookups` inquiries are
    under way at once on credentials never seen, and as many on those that were.
    """

    def __init__(
        self,
        authenticators: Authenticators,
        close: Callable[[Grant], Grant],
        *,
        mode: Mode,
        clock: Callable[[], float],
        cache: VerifiedCache,
        endings: Endings,
        recheck: float,
        lookups: int,
    ) -> None:
        self._authenticators: Finds = authenticators
        self._standings = Standings(close)
        self._mode: Mode = mode
        self._clock = clock
        self._cache: Recalls = cache
        self._keep = cache.put
        self._endings = endings
        self._recheck = recheck
        self._look_ups: LookUps[Proof] = LookUps(lookups)

    def identify(self, presented: Presented) -> Verdict:
        """Who presented this; a generator where something outside has to be asked first."""
        now = self._clock()
        key = _cache_key(presented)
        entry = None if key is None else self._cache.get(key)
        if entry is not None and (proof := self._recalled(entry, now)) is not None:
            return _presentable(proof, presented) if isinstance(proof, Principal) else proof
        credential = _one_credential(presented)
        if not isinstance(credential, Credential):
            return credential
        if key is not None and credential.protocol is None and not _is_spelled_as_kept(presented, credential):
            key = hashlib.sha256(b"Bearer " + credential.text.encode()).digest()
            entry = self._cache.get(key)
            if entry is not None and (proof := self._recalled(entry, now)) is not None:
                return _presentable(proof, presented) if isinstance(proof, Principal) else proof
        found = self._authenticators.whose(credential)
        if found is None:
            return Refusal("credential_invalid", looks_like(credential), because=why_nobodys(credential))
        authenticator, kind = found
        if kind == SECRET_KEY and presented.in_browser and presented.origin is None:
            return secret_key_in_browser(None, presented)
        if credential.protocol is not None and not announces(credential.protocol, kind):
            more = f"A credential of this kind does not come as the subprotocol {credential.protocol}."
            return self._refuse(Refusal("credential_malformed", noun(kind), more), kind, presented)
        UPKEEP.start()
        # What was heard before the look: what is heard during it counts against its verdict.
        generation, versions = self._cache.generation, self._endings.versions
        try:
            verdict = authenticator.authenticate(credential, now)
        except (Refused, Unavailable) as problem:
            verdict = refusal_of(problem, kind)
        if isinstance(verdict, Refusal):
            return self._refuse(verdict, kind, presented) if kind == SECRET_KEY else verdict
        attempt = _Attempt(authenticator, kind, key, generation, versions)
        # What is a generator takes ten times as long to tell as what is a principal.
        if isinstance(verdict, Principal):
            verdict = self._unless_ended(verdict, attempt)
        elif isinstance(verdict, Generator):
            verdict = self._looked_up(verdict, attempt)
        if not isinstance(verdict, Principal) and isinstance(verdict, Generator):
            return self._look_up(verdict, attempt, presented)
        return self._settle(verdict, attempt, presented)

    def assuming(self, principal: Principal) -> Callable[[Presented], Verdict]:
        """What `identify` would answer if the credential of `principal` were presented each time: for tests."""
        closed = Remembered(principal, self._standings.of(principal.standing), principal.expires_at, ())

        def identify(presented: Presented) -> Verdict:
            if not self._clock() < closed.expires_at:
                return self._refuse(expired(closed), closed.kind, presented)
            return revoked(closed) if self._endings.has_ended(closed) else _presentable(closed, presented)

        return identify

    def beside(
        self, authenticators: Finds, recalling: Callable[[Recalls], Recalls], *, rehearsing: bool = False
    ) -> "Prover":
        """The same, with `authenticators` and a memory that stand before its own. `rehearsing`: it keeps nothing, and
        nobody waits for what it looks up."""
        twin = copy.copy(self)
        twin._authenticators = authenticators
        twin._cache = recalling(self._cache)
        if rehearsing:
            twin._keep = _keep_nothing
            twin._look_ups = self._look_ups.apart()
            twin._standings = self._standings.apart()
        return twin

    def _recalled(self, entry: Remembered, now: float) -> Proof | None:
        """What the cache knows, as far as it is still good; a refusal where an end was heard of since."""
        endings = self._endings
        if now >= entry.until or now >= endings.trusted_until:
            return None
        return entry if entry.versions is endings.versions else self._after_news(entry)

    def _after_news(self, principal: Remembered) -> Proof | None:
        """What is left of a cached verdict after news: itself, where they do not concern it; a refusal, where they say
        that it has ended; None, where only its record can tell."""
        versions = self._endings.versions
        if self._endings.stands(principal, principal.versions):
            # The next hit need not ask.
            principal.seen(versions)
            return principal
        return revoked(principal) if principal.kind not in KEYS and self._endings.has_ended(principal) else None

    def _look_up(self, inquiry: Inquiry[Proof], attempt: _Attempt, presented: Presented) -> Inquiry[Proof]:
        key = attempt.key
        known, seen = key is not None and self._cache.knew(key), (attempt.generation, attempt.versions)
        try:
            proof = yield from self._look_ups.run(inquiry, key=key, known=known, seen=seen)
        except NoPlace:
            return Refusal("overloaded", noun(attempt.kind), because="as many look-ups as may be are under way")
        return self._settle(proof, attempt, presented)

    def _looked_up(self, inquiry: Inquiry[Proof], attempt: _Attempt) -> Inquiry[Proof]:
        try:
            proof = yield from inquiry
            if not isinstance(proof, Principal):
                return proof
            stands = self._unless_ended(proof, attempt)
            return stands if isinstance(stands, Principal | Refusal) else (yield from stands)
        except (Refused, Unavailable) as problem:
            return refusal_of(problem, attempt.kind)

    def _unless_ended(self, principal: Principal, attempt: _Attempt) -> Verdict:
        authenticator = attempt.authenticator
        home, looked_up = getattr(authenticator, "feed", None), getattr(authenticator, "looks_up", False) is True
        ended = self._endings.ended(principal, home, looked_up, self._clock())
        if ended is False:
            return principal
        return revoked(principal) if ended is True else _once_told(ended, principal)

    def _settle(self, proof: Proof, attempt: _Attempt, presented: Presented) -> Proof:
        kind = attempt.kind
        if isinstance(proof, Refusal):
            return self._refuse(proof, kind, presented)
        if not isinstance(proof, Principal) or proof.standing.kind != kind:
            raise TypeError(
                f"an authenticator of {kind!r} answered {type(proof).__name__}, not a Principal of that kind"
            )
        now = self._clock()
        if proof.standing.grant.mode != self._mode:
            return self._refuse(invalid(proof, wrong_mode(self._mode)), kind, presented)
        if not now < proof.expires_at:
            # It ended while it was looked up.
            return self._refuse(expired(proof), kind, presented)
        good_for: float = getattr(attempt.authenticator, "good_for", self._recheck)
        until = min(proof.expires_at, now + good_for)
        principal = Remembered(proof, self._standings.of(proof.standing), until, attempt.versions)
        if attempt.key is not None:
            self._keep(attempt.key, principal, attempt.generation)
        return principal if principal.standing.placeless else _presentable(principal, presented)

    def _refuse(self, refusal: Refusal, kind: str, presented: Presented) -> Refusal:
        """A secret key in a browser is told to be one, valid or not; an outage stays an outage."""
        if kind == SECRET_KEY and presented.in_browser and refusal.status != 503:
            return secret_key_in_browser(refusal, presented)
        return refusal


def _keep_nothing(key: bytes, entry: Remembered, generation: int) -> None:
    """What a rehearsal keeps."""


def _once_told(ended: Inquiry[bool], principal: Principal) -> Inquiry[Proof]:
    try:
        return revoked(principal) if (yield from ended) else principal
    except Unavailable as problem:
        return refusal_of(problem, principal.kind)


def _cache_key(presented: Presented) -> bytes | None:
    """The digest of all that was presented, None where that is not exactly one thing."""
    if presented.pair is None:
        return hashlib.sha256(presented.authorization[0]).digest() if len(presented.authorization) == 1 else None
    if isinstance(presented.pair, Refusal) or presented.authorization:
        return None
    # One byte longer than any header's, so that no header can be made to look like a pair.
    return hashlib.sha256("\0".join(presented.pair).encode()).digest() + b"\0"


def _is_spelled_as_kept(presented: Presented, credential: Credential) -> bool:
    """Whether this is the header that the credential is remembered by, however it was spelled: one credential has one
    place in the cache. It is part of the header, so that there is nothing else where there is no room."""
    header = presented.authorization[0]
    return len(header) == len(b"Bearer ") + len(credential.text) and header.startswith(b"Bearer ")


def _one_credential(presented: Presented) -> Credential | Refusal:
    text, pair = from_header(presented.authorization), presented.pair
    if isinstance(text, Refusal):
        return text
    if pair is None:
        return _missing(presented) if text is None else _credential(text, None)
    if isinstance(pair, Refusal):
        return pair
    if text is not None:
        return Refusal("credential_malformed", more="There is one in the header and one among the subprotocols.")
    return _credential(pair[1], pair[0])


def _credential(text: str, protocol: str | None) -> Credential:
    if text[0] == "e":
        try:
            return Credential(text, protocol, read_token(text))
        except InvalidToken as invalid:
            if text.count(".") == 2:
                log.debug("a token could not be read: %s", invalid.reason)
                return Credential(text, protocol, unreadable=invalid.reason)
    return Credential(text, protocol)


def _missing(presented: Presented) -> Refusal:
    if not presented.preflight:
        return Refusal("credential_missing")
    return Refusal(
        "credential_missing",
        more="This is a CORS preflight, which never carries one: the service has to set allow_origins=[…].",
    )


def _presentable(principal: Principal, presented: Presented) -> Proof:
    """Whether this principal's credential may come from where it came from."""
    if principal.kind == SECRET_KEY:
        if presented.in_browser and presented.origin not in principal.origins:
            return secret_key_in_browser(principal, presented)
    elif principal.origins and presented.origin not in principal.origins:
        because = f"it works from {', '.join(sorted(principal.origins))}, and the request is {whence(presented)}"
        return invalid(principal, because, "It does not work from this origin.")
    return principal
