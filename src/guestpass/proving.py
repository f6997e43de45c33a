"""From what a request presented to a principal: the first half of the pipeline, and the cache that shortens it.

header form → credential → mode. The credential's own form names its kind, and each kind has one authenticator. What
the cache knows takes one plain call; a look-up makes an inquiry.
"""

import hashlib
import logging
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from guestpass.authenticators import Authenticator, Authenticators
from guestpass.authorize import noun
from guestpass.cache import VerifiedCache
from guestpass.credentials import Credential, announces, from_header
from guestpass.endings import Endings
from guestpass.errors import InvalidToken, Refused, Unavailable
from guestpass.grants import Grant, Mode
from guestpass.inquiry import Inquiry
from guestpass.look_ups import LookUps, NoPlace
from guestpass.principal import (
    ACCOUNT_SESSION,
    IDENTITY_TOKEN,
    PUBLISHABLE_KEY,
    SECRET_KEY,
    SIGNED_TOKEN,
    Principal,
    Remembered,
)
from guestpass.refusals import Refusal
from guestpass.requests import Presented
from guestpass.revocation_list import KEYS
from guestpass.standings import Standings
from guestpass.tokens import read_token
from guestpass.upkeep import UPKEEP

Proof: TypeAlias = Principal | Refusal
Verdict: TypeAlias = Proof | Inquiry[Proof]

log = logging.getLogger("guestpass")
security_log = logging.getLogger("guestpass.security")


@dataclass(frozen=True, slots=True)
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
        self._authenticators = authenticators
        self._standings = Standings(close)
        self._mode = mode
        self._clock = clock
        self._cache = cache
        self._endings = endings
        self._recheck = recheck
        self._look_ups: LookUps[Proof] = LookUps(lookups)

    def identify(self, presented: Presented) -> Verdict:
        """Who presented this; a generator where something outside has to be asked first."""
        now = self._clock()
        key = _cache_key(presented)
        if key is not None:
            proof = self._recalled(key, now)
            if proof is not None:
                return _presentable(proof, presented) if isinstance(proof, Principal) else proof
        credential = _one_credential(presented)
        if not isinstance(credential, Credential):
            return credential
        if key is not None and credential.protocol is None and presented.authorization[0] != _header(credential.text):
            key = hashlib.sha256(_header(credential.text)).digest()
            if (proof := self._recalled(key, now)) is not None:
                return _presentable(proof, presented) if isinstance(proof, Principal) else proof
        authenticator = self._authenticators.of(credential)
        kind = None if authenticator is None else authenticator.kind_of(credential)
        if authenticator is None or kind is None:
            return Refusal("credential_invalid", _looks_like(credential))
        if kind == SECRET_KEY and presented.in_browser and presented.origin is None:
            return _secret_key_in_browser(None)
        if credential.protocol is not None and not announces(credential.protocol, kind):
            more = f"A credential of this kind does not come as the subprotocol {credential.protocol}."
            return self._refuse(Refusal("credential_malformed", noun(kind), more), kind, presented)
        UPKEEP.start()
        seen = self._cache.generation, self._endings.versions
        try:
            verdict = authenticator.authenticate(credential, now)
        except (Refused, Unavailable) as problem:
            verdict = refusal_of(problem, kind)
        attempt = _Attempt(authenticator, kind, key, *seen)
        if isinstance(verdict, Generator):
            verdict = self._looked_up(verdict, attempt)
        elif isinstance(verdict, Principal):
            verdict = self._unless_ended(verdict, attempt)
        if isinstance(verdict, Generator):
            return self._look_up(verdict, attempt, presented)
        return self._settle(verdict, attempt, presented)

    def assuming(self, principal: Principal) -> Callable[[Presented], Verdict]:
        """What `identify` would answer if the credential of `principal` were presented each time: for tests."""
        closed = Remembered(principal, self._standings.of(principal.standing), principal.expires_at, ())

        def identify(presented: Presented) -> Verdict:
            if not self._clock() < closed.expires_at:
                refusal = Refusal(_EXPIRED.get(closed.kind, "credential_invalid"), noun(closed.kind))
                return self._refuse(refusal, closed.kind, presented)
            return _ended(closed) if self._endings.has_ended(closed) else _presentable(closed, presented)

        return identify

    def _recalled(self, key: bytes, now: float) -> Proof | None:
        """What the cache knows; a refusal where it has heard of an end since."""
        entry, endings = self._cache.get(key), self._endings
        if entry is None or now >= entry.until or now >= endings.trusted_until:
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
        return _ended(principal) if principal.kind not in KEYS and self._endings.has_ended(principal) else None

    def _look_up(self, inquiry: Inquiry[Proof], attempt: _Attempt, presented: Presented) -> Inquiry[Proof]:
        key = attempt.key
        known, seen = key is not None and self._cache.knew(key), (attempt.generation, attempt.versions)
        try:
            proof = yield from self._look_ups.run(inquiry, key=key, known=known, seen=seen)
        except NoPlace:
            return Refusal("overloaded", noun(attempt.kind))
        return self._settle(proof, attempt, presented)

    def _looked_up(self, inquiry: Inquiry[Proof], attempt: _Attempt) -> Inquiry[Proof]:
        try:
            proof = yield from inquiry
            if not isinstance(proof, Principal):
                return proof
            stands = self._unless_ended(proof, attempt)
            return (yield from stands) if isinstance(stands, Generator) else stands
        except (Refused, Unavailable) as problem:
            return refusal_of(problem, attempt.kind)

    def _unless_ended(self, principal: Principal, attempt: _Attempt) -> Verdict:
        authenticator = attempt.authenticator
        home, looked_up = getattr(authenticator, "feed", None), getattr(authenticator, "looks_up", False) is True
        ended = self._endings.ended(principal, home, looked_up, self._clock())
        if isinstance(ended, Generator):
            return _once_told(ended, principal)
        return _ended(principal) if ended else principal

    def _settle(self, proof: Proof, attempt: _Attempt, presented: Presented) -> Proof:
        kind = attempt.kind
        if isinstance(proof, Refusal):
            return self._refuse(proof, kind, presented)
        if not isinstance(proof, Principal) or proof.kind != kind:
            raise TypeError(
                f"an authenticator of {kind!r} answered {type(proof).__name__}, not a Principal of that kind"
            )
        now = self._clock()
        if proof.mode != self._mode:
            return self._refuse(Refusal("credential_invalid", noun(kind)), kind, presented)
        if not now < proof.expires_at:
            # It ended while it was looked up.
            return self._refuse(Refusal(_EXPIRED.get(kind, "credential_invalid"), noun(kind)), kind, presented)
        good_for = cast("float", getattr(attempt.authenticator, "good_for", self._recheck))
        until = min(proof.expires_at, now + good_for)
        principal = Remembered(proof, self._standings.of(proof.standing), until, attempt.versions)
        if attempt.key is not None:
            self._cache.put(attempt.key, principal, attempt.generation)
        return _presentable(principal, presented)

    def _refuse(self, refusal: Refusal, kind: str, presented: Presented) -> Refusal:
        """A secret key in a browser is told to be one, valid or not; an outage stays an outage."""
        if kind == SECRET_KEY and presented.in_browser and refusal.status != 503:
            return _secret_key_in_browser(None)
        return refusal


_REVOKED: Final = {
    SECRET_KEY: "key_revoked",
    PUBLISHABLE_KEY: "key_revoked",
    ACCOUNT_SESSION: "session_revoked",
}

_EXPIRED: Final = {
    SECRET_KEY: "key_expired",
    PUBLISHABLE_KEY: "key_expired",
    ACCOUNT_SESSION: "session_expired",
    SIGNED_TOKEN: "token_expired",
    IDENTITY_TOKEN: "token_expired",
}


def _once_told(ended: Inquiry[bool], principal: Principal) -> Inquiry[Proof]:
    try:
        return _ended(principal) if (yield from ended) else principal
    except Unavailable as problem:
        return refusal_of(problem, principal.kind)


def _ended(principal: Principal) -> Refusal:
    return Refusal(_REVOKED.get(principal.kind, "token_revoked"), noun(principal.kind))


def _cache_key(presented: Presented) -> bytes | None:
    """The digest of all that was presented, None where that is not exactly one thing."""
    if presented.pair is None:
        return hashlib.sha256(presented.authorization[0]).digest() if len(presented.authorization) == 1 else None
    if isinstance(presented.pair, Refusal) or presented.authorization:
        return None
    # One byte longer than any header's, so that no header can be made to look like a pair.
    return hashlib.sha256("\0".join(presented.pair).encode()).digest() + b"\0"


def _header(text: str) -> bytes:
    """The header that a credential is remembered by, however it was spelled: one credential has one place in the
    cache."""
    return b"Bearer " + text.encode()


def _one_credential(presented: Presented) -> Credential | Refusal:
    text, pair = from_header(presented.authorization), presented.pair
    for refusal in (text, pair):
        if isinstance(refusal, Refusal):
            return refusal
    if pair is None or isinstance(pair, Refusal):
        return _missing(presented) if text is None or isinstance(text, Refusal) else _credential(text, None)
    if text is not None:
        return Refusal("credential_malformed", more="There is one in the header and one among the subprotocols.")
    return _credential(pair[1], pair[0])


def _credential(text: str, protocol: str | None) -> Credential:
    token = None
    if text[0] == "e" and text.count(".") == 2:
        try:
            token = read_token(text)
        except InvalidToken as invalid:
            log.debug("a token could not be read: %s", invalid.reason)
    return Credential(text, protocol, token)


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
            return _secret_key_in_browser(principal)
    elif principal.origins and presented.origin not in principal.origins:
        return Refusal("credential_invalid", noun(principal.kind), "It does not work from this origin.")
    return principal


def _secret_key_in_browser(principal: Principal | None) -> Refusal:
    known = "one that is not valid" if principal is None else f"{principal.credential_id} of {principal.platform}"
    security_log.warning("secret_key_in_browser: a browser presented a secret key: %s", known)
    return Refusal("secret_key_in_browser")


def _looks_like(credential: Credential) -> str:
    return "token" if credential.text.count(".") == 2 else "credential"


def refusal_of(problem: Refused | Unavailable, kind: str) -> Refusal:
    """What answers a problem that came up while a credential of `kind` was looked at."""
    if isinstance(problem, Refused):
        return problem.refusal
    log.warning("%s: %s", problem.code, problem)
    return Refusal(problem.code, noun(kind), retry_after=problem.retry_after)
