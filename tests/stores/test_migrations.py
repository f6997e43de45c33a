"""The tables: who makes them, whose they are, and how they come to be those of a newer release."""

import signal
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, inspect, text

from guestpass.errors import ConfigurationError, StoreUnavailable
from guestpass.records import (
    AddCutoff,
    AddSession,
    Cutoff,
    Ending,
    FindKey,
    FindSession,
    FindSessionById,
    ListKeys,
    ListSigningKeys,
    ReadCutoffs,
    RevokeSession,
)
from guestpass.stores import migrations, open_store
from guestpass.testing.samples import HOUR, NOW, NOW_MS, session

from . import version_1
from .conftest import Opened
from .postgres_servers import Server
from .running import run

# Made anew


def test_eight_processes_may_be_the_first(url: str, opened: Opened) -> None:
    ids = run("start", url)
    assert len(ids) == len(set(ids)) == 80
    for number in range(10):
        store = opened(f"{url}.{number}")
        found = [one for one in ids if store.answer(FindSessionById(one))]
        assert len(found) == 8


def test_eight_processes_may_be_the_first_anywhere(anywhere: str) -> None:
    ids = run("together", anywhere)
    assert len(ids) == len(set(ids)) == 8
    store = open_store(anywhere, wait=10)
    assert all(store.answer(FindSessionById(one)) for one in ids)
    store.close()


def test_the_tables_of_a_newer_release_are_left_alone(anywhere: str, beside: Engine) -> None:
    open_store(anywhere, wait=10).close()
    with beside.begin() as connection:
        connection.exec_driver_sql("INSERT INTO guestpass_schema_version VALUES (3)")
    with pytest.raises(ConfigurationError, match="have version 3, this guestpass knows 2: upgrade guestpass"):
        open_store(anywhere, wait=10)


def test_the_tables_are_made_beside_those_of_an_application(anywhere: str, beside: Engine) -> None:
    with beside.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE sessions (mine INTEGER)")
    store = open_store(anywhere, wait=10)
    assert store.answer(AddSession(session())) == session()
    store.close()


def test_tables_that_cannot_be_made_right_now_are_unavailable(url: str, path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        open_store(url, wait=0.01)
    connection.close()
    open_store(url, wait=10).close()


# Who may


def test_who_may_not_make_tables_is_told_so(postgres: Server, guest: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be made or read: permission denied"):
        open_store(guest, wait=10)
    postgres.run("GRANT CREATE ON SCHEMA public TO guest")
    open_store(guest, wait=10).close()


def test_who_may_not_make_tables_uses_those_that_are_there(postgres: Server, postgres_url: str, guest: str) -> None:
    open_store(postgres_url, wait=10).close()
    postgres.run("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO guest")
    store = open_store(guest, wait=10)
    assert store.answer(AddSession(session())) == session()
    assert store.answer(RevokeSession("as_s", NOW)) is not None
    assert store.answer(ReadCutoffs(0)).position == 1
    postgres.run("DELETE FROM guestpass_revocations")
    assert store.answer(ReadCutoffs(0)).position == 1
    store.close()


# From version 1


def test_what_version_1_kept_is_there(anywhere: str, beside: Engine) -> None:
    version_1.make(beside)
    store = open_store(anywhere, wait=10)
    assert store.answer(ListKeys()) == (version_1.KEY,)
    assert store.answer(FindKey(version_1.KEY.digest)) == version_1.KEY
    assert store.answer(FindSession(version_1.SESSION.digest)) == version_1.SESSION
    assert store.answer(ListSigningKeys()) == (version_1.SIGNING_KEY,)
    page = store.answer(ReadCutoffs(0))
    assert page.position == page.reached == 3
    assert page.cutoffs == (
        Cutoff("a", 2**53 - 1, float("inf")),
        Cutoff("b", NOW_MS, NOW + HOUR),
        Cutoff("c", NOW_MS - 5, NOW - HOUR),
    )
    # Nothing was lost, so what was minted before goes on.
    assert (page.epoch.started_ms, page.epoch.after_loss) == (0, False)
    renewed = replace(version_1.SESSION, digest=session("again").digest)
    assert store.answer(AddSession(session("again"), version_1.ASKED)) == renewed
    store.answer(AddCutoff(Ending("b", NOW_MS + 1, NOW)))
    assert [one.name for one in store.answer(ReadCutoffs(3)).cutoffs] == ["session:as_s", "b"]
    store.close()


def test_tables_brought_up_to_date_are_like_those_made_anew(anywhere: str, beside: Engine) -> None:
    version_1.make(beside)
    open_store(anywhere, wait=10).close()
    brought = described(beside)
    with beside.begin() as connection:
        for table in brought:
            connection.exec_driver_sql(f"DROP TABLE {table}")
    open_store(anywhere, wait=10).close()
    assert brought == described(beside)


def described(engine: Engine) -> dict[str, Any]:
    """The tables, with all that a database says of them."""
    found = inspect(engine)
    return {
        table: {
            "columns": [(one["name"], str(one["type"]), one["nullable"], one["default"]) for one in columns],
            "key": found.get_pk_constraint(table)["constrained_columns"],
            "unique": sorted(str(one["column_names"]) for one in found.get_unique_constraints(table)),
            "indexes": sorted((one["name"], str(one["column_names"]), bool(one["unique"])) for one in indexes),
        }
        for table in found.get_table_names()
        if (columns := found.get_columns(table)) and (indexes := found.get_indexes(table)) is not None
    }


def test_eight_processes_may_bring_them_up_to_date(anywhere: str, beside: Engine) -> None:
    version_1.make(beside)
    ids = run("together", anywhere)
    store = open_store(anywhere, wait=10)
    assert all(store.answer(FindSessionById(one)) for one in ids)
    assert store.answer(ListKeys()) == (version_1.KEY,)
    store.close()
    with beside.connect() as connection:
        versions = connection.execute(text("SELECT version FROM guestpass_schema_version ORDER BY version"))
        assert versions.scalars().all() == [1, 2]


def test_a_process_that_is_killed_meanwhile_leaves_version_1_whole(anywhere: str, beside: Engine) -> None:
    version_1.make(beside)
    before, tables = version_1.contents(beside), set(inspect(beside).get_table_names())
    assert run("half", anywhere, code=-signal.SIGKILL) == ["changed"]
    assert version_1.contents(beside) == before
    assert set(inspect(beside).get_table_names()) == tables
    open_store(anywhere, wait=10).close()
    assert migrations_of(beside) == 2


def test_a_step_that_fails_leaves_version_1_whole(
    anywhere: str, beside: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    version_1.make(beside)
    before = version_1.contents(beside)

    def fail(connection: Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE guestpass_cutoffs (name TEXT)")

    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, fail))
    with pytest.raises((ConfigurationError, StoreUnavailable), match="already exists"):
        open_store(anywhere, wait=10)
    assert version_1.contents(beside) == before


def migrations_of(engine: Engine) -> int:
    with engine.connect() as connection:
        return migrations.version_of(connection)
