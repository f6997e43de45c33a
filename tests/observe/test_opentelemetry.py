"""Events as OpenTelemetry's own SDK records them: metrics with few labels, attributes on the current span."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from cases import CASES, world
from guestpass import Guard, Rule
from guestpass.asgi import request_of
from guestpass.events import KeySetEvent
from guestpass.observe.opentelemetry import Telemetry
from guestpass.requests import written
from support import Clock, bearer, build, judged
from test_doors import scope_of

RULES = [Rule("GET /v1/accounts/{account}/call_logs", component="call_logs")]
LOGS = "GET /v1/accounts/acct_1/call_logs"


class Recorded:
    """The SDK, reading into memory."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader])
        self.clock = Clock(0.0)
        self.observe = Telemetry(self.provider, clock=self.clock)

    def points(self, name: str) -> dict[tuple[tuple[str, Any], ...], Any]:
        """The points of a metric by their labels; of a histogram, count and sum."""
        data = self.reader.get_metrics_data()
        found: dict[tuple[tuple[str, Any], ...], Any] = {}
        for resource in () if data is None else data.resource_metrics:
            for scope in resource.scope_metrics:
                assert scope.scope.name == "guestpass"
                for metric in scope.metrics:
                    if metric.name == name:
                        for point in metric.data.data_points:
                            labels = tuple(sorted((point.attributes or {}).items()))
                            found[labels] = getattr(point, "value", None) or (
                                getattr(point, "count", 0),
                                getattr(point, "sum", 0),
                            )
        return found


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def labels(**of: str) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted((f"guestpass.{name}", value) for name, value in of.items()))


def test_decisions_are_counted_by_code_and_source(recorded: Recorded) -> None:
    house = build(RULES, observe=recorded.observe)
    secret = house.session()
    for _ in range(5):
        judged(house.guard, written(LOGS, bearer(secret)))
    judged(house.guard, written(LOGS))
    judged(house.guard, written(LOGS.replace("acct_1", "acct_2"), bearer(secret)))
    kind = "account_session"
    assert recorded.points("guestpass.decisions") == {
        labels(code="allowed", kind=kind, source="look-up"): 1,
        labels(code="allowed", kind=kind, source="cache"): 4,
        labels(code="credential_missing", kind="none", source="none"): 1,
        labels(code="account_mismatch", kind=kind, source="cache"): 1,
    }
    took = recorded.points("guestpass.decision.duration")
    assert {source: count for ((_, source),), (count, _) in took.items()} == {"look-up": 1, "cache": 5, "none": 1}
    assert all(0 < seconds < 60 for _, seconds in took.values())
    assert recorded.points("guestpass.security_events") == {labels(code="account_mismatch", kind=kind): 1}


def test_key_sets_have_an_age_and_fetches_take_their_time(recorded: Recorded) -> None:
    issuer = "https://issuer.example/"
    assert recorded.points("guestpass.key_set.age") == {}
    recorded.observe(KeySetEvent("fetched", issuer, age=30.0))
    recorded.clock.advance(12)
    assert recorded.points("guestpass.key_set.age") == {labels(issuer=issuer): 42.0}
    recorded.observe(KeySetEvent("fetched", issuer, 0.5, 0.0))
    recorded.clock.advance(7)
    recorded.observe(KeySetEvent("fetch_failed", issuer, 5.0, 7.0, "gone"))
    recorded.observe(KeySetEvent("budget_spent", issuer))
    assert recorded.points("guestpass.key_set.age") == {labels(issuer=issuer): 7.0}
    assert recorded.points("guestpass.key_set.fetch.duration") == {
        labels(issuer=issuer, outcome="fetched"): (1, 0.5),
        labels(issuer=issuer, outcome="fetch_failed"): (1, 5.0),
    }
    assert recorded.points("guestpass.key_set.budget_spent") == {labels(issuer=issuer): 1}


def spans_of(action: Any) -> tuple[ReadableSpan, ...]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("server").start_as_current_span("request"):
        action()
    return exporter.get_finished_spans()


def test_the_current_span_says_whose_request_it_was(recorded: Recorded) -> None:
    house = build(RULES, observe=recorded.observe)
    secret = house.session()
    one = house.guard.check(secret).credential_id
    (span,) = spans_of(lambda: judged(house.guard, written(LOGS, bearer(secret))))
    assert span.attributes == {
        "guestpass.code": "allowed",
        "guestpass.source": "cache",
        "guestpass.rule": "GET /v1/accounts/{account}/call_logs",
        "guestpass.kind": "account_session",
        "guestpass.platform": "plat",
        "guestpass.account": "acct_1",
        "guestpass.credential_id": one,
    }
    house.revocations.account("plat", "acct_1")
    (span,) = spans_of(lambda: judged(house.guard, written(LOGS, bearer(secret))))
    assert span.attributes is not None
    assert span.attributes["guestpass.code"] == "session_revoked"
    assert span.attributes["guestpass.because"] == "the list of revocations names it"
    (event,) = span.events
    assert event.name == "guestpass.security"
    assert isinstance(event.attributes, Mapping)
    assert event.attributes["guestpass.credential_id"] == one


def test_labels_stay_few_whatever_is_asked(recorded: Recorded) -> None:
    made = world("telemetry", with_rules=True)
    guard = Guard(
        authenticators=list(made.house.guard.authenticators),
        policy=made.guard.policy,
        mode="live",
        observe=recorded.observe,
        clock=made.house.clock,
    )
    for case in CASES:
        judged(guard, request_of(scope_of(case, made)))
    metrics = recorded.points("guestpass.decisions")
    assert sum(metrics.values()) == len(CASES)
    names = {name for point in metrics for name, _ in point}
    assert names == {"guestpass.code", "guestpass.kind", "guestpass.source"}
    assert len(metrics) < 80
    said = repr([recorded.points(f"guestpass.{name}") for name in ("decisions", "security_events")])
    for text in ("acct_", "key_", "as_", "/v1", *made.credentials.values()):
        assert text not in said.replace("secret_key_in_browser", "").replace("key_revoked", "").replace(
            "key_expired", ""
        )


def test_without_the_package_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "try:\n    import guestpass.observe.opentelemetry\n"
        "except ModuleNotFoundError as missing:\n    print(missing)\n"
        "import guestpass, guestpass.observe.logs\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry.')]\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout == 'guestpass.observe.opentelemetry needs OpenTelemetry: pip install "guestpass[otel]"\n'
