"""Events as OpenTelemetry metrics, and as attributes of the span that is current: the server's, where it has one.

Labels of metrics are few: codes, kinds, issuers of the guard, never a path, an account or an id; those are on spans.
Whoever exports them is the application's choice: without a provider nothing is recorded.
"""

import time
from collections.abc import Callable, Iterable
from typing import Final

try:
    from opentelemetry import metrics, trace
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        'guestpass.observe.opentelemetry needs OpenTelemetry: pip install "guestpass[otel]"'
    ) from missing

import guestpass
from guestpass.events import Decided, Event, KeySetEvent, SecurityEvent

_SECONDS: Final = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""Bounds of buckets, from a cached credential to a store that hardly answers."""


class Telemetry:
    """An observer that measures: ``Guard(…, observe=Telemetry())``.

    Metrics, with their labels:

    - ``guestpass.decisions``: how many, by ``guestpass.code`` (``allowed``, or that of the refusal), ``guestpass.kind``
      and ``guestpass.source`` (``cache``, ``check``, ``look-up``, ``none``).
    - ``guestpass.decision.duration``: how long they took, in seconds, by ``guestpass.source``.
    - ``guestpass.security_events``: how many, by ``guestpass.code`` and ``guestpass.kind``.
    - ``guestpass.key_set.fetch.duration``: how long fetches took, in seconds, by ``guestpass.issuer`` and
      ``guestpass.outcome`` (``fetched``, ``fetch_failed``).
    - ``guestpass.key_set.age``: for how many seconds the keys of an issuer have not been fetched, by
      ``guestpass.issuer``.
    - ``guestpass.key_set.budget_spent``: how often there were too many tokens with unknown keys, by
      ``guestpass.issuer``.

    `meter_provider` left out is the global one. One object serves any number of guards.
    """

    def __init__(
        self, meter_provider: MeterProvider | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        meter = metrics.get_meter("guestpass", guestpass.__version__, meter_provider)
        self._clock: Final = clock
        self._fetched_at: Final[dict[str, float]] = {}
        self._decisions: Final = meter.create_counter("guestpass.decisions", "{decision}", "Decisions on requests")
        self._duration: Final = meter.create_histogram(
            "guestpass.decision.duration",
            "s",
            "How long decisions took",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._security: Final = meter.create_counter(
            "guestpass.security_events", "{event}", "Refusals that bear on security"
        )
        self._fetches: Final = meter.create_histogram(
            "guestpass.key_set.fetch.duration", "s", "How long fetches of key sets took"
        )
        self._spent: Final = meter.create_counter(
            "guestpass.key_set.budget_spent", "{event}", "Budgets for unknown keys that were spent"
        )
        meter.create_observable_gauge("guestpass.key_set.age", [self._ages], "s", "For how long keys were not fetched")

    def __call__(self, event: Event) -> None:
        """Record one event."""
        match event:
            case Decided():
                self._decided(event)
            case SecurityEvent():
                self._security.add(1, {"guestpass.code": event.code, "guestpass.kind": event.kind or "none"})
                trace.get_current_span().add_event(
                    "guestpass.security", {"guestpass.code": event.code, **_whose(event)}
                )
            case KeySetEvent():
                self._key_set(event)

    def _decided(self, event: Decided) -> None:
        code, source = event.code or "allowed", {"guestpass.source": event.source}
        self._decisions.add(1, {"guestpass.code": code, "guestpass.kind": event.kind or "none", **source})
        self._duration.record(event.seconds, source)
        span = trace.get_current_span()
        if span.is_recording():
            span.set_attributes({"guestpass.code": code, **source, **_whose(event)})
            if event.because:
                span.set_attribute("guestpass.because", event.because)

    def _key_set(self, event: KeySetEvent) -> None:
        issuer = {"guestpass.issuer": event.issuer}
        if event.age is not None:
            self._fetched_at[event.issuer] = self._clock() - event.age
        if event.name == "budget_spent":
            self._spent.add(1, issuer)
        elif event.seconds is not None:
            self._fetches.record(event.seconds, {**issuer, "guestpass.outcome": event.name})

    def _ages(self, _: CallbackOptions) -> Iterable[Observation]:
        now = self._clock()
        return [Observation(now - at, {"guestpass.issuer": issuer}) for issuer, at in list(self._fetched_at.items())]


def _whose(event: Decided | SecurityEvent) -> dict[str, str]:
    known = {
        "guestpass.rule": event.rule,
        "guestpass.kind": event.kind,
        "guestpass.platform": event.platform,
        "guestpass.account": event.account,
        "guestpass.credential_id": event.credential_id,
    }
    return {name: value for name, value in known.items() if value is not None}
