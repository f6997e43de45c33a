"""The real demo, over real HTTP: the whole flow of each document in order, signals, and the lines to paste."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import jwt
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from demo_program import BOTH, WAIT, Program, bearer, events, hello, mint, running
from guestpass.demo import data
from guestpass.demo.backend import SIGNED_IN


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with running("--json") as program:
        yield program
        code, out, errors = program.end()
        assert (code, out) == (0, ""), errors


@pytest.fixture
def web(program: Program) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=program.started["url"], timeout=WAIT) as client:
        yield client


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_one_line_of_json(program: Program) -> None:
    started = program.started
    assert set(started) == {"url", "secret_key", "publishable_key", "account", "other_account", "jwks_url"}
    assert started["secret_key"].startswith("sk_live_")
    assert started["publishable_key"].startswith("pk_live_")


def test_the_account_session_documents_flow(program: Program, web: httpx.Client) -> None:
    started = program.started
    # "Your frontend requests a session from your backend", which verifies access first.
    made = web.post("/api/create-session", json={"accountId": started["account"]}).json()
    denied = web.post("/api/create-session", json={"accountId": started["other_account"]})
    assert (denied.status_code, denied.json()) == (403, {"error": "Access denied"})
    # "Sessions expire after 1 hour by default."
    assert made["expires_in"] == 3_600
    assert made["expires_at"].endswith("Z")
    page = bearer(made["client_secret"], Origin=started["url"])

    # "The SDK uses the client_secret for all API calls": only what is enabled, only its account.
    assert web.get("/v1/call_logs", headers=page).json()["account"] == started["account"]
    refused = web.get("/v1/voicemails", headers=page)
    assert code_of(refused) == (403, "component_disabled")
    assert 'scope="voicemails"' in refused.headers["www-authenticate"]
    assert "session" in refused.json()["detail"]
    assert code_of(web.get(f"/v1/accounts/{started['other_account']}/call_logs", headers=page)) == (
        403,
        "account_mismatch",
    )

    # "Session tokens cannot create new sessions", nor sign or revoke.
    asked = {"account": started["account"]}
    for path in ("/v1/account_sessions", "/v1/account_sessions/any/revoke", "/api/v1/jwt/sign"):
        assert code_of(web.post(path, headers=page, json=asked)) == (403, "escalation_denied")

    # "Your backend creates a session using the Server SDK with your API key."
    key = bearer(started["secret_key"])
    answer = web.post("/v1/account_sessions", headers=key, json={"account": started["account"], "components": BOTH})
    assert answer.status_code == 201
    session = answer.json()
    assert set(session) == {
        *("id", "account", "client_secret", "expires_at", "expires_in", "components", "livemode"),
    }
    owner = bearer(session["client_secret"])
    assert web.get("/v1/voicemails", headers=owner).status_code == 200
    # The second example names no components: all that the key has.
    everything = mint(web.post, started["secret_key"], started["other_account"])
    assert web.get("/v1/voicemails", headers=bearer(everything)).json()["account"] == started["other_account"]
    assert code_of(web.post("/v1/account_sessions", headers=key, json={"account": data.FOREIGN_ACCOUNT})) == (
        403,
        "account_refused",
    )

    # "API keys must never appear in client-side code."
    in_browser = web.get("/v1/call_logs", headers=bearer(started["secret_key"], Origin="https://app.example"))
    assert code_of(in_browser) == (403, "secret_key_in_browser")

    # "Invalid session": what the page is told contains the word that its code looks for.
    assert web.post(f"/v1/account_sessions/{session['id']}/revoke", headers=key).status_code == 200
    ended = web.get("/v1/call_logs", headers=owner)
    assert code_of(ended) == (401, "session_revoked")
    secret: str = session["client_secret"]
    mistyped = secret[:-1] + ("1" if secret.endswith("0") else "0")
    unknown = web.get("/v1/call_logs", headers=bearer(mistyped))
    assert code_of(unknown) == (401, "credential_invalid")
    for answer in (ended, unknown):
        assert "session" in answer.json()["detail"]


def test_the_signed_token_documents_flow(program: Program, web: httpx.Client) -> None:
    started = program.started
    key = bearer(started["secret_key"])
    # "Frontend requests a token from your backend", which signs one for its own user.
    given = web.post("/api/sdk-token").json()
    assert set(given) == {"token", "expiresAt", "id"}
    assert given["id"] == SIGNED_IN.id

    # "POST /api/v1/jwt/sign": every field of the request, every field of the answer.
    user = "A1B2C3D4-E5F6-4A7B-8C9D-0E1F2A3B4C5D"
    asked = {"id": user, "tenantId": started["account"], "metadata": {"role": "admin"}, "expiresIn": 7_200}
    answer = web.post("/api/v1/jwt/sign", headers=key, json=asked)
    signed = answer.json()
    assert (answer.status_code, set(signed), signed["id"]) == (200, {"jwt", "expiresAt", "id"}, user.lower())
    assert abs(signed["expiresAt"] - time.time() - 7_200) < 60
    made_up = web.post("/api/v1/jwt/sign", headers=key, json={}).json()
    assert str(uuid.UUID(made_up["id"])) == made_up["id"]

    # It is a JWT that the published keys verify, RS256 as in the document's sample.
    keys = jwt.PyJWKSet.from_dict(httpx.get(started["jwks_url"]).json())
    header = jwt.get_unverified_header(signed["jwt"])
    claims = jwt.decode(signed["jwt"], keys[header["kid"]], algorithms=["RS256"], audience="voice-api")
    assert (claims["sub"], claims["exp"]) == (user.lower(), signed["expiresAt"])

    # "The user must have at least the External Entity role"; metadata authorises nothing.
    me = web.get("/v1/me", headers=bearer(signed["jwt"])).json()
    assert (me["kind"], me["account"], me["roles"]) == ("signed_token", started["account"], ["external_entity"])
    assert code_of(web.get("/v1/voicemails", headers=bearer(signed["jwt"]))) == (403, "component_disabled")

    # "WebSocket Protocol": jwt and apikey; client_secret is the other document's.
    session = mint(web.post, started["secret_key"])
    for protocol, credential, kind in (
        ("jwt", signed["jwt"], "signed_token"),
        ("apikey", started["secret_key"], "secret_key"),
        ("client_secret", session, "account_session"),
    ):
        with events(program, protocol, credential) as connection:
            assert connection.subprotocol == protocol
            assert hello(connection)["kind"] == kind
    with events(program, header=given["token"]) as connection:
        assert connection.subprotocol is None
        assert hello(connection) == {"kind": "signed_token", "account": started["account"]}

    # "Validation Rules" and "Error Codes".
    for wrong, where in (
        ({"id": "user-123"}, "id"),
        ({"expiresIn": 59}, "expiresIn"),
        ({"expiresIn": 86_401}, "expiresIn"),
        ({"metadata": {"note": "x" * 4_096}}, "metadata"),
    ):
        refused = web.post("/api/v1/jwt/sign", headers=key, json=wrong)
        assert code_of(refused) == (422, "validation_error")
        assert [error["field"] for error in refused.json()["errors"]] == [where]
    assert code_of(web.post("/api/v1/jwt/sign", json={})) == (401, "credential_missing")

    # "JWT tokens are for client-side use only."
    assert code_of(web.post("/api/v1/jwt/sign", headers=bearer(signed["jwt"]), json={})) == (403, "escalation_denied")

    # "Always pass the entityId": the same user again, and nobody else's.
    refreshed = web.post("/api/refresh-sdk-token", json={"entityId": given["id"]}).json()
    assert refreshed["id"] == given["id"]
    stranger = web.post("/api/refresh-sdk-token", json={"entityId": user})
    assert (stranger.status_code, stranger.json()) == (403, {"error": "Access denied"})


@pytest.mark.parametrize(
    ("pair", "status"),
    [
        ((), 401),
        (("client_secret", "nonsense"), 401),
        (("jwt", "SESSION"), 400),
        (("client_secret", "SESSION", "jwt", "SESSION"), 400),
    ],
)
def test_a_socket_is_refused_with_a_real_answer(
    program: Program, web: httpx.Client, pair: tuple[str, ...], status: int
) -> None:
    session = mint(web.post, program.started["secret_key"])
    offered = [session if part == "SESSION" else part for part in pair]
    with pytest.raises(InvalidStatus) as refused, events(program, *offered):
        pass
    assert refused.value.response.status_code == status


def test_a_live_socket_ends_when_its_session_is_revoked(program: Program, web: httpx.Client) -> None:
    key = bearer(program.started["secret_key"])
    session = web.post("/v1/account_sessions", headers=key, json={"account": program.started["account"]}).json()
    with events(program, "client_secret", session["client_secret"]) as socket:
        socket.recv(timeout=5)
        assert web.post(f"/v1/account_sessions/{session['id']}/revoke", headers=key).status_code == 200
        with pytest.raises(ConnectionClosed) as closed:
            # The end comes after whatever was on its way.
            all(socket.recv(timeout=5) for _ in range(100))
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 3000


def test_a_credential_in_a_url_opens_nothing_and_stands_in_no_log(program: Program, web: httpx.Client) -> None:
    session = mint(web.post, program.started["secret_key"])
    assert web.get("/v1/call_logs", params={"access_token": session}).status_code == 401
    url = program.started["url"].replace("http", "ws")
    with pytest.raises(InvalidStatus), connect(f"{url}/v1/events?access_token={session}", proxy=None):
        pass
    # That standard error holds no credential is seen when the program ends.


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_whoever_still_listens(tmp_path: Path, number: signal.Signals) -> None:
    with running("--json", TMPDIR=str(tmp_path)) as program:
        assert list(tmp_path.iterdir())
        secret_key = program.started["secret_key"]
        with events(program, "apikey", secret_key) as connection, httpx.Client(base_url=program.started["url"]) as web:
            hello(connection)
            assert web.get("/health").status_code == 200
            assert program.end(number) == (0, "", "")
            with pytest.raises(ConnectionClosed):
                connection.recv(timeout=WAIT)
        assert not list(tmp_path.iterdir())


def test_what_is_made_in_a_given_store_outlives_the_demo(tmp_path: Path) -> None:
    kept = ("--json", "--store", f"sqlite:///{tmp_path / 'guestpass.db'}")
    with running(*kept) as first:
        key = first.started["secret_key"]
        with httpx.Client(base_url=first.started["url"]) as web:
            session = mint(web.post, key)
            token = web.post("/api/v1/jwt/sign", headers=bearer(key), json={"tenantId": data.ACCOUNT}).json()["jwt"]
        assert first.end()[0] == 0
    with running(*kept) as second:
        for credential in (key, session, token):
            answer = httpx.get(f"{second.started['url']}/v1/me", headers=bearer(credential))
            assert answer.status_code == 200
        assert second.end()[0] == 0


def test_a_port_that_is_taken_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "guestpass", "demo", "--json", "--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("port_unavailable: ")
    assert done.stderr.endswith("take another with --port\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not there")
def test_the_printed_lines_work_when_pasted() -> None:
    with running(printing="Ctrl-C") as program:
        lines = [line.strip() for line in program.printed.splitlines() if "curl " in line]
        assert len(lines) == 4
        script = "\necho =====\n".join(lines)
        done = subprocess.run(["sh"], input=script, capture_output=True, text=True, timeout=WAIT, check=True)
        assert done.stderr == ""
        minted, used, disabled, escalated = done.stdout.split("=====\n")
        assert minted.startswith("cs_live_")
        assert used.startswith("HTTP/1.1 200 ")
        assert '"call_logs"' in used
        assert disabled.startswith("HTTP/1.1 403 ")
        assert "component_disabled" in disabled
        assert escalated.startswith("HTTP/1.1 403 ")
        assert "escalation_denied" in escalated
        page = re.search(r"http://127\.0\.0\.1:\d+/", program.printed)
        assert page is not None
        assert httpx.get(page[0]).status_code == 200
        assert program.end(signal.SIGINT)[0] == 0
