"""``guestpass serve`` as a command: what it says where it does not start, and what a look and an example are."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from cli.conftest import WRAPPING_KEY, Run
from guestpass.cli.serve import EXAMPLE
from guestpass.stores import Store
from real.proxies import bearer
from real.served import Serve, ask, guestpass
from service.writing import sound

SIGNED = '[signed_tokens]\nissuer = "https://api.example"\naudience = "api"\nalgorithm = "EdDSA"\n'
WAIT = 60.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "guestpass.toml"
    path.write_text(sound(without='store = "memory://"\n', end="[listen]\nport = 0"))
    return path


def test_a_look_says_what_would_be_served(run: Run, opened: Store, file: Path, store: str) -> None:
    code, out, err = run("serve", "--check", "--config", str(file))
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == f"{file} is sound. It serves:"
    assert "  forward auth: proxy nginx, path /_guestpass" in out
    assert out.endswith("  issuers: none\n  rules:\n    GET /v1/call_logs\n")
    code, out, err = run("serve", "--check", "--config", str(file), "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told == {
        "mode": "live",
        "listen": "127.0.0.1:0",
        "workers": 1,
        "store": store,
        "health": "/health",
        "forward_auth": {"proxy": "nginx", "path": "/_guestpass"},
        "issuing": "/",
        "signed_tokens": None,
        "issuers": [],
        "rules": ["GET /v1/call_logs"],
    }


def test_a_look_changes_nothing(run: Run, store: str, file: Path, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    code, out, err = run("serve", "--check", "--config", str(file))
    assert (code, out) == (1, "")
    assert err.startswith("store_empty: ")
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda file: file.unlink(), "there is no such file: --config FILE, or begin with guestpass serve --print"),
        (lambda file: file.write_bytes(b"\xff"), "it is no text in UTF-8"),
        (lambda file: file.write_text("mode ="), "Invalid value (at end of document)"),
        (lambda file: file.write_text(sound(top="x = 1")), "x: there is no such setting"),
        (lambda file: file.write_text(sound(end=SIGNED)), "wrapping_key_file: is missing"),
        (lambda file: file.write_text(sound(end="[listen]\nworkers = 2")), "memory:// is kept by one process alone"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("more", [(), ("--check",)])
def test_what_is_wrong_is_one_line(
    run: Run, file: Path, write: Callable[[Path], object], says: str, more: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    write(file)
    monkeypatch.delenv("GUESTPASS_STORE")
    code, out, err = run("serve", "--config", str(file), *more)
    assert (code, out) == (2, "")
    assert err.startswith(f"configuration: {file}")
    assert says in err
    assert err.count("\n") == 1
    told = json.loads(run("serve", "--config", str(file), *more, "--json")[2])
    assert told["code"] == "configuration"
    assert says in told["detail"]


def test_a_store_out_of_reach(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUESTPASS_STORE", "redis://someone:hunter22@127.0.0.1:1/0")
    for more in ((), ("--check",)):
        code, out, err = run("serve", "--config", str(file), *more)
        assert (code, out) == (1, "")
        assert err.startswith("store_unavailable: ")
        assert err.count("\n") == 1
        assert "hunter22" not in err


def test_a_port_that_is_taken(run: Run, opened: Store, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("GUESTPASS__LISTEN__PORT", str(port))
        code, out, err = run("serve", "--config", str(file))
    assert (code, out) == (1, "")
    assert err == f"address_unavailable: 127.0.0.1:{port}: Address already in use\n"


def test_without_uvicorn_the_line_to_install_it(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guestpass.cli.serve.find_spec", lambda _: None)
    code, _, err = run("serve", "--config", str(file))
    assert (code, err) == (2, 'configuration: guestpass serve needs uvicorn: pip install "guestpass[serve]"\n')


def test_the_example(run: Run) -> None:
    code, out, err = run("serve", "--print-example")
    assert (code, out, err) == (0, EXAMPLE.read_text(), "")
    assert json.loads(run("serve", "--print-example", "--json")[1]) == {"example": out}
    assert run("serve", "--print-example", "--check")[0] == 2


def test_it_serves_what_it_says_and_ends(tmp_path: Path, store: str, opened: Store, file: Path) -> None:
    file.write_text(file.read_text() + SIGNED)
    serve = Serve("--config", str(file), GUESTPASS_STORE=store, GUESTPASS_WRAPPING_KEY=WRAPPING_KEY)
    try:
        key = guestpass("keys", "create", "--platform", "acme", GUESTPASS_STORE=store)
        body = b'{"tenantId": "acct_1"}'
        signed = ask(serve.port, "/api/v1/jwt/sign", bearer(key), method="POST", body=body)
        assert signed.status == 200
        asked = ("X-Original-Method: GET", "X-Original-URI: /v1/call_logs")
        assert ask(serve.port, "/_guestpass", bearer(signed.said["jwt"]), *asked).code == "component_disabled"
        assert serve.terminate() == 0
    finally:
        serve.end()
    # Nothing but the line that says that it serves.
    assert len(serve.said.splitlines()) == 1
    # The address is free again at once.
    again = Serve("--config", str(file), GUESTPASS_STORE=store, GUESTPASS_WRAPPING_KEY=WRAPPING_KEY,
                  GUESTPASS__LISTEN__PORT=str(serve.port))  # fmt: skip
    assert again.terminate(signal.SIGINT) == 0
    again.end()


def test_for_people_it_says_so_on_standard_error(store: str, opened: Store, file: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "guestpass", "serve", "--config", str(file)],
        env=os.environ | {"GUESTPASS_STORE": store},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert line.endswith(
            "serving forward auth for nginx at /_guestpass and the issuing API below /, mode live. Ctrl-C ends it.\n"
        )
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=WAIT)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (0, "", "")


def test_a_request_under_way_is_answered_before_it_ends(store: str, opened: Store, file: Path) -> None:
    key = guestpass("keys", "create", "--platform", "acme", GUESTPASS_STORE=store)
    serve = Serve("--config", str(file), GUESTPASS_STORE=store)
    try:
        body = b'{"account": "acct_1"}'
        head = f"POST /v1/account_sessions HTTP/1.1\r\nHost: x\r\n{bearer(key)}\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", serve.port), timeout=WAIT) as connection:
            connection.sendall(head.encode() + body[:5])
            time.sleep(0.3)
            serve._process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            connection.sendall(body[5:])
            assert connection.recv(65_536).startswith(b"HTTP/1.1 201 ")
        assert serve._process.wait(WAIT) == 0
    finally:
        serve.end()


def test_a_head_that_never_ends_is_not_kept(store: str, opened: Store, file: Path) -> None:
    serve = Serve("--config", str(file), GUESTPASS_STORE=store)
    try:
        with socket.create_connection(("127.0.0.1", serve.port), timeout=WAIT) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ")
            answered = b""
            with suppress(ConnectionError):
                for _ in range(64):
                    connection.sendall(b"x" * 65_536)
                answered = connection.recv(65_536)
        assert answered == b"" or answered.startswith(b"HTTP/1.1 400 ")
        assert ask(serve.port, "/health").status == 200
        assert serve.terminate() == 0
    finally:
        serve.end()


def test_who_leaves_in_the_middle_of_a_body_is_no_fault_of_the_service(store: str, opened: Store, file: Path) -> None:
    key = guestpass("keys", "create", "--platform", "acme", GUESTPASS_STORE=store)
    serve = Serve("--config", str(file), GUESTPASS_STORE=store)
    try:
        head = f"POST /v1/account_sessions HTTP/1.1\r\nHost: x\r\n{bearer(key)}\r\nContent-Length: 1000\r\n\r\n{{"
        with socket.create_connection(("127.0.0.1", serve.port), timeout=WAIT) as connection:
            connection.sendall(head.encode())
            time.sleep(0.3)
        assert ask(serve.port, "/health").status == 200
        assert serve.terminate() == 0
    finally:
        serve.end()
    assert "Traceback" not in serve.said


def test_what_it_tells_of_is_lines_of_json(store: str, opened: Store, file: Path) -> None:
    key = guestpass("keys", "create", "--platform", "acme", GUESTPASS_STORE=store)
    file.write_text(file.read_text() + "[observe]\nlog = true\n")
    serve = Serve("--config", str(file), GUESTPASS_STORE=store)
    try:
        body = b'{"account": "acct_1", "components": {"voicemails": {"enabled": true}}}'
        made = ask(serve.port, "/v1/account_sessions", bearer(key), method="POST", body=body).said
        asked = ("X-Original-Method: GET", "X-Original-URI: /v1/call_logs?of=acct_1")
        assert ask(serve.port, "/_guestpass", bearer(made["client_secret"]), *asked).code == "component_disabled"
        assert ask(serve.port, "/_guestpass", bearer(key), "Origin: https://a.example", *asked).status == 403
        assert serve.terminate() == 0
    finally:
        serve.end()
    told = [json.loads(line) for line in serve.said.splitlines() if line.startswith('{"time"')]
    # One for each, and one more for what bears on security; what is let in is not told of.
    assert sorted((one["code"], one["event"], one["level"]) for one in told) == [
        ("component_disabled", "decided", "info"),
        ("secret_key_in_browser", "decided", "info"),
        ("secret_key_in_browser", "security", "warning"),
    ]
    assert (told[0]["credential_id"], told[0]["account"]) == (made["id"], "acct_1")
    assert key not in serve.said
    assert made["client_secret"] not in serve.said


def children(serve: Serve) -> list[psutil.Process]:
    """The processes that serve."""
    found: list[psutil.Process] = []
    for one in psutil.Process(serve._process.pid).children():
        with suppress(psutil.NoSuchProcess):  # a zombie included
            found += [one] * ("spawn_main" in " ".join(one.cmdline()))
    return found


def until(happened: Callable[[], object]) -> None:
    end = time.monotonic() + WAIT
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_worker_that_ends_is_replaced_and_none_outlives_the_first(store: str, opened: Store, file: Path) -> None:
    serve = Serve("--config", str(file), GUESTPASS_STORE=store, GUESTPASS__LISTEN__WORKERS="2")
    try:
        first, second = children(serve)
        first.kill()

        def replaced() -> bool:
            now = {one.pid for one in children(serve)}
            return len(now) == 2 and first.pid not in now and second.pid in now

        until(replaced)
        assert f"worker {first.pid} has ended with -9; another takes its place" in serve.said
        assert ask(serve.port, "/health").status == 200
        left = children(serve)
        # Nobody tells them: it just goes.
        os.kill(serve._process.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(left, WAIT)
        assert alive == []
    finally:
        serve.end()


def test_workers_that_cannot_start_end_it(store: str, opened: Store, file: Path, tmp_path: Path) -> None:
    # The store is there when the first process looks, and gone before its workers do.
    program = """
import os, sys
from guestpass.service import workers
start = workers.Workers._start
def gone(self):
    if os.path.exists(sys.argv[1]):
        os.rename(sys.argv[1], sys.argv[1] + "-gone")
    return start(self)
workers.Workers._start = gone
if __name__ == "__main__":
    from guestpass.cli import main
    sys.exit(main(["serve", "--config", sys.argv[2]]))
"""
    script = tmp_path / "program.py"
    script.write_text(program)
    done = subprocess.run(
        [sys.executable, str(script), store.removeprefix("sqlite:///"), str(file)],
        env=os.environ | {"GUESTPASS_STORE": store, "GUESTPASS__LISTEN__WORKERS": "2"},
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert done.returncode == 1
    assert "a worker cannot start: " in done.stderr
    assert "there is no store in" in done.stderr
    assert "has ended with 1 before it served" in done.stderr
    assert "Traceback" not in done.stderr
