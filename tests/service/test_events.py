"""Lines of JSON on standard output: what is in one, and when there are any."""

import json
from datetime import datetime

import pytest

from guestpass.events import Decided, KeySetEvent
from guestpass.service.events import observer
from guestpass.service.settings import Observe

REFUSED = Decided(
    "GET", "GET /x", "secret_key", "acme", "acct_1", "key_1", "role_insufficient", 403, "", "cache", 0.001
)
ALLOWED = Decided("GET", "GET /x", "secret_key", "acme", "acct_1", "key_1", None, 200, "", "cache", 0.001)


def test_a_line_has_all_of_the_event(capsys: pytest.CaptureFixture[str]) -> None:
    (tell,) = observer(Observe(log=True, allowed=False))
    tell(REFUSED)
    tell(ALLOWED)
    tell(KeySetEvent("fetch_failed", "https://login.example/", because="no connection\nat all"))
    out, err = capsys.readouterr()
    first, second = [json.loads(line) for line in out.splitlines()]
    assert err == ""
    assert datetime.fromisoformat(first.pop("time")).tzinfo is not None
    assert first == {
        "level": "info",
        "message": "refused, 403 role_insufficient: GET /x: secret_key key_1 of acme, acct_1 (cache, 1.00 ms)",
        "event": "decided",
        "method": "GET",
        "rule": "GET /x",
        "kind": "secret_key",
        "platform": "acme",
        "account": "acct_1",
        "credential_id": "key_1",
        "code": "role_insufficient",
        "status": 403,
        "because": "",
        "source": "cache",
        "seconds": 0.001,
    }
    assert (second["event"], second["level"], second["issuer"]) == ("fetch_failed", "warning", "https://login.example/")


def test_what_is_let_in_is_told_of_where_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    (tell,) = observer(Observe(log=True, allowed=True))
    tell(ALLOWED)
    assert json.loads(capsys.readouterr().out)["status"] == 200


def test_without_the_setting_nobody_is_told() -> None:
    assert observer(Observe(log=False, allowed=False)) == ()
