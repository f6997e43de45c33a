"""What every store promises, as tests: derive a class from `StoreContract` and give it a `store` fixture.

```python
class TestMyStore(StoreContract):
    @pytest.fixture
    def store(self) -> Iterator[Store]:
        store = MyStore()
        yield store
        store.close()
```

The store is empty at the start of each test, and waits with some patience for its turn (``wait=10``): tests ask from
many threads at once. For a store with an ``answer_async``, let a second class yield `AsyncHalf(store)`, which asks only
that.
"""

try:
    from guestpass.testing.contract_asking import AskingContract
    from guestpass.testing.contract_crowd import CrowdContract
    from guestpass.testing.contract_cutoffs import CutoffContract
    from guestpass.testing.contract_keys import KeyContract
    from guestpass.testing.contract_purge import PurgeContract
    from guestpass.testing.contract_sessions import SessionContract
    from guestpass.testing.contract_signing import SigningKeyContract
except ModuleNotFoundError as missing:
    if missing.name != "pytest":
        raise
    raise ModuleNotFoundError("guestpass.testing.store_contract needs pytest: pip install pytest") from missing
from guestpass.testing.halves import AsyncHalf

__all__ = ["AsyncHalf", "StoreContract"]


class StoreContract(
    KeyContract, SessionContract, CutoffContract, SigningKeyContract, PurgeContract, AskingContract, CrowdContract
):
    """The promises of `guestpass.records`, and of `guestpass.stores.Store`."""
