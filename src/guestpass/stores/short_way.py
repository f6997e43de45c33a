"""The questions that requests wait for, by the shortest way to the driver.

The statements are those of `guestpass.stores.statements`, put into a dialect's words once, and a few connections rest
beside the pool: SQLAlchemy's own way of executing a statement, and its pool's of lending a connection, take longer than
the databases do. Knows drivers' connections; what goes wrong is raised as the driver raises it, and not judged here.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Protocol, TypeVar, cast

from sqlalchemy import Engine, Executable, PoolProxiedConnection, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.selectable import SelectBase

Q = TypeVar("Q")
C = TypeVar("C")

_GENERATION: Final = "guestpass.generation"
"""Which one the pool's connection is of: see `ShortWay`."""


class Rows(Protocol):
    """What a statement came to."""

    @property
    def rowcount(self) -> Any: ...
    def first(self) -> Sequence[Any] | None: ...


class Executes(Protocol):
    """A connection, as far as statements that go the short way need one: SQLAlchemy's own has more."""

    def execute(self, statement: Executable, values: Mapping[str, Any], /) -> Rows: ...


class ShortWay:
    """Connections of one engine, without SQLAlchemy's in between. Each statement is a transaction of its own, unless
    one is begun with `begin`.

    At most `resting` connections are taken out of the engine's pool, and rest here in between. `fit` says of one
    whether its server is still there; None where there is no server. Once it has gone away from one in the middle of a
    question, no other of that generation is used again, here or in the pool. `mistake` is what the driver's errors have
    in common.
    """

    def __init__(self, engine: Engine, begin: str, resting: int, fit: Callable[[Any], bool] | None = None) -> None:
        self.mistake: Final[type[Exception]] = engine.dialect.loaded_dbapi.Error
        self._engine = engine
        self._begin = begin
        self._fit = fit
        # Of statements that are made once alone, so there is a handful.
        self._words: dict[Executable, _Words] = {}
        self._resting: list[_Direct] = []
        self._places = resting
        self._lock = threading.Lock()
        self._generation = 0
        if fit is not None:
            event.listen(engine, "checkout", self._doubt)
            event.listen(engine, "invalidate", self._hear)

    def ask(
        self,
        work: Callable[[Executes, Q, C], object],
        question: Q,
        instants: C,
        *,
        together: bool = False,
    ) -> object:
        """What `work` answers to `question` by the clock `instants`; `together`, all that it does is one transaction.

        Whatever it raises, what it has not committed is undone.
        """
        direct = self._take()
        try:
            if together:
                direct.cursor.execute(self._begin)
            answer = work(direct, question, instants)
            if together:
                direct.cursor.execute("COMMIT")
        except BaseException as problem:
            self._undo(direct, problem)
            raise
        self._give_back(direct)
        return answer

    def close(self) -> None:
        """Close the connections that rest here."""
        # One by one: another thread may be laying one to rest just now.
        with suppress(IndexError):
            while True:
                self._drop(self._resting.pop())

    def words(self, statement: Executable) -> "_Words":
        """How the dialect has `statement`."""
        words = self._words.get(statement)
        if words is None:
            words = self._words[statement] = _Words(statement, self._engine)
        return words

    def _take(self) -> "_Direct":
        while True:
            try:
                direct = self._resting.pop()
            except IndexError:
                return _Direct(self._engine.raw_connection(), self, self._generation)
            if direct.generation == self._generation and (self._fit is None or self._fit(direct.driver)):
                return direct
            self._drop(direct)

    def _give_back(self, direct: "_Direct") -> None:
        if direct.lent is not None:
            with self._lock:
                room = self._places > 0
                self._places -= room
            if not room:
                direct.lent.close()
                return
            direct.lent.detach()
            direct.lent = None
        self._resting.append(direct)

    def _undo(self, direct: "_Direct", problem: BaseException) -> None:
        lost = self._engine.dialect.is_disconnect(cast("Any", problem), direct.connection, None)
        # What is no mistake of the driver's or of ours came in the middle of something.
        if not lost and isinstance(problem, Exception):
            try:
                direct.connection.rollback()
            except self.mistake:
                pass
            else:
                self._give_back(direct)
                return
        self._drop(direct, problem)
        if lost:
            self._end(direct.generation)

    def _drop(self, direct: "_Direct", problem: BaseException | None = None) -> None:
        if direct.lent is not None:
            direct.lent.invalidate(problem)
            return
        with self._lock:
            self._places += 1
        direct.connection.close()

    def _doubt(self, _: object, record: ConnectionPoolEntry, __: object) -> None:
        """Have the pool make one of an earlier generation anew."""
        # One that was just made never is: after two in a row the pool gives up.
        if record.info.setdefault(_GENERATION, self._generation) != self._generation:
            raise DisconnectionError

    def _hear(self, _: object, record: ConnectionPoolEntry, problem: BaseException | None) -> None:
        """One of the pool's goes: lost, by SQLAlchemy or here, or refused by a check, which tells of no other."""
        if isinstance(problem, self.mistake):
            self._end(record.info.get(_GENERATION))

    def _end(self, generation: int | None) -> None:
        # Those of one generation are likely to be lost together, and told of one by one.
        if generation == self._generation:
            self._generation += 1


class _Words:
    """A statement in the words of one dialect."""

    __slots__ = ("_constant", "_order", "answers", "text")

    def __init__(self, statement: Any, engine: Engine) -> None:
        ready = statement.compile(dialect=engine.dialect, compile_kwargs={"render_postcompile": True})
        self.text = str(ready)
        self.answers = isinstance(statement, SelectBase)
        order = ready.positiontup if isinstance(ready, SQLCompiler) else None
        self._order: Sequence[str] | None = order
        self._constant = {name: value for name, value in ready.params.items() if value is not None}

    def values(self, given: Mapping[str, Any]) -> Any:
        """Those of the statement, as its driver takes them."""
        if self._constant:
            given = {**self._constant, **given}
        return given if self._order is None else [*map(given.__getitem__, self._order)]


class _Direct:
    """A driver's connection. `lent` is its place in the pool that lends it, None where it is ours."""

    __slots__ = ("_way", "connection", "cursor", "driver", "generation", "lent")

    def __init__(self, lent: PoolProxiedConnection, way: ShortWay, generation: int) -> None:
        self._way = way
        self.generation: Final = generation
        self.lent: PoolProxiedConnection | None = lent
        self.connection = cast("Any", lent.dbapi_connection)
        self.driver = cast("Any", lent.driver_connection)
        self.cursor = self.connection.cursor()

    def execute(self, statement: Executable, values: Mapping[str, Any], /) -> "_Found":
        words, cursor = self._way.words(statement), self.cursor
        cursor.execute(words.text, words.values(values))
        # All that there is, since what is not over holds back who tidies a file up.
        return _Found(cursor.rowcount, cursor.fetchall() if words.answers else ())


class _Found:
    """What a statement came to."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rowcount: int, rows: Sequence[Sequence[Any]]) -> None:
        self.rowcount: Final[int] = rowcount
        self._rows = rows

    def first(self) -> Sequence[Any] | None:
        return self._rows[0] if self._rows else None
