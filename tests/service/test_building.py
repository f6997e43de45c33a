"""From settings to an application: where secrets come from, what each part lets in, and that the parts keep apart."""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from guestpass import SINGLE_PLATFORM, ApiKeys, KeyRing, open_store
from guestpass.errors import StoreUnavailable, Unavailable
from guestpass.service.building import Service, build
from guestpass.service.secrets import store_url
from guestpass.service.settings import SettingsError, read_settings
from key_server import KeyServer
from service.writing import SOUND, sound

WRAPPING = KeyRing.new_wrapping_key()
SIGNED = '[signed_tokens]\nissuer = "https://api.example"\naudience = "api"\nalgorithm = "EdDSA"\n'
NO_STORE = 'store = "memory://"\n'


@pytest.fixture
def store(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/guestpass.db"
    open_store(url).close()
    return url


def made(text: str, *, make: bool = True, **environ: str) -> Service:
    return build(read_settings(text, "guestpass.toml", environ), environ, make=make)


def refusal(text: str, **environ: str) -> str:
    with pytest.raises(SettingsError) as refused:
        build(read_settings(text, "guestpass.toml", environ), environ)
    return str(refused.value)


def key_in(url: str) -> str:
    store = open_store(url)
    try:
        return ApiKeys(store, owns=SINGLE_PLATFORM).create(platform="acme", mode="live").secret
    finally:
        store.close()


class Served:
    """A service that is asked in this process."""

    def __init__(self, service: Service, client: tuple[str, int] = ("127.0.0.1", 50_000)) -> None:
        self.service = service
        self.client = TestClient(service.app, client=client, base_url="http://guestpass")

    def asked(self, target: str, credential: str = "", **headers: str) -> tuple[int, str]:
        """What nginx is told of a request: the status, and the code of a refusal or the account."""
        more = {"X-Original-Method": "GET", "X-Original-URI": target, "X-Original-Upgrade": "-", **headers}
        answer = self.client.get("/_guestpass", headers={**bearer(credential), **more})
        if answer.status_code == 200:
            return 200, answer.headers["guestpass-account"]
        return int(answer.headers["guestpass-status"]), answer.headers["guestpass-refusal"]

    def minted(self, key: str, account: str = "acct_1") -> tuple[int, str]:
        """The status, and the client secret or the code of the refusal."""
        answer = self.client.post("/v1/account_sessions", headers=bearer(key), content=json.dumps({"account": account}))
        said = answer.json()
        return answer.status_code, said["client_secret"] if answer.status_code == 201 else said["code"]


def bearer(credential: str) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {credential}"} if credential else {}


@pytest.fixture
def served(store: str) -> Iterator[Served]:
    service = made(sound(end=SIGNED), GUESTPASS_STORE=store, GUESTPASS_WRAPPING_KEY=WRAPPING)
    yield Served(service)
    service.close()


def test_a_session_from_one_door_opens_the_other(store: str, served: Served) -> None:
    key = key_in(store)
    status, secret = served.minted(key)
    assert status == 201
    assert served.asked("/v1/call_logs", secret) == (200, "acct_1")
    assert served.minted(secret) == (403, "escalation_denied")
    assert served.asked("/v1/call_logs") == (401, "credential_missing")
    assert served.asked("/v1/nothing", secret) == (404, "rule_missing")
    signed = served.client.post("/api/v1/jwt/sign", headers=bearer(key), json={"tenantId": "acct_1"}).json()["jwt"]
    assert served.asked("/v1/call_logs", signed) == (403, "component_disabled")
    kids = [jwk["kid"] for jwk in served.client.get("/.well-known/jwks.json").json()["keys"]]
    assert len(kids) == 1


def test_the_doors_do_not_go_by_each_others_rules(store: str, served: Served) -> None:
    key = key_in(store)
    # What the issuing API does is not to be had behind the proxy, unless the file has a rule of that path.
    for target in ("/v1/account_sessions", "/v1/revocations", "/.well-known/jwks.json"):
        assert served.asked(target, key, **{"X-Original-Method": "POST"}) == (404, "rule_missing")
    answer = served.client.get("/v1/call_logs", headers={**bearer(key), "Account-Id": "acct_1"})
    assert (answer.status_code, answer.json()["code"]) == (404, "rule_missing")


def test_who_is_not_the_proxy_is_told_nothing(store: str, served: Served, caplog: pytest.LogCaptureFixture) -> None:
    stranger = Served(served.service, client=("192.0.2.7", 1))
    assert stranger.asked("/v1/call_logs", **{"X-Forwarded-For": "127.0.0.1"}) == (500, "internal_error")
    assert "192.0.2.7" in caplog.text


def test_one_door_alone(store: str) -> None:
    text = sound(without='[forward_auth]\nproxy = "nginx"\ntrusted = ["127.0.0.1"]\n')
    text = text.replace('[[rules]]\nmatch = "GET /v1/call_logs"\ncomponent = "call_logs"\n', "")
    service = made(text, GUESTPASS_STORE=store)
    only_issuing = Served(service)
    assert only_issuing.minted(key_in(store))[0] == 201
    assert only_issuing.client.get("/_guestpass").status_code == 401
    service.close()
    service = made(sound(without="[issuing]\n"), GUESTPASS_STORE=store)
    only_asked = Served(service)
    assert only_asked.minted(key_in(store)) == (404, "rule_missing")
    assert only_asked.asked("/v1/call_logs") == (401, "credential_missing")
    service.close()


def test_envoy_asks_below_the_path(store: str) -> None:
    text = sound().replace('proxy = "nginx"', 'proxy = "envoy"\npath = "/check"')
    service = made(text, GUESTPASS_STORE=store)
    envoy = Served(service)
    secret = envoy.minted(key_in(store))[1]
    answer = envoy.client.get("/check/v1/call_logs?x=1", headers=bearer(secret))
    assert (answer.status_code, answer.headers["guestpass-account"]) == (200, "acct_1")
    assert envoy.client.get("/checkv1/call_logs", headers=bearer(secret)).json()["code"] == "rule_missing"
    assert envoy.client.get("/check/", headers=bearer(secret)).json()["code"] == "rule_missing"
    # It begins so only for one of two parsers.
    assert envoy.client.get("/%63heck/v1/call_logs", headers=bearer(secret)).status_code in (400, 404, 500)
    service.close()


def test_the_issuing_api_below_a_path_and_for_a_page(store: str) -> None:
    text = sound(
        end='path = "/guestpass"\nallow_origins = ["https://app.example"]\n[credentials]\nclient_secret_prefix = "x"'
    )
    service = made(text, GUESTPASS_STORE=store)
    client = Served(service).client
    made_there = client.post("/guestpass/v1/account_sessions", headers=bearer(key_in(store)), json={"account": "a"})
    assert made_there.status_code == 201
    assert made_there.json()["client_secret"].startswith("x_live_")
    assert client.post("/v1/account_sessions").status_code == 401
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    preflight = client.options("/guestpass/v1/account_sessions", headers=asked)
    assert preflight.headers["access-control-allow-origin"] == "https://app.example"
    service.close()


def test_a_register_that_does_not_answer_is_503_at_both_doors(store: str) -> None:
    register = KeyServer()
    try:
        lines = sound().replace("single_platform = true", f'register = "{register.url}"')
        service = made(lines, GUESTPASS_STORE=store)
        both, key = Served(service), key_in(store)
        register.document = {"owned": "perhaps"}
        assert both.minted(key) == (503, "store_unavailable")
        assert both.asked("/v1/call_logs", key, **{"Account-Id": "acct_1"}) == (503, "store_unavailable")
        register.document = {"owned": False}
        assert both.minted(key) == (403, "account_refused")
        assert both.asked("/v1/call_logs", key, **{"Account-Id": "acct_1"}) == (403, "account_refused")
        register.document = {"owned": True}
        assert both.minted(key)[0] == 201
        assert both.asked("/v1/call_logs", key, **{"Account-Id": "acct_1"}) == (200, "acct_1")
        service.close()
    finally:
        register.close()


def test_the_registers_token_is_in_a_file(tmp_path: Path, store: str) -> None:
    lines = f'register = "https://a.example/owns"\ntoken_file = "{tmp_path}/secret"'
    text = sound().replace("single_platform = true", lines)
    secret_file(tmp_path, "a-token\n")
    service = made(text, GUESTPASS_STORE=store)
    assert "a-token" not in repr(service)
    service.close()
    secret_file(tmp_path, "two words")
    said = refusal(text, GUESTPASS_STORE=store)
    assert said.startswith("guestpass.toml, [ownership]: token_file: what is in")
    assert "two words" not in said


def test_a_sqlite_file_is_never_made(tmp_path: Path) -> None:
    said = refusal(SOUND, GUESTPASS_STORE=f"sqlite:///{tmp_path}/nothing.db")
    assert "guestpass store init" in said
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        made(SOUND, GUESTPASS_STORE="redis://127.0.0.1:1/0")
    assert "no store has the scheme 'nosuch'" in refusal(SOUND, GUESTPASS_STORE="nosuch://x")


def secret_file(folder: Path, content: str, mode: int = 0o600) -> str:
    file = folder / "secret"
    file.unlink(missing_ok=True)
    file.write_text(content)
    file.chmod(mode)
    return str(file)


def test_the_stores_url_from_a_file(tmp_path: Path, store: str) -> None:
    file = secret_file(tmp_path, f"\n{store}\n", 0o640)
    settings = read_settings(sound(top=f'store_file = "{file}"', without=NO_STORE), "guestpass.toml", {})
    assert store_url(settings) == store
    build(settings, {}).close()


@pytest.mark.parametrize(
    ("content", "mode", "says"),
    [
        ("", 0o600, "there is nothing in"),
        (" \n", 0o600, "there is nothing in"),
        ("x" * 9_000, 0o600, "there is more than a secret in"),
        ("memory://", 0o644, "is open to others, and it holds a secret: chmod 640"),
        ("memory://", 0o660, "is open to others"),
        ("memory://", 0o602, "is open to others"),
    ],
)
def test_a_file_that_holds_no_secret_or_not_safely(tmp_path: Path, content: str, mode: int, says: str) -> None:
    file = secret_file(tmp_path, content, mode)
    said = refusal(sound(top=f'store_file = "{file}"', without=NO_STORE))
    assert said.startswith("guestpass.toml: store_file: ")
    assert says in said


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path, says in ((str(tmp_path), "Is a directory"), (f"{tmp_path}/no", "No such file or directory")):
        assert f"store_file: {path}: {says}" in refusal(sound(top=f'store_file = "{path}"', without=NO_STORE))
    (tmp_path / "binary").write_bytes(b"\xff")
    said = refusal(sound(top=f'store_file = "{tmp_path}/binary"', without=NO_STORE))
    assert "is no text in UTF-8" in said


def test_workers_and_a_store_that_only_one_would_have(tmp_path: Path) -> None:
    file = secret_file(tmp_path, "memory://")
    text = sound(top=f'store_file = "{file}"', without=NO_STORE, end="[listen]\nworkers = 2")
    assert "memory:// is kept by one process alone" in refusal(text)
    assert "memory://" in refusal(sound(without=NO_STORE, end="[listen]\nworkers = 2"), GUESTPASS_STORE="memory://")


def test_the_wrapping_key(tmp_path: Path, store: str) -> None:
    text = sound(end=SIGNED)
    missing = refusal(text, GUESTPASS_STORE=store)
    assert missing.startswith(
        "guestpass.toml, [signed_tokens]: wrapping_key_file: is missing, and GUESTPASS_WRAPPING_KEY"
    )
    assert "at least 32 bytes" in refusal(text, GUESTPASS_STORE=store, GUESTPASS_WRAPPING_KEY="short")
    file = secret_file(tmp_path, f"{WRAPPING}\n")
    with_file = sound(end=f'{SIGNED}wrapping_key_file = "{file}"')
    made(with_file, GUESTPASS_STORE=store).close()
    # Another one than the keys in the store were wrapped with, told before the first token is to be signed.
    other = KeyRing.new_wrapping_key()
    assert "it is not the one that the keys in this store" in refusal(
        with_file, GUESTPASS_STORE=store, GUESTPASS_WRAPPING_KEY=other
    )
    made(with_file, GUESTPASS_STORE=store, GUESTPASS_WRAPPING_KEY=f"{other}\n{WRAPPING}").close()


def test_a_look_makes_no_signing_key(store: str) -> None:
    made(sound(end=SIGNED), make=False, GUESTPASS_STORE=store, GUESTPASS_WRAPPING_KEY=WRAPPING).close()
    path = store.removeprefix("sqlite:///")
    with sqlite3.connect(path) as database:
        tables = [
            row[0]
            for row in database.execute("select name from sqlite_master where type = 'table' and name like '%signing%'")
        ]
        assert tables
        assert all(database.execute(f"select count(*) from {name}").fetchone() == (0,) for name in tables)
    database.close()


def test_what_only_the_library_knows_to_be_wrong_names_the_place_too() -> None:
    assert refusal(sound(top='realm = "a\\"b"')).startswith("guestpass.toml: realm: plain printable ASCII")
    assert refusal(sound(top='account_header = "Host"')).startswith(
        "guestpass.toml: account_header: a header of its own"
    )
    text = sound().replace('["127.0.0.1"]', '["localhost"]')
    assert refusal(text).startswith("guestpass.toml, [forward_auth]: trusted: 'localhost' does not appear")
    text = sound().replace('["127.0.0.1"]', '["127.0.0.1"]\nroot_path = "api"')
    assert refusal(text).startswith('guestpass.toml, [forward_auth]: root_path: a path such as "/api"')
    text = sound(end=SIGNED.replace("https://api.example", " \\t"))
    assert refusal(text).startswith("guestpass.toml, [signed_tokens]: issuer: has to be a text")


def test_an_outage_while_it_starts_closes_the_store(monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    def away(*_: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr("guestpass.service.building._signer", away)
    files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(3):
        with pytest.raises(Unavailable):
            made(sound(end=SIGNED), GUESTPASS_STORE=store, GUESTPASS_WRAPPING_KEY=WRAPPING)
    assert not files or len(os.listdir("/proc/self/fd")) <= files
