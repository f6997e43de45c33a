"""The contract of stores has moved: `guestpass.testing.store_contract`."""

from guestpass.testing.store_contract import StoreContract as StoreContract
