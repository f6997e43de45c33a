"""Events as log records: a sentence for people, data for machines."""

import json
import logging

import pytest

from guestpass import Credential, Guard, Principal, Refusal, Rule
from guestpass.events import Decided, Event, KeySetEvent, Tell
from guestpass.observe.logs import LogEvents
from guestpass.requests import written
from support import GatePasses, bearer, build, judged

RULES = [Rule("GET /v1/call_logs", component="call_logs")]


def records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "guestpass.events"]


def test_a_request_is_one_record(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    house = build(RULES, observe=LogEvents())
    secret = house.session()
    one = house.guard.check(secret).credential_id
    judged(house.guard, written("GET /v1/call_logs", bearer(secret)))
    judged(house.guard, written("GET /v1/other", bearer(secret)))
    judged(house.guard, written("HEAD /v1/call_logs", bearer(secret)))
    let_in, refused, head = records(caplog)
    assert (let_in.levelname, refused.levelname) == ("DEBUG", "INFO")
    assert let_in.getMessage().startswith(f"let in: GET /v1/call_logs: account_session {one} of plat, acct_1 (cache, ")
    assert refused.getMessage().startswith(f"refused, 404 rule_missing: GET (no rule): account_session {one} of plat")
    assert head.getMessage().startswith("let in: HEAD by GET /v1/call_logs: ")
    data = refused.guestpass  # type: ignore[attr-defined]
    assert {**data, "seconds": 0} == {
        "event": "decided",
        "method": "GET",
        "rule": None,
        "kind": "account_session",
        "platform": "plat",
        "account": "acct_1",
        "credential_id": one,
        "code": "rule_missing",
        "status": 404,
        "because": "",
        "source": "cache",
        "seconds": 0,
    }
    assert json.loads(json.dumps(data)) == data


@pytest.mark.parametrize("line", ["\n", "\r\n", "\x1b[2K", "\u2028"])
def test_what_an_issuer_calls_its_token_begins_no_line(caplog: pytest.LogCaptureFixture, line: str) -> None:
    caplog.set_level(logging.DEBUG)
    one = f"a{line}let in: everybody"

    class Anyone(GatePasses):
        def authenticate(self, credential: Credential, now: float, /) -> Principal | Refusal:
            passed = super().authenticate(credential, now)
            return passed.but(credential_id=one) if isinstance(passed, Principal) else passed

    house = build(RULES, observe=LogEvents(), more=[Anyone()])
    judged(house.guard, written("GET /v1/call_logs", bearer("gp_live_acct_1")))
    for record in records(caplog):
        assert "let in: everybody" in record.getMessage()
        assert record.getMessage().isprintable()
    assert records(caplog)


def test_what_bears_on_security_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    house = build(RULES, observe=LogEvents())
    judged(house.guard, written("GET /v1/call_logs", {**bearer(house.session()), "Account-Id": "acct_2"}))
    refused, warned = records(caplog)
    assert (refused.levelname, warned.levelname) == ("INFO", "WARNING")
    assert warned.getMessage().startswith("account_mismatch: account_session as_")
    assert warned.getMessage().endswith(" of plat, acct_1 at GET /v1/call_logs: the request names 'acct_2'")
    assert warned.guestpass["event"] == "security"  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="escalation_denied"):
        house.sessions.create(by=house.minter(accounts={"acct_1"}), account="acct_2")
    assert " of plat, acct_1 in process: It exceeds" in records(caplog)[-1].getMessage()


def test_how_a_key_set_fares(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    log = LogEvents()
    log(KeySetEvent("fetched", "https://issuer.example/", 0.12, 0.0))
    log(KeySetEvent("fetch_failed", "https://issuer.example/", 5.0, 900.0, "FetchFailed: no answer"))
    log(KeySetEvent("budget_spent", "https://issuer.example/", because="no fetch is left"))
    assert [(record.levelname, record.getMessage()) for record in records(caplog)] == [
        ("DEBUG", "https://issuer.example/: the key set was fetched in 0.12 s"),
        ("WARNING", "https://issuer.example/: the key set could not be fetched: FetchFailed: no answer"),
        (
            "WARNING",
            "https://issuer.example/: tokens with unknown keys are refused unlooked-at, there were too many: "
            "no fetch is left",
        ),
    ]
    assert [record.guestpass["event"] for record in records(caplog)] == [  # type: ignore[attr-defined]
        "fetched",
        "fetch_failed",
        "budget_spent",
    ]


def test_levels_and_the_logger_can_be_set(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    mine = logging.getLogger("mine")
    log = LogEvents(mine, allowed=logging.INFO, refused=logging.ERROR)
    for code, status in ((None, 200), ("credential_missing", 401)):
        log(Decided("GET", None, None, None, None, None, code, status, "", "none", 0.0))
    assert [(record.name, record.levelname) for record in caplog.records] == [("mine", "INFO"), ("mine", "ERROR")]
    caplog.clear()
    mine.setLevel(logging.CRITICAL)
    log(Decided("GET", None, None, None, None, None, None, 200, "", "none", 0.0))
    assert caplog.records == []
    mine.setLevel(logging.NOTSET)


def test_it_is_an_observer_that_a_guard_takes_beside_others() -> None:
    house = build(RULES)
    heard: list[Event] = []
    observe: list[Tell] = [LogEvents(), heard.append]
    guard = Guard(
        authenticators=list(house.guard.authenticators), policy=house.guard.policy, mode="live", observe=observe
    )
    judged(guard, written("GET /v1/call_logs"))
    assert len(heard) == 1
