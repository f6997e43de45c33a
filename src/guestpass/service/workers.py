"""Several processes that serve on one socket, and the one that looks after them.

Each builds the service for itself, from the same text of the same file, and shares nothing with the others but the
socket and the store. One that ends is replaced; one that cannot start at the beginning ends them all.
"""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Final

from guestpass.errors import GuestpassError
from guestpass.service.building import build
from guestpass.service.running import GRACE, run, set_up_log
from guestpass.service.settings import read_settings

log = logging.getLogger("guestpass")

_SPAWN: Final = multiprocessing.get_context("spawn")

PAUSE: Final = 1.0
"""Seconds between the end of a process and its replacement, so that trouble does not become a storm."""


@dataclass(frozen=True, slots=True)
class Source:
    """The text of the settings file called `name`, as it was when the service started."""

    text: str
    name: str


class Workers:
    """`count` processes that serve the same."""

    def __init__(self, source: Source, bound: socket.socket, count: int) -> None:
        self._source = source
        self._bound = bound
        self._count = count
        self._told, self._tell = _SPAWN.Pipe(duplex=False)
        self._leaving = False
        self._awake, self._wake = os.pipe()

    def run(self, serving: Callable[[], object]) -> int:
        """Serve until SIGINT or SIGTERM; answers the exit code. Calls `serving` once all of them do."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._leave)
        processes: list[SpawnProcess] = []
        code = 0
        try:
            processes.extend(self._start() for _ in range(self._count))
            if self._all_serve(processes):
                serving()
                while not self._leaving:
                    self._replace(processes)
            elif not self._leaving:
                code = 1
        finally:
            self._end(processes)
        return code

    def _all_serve(self, processes: list[SpawnProcess]) -> bool:
        """Wait until all of them serve; False as soon as one has ended."""
        serving = 0
        while serving < len(processes) and not self._leaving:
            serving += self._wait(processes)
            for process in processes:
                if not self._leaving and not process.is_alive():
                    log.error("worker %s has ended with %s before it served", process.pid, process.exitcode)
                    return False
        return not self._leaving

    def _replace(self, processes: list[SpawnProcess]) -> None:
        """Wait until one ends or somebody says to leave; start another in its place."""
        self._wait(processes)
        for place, process in enumerate(processes):
            if self._leaving or process.is_alive():
                continue
            log.error("worker %s has ended with %s; another takes its place", process.pid, process.exitcode)
            connection.wait([self._awake], PAUSE)
            if not self._leaving:
                processes[place] = self._start()

    def _wait(self, processes: list[SpawnProcess]) -> int:
        """Wait for something to happen; answers how many have begun to serve."""
        if self._told not in connection.wait([self._told, self._awake, *(process.sentinel for process in processes)]):
            return 0
        self._told.recv_bytes()
        return 1

    def _start(self) -> SpawnProcess:
        process = _SPAWN.Process(target=_work, args=(self._source, self._bound, self._tell))
        # Ctrl-C goes to all of them at once, and is this one's to pass on: the others are born without it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return process

    def _end(self, processes: list[SpawnProcess]) -> None:
        for process in processes:
            process.terminate()
        end = time.monotonic() + GRACE + 5
        for process in processes:
            process.join(max(0.0, end - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()

    def _leave(self, _number: int, _frame: FrameType | None) -> None:
        self._leaving = True
        os.write(self._wake, b".")


def _work(source: Source, bound: socket.socket, tell: "connection.Connection[bytes, bytes]") -> None:
    """One of the processes."""
    set_up_log()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        service = build(read_settings(source.text, source.name, os.environ), os.environ)
    except GuestpassError as problem:
        log.error("a worker cannot start: %s", problem)
        sys.exit(1)
    try:
        run(service.app, bound, lambda: tell.send_bytes(b"."))
    finally:
        service.close()


def _end_with_parent() -> None:
    """Nobody would tell this process to end, once the one that looks after it is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
