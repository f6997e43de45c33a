"""The demo in process: each of its addresses, and who may not have what it serves."""

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from demo_program import BOTH, CREDENTIAL, ONE, WAIT, bearer, mint
from guestpass import KeyRing, demo, open_store
from guestpass.asgi import Message
from guestpass.cli import main
from guestpass.demo import data
from guestpass.demo.house import House, open_house
from guestpass.demo.wrapping import wrapping_key
from support import socket_scope


class Api:
    """The demo's application, asked in process on an event loop of its own."""

    def __init__(self, portal: BlockingPortal, voice: House) -> None:
        self._portal = portal
        self._app = voice.app
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(voice.app), base_url="http://voice")

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self._portal.call(partial(self._client.get, path, **more))

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self._portal.call(partial(self._client.post, path, **more))

    def listen(self, *pair: str, sending: Sequence[Message] = (), until: int = 1) -> list[Message]:
        """Open the event socket, send, and leave once `until` messages have come; all that the application sent."""
        return self._portal.call(partial(self._listen, pair, list(sending), until))

    async def _listen(self, pair: Sequence[str], sending: list[Message], until: int) -> list[Message]:
        incoming: list[Message] = [{"type": "websocket.connect"}, *sending]
        sent: list[Message] = []
        enough = anyio.Event()

        async def receive() -> Message:
            if incoming:
                return incoming.pop(0)
            await enough.wait()
            return {"type": "websocket.disconnect", "code": 1000}

        async def send(message: Message) -> None:
            sent.append(message)
            if len(sent) > until:
                enough.set()

        with anyio.fail_after(WAIT):
            await self._app(socket_scope("/v1/events", subprotocols=pair), receive, send)
        return sent


@pytest.fixture(scope="module")
def voice() -> House:
    return open_house(open_store("memory://"), KeyRing.new_wrapping_key(), every=0.01)


@pytest.fixture(scope="module")
def api(voice: House) -> Iterator[Api]:
    with start_blocking_portal() as portal:
        yield Api(portal, voice)


@pytest.fixture(scope="module")
def session(api: Api, voice: House) -> str:
    return mint(api.post, voice.secret_key, components=ONE)


def test_health_is_public(api: Api) -> None:
    assert api.get("/health").json() == {"status": "ok"}
    assert api.get("/health", headers=bearer("nonsense")).status_code == 200


def test_the_page_and_its_files_are_public_and_held_to_themselves(api: Api) -> None:
    page = api.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert data.ACCOUNT in page.text
    assert data.ACCOUNTS[data.OTHER_ACCOUNT].name in page.text
    assert "$" not in page.text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|https?://", page.text)
    named = re.findall(r'(?:src|href)="(/[^"]*)"', page.text)
    assert len(named) == 3
    for path in ("/", *named):
        answer = api.get(path)
        assert answer.status_code == 200
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert not CREDENTIAL.search(answer.text)
    assert api.get("/static/none.css").status_code == 404
    assert api.get("/static/..%2fserver.py").status_code == 400


def test_call_logs_are_the_sessions_own(api: Api, session: str) -> None:
    answer = api.get("/v1/call_logs", headers=bearer(session))
    assert answer.status_code == 200
    assert answer.json()["account"] == data.ACCOUNT
    calls = answer.json()["call_logs"]
    assert calls
    assert all("transcript" in call for call in calls)
    assert api.get(f"/v1/accounts/{data.ACCOUNT}/call_logs", headers=bearer(session)).json()["call_logs"] == calls
    other = api.get(f"/v1/accounts/{data.OTHER_ACCOUNT}/call_logs", headers=bearer(session))
    assert (other.status_code, other.json()["code"]) == (403, "account_mismatch")


def test_two_accounts_share_no_row(api: Api, voice: House) -> None:
    seen = [
        {
            row["id"]
            for path in ("call_logs", "voicemails")
            for row in _rows(api, path, mint(api.post, voice.secret_key, one))
        }
        for one in (data.ACCOUNT, data.OTHER_ACCOUNT)
    ]
    assert all(seen)
    assert not seen[0] & seen[1]


def _rows(api: Api, path: str, credential: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = api.get(f"/v1/{path}", headers=bearer(credential)).json()[path]
    return rows


def test_transcripts_are_a_feature(api: Api, voice: House) -> None:
    without = {"call_logs": {"enabled": True, "features": {"transcripts": False}}}
    rows = _rows(api, "call_logs", mint(api.post, voice.secret_key, components=without))
    assert rows
    assert not any("transcript" in row for row in rows)


def test_voicemails_need_their_component(api: Api, voice: House, session: str) -> None:
    refused = api.get("/v1/voicemails", headers=bearer(session))
    assert (refused.status_code, refused.json()["code"]) == (403, "component_disabled")
    assert _rows(api, "voicemails", mint(api.post, voice.secret_key, components=BOTH))


def test_a_platform_wide_key_names_an_account_of_its_own(api: Api, voice: House) -> None:
    key = voice.secret_key
    assert api.get("/v1/call_logs", headers=bearer(key)).json()["code"] == "account_missing"
    header = {"Account-Id": data.OTHER_ACCOUNT}
    assert api.get("/v1/call_logs", headers=bearer(key, **header)).json()["account"] == data.OTHER_ACCOUNT
    for account in (data.FOREIGN_ACCOUNT, "acct_unheard_of"):
        answer = api.get(f"/v1/accounts/{account}/call_logs", headers=bearer(key))
        assert (answer.status_code, answer.json()["code"]) == (403, "account_refused")


def test_me_tells_every_kind_about_itself(api: Api, voice: House, session: str) -> None:
    def me(credential: str, **more: str) -> Mapping[str, object]:
        answer = api.get("/v1/me", headers=bearer(credential, **more))
        assert answer.status_code == 200
        told: dict[str, object] = answer.json()
        assert set(told) == {"kind", "account", "subject", "components", "roles", "expires_at"}
        return told

    key = me(voice.secret_key)
    assert (key["kind"], key["account"], key["components"], key["roles"]) == ("secret_key", None, "ALL", "ALL")
    assert key["expires_at"] is None
    assert me(voice.secret_key, **{"Account-Id": data.ACCOUNT})["account"] == data.ACCOUNT
    publishable = me(voice.publishable_key)
    assert (publishable["kind"], publishable["account"], publishable["components"]) == ("publishable_key", None, [])
    told = me(session)
    assert (told["kind"], told["account"], told["roles"]) == ("account_session", data.ACCOUNT, ["external_entity"])
    assert told["components"] == ["call_logs", "call_logs/transcripts"]
    assert str(told["expires_at"]).endswith("Z")
    signed = api.post("/api/v1/jwt/sign", headers=bearer(voice.secret_key), json={}).json()
    told = me(signed["jwt"])
    assert (told["kind"], told["account"], told["subject"]) == ("signed_token", None, signed["id"])


def test_publishable_keys_open_nothing_else(api: Api, voice: House) -> None:
    for path in ("/v1/call_logs", "/v1/voicemails", f"/v1/accounts/{data.ACCOUNT}/call_logs"):
        assert api.get(path, headers=bearer(voice.publishable_key)).json()["code"] == "kind_refused"


def test_what_is_not_served_is_denied(api: Api, voice: House) -> None:
    for path in ("/docs", "/openapi.json", "/v1", "/admin"):
        assert api.get(path).json()["code"] == "credential_missing"
        assert api.get(path, headers=bearer(voice.secret_key)).json()["code"] == "rule_missing"


def test_the_back_end_asks_who_may_access_before_anything_else(api: Api) -> None:
    made = api.post("/api/create-session", json={"accountId": data.ACCOUNT})
    assert made.status_code == 200
    assert made.headers["cache-control"] == "no-store"
    assert set(made.json()) == {"client_secret", "expires_at", "expires_in", "account", "components"}
    others: list[object] = [data.OTHER_ACCOUNT, data.FOREIGN_ACCOUNT, "", None, 7, [data.ACCOUNT], {}]
    for account in others:
        refused = api.post("/api/create-session", json={"accountId": account})
        assert (refused.status_code, refused.json()) == (403, {"error": "Access denied"})
    assert api.post("/api/create-session", json={}).status_code == 403
    assert api.post("/api/refresh-sdk-token", json={"entityId": str(uuid.uuid4())}).status_code == 403


@pytest.mark.parametrize("path", ["/api/create-session", "/api/refresh-sdk-token"])
@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"[", "application/json"),
        (b"[]", "application/json"),
        (b'{"accountId": NaN}', "application/json"),
        (b"", "application/json"),
        (b"\xff", "application/json"),
        (b"{" + b" " * 5_000 + b"}", "application/json"),
        (b'{"accountId": "acct_01h2xcejqtf2nbrexx3vqjhp41"}', "text/plain"),
        (b"accountId=acct_01h2xcejqtf2nbrexx3vqjhp41", "application/x-www-form-urlencoded"),
    ],
)
def test_the_back_end_reads_nothing_but_a_json_object(api: Api, path: str, content: bytes, content_type: str) -> None:
    answer = api.post(path, content=content, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()) == (400, {"error": "Bad request"})


def test_events_greet_then_tell_of_the_callers_account(api: Api, session: str) -> None:
    accepted, *told = api.listen("client_secret", session, until=5)
    assert accepted["subprotocol"] == "client_secret"
    greeting, *happened = [json.loads(message["text"]) for message in told]
    assert greeting == {"type": "hello", "kind": "account_session", "account": data.ACCOUNT}
    assert [event["type"] for event in happened] == ["call.ringing", "call.answered", "call.ended", "call.ringing"]
    assert {event["account"] for event in happened} == {data.ACCOUNT}


def test_events_of_no_account_are_nobodys_and_nothing_is_sent_back(api: Api, voice: House) -> None:
    token = api.post("/api/v1/jwt/sign", headers=bearer(voice.secret_key), json={}).json()["jwt"]
    typed: list[Message] = [{"type": "websocket.receive", "text": "sk_live_pasted_by_mistake"}]
    typed.append({"type": "websocket.receive", "bytes": b"\x00"})
    _, *told = api.listen("jwt", token, sending=typed, until=3)
    assert [json.loads(message["text"]) for message in told] == [
        {"type": "hello", "kind": "signed_token", "account": None},
        {"type": "heard", "messages": 1},
        {"type": "heard", "messages": 2},
    ]


def test_where_the_wrapping_key_comes_from(tmp_path: Path) -> None:
    beside = f"sqlite:///{tmp_path / 'guestpass.db'}"
    key = wrapping_key(beside, {})
    assert wrapping_key(beside, {}) == key
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o077 == 0
    assert wrapping_key(beside, {"GUESTPASS_WRAPPING_KEY": "given"}) == "given"
    assert wrapping_key("memory://", {}) != wrapping_key("memory://", {})
    with pytest.raises(ValueError, match="GUESTPASS_WRAPPING_KEY"):
        wrapping_key("postgresql://localhost/voice", {})
    with pytest.raises(ValueError, match="GUESTPASS_WRAPPING_KEY"):
        wrapping_key(f"sqlite:///{tmp_path / 'none' / 'guestpass.db'}", {})


def test_a_missing_package_is_named_with_the_line_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None if name == "uvicorn" else object())
    assert main(["demo", "--port", "0"]) == 2
    assert 'uvicorn: pip install "guestpass[demo]"' in capsys.readouterr().err
