"""How much the statements read."""

import math
from typing import Any

from sqlalchemy import Engine, event

from guestpass.records import (
    AddCutoff,
    AddKey,
    AddSession,
    AddSigningKey,
    ChangeKey,
    Cutoff,
    FindCutoff,
    FindKey,
    FindKeyById,
    FindSession,
    FindSessionById,
    ListKeys,
    Purge,
    RevokeSession,
)

from .conftest import Opened
from .samples import NOW, NOW_MS, asked, key, session, signing_key


def test_no_look_up_reads_a_whole_table(opened: Opened, engine: Engine) -> None:
    plans: list[str] = []
    store = opened(engine)

    def explain(connection: Any, _: Any, statement: str, parameters: Any, *__: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            cursor = connection.connection.cursor()
            plans.extend(row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))
            cursor.close()

    event.listen(engine, "before_cursor_execute", explain)
    cutoff = Cutoff("x", NOW_MS, NOW)
    store.answer(AddKey(key()))
    store.answer(FindKey(key().digest))
    store.answer(FindKeyById("key_k"))
    store.answer(ListKeys("plat"))
    store.answer(ChangeKey("key_k", cutoff, grant=key().grant, revoked_at=NOW))
    store.answer(AddSession(session(), asked()))
    store.answer(AddSession(session(), asked()))
    store.answer(FindSession(session().digest))
    store.answer(FindSessionById("as_s"))
    store.answer(RevokeSession("as_s", NOW))
    store.answer(AddCutoff(cutoff))
    store.answer(FindCutoff(("x", "y", "z")))
    store.answer(AddSigningKey(signing_key()))
    store.answer(AddSigningKey(signing_key("other")))
    store.answer(Purge(math.inf, math.inf))
    event.remove(engine, "before_cursor_execute", explain)
    assert len(plans) > 20
    assert [plan for plan in plans if "SCAN" in plan] == []
