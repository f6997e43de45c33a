"""The look-ups that a first sight of a credential costs, by the shortest way to the driver.

The statements are those of `guestpass.stores.statements`, made ready once for a dialect: SQLAlchemy's own way of
executing one takes longer than the databases do. What goes wrong here is not judged here: the same question is then
asked the usual way, which says what it means.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from sqlalchemy import CompoundSelect, Dialect, Engine, Select, Table
from sqlalchemy.sql.compiler import SQLCompiler

from guestpass.inquiry import Question


class LookUpFailed(Exception):
    """Nobody can tell. That connection is not used again."""


@dataclass(frozen=True, slots=True)
class LookUp:
    """One record by one value: `statement` gives a row of `table`, and has the parameter `name`; `value` says what a
    question puts there."""

    table: Table
    statement: Select[Any] | CompoundSelect[Any]
    name: str
    value: Callable[[Any], object]
    record: Callable[[Any], object]


class ReadyLookUp:
    """A `LookUp` in the words of one dialect."""

    __slots__ = ("_asked", "_columns", "_constant", "_order", "_text")

    def __init__(self, asked: LookUp, dialect: Dialect) -> None:
        ready = asked.statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
        self._asked = asked
        self._text = str(ready)
        self._constant: Mapping[str, Any] = ready.params
        self._order = ready.positiontup if isinstance(ready, SQLCompiler) else None
        self._columns = asked.table.columns.keys()

    def ask(self, engine: Engine, question: Question[Any]) -> object:
        """The record, or None. Raises `LookUpFailed`."""
        values = {**self._constant, self._asked.name: self._asked.value(question)}
        mistake: type[Exception] = engine.dialect.loaded_dbapi.Error
        try:
            connection = engine.raw_connection()
        except mistake:
            raise LookUpFailed from None
        try:
            cursor = connection.cursor()
            cursor.execute(self._text, values if self._order is None else [values[name] for name in self._order])
            found = cursor.fetchone()
            cursor.close()
        except BaseException as problem:
            connection.invalidate(problem)
            if isinstance(problem, mistake):
                raise LookUpFailed from None
            raise
        connection.close()
        if found is None:
            return None
        return self._asked.record(SimpleNamespace(**dict(zip(self._columns, found, strict=True))))
