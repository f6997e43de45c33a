"""PostgreSQL that hangs, goes away, comes back, or is busy with others: what a store says, when, and what it keeps."""

import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from guestpass.errors import StoreUnavailable
from guestpass.inquiry import Question
from guestpass.records import AddCutoff, AddSession, Ending, FindSession, FindSessionById, ListKeys, RevokeSession
from guestpass.stores import Store, open_store, psycopg_connections
from guestpass.stores.postgres import PostgresStore
from guestpass.testing.contract_crowd import at_once
from guestpass.testing.samples import NOW, NOW_MS, asked, session
from guestpass.testing.store_contract import AsyncHalf

from .postgres_servers import Server, serving

Opened: TypeAlias = Callable[..., Store]

WAIT = 0.5
BOUND = 2 * WAIT


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    """A server that these tests may end."""
    with serving() as server:
        yield server


@pytest.fixture
def server(own: Server) -> Server:
    own.run("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    return own


@pytest.fixture(params=["threads", "asyncio"])
def opened(request: pytest.FixtureRequest, server: Server) -> Iterator[Opened]:
    """Opens stores of which one half is asked, and closes them in the end."""
    stores: list[Store] = []

    def open_one(url: str = server.url(), *, wait: float = WAIT) -> Store:
        store = PostgresStore(url, wait=wait)
        stores.append(store if request.param == "threads" else AsyncHalf(store))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


@contextmanager
def unavailable(match: str = "did not answer", *, within: float = BOUND) -> Iterator[None]:
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match=match):
        yield
    assert time.monotonic() - began < within


WRITES: tuple[Question[Any], ...] = (
    AddSession(session("w")),
    AddSession(session("x"), asked("x")),
    RevokeSession("as_s", NOW),
    AddCutoff(Ending("x", None, NOW)),
)


# A server that hangs


def test_a_server_that_hangs_is_unavailable_in_time(opened: Opened, server: Server) -> None:
    store = opened()
    store.answer(AddSession(session()))
    with server.frozen():
        with unavailable("too long"):
            store.answer(FindSession(session().digest))
        # That connection is given up; a new one is not to be had either.
        with unavailable("too long"):
            store.answer(FindSession(session().digest))
        for write in WRITES:
            with unavailable("too long"):
                store.answer(write)
    assert store.answer(FindSession(session().digest)) == session()
    for write in WRITES:
        store.answer(write)


def test_each_of_many_waits_no_longer(opened: Opened, server: Server) -> None:
    store = opened()
    store.answer(AddSession(session()))

    def ask(_: int) -> float:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            store.answer(FindSession(session().digest))
        return time.monotonic() - began

    with server.frozen():
        waited = at_once(ask, range(40), threads=40)
    assert max(waited) < BOUND
    assert store.answer(FindSession(session().digest)) == session()


def test_somebody_who_listens_and_says_nothing_is_no_store() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, unavailable("too long"):
        open_store(f"postgresql://guest@127.0.0.1:{listener.getsockname()[1]}/x", wait=WAIT)


def test_nobody_there_is_unavailable_at_once() -> None:
    with unavailable("refused|No such file", within=1):
        open_store(f"postgresql://guest@127.0.0.1:{closed_port()}/x", wait=10)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


# A server that goes away, and comes back


@pytest.mark.parametrize("question", [FindSession(session().digest), *WRITES])
def test_a_server_that_was_restarted_goes_unnoticed(opened: Opened, server: Server, question: Question[Any]) -> None:
    store = opened(wait=10)
    store.answer(AddSession(session()))
    at_once(lambda _: store.answer(FindSession(session().digest)), range(32))  # so that the pool has several
    server.restart()
    store.answer(question)
    at_once(lambda _: store.answer(FindSession(session().digest)), range(32))


def test_a_server_that_is_killed_comes_back(opened: Opened, server: Server) -> None:
    store = opened(wait=10)
    store.answer(AddSession(session()))
    server.kill()
    for _ in range(3):
        with unavailable(within=5):
            store.answer(FindSession(session().digest))
    server.start()
    assert store.answer(FindSession(session().digest)) == session()
    assert store.answer(RevokeSession("as_s", NOW)) is not None


def test_a_look_up_that_meets_a_dead_connection_is_asked_once_more(opened: Opened, server: Server) -> None:
    store = opened(wait=10)
    store.answer(AddSession(session()))
    with connections_end_when_taken(store, server) as ended:
        assert store.answer(FindSession(session().digest)) == session()
        assert ended == [1]


def test_a_write_that_meets_a_dead_connection_is_not_asked_again(opened: Opened, server: Server) -> None:
    store = opened(wait=10)
    store.answer(AddSession(session()))
    for write in WRITES:
        with connections_end_when_taken(store, server) as ended:
            with unavailable(within=5):
                store.answer(write)
            assert ended == [1]
        store.answer(write)


@contextmanager
def connections_end_when_taken(store: Store, server: Server) -> Iterator[list[int]]:
    """The first connection that is taken from a pool from now on is ended by the server just after it looked alive."""
    inner = store._store if isinstance(store, AsyncHalf) else store
    assert isinstance(inner, PostgresStore)
    engines = [inner._engines.engine, *(pool.engines.engine for pool in inner._pools.values())]
    ended: list[int] = []

    def end(_: object, record: Any, __: object) -> None:
        if not ended:
            ended.append(1)
            with psycopg.connect(server.url(), autocommit=True) as other:
                # Waits until it is gone.
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [record.driver_connection.info.backend_pid])

    for engine in engines:
        event.listen(engine, "checkout", end)
    # What rests beside a pool is none of it.
    ways = [inner._engines.short, *(pool.engines.short for pool in inner._pools.values())]
    with pytest.MonkeyPatch.context() as patch:
        for way in ways:
            patch.setattr(way, "_fit", lambda _: False)
        yield ended
    for engine in engines:
        event.remove(engine, "checkout", end)


def test_what_a_server_says_unasked_costs_no_connection(server: Server) -> None:
    store = PostgresStore(server.url(), wait=10)
    store.answer(ListKeys())
    with store._engines.engine.connect() as connection:
        connection.exec_driver_sql("LISTEN gossip")
        driver = connection.connection.driver_connection
    assert driver is not None
    before = backends(server)
    server.run("NOTIFY gossip")
    assert select.select([driver.pgconn.socket], [], [], 10)[0]
    for _ in range(3):
        assert store.answer(ListKeys()) == ()
    assert backends(server) == before
    store.close()


def test_connections_that_end_as_soon_as_they_are_made_are_unavailable(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened()
    store.answer(ListKeys())
    monkeypatch.setattr(psycopg_connections, "_can_be_read", lambda _: True)

    def fail(*_: object) -> None:
        raise psycopg.OperationalError("gone")

    monkeypatch.setattr(PGDialect_psycopg, "do_ping", fail)
    questions: tuple[Question[Any], ...] = (ListKeys(), FindSession(session().digest), AddSession(session()))
    for question in questions:
        with unavailable():
            store.answer(question)
    monkeypatch.undo()
    assert store.answer(AddSession(session())) == session()


# A server that is busy with others


def test_a_lock_that_somebody_holds_costs_no_connection(opened: Opened, server: Server) -> None:
    store = opened()
    store.answer(AddSession(session()))
    store.answer(ListKeys())
    before = backends(server)
    with psycopg.connect(server.url()) as other:
        other.execute("SELECT * FROM guestpass_sessions FOR UPDATE")
        with unavailable("statement timeout"):
            store.answer(RevokeSession("as_s", NOW))
        assert store.answer(FindSession(session().digest)) == session()
    with psycopg.connect(server.url()) as other:
        other.execute("LOCK guestpass_sessions IN EXCLUSIVE MODE")
        for request in (None, asked()):
            with unavailable("statement timeout"):
                store.answer(AddSession(session("t"), request))
    assert store.answer(RevokeSession("as_s", NOW)) is not None
    assert backends(server) == before
    assert store.answer(AddCutoff(Ending("x", NOW_MS, NOW))).at_ms == NOW_MS


def test_connections_that_are_all_in_use_are_unavailable(opened: Opened, server: Server) -> None:
    store = opened()
    store.answer(AddSession(session()))

    def ask(number: int) -> str:
        try:
            store.answer(RevokeSession("as_s", NOW))
        except StoreUnavailable as problem:
            return str(problem)
        return ""

    with psycopg.connect(server.url()) as other:
        other.execute("SELECT * FROM guestpass_sessions FOR UPDATE")
        told = at_once(ask, range(40), threads=40)
    assert all(told)
    assert store.answer(RevokeSession("as_s", NOW)) is not None


def test_a_server_that_only_reads_is_unavailable_for_what_writes(opened: Opened, server: Server) -> None:
    opened().answer(AddSession(session()))
    store = opened(server.url() + "&options=-c%20default_transaction_read_only%3Don")
    assert store.answer(FindSession(session().digest)) == session()
    for write in WRITES:
        with unavailable("read-only"):
            store.answer(write)


def backends(server: Server) -> list[tuple[object, ...]]:
    return server.run(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'guestpass' AND backend_type = 'client backend'"
        " ORDER BY pid"
    )


def test_what_was_not_kept_is_not_there(opened: Opened, server: Server) -> None:
    """A question that took too long was broken off whole."""
    store = opened()
    with psycopg.connect(server.url()) as other:
        other.execute("LOCK guestpass_sessions IN EXCLUSIVE MODE")
        with unavailable():
            store.answer(AddSession(session(), asked()))
    assert store.answer(FindSessionById("as_s")) is None
    assert store.answer(AddSession(session("t"), asked())) == session("t")
    assert store.answer(ListKeys()) == ()
