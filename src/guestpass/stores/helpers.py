"""What several statements of the SQL store have in common: rows that are there already, and rows that go."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, Connection, Executable, Table, TextClause, delete, select, text, tuple_

from guestpass.stores.short_way import Executes


def changed(connection: Executes, statement: Executable, values: Mapping[str, object] | None = None) -> int:
    """How many rows `statement` changed."""
    count: int = connection.execute(statement, dict(values or {})).rowcount
    return count


def inserted(connection: Executes, table: Table, row: Mapping[str, object]) -> bool:
    """Whether `row` was added; False where one with a key of its own is there already.

    Where another transaction is just adding one, this waits for its end; a statement that follows sees its row.
    """
    return bool(changed(connection, _insertion(table), row))


@cache
def _insertion(table: Table) -> TextClause:
    # As text, since this is where Core has another construct for each dialect, and all dialects have one spelling.
    names = [column.name for column in table.columns]
    columns, values = ", ".join(f'"{name}"' for name in names), ", ".join(f":{name}" for name in names)
    return text(f"INSERT INTO {table.name} ({columns}) VALUES ({values}) ON CONFLICT DO NOTHING")  # noqa: S608


def purged(connection: Connection, key: Sequence[Column[Any]], end: Column[Any], before: float, limit: int) -> int:
    """How many rows, at most `limit`, went because their `end` lies before `before`.

    Rows that another transaction is at are left for the next time, so a purge waits for nobody.
    """
    due = select(*key).where(end < before).order_by(end).limit(limit).with_for_update(skip_locked=True).cte("due")
    names = tuple_(*key) if len(key) > 1 else key[0]
    # Counted by what comes back: for a statement that begins with the name of its rows not every driver counts them.
    return len(connection.execute(delete(end.table).where(names.in_(select(due))).returning(key[0])).all())


def storable(of: str) -> bool:
    """Whether a database can hold a text: a URL may say what none can, and it names nothing."""
    try:
        of.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in of
