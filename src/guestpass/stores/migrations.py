"""How a database comes to have the newest tables: made anew, or one version after the other.

Knows each step that there ever was, as plain statements that every dialect understands; a step that was released is
never changed. All of them run in one transaction under one lock, so a database has the old tables whole or the new
ones, and any number of processes may start at once.
"""

import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy import (
    Column,
    Connection,
    Double,
    LargeBinary,
    func,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.schema import CreateColumn

from guestpass.errors import ConfigurationError
from guestpass.stores.cutoff_statements import make_list
from guestpass.stores.instants import Instants
from guestpass.stores.tables import VERSION, metadata, schema_version


def version_of(connection: Connection) -> int:
    """The version of the tables that are there; 0 where there are none.

    ConfigurationError where a newer release made them.
    """
    if not inspect(connection).has_table(schema_version.name):
        return 0
    version = connection.scalar(select(func.max(schema_version.c.version))) or 0
    if version > VERSION:
        raise ConfigurationError(
            f"the store's tables have version {version}, this guestpass knows {VERSION}: upgrade guestpass"
        )
    return version


def bring_up_to_date(connection: Connection, instants: Instants) -> None:
    """Make the tables, or what is new in them, in the transaction that `connection` is in.

    The caller holds the lock under which nobody else does the same.
    """
    version = version_of(connection)
    if version == 0:
        metadata.create_all(connection, checkfirst=False)
        make_list(connection, instants)
    for step in STEPS[version - 1 :] if version else ():
        step(connection)
    if version < VERSION:
        connection.execute(insert(schema_version).values(version=VERSION))


def _to_2(connection: Connection) -> None:
    """Keys get a second secret and their last use, cut-offs an order, and their list an epoch."""
    _add(
        connection,
        "guestpass_api_keys",
        Column("old_digest", LargeBinary),
        Column("old_until", Double, server_default="0"),
        Column("last_used_at", Double),
    )
    double = Double().compile(dialect=connection.dialect)
    # Cut-offs made anew rather than altered: a process of the release before, which would not number what it adds, is
    # to find no table rather than to end something that nobody hears of.
    _run(
        connection,
        "CREATE UNIQUE INDEX ix_guestpass_api_keys_old_digest ON guestpass_api_keys (old_digest)",
        "CREATE TABLE guestpass_cutoffs_1 AS SELECT name, at_ms, expires_at FROM guestpass_cutoffs",
        "DROP TABLE guestpass_cutoffs",
        f"CREATE TABLE guestpass_cutoffs (name TEXT NOT NULL, at_ms BIGINT NOT NULL, expires_at {double},"
        " position BIGINT NOT NULL, PRIMARY KEY (name))",
        "INSERT INTO guestpass_cutoffs SELECT name, at_ms, expires_at, row_number() OVER (ORDER BY name)"
        " FROM guestpass_cutoffs_1",
        "DROP TABLE guestpass_cutoffs_1",
        "CREATE INDEX ix_guestpass_cutoffs_expires_at ON guestpass_cutoffs (expires_at)",
        "CREATE UNIQUE INDEX ix_guestpass_cutoffs_position ON guestpass_cutoffs (position)",
        "CREATE TABLE guestpass_revocations (id INTEGER NOT NULL, epoch TEXT NOT NULL, started_ms BIGINT NOT NULL,"
        " after_loss BOOLEAN NOT NULL, position BIGINT NOT NULL, PRIMARY KEY (id))",
    )
    # The list is as old as the store, and nothing was lost: what was minted before this upgrade goes on.
    connection.execute(
        text(
            "INSERT INTO guestpass_revocations (id, epoch, started_ms, after_loss, position)"
            " SELECT 1, :epoch, 0, false, count(*) FROM guestpass_cutoffs"
        ),
        {"epoch": secrets.token_hex(16)},
    )


STEPS: Final[Sequence[Callable[[Connection], None]]] = (_to_2,)
"""The first one leads from version 1 to 2."""


def _add(connection: Connection, table: str, *columns: Column[Any]) -> None:
    for column in columns:
        spelled = CreateColumn(column).compile(dialect=connection.dialect)
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {spelled}")


def _run(connection: Connection, *statements: str) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)
