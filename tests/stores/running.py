"""Starts the programs of `processes`, and reads what they tell."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

_PACKAGE = __name__.rpartition(".")[0]
_ROOT = Path(__file__).parents[_PACKAGE.count(".") + 1]


def started(program: str, url: str, *more: str) -> subprocess.Popen[bytes]:
    """The program at work; what it tells is to be read from its standard output."""
    # They fork while other threads run, on purpose; Python 3.12 and later warn of it.
    command = [sys.executable, "-W", "ignore:This process", "-m", f"{_PACKAGE}.processes", program, url, *more]
    return subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, start_new_session=True)


def run(program: str, url: str, *, code: int = 0) -> list[Any]:
    """What the program told until its end, which must be a good one, or the one that is expected."""
    with started(program, url) as process:
        try:
            told, _ = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            # With the processes that it forked, which are of its session.
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == code
    return [json.loads(line) for line in told.splitlines()]
