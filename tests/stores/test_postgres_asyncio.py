"""PostgreSQL on event loops: no threads, nothing left behind by who is cancelled, and nothing left open by a loop."""

import asyncio
import gc
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import anyio
import psycopg
import pytest
from sqlalchemy import create_engine

from guestpass.errors import StoreUnavailable
from guestpass.inquiry import AnswersAsync, Inquiry, Question, ask, drive_async
from guestpass.records import AddCutoff, AddSession, Ending, FindSession, FindSessionById, ListKeys, RevokeSession
from guestpass.stores.engines import RESTING_TO_A_SERVER as RESTING
from guestpass.stores.postgres import PostgresStore
from guestpass.stores.psycopg_connections import POOL
from guestpass.stores.sql import SqlStore
from guestpass.testing.contract_crowd import at_once
from guestpass.testing.samples import NOW, NOW_MS, asked, session

from .conftest import Opened
from .postgres_servers import Server

T = TypeVar("T")


@pytest.fixture
def store(postgres_url: str) -> Iterator[PostgresStore]:
    store = PostgresStore(postgres_url, wait=10)
    store.answer(AddSession(session()))
    store._engines.let_go()  # so that all connections are those of loops
    yield store
    store.close()


def backends(server: Server) -> list[object]:
    """What the server says of the connections that stores have to it."""
    return [
        state
        for (state,) in server.run(
            "SELECT state FROM pg_stat_activity"
            " WHERE application_name = 'guestpass' AND backend_type = 'client backend' ORDER BY pid"
        )
    ]


def until_none_is_left(server: Server) -> None:
    """The server hears of the end of a connection a little after its client."""
    deadline = time.monotonic() + 10
    while backends(server):
        assert time.monotonic() < deadline, backends(server)


async def until_waiting(server: Server, number: int = 1) -> None:
    """So many wait for a lock."""
    deadline = time.monotonic() + 10
    while sum(1 for one in await asyncio.to_thread(waiting, server) if one == "Lock") < number:
        assert time.monotonic() < deadline


def waiting(server: Server) -> list[object]:
    return [
        kind
        for (kind,) in server.run(
            "SELECT wait_event_type FROM pg_stat_activity WHERE application_name = 'guestpass' AND state = 'active'"
        )
    ]


def in_a_loop(work: Callable[[], Awaitable[T]]) -> T:
    """What `work` comes to on a loop of its own; fails where the loop had something to complain of."""
    complaints: list[dict[str, Any]] = []

    async def run() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        return await work()

    answer = asyncio.run(run())
    gc.collect()
    assert complaints == []
    return answer


# Who is asked how


def test_asyncio_asks_without_a_thread(store: PostgresStore) -> None:
    def look_up() -> Inquiry[object]:
        return (yield from ask(store, FindSession(session().digest)))

    async def work() -> set[int]:
        assert await drive_async(look_up()) == session()
        return {thread.ident or 0 for thread in threading.enumerate()}

    before = {thread.ident or 0 for thread in threading.enumerate()}
    assert in_a_loop(work) <= before


def test_trio_asks_in_a_thread(store: PostgresStore) -> None:
    def look_up() -> Inquiry[object]:
        return (yield from ask(store, FindSession(session().digest)))

    assert anyio.run(drive_async, look_up(), backend="trio") == session()


def test_only_the_store_in_postgresql_has_an_asynchronous_half(
    store: PostgresStore, opened: Opened, postgres_url: str
) -> None:
    assert isinstance(store, AnswersAsync)
    assert not isinstance(opened(), AnswersAsync)
    engine = create_engine(postgres_url.replace("postgresql:", "postgresql+psycopg:"), hide_parameters=True)
    lent = SqlStore(engine)
    assert not isinstance(lent, AnswersAsync)
    assert lent.answer(FindSession(session().digest)) == session()
    engine.dispose()


def test_a_loop_goes_on_while_the_server_hangs(store: PostgresStore, postgres: Server) -> None:
    impatient = PostgresStore(postgres.url(), wait=0.5)

    async def work() -> float:
        loop, longest = asyncio.get_running_loop(), 0.0
        await impatient.answer_async(ListKeys())
        with postgres.frozen():
            question = asyncio.ensure_future(impatient.answer_async(ListKeys()))
            last = loop.time()
            while not question.done():
                await asyncio.sleep(0)
                longest, last = max(longest, loop.time() - last), loop.time()
            with pytest.raises(StoreUnavailable):
                await question
        return longest

    assert in_a_loop(work) < 0.25
    impatient.close()


# Who is cancelled


@pytest.mark.parametrize("question", [RevokeSession("as_s", NOW), AddSession(session("t"), asked())])
def test_who_is_cancelled_waits_no_longer_and_leaves_nothing_open(
    store: PostgresStore, postgres: Server, question: Question[Any]
) -> None:
    async def work() -> None:
        with psycopg.connect(postgres.url()) as other:
            other.execute("LOCK guestpass_sessions IN ACCESS EXCLUSIVE MODE")
            all_of_them = [asyncio.ensure_future(store.answer_async(question)) for _ in range(40)]
            await until_waiting(postgres, POOL)
            began = time.monotonic()
            for one in all_of_them:
                one.cancel()
            ended = await asyncio.gather(*all_of_them, return_exceptions=True)
            assert time.monotonic() - began < 1
            assert {type(one) for one in ended} == {asyncio.CancelledError}
        # All of them have ended by themselves when the pool gives out as many connections as it has.
        found = await asyncio.gather(*(store.answer_async(FindSessionById("as_s")) for _ in range(POOL)))
        assert len(found) == POOL
        await asyncio.gather(*store._pools[asyncio.get_running_loop()]._under_way)
        assert set(backends(postgres)) == {"idle"}
        assert len(backends(postgres)) <= POOL + RESTING

    in_a_loop(work)
    until_none_is_left(postgres)


@pytest.mark.parametrize("after", [0.0, 0.0005, 0.001, 0.002, 0.004])
def test_a_timeout_at_any_moment_costs_nobody_else_anything(
    store: PostgresStore, postgres: Server, after: float
) -> None:
    async def impatient(number: int) -> None:
        with anyio.move_on_after(after):
            await store.answer_async(AddSession(session(str(number)), asked(str(number))))

    async def work() -> None:
        async with anyio.create_task_group() as group:
            for number in range(60):
                group.start_soon(impatient, number)
        for number in range(60):
            # Whether it was kept or not: the same request makes one session.
            await store.answer_async(AddSession(session(f"{number} again"), asked(str(number))))
        assert set(backends(postgres)) == {"idle"}

    in_a_loop(work)
    assert postgres.run("SELECT count(*) FROM guestpass_sessions") == [(61,)]
    assert postgres.run("SELECT count(*) FROM guestpass_idempotency") == [(60,)]


def test_a_loop_that_ends_amid_a_question_ends_in_time(store: PostgresStore, postgres: Server) -> None:
    async def work() -> None:
        asyncio.get_running_loop().create_task(store.answer_async(RevokeSession("as_s", NOW)))
        await until_waiting(postgres)

    with psycopg.connect(postgres.url()) as other:
        other.execute("LOCK guestpass_sessions IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        in_a_loop(work)
        assert time.monotonic() - began < 5
    until_none_is_left(postgres)


# Loops that end, and stores that close


def test_a_loop_takes_its_connections_along(store: PostgresStore, postgres: Server) -> None:
    async def work() -> None:
        await asyncio.gather(*(store.answer_async(FindSessionById("as_s")) for _ in range(10)))
        assert backends(postgres)

    for _ in range(5):
        in_a_loop(work)
        until_none_is_left(postgres)
        assert not store._pools


def test_a_loop_that_was_closed_without_a_word_is_found_out(store: PostgresStore, postgres: Server) -> None:
    async def work() -> None:
        assert await store.answer_async(FindSessionById("as_s")) == session()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(work())
    loop.close()
    assert len(backends(postgres)) == 1
    in_a_loop(work)
    until_none_is_left(postgres)
    assert not store._pools
    del loop
    gc.collect()


def test_loops_in_many_threads_each_have_their_own(store: PostgresStore, postgres: Server) -> None:
    async def work() -> None:
        for number in range(20):
            await store.answer_async(AddCutoff(Ending(f"x {number}", NOW_MS, NOW)))

    at_once(lambda _: asyncio.run(work()), range(12), threads=6)
    gc.collect()
    until_none_is_left(postgres)


def test_a_store_that_is_closed_on_its_loop_closes_its_connections(store: PostgresStore, postgres: Server) -> None:
    async def work() -> None:
        await store.answer_async(ListKeys())
        store.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.answer_async(ListKeys())
        await asyncio.to_thread(until_none_is_left, postgres)

    in_a_loop(work)


def test_a_store_that_is_closed_lets_what_is_under_way_end(store: PostgresStore, postgres: Server) -> None:
    async def work() -> None:
        await store.answer_async(ListKeys())
        with psycopg.connect(postgres.url()) as other:
            other.execute("LOCK guestpass_sessions IN ACCESS EXCLUSIVE MODE")
            under_way = asyncio.ensure_future(store.answer_async(RevokeSession("as_s", NOW)))
            await until_waiting(postgres)
            await asyncio.to_thread(store.close)
            with pytest.raises(StoreUnavailable, match="closed"):
                await store.answer_async(ListKeys())
        ended = await under_way
        assert ended is not None
        assert ended.revoked_at == NOW
        await asyncio.to_thread(until_none_is_left, postgres)

    in_a_loop(work)


def test_a_store_that_is_closed_between_two_runs_of_a_loop(store: PostgresStore, postgres: Server) -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(store.answer_async(ListKeys()))
    store.close()
    until_none_is_left(postgres)
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    gc.collect()
