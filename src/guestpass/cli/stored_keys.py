"""The API keys in a store, as several commands need them."""

from typing import NoReturn

from guestpass.api_keys import ApiKeys
from guestpass.cli.described import key_state
from guestpass.cli.problems import Failed
from guestpass.ownership import SINGLE_PLATFORM
from guestpass.records import FindKeyById, KeyRecord
from guestpass.stores import Store


def keys_of(store: Store, prefix: str | None = None) -> ApiKeys:
    """The keys in a store; new secrets begin with `prefix`, or as `ApiKeys` has it.

    Whose an account is stands in the platform's own register, which is not to be had here.
    """
    if prefix is None:
        return ApiKeys(store, owns=SINGLE_PLATFORM)
    return ApiKeys(store, owns=SINGLE_PLATFORM, secret_prefix=prefix, publishable_prefix=prefix)


def found(store: Store, key_id: str) -> KeyRecord:
    """The key with this id. Raises `Failed`."""
    key = store.answer(FindKeyById(key_id))
    return _unknown() if key is None else key


def usable(key: KeyRecord, now: float) -> KeyRecord:
    """A key that opens something. Raises `Failed`: nothing done to one that ended makes it open anything again."""
    state = key_state(key, now)
    if state != "valid":
        raise Failed(f"key_{state}", f"The key {key.id} has ended: make a new one with guestpass keys create")
    return key


def revoked(store: Store, key_id: str) -> KeyRecord:
    """End a key, and all that it minted. Raises `Failed`."""
    try:
        return keys_of(store).revoke(key_id)
    except KeyError:
        _unknown()


def _unknown() -> NoReturn:
    raise Failed("key_unknown", "There is no key with this id in this store: guestpass keys list shows those there are")
