"""A store's contract: signing keys."""

from dataclasses import replace

import pytest

from guestpass.records import AddSigningKey, ListSigningKeys
from guestpass.stores import Store
from guestpass.testing.samples import signing_key


class SigningKeyContract:
    """Of two that add a key with the same serial, one does."""

    def test_signing_keys_are_listed_by_mode_and_serial(self, store: Store) -> None:
        assert store.answer(ListSigningKeys()) == ()
        other_mode = replace(signing_key("d"), mode="test")
        keys = (signing_key("c"), signing_key("b", serial=2), signing_key("a", serial=10), other_mode)
        for one in reversed(keys):
            assert store.answer(AddSigningKey(one)) is True
        assert store.answer(ListSigningKeys()) == keys

    def test_a_serial_is_taken_once_in_a_mode(self, store: Store) -> None:
        assert store.answer(AddSigningKey(signing_key("a"))) is True
        assert store.answer(AddSigningKey(signing_key("b"))) is False
        assert store.answer(ListSigningKeys()) == (signing_key("a"),)

    def test_a_kid_is_taken_once(self, store: Store) -> None:
        store.answer(AddSigningKey(signing_key("a")))
        with pytest.raises(ValueError, match="kid"):
            store.answer(AddSigningKey(signing_key("a", serial=2)))
        assert store.answer(ListSigningKeys()) == (signing_key("a"),)
