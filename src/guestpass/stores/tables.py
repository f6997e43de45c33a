"""The tables of the SQL store, and their version.

Instants are double precision Unix seconds, `…_ms` whole milliseconds; NULL stands for "never". A set of names
is JSON text, so that a look-up reads one row of one table. Knows no dialect; how a row and a record turn into
each other is written in `guestpass.stores.rows`.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    insert,
    inspect,
    select,
)

from guestpass.errors import ConfigurationError

VERSION: Final = 1
"""Of the tables below. Counts up with every change to them; `schema_version` keeps what a database has."""

# The prefix keeps clear of the tables of an application whose database this is too.
_metadata = MetaData()

schema_version: Final = Table(
    "guestpass_schema_version", _metadata, Column("version", Integer, primary_key=True, autoincrement=False)
)

api_keys: Final = Table(
    "guestpass_api_keys",
    _metadata,
    Column("id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("platform", Text, nullable=False, index=True),
    Column("mode", Text, nullable=False),
    Column("accounts", Text, nullable=False),
    Column("components", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("expires_at", Double),
    Column("name", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("origins", Text, nullable=False),
    Column("revoked_at", Double),
)

sessions: Final = Table(
    "guestpass_sessions",
    _metadata,
    Column("id", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("platform", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("components", Text, nullable=False),
    Column("roles", Text, nullable=False),
    Column("expires_at", Double),
    Column("minted_by", Text, nullable=False),
    Column("minted_ms", BigInteger, nullable=False),
    Column("revoked_at", Double),
    # The earlier of the two instants above: what the purge reads, so that it needs one index.
    Column("ended_at", Double, index=True),
)

idempotency: Final = Table(
    "guestpass_idempotency",
    _metadata,
    Column("minted_by", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("expires_at", Double, index=True),
)

cutoffs: Final = Table(
    "guestpass_cutoffs",
    _metadata,
    Column("name", Text, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("expires_at", Double, index=True),
)

signing_keys: Final = Table(
    "guestpass_signing_keys",
    _metadata,
    Column("kid", Text, primary_key=True),
    Column("mode", Text, nullable=False),
    Column("serial", Integer, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("jwk", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("signs_from", Double, nullable=False),
    UniqueConstraint("mode", "serial"),
)


def is_ready(connection: Connection) -> bool:
    """Whether the tables are there. ConfigurationError where a newer release made them."""
    if not inspect(connection).has_table(schema_version.name):
        return False
    version = connection.scalar(select(func.max(schema_version.c.version))) or 0
    if version > VERSION:
        raise ConfigurationError(
            f"the store's tables have version {version}, this guestpass knows {VERSION}: upgrade guestpass"
        )
    return bool(version == VERSION)


def make_ready(connection: Connection) -> None:
    """Make the tables, in the transaction that `connection` is in, unless they are there."""
    if not is_ready(connection):
        _metadata.create_all(connection, checkfirst=False)
        connection.execute(insert(schema_version).values(version=VERSION))
