"""What stores cost beside their bare drivers: look-ups, creations and a purge.

"pooled" is the same statement through the same driver and the same pool, with nothing made of the answer; "bare" is one
open connection.
"""

# ruff: noqa: S101, S311, S608 - no number here is a secret

import asyncio
import random
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack, closing
from itertools import count
from typing import Any

import psycopg
from sqlalchemy import Engine

from benchmarks.databases import (
    NOW,
    PREFIX,
    SELECT,
    digest,
    fill,
    fill_redis,
    folder,
    insert,
    mark,
    pool,
    postgres,
    redis_server,
    row,
    session,
)
from benchmarks.driving import WALL, of_calls, of_coroutines
from benchmarks.measuring import Rounds, Spread, Turn, measure
from benchmarks.results import Result, Table, Target
from benchmarks.settings import Settings
from guestpass.inquiry import Question
from guestpass.records import AddSession, FindSession, Idempotency, Purge, SessionRecord
from guestpass.stores import Store, open_store

TITLE = "stores beside their drivers"
SECONDS, TURN = 6.0, 0.005
FEW, MANY = 1_000, 1_000_000
BATCH = 200
"""Rows that the SQL stores drop in one transaction: as long as a purge holds a lock."""
CROWD = 20
CREATION_LIMIT, PURGE_LIMIT = 2.0, 100.0
"""A creation costs at most so many times the same insert; a transaction of a purge takes at most so many ms."""

HEADS = ("", "× the one above", "µs", "per second")

Work = Callable[[], object]
AsyncWork = Callable[[], Awaitable[object]]


def run(settings: Settings) -> Result:
    """SQLite, then a PostgreSQL of its own."""
    result = Result("stores", TITLE)
    many = settings.count(MANY)
    with ExitStack() as stack:
        place = stack.enter_context(folder())
        report(result, "SQLite", [f"sqlite:///{place}/few.db", f"sqlite:///{place}/many.db"], many, settings)
        report(result, "PostgreSQL", stack.enter_context(postgres(place / "pg")), many, settings)
        redis = stack.enter_context(redis_server(place / "redis"))
        if redis is None:
            result.notes.append("No Redis: there is no redis-server here, nor a package that brings one.")
        else:
            result.tables.append(on_redis(redis, many, settings.seconds(SECONDS)))
    result.notes.append(f"Acknowledged means on disk, for all of them. `few` is {FEW:,} sessions, `many` {many:,}.")
    return result


def report(result: Result, name: str, places: list[str], many: int, settings: Settings) -> None:
    """Everything about one kind of database."""
    seconds = settings.seconds(SECONDS)
    few_at, many_at = places
    rows: list[tuple[str, ...]] = []
    with closing(open_store(few_at, wait=30)) as few, closing(open_store(many_at, wait=30)) as large:
        with pool(few_at) as engine:
            fill(few_at, range(FEW))
            lines(rows, "look-up", measured(look_ups(few, engine), seconds))
            made = measured(creations(few, engine), seconds)
            lines(rows, "creation", made)
        result.targets.append(
            Target(f"{name}: a session kept, × the same insert", CREATION_LIMIT, made.ratio("store", "pooled"))
        )
        if name == "PostgreSQL":
            lines_async(rows, few, few_at, seconds)
        ended = many // 10
        fill(many_at, range(many), ended)
        among = random.Random(2)
        turns = {
            "few": of_calls(lambda: few.answer(FindSession(digest(among.randrange(FEW)))), WALL),
            "many": of_calls(lambda: large.answer(FindSession(digest(among.randrange(many)))), WALL),
        }
        rounds = measure(turns, seconds, turn=TURN)
        lines(rows, "look-up", rounds, "few")
        result.tables.append(Table(name, HEADS, rows))
        purge(result, name, large)


def measured(works: Mapping[str, Work], seconds: float) -> Rounds:
    """Plain functions, in longer turns: a disk is not a processor."""
    return measure({name: of_calls(work, WALL) for name, work in works.items()}, seconds, turn=TURN)


def lines(rows: list[tuple[str, ...]], title: str, rounds: Rounds, base: str = "") -> None:
    """One line for each, beside the last pooled or bare one above it."""
    for name in rounds.times:
        ratio = "" if base in ("", name) else f"{rounds.ratio(name, base).written()} {base}"
        spread = rounds.of(name)
        rows.append((f"{title}, {name}", ratio or "—", spread.written(1), f"{1e6 / spread.middle:,.0f}"))
        if not base or name.startswith(("bare", "pooled")):
            base = name


# What is compared


def look_ups(store: Store, engine: Engine) -> dict[str, Work]:
    """By the digest of a session that is there."""
    among = random.Random(1)
    statement = SELECT + mark(engine)
    bare = engine.raw_connection().cursor()

    def of_bare() -> None:
        bare.execute(statement, (digest(among.randrange(FEW)),))
        assert bare.fetchone() is not None

    def of_pool() -> None:
        connection = engine.raw_connection()
        cursor = connection.cursor()
        cursor.execute(statement, (digest(among.randrange(FEW)),))
        assert cursor.fetchone() is not None
        cursor.close()
        connection.close()

    def of_store() -> None:
        assert store.answer(FindSession(digest(among.randrange(FEW)))) is not None

    return {"bare": of_bare, "pooled": of_pool, "store": of_store}


def creations(store: Store, engine: Engine) -> dict[str, Work]:
    """Sessions with new names, on disk when they are acknowledged; and the same with a request that may come again."""
    numbers = count(10**9)
    statement = insert(engine)
    requests = f"INSERT INTO guestpass_idempotency VALUES ({', '.join([mark(engine)] * 5)})"
    begin = "BEGIN IMMEDIATE" if engine.dialect.name == "sqlite" else "BEGIN"
    bare = engine.raw_connection().cursor()

    def of_bare() -> None:
        bare.execute(statement, row(next(numbers)))

    def of_pool() -> None:
        connection = engine.raw_connection()
        cursor = connection.cursor()
        cursor.execute(statement, row(next(numbers)))
        cursor.close()
        connection.close()

    def of_store() -> None:
        store.answer(AddSession(session(next(numbers))))

    def of_pool_with_request() -> None:
        number = next(numbers)
        connection = engine.raw_connection()
        cursor = connection.cursor()
        cursor.execute(begin)
        cursor.execute(requests, ("key_1", str(number), digest(0), f"as_{number}", NOW))
        cursor.execute(statement, row(number))
        cursor.execute("COMMIT")
        cursor.close()
        connection.close()

    def of_store_with_request() -> None:
        number = next(numbers)
        store.answer(AddSession(session(number), Idempotency("key_1", str(number), digest(0), NOW)))

    return {
        "bare": of_bare,
        "pooled": of_pool,
        "store": of_store,
        "pooled, two inserts": of_pool_with_request,
        "store, with a request": of_store_with_request,
    }


def on_redis(url: str, many: int, seconds: float) -> Table:
    """Look-ups on Redis: the command alone, the store with a thousand sessions, and the store with many."""
    import redis

    client: Any = redis.Redis.from_url(url, protocol=2)
    among = random.Random(4)
    rows: list[tuple[str, ...]] = []
    with closing(open_store(url)) as few, closing(open_store(f"{url}?prefix=many:")) as large:
        for prefix, numbers in ((PREFIX, range(FEW)), ("{many:}", range(many))):
            fill_redis(client, prefix, numbers)
        turns = {
            "bare": of_calls(lambda: client.get(f"{PREFIX}session:{digest(among.randrange(FEW)).hex()}"), WALL),
            "few": of_calls(lambda: few.answer(FindSession(digest(among.randrange(FEW)))), WALL),
            "many": of_calls(lambda: large.answer(FindSession(digest(among.randrange(many)))), WALL),
        }
        assert few.answer(FindSession(digest(1)))
        assert large.answer(FindSession(digest(many - 1)))
        lines(rows, "look-up", measure(turns, seconds, turn=TURN))
    client.close()
    return Table("Redis", HEADS, rows)


def purge(result: Result, name: str, store: Store) -> None:
    """How long a batch takes, and how long somebody who writes meanwhile has to wait."""
    waits: list[float] = []
    done = threading.Event()

    def write() -> None:
        for number in count(2 * 10**9):
            if done.is_set():
                return
            began = time.perf_counter()
            store.answer(AddSession(session(number)))
            waits.append(time.perf_counter() - began)

    writer = threading.Thread(target=write)
    writer.start()
    batches: list[float] = []
    gone = 0
    while True:
        began = time.perf_counter()
        went = store.answer(Purge(NOW, NOW, BATCH))
        batches.append(time.perf_counter() - began)
        gone += went
        if not went:
            break
    done.set()
    writer.join()
    longest = Spread.of([1000 * max(batches)])
    result.targets.append(
        Target(f"{name}: the longest transaction of a purge", PURGE_LIMIT, longest, unit="ms", digits=1)
    )
    rows = [
        (f"a transaction of the purge of {gone:,}", Spread.of(1000 * one for one in batches).written(1)),
        ("the longest", f"{1000 * max(batches):.1f}"),
        ("the longest wait of who writes meanwhile", f"{1000 * max(waits):.1f}"),
    ]
    result.tables.append(Table(f"{name}: a purge while others write", ("", "ms"), rows))


def lines_async(rows: list[tuple[str, ...]], store: Store, place: str, seconds: float) -> None:
    """The asynchronous half beside the asynchronous driver."""
    among = random.Random(3)
    loop = asyncio.new_event_loop()
    bare = loop.run_until_complete(psycopg.AsyncConnection.connect(place, autocommit=True))
    statement = SELECT + "%s"

    async def of_bare() -> None:
        cursor = await bare.execute(statement, (digest(among.randrange(FEW)),))
        assert await cursor.fetchone() is not None

    async def of_store() -> None:
        question: Question[SessionRecord | None] = FindSession(digest(among.randrange(FEW)))
        assert await store.answer_async(question) is not None  # type: ignore[attr-defined]

    async def of_thread() -> None:
        assert await asyncio.to_thread(store.answer, FindSession(digest(among.randrange(FEW)))) is not None

    works: dict[str, AsyncWork] = {"bare": of_bare, "the store": of_store, "a thread": of_thread}
    at_once = {f"{CROWD} in {name}": crowd(work) for name, work in works.items() if name != "bare"}
    for some in (works, at_once):
        turns: dict[str, Turn] = {name: of_coroutines(work, loop, WALL) for name, work in some.items()}
        lines(rows, "look-up on asyncio", measure(turns, seconds, turn=TURN))
    loop.run_until_complete(bare.close())
    loop.close()


def crowd(work: AsyncWork) -> AsyncWork:
    """So many at the same time."""

    async def together() -> None:
        await asyncio.gather(*(work() for _ in range(CROWD)))

    return together
