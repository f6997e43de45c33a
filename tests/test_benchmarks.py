"""The benchmarks run, in the parts that need no peer's environment: a short look, so that they do not rot.

Figures are not looked at: the machine of a test is busy with others.
"""

import io
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from benchmarks import run, worker
from benchmarks.applications import bare, floor
from benchmarks.comparing import compared
from benchmarks.contenders import ASGI, ASGI_PEERS, WSGI, WSGI_PEERS, Bench, Contender
from benchmarks.driving import asgi_status, wsgi_status
from benchmarks.environments import MAIN, REQUIREMENTS
from benchmarks.load import Load, request, turn_of
from benchmarks.parts import growth, memory, policy, profile
from benchmarks.scene import ACCOUNT, Scene, request_headers, staged
from benchmarks.settings import Settings

SHORT = Settings(quick=True, scale=0.005)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with staged(4) as made:
        yield made


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


HERE = [one for one in (*ASGI, *ASGI_PEERS, *WSGI) if one.environment == MAIN]


@pytest.mark.parametrize("cold", [False, True], ids=["warm", "cold"])
@pytest.mark.parametrize("contender", HERE, ids=lambda one: f"{one.door}-{one.name}")
def test_every_contender_does_what_it_is_measured_for(
    contender: Contender, cold: bool, scene: Scene, bench: Bench
) -> None:
    seen = replace(scene, cold=cold)
    guards = contender.over is not None
    turn = bench.turn(contender.name, contender.door, contender.made_by, seen, guards=guards)
    assert turn(9) > 0


def test_who_lets_everybody_in_is_not_measured(scene: Scene, bench: Bench) -> None:
    with pytest.raises(ValueError, match="answers 200 to a right token, and 200 to a forged one"):
        bench.turn("open", "asgi", "bare:asgi", scene, guards=True)
    with pytest.raises(ValueError, match="answers 401"):
        bench.turn("closed", "asgi", "floor:asgi", replace(scene, audience="another"), guards=True)


def right(scene: Scene, **headers: str) -> list[tuple[bytes, bytes]]:
    changed = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    return [(name, changed.get(name, value)) for name, value in scene.headers(scene.tokens[0])]


def test_the_floor_is_a_guard(scene: Scene, bench: Bench) -> None:
    app, path, headers = floor.asgi(scene), scene.path, right(scene)
    twice = [*headers, (b"authorization", f"Bearer {scene.tokens[1]}".encode())]
    nobody = [entry for entry in headers if entry[0] != b"authorization"]
    asked = [
        (200, path, headers),
        (200, path, headers),
        (400, path, twice),
        (401, path, nobody),
        (401, path, right(scene, authorization=f"Bearer {scene.forged}")),
        (401, path, right(scene, authorization=f"Basic {scene.tokens[0]}")),
        (403, path, right(scene, account_id="acct_another")),
        (404, "/v1/elsewhere", headers),
    ]
    for status, where, sent in asked:
        assert asgi_status(app, where, sent, bench.loop) == status
    door = floor.wsgi(scene)
    for status, where, sent in asked:
        # A server joins two headers with a comma; the floor sees them as one that is wrong.
        if sent is not twice:
            assert wsgi_status(door, where, sent) == status


def test_a_token_is_as_long_as_is_said_and_none_is_like_another(scene: Scene) -> None:
    assert {len(token) for token in scene.tokens} <= {*range(845, 856)}
    assert len(set(scene.tokens)) == len(scene.tokens)
    assert Scene.from_json(scene.to_json()) == scene


def test_contenders_are_compared_over_their_own_applications(scene: Scene) -> None:
    rounds, table, versions = compared("", ASGI[:3], scene, 0.05)
    assert [row[0] for row in table.rows] == ["bare ASGI", "floor", "guestpass"]
    assert rounds.over("guestpass", "bare ASGI").middle > 0
    assert versions == {}


def test_a_worker_makes_what_it_is_told_and_has_its_turns(scene: Scene) -> None:
    questions = [
        {"make": ["floor", "asgi", "floor:asgi"], "scene": scene.to_json(), "guards": True},
        {"turn": "floor", "calls": 5},
    ]
    answers = io.StringIO()
    worker.serve(io.StringIO("".join(json.dumps(one) + "\n" for one in questions)), answers)
    versions, seconds = map(json.loads, answers.getvalue().splitlines())
    assert "PyJWT" in versions
    assert seconds > 0


def test_short_parts_run() -> None:
    assert policy.run(SHORT).targets
    assert profile.run(SHORT).tables[0].rows


def test_a_full_cache_and_many_issuers_are_measured(scene: Scene) -> None:
    assert growth.with_full_cache(5)(10) > 0
    assert growth.with_issuers(scene, 3)(5) > 0


def test_memory_is_measured() -> None:
    assert memory.cached(300) < 1_000_000
    assert set(memory.refused(70, 140)) == set(memory.BAD)


def test_every_environment_and_every_part_is_there() -> None:
    for one in (*ASGI, *ASGI_PEERS, *WSGI, *WSGI_PEERS):
        assert (REQUIREMENTS / f"{one.environment}.txt").is_file(), one.name
    parts = REQUIREMENTS.parent / "parts"
    assert {path.stem for path in parts.glob("[a-z]*.py")} == set(run.PARTS)


def test_no_requirement_names_where_it_comes_from() -> None:
    for path in REQUIREMENTS.glob("*.txt"):
        for line in path.read_text().splitlines():
            assert line.startswith("#") or "==" in line
            assert "://" not in line
            assert not line.startswith("-")


def test_an_unknown_part_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["make bench", "wram"])
    assert run.main() == 2
    assert "there is no part 'wram': warm, cold" in capsys.readouterr().err


# Load


@contextmanager
def answering(answers: list[bytes]) -> Iterator[int]:
    """A server that answers each request with the next of these, in two pieces, and the last one from then on."""
    left = list(answers)

    def serve(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection:
            while connection.recv(65_536):
                answer = left.pop(0) if len(left) > 1 else left[0]
                connection.sendall(answer[:20])
                connection.sendall(answer[20:])

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(5)


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
REFUSED = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n"
GET = request("/", request_headers("Bearer x", ACCOUNT))


def test_load_asks_as_often_as_it_is_told() -> None:
    with answering([OK]) as port:
        load = Load(port, [GET], connections=3)
        turn = turn_of(load)
        assert turn(1) > 0
        assert turn(2) > 0
        assert turn(50) > 0
        load.close()


def test_load_does_not_count_another_answer_than_the_first() -> None:
    with answering([OK, OK, REFUSED]) as port:
        load = Load(port, [GET], connections=1)
        with pytest.raises(ValueError, match="401"):
            load.turn(5)
        load.close()


def test_a_server_that_refuses_is_not_measured() -> None:
    with answering([REFUSED]) as port:
        load = Load(port, [GET], connections=1)
        with pytest.raises(ValueError, match="answers 401"):
            turn_of(load)
        load.close()


def test_the_bare_application_is_served_as_it_is(scene: Scene, bench: Bench) -> None:
    assert asgi_status(bare.asgi(scene), "/anything", [], bench.loop) == 200
