"""The Redis store's contract, through both its halves, on every server at hand."""

from collections.abc import Iterator
from itertools import count

import pytest

from guestpass.stores import Store
from guestpass.stores.redis import RedisStore
from guestpass.testing.store_contract import AsyncHalf, StoreContract

from .redis_servers import Server, program, programs, running

FAMILIES = ("redis", "valkey")
NAMES = (*programs(), *(family for family in FAMILIES if not any(name.startswith(family) for name in programs())))

prefixes = count()


@pytest.fixture(scope="module", params=NAMES)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    path = programs().get(request.param) or program(request.param)
    with running(path) as one:
        yield one


@pytest.fixture
def redis_store(server: Server) -> Iterator[RedisStore]:
    store = RedisStore(server.url, wait=10, prefix=f"{next(prefixes)}:")
    yield store
    store.close()


class TestRedis(StoreContract):
    @pytest.fixture
    def store(self, redis_store: RedisStore) -> Store:
        return redis_store


class TestRedisOnAsyncio(StoreContract):
    @pytest.fixture
    def store(self, redis_store: RedisStore) -> Iterator[Store]:
        store = AsyncHalf(redis_store)
        yield store
        store.close()
