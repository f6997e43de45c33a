"""What is particular to SQLite: a path in the place of a host, and the settings that make its file safe to share.

Knows no table and no statement.
"""

import math
import os
import sqlite3
import time
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Engine, event

from guestpass.errors import ConfigurationError

_OLDEST: Final = (3, 35)


def refuse_memory(url: URL) -> None:
    """ConfigurationError for a database that lives in memory."""
    database = url.database or ""
    if not database or ":memory:" in database or url.query.get("mode") == "memory":
        raise ConfigurationError(
            "SQLite in memory is another database for each connection: for a store that lives in this process"
            ' write open_store("memory://"), for a file sqlite:///<path>'
        )


def file_of(url: URL) -> URL:
    """`url` with the absolute path of a file that can work. ConfigurationError for one that cannot."""
    if url.host or url.username or url.password or url.port:
        raise ConfigurationError(
            "a SQLite URL names a file, not a host: sqlite:///<relative path> or sqlite:////<absolute path>"
        )
    refuse_memory(url)
    if url.query:
        raise ConfigurationError('a SQLite store takes no "?…" in its URL: leave it out')
    # Absolute from here on, so that a change of directory does not lead to another file.
    path = Path(url.database or "").absolute()
    if not path.parent.is_dir():
        raise ConfigurationError(f"the store's directory does not exist: mkdir -p '{path.parent}'")
    if path.is_dir():
        raise ConfigurationError(f"the store's path is a directory: name a file, such as '{path / 'guestpass.db'}'")
    # SQLite puts its journal beside the file. The system is asked, nothing is tried: to open and close the
    # file by hand would drop every lock that this process has on it.
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise ConfigurationError(f"the store's directory cannot be written to: chmod u+wx '{path.parent}', or chown it")
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        raise ConfigurationError(f"the store's file cannot be written to: chmod u+rw '{path}', or chown it")
    return url.set(database=str(path))


def settle(engine: Engine, wait: float) -> None:
    """Have every connection that `engine` opens from now on wait for locks, write ahead, and lose nothing."""
    if sqlite3.sqlite_version_info < _OLDEST:
        raise ConfigurationError(
            f"this Python has SQLite {sqlite3.sqlite_version}, a store needs 3.35 or newer: use a newer Python"
        )

    def set_up(connection: sqlite3.Connection, _: object) -> None:
        # Transactions begin where the store says so, not where the driver guesses from the statement.
        connection.isolation_level = None
        cursor = connection.cursor()
        try:
            cursor.execute(f"PRAGMA busy_timeout = {math.ceil(wait * 1000)}")
            _write_ahead(cursor, wait)
            # An acknowledged commit is on disk, whatever happens to the machine.
            cursor.execute("PRAGMA synchronous = FULL")
        finally:
            cursor.close()

    event.listen(engine, "connect", set_up)


def _write_ahead(cursor: sqlite3.Cursor, wait: float) -> None:
    # While it changes the mode of a new file SQLite does not wait for other processes that do the same.
    deadline = time.monotonic() + wait
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return
