"""nginx with `auth_request`, set up as the documentation shows: what is its own. What it has in common with the other
proxies is in `test_proxies`."""

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from pathlib import Path

import pytest

from guestpass.forward_auth import MAX_PROBLEM
from guestpass.identity_headers import IDENTITY_HEADERS, read_identity_headers
from guestpass.problems import render
from guestpass.refusals import CASES, Refusal
from real import proxies
from real.proxies import Proxied, bearer, proxied, shown

pytestmark = pytest.mark.real

LOGS = "/v1/call_logs"


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    with proxied("nginx", tmp_path_factory.mktemp("gp")) as made:
        yield made


def test_the_configuration_sets_every_header_there_is() -> None:
    conf = shown("api.conf")
    for name in (*IDENTITY_HEADERS, "Guestpass-Subprotocol"):
        variable = name.lower().replace("-", "_")
        assert re.search(rf"auth_request_set \${variable} +\$upstream_http_{variable};", conf), name
        assert re.search(rf"proxy_set_header {name} +\${variable};", conf), name


def test_the_configuration_knows_every_status_there_is() -> None:
    # 409 and 422 are the issuing API's, which answers for itself.
    of_guards = {case.status for case in CASES.values()} - {409, 422}
    answered = set(map(int, re.findall(r"return (\d+) \$guestpass_problem;", shown("api.conf"))))
    assert answered == of_guards
    for code in CASES:
        assert len(render(Refusal(code, "credential", "x" * 500), "api").body) < MAX_PROBLEM


def test_a_refusal_is_never_taken_for_a_page(nginx: Proxied) -> None:
    # nginx goes by the end of the path elsewhere.
    for target in ("/v1/page.html", "/v1//page.html", "/v1/accounts/acct_2/call_logs"):
        answer = nginx.ask(target, bearer(nginx.credentials.session))
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["vary"] == "Authorization"


def test_a_challenge_is_there_once(nginx: Proxied) -> None:
    for headers in ((), (bearer("nobody"),), (bearer("a,b"),), (bearer(nginx.credentials.session),)):
        assert nginx.ask("/v1/voicemails", *headers).headers["www-authenticate"].count("Bearer") == 1


def test_the_longest_credential_and_the_largest_identity_pass(nginx: Proxied) -> None:
    assert nginx.ask(LOGS, bearer("x" * 8_192)).code == "credential_invalid"
    assert nginx.ask(LOGS, bearer("x" * 8_193)).code == "credential_malformed"
    caller = read_identity_headers(nginx.ask(LOGS, bearer(nginx.credentials.large)).said["headers"])
    assert caller is not None
    assert caller.metadata == proxies.LARGE


def test_one_connection_carries_several_callers(nginx: Proxied) -> None:
    known = nginx.credentials
    expected = [
        (known.session, 200),
        (None, 401),
        (known.other, 200),
        (known.ended, 401),
        (known.silent, 503),
        (known.session, 200),
    ]
    with nginx.connect() as connection:
        for credential, status in expected:
            lines = [f"GET {LOGS} HTTP/1.1", "Host: api.example", *([bearer(credential)] if credential else []), "", ""]
            connection.sendall("\r\n".join(lines).encode())
            response = HTTPResponse(connection)
            response.begin()
            body = response.read().decode()
            assert response.status == status
            assert ("acct_1" in body, "acct_2" in body) == (credential == known.session, credential == known.other)


def test_many_callers_at_once_are_told_apart(nginx: Proxied) -> None:
    known = {"acct_1": nginx.credentials.session, "acct_2": nginx.credentials.other}

    def ask(account: str) -> bool:
        caller = read_identity_headers(nginx.ask(LOGS, bearer(known[account])).said["headers"])
        return caller is not None and caller.account == account

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, ["acct_1", "acct_2"] * 60))


def test_what_asks_guestpass_is_nobodys_to_ask(nginx: Proxied) -> None:
    for target in ("/_guestpass", "/_guestpass?x=1", "/%5fguestpass"):
        answer = nginx.ask(
            target, bearer(nginx.credentials.session), "X-Original-Method: GET", "X-Original-URI: /health"
        )
        assert answer.status == 404
        assert "guestpass-kind" not in answer.headers


def test_a_client_that_goes_away_is_no_trouble(nginx: Proxied) -> None:
    for _ in range(20):
        with nginx.connect() as connection:
            connection.sendall(f"GET {LOGS} HTTP/1.1\r\nHost: api.example\r\n\r\n".encode())
            connection.shutdown(socket.SHUT_RDWR)
    assert nginx.ask("/health").status == 200


def test_over_a_unix_domain_socket_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    with proxied("nginx", tmp_path_factory.mktemp("gp"), by_socket=True) as nginx:
        mine = bearer(nginx.credentials.session)
        assert read_identity_headers(nginx.ask(LOGS, mine).said["headers"]) is not None
        assert nginx.ask("/v1/voicemails", mine).code == "component_disabled"
        nginx.gate.end()
        assert nginx.ask(LOGS, mine).status == 503


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("proxy_set_header X-Original-Method  $request_method;", "x-original-method is missing"),
        ("proxy_set_header X-Original-URI     $request_uri;", "x-original-uri is missing"),
        ("proxy_set_header X-Original-Upgrade $guestpass_upgrade;", "x-original-upgrade is missing"),
    ],
)
def test_a_line_left_out_lets_nobody_in_and_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, says: str
) -> None:
    whole = shown("api.conf")
    assert line in whole
    monkeypatch.setattr(proxies, "shown", lambda _: whole.replace(line, ""))
    with proxied("nginx", tmp_path, served=500) as nginx:
        assert nginx.ask("/health").code == "internal_error"
        nginx.gate.until(says)


def test_a_peer_that_is_not_trusted_is_told_of(tmp_path: Path) -> None:
    with proxied("nginx", tmp_path, trusted="192.0.2.1", served=500) as nginx:
        assert nginx.ask("/health").code == "internal_error"
        nginx.gate.until(r"asked by '127\.0\.0\.1', which is not in trusted")
