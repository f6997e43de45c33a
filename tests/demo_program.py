"""The demo as a process of its own, and the small things that its tests say again and again.

Nothing here waits without a bound.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from queue import Queue
from typing import IO

import httpx
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from guestpass.demo import data

WAIT = 60.0
"""Seconds after which something that should have happened has not."""

CREDENTIAL = re.compile(r"(?:sk|pk|cs)_live_\w+|eyJ[\w-]+\.")

BOTH = {"call_logs": {"enabled": True}, "voicemails": {"enabled": True}}
ONE = {"call_logs": {"enabled": True}, "voicemails": {"enabled": False}}


def bearer(credential: str, **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}", **more}


def mint(post: Callable[..., httpx.Response], key: str, account: str = data.ACCOUNT, **more: object) -> str:
    answer = post("/v1/account_sessions", headers=bearer(key), json={"account": account, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["client_secret"])


class Lines:
    """What a process says on one of its pipes, as it comes."""

    def __init__(self, pipe: IO[str]) -> None:
        self.all: list[str] = []
        self._pipe = pipe
        self._coming: Queue[str] = Queue()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        for line in self._pipe:
            self.all.append(line)
            self._coming.put(line)

    def up_to(self, beginning: str) -> str:
        """All that comes up to the line that begins so."""
        taken = [""]
        while not taken[-1].startswith(beginning):
            taken.append(self._coming.get(timeout=WAIT))
        return "".join(taken)

    def rest(self) -> str:
        """All that has come, once the process has ended."""
        self._thread.join(WAIT)
        return "".join(self.all)


@dataclass
class Program:
    """A running demo: its process, and what it printed once it served."""

    process: subprocess.Popen[str]
    printed: str
    out: Lines
    errors: Lines

    @property
    def started(self) -> dict[str, str]:
        started: dict[str, str] = json.loads(self.printed)
        return started

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """Exit code, what else was on standard output, and all of standard error."""
        self.process.send_signal(number)
        code = self.process.wait(WAIT)
        return code, self.out.rest().removeprefix(self.printed), self.errors.rest()


@contextlib.contextmanager
def running(*arguments: str, printing: str = "{", **environment: str) -> Iterator[Program]:
    """The demo on a free port, once it has printed a line that begins with `printing`."""
    command = [sys.executable, "-m", "guestpass", "demo", "--port", "0", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        out, errors = Lines(process.stdout), Lines(process.stderr)
        try:
            yield Program(process, out.up_to(printing), out, errors)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(WAIT)
            said = errors.rest()
            out.rest()
        assert "Traceback" not in said
        assert not CREDENTIAL.search(said)


@contextlib.contextmanager
def events(program: Program, *pair: str, header: str | None = None) -> Iterator[ClientConnection]:
    with connect(
        program.started["url"].replace("http", "ws") + "/v1/events",
        subprotocols=[Subprotocol(part) for part in pair] or None,
        additional_headers=None if header is None else bearer(header),
        proxy=None,
        open_timeout=WAIT,
    ) as connection:
        yield connection


def hello(connection: ClientConnection) -> Mapping[str, object]:
    greeting: dict[str, object] = json.loads(connection.recv(timeout=WAIT))
    assert greeting.pop("type") == "hello"
    return greeting
