"""API keys: how they are made, found, narrowed and ended."""

import math
import re
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from guestpass import ALL, SINGLE_PLATFORM, ApiKeys, ConfigurationError, Grant, Guard, Policy, Rule, open_store
from guestpass.api_keys import component_names
from guestpass.credentials import OpaqueForm, digest
from guestpass.errors import StoreUnavailable
from guestpass.key_uses import KeyUses
from guestpass.records import (
    ChangeKey,
    FindKey,
    FindKeyById,
    FindMinter,
    KeyRecord,
    Minter,
    NoteUses,
    RotateKey,
)
from support import START, Clock, Failing, House, Recording, build, code_of

RULES = [Rule("GET /")]
EVERYTHING = frozenset({"call_logs", "call_logs/transcripts", "call_logs/export"})


@pytest.fixture
def house() -> House:
    return build(RULES)


def test_a_key_is_made_of_enough_random_bits_and_shown_once(house: House) -> None:
    made = [house.keys.create(platform="plat", mode="live") for _ in range(20)]
    assert len({key.secret for key in made}) == len({key.id for key in made}) == 20
    for key in made:
        assert re.fullmatch(r"sk_live_[0-9A-Za-z]{39}", key.secret)
        assert re.fullmatch(r"key_[0-9A-Za-z]{21}", key.id)
        assert key.secret not in repr(key)
    # 33 base62 characters hold 192 bits and more.
    assert 62**33 >= 2**192


def test_the_store_sees_the_digest_alone() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    secret = house.key()
    house.guard.check(secret)
    assert secret not in repr(store.asked)
    assert FindKey(digest(secret)) in store.asked


def test_a_key_has_everything_unless_it_is_held_to_less(house: House) -> None:
    grant = house.minter().grant
    assert (grant.accounts, grant.components, grant.roles, grant.expires_at) == (ALL, ALL, ALL, math.inf)


EXPORT = frozenset({"call_logs", "call_logs/export"})
GRANTS: list[tuple[dict[str, Any], str, object]] = [
    ({"accounts": {"acct_1"}}, "accounts", frozenset({"acct_1"})),
    ({"accounts": ()}, "accounts", frozenset()),
    ({"components": {"call_logs"}}, "components", EVERYTHING),
    ({"components": ["call_logs", "voicemails"]}, "components", EVERYTHING | {"voicemails"}),
    ({"components": {"call_logs": ()}}, "components", frozenset({"call_logs"})),
    ({"components": {"call_logs": ["export"]}}, "components", EXPORT),
    ({"components": {"call_logs/export"}}, "components", EXPORT),
    ({"components": {"call_logs": ["*"]}}, "components", EVERYTHING),
    ({"components": {"nothing"}}, "components", frozenset()),
    ({"components": ALL}, "components", ALL),
    ({"roles": {"agent"}}, "roles", frozenset({"external_entity", "agent"})),
    ({"roles": ["king"]}, "roles", frozenset()),
    ({"expires_at": START + 5}, "expires_at", START + 5),
]


@pytest.mark.parametrize(("asked", "dimension", "expected"), GRANTS)
def test_what_a_key_is_held_to_is_spelled_out(
    house: House, asked: dict[str, Any], dimension: str, expected: object
) -> None:
    assert getattr(house.minter(**asked).grant, dimension) == expected


def test_a_publishable_key_has_no_account_and_no_component_whatever_is_asked_for(house: House) -> None:
    secret = house.key(kind="publishable_key", accounts=ALL, components=ALL, roles={"admin"}, expires_at=START + 9)
    assert secret.startswith("pk_live_")
    principal = house.guard.check(secret)
    assert principal.kind == "publishable_key"
    assert principal.grant == Grant("plat", "live", roles=frozenset({"external_entity"}), expires_at=START + 9)
    assert principal.account is None


def test_a_publishable_key_where_there_are_no_roles_has_none() -> None:
    house = build(Policy(*RULES))
    assert house.guard.check(house.key(kind="publishable_key")).grant.roles == frozenset()


ODD: list[tuple[dict[str, Any], type[Exception]]] = [
    *(({"platform": name}, ValueError) for name in ("", "a:b", "a b", "a" * 65, "ä", "a\n")),
    ({"mode": "prod"}, ValueError),
    ({"kind": "account_session"}, ValueError),
    ({"accounts": "acct_1"}, TypeError),
    ({"accounts": {"a b"}}, ValueError),
    ({"accounts": {""}}, ValueError),
    ({"accounts": {7}}, TypeError),
    ({"components": "call_logs"}, TypeError),
    ({"components": {"Call Logs"}}, ValueError),
    ({"components": {"call_logs": "export"}}, TypeError),
    ({"components": {"call_logs": ["a/b"]}}, ValueError),
    ({"roles": "admin"}, TypeError),
    ({"roles": {"Admin!"}}, ValueError),
    *(({"origins": {origin}}, ValueError) for origin in ("shop.example", "https://shop.example/", "null", "*", "")),
    ({"origins": "https://shop.example"}, TypeError),
    ({"expires_at": math.nan}, ValueError),
]


@pytest.mark.parametrize(("asked", "problem"), ODD, ids=str)
def test_what_cannot_be_a_key_is_an_error(house: House, asked: dict[str, Any], problem: type[Exception]) -> None:
    with pytest.raises(problem):
        house.key(**asked)
    assert house.keys.list() == ()


def test_keys_are_listed_by_platform_oldest_first(house: House) -> None:
    made = []
    for platform in ("plat", "other", "plat"):
        made.append(house.keys.create(platform=platform, mode="live", name=f"of {platform}").id)
        house.clock.advance(1)
    assert [key.id for key in house.keys.list()] == made
    listed = house.keys.list("plat")
    assert [(key.id, key.name) for key in listed] == [(made[0], "of plat"), (made[2], "of plat")]
    house.keys.revoke(made[0])
    assert house.keys.list("plat")[0].revoked_at == START + 3


# --- the end ---------------------------------------------------------------------------------------------------------


def test_a_key_ends_at_its_end(house: House) -> None:
    secret = house.key(expires_at=START + 60)
    house.clock.now = START + 59.999
    house.guard.check(secret)
    house.clock.now = START + 60
    assert code_of(partial(house.guard.check, secret)) == "key_expired"


def test_a_revoked_key_ends_at_once_here_and_within_a_second_elsewhere(house: House) -> None:
    elsewhere = build(RULES, store=house.store, clock=house.clock, seed=2)
    secret = house.key()
    key_id = house.guard.check(secret).credential_id
    elsewhere.guard.check(secret)
    assert house.keys.revoke(key_id).revoked_at == START
    assert code_of(partial(house.guard.check, secret)) == "key_revoked"
    house.clock.advance(1)
    assert code_of(partial(elsewhere.guard.check, secret)) == "key_revoked"
    assert house.keys.revoke(key_id).revoked_at == START


@pytest.mark.anyio
async def test_the_async_forms_do_the_same(house: House) -> None:
    made = await house.keys.create_async(platform="plat", mode="live")
    await house.guard.check_async(made.secret)
    assert (await house.keys.revoke_async(made.id)).revoked_at == START
    assert code_of(partial(house.guard.check, made.secret)) == "key_revoked"


def test_an_unknown_key_is_a_key_error(house: House) -> None:
    with pytest.raises(KeyError):
        house.keys.revoke("key_never")
    with pytest.raises(KeyError):
        house.keys.narrow("key_never")


# --- narrowing -------------------------------------------------------------------------------------------------------

NARROWED: list[tuple[dict[str, Any], dict[str, Any], str, object]] = [
    ({}, {"accounts": {"acct_1"}}, "accounts", frozenset({"acct_1"})),
    ({"accounts": {"acct_1", "acct_2"}}, {"accounts": {"acct_2", "acct_3"}}, "accounts", frozenset({"acct_2"})),
    ({"accounts": {"acct_1"}}, {}, "accounts", frozenset({"acct_1"})),
    ({}, {"components": {"call_logs"}}, "components", EVERYTHING),
    ({"components": {"call_logs"}}, {"components": {"call_logs": ["export"]}}, "components", EXPORT),
    ({"components": {"call_logs": ["export"]}}, {"components": {"call_logs"}}, "components", EXPORT),
    ({"components": {"call_logs"}}, {"components": {"call_logs": ()}}, "components", frozenset({"call_logs"})),
    ({"components": ["call_logs", "voicemails"]}, {"components": ["voicemails"]}, "components", {"voicemails"}),
    ({"components": {"call_logs"}}, {"components": {"voicemails"}}, "components", frozenset()),
    ({"roles": {"admin"}}, {"roles": {"agent"}}, "roles", frozenset({"external_entity", "agent"})),
    ({"roles": {"agent"}}, {"roles": {"admin"}}, "roles", frozenset({"external_entity", "agent"})),
    ({}, {"roles": {"external_entity"}}, "roles", frozenset({"external_entity"})),
    ({"expires_at": START + 100}, {"expires_at": START + 50}, "expires_at", START + 50),
    ({"expires_at": START + 100}, {"expires_at": START + 150}, "expires_at", START + 100),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "limit", "dimension", "left"), NARROWED)
def test_narrowing_leaves_what_both_have(
    house: House, asked: dict[str, Any], limit: dict[str, Any], dimension: str, left: object
) -> None:
    secret = house.key(**asked)
    before = house.guard.check(secret)
    house.keys.narrow(before.credential_id, **limit)
    after = house.guard.check(secret).grant
    assert getattr(after, dimension) == left
    assert before.grant.covers(after)


def test_narrowing_ends_what_the_key_minted_and_the_key_goes_on(house: House) -> None:
    secret = house.key()
    by = house.guard.check(secret)
    client_secret = house.sessions.create(by=by, account="acct_1").client_secret
    house.guard.check(client_secret)
    house.keys.narrow(by.credential_id, components={"voicemails"})
    assert code_of(partial(house.guard.check, client_secret)) == "session_revoked"
    house.clock.advance(1)
    again = house.sessions.create(by=house.guard.check(secret), account="acct_1").client_secret
    assert house.guard.check(again).grant.components == frozenset({"voicemails"})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"accounts": {"acct_1"}}, {"components": {"voicemails"}}),
        ({"accounts": {"acct_1"}}, {"accounts": {"acct_1", "acct_2"}}),
        ({"expires_at": START + 50}, {"expires_at": START + 500}),
    ],
)
def test_of_two_narrowings_at_once_none_is_lost(one: dict[str, Any], other: dict[str, Any]) -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    secret = house.key()
    key_id = house.guard.check(secret).credential_id
    # One has read the key when the other narrows it.
    store.before[ChangeKey] = lambda: house.keys.narrow(key_id, **other)
    house.keys.narrow(key_id, **one)
    left = house.guard.check(secret).grant
    for limit in (one, other):
        assert Grant("plat", "live", **{"accounts": ALL, "components": ALL, "roles": ALL, **limit}).covers(left)


def test_a_key_that_is_revoked_while_it_is_narrowed_stays_revoked() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    secret = house.key()
    key_id = house.guard.check(secret).credential_id
    store.before[ChangeKey] = lambda: house.keys.revoke(key_id)
    house.keys.narrow(key_id, accounts={"acct_1"})
    assert code_of(partial(house.guard.check, secret)) == "key_revoked"


def test_narrowing_to_no_number_is_an_error(house: House) -> None:
    key_id = house.minter().credential_id
    with pytest.raises(ValueError):
        house.keys.narrow(key_id, expires_at=math.nan)


def test_roles_are_narrowed_where_their_order_is_known() -> None:
    keys = ApiKeys(open_store("memory://"), owns=SINGLE_PLATFORM)
    made = keys.create(platform="plat", mode="live", roles={"admin"})
    with pytest.raises(ConfigurationError, match="guard"):
        keys.narrow(made.id, roles={"agent"})
    assert keys.narrow(made.id, accounts={"acct_1"}).grant.accounts == frozenset({"acct_1"})


# --- what is not believed --------------------------------------------------------------------------------------------


def test_a_mistyped_key_is_refused_without_a_look() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    secret = house.key()
    before = len(store.asked)
    for text in (
        secret[:-1],
        secret + "a",
        secret.replace("sk_", "pk_", 1),
        secret.swapcase(),
        "sk_live_",
        secret + "=",
    ):
        assert code_of(partial(house.guard.check, text)) == "credential_invalid"
    assert len(store.asked) == before


@pytest.mark.parametrize("change", ["kind", "digest"])
def test_a_store_that_finds_another_key_is_not_believed(change: str) -> None:
    from dataclasses import replace

    class Confused(Recording):
        def answer(self, question: Any, /) -> Any:
            found = super().answer(question)
            if isinstance(question, FindKey) and isinstance(found, KeyRecord):
                return replace(found, kind="publishable_key") if change == "kind" else replace(found, digest=b"x" * 32)
            return found

    house = build(RULES, store=Confused(open_store("memory://")))
    assert code_of(house.minter) == "credential_invalid"


def test_the_checksum_can_be_turned_off_for_keys_of_an_older_form() -> None:
    store = open_store("memory://")
    house = build(RULES, store=store)
    old = "sk_live_0123456789abcdef"
    from guestpass.records import AddKey

    store.answer(AddKey(KeyRecord("key_old", digest(old), "secret_key", Grant("plat", "live", ALL), "", START)))
    assert code_of(partial(house.guard.check, old)) == "credential_invalid"
    keys = ApiKeys(store, owns=SINGLE_PLATFORM, checksum=False, clock=house.clock)
    guard = Guard(authenticators=[keys], policy=house.guard.policy, mode="live", clock=house.clock)
    assert guard.check(old).credential_id == "key_old"
    assert code_of(partial(guard.check, "sk_live_unknown")) == "credential_invalid"


def test_keys_of_live_and_test_never_mix(house: House) -> None:
    test = build(RULES, mode="test", store=house.store, clock=house.clock, seed=4)
    assert code_of(partial(house.guard.check, test.key())) == "credential_invalid"
    assert code_of(partial(test.guard.check, house.key())) == "credential_invalid"


@pytest.mark.parametrize("owns", [None, True, "acct_", {"plat": ["acct_1"]}])
def test_who_owns_an_account_has_to_be_said(owns: Any) -> None:
    with pytest.raises(ConfigurationError, match="SINGLE_PLATFORM"):
        ApiKeys(open_store("memory://"), owns=owns)


def test_owns_cannot_be_forgotten() -> None:
    construct: Callable[..., object] = ApiKeys
    with pytest.raises(TypeError, match="owns"):
        construct(open_store("memory://"))


def test_names_of_components_are_read_in_three_forms() -> None:
    assert component_names(ALL) is ALL
    assert component_names(["a", "b/c"]) == frozenset({"a/*", "b/c"})
    assert component_names({"a": ("x",), "b": ()}) == frozenset({"a", "a/x", "b"})


def test_a_form_knows_its_own() -> None:
    form = OpaqueForm("sk")
    assert form.mode("sk_test_x") == "test"
    assert form.mode("sk_live_x") == "live"
    assert form.beginnings == ("sk_live_", "sk_test_")


def test_a_key_by_id_is_as_the_store_has_it(house: House) -> None:
    key_id = house.minter().credential_id
    found = house.store.answer(FindKeyById(key_id))
    assert found is not None
    assert found.kind == "secret_key"


@pytest.mark.parametrize("wrong", [{"account": "acct_1"}, {"acounts": {"acct_1"}}, {"expires_in": 60}])
def test_a_mistyped_keyword_makes_no_key_of_everything(house: House, wrong: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=f"no '{next(iter(wrong))}'; it takes platform, mode"):
        house.keys.create(platform="acme", mode="live", **wrong)
    assert house.keys.list() == ()


def test_a_key_needs_a_platform_and_a_mode(house: House) -> None:
    with pytest.raises(TypeError, match="needs 'mode'"):
        house.keys.create(platform="acme")  # type: ignore[call-arg]


# --- rotation --------------------------------------------------------------------------------------------------------


def test_a_rotated_key_keeps_its_id_and_what_it_minted_and_both_secrets_work_for_a_while(house: House) -> None:
    old = house.keys.create(platform="plat", mode="live", accounts={"acct_1"}, name="shop")
    by = house.guard.check(old.secret)
    minted = house.sessions.create(by=by).client_secret
    new = house.keys.rotate(old.id, overlap=600)
    assert new.id == old.id
    assert new.secret != old.secret
    assert house.guard.check(new.secret).grant.accounts == frozenset({"acct_1"})
    assert house.guard.check(old.secret).expires_at == START + 600
    house.clock.advance(599)
    house.guard.check(old.secret)
    house.guard.check(minted)
    house.clock.advance(1)
    assert code_of(partial(house.guard.check, old.secret)) == "key_expired"
    assert house.guard.check(new.secret).expires_at == math.inf
    house.guard.check(minted)


def test_a_cached_verdict_on_a_secret_does_not_outlive_its_overlap(house: House) -> None:
    old = house.keys.create(platform="plat", mode="live")
    house.guard.check(old.secret)
    house.keys.rotate(old.id, overlap=0)
    assert code_of(partial(house.guard.check, old.secret)) == "key_expired"


def test_a_second_rotation_ends_the_oldest_secret_at_once(house: House) -> None:
    first = house.keys.create(platform="plat", mode="live")
    second = house.keys.rotate(first.id)
    third = house.keys.rotate(first.id)
    assert code_of(partial(house.guard.check, first.secret)) == "credential_invalid"
    for secret in (second.secret, third.secret):
        assert house.guard.check(secret).credential_id == first.id


def test_a_secret_retired_as_compromised_ends_with_all_that_the_key_minted(house: House) -> None:
    old = house.keys.create(platform="plat", mode="live")
    by = house.guard.check(old.secret)
    session = house.sessions.create(by=by, account="acct_1").client_secret
    token = house.signer.sign(by=by, tenant_id="acct_1").jwt
    for text in (session, token):
        house.guard.check(text)
    new = house.keys.rotate(old.id, overlap=600, compromised=True)
    assert code_of(partial(house.guard.check, old.secret)) == "key_revoked"
    assert code_of(partial(house.guard.check, session)) == "session_revoked"
    assert code_of(partial(house.guard.check, token)) == "token_revoked"
    house.clock.advance(0.001)
    after = house.sessions.create(by=house.guard.check(new.secret), account="acct_1").client_secret
    assert house.guard.check(after).account == "acct_1"


def test_what_cannot_be_rotated(house: House) -> None:
    made = house.keys.create(platform="plat", mode="live")
    with pytest.raises(KeyError):
        house.keys.rotate("key_unknown")
    for overlap in (-1, math.nan, 91 * 86_400):
        with pytest.raises(ValueError, match="overlap"):
            house.keys.rotate(made.id, overlap=overlap)
    house.keys.revoke(made.id)
    ended = house.keys.create(platform="plat", mode="live", expires_at=START + 1)
    house.clock.advance(1)
    for key_id in (made.id, ended.id):
        with pytest.raises(ValueError, match="has ended"):
            house.keys.rotate(key_id)


def test_a_key_that_vanishes_while_it_is_rotated_is_unknown() -> None:
    class Vanishing(Recording):
        def answer(self, question: Any, /) -> Any:
            return None if isinstance(question, RotateKey) else super().answer(question)

    house = build(RULES, store=Vanishing(open_store("memory://")))
    made = house.keys.create(platform="plat", mode="live")
    with pytest.raises(KeyError):
        house.keys.rotate(made.id)


@pytest.mark.anyio
async def test_rotating_does_not_hold_up_an_event_loop(house: House) -> None:
    made = await house.keys.create_async(platform="plat", mode="live")
    new = await house.keys.rotate_async(made.id)
    assert (await house.guard.check_async(new.secret)).credential_id == made.id


def test_what_was_minted_from_a_look_before_a_narrowing_has_ended_however_they_interleave() -> None:
    store = Recording(open_store("memory://", clock=(clock := Clock())))
    house = build(RULES, store=store, clock=clock)
    by = house.minter()

    def tick() -> None:
        clock.advance(0.001)

    # The store has stamped the narrowing's cut-off; another process still sees the key as it was, a moment later.
    minted: list[str] = []
    seen = store.store.answer(FindMinter(by.credential_id))

    def mint() -> None:
        tick()
        late = Minter(seen.key, int(clock() * 1_000))
        store.replies[FindMinter] = late
        minted.append(house.sessions.create(by=by, account="acct_1").client_secret)
        tick()

    store.after[ChangeKey] = mint
    house.keys.narrow(by.credential_id, accounts={"acct_2"})
    assert code_of(partial(house.guard.check, minted[0])) == "session_revoked"


# --- last use --------------------------------------------------------------------------------------------------------


def used(house: House, key_id: str) -> float | None:
    (key,) = [key for key in house.keys.list() if key.id == key_id]
    return key.last_used_at


def test_when_a_key_was_last_used_is_written_at_most_once_a_minute() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    made = house.keys.create(platform="plat", mode="live")
    assert used(house, made.id) is None
    uses = house.keys._uses
    writes = []
    for _ in range(20):
        house.guard.check(made.secret)
        uses.write()
        writes.append(store.count(NoteUses))
        house.clock.advance(10)
    assert used(house, made.id) == START + 180
    assert writes[-1] == 4


def test_a_store_that_is_away_loses_no_more_than_the_note(caplog: pytest.LogCaptureFixture) -> None:
    uses = KeyUses(Failing(StoreUnavailable("gone")))
    uses.note(KeyRecord("k", b"d", "secret_key", Grant("plat", "live"), "", START), START)
    uses.write()
    assert "gone" in caplog.text
    uses.write()


def test_nothing_is_written_where_nothing_was_used(house: House) -> None:
    store = Recording(house.store)
    KeyUses(store).work()
    assert store.asked == []


def test_uses_are_written_in_a_thread_of_their_own(house: House) -> None:
    written = threading.Event()
    store = Recording(house.store)
    store.after[NoteUses] = written.set
    uses = KeyUses(store)
    uses.note(KeyRecord("k", b"d", "secret_key", Grant("plat", "live"), "", START), START)
    uses.work()
    assert written.wait(10)


@pytest.mark.parametrize(
    "asked", [{"accounts": {"a/b"}}, {"components": {"Call Logs"}}, {"roles": {"A B"}}, {"expires_at": 1e15}]
)
def test_a_key_is_not_narrowed_to_what_could_be_nobodys(house: House, asked: dict[str, Any]) -> None:
    made = house.keys.create(platform="plat", mode="live")
    with pytest.raises(ValueError, match=r"cannot be|year 9999"):
        house.keys.narrow(made.id, **asked)
    assert house.guard.check(made.secret).grant.accounts is ALL
