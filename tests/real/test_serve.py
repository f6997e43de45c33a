"""`guestpass serve` as its page shows it, with the real programs: nginx asks it, and passes on to an API in Node."""

import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo_program import CREDENTIAL
from guestpass.forward_auth import ProxyName
from real import proxies
from real.programs import WAIT, Program
from real.proxies import Proxied, bearer, shown
from real.served import PAGE, Serve, Stage, ask, guestpass, mint, staged, until

pytestmark = pytest.mark.real

LOGS = "/v1/accounts/acct_1/call_logs"

WITHIN = 1.0
"""Seconds after which what was ended is refused by all."""
SLACK = 0.5
"""Seconds that a busy machine may take to ask and to be answered."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("gp"), GUESTPASS__LISTEN__ACCESS_LOG="true") as made:
        yield made
        assert made.serve.terminate() == 0
        assert "Traceback" not in made.serve.said
        assert re.search(r"POST /v1/account_sessions 201", made.serve.said)
        assert not CREDENTIAL.search(made.serve.said)
        assert "hidden" not in made.serve.said


def test_a_session_reaches_the_api_in_node(stage: Stage) -> None:
    session = mint(stage, "acct_1", "call_logs")
    answer = stage.ask(f"{LOGS}?q=hidden", bearer(session["client_secret"]))
    assert answer.status == 200
    assert answer.said == {
        "account": "acct_1",
        "kind": "account_session",
        "call_logs": ["+44 20 7946 0018", "+44 20 7946 0233"],
    }


def test_what_the_page_says_is_refused_is_refused(stage: Stage) -> None:
    mine = bearer(mint(stage, "acct_1", "call_logs")["client_secret"])
    disabled = stage.ask("/v1/voicemails", mine)
    assert (disabled.status, disabled.code) == (403, "component_disabled")
    other = stage.ask("/v1/accounts/acct_2/call_logs", mine)
    assert (other.status, other.code) == (403, "account_mismatch")
    nobody = stage.ask(LOGS)
    assert (nobody.status, nobody.code) == (401, "credential_missing")
    assert nobody.headers["www-authenticate"] == 'Bearer realm="api"'
    nowhere = stage.ask("/v1/nowhere", mine)
    assert (nowhere.status, nowhere.code) == (404, "rule_missing")
    two_ways = stage.ask("/v1/accounts/acct_1/../acct_2/call_logs", mine)
    assert (two_ways.status, two_ways.code) == (400, "path_ambiguous")
    body = json.dumps({"account": "acct_1"}).encode()
    minting = stage.ask("/v1/account_sessions", mine, method="POST", body=body)
    assert (minting.status, minting.code) == (403, "escalation_denied")
    in_browser = stage.ask(LOGS, bearer(stage.key), "Origin: https://app.example")
    assert (in_browser.status, in_browser.code) == (403, "secret_key_in_browser")


def test_a_platform_wide_key_names_the_account(stage: Stage) -> None:
    answer = stage.ask(LOGS, bearer(stage.key))
    assert (answer.status, answer.said["kind"]) == (200, "secret_key")
    missing = stage.ask("/v1/voicemails", bearer(stage.key))
    assert (missing.status, missing.code) == (400, "account_missing")
    assert stage.ask("/v1/voicemails", bearer(stage.key), "Account-Id: acct_1").said["account"] == "acct_1"


def test_a_forged_identity_says_nothing(stage: Stage) -> None:
    mine = bearer(mint(stage, "acct_1", "voicemails")["client_secret"])
    forged = ("Guestpass-Account: acct_2", "guestpass_account: acct_2", "Guestpass-Kind: secret_key")
    assert stage.ask("/v1/voicemails", mine, *forged).said["account"] == "acct_1"
    assert stage.ask("/v1/voicemails", *forged).status == 401
    # On a public route too.
    assert stage.ask("/health", *forged).said == {"status": "ok"}


def test_what_is_revoked_is_refused_within_a_second(stage: Stage) -> None:
    session = mint(stage, "acct_1", "call_logs")
    mine = bearer(session["client_secret"])
    assert stage.ask(LOGS, mine).status == 200
    stage.guestpass("revoke", "session", session["id"])
    began = time.monotonic()
    while (answer := stage.ask(LOGS, mine)).status == 200:
        assert time.monotonic() < began + WITHIN + SLACK
        time.sleep(0.02)
    assert (answer.status, answer.code) == (401, "session_revoked")


def test_a_store_that_is_away_is_503_and_nobody_is_let_in(stage: Stage) -> None:
    mine = bearer(mint(stage, "acct_1", "call_logs")["client_secret"])
    assert ask(stage.serve.port, "/health").status == 200
    stage.store.kill()
    try:
        for target, headers in ((LOGS, (mine,)), ("/v1/nowhere", (mine,))):
            answer = stage.ask(target, *headers)
            assert (answer.status, answer.code) == (503, "store_unavailable")
            assert answer.headers["retry-after"]
        time.sleep(1.1)  # readiness is remembered for a second
        health = ask(stage.serve.port, "/health")
        assert (health.status, health.said) == (503, {"status": "unavailable"})
        # Those without a credential are told so, and what is public stays.
        assert stage.ask(LOGS).status == 401
        assert stage.ask("/health").status == 200
    finally:
        stage.store.start()
    end = time.monotonic() + WAIT
    while stage.ask(LOGS, mine).status != 200:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_nobody_else_may_ask_and_nothing_else_is_passed_on(stage: Stage) -> None:
    mine = bearer(mint(stage, "acct_1", "call_logs")["client_secret"])
    asked = ("X-Original-Method: GET", f"X-Original-URI: {LOGS}", "X-Original-Upgrade: -")
    # nginx keeps the question to itself.
    assert stage.ask("/_guestpass", mine, *asked).status == 404
    # Here the test is on the same machine as nginx, and so trusted; a client that nginx tells of is not believed.
    here = ask(stage.serve.port, "/_guestpass", mine, *asked, "X-Forwarded-For: 203.0.113.9")
    assert (here.status, here.headers["guestpass-account"]) == (200, "acct_1")
    for target in ("/v1/account_sessions/../../_guestpass", "/%5fguestpass", "/v1/account_sessions/x/revoke/../revoke"):
        assert stage.ask(target, mine, *asked).status in (400, 403, 404)


def test_the_page_of_settings_is_checked_as_it_says(stage: Stage, tmp_path: Path) -> None:
    file = tmp_path / "guestpass.toml"
    file.write_text(shown("guestpass.toml", PAGE))
    said = guestpass("serve", "--check", "--config", str(file), **stage.environment)
    assert "is sound" in said
    assert "GET /v1/accounts/{account}/call_logs" in said


def test_several_processes_serve_as_one(tmp_path: Path) -> None:
    with staged(tmp_path, GUESTPASS__LISTEN__WORKERS="2") as two:
        sessions = [mint(two, "acct_1", "call_logs") for _ in range(6)]
        for session in sessions:
            # More than once: by chance or by kernel, both of them are asked.
            for _ in range(4):
                assert two.ask(LOGS, bearer(session["client_secret"])).status == 200
        two.guestpass("revoke", "account", "acme", "acct_1")
        time.sleep(WITHIN + SLACK)
        for session in sessions:
            for _ in range(4):
                assert two.ask(LOGS, bearer(session["client_secret"])).code == "session_revoked"
        assert two.serve.terminate() == 0
        assert "Traceback" not in two.serve.said


ASKING = {
    "traefik": ("address: http://127.0.0.1:9000/", "address: http://127.0.0.1:9000/_guestpass"),
    "caddy": ("uri /", "uri /_guestpass"),
    "envoy": ("path_prefix: /check", "path_prefix: /_guestpass"),
}
"""What the page says is to be changed for each of the other proxies."""


@pytest.mark.parametrize("proxy", ASKING)
def test_the_other_proxies_ask_where_the_page_says(
    proxy: ProxyName, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("gp")
    before, after = ASKING[proxy]
    assert f"`{after}`" in PAGE.read_text()

    def changed(name: str) -> str:
        whole = shown(name)
        assert whole.count(before) == 1
        return whole.replace(before, after)

    monkeypatch.setattr(proxies, "shown", changed)
    file = folder / "guestpass.toml"
    file.write_text(shown("guestpass.toml", PAGE))
    place = {"GUESTPASS_STORE": f"sqlite:///{folder}/guestpass.db", "GUESTPASS__LISTEN__PORT": "0"}
    key = guestpass("keys", "create", "--platform", "acme", **place)
    serve = Serve("--config", str(file), GUESTPASS__FORWARD_AUTH__PROXY=proxy, **place)
    try:
        with proxies.uvicorn("upstream:app") as (_, api):
            command, address = proxies.STARTED[proxy](folder, f"127.0.0.1:{serve.port}", f"127.0.0.1:{api}")
            program = Program(*command)
            try:
                through = Proxied(proxy, address, None, serve)  # type: ignore[arg-type] # it has other credentials
                until(lambda: through.ask("/health").status == 200)
                answer = through.ask(LOGS, bearer(key))
                assert answer.status == 200
                assert answer.seen["guestpass-account"] == ["acct_1"]
                refused = through.ask("/v1/voicemails", bearer(key))
                assert (refused.status, refused.code) == (400, "account_missing")
                assert through.ask(LOGS).code == "credential_missing"
            finally:
                program.end()
    finally:
        serve.end()


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_good_order(tmp_path: Path, workers: str, number: signal.Signals) -> None:
    file = tmp_path / "guestpass.toml"
    file.write_text(shown("guestpass.toml", PAGE))
    path = str(tmp_path / "socket")
    store = f"sqlite:///{tmp_path}/guestpass.db"
    guestpass("store", "init", "--store", store)
    text = file.read_text().replace('host = "127.0.0.1"\nport = 9000', f'socket = "{path}"\nworkers = {workers}')
    file.write_text(text)
    serve = Serve("--config", str(file), GUESTPASS_STORE=store, GUESTPASS__FORWARD_AUTH__TRUSTED="unix")
    try:
        assert serve.told["url"] == f"unix:{path}"
        asked = ("X-Original-Method: GET", f"X-Original-URI: {LOGS}")
        by_socket = Proxied("nginx", path, None, serve)  # type: ignore[arg-type] # it has no credentials
        assert by_socket.ask("/_guestpass", *asked).code == "credential_missing"
        assert serve.terminate(number) == 0
    finally:
        serve.end()
    assert not Path(path).exists()
    assert len(serve.said.splitlines()) == 1
