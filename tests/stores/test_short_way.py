"""The short way to the driver: what becomes of its connections, and that it changes nothing else."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from guestpass.inquiry import Question
from guestpass.records import (
    AddSession,
    Conflict,
    FindMinter,
    FindSession,
    FindSessionById,
    RevokeSession,
    SessionRecord,
)
from guestpass.stores.engines import RESTING_TO_A_SERVER
from guestpass.stores.psycopg_connections import POOL
from guestpass.stores.short_way import Executes, ShortWay
from guestpass.stores.sql import SqlStore
from guestpass.testing.contract_crowd import at_once
from guestpass.testing.samples import NOW, asked, digest, session

from .conftest import Opened
from .postgres_servers import Server

INSERT = text("INSERT INTO guestpass_schema_version VALUES (:version)")
SELECT = text("SELECT version FROM guestpass_schema_version WHERE version = :version")


@pytest.fixture
def store(anywhere: str, opened: Opened) -> SqlStore:
    return opened(anywhere)


@pytest.fixture
def made(store: SqlStore) -> Iterator[list[Any]]:
    """The connections that the store opens from now on."""
    found: list[Any] = []

    def note(connection: Any, _: object) -> None:
        found.append(connection)

    store.answer(FindSession(digest("x")))
    event.listen(store._engines.engine, "connect", note)
    yield found
    event.remove(store._engines.engine, "connect", note)


def way_of(store: SqlStore) -> ShortWay:
    short = store._engines.short
    assert short is not None
    return short


def ask(store: SqlStore, work: Callable[[Executes], object], *, together: bool = False) -> object:
    return way_of(store).ask(lambda connection, _, __: work(connection), None, None, together=together)


def versions(store: SqlStore) -> set[int]:
    with store._engines.reads.connect() as connection:
        return set(connection.scalars(text("SELECT version FROM guestpass_schema_version")))


def test_a_request_that_comes_again_costs_no_connection(store: SqlStore, made: list[Any]) -> None:
    assert store.answer(AddSession(session(), asked())) == session()
    for name in ("t", "u"):
        again = store.answer(AddSession(session(name), asked()))
        assert isinstance(again, SessionRecord)
        assert (again.id, again.digest) == ("as_s", session(name).digest)
    assert isinstance(store.answer(AddSession(session("v"), asked(body="other"))), Conflict)
    assert len(made) <= 1  # SQLAlchemy's own, in SQLite


def test_what_is_refused_costs_no_connection_and_leaves_nothing(store: SqlStore, made: list[Any]) -> None:
    store.answer(AddSession(session()))
    for request in (None, asked()):
        with pytest.raises(ValueError, match="id or digest"):
            store.answer(AddSession(session(), request))
    assert not made
    # The request that came with it is as unknown as before.
    assert store.answer(AddSession(session("t"), asked())) == session("t")


@pytest.mark.parametrize("together", [False, True])
def test_a_text_that_no_database_holds_is_a_mistake(store: SqlStore, made: list[Any], together: bool) -> None:
    odd = session(account="\ud800")
    with pytest.raises(ValueError):
        store.answer(AddSession(odd, asked() if together else None))
    assert not made
    assert store.answer(FindSessionById(odd.id)) is None
    assert store.answer(AddSession(session(), asked())) == session()


def test_a_key_that_is_not_there_has_an_instant_all_the_same(store: SqlStore) -> None:
    found = store.answer(FindMinter("key_x"))
    assert found.key is None
    assert found.now_ms > 1_700_000_000_000


def test_what_is_done_together_is_done_or_undone_whole(store: SqlStore, made: list[Any]) -> None:
    def both(connection: Executes) -> None:
        for version in (101, 102):
            connection.execute(INSERT, {"version": version})

    def half(connection: Executes) -> None:
        connection.execute(INSERT, {"version": 103})
        raise LookupError

    ask(store, both, together=True)
    with pytest.raises(LookupError):
        ask(store, half, together=True)
    assert versions(store) >= {101, 102}
    assert 103 not in versions(store)
    assert len(made) <= 1


def test_who_is_broken_off_leaves_no_connection_behind(store: SqlStore, made: list[Any]) -> None:
    def broken_off(connection: Executes) -> None:
        connection.execute(INSERT, {"version": 104})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(store, broken_off, together=True)
    store.answer(FindSession(digest("x")))
    assert len(made) == 1
    assert 104 not in versions(store)


def test_a_connection_that_cannot_be_used_again_is_not(store: SqlStore, made: list[Any]) -> None:
    def fail(connection: Any) -> None:
        connection.driver.close()
        raise LookupError

    with pytest.raises(LookupError):
        ask(store, fail)
    assert store.answer(FindSession(digest("x"))) is None
    assert len(made) == 1


# SQLite


def test_connections_rest_and_are_closed_with_the_store(path: Path, opened: Opened) -> None:
    store, log = opened(), path.with_name(path.name + "-wal")
    store.answer(AddSession(session()))
    for _ in range(3):
        assert store.answer(FindSession(session().digest)) == session()
    assert log.exists()
    store.close()
    # SQLite takes its log away when the last connection is closed.
    assert not log.exists()


def test_no_more_connections_rest_than_a_few(anywhere: str, opened: Opened) -> None:
    way = way_of(opened(anywhere))
    places = way._places
    for _ in range(2):
        lent = [way._take() for _ in range(places + 2)]
        pids = {id(one.driver) for one in lent}
        assert len(pids) == places + 2
        for one in lent:
            way._give_back(one)
        assert len(way._resting) == places
        assert {id(one.driver) for one in way._resting} <= pids


def test_who_rests_is_asked_whether_it_is_fit(anywhere: str, opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(anywhere)
    first, second = rested(store), rested(store)
    assert first is second
    monkeypatch.setattr(way_of(store), "_fit", lambda _: False)
    third = rested(store)
    assert third is not first
    with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError), match="closed"):
        first.execute("SELECT 1")


def rested(store: SqlStore) -> Any:
    """The driver's connection that has just answered."""
    store.answer(FindSession(digest("x")))
    return way_of(store)._resting[-1].driver


# PostgreSQL


def test_where_one_connection_is_lost_the_others_are_made_anew(postgres_url: str, opened: Opened) -> None:
    store = opened(postgres_url)

    def pids() -> set[int]:
        way = way_of(store)
        lent = [way._take() for _ in range(5)]
        found = {one.driver.info.backend_pid for one in lent}
        for one in lent:
            way._give_back(one)
        return found

    before = pids()

    def lose(connection: Any) -> None:
        with closing(psycopg.connect(postgres_url, autocommit=True)) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.driver.info.backend_pid])
        connection.execute(INSERT, {"version": 105})

    with pytest.raises(psycopg.OperationalError):
        ask(store, lose)
    assert not pids() & before
    assert 105 not in versions(store)


@pytest.mark.parametrize("asked_for", [FindSession(digest("x")), AddSession(session())])
def test_where_all_are_lost_at_once_the_next_question_is_answered(
    postgres: Server, postgres_url: str, opened: Opened, asked_for: Question[object]
) -> None:
    store = opened(postgres_url)
    store.answer(FindSession(digest("x")))  # on a connection that rests from now on

    def lose(connection: Executes) -> None:
        # Several rest, in the pool too: there one is refused because it is dead, or because it is doubted.
        lent = [way_of(store)._take() for _ in range(5)]
        for one in lent:
            way_of(store)._give_back(one)
        postgres.run(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = 'guestpass' AND backend_type = 'client backend'"
        )
        connection.execute(SELECT, {"version": 1})

    with pytest.raises(psycopg.OperationalError):
        ask(store, lose)
    assert store.answer(asked_for) in (None, session())


def test_a_loss_on_the_usual_way_is_one_here_too(postgres_url: str, opened: Opened) -> None:
    store = opened(postgres_url)
    first = rested(store)
    with pytest.raises(DBAPIError), store._engines.reads.connect() as connection:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert rested(store) is not first
    assert first.closed


def test_losses_of_one_generation_cost_the_next_one_nothing(postgres_url: str, opened: Opened) -> None:
    way = way_of(opened(postgres_url))
    old = [way._take() for _ in range(3)]
    for one in old:
        one.driver.close()
    way._undo(old[0], psycopg.OperationalError())
    new = way._take()
    way._give_back(new)
    for one in old[1:]:
        way._undo(one, psycopg.OperationalError())
    assert way._take() is new
    way._give_back(new)


def test_there_are_never_more_connections_than_ten(postgres: Server, postgres_url: str, opened: Opened) -> None:
    store = opened(postgres_url)
    store.answer(AddSession(session()))

    def ask(number: int) -> None:
        assert store.answer(FindSession(session().digest)) == session()
        if number % 3 == 0:
            assert store.answer(RevokeSession("as_none", NOW)) is None

    at_once(ask, range(400), threads=40)
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'guestpass'"
    ((many,),) = postgres.run(count + " AND backend_type = 'client backend'")
    assert POOL + RESTING_TO_A_SERVER == 10
    assert many in range(1, 11)
