"""The WSGI door under real servers on loopback: what they make of requests, the guard judges as they were sent."""

import json
import os
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from real.programs import Program, missing
from real.wsgi_app import guard_over

pytestmark = pytest.mark.real

SEEN = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
"""Where the servers find `wsgi_app`."""

LOGS, MINT = "/v1/call_logs", "/v1/account_sessions"


def gunicorn(*more: str) -> list[str]:
    return ["-m", "gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket", *more, "wsgi_app:make()"]


WAITRESS = """
import waitress, wsgi_app
server = waitress.create_server(wsgi_app.make(), host="127.0.0.1", port=0, threads=4)
print(f"Listening at: http://127.0.0.1:{server.effective_port}", flush=True)
server.run()
"""

SERVERS: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "gunicorn sync": (("gunicorn",), gunicorn("--workers", "2")),
    "gunicorn gthread": (("gunicorn",), gunicorn("--worker-class", "gthread", "--threads", "4")),
    "gunicorn gevent": (("gunicorn", "gevent"), gunicorn("--worker-class", "gevent")),
    "gunicorn gevent, preloaded": (("gunicorn", "gevent"), gunicorn("--worker-class", "gevent", "--preload")),
    "waitress": (("waitress",), ["-c", WAITRESS]),
}


@dataclass(frozen=True)
class House:
    """A server at work, and credentials of every sort."""

    server: str
    port: int
    key: str
    session: str
    ended: str
    token: str
    by_account: dict[str, str]

    def send(self, head: bytes, body: bytes = b"") -> tuple[int, dict[str, str], Any]:
        """What the server answers to exactly these bytes: status, headers, and its body read as JSON."""
        with closing(socket.create_connection(("127.0.0.1", self.port), timeout=30)) as connection:
            connection.sendall(head.rstrip(b"\r\n") + b"\r\nConnection: close\r\n\r\n" + body)
            answer = b"".join(iter(lambda: connection.recv(65_536), b""))
        start, _, rest = answer.partition(b"\r\n\r\n")
        line, *lines = start.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
        try:
            said = json.loads(rest) if rest else None
        except ValueError:
            said = rest
        return int(line.split(" ")[1]), headers, said

    def ask(self, target: str, *headers: str, method: str = "GET", body: bytes = b"") -> tuple[int, Any]:
        """The status, and the code of a refusal or what is said."""
        lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        status, _, said = self.send("\r\n".join(lines).encode("latin-1"), body)
        return status, said.get("code", said) if isinstance(said, dict) else said


@pytest.fixture(scope="module", params=SERVERS)
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    needed, command = SERVERS[request.param]
    for package in needed:
        if find_spec(package) is None:
            missing(package, "it is not installed")
    url = f"sqlite:///{tmp_path_factory.mktemp('wsgi')}/guestpass.db"
    guard, keys, sessions, signer = guard_over(url)
    key = keys.create(platform="p", mode="live").secret
    by = guard.check(key)
    logs = {"call_logs": {"enabled": True}}
    ended = sessions.create(by=by, account="acct_1")
    sessions.revoke(ended.id)
    secrets = {
        f"acct_{n}": sessions.create(by=by, account=f"acct_{n}", components=logs).client_secret for n in range(8)
    }
    token = signer.sign(by=by, tenant_id="acct_1", components=logs).jwt
    # The servers open it for themselves.
    signer.ring.store.close()  # type: ignore[attr-defined] # whatever answers, and this one closes
    program = Program("env", f"GUESTPASS_STORE={url}", f"PYTHONPATH={SEEN}", sys.executable, *command)
    try:
        port = int(program.until(r"Listening at: http://127\.0\.0\.1:(\d+)")[1])
        yield House(request.param, port, key, secrets["acct_1"], ended.client_secret, token, secrets)
    finally:
        program.end()


def bearer(credential: str) -> str:
    return f"Authorization: Bearer {credential}"


def test_what_is_let_in_and_what_is_not(house: House) -> None:
    assert house.ask("/health") == (200, {"ok": True})
    assert house.ask(LOGS) == (401, "credential_missing")
    for credential in (house.session, house.token):
        assert house.ask(LOGS, bearer(credential)) == (200, {"account": "acct_1"})
    assert house.ask(LOGS, bearer(house.key), "Account-Id: acct_5") == (200, {"account": "acct_5"})
    assert house.ask(LOGS, bearer(house.ended)) == (401, "session_revoked")
    assert house.ask("/v1/voicemails", bearer(house.session)) == (403, "component_disabled")
    assert house.ask("/v1/accounts/acct_1/call_logs", bearer(house.session))[0] == 200
    assert house.ask("/v1/accounts/acct_2/call_logs", bearer(house.session)) == (403, "account_mismatch")
    assert house.ask("/v1/unmarked", bearer(house.key)) == (404, "rule_missing")
    assert house.ask("/static/x", bearer(house.key)) == (404, "rule_missing")
    assert house.ask(LOGS, bearer(house.key), "Origin: https://shop.example") == (403, "secret_key_in_browser")


@pytest.mark.parametrize(
    "path",
    [
        "//v1/call_logs", "/v1//call_logs", "/v1/./call_logs", "/health/../v1/call_logs", "/health/%2e%2e/v1/call_logs",
        "/v1%2fcall_logs", "/v1/call_logs;x=1", "/v1/call_logs%00", "/v1%5ccall_logs", "/v1/%252e%252e/health",
        "http://127.0.0.1/v1/call_logs", "/health/..%2fv1/call_logs", "/v1/files%2fx", "/health%0a",
    ],
)  # fmt: skip
def test_a_path_that_can_be_read_in_two_ways_is_refused(house: House, path: str) -> None:
    for credential in (house.session, None):
        status, said = house.ask(path, *([bearer(credential)] if credential else []))
        # Some servers refuse a path by themselves.
        assert status == 400
        assert said == "path_ambiguous" or not isinstance(said, str) or " " in said


def test_paths_that_mean_what_they_say_are_routed(house: House) -> None:
    secret = bearer(house.session)
    assert house.ask("/v1/call%5Flogs?a=//..;%2f", secret)[0] == 200
    assert house.ask("/v1/files/a%2Fb/caf%C3%A9", secret) == (200, {"name": "a/b/caf\xe9"})
    assert house.ask("/v1/accounts/acct%5F2/call_logs", secret) == (403, "account_mismatch")
    assert house.ask("/v1/accounts/acct_1%C2%A0/call_logs", secret) == (403, "account_mismatch")


def test_several_credentials_are_refused_however_they_come(house: House) -> None:
    good = bearer(house.session)
    for headers in (
        [good, good],
        ["Authorization: Basic YTpi", good],
        [good, "Authorization: Basic YTpi"],
        [good, "Authorization:"],
        [good, f"authorization: Bearer {house.key}"],
        [f"{good}, Bearer {house.session}"],
        [f"{good},"],
        [f"{good} {house.session}"],
    ):
        status, code = house.ask(LOGS, *headers)
        assert status == 400, headers
        assert code == "credential_malformed" or " " in str(code)
    assert house.ask(LOGS, f"Proxy-{good}", f"X-{good}") == (401, "credential_missing")


def test_accounts_that_disagree_are_refused_however_they_come(house: House) -> None:
    secret = bearer(house.session)
    assert house.ask(LOGS, secret, "Account-Id: acct_1", "Account-Id: acct_1")[0] == 200
    for headers in (
        ["Account-Id: acct_1", "Account-Id: acct_2"],
        ["Account-Id: acct_2", "Account-Id: acct_1"],
        ["Account-Id: acct_1, acct_2"],
        ["ACCOUNT-ID: acct_2"],
    ):
        assert house.ask(LOGS, secret, *headers) == (403, "account_mismatch"), headers
    # Servers drop, refuse or take a name with "_": the account it names is never believed.
    status, said = house.ask(LOGS, secret, "Account_Id: acct_2")
    assert status in (400, 403) or said == {"account": "acct_1"}


def test_what_looks_like_the_guards_own_headers_does_not_arrive(house: House) -> None:
    forged = ["Guestpass-Account: acct_2", "GUESTPASS-Principal: admin"]
    said = {"account": "acct_1", "kind": "account_session", "look_alikes": []}
    assert house.ask("/v1/me", bearer(house.session), *forged) == (200, said)


def test_a_root_that_a_stranger_names_opens_nothing(house: House) -> None:
    for header in (
        "SCRIPT_NAME: /v1/call",
        "SCRIPT_NAME: /v1",
        "PATH_INFO: /health",
        "X-Forwarded-Prefix: /v1",
        "X-Script-Name: /v1",
    ):
        status, _ = house.ask(LOGS, header)
        assert status in (400, 401, 500), header
        assert house.ask("/v1/health", header)[0] in (200, 400, 401, 500)


def test_head_and_refusals_are_whole(house: House) -> None:
    status, headers, body = house.send(f"HEAD {LOGS} HTTP/1.1\r\nHost: x".encode())
    assert (status, body) == (401, None)
    assert headers["www-authenticate"] == 'Bearer realm="api"'
    assert house.send(f"HEAD {LOGS} HTTP/1.1\r\nHost: x\r\n{bearer(house.session)}".encode())[0] == 200
    status, headers, body = house.send(f"GET {LOGS} HTTP/1.1\r\nHost: x".encode())
    assert (headers["cache-control"], headers["content-type"]) == ("no-store", "application/problem+json")
    assert body["code"] == "credential_missing"


def test_a_page_is_answered_before_the_guard(house: House) -> None:
    asked = [
        "Origin: https://shop.example",
        "Access-Control-Request-Method: GET",
        "Access-Control-Request-Headers: authorization",
    ]
    lines = "\r\n".join([f"OPTIONS {LOGS} HTTP/1.1", "Host: x", *asked])
    status, headers, _ = house.send(lines.encode())
    assert (status, headers["access-control-allow-origin"]) == (200, "https://shop.example")
    assert house.ask(LOGS, "Origin: https://evil.example", *asked, method="OPTIONS")[0] == 400


def test_sessions_are_issued_with_bodies_of_either_length(house: House) -> None:
    secret, body = bearer(house.key), b'{"account":"acct_3"}'
    status, made = house.ask(MINT, secret, method="POST", body=body)
    assert (status, made["account"]) == (201, "acct_3")
    assert house.ask(LOGS, bearer(made["client_secret"])) == (200, {"account": "acct_3"})
    head = f"POST {MINT} HTTP/1.1\r\nHost: x\r\n{secret}\r\nTransfer-Encoding: chunked".encode()
    assert house.send(head, b"14\r\n" + body + b"\r\n0\r\n\r\n")[0] == 201
    assert house.ask(MINT, bearer(house.session), method="POST", body=body) == (403, "escalation_denied")
    assert house.ask(MINT, secret, "Idempotency-Key: a", "Idempotency-Key: b", method="POST", body=body)[0] == 400
    assert house.ask(f"{MINT}/{made['id']}/revoke", secret, method="POST")[0] == 200
    assert len(house.ask("/.well-known/jwks.json")[1]["keys"]) == 1


def test_requests_at_once_see_their_own_callers(house: House) -> None:
    accounts = [f"acct_{number % 8}" for number in range(160)]

    def ask(account: str) -> bool:
        return house.ask(LOGS, bearer(house.by_account[account])) == (200, {"account": account})

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, accounts))


def test_a_revocation_counts_within_a_second_or_at_once(house: House) -> None:
    made = house.ask(MINT, bearer(house.key), method="POST", body=b'{"account":"acct_1"}')[1]
    assert house.ask(f"{MINT}/{made['id']}/revoke", bearer(house.key), method="POST")[0] == 200
    assert house.ask(LOGS, bearer(made["client_secret"])) == (401, "session_revoked")
