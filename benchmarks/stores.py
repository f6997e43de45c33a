"""What the SQL stores cost beside their bare drivers, with a thousand sessions and with a million.

`python benchmarks/stores.py`, in the environment that `make env` makes, takes about three minutes. PostgreSQL is the one
that the tests use, in a folder of its own; `--url postgresql://…` names another, with an empty database. Turns are
short and in random order within a round, and a ratio is that of two turns of the same round, so that what else the
machine does falls on all alike. "pooled" is the same statement through the same driver and the same pool, with nothing
made of the answer; "bare" is an open connection alone.
"""

# ruff: noqa: T201 - it prints

import argparse
import asyncio
import hashlib
import os
import platform
import random
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine, create_engine

from guestpass.grants import Grant
from guestpass.records import AddSession, FindSession, Idempotency, Purge, SessionRecord
from guestpass.stores import Store, open_store

FEW = 1_000
NOW = 1_900_000_000.0
COLUMNS = (
    "id", "digest", "platform", "mode", "account", "components", "roles",
    "expires_at", "minted_by", "minted_ms", "revoked_at", "ended_at",
)  # fmt: skip
SELECT = f"SELECT {', '.join(COLUMNS)} FROM guestpass_sessions WHERE digest = "  # noqa: S608
INSERT = f"INSERT INTO guestpass_sessions ({', '.join(COLUMNS)}) VALUES "  # noqa: S608

Work = Callable[[], object]


def digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def record(name: str, ends: float = NOW + 3600) -> SessionRecord:
    grant = Grant(
        "platform",
        "live",
        frozenset({"acct_1"}),
        frozenset({"call_logs", "call_logs/transcripts", "voicemails"}),
        frozenset({"external_entity"}),
        ends,
    )
    return SessionRecord(f"as_{name}", digest(name), grant, "key_1", int(NOW * 1000))


def row(name: str, ends: float = NOW + 3600) -> tuple[object, ...]:
    components = '["call_logs","call_logs/transcripts","voicemails"]'
    session = record(name, ends)
    return (session.id, session.digest, "platform", "live", "acct_1", components, '["external_entity"]',
            ends, "key_1", session.minted_ms, None, ends)  # fmt: skip


def main() -> None:
    """Measure and print."""
    settings = argparse.ArgumentParser()
    settings.add_argument("--url", help="a PostgreSQL with an empty database")
    settings.add_argument("--sessions", type=int, default=1_000_000)
    settings.add_argument("--seconds", type=float, default=8.0, help="for each table")
    chosen = settings.parse_args()
    print(f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores,", end=" ")
    print(f"SQLite {sqlite3.sqlite_version}, psycopg {psycopg.__version__} ({psycopg.pq.__impl__})")
    folder = Path(tempfile.mkdtemp(prefix="guestpass-bench-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        postgres = chosen.url or stack.enter_context(server(folder / "pg"))
        for name, place in (("SQLite", f"sqlite:///{folder}/few.db"), ("PostgreSQL", postgres)):
            report(name, place, chosen.sessions, chosen.seconds, folder)


def report(name: str, place: str, many: int, seconds: float, folder: Path) -> None:
    store = open_store(place, wait=30)
    engine = create_engine(
        place.replace("postgresql:", "postgresql+psycopg:"),
        isolation_level="AUTOCOMMIT",
        pool_size=5,
        pool_use_lifo=True,
    )
    mark = "?" if name == "SQLite" else "%s"
    fill(engine, mark, 0, FEW)
    print(f"\n{name}: medians, µs each; in brackets, per second. x: times pooled.\n")
    table("look-up", look_ups(store, engine, mark, FEW), seconds)
    if name == "PostgreSQL":
        asyncio.run(on_asyncio(store, place, seconds))
    table("creation", creations(store, engine, mark), seconds)
    few = {"few": look_ups(store, engine, mark, FEW)["store"]}
    if name == "SQLite":
        # Another file, so that both can be asked in turn.
        big_place = f"sqlite:///{folder}/many.db"
        big = open_store(big_place, wait=30)
        filled = create_engine(big_place)
    else:
        with engine.connect() as connection:
            connection.exec_driver_sql("CREATE DATABASE guestpass_few TEMPLATE template0")
        small_place = database(place, "guestpass_few")
        small, small_engine = open_store(small_place, wait=30), create_engine(
            small_place.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
        )
        fill(small_engine, mark, 0, FEW)
        few = {"few": look_ups(small, small_engine, mark, FEW)["store"]}
        small_engine.dispose()
        big, filled = store, engine
    began = time.perf_counter()
    fill(filled, mark, FEW if big is store else 0, many, ended=many // 10)
    print(f"  ({many:,} sessions put there in {time.perf_counter() - began:.0f} s)")
    both = {**few, "many": look_ups(big, filled, mark, many)["store"]}
    turns = measure(both, seconds)
    ratios = [one / other for one, other in zip(turns["many"], turns["few"], strict=True)]
    print(f"  look-up among {many:,} over one among {FEW:,}: {spread(ratios)}")
    purging(big, many // 10)
    for one in {store, big} | ({small} if name == "PostgreSQL" else set()):
        one.close()
    filled.dispose()
    engine.dispose()


def look_ups(store: Store, engine: Engine, mark: str, among: int) -> dict[str, Work]:
    """By digest, of sessions that are there, in no order."""
    chance = random.Random(1)  # noqa: S311
    statement = SELECT + mark
    bare = engine.raw_connection().detach_or_self() if False else engine.raw_connection()
    cursor = bare.cursor()

    def of_bare() -> None:
        cursor.execute(statement, (digest(str(chance.randrange(among))),))
        assert cursor.fetchone() is not None

    def of_pool() -> None:
        connection = engine.raw_connection()
        cursor = connection.cursor()
        cursor.execute(statement, (digest(str(chance.randrange(among))),))
        assert cursor.fetchone() is not None
        cursor.close()
        connection.close()

    def of_store() -> None:
        assert store.answer(FindSession(digest(str(chance.randrange(among))))) is not None

    return {"bare": of_bare, "pooled": of_pool, "store": of_store}
