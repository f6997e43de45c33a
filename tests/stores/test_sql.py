"""The SQL store on SQLite: the contract; threads, processes and crashes; what goes wrong, and how it is told."""

import math
import sqlite3
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text

from guestpass.errors import StoreUnavailable
from guestpass.inquiry import Question
from guestpass.records import (
    AddCutoff,
    AddKey,
    AddSession,
    BeginEpoch,
    Ending,
    FindCutoff,
    FindKey,
    FindKeyById,
    FindSession,
    FindSessionById,
    ListKeys,
    ListSigningKeys,
    Purge,
    ReadCutoffs,
    RevokeSession,
    SessionRecord,
)
from guestpass.stores import Store, open_store
from guestpass.testing.samples import NOW, NOW_MS, asked, digest, key, session
from guestpass.testing.store_contract import StoreContract

from .conftest import Opened
from .running import run, started

ENDING = Ending("x", NOW_MS, NOW)


class TestSqlite(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        store = open_store(f"sqlite:///{tmp_path}/guestpass.db", wait=10)
        yield store
        store.close()


# What lasts


def test_what_one_store_keeps_the_next_one_finds(opened: Opened) -> None:
    first, second = opened(), opened()
    first.answer(AddSession(session()))
    assert second.answer(FindSession(session().digest)) == session()
    first.close()
    second.answer(RevokeSession("as_s", NOW))
    second.close()
    found = opened().answer(FindSessionById("as_s"))
    assert found is not None
    assert found.revoked_at == NOW


def test_nothing_acknowledged_is_lost_when_the_writer_is_killed(url: str, path: Path, opened: Opened) -> None:
    with started("write", url) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(2000)]
        writer.kill()
        told += writer.stdout.read().splitlines()
    ids = [line.decode().strip().strip('"') for line in told if line.strip().endswith(b'"')]
    store = opened()
    assert len(ids) == len(set(ids)) >= 2000
    assert all(store.answer(FindSessionById(one)) for one in ids)
    again = [store.answer(AddSession(session(f"again {one}"), asked(one))) for one in ids[-20:]]
    assert [made.id for made in again if isinstance(made, SessionRecord)] == ids[-20:]
    with sqlite3.connect(path) as connection:
        rows, requests = (
            connection.execute(f"SELECT count(*) FROM guestpass_{table}").fetchone()[0]
            for table in ("sessions", "idempotency")
        )
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    assert len(ids) <= rows <= len(ids) + 4
    assert rows == requests


def test_two_processes_with_the_same_requests_make_the_same_sessions(url: str, opened: Opened) -> None:
    told = run("same", url)
    assert len(told) == 80
    made = {number: {made for this, made in told if this == number} for number in range(40)}
    assert all(len(ids) == 1 for ids in made.values())
    assert opened().answer(Purge(-math.inf, math.inf)) == 40


# Who waits for whom


def test_reads_go_on_while_another_process_writes(opened: Opened, bare: sqlite3.Connection) -> None:
    store = opened(wait=0.01)
    store.answer(AddSession(session()))
    bare.execute("BEGIN IMMEDIATE")
    bare.execute("DELETE FROM guestpass_sessions")
    assert store.answer(FindSession(session().digest)) == session()
    assert store.answer(FindSessionById("as_s")) == session()
    assert store.answer(FindKey(digest("x"))) is None
    assert store.answer(FindKeyById("x")) is None
    assert store.answer(FindCutoff(("x",))) is None
    assert store.answer(ListKeys()) == ()
    assert store.answer(ListSigningKeys()) == ()


def test_reads_leave_no_lock_behind(opened: Opened, bare: sqlite3.Connection) -> None:
    store = opened()
    store.answer(FindSession(session().digest))
    store.answer(ListKeys())
    assert bare.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


def test_a_locked_database_is_unavailable_within_the_bound(opened: Opened, bare: sqlite3.Connection) -> None:
    store = opened(wait=0.05)
    bare.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="locked") as caught:
        store.answer(AddSession(session()))
    assert 0.04 < time.monotonic() - began < 2
    assert caught.value.__cause__ is not None
    bare.execute("ROLLBACK")
    assert store.answer(AddSession(session())) == session()


def test_a_question_that_waits_gets_its_turn(opened: Opened, bare: sqlite3.Connection) -> None:
    store = opened()
    bare.execute("BEGIN IMMEDIATE")
    writers = [threading.Thread(target=store.answer, args=(AddSession(session(str(n))),)) for n in range(3)]
    for writer in writers:
        writer.start()
    bare.execute("COMMIT")
    for writer in writers:
        writer.join()
    assert all(store.answer(FindSessionById(f"as_{n}")) for n in range(3))


def test_connections_that_are_all_in_use_are_unavailable(opened: Opened, url: str) -> None:
    engine = create_engine(url, hide_parameters=True, pool_size=1, max_overflow=0, pool_timeout=0.01)
    store = opened(engine)
    with engine.connect(), pytest.raises(StoreUnavailable, match="in use"):
        store.answer(ListKeys())
    assert store.answer(ListKeys()) == ()
    engine.dispose()


def test_a_large_purge_gives_way_to_others(opened: Opened, engine: Engine) -> None:
    store = opened(engine)
    with engine.begin() as connection:
        connection.execute(
            text(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
                " INSERT INTO guestpass_cutoffs SELECT 'x' || i, 0, 1, i FROM n"
            )
        )
    begun: list[int] = []

    def count(connection: object, *_: object) -> None:
        begun.append(1)

    event.listen(engine, "begin", count)
    assert store.answer(Purge(NOW, NOW, limit=900)) == 900
    assert len(begun) == 5
    assert store.answer(Purge(NOW, NOW, limit=900)) == 100
    assert store.answer(Purge(NOW, NOW, limit=900)) == 0


# What goes wrong


def test_a_full_disk_is_unavailable_and_keeps_nothing_by_halves(opened: Opened, engine: Engine) -> None:
    store = opened(engine)

    def limit(pages: int) -> None:
        with engine.connect() as connection:
            connection.execute(text(f"PRAGMA max_page_count = {pages}"))

    limit(1)  # which SQLite takes for "no more than there are"
    big = session("big", account="a" * 100_000)
    with pytest.raises(StoreUnavailable, match="full") as caught:
        store.answer(AddSession(big, asked()))
    assert_tells_no_digest(caught.value, big.digest)
    assert store.answer(FindSessionById("as_big")) is None
    limit(100_000)
    assert store.answer(AddSession(session(), asked())) == session()


def test_a_damaged_file_is_unavailable(opened: Opened, path: Path) -> None:
    store = opened()
    for number in range(50):
        store.answer(AddSession(session(str(number))))
    store.close()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    with pytest.raises(StoreUnavailable, match="did not answer"):
        opened().answer(FindSession(session().digest))


def test_a_lost_table_is_unavailable(opened: Opened, bare: sqlite3.Connection) -> None:
    store = opened()
    bare.execute("DROP TABLE guestpass_sessions")
    with pytest.raises(StoreUnavailable, match="no such table"):
        store.answer(FindSession(session().digest))


def test_a_list_without_an_epoch_gets_one(opened: Opened, bare: sqlite3.Connection) -> None:
    questions: tuple[Question[Any], ...] = (ReadCutoffs(0), FindCutoff(("x",)), BeginEpoch("x"), AddCutoff(ENDING))
    store = opened()
    for question in questions:
        store.answer(AddCutoff(ENDING))
        lost = store.answer(ReadCutoffs(0))
        bare.execute("DELETE FROM guestpass_revocations")
        store.answer(question)
        page = store.answer(ReadCutoffs(0))
        assert page.epoch.id != lost.epoch.id
        assert not page.epoch.after_loss
        assert page.position >= lost.position
        assert page.cutoffs == lost.cutoffs


def test_a_list_that_somebody_keeps_dropping_is_unavailable(opened: Opened, bare: sqlite3.Connection) -> None:
    store = opened()
    bare.execute("CREATE TRIGGER t AFTER INSERT ON guestpass_revocations BEGIN DELETE FROM guestpass_revocations; END")
    bare.execute("DELETE FROM guestpass_revocations")
    questions: tuple[Question[Any], ...] = (ReadCutoffs(0), FindCutoff(("x",)), BeginEpoch("x"), AddCutoff(ENDING))
    for question in questions:
        with pytest.raises(StoreUnavailable, match="keeps dropping"):
            store.answer(question)


def test_no_error_tells_a_digest(opened: Opened, bare: sqlite3.Connection) -> None:
    store = opened(wait=0.01)
    store.answer(AddSession(session()))
    store.answer(AddKey(key()))
    clashes: tuple[Question[Any], ...] = (AddSession(session()), AddKey(key()))
    for question in clashes:
        with pytest.raises(ValueError, match="id or digest") as clash:
            store.answer(question)
        assert_tells_no_digest(clash.value, session().digest, key().digest)
    bare.execute("BEGIN IMMEDIATE")
    writes: tuple[Question[Any], ...] = (AddSession(session("t")), AddKey(key("t")))
    for question in writes:
        with pytest.raises(StoreUnavailable) as locked:
            store.answer(question)
        assert_tells_no_digest(locked.value, session("t").digest, key("t").digest)


def assert_tells_no_digest(error: BaseException, *digests: bytes) -> None:
    shown = "".join(traceback.format_exception(error)) + repr(error)
    for one in digests:
        assert one.hex() not in shown
        assert repr(one)[2:20] not in shown


def test_a_store_shows_where_it_is_but_no_password(opened: Opened, path: Path) -> None:
    assert repr(opened()) == f"SqlStore('sqlite:///{path}')"
