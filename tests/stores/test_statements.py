"""How much the statements read."""

import math
from dataclasses import replace
from typing import Any, LiteralString

from sqlalchemy import Engine, create_engine, event

from guestpass.inquiry import Question
from guestpass.records import (
    AddCutoff,
    AddKey,
    AddSession,
    AddSigningKey,
    BeginEpoch,
    ChangeKey,
    Ending,
    FindCutoff,
    FindKey,
    FindKeyById,
    FindMinter,
    FindSession,
    FindSessionById,
    ListKeys,
    NoteUses,
    Purge,
    ReadCutoffs,
    RevokeSession,
    RotateKey,
)
from guestpass.stores import Store
from guestpass.stores.sql import SqlStore
from guestpass.testing.samples import NOW, NOW_MS, asked, digest, key, session, signing_key

from .conftest import Opened
from .postgres_servers import Server

ENDING = Ending("x", NOW_MS, NOW)

# All but ListSigningKeys: there are a handful of those.
QUESTIONS: list[Question[Any]] = [
    AddKey(replace(key(), old_digest=digest("older"))),
    FindKey(key().digest),
    FindKey(digest("older")),
    FindKeyById("key_k"),
    FindMinter("key_k"),
    ListKeys("plat"),
    ChangeKey("key_k", ENDING, grant=key().grant, revoked_at=NOW),
    RotateKey("key_k", digest("new"), NOW, ENDING),
    NoteUses({"key_k": NOW}),
    AddSession(session("alone")),
    AddSession(session(), asked()),
    AddSession(session(), asked()),
    FindSession(session().digest),
    FindSessionById("as_s"),
    RevokeSession("as_s", NOW),
    AddCutoff(ENDING),
    AddCutoff(replace(ENDING, at_ms=None)),
    FindCutoff(("x", "y", "z")),
    ReadCutoffs(0),
    ReadCutoffs(7, 2),
    BeginEpoch("another"),
    AddSigningKey(signing_key()),
    AddSigningKey(signing_key("other")),
    Purge(math.inf, math.inf),
]


# Enough that a database goes by an index where it can.
FILL: tuple[LiteralString, ...] = (
    """INSERT INTO guestpass_api_keys
       (id, digest, kind, platform, mode, accounts, components, roles, name, created_at, origins)
       SELECT 'k' || n, ('k' || n)::bytea, '', 'p' || n, 'live', '', '', '', '', 0, ''
       FROM generate_series(1, 20000) AS n""",
    """INSERT INTO guestpass_sessions
       (id, digest, platform, mode, account, components, roles, minted_by, minted_ms, ended_at)
       SELECT 's' || n, ('s' || n)::bytea, '', 'live', '', '', '', '', 0, 1e10 + n
       FROM generate_series(1, 20000) AS n""",
    """INSERT INTO guestpass_idempotency (minted_by, key, body, session_id, expires_at)
       SELECT 'k', 'r' || n, '', '', 1e10 + n FROM generate_series(1, 20000) AS n""",
    """INSERT INTO guestpass_cutoffs (name, at_ms, expires_at, position)
       SELECT 'c' || n, 0, 1e10 + n, -n FROM generate_series(1, 20000) AS n""",
)


def plans_of(store: Store, engine: Engine, questions: list[Question[Any]], explain: str) -> list[str]:
    """How the database goes about everything that it is asked for `questions`."""
    plans: list[str] = []

    def look(connection: Any, _: Any, statement: str, parameters: Any, *__: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE", "WITH")):
            cursor = connection.connection.cursor()
            cursor.execute(f"{explain} {statement}", parameters)
            plans.extend(" ".join(map(str, row)) for row in cursor.fetchall())
            cursor.close()

    event.listen(engine, "before_cursor_execute", look)
    for question in questions:
        store.answer(question)
    event.remove(engine, "before_cursor_execute", look)
    return plans


def test_no_look_up_reads_a_whole_table(opened: Opened, engine: Engine) -> None:
    plans = plans_of(opened(engine), engine, QUESTIONS, "EXPLAIN QUERY PLAN")
    assert len(plans) > 30
    # What else is scanned is what a statement has found before: the page that it joins, the rows that it drops.
    assert [plan for plan in plans if "SCAN guestpass" in plan] == []


def test_no_look_up_reads_a_whole_table_of_postgresql(postgres: Server, postgres_url: str) -> None:
    engine = create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"), hide_parameters=True)
    store = SqlStore(engine, wait=10)
    postgres.run(*FILL, "ANALYZE")
    bounded = [question for question in QUESTIONS if not isinstance(question, Purge)]
    plans = plans_of(store, engine, [*bounded, Purge(NOW, NOW)], "EXPLAIN")
    store.close()
    engine.dispose()
    assert len(plans) > 30
    scans = [plan for plan in plans if "Seq Scan" in plan]
    small = ("guestpass_revocations", "guestpass_signing_keys")
    assert [plan for plan in scans if not any(table in plan for table in small)] == []
