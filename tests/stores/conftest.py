"""Stores in a file of the test's own, and other users of that file."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from sqlalchemy import Engine, create_engine

from guestpass.stores.sql import SqlStore

Opened: TypeAlias = Callable[..., SqlStore]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "guestpass.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def opened(url: str) -> Iterator[Callable[..., SqlStore]]:
    """Opens stores at `url`, and closes them in the end."""
    stores: list[SqlStore] = []

    def open_one(at: str | Engine = url, *, wait: float = 10) -> SqlStore:
        stores.append(SqlStore(at, wait=wait))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url, hide_parameters=True)
    yield engine
    engine.dispose()


@pytest.fixture
def bare(path: Path, opened: Callable[..., SqlStore]) -> Iterator[sqlite3.Connection]:
    """A connection of somebody else to the same file."""
    opened()
    connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    yield connection
    connection.close()
