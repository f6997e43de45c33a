"""Whose clock says when: the database server's own where there is one, this process's for a file.

Each instant is an expression in milliseconds that a statement carries, so that a server says it without being asked
twice. Knows nothing of what it is for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    cast,
    extract,
    func,
    literal,
    select,
)

from guestpass.stores.short_way import Executes


class Instants(Protocol):
    """The two instants that statements ask for, in Unix milliseconds."""

    def look(
        self, connection: Executes, asked: Select[Any], values: Mapping[str, object]
    ) -> tuple[Sequence[Any] | None, int]:
        """The first row of a statement that is alone in its transaction, and an instant from before the state of the
        database that it reads."""
        ...

    def now(self) -> ColumnElement[int]:
        """From after the beginning of the transaction that the statement is in."""
        ...


@dataclass(frozen=True, slots=True)
class ProcessClock:
    """Of a database that runs in this process. `clock` is in Unix seconds; it is read when the statement is made."""

    clock: Callable[[], float]

    def look(
        self, connection: Executes, asked: Select[Any], values: Mapping[str, object]
    ) -> tuple[Sequence[Any] | None, int]:
        now_ms = int(self.clock() * 1000)
        return connection.execute(asked, values).first(), now_ms

    def now(self) -> ColumnElement[int]:
        return literal(int(self.clock() * 1000), BigInteger)


@dataclass(frozen=True, slots=True)
class ServerClock:
    """Of PostgreSQL, which all processes share.

    A transaction's timestamp is taken when its first message arrives, and that is before its first snapshot. A
    *statement's* timestamp is not good enough to look at a key: it is taken anew when the statement is executed, and
    the driver sends that after the message that took the snapshot.
    """

    def look(
        self, connection: Executes, asked: Select[Any], values: Mapping[str, object]
    ) -> tuple[Sequence[Any] | None, int]:
        row = connection.execute(_stamped(asked), values).first()
        if row is not None:
            return row[:-1], row[-1]
        [now_ms] = [*(connection.execute(_BEFORE, {}).first() or ())]
        return None, now_ms

    def now(self) -> ColumnElement[int]:
        # As late as can be, and so after whatever lock the transaction had to wait for.
        return _milliseconds(func.clock_timestamp())


def _milliseconds(timestamp: ColumnElement[object]) -> ColumnElement[int]:
    return cast(func.floor(extract("epoch", timestamp) * 1000), BigInteger)


_BEFORE: Final = select(_milliseconds(func.transaction_timestamp()).label("now_ms"))


@lru_cache(maxsize=8)
def _stamped(asked: Select[Any]) -> Select[Any]:
    # Made once: to put a statement together takes longer than to execute it.
    return asked.add_columns(_milliseconds(func.transaction_timestamp()).label("now_ms"))
