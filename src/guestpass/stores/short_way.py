"""The questions that requests wait for, by the shortest way to the driver.

The statements are those of `guestpass.stores.statements`, put into a dialect's words once: SQLAlchemy's own way of
executing one takes longer than the databases do. Knows drivers' connections, and who lends them; what goes wrong is
raised as the driver raises it, and not judged here.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar, cast

from sqlalchemy import Dialect, Engine, Executable, event
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.selectable import SelectBase

Q = TypeVar("Q")
C = TypeVar("C")

RESTING: Final = 8
"""Connections to a file that are kept for the next question, at most."""


class Rows(Protocol):
    """What a statement came to."""

    @property
    def rowcount(self) -> Any: ...
    def first(self) -> Sequence[Any] | None: ...


class Executes(Protocol):
    """A connection, as far as statements that go the short way need one: SQLAlchemy's own has more."""

    def execute(self, statement: Executable, values: Mapping[str, Any], /) -> Rows: ...


class Lends(Protocol):
    """Where drivers' connections come from. Whoever takes one gives it back, or drops it where nobody can use it any
    more: `lost` where its server has gone away."""

    def take(self) -> Any: ...
    def give_back(self, connection: Any, /) -> None: ...
    def drop(self, connection: Any, problem: BaseException, /, *, lost: bool) -> None: ...
    def close(self) -> None: ...


class Pool:
    """An engine's own pool."""

    def __init__(self, engine: Engine) -> None:
        self._lost_one = False
        self.take = engine.raw_connection
        event.listen(engine, "checkout", self._doubt)

    def give_back(self, connection: Any, /) -> None:
        connection.close()

    def drop(self, connection: Any, problem: BaseException, /, *, lost: bool) -> None:
        self._lost_one = self._lost_one or lost
        connection.invalidate(problem)

    def close(self) -> None:
        """Nothing: it is the engine that is disposed of."""

    def _doubt(self, *_: object) -> None:
        """Once the server has gone away from one connection, have the pool make all others anew too."""
        if self._lost_one:
            self._lost_one = False
            raise InvalidatePoolError


class Resting:
    """Connections to a file that an engine opened and that rest here in between: to be lent one by its pool takes as
    long as three look-ups. There are never more of them than threads that ask at once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._resting: list[Any] = []

    def take(self) -> Any:
        try:
            return self._resting.pop()
        except IndexError:
            lent = self._engine.raw_connection()
            connection = lent.driver_connection
            lent.detach()
            return connection

    def give_back(self, connection: Any, /) -> None:
        if len(self._resting) < RESTING:
            self._resting.append(connection)
        else:
            connection.close()

    def drop(self, connection: Any, problem: BaseException, /, *, lost: bool) -> None:  # noqa: ARG002 - whyever
        connection.close()

    def close(self) -> None:
        while self._resting:
            self._resting.pop().close()


class ShortWay:
    """Connections of one engine, without SQLAlchemy's in between. Each statement is a transaction of its own, unless
    one is begun with `begin`. `mistake` is what the driver's errors have in common."""

    def __init__(self, lender: Lends, dialect: Dialect, begin: str) -> None:
        self.mistake: Final[type[Exception]] = dialect.loaded_dbapi.Error
        self._lender = lender
        self._begin = begin
        self._dialect = dialect
        # Of statements that are made once alone, so there is a handful.
        self._words: dict[Executable, _Words] = {}

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
        lender = self._lender
        connection = lender.take()
        try:
            if together:
                connection.cursor().execute(self._begin)
            answer = work(_Direct(connection, self), question, instants)
            if together:
                connection.cursor().execute("COMMIT")
        except BaseException as problem:
            self._undo(connection, problem)
            raise
        lender.give_back(connection)
        return answer

    def _undo(self, connection: Any, problem: BaseException) -> None:
        lost = self._dialect.is_disconnect(cast("Any", problem), connection, None)
        # What is no mistake of the driver's or of ours came in the middle of something.
        if not lost and isinstance(problem, Exception):
            try:
                connection.rollback()
            except self.mistake:
                pass
            else:
                self._lender.give_back(connection)
                return
        self._lender.drop(connection, problem, lost=lost)

    def close(self) -> None:
        """Close the connections that rest here."""
        self._lender.close()

    def words(self, statement: Executable) -> "_Words":
        """How the dialect has `statement`."""
        words = self._words.get(statement)
        if words is None:
            words = self._words[statement] = _Words(statement, self._dialect)
        return words


class _Words:
    """A statement in the words of one dialect."""

    __slots__ = ("_constant", "_order", "answers", "text")

    def __init__(self, statement: Any, dialect: Dialect) -> None:
        ready = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        self.text = str(ready)
        self.answers = isinstance(statement, SelectBase)
        order = ready.positiontup if isinstance(ready, SQLCompiler) else None
        self._order: Sequence[str] | None = order
        self._constant = {name: value for name, value in ready.params.items() if value is not None}

    def values(self, given: Mapping[str, Any]) -> Any:
        """Those of the statement, as its driver takes them."""
        if self._constant:
            given = {**self._constant, **given}
        return given if self._order is None else [given[name] for name in self._order]


class _Direct:
    """A driver's connection."""

    __slots__ = ("_connection", "_way")

    def __init__(self, connection: Any, way: ShortWay) -> None:
        self._connection = connection
        self._way = way

    def execute(self, statement: Executable, values: Mapping[str, Any], /) -> "_Found":
        words = self._way.words(statement)
        cursor = self._connection.cursor()
        cursor.execute(words.text, words.values(values))
        found = _Found(cursor.rowcount, cursor.fetchone() if words.answers else None)
        # A statement that is not over holds back who tidies the file up.
        cursor.close()
        return found


class _Found:
    """What a statement came to."""

    __slots__ = ("_first", "rowcount")

    def __init__(self, rowcount: int, first: Sequence[Any] | None) -> None:
        self.rowcount: Final[int] = rowcount
        self._first = first

    def first(self) -> Sequence[Any] | None:
        return self._first
