"""The form of keys and client secrets: what was issued years ago is still what it was."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestpass.credentials import OpaqueForm, new_id

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
FORM = OpaqueForm("cs")

ISSUED = [
    (lambda n: bytes(n), "cs_live_0000000000000000000000000000000002K5pRo", "as_000000000000000000000"),
    (lambda n: bytes(range(n)), "cs_live_000A7dl5PEW67zZCpFU9uKaHnGgOvQKAR2rvmWD", "as_0006unQzRgcCeMrLX9IxK"),
    (lambda n: b"\xff" * n, "cs_live_2lFA6LboL2xx0ldQH2K1TdSrwuqMMiME31ehGUH", "as_1szWVIyZES2MJoAMUmjwV"),
]


@pytest.mark.parametrize(("randomness", "secret", "name"), ISSUED)
def test_of_the_same_randomness_the_same_is_made_for_ever(
    randomness: Callable[[int], bytes], secret: str, name: str
) -> None:
    assert FORM.issue("live", randomness) == secret
    assert new_id("as", randomness) == name
    assert FORM.well_formed(secret)


@given(st.binary(min_size=24, max_size=24))
def test_randomness_stands_there_in_base62(randomness: bytes) -> None:
    body = FORM.issue("test", lambda _: randomness)[len("cs_test_") : -6]
    value = 0
    for digit in body:
        value = value * 62 + DIGITS.index(digit)
    assert value.to_bytes(24) == randomness


@given(st.binary(min_size=24, max_size=24), st.data())
def test_one_wrong_character_is_told(randomness: bytes, data: st.DataObject) -> None:
    secret = FORM.issue("live", lambda _: randomness)
    place = data.draw(st.integers(len("cs_live_"), len(secret) - 1))
    other = data.draw(st.characters().filter(lambda it: it != secret[place]))
    assert not FORM.well_formed(secret[:place] + other + secret[place + 1 :])
    assert not FORM.well_formed(secret[:place] + secret[place + 1 :])


@pytest.mark.parametrize("odd", ["é", "١", "²", "_", "-", " ", "\n", "\ud800", ""])
def test_what_is_no_base62_is_not_well_formed(odd: str) -> None:
    body = odd + "A" * 39
    assert not FORM.well_formed(f"cs_live_{body}")
    assert not FORM.well_formed(f"cs_live_{body[::-1]}")
