"""How the SQL store connects: the only file that looks at a dialect's name.

Knows URLs, pools and transactions. Knows no table and no statement; what is particular to a database is written in
`guestpass.stores.sqlite` and `guestpass.stores.psycopg_connections`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from guestpass.errors import ConfigurationError
from guestpass.stores import sqlite
from guestpass.stores.instants import Instants, ProcessClock, ServerClock
from guestpass.stores.short_way import ShortWay

_BEGIN: Final = "guestpass_begin"

RESTING_TO_A_FILE: Final = 8
RESTING_TO_A_SERVER: Final = 2
"""Connections beside the pool, at most: see `guestpass.stores.short_way`."""


@dataclass(frozen=True, slots=True)
class Engines:
    """One pool of connections, as the engine that owns it and as two views of it.

    Through `reads` each statement is a transaction of its own, and takes no write lock. Through `writes` a
    transaction takes the write lock at its start if `one_writer`: where a database has one lock for all writers.
    `lock` are the statements, if it takes any, after which nobody else changes tables. `short` is there for an engine
    of the store's own: of another nobody knows what its connections do besides.
    """

    engine: Engine
    reads: Engine
    writes: Engine
    instants: Instants
    one_writer: bool
    lock: tuple[str, ...] = ()
    short: ShortWay | None = None

    def let_go(self) -> None:
        """Close the connections that nobody uses."""
        if self.short is not None:
            self.short.close()
        self.engine.dispose()


def connect(url_or_engine: str | URL | Engine, wait: float, clock: Callable[[], float]) -> Engines:
    """Engines for a URL, or for an engine made elsewhere; no connection is opened yet.

    `wait` is in seconds. Raises ConfigurationError for what cannot work.
    """
    if not 0 < wait <= 60:
        raise ConfigurationError(f"wait is the seconds that a question may wait, above 0 and up to 60, not {wait!r}")
    if isinstance(url_or_engine, Engine):
        return _given(url_or_engine, wait, clock)
    url = parsed(url_or_engine)
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        # As many connections as threads may look up at once (`guestpass.inquiry`): one to a file costs little.
        engine = create_engine(
            sqlite.file_of(url),
            hide_parameters=True,
            pool_size=8,
            max_overflow=32,
            pool_timeout=wait,
            pool_use_lifo=True,
        )
        return _of_sqlite(engine, wait, clock, lent=False)
    if url.drivername not in ("postgresql", "postgresql+psycopg"):
        _refuse(url)
    return _postgres(url, wait)


def of_postgres(engine: Engine, fit: Callable[[Any], bool]) -> Engines:
    """Engines for one whose connections commit each statement, unless a transaction is begun in so many words; `fit`
    says whether one is fit for another."""
    begin = "BEGIN ISOLATION LEVEL READ COMMITTED"
    writes = engine.execution_options(**{_BEGIN: begin})
    event.listen(writes, "begin", _begin)
    short = ShortWay(engine, begin, RESTING_TO_A_SERVER, fit)
    return Engines(engine, engine, writes, ServerClock(), one_writer=False, lock=_LOCK, short=short)


# Bringing tables up to date, and waiting for another process that does, may take its time. The number is any that no
# other program is likely to take for a lock of its own.
_LOCK: Final = ("SET LOCAL statement_timeout = '600s'", "SELECT pg_advisory_xact_lock(7311427840923665203)")


def _given(engine: Engine, wait: float, clock: Callable[[], float]) -> Engines:
    if not engine.hide_parameters:
        raise ConfigurationError(
            "the engine would show digests in its errors: make it with create_engine(…, hide_parameters=True)"
        )
    if engine.dialect.name == "sqlite":
        sqlite.refuse_memory(engine.url)
        # What is pooled already was opened without the settings.
        engine.dispose()
        return _of_sqlite(engine, wait, clock, lent=True)
    if engine.dialect.name != "postgresql":
        _refuse(engine.url)
    reads = engine.execution_options(isolation_level="AUTOCOMMIT")
    # Whatever the database's default is: who loses a race for a row must be able to read the winner's.
    writes = engine.execution_options(isolation_level="READ COMMITTED")
    return Engines(engine, reads, writes, ServerClock(), one_writer=False, lock=_LOCK)


def _of_sqlite(engine: Engine, wait: float, clock: Callable[[], float], *, lent: bool) -> Engines:
    sqlite.settle(engine, wait)
    reads = engine.execution_options(**{_BEGIN: ""})
    # IMMEDIATE takes the write lock at once: a transaction that reads first and then finds that another has
    # written since cannot go on.
    begin = "BEGIN IMMEDIATE"
    writes = engine.execution_options(**{_BEGIN: begin})
    # An engine that listens is slower at everything: of the store's own, only the half that needs to does.
    event.listen(engine if lent else writes, "begin", _begin)
    short = None if lent else ShortWay(engine, begin, RESTING_TO_A_FILE)
    return Engines(engine, reads, writes, ProcessClock(clock), one_writer=True, short=short)


def _begin(connection: Connection) -> None:
    # Whoever else uses the engine gets the usual transaction.
    statement = connection.get_execution_options().get(_BEGIN, "BEGIN")
    if statement:
        connection.exec_driver_sql(statement)


def _postgres(url: URL, wait: float) -> Engines:
    try:
        from guestpass.stores import psycopg_connections
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f'postgresql stores need the driver {missing.name}: pip install "guestpass[postgresql]"'
        ) from missing
    return of_postgres(psycopg_connections.engine(url, wait), psycopg_connections.is_fit)


def parsed(url: str | URL) -> URL:
    """The parts of a store's URL. Raises ConfigurationError."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        # Not "from" it: it may quote the URL, and so a password.
        raise ConfigurationError(
            "the URL of the store cannot be read: write sqlite:///<path> or postgresql://<user>@<host>/<database>"
        ) from None


def _refuse(url: URL) -> NoReturn:
    raise ConfigurationError(
        f"the store does not speak {url.drivername}: there is sqlite (through Python's own driver)"
        " and postgresql (through psycopg 3)"
    )
