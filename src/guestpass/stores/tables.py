"""The tables of the SQL store, as they are in the newest version.

Instants are double precision Unix seconds, `…_ms` whole milliseconds; NULL stands for "never". A set of names
is JSON text, so that a look-up reads one row of one table. Knows no dialect; how a row and a record turn into
each other is written in `guestpass.stores.rows`, how a database gets here in `guestpass.stores.migrations`.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

VERSION: Final = 2
"""Of the tables below. Counts up with every change to them; `schema_version` keeps what a database has."""

# The prefix keeps clear of the tables of an application whose database this is too.
metadata: Final = MetaData()

schema_version: Final = Table(
    "guestpass_schema_version", metadata, Column("version", Integer, primary_key=True, autoincrement=False)
)

api_keys: Final = Table(
    "guestpass_api_keys",
    metadata,
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
    Column("old_digest", LargeBinary),
    Column("old_until", Double, server_default="0"),
    Column("last_used_at", Double),
    Index("ix_guestpass_api_keys_old_digest", "old_digest", unique=True),
)

sessions: Final = Table(
    "guestpass_sessions",
    metadata,
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
    metadata,
    Column("minted_by", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("expires_at", Double, index=True),
)

cutoffs: Final = Table(
    "guestpass_cutoffs",
    metadata,
    Column("name", Text, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("expires_at", Double, index=True),
    # Where it stands in the list: what is added or moved gets the next one.
    Column("position", BigInteger, nullable=False),
    Index("ix_guestpass_cutoffs_position", "position", unique=True),
)

revocations: Final = Table(
    "guestpass_revocations",
    metadata,
    # One row. Whoever adds a cut-off holds its lock until the end of the transaction, so the positions become
    # visible in their order, and a reader never passes over one that is still on its way.
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Text, nullable=False),
    Column("started_ms", BigInteger, nullable=False),
    Column("after_loss", Boolean, nullable=False),
    Column("position", BigInteger, nullable=False),
)

signing_keys: Final = Table(
    "guestpass_signing_keys",
    metadata,
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
