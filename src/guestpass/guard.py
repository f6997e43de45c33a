"""The pipeline: from a request to a principal or a refusal, readable in one screen.

path → public rule → header form → credential → mode → a rule at all → `guestpass.authorize`. `Guard.decide` is one
plain function for what its cache knows; only a miss makes an inquiry. The doors let through nothing but what is a
`Principal`.
"""

import copy
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import Final

from guestpass import paths
from guestpass.authenticators import Authenticator, Authenticators, Ended
from guestpass.authorize import authorize, noun
from guestpass.cache import VerifiedCache
from guestpass.errors import ConfigurationError, Refused, Unavailable
from guestpass.events import Tell
from guestpass.explaining.explanation import Explanation, explain
from guestpass.explaining.tracing import Decides, Trace
from guestpass.grants import Grant, Mode
from guestpass.guard_settings import check_bounds, check_guard
from guestpass.inquiry import Inquiry, ask, drive, drive_async
from guestpass.observing import Observed, telling
from guestpass.ownership import Ownership, OwnsAccount
from guestpass.policy import Policy
from guestpass.principal import Principal, Remembered
from guestpass.proving import Proof, Prover, Verdict
from guestpass.refusals import Refusal
from guestpass.requests import (
    ACCOUNT,
    AUTHORIZATION,
    BROWSER,
    HeaderItems,
    Headers,
    Presented,
    Request,
    canonical,
    meanings_of_request,
    read,
    reads_one_way,
    written,
)
from guestpass.revocation.endings import Endings
from guestpass.revocation.feed import unique
from guestpass.revocation.revocations import Revocations
from guestpass.rule_table import RouteRule
from guestpass.rules import Rule
from guestpass.unproved import refusal_of
from guestpass.watchers import Watchers

ANYONE: Final = Principal(kind="anyone", subject="", grant=Grant("", "live"), credential_id="")
"""Who comes in through a public rule: no account, no component, no role. The application sees None instead."""

UNNAMED: Final = Principal(kind="anyone", subject="", grant=Grant("", "live"), credential_id="unnamed")
"""The same, where a credential would have been looked at: the answer is for those without one."""


log = logging.getLogger("guestpass")


def seen_by_application(admitted: Principal) -> Principal | None:
    """Whom the application is told of: nobody where nobody said who they are."""
    return None if admitted is ANYONE or admitted is UNNAMED else admitted


class Guard:
    """Decides on requests: one policy, one mode, and one authenticator for each kind of credential.

    - `mode`: ``live`` or ``test``; credentials of the other are refused.
    - `realm`: the ``realm`` of every challenge.
    - `account_header`: where a request names the account that a key is to be used for.
    - `max_list_age`: seconds for which a store's list of revocations is good without being read again; after that
      sessions are asked of the store, and tokens are refused with 503.
    - `recheck`: seconds after which a verdict on a kind of one's own is asked for anew, unless its authenticator says
      how long one is good.
    - `lookups`: how many unseen credentials may be looked up at once; the excess is told to come again (503).
    - `cache_size`: how many verified credentials are remembered.
    - `observe`: one or several functions that are told of every decision and of what bears on security
      (`guestpass.events`); they have no say in it. ``decide`` is as it is without them where there are none.

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
        max_list_age: float = 10.0,
        recheck: float = 1.0,
        lookups: int = 32,
        cache_size: int = 100_000,
        observe: Tell | Iterable[Tell] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        check_guard(mode, realm, account_header, policy)
        check_bounds({"max_list_age": max_list_age, "recheck": recheck}, {"lookups": lookups, "cache_size": cache_size})
        self.authenticators = Authenticators(authenticators)
        self.policy = policy
        self.mode: Final = mode
        self.realm: Final = realm
        self.account_header: Final = account_header
        self.clock: Final = clock
        self._meanings = meanings_of_request(canonical(account_header.encode()))
        self._cache = VerifiedCache(cache_size)
        self._watchers: Final = Watchers()
        feeds = unique(getattr(one, "feed", None) for one in self.authenticators)
        self._endings = Endings(feeds, max_list_age, clock, self._watchers.heard)
        self._prover = Prover(
            self.authenticators,
            policy.close,
            mode=mode,
            clock=clock,
            cache=self._cache,
            endings=self._endings,
            recheck=recheck,
            lookups=lookups,
        )
        self._overriding = threading.Lock()
        self._overrides: list[Callable[[Presented], Verdict]] = []
        self._identify: Callable[[Presented], Verdict] = self._prover.identify
        self._remembered: Callable[[bytes], Remembered | None] = self._cache.get
        tell = telling(observe)
        self._observed: Observed | None = None
        if tell is not None:
            self._observed = Observed(self, tell)
            # In their place, so that nothing of this is in the way of who is not observed.
            self.recall = self._observed.recall  # type: ignore[method-assign]
            self.decide = self._observed.decide  # type: ignore[method-assign]
        self.authenticators.attach(policy, self.forget, tell)

    def check(self, credential: str) -> Principal:
        """Who a credential proves to be, apart from any request: for a backend that mints in process.

        May block on a look-up. Raises `Refused`.
        """
        return _principal(drive(self._identify_text(credential)))

    async def check_async(self, credential: str) -> Principal:
        """`check`, without holding up the event loop (asyncio or trio)."""
        return _principal(await drive_async(self._identify_text(credential)))

    def recall(
        self, method: str, path: str | None, whole_path: str, raw_path: bytes | None, headers: Headers
    ) -> Principal | None:
        """Whom `decide` lets in, where it has let in the like before; None wherever that takes a closer look.

        The hit path. It finds nothing out: the credential was proved, and nothing was heard of its end since; the rule
        let in its `Standing`, so that there is no more to compare than the account and where it came from. What it
        answers, `decide` would: a law of the tests. It is told the parts of a `Request`, which it does not need whole.
        """
        # Equal lengths leave no room for an escape: what was sent is what was decoded.
        if path is None or (raw_path is not None and len(raw_path) != len(whole_path)):
            return None
        authorization, account, in_browser = None, None, False
        meanings = self._meanings.known
        try:
            for name, value in headers:
                meaning = meanings[name]
                if not meaning:
                    continue
                if meaning == AUTHORIZATION and authorization is None:
                    authorization = value
                elif meaning == BROWSER:
                    in_browser = True
                elif meaning == ACCOUNT and account is None:
                    account = value
                else:
                    return None
        except KeyError:
            for name, _ in headers:
                self._meanings.learn(name)
            return None
        known = None if authorization is None else self._remembered(sha256(authorization).digest())
        endings = self._endings
        if known is None or known.versions is not endings.versions:
            return None
        now = self.clock()
        if now >= known.until or now >= endings.trusted_until:
            return None
        standing, policy = known.standing, self.policy
        literal = policy.literal.get(method)
        rule = None if literal is None else literal.get(path)
        if rule is None:
            rule = policy.recall(method, path, standing.account)
        if rule not in standing.admitted:
            return None
        sent = standing.account_header
        if account is not None and account != sent and account.strip(b" \t") != sent:
            return None
        if path is not whole_path and paths.trouble(whole_path, None) is not None:
            return None
        if in_browser or standing.origins:
            return known if standing.placeless else None
        return known

    def decide(self, request: Request) -> Verdict:
        """The verdict on a request; a generator (see `guestpass.inquiry`) where something has to be asked first."""
        route = None if request.path is None else self.policy.match(request.method, request.path)
        rule = None if route is None else route.rule
        if not reads_one_way(request, rule):
            return Refusal("path_ambiguous", more="" if request.path is None else paths.ONE_WAY)
        if self.policy.is_contested(request.method, request.path or "", rule):
            return Refusal("path_ambiguous", more="Two rules compete for it; one for just this path would end that.")
        if rule is not None and rule.public and not rule.optional:
            return ANYONE
        presented = read(request, self._meanings)
        proof = self._identify(presented)
        if isinstance(proof, Principal):
            return self._admit(proof, route, request, presented)
        if isinstance(proof, Refusal):
            nobody = rule is not None and rule.optional and proof.code == "credential_missing"
            return UNNAMED if nobody else proof
        return self._admit_later(proof, route, request, presented)

    @property
    def reviewing(self) -> Decides:
        """The same decisions, for looking again at a connection that lives on: of them, observers are told the one that
        ends it."""
        return self if self._observed is None else self._observed.reviewing

    def tracing(self, trace: Trace) -> Decides:
        """The same decisions, to be asked for one, which notes in `trace` what it comes across: what explains and what
        observes are made of."""
        twin = copy.copy(self)
        # The pipeline itself, whoever observes.
        vars(twin).pop("decide", None)
        if trace.rehearsing:
            twin.authenticators = self.authenticators.unnoticed()
        finding = trace.finding(twin.authenticators)
        beside = self._prover.beside(finding, trace.recalling, rehearsing=trace.rehearsing)
        trace.overridden = bool(self._overrides)
        twin._identify = trace.identifying(self._identify if trace.overridden else beside.identify)
        return twin

    def explain(
        self,
        request: Request | str,
        *,
        headers: HeaderItems = (),
        subprotocols: Sequence[str] = (),
    ) -> Explanation:
        """Why a request is let in or refused, check by check: ``guard.explain("GET /v1/call_logs", headers={…})``.

        It is `decide` that is run, as for a real request: what is cached counts as cached, and what has to be asked of
        a store, of `owns` or of an issuer is asked, within the same bounds; a fetch for an unknown ``kid`` is one of
        those that the issuer's budget allows. Beyond that nothing is left behind: no verdict is kept, no key counts as
        used, no account as known, and no security event is reported. May block on a look-up.

        It tells more than a caller may know. Never answer a request with it. Raises ValueError for a text that is no
        request: see `guestpass.requests.written`.
        """
        return drive(explain(self, _read_written(request, headers, subprotocols)))

    async def explain_async(
        self,
        request: Request | str,
        *,
        headers: HeaderItems = (),
        subprotocols: Sequence[str] = (),
    ) -> Explanation:
        """`explain`, without holding up the event loop."""
        return await drive_async(explain(self, _read_written(request, headers, subprotocols)))

    def reads_one_way(self, request: Request) -> bool:
        """Whether nobody could take the request's path for another, whatever rule it is for."""
        return reads_one_way(request, None)

    @contextmanager
    def override(self, principal: Principal) -> Generator[None]:
        """For tests: inside the block every request, from any thread, is judged as if the credential of `principal`
        came with it, whatever does come. The policy holds as ever, and so does where a credential may come from, its
        expiry and its revocation; `check` is not concerned.

        Raises `ConfigurationError` unless guard and principal are of test mode.
        """
        if self.mode != "test" or principal.mode != "test":
            whose = "guard" if self.mode != "test" else "principal"
            raise ConfigurationError(
                f"guard.override(…): the {whose} is in live mode, and what is live is never overridden; tests build "
                'the application with Guard(mode="test"), and principals with guestpass.testing.principal(…)'
            )
        mine = self._prover.assuming(principal)
        with self._overriding:
            self._overrides.append(mine)
            self._identify, self._remembered = mine, _nobody
        try:
            yield
        finally:
            # Whatever order several end in, none outlasts its block.
            with self._overriding:
                self._overrides.remove(mine)
                self._identify = [self._prover.identify, *self._overrides][-1]
                self._remembered = _nobody if self._overrides else self._cache.get

    def add_rules(self, rules: Iterable[Rule]) -> None:
        """Add rules to the policy, such as those of the issuing API, before the first request."""
        self.policy = self.policy.with_rules(rules)

    def add_routes(self, routes: Sequence[RouteRule]) -> None:
        """Add what the routes of the one application it protects say to the policy, before the first request."""
        self.policy = self.policy.with_routes(routes)

    @property
    def revocations(self) -> Revocations:
        """Ends what is in the store of its credentials: see `Revocations`.

        Raises `ConfigurationError` where nothing of the guard's is in a store, or in several: then one is made for
        each, ``Revocations(store)``.
        """
        feeds = self._endings.feeds
        if len(feeds) != 1:
            known = "none of its authenticators has a store" if not feeds else "its authenticators have several stores"
            raise ConfigurationError(f"guard.revocations: {known}; write Revocations(store)")
        return Revocations(feeds[0].store, mode=self.mode, clock=self.clock)

    def forget(self, ended: Ended) -> None:
        """Drop the cached verdicts on every principal for which `ended` is true."""
        self._cache.forget(ended)
        self._watchers.forgotten(ended)

    def watch(self, principal: Principal, ended: Callable[[], None]) -> Callable[[], None]:
        """Have `ended` called when something is heard of `principal`, or the verdict on it is dropped; the answer ends
        that. From any thread."""
        return self._watchers.add(principal, ended)

    def _admit(self, principal: Principal, route: RouteRule | None, request: Request, presented: Presented) -> Verdict:
        if route is None:
            return Refusal("rule_missing", noun(principal.kind))
        rule = route.rule
        if rule.public:
            return principal
        named = presented.accounts + request.accounts(rule) if rule.places else presented.accounts
        verdict = authorize(self.policy, rule, principal, named, None)
        if verdict is principal and isinstance(principal, Remembered) and route not in principal.standing.admitted:
            principal.standing.admit(route)
        if isinstance(verdict, Refusal) and verdict.code == "account_missing" and not verdict.more:
            return replace(verdict, more=f"Send it in the header {self.account_header}.")
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
            return refusal_of(problem, principal.kind)
        return _final(authorize(self.policy, rule, principal, named, owned))

    def _admit_later(
        self, identifying: Inquiry[Proof], route: RouteRule | None, request: Request, presented: Presented
    ) -> Inquiry[Proof]:
        proof = yield from identifying
        if isinstance(proof, Refusal):
            return proof
        verdict = self._admit(proof, route, request, presented)
        return (yield from verdict) if isinstance(verdict, Generator) else verdict

    def _identify_text(self, credential: str) -> Inquiry[Proof]:
        verdict = self._prover.identify(Presented([b"Bearer " + credential.encode("utf-8", "replace")], []))
        return (yield from verdict) if isinstance(verdict, Generator) else verdict


def _nobody(_: bytes) -> None:
    """Who is remembered while all requests are judged as somebody else's."""


def _read_written(request: Request | str, headers: HeaderItems, subprotocols: Sequence[str]) -> Request:
    return request if isinstance(request, Request) else written(request, headers, subprotocols)


def _final(verdict: Proof | OwnsAccount) -> Proof:
    if isinstance(verdict, OwnsAccount):
        raise TypeError("authorize asked after an account that it had been told of")
    return verdict


def _principal(proof: Proof) -> Principal:
    if isinstance(proof, Refusal):
        raise Refused(proof)
    return proof
