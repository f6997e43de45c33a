"""Ending credentials before their time, by what they have in common; how tokens end is in `test_signer`."""

from collections.abc import Callable

import pytest

from guestpass import Grant, Principal, Refused, Revocations, Rule
from guestpass.principal import IDENTITY_TOKEN, SECRET_KEY
from guestpass.records import FindCutoff
from guestpass.revocation.cutoff_list import FOREVER_MS, names_of
from support import START, House, build

USER = "3f2a9c1e-0b4d-4e5f-8a6b-7c8d9e0f1a2b"


@pytest.fixture
def house() -> House:
    return build([Rule("GET /")])


def test_the_cut_off_that_is_kept_is_the_answer(house: House) -> None:
    cutoff = house.revocations.account("plat", "acct_1")
    assert (cutoff.name, cutoff.at_ms) == ("account:plat:acct_1", START * 1_000)
    assert house.revocations.token("x", platform="plat").at_ms == FOREVER_MS


@pytest.mark.parametrize(
    "end",
    [
        lambda revocations: revocations.account("a:b", "c"),
        lambda revocations: revocations.account("plat", "no account"),
        lambda revocations: revocations.subject("a:b", USER),
        lambda revocations: revocations.subject("plat", "somebody"),
        lambda revocations: revocations.subject("plat", USER, "a b"),
        lambda revocations: revocations.token("x", platform="a b"),
    ],
)
def test_what_names_nothing_is_an_error_and_not_silence(house: House, end: Callable[[Revocations], object]) -> None:
    with pytest.raises(ValueError, match=r"cannot be|UUIDs"):
        end(house.revocations)


def test_an_outside_issuer_may_have_no_platform(house: House) -> None:
    assert house.revocations.account("", "acct_1").name == "account::acct_1"


def test_one_outside_token_ends_and_no_other_of_its_issuer(house: House) -> None:
    grant = Grant("", "live", frozenset({"acct_1"}), expires_at=START + 600)
    one, other = (Principal(IDENTITY_TOKEN, "u", grant, jti, "https://login.example/", "", START) for jti in "ab")
    house.revocations.credential(one)
    assert house.store.answer(FindCutoff(names_of(one))) == FOREVER_MS
    assert house.store.answer(FindCutoff(names_of(other))) is None
    house.revocations.identity(other.identity)
    assert house.store.answer(FindCutoff(names_of(other))) == START * 1_000


def test_a_key_is_not_ended_as_what_it_proves(house: House) -> None:
    key = house.minter()
    assert key.kind == SECRET_KEY
    with pytest.raises(ValueError, match=r"ApiKeys\.revoke"):
        house.revocations.credential(key)


def test_what_ends_in_test_mode_does_not_end_what_is_live(house: House) -> None:
    tried = build([Rule("GET /")], mode="test", store=house.store, clock=house.clock, seed=7)
    live, tested = house.token("acct_1"), tried.token("acct_1")
    tried.revocations.account("plat", "acct_1")
    house.guard.check(live)
    with pytest.raises(Refused, match="token_revoked"):
        tried.guard.check(tested)


def test_what_a_key_proves_is_no_identity_to_be_ended(house: House) -> None:
    with pytest.raises(ValueError, match=r"ApiKeys\.revoke"):
        house.revocations.identity(house.minter().identity)
