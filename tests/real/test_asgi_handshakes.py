"""WebSocket handshakes under real servers: the four names of the pair, refusals, and bytes that are no handshake.

After every test nothing is left of any of them: no task, no watched credential, no file.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing

import pytest

from real.asgi_requests import (
    AMBIGUOUS,
    HYPERCORN,
    ITS_OWN,
    MALFORMED,
    NOBODY,
    NOWHERE,
    Row,
    Seen,
    at,
    rows,
)
from real.serving import SERVERS, UPGRADE, end_of, handshake, read_handshake
from real.staging import NEAR, Stage, staged

pytestmark = pytest.mark.real


@pytest.fixture(scope="module", params=SERVERS)
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    with staged(request.param, idle=1) as stage:
        yield stage


@pytest.fixture
def words(stage: Stage) -> dict[str, str]:
    """What the table names."""
    return {"session": stage.mint("acct_1")["client_secret"], "jwt": stage.sign("acct_1"), "key": stage.secret_key}


@pytest.fixture(autouse=True)
def _nothing_left(stage: Stage) -> Iterator[None]:
    before = stage.counts()
    yield
    stage.nothing_left(before)


def test_a_pair_is_answered_with_its_name_alone(stage: Stage) -> None:
    for name, (credential, kind) in stage.credentials().items():
        account = None if name == "apikey" else "acct_1"
        for offered, accepted, left in (
            ([name, credential], name, []),
            (["graphql-transport-ws", name, credential], "graphql-transport-ws", ["graphql-transport-ws"]),
            ([name, credential, "chat", "superchat"], name, ["chat", "superchat"]),
        ):
            with stage.events(*offered) as connection:
                assert connection.subprotocol == accepted
                assert json.loads(connection.recv(timeout=10)) == {
                    "kind": kind,
                    "account": account,
                    "offer": left,
                    "sent": [", ".join(left)] if left else [],
                }
                connection.send("hello")
                assert connection.recv(timeout=10) == "5"


def test_the_longest_token_fits_into_a_handshake(stage: Stage) -> None:
    token = stage.sign("acct_1", metadata={"note": "x" * (4_096 - len('{"note":""}'))})
    assert len(token) > 5_500
    with stage.events("jwt", token) as connection:
        assert json.loads(connection.recv(timeout=10))["kind"] == "signed_token"


PAIR = "Sec-WebSocket-Protocol: client_secret, {session}"
OTHER_PAIR = "Sec-WebSocket-Protocol: jwt, {jwt}"
HEADER = "Authorization: Bearer {session}"
CHAT = "Sec-WebSocket-Protocol: chat"

OPENED: Seen = (101, "client_secret")
INVALID: Seen = (401, "credential_invalid")

HANDSHAKES: list[Row] = [
    *rows(OPENED, PAIR, f"{CHAT}|{PAIR}"),
    # Hypercorn accepts with no name but those in the last such header.
    *rows(OPENED, f"{PAIR}|{CHAT}", but=at(*HYPERCORN, seen=(101, ""))),
    *rows((101, ""), HEADER),
    *rows(NOBODY, "", CHAT, "Sec-WebSocket-Protocol: Client_Secret, {session}", "Cookie: client_secret={session}"),
    *rows(INVALID, "Sec-WebSocket-Protocol: client_secret, {session}x", "Sec-WebSocket-Protocol: jwt, a.b.c"),
    *rows(
        MALFORMED,
        f"{PAIR}|{OTHER_PAIR}", f"{PAIR}|{HEADER}", f"{PAIR}|{CHAT}|{HEADER}",
        "Sec-WebSocket-Protocol: client_secret, {session}, jwt, {jwt}", "Sec-WebSocket-Protocol: client_secret",
        "Sec-WebSocket-Protocol: {session}, client_secret", "Sec-WebSocket-Protocol: jwt, {session}",
        "Sec-WebSocket-Protocol: token, {session}", "Sec-WebSocket-Protocol: client_secret, {jwt}",
        "Sec-WebSocket-Protocol: apikey, {session}", f"{HEADER}|{HEADER}",
    ),
    *rows(MALFORMED, f"{PAIR}|{PAIR}", but=at("daphne")),
    *rows((403, "secret_key_in_browser"), "Sec-WebSocket-Protocol: apikey, {key}|Origin: https://shop.example"),
    *rows(OPENED, "|".join(f"X-{number}: {number}" for number in range(60)) + f"|{PAIR}"),
    *rows(OPENED, "Sec-WebSocket-Protocol: " + ", ".join(f"p{n}" for n in range(200)) + ", client_secret, {session}"),
]  # fmt: skip


def test_what_is_offered(stage: Stage, words: Mapping[str, str]) -> None:
    answered = {lines: shake(stage, lines.format(**words)) for lines, _, _ in HANDSHAKES}
    assert answered == {lines: expected(stage, seen, but) for lines, seen, but in HANDSHAKES}


TARGETS: list[Row] = [
    *rows(NOWHERE, "/v1/me", "/nowhere", "/v1/events/", "/V1/events"),
    *rows(AMBIGUOUS, "//v1/events", "/v1/./events", "/v1%2fevents", "/health/../v1/events", "/v1/events%00"),
    # Daphne's WebSocket part drops what it takes for parameters before anybody sees them.
    *rows(AMBIGUOUS, "/v1/events;x", but=at("daphne", seen=OPENED)),
    *rows(OPENED, "/v1/events?x=//", "/v1/event%73"),
    # An absolute-form target, as in `PATHS`.
    *rows(AMBIGUOUS, "http://127.0.0.1/v1/events", but=at("granian", "daphne", seen=OPENED)),
]  # fmt: skip


def test_where_it_goes(stage: Stage, words: Mapping[str, str]) -> None:
    answered = {target: shake(stage, PAIR.format(**words), target=target) for target, _, _ in TARGETS}
    assert answered == {target: expected(stage, seen, but) for target, seen, but in TARGETS}


FORMS: list[Row] = [
    *rows(
        ITS_OWN,
        UPGRADE.replace("13", "12"), UPGRADE.replace("|Sec-WebSocket-Version: 13", ""),
        UPGRADE.replace("|Sec-WebSocket-Key: {nonce}", ""),
        but=at("uvicorn_in_c", seen=(426, "the server's own")),
    ),
    # Then it is no handshake at all, and a request for what is served to sockets alone.
    *rows(NOBODY, UPGRADE.replace("websocket|", "websockets|"), UPGRADE.replace("Upgrade: websocket|", "")),
    *rows(NOBODY, UPGRADE.replace("Connection: Upgrade|", ""), but=at("daphne")),
]  # fmt: skip


def test_bad_handshakes(stage: Stage, words: Mapping[str, str]) -> None:
    for lines, seen, but in FORMS:
        status, whose = shake(stage, PAIR.format(**words), upgrade=lines)
        wanted = but.get(stage.server, seen)
        assert (status, whose) == wanted or (whose == wanted[1] and 400 <= status < 427), lines
    # Some take any key, any method and any version of HTTP; whoever is let in so is let in by the credential.
    for odd in ({"nonce": "zz"}, {"method": "POST"}, {"version": "1.0"}):
        assert shake(stage, PAIR.format(**words), b"", **odd)[0] in (101, 400, 401, 405)
        assert shake(stage, "", b"", **odd)[0] in (400, 401, 403, 405)
    assert stage.ask("/health") == (200, {"status": "ok"})


def test_more_than_a_server_reads(stage: Stage, words: Mapping[str, str]) -> None:
    for lines in (
        "Sec-WebSocket-Protocol: client_secret, " + "a" * 9_000,
        "Sec-WebSocket-Protocol: client_secret, " + "a" * 100_000,
        "|".join(f"Sec-WebSocket-Protocol: x{number}" for number in range(1_000)),
        "Sec-WebSocket-Protocol: " + ", ".join(f"x{number}" for number in range(20_000)),
    ):
        # uvicorn's says nothing at all to some of them, and waits for the client to go.
        with closing(stage.connect()) as connection:
            connection.sendall(handshake(lines).encode())
            if stage.server != "uvicorn":
                assert read_handshake(connection)[0] in (0, 400, 401, 403, 431)
    assert stage.ask("/health") == (200, {"status": "ok"})


# Hypercorn on trio ends altogether when it gets these, whatever it serves.
@pytest.mark.parametrize("stage", [server for server in SERVERS if server != "hypercorn_on_trio"], indirect=True)
def test_bytes_that_are_no_frames(stage: Stage, words: Mapping[str, str]) -> None:
    end, session = stage.now + 60, stage.mint("acct_1", expires_in=60)
    stage.stop_clock(end - NEAR)
    for garbage in (
        b"\xff" * 100,
        b"\x81\x02hi",
        b"\x88\x01\x00",
        b"\x81\xff" + b"\xff" * 8,
        b"GET / HTTP/1.1\r\n\r\n",
    ):
        for lines in (f"Sec-WebSocket-Protocol: client_secret, {session['client_secret']}", ""):
            shake(stage, lines, after=garbage)
    assert stage.ask("/health") == (200, {"status": "ok"})
    if stage.server in HYPERCORN:
        # It ends such a socket without a word to the application, which waits on: as long as its caller may, no longer.
        assert stage.counts()["watched"]
    stage.stop_clock(end)


def test_refused_sockets_that_are_accepted_first(stage: Stage) -> None:
    session = stage.mint("acct_1")["client_secret"]
    with staged(stage.server, websocket_refusal="accept") as accepting:
        before = accepting.counts()
        for code, offered, path in (
            (3000, ("client_secret", session), "/v1/events"),
            (3000, ("client_secret", "nonsense"), "/v1/events"),
            (3003, ("apikey", accepting.publishable_key), "/v1/events"),
            (3003, ("apikey", accepting.secret_key), "/nowhere"),
        ):
            with accepting.events(*offered, path=path) as connection:
                assert connection.subprotocol == offered[0]
                assert end_of(connection) == code
        accepting.nothing_left(before)


def expected(stage: Stage, seen: Seen, but: Mapping[str, Seen]) -> Seen:
    if stage.server not in but and stage.server == "daphne" and seen[0] != 101:
        # Without `websocket.http.response` it refuses with nothing but 403.
        return 403, "the server's own"
    return but.get(stage.server, seen)


def shake(stage: Stage, lines: str, after: bytes = b"", **form: str) -> Seen:
    """What a server answers to a handshake, and then the client is gone. For an open socket the protocol it names."""
    with closing(stage.connect()) as connection:
        connection.sendall(handshake(lines, **form).encode() + after)
        status, headers, said = read_handshake(connection)
    if status == 101:
        return status, headers.get("sec-websocket-protocol", "")
    return status, str(said["code"]) if isinstance(said, dict) else "the server's own"
