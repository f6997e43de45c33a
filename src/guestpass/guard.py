"""The pipeline: from a request to a principal or a refusal, readable in one screen.

path → public rule → header form → credential → mode → a rule at all → `guestpass.authorize`. `Guard.decide` is one
plain function for what its cache knows; only a miss makes an inquiry. The doors let through nothing but what is a
`Principal`.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from guestpass import paths
from guestpass.authenticators import Authenticator, Authenticators
from guestpass.authorize import authorize, noun
from guestpass.cache import VerifiedCache
from guestpass.credentials import Credential, announces, from_header, from_subprotocols
from guestpass.errors import ConfigurationError, InvalidToken, Refused, Unavailable
from guestpass.grants import Grant, Mode
from guestpass.inquiry import Inquiry, ask, drive, drive_async
from guestpass.ownership import Ownership, OwnsAccount
from guestpass.policy import Policy
from guestpass.principal import SECRET_KEY, Principal
from guestpass.refusals import Refusal
from guestpass.requests import Request, canonical
from guestpass.rules import WEBSOCKET, Rule
from guestpass.tokens import read_token

ANYONE: Final = Principal(kind="anyone", subject="", grant=Grant("", "live"), credential_id="")
"""Who comes in through a public rule: no account, no component, no role. The application sees None instead."""

Proof: TypeAlias = Principal | Refusal
Verdict: TypeAlias = Proof | Inquiry[Proof]

log = logging.getLogger("guestpass")
security_log = logging.getLogger("guestpass.security")


@dataclass(slots=True)
class Presented:
    """What of a request's headers matters: who it says it is, where it comes from, which account it names."""

    authorization: list[bytes]
    accounts: list[str]
    pair: tuple[str, str] | Refusal | None = None
    origin: str | None = None
    in_browser: bool = False
    preflight: bool = False


class Guard:
    """Decides on requests: one policy, one mode, and one authenticator for each kind of credential.

    - `mode`: ``live`` or ``test``; credentials of the other are refused.
    - `realm`: the ``realm`` of every challenge.
    - `account_header`: where a request names the account that a key is to be used for.
    - `recheck`: seconds after which a cached verdict is asked for anew, so that a revocation elsewhere counts.
    - `lookups`: how many unseen credentials may be looked up at once; the excess is told to come again (503).
    - `cache_size`: how many verified credentials are remembered.

    Raises `ConfigurationError` for what cannot work.
    """

    def __init__(
        self,
        *,
        authenticators: Iterable[Authenticator],
        policy: Policy,
        mode: Mode,
        realm: str = "api",
        account_header: str = "Account-Id",
        recheck: float = 1.0,
        lookups: int = 64,
        cache_size: int = 100_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if mode not in ("live", "test"):
            raise ConfigurationError(f'Guard(mode={mode!r}): mode="live" or mode="test"')
        if '"' in realm or "\\" in realm or not realm.isprintable() or not realm.isascii():
            raise ConfigurationError(f"Guard(realm={realm!r}): plain printable ASCII without quotes")
        for name, value in (("recheck", recheck), ("lookups", lookups), ("cache_size", cache_size)):
            if not value > 0:
                raise ConfigurationError(f"Guard({name}={value!r}): a number above zero")
        self.authenticators: Final = Authenticators(authenticators)
        self.policy = policy
        self.mode: Final = mode
        self.realm: Final = realm
        self.account_header: Final = account_header
        self.clock: Final = clock
        self._account_header = canonical(account_header.encode())
        self._recheck = recheck
        self._cache = VerifiedCache(cache_size)
        self._lookups = threading.BoundedSemaphore(lookups)
        self.authenticators.attach(policy, self.forget)

    def check(self, credential: str) -> Principal:
        """Who a credential proves to be, apart from any request: for a backend that mints in process.

        May block on a look-up. Raises `Refused`.
        """
        return _principal(drive(self._identify_text(credential)))

    async def check_async(self, credential: str) -> Principal:
        """`check`, without holding up the event loop (asyncio or trio)."""
        return _principal(await drive_async(self._identify_text(credential)))

    def decide(self, request: Request) -> Verdict:
        """The verdict on a request; a generator (see `guestpass.inquiry`) where something has to be asked first."""
        path = request.path
        rule = None if path is None else self.policy.find(request.method, path)
        if path is None or not _reads_one_way(request, path, rule):
            return Refusal("path_ambiguous")
        if rule is not None and rule.public and not rule.optional:
            return ANYONE
        presented = self._read(request)
        proof = self._identify(presented)
        if isinstance(proof, Principal):
            return self._admit(proof, rule, request, presented)
        if isinstance(proof, Generator):
            return self._admit_later(proof, rule, request, presented)
        if rule is not None and rule.optional and proof.code == "credential_missing":
            return ANYONE
        return proof

    def add_rules(self, rules: Iterable[Rule]) -> None:
        """Add what the routes of an application say to the one policy, before its first request."""
        self.policy = self.policy.with_rules(rules)

    def forget(self, ended: Callable[[Principal], bool]) -> None:
        """Drop the cached verdicts on every principal for which `ended` is true."""
        self._cache.forget(ended)

    def _read(self, request: Request) -> Presented:
        read = Presented([], [])
        for name, value in request.headers:
            if b"_" in name:
                name = canonical(name)
            if name == b"authorization":
                read.authorization.append(value)
            elif name == self._account_header:
                read.accounts.append(value.decode("latin-1").strip())
            elif name == b"origin":
                read.origin, read.in_browser = value.decode("latin-1"), True
            elif name == b"sec-fetch-site":
                read.in_browser = True
            elif name == b"access-control-request-method":
                read.preflight = request.method == "OPTIONS"
        if request.method == WEBSOCKET:
            read.pair = from_subprotocols(request.subprotocols)
            # A page's script cannot set headers on a handshake, so a credential in one is a backend's.
            read.in_browser = read.in_browser and read.pair is not None
        return read

    def _identify(self, presented: Presented) -> Verdict:
        now = self.clock()
        key = _cache_key(presented)
        if key is not None:
            principal = self._cache.get(key, now)
            if principal is not None:
                return _presentable(principal, presented)
        credential = _one_credential(presented)
        if not isinstance(credential, Credential):
            return credential
        authenticator = self.authenticators.of(credential)
        kind = None if authenticator is None else authenticator.kind_of(credential)
        if authenticator is None or kind is None:
            return Refusal("credential_invalid", _looks_like(credential))
        if credential.protocol is not None and not announces(credential.protocol, kind):
            more = f"A credential of this kind does not come as the subprotocol {credential.protocol}."
            return Refusal("credential_malformed", noun(kind), more)
        if kind == SECRET_KEY and presented.in_browser and presented.origin is None:
            return _secret_key_in_browser(None)
        generation = self._cache.generation
        try:
            verdict = authenticator.authenticate(credential, now)
        except (Refused, Unavailable) as problem:
            verdict = _refusal_of(problem, kind)
        if isinstance(verdict, Generator):
            return self._look_up(verdict, kind, key, generation, presented)
        return self._settle(verdict, kind, key, generation, presented)

    def _look_up(
        self, inquiry: Inquiry[Proof], kind: str, key: bytes | None, generation: int, presented: Presented
    ) -> Inquiry[Proof]:
        if not self._lookups.acquire(blocking=False):
            return Refusal("overloaded", noun(kind))
        try:
            proof = yield from inquiry
        except (Refused, Unavailable) as problem:
            proof = _refusal_of(problem, kind)
        finally:
            self._lookups.release()
        return self._settle(proof, kind, key, generation, presented)

    def _settle(self, proof: Proof, kind: str, key: bytes | None, generation: int, presented: Presented) -> Proof:
        if isinstance(proof, Refusal):
            if kind == SECRET_KEY and presented.in_browser and proof.status != 503:
                return _secret_key_in_browser(None)
            return proof
        if not isinstance(proof, Principal) or proof.kind != kind:
            raise TypeError(
                f"an authenticator of {kind!r} answered {type(proof).__name__}, not a Principal of that kind"
            )
        now = self.clock()
        if proof.mode != self.mode or not now < proof.expires_at:
            return Refusal("credential_invalid", noun(kind))
        principal = replace(proof, grant=self.policy.close(proof.grant))
        if key is not None:
            self._cache.put(key, principal, min(principal.expires_at, now + self._recheck), generation)
        return _presentable(principal, presented)

    def _admit(self, principal: Principal, rule: Rule | None, request: Request, presented: Presented) -> Verdict:
        if rule is None:
            return Refusal("rule_missing", noun(principal.kind))
        if rule.public:
            return principal
        named = presented.accounts
        if rule.places:
            named = named + [name for place in rule.places for name in request.named(place, rule.parameters)]
        verdict = authorize(self.policy, rule, principal, named, None)
        if not isinstance(verdict, OwnsAccount):
            return verdict
        ownership = self.authenticators.ownership
        owned = False if ownership is None else ownership.known(verdict)
        if ownership is None or owned is not None:
            return _final(authorize(self.policy, rule, principal, named, owned))
        return self._ask_owner(ownership, verdict, rule, principal, named)

    def _ask_owner(
        self, ownership: Ownership, question: OwnsAccount, rule: Rule, principal: Principal, named: list[str]
    ) -> Inquiry[Proof]:
        try:
            owned = yield from ask(ownership, question)
        except Unavailable as problem:
            return _refusal_of(problem, principal.kind)
        return _final(authorize(self.policy, rule, principal, named, owned))

    def _admit_later(
        self, identifying: Inquiry[Proof], rule: Rule | None, request: Request, presented: Presented
    ) -> Inquiry[Proof]:
        proof = yield from identifying
        if isinstance(proof, Refusal):
            return proof
        verdict = self._admit(proof, rule, request, presented)
        return (yield from verdict) if isinstance(verdict, Generator) else verdict

    def _identify_text(self, credential: str) -> Inquiry[Proof]:
        verdict = self._identify(Presented([b"Bearer " + credential.encode("utf-8", "replace")], []))
        return (yield from verdict) if isinstance(verdict, Generator) else verdict


def _reads_one_way(request: Request, path: str, rule: Rule | None) -> bool:
    trouble = paths.trouble(request.whole_path, request.raw_path)
    if trouble is None:
        return True
    if trouble == "ambiguous" or rule is None or not rule.encoded_slashes or request.raw_path is None:
        return False
    above = request.whole_path.count("/") - path.count("/")
    return paths.raw_prefix_agrees(request.whole_path, request.raw_path, above + len(rule.segments))


def _cache_key(presented: Presented) -> bytes | None:
    """The digest of all that was presented, None where that is not exactly one thing."""
    if presented.pair is None:
        return hashlib.sha256(presented.authorization[0]).digest() if len(presented.authorization) == 1 else None
    if isinstance(presented.pair, Refusal) or presented.authorization:
        return None
    return hashlib.sha256("\0".join(("", *presented.pair)).encode()).digest()


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


def _refusal_of(problem: Refused | Unavailable, kind: str) -> Refusal:
    if isinstance(problem, Refused):
        return problem.refusal
    log.warning("%s: %s", problem.code, problem)
    return Refusal(problem.code, noun(kind), retry_after=problem.retry_after)


def _final(verdict: Proof | OwnsAccount) -> Proof:
    if isinstance(verdict, OwnsAccount):
        raise TypeError("authorize asked after an account that it had been told of")
    return verdict


def _principal(proof: Proof) -> Principal:
    if isinstance(proof, Refusal):
        raise Refused(proof)
    return proof
