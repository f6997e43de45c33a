"""The store in PostgreSQL: the contract, through both of its halves; its URL, and how its server is set."""

import logging
import re
from collections.abc import Iterator

import pytest

from guestpass.errors import ConfigurationError
from guestpass.records import AddCutoff, AddSession, Ending, FindCutoff, FindSessionById, ReadCutoffs
from guestpass.stores import Store, open_store
from guestpass.stores.postgres import PostgresStore
from guestpass.testing.samples import NOW, NOW_MS, digest, session
from guestpass.testing.store_contract import AsyncHalf, StoreContract

from .postgres_servers import Server


class TestPostgres(StoreContract):
    @pytest.fixture
    def store(self, postgres_url: str) -> Iterator[Store]:
        store = PostgresStore(postgres_url, wait=10)
        yield store
        store.close()


class TestPostgresOnAsyncio(StoreContract):
    @pytest.fixture
    def store(self, postgres_url: str) -> Iterator[Store]:
        store = AsyncHalf(PostgresStore(postgres_url, wait=10))
        yield store
        store.close()


# What a URL may say

NO_SETTINGS = "&options=-c%20guestpass.settings_arrived%3Dno"
"""Makes a connection look as if a pooler in between had kept its settings to itself."""


def test_a_url_may_say_more(postgres_url: str, postgres: Server) -> None:
    url = f"{postgres_url}&application_name=mine&options=-c%20work_mem%3D1234kB&prepare_threshold=2"
    store = PostgresStore(url, wait=2)
    with store._engines.engine.connect() as connection:
        settings = ("application_name", "work_mem", "statement_timeout")
        found = [connection.exec_driver_sql(f"SHOW {setting}").scalar() for setting in settings]
        driver = connection.connection.driver_connection
    assert found == ["mine", "1234kB", "1600ms"]
    assert driver is not None
    assert driver.prepare_threshold == 2
    store.close()


@pytest.mark.parametrize("threshold", ["none", "0", "5"])
def test_behind_a_pooler_the_url_says_what_is_prepared(postgres_url: str, threshold: str) -> None:
    store = open_store(f"{postgres_url}{NO_SETTINGS}&prepare_threshold={threshold}", wait=10)
    for number in range(10):
        store.answer(AddSession(session(str(number))))
        assert store.answer(FindSessionById(f"as_{number}")) == session(str(number))
    store.close()


def test_behind_a_pooler_nothing_is_prepared_by_chance(postgres_url: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape("add ?prepare_threshold=none")):
        open_store(postgres_url + NO_SETTINGS, wait=10)


@pytest.mark.parametrize(
    ("more", "told"),
    [("prepare_threshold=some", "prepare_threshold is"), ("prepare_threshold=-1", "prepare_threshold is")],
)
def test_a_setting_that_cannot_be_read_is_refused(postgres_url: str, more: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        open_store(f"{postgres_url}&{more}")


def test_a_setting_that_nobody_knows_is_refused(postgres_url: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be made or read: invalid connection option"):
        open_store(f"{postgres_url}&colour=blue")


@pytest.mark.parametrize("setting", ["fsync", "synchronous_commit"])
def test_a_server_that_may_lose_what_is_acknowledged_is_warned_of(
    postgres: Server, postgres_url: str, caplog: pytest.LogCaptureFixture, setting: str
) -> None:
    open_store(postgres_url, wait=10).close()
    assert caplog.records == []
    if setting == "fsync":
        with caplog.at_level(logging.WARNING):
            postgres.run("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
            try:
                while postgres.run("SHOW fsync") == [("on",)]:
                    pass
                open_store(postgres_url, wait=10).close()
            finally:
                postgres.run("ALTER SYSTEM RESET fsync", "SELECT pg_reload_conf()")
    else:
        open_store(f"{postgres_url}&options=-c%20synchronous_commit%3Doff", wait=10).close()
    assert [f"{setting} = off" in record.getMessage() for record in caplog.records] == [True]


def test_a_store_shows_where_it_is_but_no_password(postgres_url: str) -> None:
    store = open_store(postgres_url.replace("postgres@", "postgres:secret@"), wait=10)
    assert "secret" not in repr(store)
    assert store.answer(ReadCutoffs(0)).position == 0
    store.close()


def test_a_text_that_is_too_long_is_a_mistake_and_no_outage(postgres_url: str) -> None:
    store = open_store(postgres_url, wait=10)
    name = "".join(digest(str(number)).hex() for number in range(200))
    with pytest.raises(ValueError, match="cannot hold a text as long as this"):
        store.answer(AddCutoff(Ending(name, NOW_MS, NOW)))
    assert store.answer(FindCutoff((name,))) is None
    store.close()
