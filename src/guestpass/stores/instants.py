"""Whose clock says when: the database server's own where there is one, this process's for a file.

Each instant is an expression in milliseconds that a statement carries, so that a server says it without being asked
twice. Knows nothing of what it is for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import BigInteger, ColumnElement, cast, extract, func, literal


class Instants(Protocol):
    """The two instants that statements ask for, in Unix milliseconds."""

    def before(self) -> ColumnElement[int]:
        """From before the state of the database that a statement reads, where it is alone in its transaction."""
        ...

    def now(self) -> ColumnElement[int]:
        """From after the beginning of the transaction that the statement is in."""
        ...


@dataclass(frozen=True, slots=True)
class ProcessClock:
    """Of a database that runs in this process. `clock` is in Unix seconds; it is read when the statement is made."""

    clock: Callable[[], float]

    def before(self) -> ColumnElement[int]:
        return literal(int(self.clock() * 1000), BigInteger)

    now = before


@dataclass(frozen=True, slots=True)
class ServerClock:
    """Of PostgreSQL, which all processes share.

    A transaction's timestamp is taken when its first message arrives, and that is before its first snapshot. A
    *statement's* timestamp is not good enough to look at a key: it is taken anew when the statement is executed, and
    the driver sends that after the message that took the snapshot.
    """

    def before(self) -> ColumnElement[int]:
        return _milliseconds(func.transaction_timestamp())

    def now(self) -> ColumnElement[int]:
        # As late as can be, and so after whatever lock the transaction had to wait for.
        return _milliseconds(func.clock_timestamp())


def _milliseconds(timestamp: ColumnElement[object]) -> ColumnElement[int]:
    return cast(func.floor(extract("epoch", timestamp) * 1000), BigInteger)
