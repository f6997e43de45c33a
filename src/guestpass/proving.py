"""From what a request presented to a principal: the first half of the pipeline, and the cache that shortens it.

header form → credential → mode. The credential's own form names its kind, and each kind has one authenticator. What
the cache knows takes one plain call; a look-up makes an inquiry.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TypeAlias

from guestpass.authenticators import Authenticators
from guestpass.authorize import noun
from guestpass.cache import VerifiedCache
from guestpass.credentials import Credential, announces, from_header
from guestpass.errors import InvalidToken, Refused, Unavailable
from guestpass.grants import Grant, Mode
from guestpass.inquiry import Inquiry, in_single_flight
from guestpass.principal import SECRET_KEY, Principal
from guestpass.refusals import Refusal
from guestpass.requests import Presented
from guestpass.tokens import read_token
from guestpass.upkeep import UPKEEP

Proof: TypeAlias = Principal | Refusal
Verdict: TypeAlias = Proof | Inquiry[Proof]

log = logging.getLogger("guestpass")
security_log = logging.getLogger("guestpass.security")


class Prover:
    """Proves credentials, in one mode.

    `close` spells a grant out in the policy's names. A verdict is kept for `recheck` seconds. At most `lookups`
    inquiries are under way at once on credentials never seen, and as many on those that were.
    """

    def __init__(
        self,
        authenticators: Authenticators,
        close: Callable[[Grant], Grant],
        *,
        mode: Mode,
        clock: Callable[[], float],
        cache: VerifiedCache,
        recheck: float,
        lookups: int,
    ) -> None:
        self._authenticators = authenticators
        self._close = close
        self._mode = mode
        self._clock = clock
        self._cache = cache
        self._recheck = recheck
        # Apart, so that a crowd of strangers never keeps out who was here a moment ago.
        self._strangers = threading.BoundedSemaphore(lookups)
        self._acquaintances = threading.BoundedSemaphore(lookups)

    def identify(self, presented: Presented) -> Verdict:
        """Who presented this; a generator where something outside has to be asked first."""
        now = self._clock()
        key = _cache_key(presented)
        if key is not None:
            principal = self._cache.get(key, now)
            if principal is not None:
                return _presentable(principal, presented)
        credential = _one_credential(presented)
        if not isinstance(credential, Credential):
            return credential
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
        generation = self._cache.generation
        try:
            verdict = authenticator.authenticate(credential, now)
        except (Refused, Unavailable) as problem:
            verdict = refusal_of(problem, kind)
        if isinstance(verdict, Generator):
            return self._look_up(verdict, kind, key, generation, presented)
        return self._settle(verdict, kind, key, generation, presented)

    def _look_up(
        self, inquiry: Inquiry[Proof], kind: str, key: bytes | None, generation: int, presented: Presented
    ) -> Inquiry[Proof]:
        places = self._acquaintances if key is not None and self._cache.knew(key) else self._strangers
        try:
            proof = yield from _in_place(inquiry, places)
        except _NoPlace:
            return Refusal("overloaded", noun(kind))
        except (Refused, Unavailable) as problem:
            proof = refusal_of(problem, kind)
        return self._settle(proof, kind, key, generation, presented)

    def _settle(self, proof: Proof, kind: str, key: bytes | None, generation: int, presented: Presented) -> Proof:
        if isinstance(proof, Refusal):
            return self._refuse(proof, kind, presented)
        if not isinstance(proof, Principal) or proof.kind != kind:
            raise TypeError(
                f"an authenticator of {kind!r} answered {type(proof).__name__}, not a Principal of that kind"
            )
        now = self._clock()
        if proof.mode != self._mode or not now < proof.expires_at:
            return self._refuse(Refusal("credential_invalid", noun(kind)), kind, presented)
        principal = replace(proof, grant=self._close(proof.grant))
        if key is not None:
            self._cache.put(key, principal, min(principal.expires_at, now + self._recheck), generation)
        return _presentable(principal, presented)

    def _refuse(self, refusal: Refusal, kind: str, presented: Presented) -> Refusal:
        """A secret key in a browser is told to be one, valid or not; an outage stays an outage."""
        if kind == SECRET_KEY and presented.in_browser and refusal.status != 503:
            return _secret_key_in_browser(None)
        return refusal


class _NoPlace(Exception):
    """As many look-ups as may be under way are."""


def _in_place(inquiry: Inquiry[Proof], places: threading.BoundedSemaphore) -> Inquiry[Proof]:
    """`inquiry`, holding one of `places` while somebody is asked for whom each asker is work."""
    answer: object = None
    problem: Exception | None = None
    while True:
        try:
            asked = inquiry.send(answer) if problem is None else inquiry.throw(problem)
        except StopIteration as end:
            proof: Proof = end.value
            return proof
        answer, problem = None, None
        counted = not in_single_flight(asked.of)
        if counted and not places.acquire(blocking=False):
            inquiry.close()
            raise _NoPlace
        try:
            answer = yield asked
        except Exception as raised:  # noqa: BLE001 - the inquiry decides what it means
            problem = raised
        finally:
            if counted:
                places.release()


def _cache_key(presented: Presented) -> bytes | None:
    """The digest of all that was presented, None where that is not exactly one thing."""
    if presented.pair is None:
        return hashlib.sha256(presented.authorization[0]).digest() if len(presented.authorization) == 1 else None
    if isinstance(presented.pair, Refusal) or presented.authorization:
        return None
    # One byte longer than any header's, so that no header can be made to look like a pair.
    return hashlib.sha256("\0".join(presented.pair).encode()).digest() + b"\0"


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
