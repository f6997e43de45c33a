"""The store in memory: the contract, and forks."""

from collections.abc import Iterator

import pytest

from guestpass.errors import ConfigurationError
from guestpass.stores import Store, open_store
from guestpass.stores.memory import MemoryStore
from guestpass.testing.store_contract import StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> Iterator[Store]:
        store = open_store("memory://")
        yield store
        store.close()


def test_memory_needs_no_more_than_its_scheme() -> None:
    assert isinstance(open_store("memory://"), MemoryStore)
    with pytest.raises(ConfigurationError, match="memory://"):
        open_store("memory://somewhere")
