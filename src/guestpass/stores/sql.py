"""A store in a SQL database: SQLite in a file, or PostgreSQL, through SQLAlchemy Core.

Knows when the database is asked, and what the caller is told where that fails: this is the one place where
the errors of SQLAlchemy and its drivers turn into ours. What is asked is written in
`guestpass.stores.statements`, of whom in `guestpass.stores.engines`.
"""

import sqlite3
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, TypeVar, cast

from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InvalidRequestError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from guestpass.errors import ConfigurationError, StoreUnavailable
from guestpass.inquiry import Question
from guestpass.records import AddSession, Purge
from guestpass.stores import engines, forks, migrations
from guestpass.stores.cutoff_statements import ListMissing, make_list
from guestpass.stores.deadlines import Within, left
from guestpass.stores.engines import Engines
from guestpass.stores.session_statements import RequestKnown, add_new_session
from guestpass.stores.short_way import ShortWay
from guestpass.stores.statements import READS, SHORT_READS, WRITES, Statement, is_alone, purge
from guestpass.stores.tables import VERSION
from guestpass.stores.traffic import Gate, Turn

T = TypeVar("T")

_TOO_LONG: Final = "54000"
"""PostgreSQL's code for what does not fit into an index."""

_BATCH: Final = 200
"""Rows of a kind that one transaction drops."""

_LONG: Final = 600.0
"""Seconds that bringing the tables up to date may take, waiting for another process that does it included."""


class SqlStore:
    """Answers every question of `guestpass.records` from the database at a URL, or behind an engine.

    What it has answered is on disk. Any number of threads and of processes may use one database; each process
    opens its own store, or opens one and forks.

    `wait`, in seconds, bounds each wait: for a connection, for this process's turn to write (SQLite), and for
    a lock. In PostgreSQL it bounds a question as a whole, where the store made the engine itself.

    An engine that is handed in must hide its parameters; it stays its maker's to close. Its connections to
    SQLite get the store's settings, and nobody else may be using one when the process forks.

    `clock`, in Unix seconds, is for SQLite; PostgreSQL has its own.

    Raises ConfigurationError for what cannot work, StoreUnavailable for a database that does not answer.
    """

    def __init__(
        self, url_or_engine: str | URL | Engine, *, wait: float = 1.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._own = not isinstance(url_or_engine, Engine)
        self._engines = engines.connect(url_or_engine, wait, clock)
        self._wait = wait
        self._over = ""
        self._at_rest = True
        self._begin_traffic()
        try:
            self._set_up()
        except BaseException:
            self._engines.engine.dispose()
            raise
        forks.watch(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._engines.engine.url.render_as_string(hide_password=True)!r})"

    def answer(self, question: Question[T], /) -> T:
        """The answer to `question`, once what it changes is on disk.

        Raises StoreUnavailable where the database cannot be asked, TypeError for a question that is not of
        `guestpass.records`, ValueError for a record that cannot be kept: above all one whose id or digest is
        there already.
        """
        with InOurWords(question), self._gate, Within(self._wait):
            if self._over:
                raise StoreUnavailable(self._over)
            return cast("T", self._ask(self._engines, question))

    def close(self) -> None:
        """Let the questions under way end, and close the connections. Closing twice is closing once."""
        self._over = "the store is closed"
        self._gate.shut(self._patience)
        if self._own:
            self._engines.let_go()
        self._gate.open()

    def before_fork(self) -> None:
        """Close every connection.

        SQLite keeps its locks in a process's memory as well as in the system. A child that inherits an open
        connection inherits the one and not the other: it takes the database for locked for ever, or believes
        that it holds a lock, and the parent removes the journal that the child has just written to. A connection to
        PostgreSQL would be one conversation that two processes hold.
        """
        self._at_rest = self._gate.shut(self._patience)
        self._engines.let_go()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._gate.open()

    def after_fork_in_child(self) -> None:
        """Go on with connections of one's own."""
        self._engines.engine.dispose(close=False)
        self._begin_traffic()
        if not self._at_rest:
            self._over = "the process forked while the store was at work for too long: fork again"

    @property
    def _patience(self) -> float:
        # No question under way can take longer: three waits, and the disk.
        return 3 * self._wait + 5

    def _begin_traffic(self) -> None:
        self._gate = Gate()
        self._turn: AbstractContextManager[None] = Turn(self._wait) if self._engines.one_writer else nullcontext()

    def _ask(self, engines: Engines, question: Question[Any]) -> object:
        kind, short = type(question), engines.short
        if short is not None:
            quick = SHORT_READS.get(kind)
            if quick is not None:
                # What went wrong is not judged here: the same is asked the usual way, which says what it means.
                with suppress(short.mistake):
                    return short.ask(quick, question, engines.instants)
            elif isinstance(question, AddSession):
                with suppress(RequestKnown):
                    return self._add_session(engines, short, question)
        read, write = READS.get(kind), WRITES.get(kind)
        if read is not None:
            return self._read(engines, read, question)
        if isinstance(question, Purge):
            return self._purge(engines, question)
        if write is not None:
            return self._write(engines, write, question)
        raise TypeError(f"{kind.__name__} is not a question that a store answers")

    def _add_session(self, engines: Engines, short: ShortWay, question: AddSession) -> object:
        together = not is_alone(question)
        try:
            with self._turn:
                return short.ask(add_new_session, question, engines.instants, together=together)
        except short.mistake as problem:
            # It is judged as SQLAlchemy's own would be. Never a second try: nobody knows whether it was done.
            raise DBAPIError.instance(None, None, problem, short.mistake, hide_parameters=True) from problem

    def _write(self, engines: Engines, write: Statement, question: Question[Any]) -> object:
        alone = is_alone(question)
        with self._turn, engines.reads.connect() if alone else engines.writes.begin() as connection:
            return write(connection, question, engines.instants)

    def _purge(self, engines: Engines, question: Purge) -> int:
        # Each part is a transaction of its own, so that nobody waits long for a lock, whatever was asked for.
        gone = 0
        for done in range(0, question.limit, _BATCH):
            part = replace(question, limit=min(_BATCH, question.limit - done))
            went = cast("int", self._write(engines, purge, part))
            gone += went
            if not went:
                break
        return gone

    def _read(self, engines: Engines, read: Statement, question: Question[Any]) -> object:
        try:
            with engines.reads.connect() as connection:
                return read(connection, question, engines.instants)
        except ListMissing:
            with self._turn, engines.writes.begin() as connection:
                make_list(connection, engines.instants)
        except DBAPIError as problem:
            # A server that is there again, behind connections that nobody told of its end: the pool has new ones now.
            # A write is never asked twice, since nobody knows whether it was done.
            if not problem.connection_invalidated or left() <= 0:
                raise
        with engines.reads.connect() as connection:
            return read(connection, question, engines.instants)

    def _set_up(self) -> None:
        try:
            self._make_ready()
        except ProgrammingError as problem:
            raise ConfigurationError(f"the store's tables cannot be made or read: {_cause(problem)}") from problem
        except DBAPIError as problem:
            if getattr(problem.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_NOTADB:
                raise ConfigurationError("the store's file is not a SQLite database: name another one") from problem
            raise StoreUnavailable(_reason(problem)) from problem
        except (PoolTimeoutError, InvalidRequestError) as problem:
            raise StoreUnavailable(_reason(problem)) from problem

    def _make_ready(self) -> None:
        with Within(self._wait), self._engines.reads.connect() as connection:
            self._look_at(connection)
            if migrations.version_of(connection) == VERSION:
                return
        with Within(_LONG), self._engines.writes.begin() as connection:
            for statement in self._engines.lock:
                connection.exec_driver_sql(statement)
            migrations.bring_up_to_date(connection, self._engines.instants)

    def _look_at(self, connection: Connection) -> None:
        """Have a first look at the database that was opened."""


class InOurWords:
    """Turns what SQLAlchemy and its drivers raise into what a store raises."""

    __slots__ = ("_question",)

    def __init__(self, question: Question[Any]) -> None:
        self._question = question

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(problem, SQLAlchemyError):
            _tell(problem, type(self._question).__name__)


def _tell(problem: SQLAlchemyError, asked: str) -> None:
    if isinstance(problem, IntegrityError | DataError):
        # Not "from" it: PostgreSQL quotes the values, and so a digest.
        raise ValueError(
            f"{asked}: the store has one with this id or digest, or cannot hold one of its values"
        ) from None
    if isinstance(problem, DBAPIError):
        if getattr(problem.orig, "sqlstate", None) == _TOO_LONG:
            raise ValueError(f"{asked}: the store cannot hold a text as long as this") from None
        raise StoreUnavailable(_reason(problem)) from problem
    if isinstance(problem, PoolTimeoutError | InvalidRequestError):
        raise StoreUnavailable(_reason(problem)) from problem


def _reason(problem: SQLAlchemyError) -> str:
    if isinstance(problem, PoolTimeoutError):
        return "the store did not answer: every connection to it is in use"
    cause = _cause(problem) if isinstance(problem, DBAPIError) else str(problem)
    return f"the store did not answer: {cause}"


def _cause(problem: DBAPIError) -> str:
    # One line of the driver's own, which says what is wrong with the database; SQL and values come after it.
    lines = str(problem.orig).splitlines()
    return lines[0] if lines else type(problem.orig).__name__
