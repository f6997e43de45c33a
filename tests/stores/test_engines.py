"""Places and engines: what is opened how, and what is refused."""

import math
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from guestpass.errors import ConfigurationError
from guestpass.records import AddSession, FindSessionById
from guestpass.stores import open_store
from guestpass.stores.sql import SqlStore
from guestpass.testing.samples import session

from .conftest import Opened
from .running import run


def test_connections_are_set_to_lose_nothing(opened: Opened, engine: Engine) -> None:
    opened(engine, wait=0.25)
    with engine.connect() as connection:
        pragmas = ("journal_mode", "synchronous", "busy_timeout")
        found = [connection.execute(text(f"PRAGMA {pragma}")).scalar() for pragma in pragmas]
    assert found == ["wal", 2, 250]


def test_paths_are_relative_or_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    relative = open_store("sqlite:///guest pass.db")
    relative.answer(AddSession(session()))
    monkeypatch.chdir(tmp_path / "elsewhere")
    absolute = open_store(f"sqlite:///{tmp_path}/guest pass.db")
    for store in (relative, absolute):
        assert store.answer(FindSessionById("as_s")) == session()
        store.close()
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("sqlite://", "memory://"),
        ("sqlite:///:memory:", "memory://"),
        ("sqlite:///file::memory:?uri=true", "memory://"),
        ("sqlite:///x.db?mode=memory", "memory://"),
        ("sqlite:///x.db?timeout=5", "leave it out"),
        ("sqlite://x.db", "sqlite:////<absolute path>"),
        ("sqlite:///missing/x.db", "mkdir -p '.*missing'"),
        ("sqlite:///.", "is a directory: name a file"),
        ("sqlite+aiosqlite:///x.db", "does not speak sqlite.aiosqlite"),
        ("postgresql+asyncpg://localhost/x", "does not speak postgresql.asyncpg"),
        ("postgresql://user:pass@host:port/x", "cannot be read"),
        ("mongodb://localhost", "no store has the scheme 'mongodb': there is memory://, sqlite:///"),
        ("guestpass.db", "named by a URL"),
    ],
)
def test_a_place_that_cannot_work_is_refused(
    wrong: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError, match=told) as caught:
        open_store(wrong)
    assert "pass@" not in "".join(traceback.format_exception(caught.value))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wait", [0, -1, math.nan, math.inf, 61])
def test_a_wait_has_bounds(wait: float, url: str) -> None:
    with pytest.raises(ConfigurationError, match="wait"):
        open_store(url, wait=wait)


@pytest.mark.parametrize(
    ("directory", "file", "told"),
    [(0o555, None, "directory cannot be written to: chmod"), (0o777, 0o444, "file cannot be written to: chmod")],
)
def test_what_cannot_be_written_to_is_refused(directory: int, file: int | None, told: str) -> None:
    # Not in pytest's directory, which only its owner may enter.
    with TemporaryDirectory() as place:
        if file is not None:
            (Path(place) / "guestpass.db").touch(file)
        Path(place).chmod(directory)
        (message,) = run("refused", f"sqlite:///{place}/guestpass.db")
    assert told in message


def test_another_file_is_not_taken_for_a_store(path: Path, url: str) -> None:
    path.write_text("A letter to a guest.\n" * 100)
    with pytest.raises(ConfigurationError, match="not a SQLite database"):
        open_store(url)
    assert path.read_text().startswith("A letter")


def test_an_engine_keeps_its_other_users_transactions(opened: Opened, engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE mine (x)"))
    store = opened(engine)
    with engine.connect() as connection:
        connection.execute(text("INSERT INTO mine VALUES (1)"))
        connection.rollback()
        assert connection.execute(text("SELECT count(*) FROM mine")).scalar() == 0
    assert store.answer(AddSession(session())) == session()


def test_an_engine_stays_its_makers_to_close(opened: Opened, engine: Engine) -> None:
    store = opened(engine)
    with engine.connect() as connection:
        store.close()
        assert connection.execute(text("SELECT 1")).scalar() == 1


@pytest.mark.parametrize(
    ("at", "settings", "told"),
    [
        ("sqlite:///x.db", {}, "hide_parameters=True"),
        ("sqlite://", {"hide_parameters": True}, "memory://"),
    ],
)
def test_an_engine_that_cannot_serve_is_refused(at: str, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        SqlStore(create_engine(at, **settings))
