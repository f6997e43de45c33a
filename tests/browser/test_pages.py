"""A page in Chromium and the guard, under uvicorn: sockets with the credential as subprotocol, and `fetch` from another
origin.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from browser.pages import Script
from real.staging import NEAR, Stage, staged

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

pytestmark = pytest.mark.real

BLOCKED = {"blocked": "TypeError"}


@pytest.fixture(scope="module")
def stage(shop: str, stranger: str) -> Iterator[Stage]:
    """The stage, whose answers pages of both sites may read; its publishable key is the shop's."""
    with staged("uvicorn", allow_origins=[shop, stranger], key_origins=[shop]) as stage:
        yield stage


@pytest.fixture(scope="module")
def closed_stage() -> Iterator[Stage]:
    """The stage without `allow_origins`, which accepts sockets to refuse them."""
    with staged("uvicorn", websocket_refusal="accept") as stage:
        yield stage


@pytest.fixture
def page(chromium: "BrowserContext", shop: str) -> Iterator[Script]:
    script = Script(chromium, shop)
    yield script
    script.close()


def events(stage: Stage) -> str:
    return f"ws://127.0.0.1:{stage.port}/v1/events"


@pytest.mark.parametrize("name", ["client_secret", "jwt", "token"])
def test_a_socket_until_its_credential_expires(stage: Stage, page: Script, name: str) -> None:
    credential, kind = stage.credentials()[name]
    end = stage.now + 60
    stage.stop_clock(end - NEAR)
    page.listen(events(stage), name, credential)
    assert page.hears().protocol == name
    page.say("hello")
    seen = page.hears(2)
    assert json.loads(seen.messages[0]) == {"kind": kind, "account": "acct_1", "offer": [], "sent": []}
    assert seen.messages[1] == "5"
    stage.start_clock(end - NEAR)
    seen = page.ends()
    assert (seen.closed, seen.reason, seen.clean) == (3000, "the credential has ended", True)
    stage.stop_clock(end + 1)
    page.listen(events(stage), name, credential)
    assert not page.ends().opened


def test_a_socket_until_its_session_is_revoked(stage: Stage, page: Script) -> None:
    session = stage.mint("acct_1")
    page.listen(events(stage), "graphql-transport-ws", "client_secret", session["client_secret"])
    assert page.hears().protocol == "graphql-transport-ws"
    stage.revoke(session)
    seen = page.ends()
    assert (seen.closed, seen.clean) == (3000, True)


def test_a_refused_socket(stage: Stage, page: Script) -> None:
    session = stage.mint("acct_1")["client_secret"]
    # The last is a real session, but "a secret key in a page" is told from it.
    for offered in (("client_secret", session[:-1]), ("jwt", session), ("apikey", stage.secret_key), ("chat",), ()):
        page.listen(events(stage), *offered)
        seen = page.ends()
        # Of an HTTP answer to a handshake a browser tells its page nothing.
        assert (seen.opened, seen.closed, seen.reason) == (False, 1006, "")


def test_a_refused_socket_that_is_accepted_first(closed_stage: Stage, page: Script) -> None:
    session = closed_stage.mint("acct_1")["client_secret"]
    for offered, path, code, reason in (
        (("client_secret", session[:-1]), "/v1/events", 3000, "credential_invalid"),
        (("apikey", closed_stage.secret_key), "/v1/events", 3003, "secret_key_in_browser"),
        (("client_secret", session), "/v1/nowhere", 3003, "rule_missing"),
    ):
        page.listen(f"ws://127.0.0.1:{closed_stage.port}{path}", *offered)
        seen = page.ends()
        assert (seen.opened, seen.closed, seen.reason) == (True, code, reason)
        assert seen.messages == []


def test_refusals_are_readable_from_another_origin(stage: Stage, page: Script) -> None:
    session = stage.mint("acct_1", components={"call_logs": {"enabled": False}})
    logs = f"{stage.url}/v1/call_logs"
    answer = page.ask(logs)
    assert (answer["status"], answer["challenge"], answer["body"]["code"]) == (
        401,
        'Bearer realm="api"',
        "credential_missing",
    )
    answer = page.ask(logs, session["client_secret"])
    assert (answer["status"], answer["body"]["code"]) == (403, "component_disabled")
    assert answer["challenge"] == 'Bearer realm="api", error="insufficient_scope", scope="call_logs"'
    stage.revoke(session)
    answer = page.ask(logs, session["client_secret"])
    assert (answer["status"], answer["body"]["code"]) == (401, "session_revoked")
    assert "session" in answer["body"]["detail"]
    answer = page.ask(logs, stage.mint("acct_1")["client_secret"], "DELETE", Account_Id="acct_2")
    assert (answer["status"], answer["body"]["code"]) == (403, "account_mismatch")
    answer = page.ask(logs, stage.mint("acct_1")["client_secret"], "DELETE", Account_Id="acct_1")
    assert (answer["status"], answer["body"]) == (200, {"account": "acct_1"})
    # Not among what the preflight allows: it is never sent.
    assert page.ask(logs, X_Other="1") == BLOCKED


def test_without_allow_origins_a_page_reads_nothing(closed_stage: Stage, page: Script) -> None:
    session = closed_stage.mint("acct_1")["client_secret"]
    for credential in ("", session, closed_stage.secret_key):
        assert page.ask(f"{closed_stage.url}/v1/call_logs", credential) == BLOCKED


def test_a_secret_key_in_a_page_is_refused(stage: Stage, page: Script) -> None:
    answer = page.ask(f"{stage.url}/v1/me", stage.secret_key)
    assert (answer["status"], answer["body"]["code"]) == (403, "secret_key_in_browser")


def test_a_publishable_key_works_from_its_origins(
    stage: Stage, page: Script, chromium: "BrowserContext", stranger: str
) -> None:
    answer = page.ask(f"{stage.url}/v1/me", stage.publishable_key)
    assert (answer["status"], answer["body"]) == (200, {"kind": "publishable_key", "account": None})
    elsewhere = Script(chromium, stranger)
    answer = elsewhere.ask(f"{stage.url}/v1/me", stage.publishable_key)
    elsewhere.close()
    assert (answer["status"], answer["body"]["code"]) == (401, "credential_invalid")
