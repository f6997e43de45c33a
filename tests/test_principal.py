"""A principal is what it is made of, stays so, and takes up little room."""

import copy
from dataclasses import FrozenInstanceError

import pytest

from guestpass import ALL, Grant, Principal
from guestpass.grants import Names, listed
from guestpass.principal import Remembered, Standing
from guestpass.standings import Standings

GRANT = Grant("plat", "test", frozenset({"acct_1", "acct_2"}), frozenset({"call_logs"}), frozenset({"agent"}), 2e9)
PARTS = {
    "kind": "own",
    "subject": "me",
    "grant": GRANT,
    "credential_id": "c_1",
    "issuer": "https://i.example/",
    "minted_by": "key_1",
    "issued_at": 1e9,
    "metadata": {"plan": "pro"},
    "origins": frozenset({"https://a.example"}),
    "secret_digest": b"digest",
    "signing_key": "kid",
    "narrowed_from": None,
}


@pytest.fixture
def principal() -> Principal:
    return Principal(**PARTS)  # type: ignore[arg-type]


def test_it_says_what_it_is_made_of(principal: Principal) -> None:
    assert {name: getattr(principal, name) for name in PARTS} == PARTS
    assert (principal.platform, principal.mode, principal.account, principal.expires_at) == ("plat", "test", None, 2e9)
    assert principal.scopes == ["authenticated", "call_logs", "agent"]
    assert (principal.is_authenticated, principal.display_name) == (True, "me")


@pytest.mark.parametrize("name", PARTS)
def test_one_part_makes_another_principal_but_for_what_only_says_how_it_was_proved(
    principal: Principal, name: str
) -> None:
    others = {"grant": Grant("plat", "test"), "issued_at": 2.0, "metadata": {}, "origins": frozenset[str]()}
    other = principal.but(**{name: others.get(name, b"x" if name == "secret_digest" else "x")})  # type: ignore[arg-type]
    how = name in ("secret_digest", "signing_key", "narrowed_from")
    assert (other == principal) is how
    assert (hash(other) == hash(principal)) is (how or name == "metadata")
    assert other.but(**{name: PARTS[name]}) == principal  # type: ignore[arg-type]


def test_it_stays_as_it_is(principal: Principal) -> None:
    with pytest.raises(FrozenInstanceError, match=r"principal\.but\(subject=…\)"):
        principal.subject = "you"
    with pytest.raises(FrozenInstanceError):
        del principal.subject
    with pytest.raises(FrozenInstanceError):
        principal.kind = "secret_key"  # type: ignore[misc]
    assert copy.copy(principal) is copy.deepcopy(principal) is principal
    assert principal != "me"


def test_its_repr_names_no_secret(principal: Principal) -> None:
    assert "credential_id='c_1'" in repr(principal)
    assert "digest" not in repr(principal)
    assert "digest" not in repr(principal.standing)


def test_held_to_one_account_it_knows_where_it_comes_from(principal: Principal) -> None:
    held = principal.held_to("acct_1")
    assert held.account == "acct_1"
    assert held.narrowed_from is principal
    assert held.identity == principal.identity
    assert held.held_to("acct_1") is held
    assert principal.grant.covers(held.grant)


def test_what_is_remembered_is_the_same_principal(principal: Principal) -> None:
    kept = Remembered(principal, principal.standing, 5.0, (1,))
    assert kept == principal
    assert hash(kept) == hash(principal)
    assert repr(kept) == repr(principal)
    kept.seen((2,))
    assert (kept.until, kept.versions) == (5.0, (2,))
    with pytest.raises(FrozenInstanceError):
        kept.until = 6.0


def test_a_session_is_its_account_and_so_keeps_one_text() -> None:
    first, second = ("".join(["acct", "_1"]) for _ in range(2))
    proved = Principal("account_session", second, Grant("plat", "live", frozenset({first})), "as_1")
    assert Remembered(proved, proved.standing, 5.0, ()).subject is first


def test_standings_are_shared_spelled_out_and_bounded() -> None:
    closed: list[Grant] = []

    def close(grant: Grant) -> Grant:
        closed.append(grant)
        return Grant(grant.platform, grant.mode, grant.accounts, ALL)

    standings = Standings(close, many=2)
    one, same, other, third = (Standing("own", Grant("plat", "live", frozenset({name}))) for name in "aabc")
    assert standings.of(one) is standings.of(same)
    assert standings.of(one).grant.components is ALL
    assert len(closed) == 1
    kept = standings.of(other)
    assert kept is not standings.of(one)
    standings.of(third)
    assert len(standings) == 1
    assert standings.of(other) == kept


def test_standings_of_the_same_reach_share_what_lets_them_in() -> None:
    standings = Standings(lambda grant: grant)
    logs, mail = frozenset({"call_logs"}), frozenset({"voicemails"})

    def of(kind: str, accounts: Names, components: frozenset[str], key: str = "key_1") -> Standing:
        return standings.of(Standing(kind, Grant("plat", "live", accounts, components), minted_by=key))

    one, other = frozenset({"a"}), frozenset({"b"})
    first = of("session", one, logs)
    first.admit("a rule")
    assert "a rule" in of("session", other, logs, "key_2").admitted
    for kind, accounts, components in (
        ("token", one, logs),
        ("session", one, mail),
        ("session", ALL, logs),
        ("session", one | other, logs),
        ("session", frozenset[str](), logs),
    ):
        assert "a rule" not in of(kind, accounts, components).admitted
    mine = Standing("session", Grant("plat", "live", one, logs))
    mine.admit("a rule")
    assert not mine.admitted


def test_a_standing_is_not_another_keys() -> None:
    grant = Grant("plat", "live")
    assert Standing("own", grant, secret_digest=b"1") != Standing("own", grant, secret_digest=b"2")
    assert Standing("own", grant, signing_key="1") != Standing("own", grant, signing_key="2")


def test_the_names_of_all_have_no_end() -> None:
    assert listed(ALL) == []
    assert listed(frozenset("ba")) == ["a", "b"]
