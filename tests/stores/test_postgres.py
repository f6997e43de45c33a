"""The store in PostgreSQL: the contract, through both of its halves."""

from collections.abc import Iterator

import pytest

from guestpass.stores import Store
from guestpass.stores.postgres import PostgresStore
from guestpass.testing.store_contract import AsyncHalf, StoreContract


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
