"""How the SQL store connects: the only file that looks at a dialect's name.

Knows URLs, files and the settings of connections. Knows no table and no statement.
"""

import math
import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from guestpass.errors import ConfigurationError

_BEGIN: Final = "guestpass_begin"


@dataclass(frozen=True, slots=True)
class Engines:
    """One pool of connections, as the engine that owns it and as two views of it.

    Through `reads` each statement is a transaction of its own, and takes no write lock. Through `writes` a
    transaction takes the write lock at its start if `one_writer`: where a database has one lock for all writers.
    """

    engine: Engine
    reads: Engine
    writes: Engine
    one_writer: bool


def connect(url_or_engine: str | URL | Engine, wait: float) -> Engines:
    """Engines for a URL, or for an engine made elsewhere; no connection is opened yet.

    `wait` is in seconds. Raises ConfigurationError for what cannot work.
    """
    if not 0 < wait <= 60:
        raise ConfigurationError(f"wait is the seconds that a question may wait, above 0 and up to 60, not {wait!r}")
    engine = _given(url_or_engine) if isinstance(url_or_engine, Engine) else _made(_parsed(url_or_engine), wait)
    if engine.dialect.name == "sqlite":
        _settle_sqlite(engine, wait)
        reads = engine.execution_options(**{_BEGIN: ""})
        writes = engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})
        # An engine that listens is slower at everything: of the store's own, only the half that needs to does.
        event.listen(engine if engine is url_or_engine else writes, "begin", _begin)
        return Engines(engine, reads, writes, one_writer=True)
    reads = engine.execution_options(isolation_level="AUTOCOMMIT")
    # Whatever the database's default is: who loses a race for a row must be able to read the winner's.
    writes = engine.execution_options(isolation_level="READ COMMITTED")
    return Engines(engine, reads, writes, one_writer=False)


def _given(engine: Engine) -> Engine:
    if not engine.hide_parameters:
        raise ConfigurationError(
            "the engine would show digests in its errors: make it with create_engine(…, hide_parameters=True)"
        )
    if engine.dialect.name == "sqlite":
        _refuse_memory(engine.url)
        # What is pooled already was opened without the settings.
        engine.dispose()
    elif engine.dialect.name != "postgresql":
        _refuse(engine.url)
    return engine


def _parsed(url: str | URL) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        # Not "from" it: it may quote the URL, and so a password.
        raise ConfigurationError(
            "the URL of the store cannot be read: write sqlite:///<path> or postgresql://<user>@<host>/<database>"
        ) from None


def _made(url: URL, wait: float) -> Engine:
    settings: dict[str, object] = {}
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        url = _file(url)
        # As many as threads may look up at once (`guestpass.inquiry`): a connection to a file costs little.
        pool_size, more = 8, 32
    elif url.drivername in ("postgresql", "postgresql+psycopg"):
        url, pool_size, more = url.set(drivername="postgresql+psycopg"), 5, 10
        milliseconds = math.ceil(wait * 1000)
        settings = {
            "connect_timeout": max(2, math.ceil(wait)),  # the least that libpq takes
            "tcp_user_timeout": milliseconds,
            "options": f"-c statement_timeout={milliseconds}",
        }
    else:
        _refuse(url)
    try:
        return create_engine(
            url,
            hide_parameters=True,
            pool_size=pool_size,
            max_overflow=more,
            pool_timeout=wait,
            pool_use_lifo=True,
            connect_args={name: value for name, value in settings.items() if name not in url.query},
        )
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f'{url.get_backend_name()} stores need the driver {missing.name}: pip install "guestpass[sql]"'
            f' "{missing.name}[binary]"'
        ) from missing


def _refuse(url: URL) -> NoReturn:
    raise ConfigurationError(
        f"the store does not speak {url.drivername}: there is sqlite (through Python's own driver)"
        " and postgresql (through psycopg 3)"
    )


def _refuse_memory(url: URL) -> None:
    database = url.database or ""
    if not database or ":memory:" in database or url.query.get("mode") == "memory":
        raise ConfigurationError(
            "SQLite in memory is another database for each connection: for a store that lives in this process"
            ' write open_store("memory://"), for a file sqlite:///<path>'
        )


def _file(url: URL) -> URL:
    if url.host or url.username or url.password or url.port:
        raise ConfigurationError(
            "a SQLite URL names a file, not a host: sqlite:///<relative path> or sqlite:////<absolute path>"
        )
    _refuse_memory(url)
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


def _settle_sqlite(engine: Engine, wait: float) -> None:
    def settle(connection: sqlite3.Connection, _: object) -> None:
        # Transactions begin where `_begin` says so, not where the driver guesses from the statement.
        connection.isolation_level = None
        cursor = connection.cursor()
        try:
            cursor.execute(f"PRAGMA busy_timeout = {math.ceil(wait * 1000)}")
            _write_ahead(cursor, wait)
            # An acknowledged commit is on disk, whatever happens to the machine.
            cursor.execute("PRAGMA synchronous = FULL")
        finally:
            cursor.close()

    event.listen(engine, "connect", settle)


def _begin(connection: Connection) -> None:
    # IMMEDIATE takes the write lock at once: a transaction that reads first and then finds that another has
    # written since cannot go on. Whoever else uses the engine gets the usual transaction.
    statement = connection.get_execution_options().get(_BEGIN, "BEGIN")
    if statement:
        connection.exec_driver_sql(statement)


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
