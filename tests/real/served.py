"""`guestpass serve` at work as `docs/serve.md` shows it: nginx asks it for an API in Node; the store is in Redis.

The page's files are run as they stand there, but for addresses; the store and the port come by the environment.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from real.programs import WAIT, Program, _node
from real.proxies import Answer, Proxied, _free_port, bearer, nginx_with, put, shown
from stores.redis_servers import Server, program, running

PAGE = Path(__file__).parent.parent.parent / "docs" / "serve.md"


class Serve(Program):
    """A running ``guestpass serve``; `told` is the line that it prints once it serves."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        settings = [f"{name}={value}" for name, value in environment.items()]
        super().__init__("env", *settings, sys.executable, "-m", "guestpass", "serve", "--json", *arguments)
        self.told: dict[str, Any] = json.loads(self.until(r"^\{.*")[0])

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.told["url"].rpartition(":")[2])

    def terminate(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to end, and wait for that; its exit code."""
        self._process.send_signal(number)
        return self._process.wait(WAIT)


def guestpass(*arguments: str, **environment: str) -> str:
    """What another command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "guestpass", *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def ask(port: int, target: str, *headers: str, method: str = "GET", body: bytes = b"") -> Answer:
    """What a port of loopback answers."""
    return Proxied("nginx", ("127.0.0.1", port), None, None).ask(  # type: ignore[arg-type] # the address is all it needs
        target, *headers, method=method, body=body
    )


def mint(asked: "Stage", account: str, *components: str) -> dict[str, Any]:
    """A new session, asked for through nginx."""
    body = {"account": account, "components": {name: {"enabled": True} for name in components}}
    answer = asked.ask("/v1/account_sessions", bearer(asked.key), method="POST", body=json.dumps(body).encode())
    assert answer.status == 201, answer.body
    made: dict[str, Any] = answer.said
    return made


@dataclass(frozen=True)
class Stage:
    """All of it at work. `key` is the back end's."""

    store: Server
    serve: Serve
    nginx: Proxied
    key: str
    environment: dict[str, str]

    def ask(self, target: str, *headers: str, method: str = "GET", body: bytes = b"") -> Answer:
        """What nginx answers."""
        return self.nginx.ask(target, *headers, method=method, body=body)

    def guestpass(self, *arguments: str) -> str:
        """What another command says, on the same store."""
        return guestpass(*arguments, **self.environment)


@contextmanager
def staged(folder: Path, **environment: str) -> Iterator[Stage]:
    """The page's example at work; `environment` changes settings of it."""
    file = folder / "guestpass.toml"
    file.write_text(shown("guestpass.toml", PAGE))
    with running(program("redis")) as store, _node_api(folder) as api:
        place = {"GUESTPASS_STORE": store.url, "GUESTPASS__LISTEN__PORT": "0"}
        key = guestpass("keys", "create", "--platform", "acme", "--name", "back end", **place)
        serve = Serve("--config", str(file), **place, **environment)
        try:
            gate = f"127.0.0.1:{serve.port}"
            command, address = nginx_with(shown("issuing.conf", PAGE), folder, gate, f"127.0.0.1:{api}")
            nginx = Program(*command)
            try:
                proxied = Proxied("nginx", address, None, serve)  # type: ignore[arg-type] # it has other credentials
                until(lambda: proxied.ask("/health").status == 200)
                yield Stage(store, serve, proxied, key, place)
            finally:
                nginx.end()
        finally:
            serve.end()


@contextmanager
def _node_api(folder: Path) -> Iterator[int]:
    """The page's API, and the port that it listens on."""
    port = _free_port()
    file = folder / "api.mjs"
    file.write_text(put(shown("api.mjs", PAGE), **{"listen(8000,": f"listen({port},"}))
    node, _ = _node("the API of docs/serve.md")
    api = Program(node, file)
    try:
        until(lambda: ask(port, "/health").status == 500)
        yield port
    finally:
        api.end()


def until(happened: Callable[[], object]) -> None:
    """Wait until it has happened; until then nobody may be there to ask."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        with suppress(OSError, HTTPException):
            if happened():
                return
        time.sleep(0.05)
    raise AssertionError("it did not happen")
