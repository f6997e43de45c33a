"""``guestpass store``, on SQLite, a real PostgreSQL and a real Redis."""

import json
import os
import pty
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from cli.conftest import ACCOUNT, Run
from guestpass import Grant
from guestpass.records import AddSession, FindSessionById, SessionRecord
from guestpass.stores import Store
from guestpass.stores.tables import VERSION
from stores import postgres_servers, redis_servers, version_1


def test_a_store_is_made_once(run: Run, store: str, tmp_path: Path) -> None:
    code, out, err = run("store", "init")
    assert (code, err) == (0, "")
    assert out == f"{store} is ready, with tables of version {VERSION}.\n"
    assert (tmp_path / "keys.db").exists()
    assert json.loads(run("store", "init", "--json")[1]) == {"store": store, "version": VERSION, "was": VERSION}
    assert run("store", "check") == (0, out, "")
    assert json.loads(run("store", "check", "--json")[1]) == {"store": store, "version": VERSION}


@pytest.mark.parametrize(
    "arguments",
    [
        ["store", "check"],
        ["store", "migrate"],
        ["store", "purge"],
        ["keys", "list"],
        ["keys", "revoke", "key_1"],
        ["revoke", "account", "voice", ACCOUNT],
        ["signing-keys", "list"],
    ],
)
def test_only_what_is_there_to_make_a_store_makes_one(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "guestpass store init" in err
    assert list(tmp_path.iterdir()) == []


def test_older_tables_are_told_of_and_brought_up_to_date(run: Run, store: str) -> None:
    engine = create_engine(store, hide_parameters=True)
    version_1.make(engine)
    engine.dispose()
    code, out, err = run("store", "check")
    assert (code, out, err.partition(":")[0]) == (1, "", "store_outdated")
    assert "guestpass store migrate" in err
    # Looking changed nothing.
    assert run("store", "check")[2] == err
    code, out, err = run("store", "migrate")
    assert (code, err) == (0, "")
    assert out == f"{store} is ready, with tables of version {VERSION}; it was 1.\n"
    assert run("store", "check")[0] == 0
    assert json.loads(run("store", "migrate", "--json")[1]) == {"store": store, "version": VERSION, "was": VERSION}


def test_newer_tables_are_left_alone(run: Run, tmp_path: Path) -> None:
    run("store", "init")
    with closing(sqlite3.connect(tmp_path / "keys.db")) as database, database:
        database.execute("INSERT INTO guestpass_schema_version VALUES (?)", (VERSION + 1,))
    for action in ("check", "migrate", "init"):
        code, out, err = run("store", action)
        assert (code, out) == (2, "")
        assert "upgrade guestpass" in err


def test_a_database_without_tables(run: Run, tmp_path: Path) -> None:
    (tmp_path / "keys.db").touch()
    code, out, err = run("store", "check")
    assert (code, out, err.partition(":")[0]) == (1, "", "store_empty")
    assert json.loads(run("store", "migrate", "--json")[1])["was"] == 0
    assert run("store", "check")[0] == 0


def test_a_file_that_is_no_database(run: Run, tmp_path: Path) -> None:
    (tmp_path / "keys.db").write_text("Dear store, " * 100)
    for command in (["store", "check"], ["store", "init"], ["keys", "list"]):
        code, out, err = run(*command)
        assert (code > 0, out) == (True, "")
        assert "database" in err


def session(number: int, ended_at: float) -> SessionRecord:
    grant = Grant("voice", "live", accounts=frozenset({ACCOUNT}), expires_at=ended_at)
    return SessionRecord(f"as_{number}", b"%032d" % number, grant, "key_1", 0)


def test_purging_drops_what_has_ended_and_nothing_else(run: Run, opened: Store) -> None:
    now = time.time()
    for number in range(700):
        opened.answer(AddSession(session(number, now - 2 * 86_400)))
    for number, ends in ((700, now - 3_600), (701, now + 3_600)):
        opened.answer(AddSession(session(number, ends)))
    assert run("store", "purge") == (0, "700 records dropped.\n", "")
    assert json.loads(run("store", "purge", "--json")[1])["dropped"] == 0
    for number in (700, 701):
        assert opened.answer(FindSessionById(f"as_{number}")) is not None


@pytest.mark.parametrize(
    ("action", "says", "shows"),
    [
        ("purge", "20 records dropped.\n", "20 records dropped"),
        ("migrate", None, "bringing the store up to date ..."),
        ("init", None, "bringing the store up to date ..."),
    ],
)
def test_somebody_at_a_terminal_sees_how_far_it_is(
    store: str, opened: Store, action: str, says: str | None, shows: str
) -> None:
    for number in range(20):
        opened.answer(AddSession(session(number, 1_000)))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "guestpass", "store", action, "--store", store]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True)
    try:
        out, _ = process.communicate(timeout=60)
        seen = os.read(ours, 4_096).decode()
    finally:
        process.kill()
        os.close(ours)
        os.close(theirs)
    assert out == (says or f"{store} is ready, with tables of version {VERSION}.\n")
    assert seen == f"\r{shows}\x1b[K\r\x1b[K"


def test_a_postgresql_server(run: Run) -> None:
    with postgres_servers.serving() as server:
        where = ["--store", server.url()]
        assert run("store", "check", *where)[2].startswith("store_empty: postgresql:///postgres has no tables yet")
        code, out, err = run("store", "init", *where)
        assert (code, out, err) == (0, f"postgresql:///postgres is ready, with tables of version {VERSION}.\n", "")
        assert run("store", "check", *where)[0] == 0
        secret = run("keys", "create", "--platform", "voice", *where)[1]
        mint = ["sessions", "create", "--key-file", "-", "--account", ACCOUNT, "--component", "call_logs"]
        assert run(*mint, *where, stdin=secret)[1].startswith("cs_live_")
        assert run("store", "purge", *where)[0] == 0
        with server.frozen():
            code, out, err = run("store", "check", *where)
            assert (code, out, err.partition(":")[0]) == (1, "", "store_unavailable")
    code, out, err = run("keys", "list", *where)
    assert (code, out, err.partition(":")[0]) == (1, "", "store_unavailable")
    assert "Try again" in err


def test_a_redis_server_has_no_tables(run: Run) -> None:
    with redis_servers.running(redis_servers.program("redis")) as server:
        where = ["--store", server.url]
        assert json.loads(run("store", "init", "--json", *where)[1])["version"] is None
        code, out, err = run("store", "check", *where)
        assert (code, err) == (0, "")
        assert out.endswith(" is ready.\n")
        assert run("keys", "create", "--platform", "voice", *where)[0] == 0
        assert run("store", "purge", *where)[1] == "0 records dropped.\n"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter22@db.example/guestpass",
        "postgresql://db.example/guestpass?user=joe&password=hunter22",
        "redis://:hunter22@db.example/0",
    ],
)
def test_a_password_is_no_argument(run: Run, url: str) -> None:
    code, out, err = run("keys", "list", "--store", url)
    assert (code, out) == (2, "")
    assert "GUESTPASS_STORE" in err
    assert "hunter22" not in err
