"""The tables: who makes them, and whose they are."""

import sqlite3
from pathlib import Path

import pytest

from guestpass.errors import ConfigurationError, StoreUnavailable
from guestpass.records import AddSession, FindSessionById, ListKeys

from .conftest import Opened
from .running import run
from .samples import session


def test_eight_processes_may_be_the_first(url: str, opened: Opened) -> None:
    ids = run("start", url)
    assert len(ids) == len(set(ids)) == 80
    for number in range(10):
        store = opened(f"{url}.{number}")
        found = [one for one in ids if store.answer(FindSessionById(one))]
        assert len(found) == 8


def test_the_tables_of_a_newer_release_are_left_alone(opened: Opened, bare: sqlite3.Connection) -> None:
    bare.execute("INSERT INTO guestpass_schema_version VALUES (2)")
    with pytest.raises(ConfigurationError, match="upgrade"):
        opened()


def test_the_tables_are_made_beside_those_of_an_application(path: Path, opened: Opened) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE sessions (mine)")
    connection.close()
    assert opened().answer(AddSession(session())) == session()


def test_tables_that_cannot_be_made_are_unavailable(path: Path, opened: Opened) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="locked"):
        opened(wait=0.01)
    connection.close()
    assert opened().answer(ListKeys()) == ()
