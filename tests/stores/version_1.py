"""A database as the release with version 1 of the tables left it, with something in each."""

import json

from sqlalchemy import Engine, text
from sqlalchemy.types import Double, LargeBinary

from guestpass.records import Idempotency, KeyRecord, SessionRecord, SigningKeyRecord
from guestpass.stores import rows
from guestpass.testing.samples import HOUR, NOW, NOW_MS, asked, key, session, signing_key

KEY: KeyRecord = key()
SESSION: SessionRecord = session()
ASKED: Idempotency = asked()
SIGNING_KEY: SigningKeyRecord = signing_key()
CUTOFFS = {"b": (NOW_MS, NOW + HOUR), "a": (2**53 - 1, None), "c": (NOW_MS - 5, NOW - HOUR)}

TABLES = """
CREATE TABLE guestpass_api_keys (id TEXT NOT NULL, digest {blob} NOT NULL, kind TEXT NOT NULL, platform TEXT NOT NULL,
  mode TEXT NOT NULL, accounts TEXT NOT NULL, components TEXT NOT NULL, roles TEXT NOT NULL, expires_at {double},
  name TEXT NOT NULL, created_at {double} NOT NULL, origins TEXT NOT NULL, revoked_at {double}, PRIMARY KEY (id),
  UNIQUE (digest));
CREATE INDEX ix_guestpass_api_keys_platform ON guestpass_api_keys (platform);
CREATE TABLE guestpass_cutoffs (name TEXT NOT NULL, at_ms BIGINT NOT NULL, expires_at {double}, PRIMARY KEY (name));
CREATE INDEX ix_guestpass_cutoffs_expires_at ON guestpass_cutoffs (expires_at);
CREATE TABLE guestpass_idempotency (minted_by TEXT NOT NULL, "key" TEXT NOT NULL, body {blob} NOT NULL,
  session_id TEXT NOT NULL, expires_at {double}, PRIMARY KEY (minted_by, "key"));
CREATE INDEX ix_guestpass_idempotency_expires_at ON guestpass_idempotency (expires_at);
CREATE TABLE guestpass_schema_version (version INTEGER NOT NULL, PRIMARY KEY (version));
CREATE TABLE guestpass_sessions (id TEXT NOT NULL, digest {blob} NOT NULL, platform TEXT NOT NULL, mode TEXT NOT NULL,
  account TEXT NOT NULL, components TEXT NOT NULL, roles TEXT NOT NULL, expires_at {double}, minted_by TEXT NOT NULL,
  minted_ms BIGINT NOT NULL, revoked_at {double}, ended_at {double}, PRIMARY KEY (id), UNIQUE (digest));
CREATE INDEX ix_guestpass_sessions_ended_at ON guestpass_sessions (ended_at);
CREATE TABLE guestpass_signing_keys (kid TEXT NOT NULL, mode TEXT NOT NULL, serial INTEGER NOT NULL,
  algorithm TEXT NOT NULL, jwk TEXT NOT NULL, wrapped {blob} NOT NULL, created_at {double} NOT NULL,
  signs_from {double} NOT NULL, PRIMARY KEY (kid), UNIQUE (mode, serial));
INSERT INTO guestpass_schema_version VALUES (1)
"""


def make(engine: Engine) -> None:
    """Make the tables of version 1, and put a record in each."""
    dialect = engine.dialect
    types = {"blob": LargeBinary().compile(dialect=dialect), "double": Double().compile(dialect=dialect)}
    new = ("old_digest", "old_until", "last_used_at")
    kept = {name: value for name, value in rows.key_row(KEY).items() if name not in new}
    with engine.begin() as connection:
        for statement in TABLES.format(**types).split(";"):
            connection.exec_driver_sql(statement)
        for table, row in (
            ("api_keys", kept),
            ("sessions", rows.session_row(SESSION)),
            ("signing_keys", rows.signing_key_row(SIGNING_KEY)),
            (
                "idempotency",
                {
                    "minted_by": ASKED.minted_by,
                    "key": ASKED.key,
                    "body": ASKED.body,
                    "session_id": SESSION.id,
                    "expires_at": ASKED.expires_at,
                },
            ),
            *(("cutoffs", {"name": name, "at_ms": at, "expires_at": ends}) for name, (at, ends) in CUTOFFS.items()),
        ):
            columns, values = ", ".join(f'"{name}"' for name in row), ", ".join(f":{name}" for name in row)
            connection.execute(text(f"INSERT INTO guestpass_{table} ({columns}) VALUES ({values})"), row)


def contents(engine: Engine) -> str:
    """Everything that is in the tables of version 1, and the columns that they have."""
    found: dict[str, list[list[str]]] = {}
    with engine.connect() as connection:
        for table in ("schema_version", "api_keys", "sessions", "idempotency", "cutoffs", "signing_keys"):
            answer = connection.execute(text(f"SELECT * FROM guestpass_{table} ORDER BY 1"))
            found[table] = [list(answer.keys()), *([str(value) for value in row] for row in answer)]
    return json.dumps(found, indent=1)
