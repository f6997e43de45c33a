"""Telling observers of what a guard decides, once for each decision, and without a say in it.

An observer that raises is logged, and nothing else comes of it. Where nobody observes nothing of this runs: a guard
puts `Observed.decide` in the place of its own only if somebody does.
"""

import inspect
import logging
import time
from collections.abc import Callable, Generator, Iterable
from typing import Final, Protocol, TypeAlias, cast

from guestpass.errors import ConfigurationError
from guestpass.events import SECURITY, Decided, Event, SecurityEvent, Source, Tell
from guestpass.explaining.seen import presented
from guestpass.explaining.tracing import Decides, Trace
from guestpass.inquiry import Inquiry
from guestpass.policy import Policy
from guestpass.principal import Principal
from guestpass.proving import Proof, Verdict
from guestpass.quoting import Veil, where
from guestpass.refusals import Refusal
from guestpass.requests import Headers, Request
from guestpass.rules import HTTP_METHODS, WEBSOCKET, Rule
from guestpass.sparse_log import SparseLog

failures: Final = SparseLog(logging.getLogger("guestpass"))

_METHODS: Final = {**{method: method for method in (*HTTP_METHODS, "HEAD")}, WEBSOCKET: "WEBSOCKET"}

Recall: TypeAlias = Callable[[str, str | None, str, bytes | None, Headers], Principal | None]


class Observable(Protocol):
    """A guard, as far as it is needed here."""

    @property
    def policy(self) -> Policy: ...
    @property
    def recall(self) -> Recall: ...
    def tracing(self, trace: Trace, /) -> Decides: ...


def telling(observe: Tell | Iterable[Tell]) -> Tell | None:
    """One that tells all observers, whatever each of them does; None where there are none.

    Raises `ConfigurationError` for what cannot be told anything.
    """
    one_only = callable(observe) or not isinstance(cast("object", observe), Iterable)
    observers = (observe,) if one_only else tuple(cast("Iterable[object]", observe))
    for one in observers:
        if not callable(one) or isinstance(one, type):
            raise ConfigurationError(f"Guard(observe={one!r}): a function that is called with each event")
        if inspect.iscoroutinefunction(one) or inspect.iscoroutinefunction(getattr(type(one), "__call__", None)):  # noqa: B004
            raise ConfigurationError(f"Guard(observe={one!r}): a plain function, not an async one")
    return _Telling(observers) if observers else None


class _Telling:
    """Two that tell the same observers are one, so that what several guards share tells nobody twice."""

    def __init__(self, observers: tuple[object, ...]) -> None:
        self._observers: Final = observers
        self._who: Final = tuple(map(id, observers))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Telling) and self._who == other._who

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, event: Event) -> None:
        for observer in self._observers:
            try:
                observer(event)  # type: ignore[operator] # `telling` saw to it
            except Exception as problem:  # noqa: BLE001 - it has no say
                failures("an observer failed: %s", where(problem), exc_info=True)


class Observed:
    """The decisions of a guard, told of. To be made before the guard has `recall` and `decide` of this."""

    def __init__(self, guard: Observable, tell: Tell, timer: Callable[[], float] = time.perf_counter) -> None:
        self._guard = guard
        self._recall = guard.recall
        self._tell = tell
        self._timer = timer
        self.reviewing: Final[Decides] = _Reviewing(self)

    def recall(
        self, method: str, path: str | None, whole_path: str, raw_path: bytes | None, headers: Headers
    ) -> Principal | None:
        """Whom the guard remembers: see `guestpass.Guard.recall`."""
        began = self._timer()
        principal = self._recall(method, path, whole_path, raw_path, headers)
        if principal is not None:
            # Nothing was come across: it is known that all of it would be as it was.
            request = Request(method, path, whole_path, raw_path, b"", headers)
            self._told(request, Trace(recalled=principal, proof=principal), principal, began)
        return principal

    def decide(self, request: Request) -> Verdict:
        """The verdict on a request: see `guestpass.Guard.decide`."""
        return self._watch(request, self._told)

    def review(self, request: Request) -> Verdict:
        """The verdict on a request that was let in before; told of only where it ends the connection."""
        return self._watch(request, self._told_if_ended)

    def _watch(self, request: Request, told: "_Told") -> Verdict:
        began, trace = self._timer(), Trace()
        try:
            verdict = self._guard.tracing(trace).decide(request)
        except Exception as problem:
            told(request, trace, _unforeseen(problem), began)
            raise
        if isinstance(verdict, Generator):
            return self._later(verdict, request, trace, began, told)
        told(request, trace, verdict, began)
        return verdict

    def _later(
        self, inquiry: Inquiry[Proof], request: Request, trace: Trace, began: float, told: "_Told"
    ) -> Inquiry[Proof]:
        # Where the client leaves before there is a verdict, there is nothing to tell of.
        try:
            verdict = yield from inquiry
        except Exception as problem:
            told(request, trace, _unforeseen(problem), began)
            raise
        told(request, trace, verdict, began)
        return verdict

    def _told(self, request: Request, trace: Trace, verdict: Proof, began: float) -> None:
        event = _decided(request, self._rule(request), trace, verdict, self._timer() - began)
        self._tell(event)
        if event.code in SECURITY:
            fields = (event.rule, event.kind, event.platform, event.account, event.credential_id, event.because)
            self._tell(SecurityEvent(event.code, *fields))

    def _told_if_ended(self, request: Request, trace: Trace, verdict: Proof, began: float) -> None:
        # Who was let in stays until somebody can tell; and that a live credential was ended is no use of it.
        if isinstance(verdict, Refusal) and verdict.status != 503:
            self._tell(_decided(request, self._rule(request), trace, verdict, self._timer() - began))

    def _rule(self, request: Request) -> Rule | None:
        return None if request.path is None else self._guard.policy.find(request.method, request.path)


_Told = Callable[[Request, Trace, Proof, float], None]


class _Reviewing:
    def __init__(self, observed: Observed) -> None:
        self.decide = observed.review


def _unforeseen(problem: Exception) -> Refusal:
    """What a door answers to it."""
    return Refusal("internal_error", because=f"the guard failed: {where(problem)}")


def _decided(request: Request, rule: Rule | None, trace: Trace, verdict: Proof, seconds: float) -> Decided:
    refusal = verdict if isinstance(verdict, Refusal) else None
    proved = verdict if isinstance(verdict, Principal) else trace.proof
    if isinstance(proved, Refusal) and trace.credential is None and trace.recalled is not None:
        proved = trace.recalled
    principal = proved if isinstance(proved, Principal) and proved.kind != "anyone" else None
    one = principal.credential_id if principal is not None else "" if refusal is None else refusal.credential_id
    return Decided(
        method=_METHODS.get(request.method, "_OTHER"),
        rule=None if rule is None else rule.pattern,
        kind=trace.kind if principal is None else principal.kind,
        platform=None if principal is None else principal.platform or None,
        account=None if principal is None else principal.account,
        credential_id=one or None,
        code=None if refusal is None else refusal.code,
        status=200 if refusal is None else refusal.status,
        because=_because(request, refusal),
        source=_source(trace),
        seconds=seconds,
    )


def _because(request: Request, refusal: Refusal | None) -> str:
    if refusal is None or refusal.code != "account_mismatch":
        return "" if refusal is None else refusal.because
    # It quotes what was given for an account, and by mistake that may be the credential, in whatever form.
    return Veil(presented(request))(refusal.because)


def _source(trace: Trace) -> Source:
    if trace.credential is not None or trace.overridden:
        return "look-up" if trace.asked else "check"
    return "none" if trace.recalled is None else "cache"
