"""Grants and principals: their forms. The laws are in test_laws.py."""

from typing import Any

import pytest

from guestpass import ALL, Grant, Principal
from guestpass.principal import is_account_id, is_name
from support import START


def test_a_grant_covers_nothing_unless_it_says_so() -> None:
    grant = Grant("plat", "live")
    assert (grant.accounts, grant.components, grant.roles) == (frozenset(), frozenset(), frozenset())


@pytest.mark.parametrize("field", ["accounts", "components", "roles"])
def test_names_are_all_or_a_set(field: str) -> None:
    def of(names: Any) -> Any:
        given: dict[str, Any] = {field: names}
        return getattr(Grant("plat", "live", **given), field)

    assert of(["a", "b", "a"]) == frozenset({"a", "b"})
    assert of(ALL) is ALL
    wrong: tuple[Any, ...] = ("name", b"name", [7], None, 7)
    for names in wrong:
        with pytest.raises(TypeError):
            of(names)


@pytest.mark.parametrize("mode", ["prod", "", None, "LIVE", 1])
def test_a_mode_is_live_or_test(mode: Any) -> None:
    with pytest.raises(ValueError, match="'live' or 'test'"):
        Grant("plat", mode)


def test_all_contains_every_name_and_says_so() -> None:
    assert "anything" in ALL
    assert repr(ALL) == "ALL"


def test_a_grant_cannot_be_changed() -> None:
    grant: Any = Grant("plat", "live")
    with pytest.raises(AttributeError):
        grant.accounts = ALL


@pytest.mark.parametrize(
    ("accounts", "account"), [(ALL, None), (frozenset(), None), (frozenset({"a"}), "a"), (frozenset({"a", "b"}), None)]
)
def test_a_principal_has_an_account_where_it_is_held_to_one(accounts: Any, account: str | None) -> None:
    principal = Principal("own", "me", Grant("plat", "test", accounts, expires_at=START), "id", issuer="i")
    assert principal.account == account
    assert principal.identity == ("own", "i", "plat", account, "me")
    assert (principal.platform, principal.mode, principal.expires_at) == ("plat", "test", START)
    assert dict(principal.metadata) == {}


IDS = {
    "a": True, "A-Za.z0_9:@-": True, "a" * 128: True, "--": True, ".": True, "": False, "-": False, "a" * 129: False,
    "a b": False,
    "a/b": False, "a\n": False, "é": False, "１": False, "a\x00": False,
}  # fmt: skip


def test_account_ids_have_one_form() -> None:
    assert {text: is_account_id(text) for text in IDS} == IDS
    assert not is_account_id(7)
    assert not is_account_id(None)


NAMES = {
    "a": True,
    "a_b.c-9": True,
    "a" * 64: True,
    "": False,
    "A": False,
    "a" * 65: False,
    "a/b": False,
    "a\n": False,
    "é": False,
}


def test_names_have_one_form() -> None:
    assert {text: is_name(text) for text in NAMES} == NAMES
    assert not is_name(None)
