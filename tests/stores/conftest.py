"""Stores in a file of the test's own, and other users of that file; databases of a real PostgreSQL."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest
from sqlalchemy import Engine, create_engine

from guestpass.stores.sql import SqlStore

from .postgres_servers import Server, serving

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


@pytest.fixture(params=["sqlite", "postgresql"])
def anywhere(request: pytest.FixtureRequest) -> str:
    """Where a store can be opened in a SQL database, one after the other."""
    place: str = request.getfixturevalue("url" if request.param == "sqlite" else "postgres_url")
    return place


@pytest.fixture
def beside(anywhere: str) -> Iterator[Engine]:
    """An engine of somebody else's for the same place."""
    engine = create_engine(anywhere.replace("postgresql:", "postgresql+psycopg:"), hide_parameters=True)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server that the tests of this process share; none of them ends it."""
    with serving() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Server) -> str:
    """A database without tables."""
    postgres.run("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    return postgres.url()


@pytest.fixture
def guest(postgres: Server, postgres_url: str) -> str:
    """The same database, for somebody with no more rights than it takes to be there."""
    postgres.run("DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN", "GRANT USAGE ON SCHEMA public TO guest")
    return postgres.url(user="guest")
