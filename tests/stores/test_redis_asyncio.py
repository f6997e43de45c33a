"""The Redis store on asyncio: no thread, a pool for each loop, and nobody gets an answer that was meant for another."""

import asyncio
import gc
import random
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from itertools import count

import anyio
import anyio.to_thread
import pytest
import trio

from guestpass.errors import StoreUnavailable
from guestpass.inquiry import ask, drive_async
from guestpass.records import AddCutoff, AddSession, Ending, FindSession, FindSessionById, ListKeys, ReadCutoffs
from guestpass.stores.redis import RedisStore
from guestpass.testing.samples import NOW, NOW_MS, session

from .redis_servers import Server, program, running

prefixes = count()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(program("redis")) as one:
        yield one


@pytest.fixture
def store(server: Server) -> Iterator[RedisStore]:
    with closing(RedisStore(server.url, wait=10, prefix=f"{next(prefixes)}:")) as store:
        yield store


def connections(server: Server) -> int:
    """How many the server has, of others."""
    with server.client() as client:
        return len(client.client_list()) - 1


async def gone(server: Server, left: int) -> None:
    """Let the loop turn until the server has no more than this many connections of others."""
    for _ in range(10_000):
        if connections(server) <= left:
            return
        await asyncio.sleep(0)
    raise AssertionError("connections were left open")


# No thread


def test_no_thread_is_used(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anyio.to_thread, "run_sync", None)

    async def main() -> None:
        threads = threading.active_count()
        await drive_async(ask(store, AddSession(session())))
        assert await drive_async(ask(store, FindSession(session().digest))) == session()
        assert threading.active_count() == threads

    asyncio.run(main())


def test_trio_uses_the_other_half(store: RedisStore) -> None:
    async def main() -> None:
        await drive_async(ask(store, AddSession(session())))
        assert await drive_async(ask(store, FindSession(session().digest))) == session()

    trio.run(main)


# Loops


def test_a_loop_that_ends_closes_its_connections(server: Server, store: RedisStore) -> None:
    before = connections(server)

    async def main() -> None:
        await asyncio.gather(*(store.answer_async(ListKeys()) for _ in range(20)))
        assert connections(server) > before

    for _ in range(3):
        asyncio.run(main())
        assert connections(server) == before
    gc.collect()  # Warnings are errors: nothing was left open.


def test_a_loop_that_is_over_is_not_kept(store: RedisStore) -> None:
    """Not even one that nobody shut down in order."""
    for _ in range(3):
        loop = asyncio.new_event_loop()
        assert loop.run_until_complete(store.answer_async(ListKeys())) == ()
        loop.run_until_complete(store._loops.aclose())
        loop.close()
        assert len(store._loops._clients) == 1
    assert asyncio.run(store.answer_async(ListKeys())) == ()
    assert len(store._loops._clients) == 0


def test_loops_of_several_threads_keep_apart(store: RedisStore) -> None:
    names = [f"{number}" for number in range(40)]

    async def main() -> list[object]:
        return await asyncio.gather(*(store.answer_async(AddSession(session(name))) for name in names))

    async def find() -> None:
        for _ in range(10):
            found = await asyncio.gather(*(store.answer_async(FindSessionById(f"as_{name}")) for name in names))
            assert found == [session(name) for name in names]

    asyncio.run(main())
    failures: list[BaseException] = []

    def work() -> None:
        try:
            asyncio.run(find())
        except BaseException as failure:  # noqa: BLE001 - shown below
            failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_store_may_be_closed_from_elsewhere(server: Server, store: RedisStore) -> None:
    async def main() -> None:
        before = connections(server) - 1  # less the thread's own
        await asyncio.gather(*(store.answer_async(ListKeys()) for _ in range(5)))
        await asyncio.to_thread(store.close)
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.answer_async(ListKeys())
        await gone(server, before)

    asyncio.run(main())


def test_closing_waits_for_what_is_under_way(server: Server, store: RedisStore) -> None:
    async def main() -> None:
        asking = [asyncio.ensure_future(store.answer_async(AddSession(session(str(one))))) for one in range(20)]
        await asyncio.sleep(0)
        await store.aclose()
        assert await asyncio.gather(*asking) == [session(str(one)) for one in range(20)]
        await store.aclose()

    asyncio.run(main())


def test_a_closed_store_leaves_no_connection_behind(server: Server) -> None:
    before = connections(server)
    for _ in range(3):
        store = RedisStore(server.url)

        async def main(store: RedisStore = store) -> None:
            await store.answer_async(ListKeys())
            store.close()

        asyncio.run(main())
        assert connections(server) == before


# Cancellation


@asynccontextmanager
async def cut_short(after: int) -> AsyncIterator[anyio.CancelScope]:
    """Cancelled after so many turns of the loop, and again in each turn after that: as anyio does it."""

    async def cut(scope: anyio.CancelScope) -> None:
        for _ in range(after):
            await asyncio.sleep(0)
        scope.cancel()

    with anyio.CancelScope() as scope:
        cutting = asyncio.ensure_future(cut(scope))
        try:
            yield scope
        finally:
            cutting.cancel()


def test_who_is_cancelled_leaves_no_answer_behind_for_the_next(server: Server) -> None:
    """With two connections for many, so that each is handed on at once."""
    chance = random.Random(5)
    names = [str(number) for number in range(25)]
    with closing(RedisStore(f"{server.url}?max_connections=2", wait=10, prefix=f"{next(prefixes)}:")) as store:
        for name in names:
            store.answer(AddSession(session(name)))

        cancelled = 0

        async def find(name: str) -> None:
            assert await store.answer_async(FindSessionById(f"as_{name}")) == session(name)

        async def find_a_while(name: str, turns: int) -> None:
            nonlocal cancelled
            async with cut_short(turns) as scope:
                await find(name)
            cancelled += scope.cancelled_caught

        async def main() -> None:
            with server.client() as client:
                before = client.info()["total_connections_received"]
                for _ in range(60):
                    asking = [find_a_while(chance.choice(names), chance.randrange(40)) for _ in range(20)]
                    asking += [find(chance.choice(names)) for _ in range(5)]
                    chance.shuffle(asking)
                    await asyncio.gather(*asking)
                assert cancelled > 100
                # The two of them, and the one that asks: nobody had to connect anew.
                assert client.info()["total_connections_received"] - before <= 3

        asyncio.run(main())


def test_a_change_whose_caller_is_cancelled_is_made(store: RedisStore) -> None:
    async def main() -> None:
        await store.answer_async(AddCutoff(Ending("first", NOW_MS, NOW)))
        asking = asyncio.ensure_future(store.answer_async(AddCutoff(Ending("second", NOW_MS, NOW))))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await store.aclose()

    asyncio.run(main())
    with closing(RedisStore(store._place.url, prefix=store._place.prefix)) as other:
        assert [cutoff.name for cutoff in other.answer(ReadCutoffs(0)).cutoffs] == ["first", "second"]


def test_a_loop_that_ends_amid_questions_leaves_nothing_open(server: Server, store: RedisStore) -> None:
    before = connections(server)

    async def main() -> None:
        for _ in range(20):
            asyncio.ensure_future(store.answer_async(ListKeys()))  # noqa: RUF006 - that is the point
        await store.answer_async(ListKeys())

    asyncio.run(main())
    gc.collect()
    assert connections(server) == before


# Forks

FORKING = """
import asyncio, os, sys
from guestpass.records import AddSession, FindSession
from guestpass.stores import open_store
from guestpass.testing.samples import session

store = open_store(sys.argv[1], wait=10)

async def keep(name):
    await asyncio.gather(*(store.answer_async(AddSession(session(f"{name} {one}"))) for one in range(10)))
    assert await store.answer_async(FindSession(session(f"{name} 5").digest)) == session(f"{name} 5")

async def main():
    await keep("parent before")
    pid = os.fork()
    if not pid:
        # As a worker does: the parent's loop is not its own.
        asyncio.events._set_running_loop(None)
        asyncio.set_event_loop(None)
        try:
            asyncio.run(keep("child"))
            store.answer(AddSession(session("child")))
            store.close()
            os._exit(0)
        except BaseException as problem:
            os.write(2, repr(problem).encode())
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    await keep("parent after")

asyncio.run(main())
store.close()
"""


def test_a_process_may_fork_out_of_a_running_loop(server: Server, store: RedisStore) -> None:
    url = f"{server.url}?prefix={store._place.prefix}"
    command = [sys.executable, "-W", "error", "-W", "ignore:This process", "-c", FORKING, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for who in ("parent before", "child", "parent after"):
        for one in range(10):
            assert store.answer(FindSessionById(f"as_{who} {one}")) is not None
