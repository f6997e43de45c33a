"""Account sessions: what may be asked for, what comes out, and how they end."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from guestpass import (
    ALL,
    AccountSessions,
    ApiKeys,
    ConfigurationError,
    Guard,
    Policy,
    Principal,
    Refused,
    Rule,
    StoreUnavailable,
    open_store,
)
from guestpass.minting import DEFAULT_LIFETIME, MAX_LIFETIME, MIN_LIFETIME
from guestpass.records import AddSession, FindMinter, FindSession, RevokeSession, SessionRecord
from guestpass.revocation.feed import feed_of
from guestpass.revocation.revocations import Revocations
from support import START, Failing, House, Recording, build, code_of, policy

RULES = [Rule("GET /")]


@pytest.fixture
def house() -> House:
    return build(RULES)


def fields(action: Callable[[], object]) -> list[str]:
    """The fields that a validation error names."""
    with pytest.raises(Refused) as raised:
        action()
    assert raised.value.code == "validation_error", raised.value
    return sorted(error.field for error in raised.value.refusal.errors)


# --- what comes out --------------------------------------------------------------------------------------------------


def test_a_session_says_all_that_the_document_promises(house: House) -> None:
    made = house.sessions.create(
        by=house.minter(),
        account="acct_1",
        components={"call_logs": {"enabled": True, "features": {"transcripts": True}}},
    )
    assert re.fullmatch(r"as_[0-9A-Za-z]{21}", made.id)
    assert re.fullmatch(r"cs_live_[0-9A-Za-z]{39}", made.client_secret)
    assert made.expires_in == DEFAULT_LIFETIME == 3_600
    assert made.expires_at == datetime.fromtimestamp(START + 3_600, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (made.account, made.livemode) == ("acct_1", True)
    assert made.components == {
        "call_logs": {"enabled": True, "features": {"export": False, "transcripts": True}},
        "voicemails": {"enabled": False, "features": {}},
    }
    assert made.client_secret not in repr(made)


def test_a_sessions_principal_is_its_account(house: House) -> None:
    by = house.minter()
    principal = house.guard.check(house.sessions.create(by=by, account="acct_1").client_secret)
    assert (principal.kind, principal.platform, principal.mode) == ("account_session", "plat", "live")
    assert (principal.account, principal.subject, principal.minted_by) == ("acct_1", "acct_1", by.credential_id)
    assert principal.expires_at == START + 3_600
    assert principal.issued_at == START
    assert principal.grant.roles == frozenset({"external_entity"})


def test_test_mode_makes_test_sessions() -> None:
    made = build(RULES, mode="test")
    session = made.sessions.create(by=made.minter(), account="acct_1")
    assert session.client_secret.startswith("cs_test_")
    assert session.livemode is False


@pytest.mark.anyio
async def test_the_async_forms_do_the_same(house: House) -> None:
    by = await house.guard.check_async((await house.keys.create_async(platform="plat", mode="live")).secret)
    made = await house.sessions.create_async(by=by, account="acct_1", roles=["agent"], idempotency_key="k")
    assert (await house.guard.check_async(made.client_secret)).grant.roles == frozenset({"external_entity", "agent"})
    ended = await house.sessions.revoke_async(made.id, by=by)
    assert ended.revoked_at == START
    with pytest.raises(Refused, match="session_revoked"):
        await house.guard.check_async(made.client_secret)


# --- components ------------------------------------------------------------------------------------------------------

ALL_NAMES = {"call_logs", "call_logs/transcripts", "call_logs/export", "voicemails"}
ASKED: list[tuple[Any, set[str]]] = [
    (None, ALL_NAMES),
    ({}, set()),
    ({"call_logs": {"enabled": True}}, {"call_logs", "call_logs/transcripts", "call_logs/export"}),
    ({"call_logs": {"enabled": True, "features": {}}}, {"call_logs"}),
    ({"call_logs": {"enabled": True, "features": {"export": True}}}, {"call_logs", "call_logs/export"}),
    ({"call_logs": {"enabled": True, "features": {"export": False}}}, {"call_logs"}),
    ({"call_logs": {"enabled": False}}, set()),
    ({"call_logs": {"enabled": False, "features": {"export": True}}}, set()),
    ({"voicemails": {"enabled": True}, "call_logs": {"enabled": False}}, {"voicemails"}),
]


@pytest.mark.parametrize(("asked", "enabled"), ASKED)
def test_a_session_reaches_only_what_is_enabled(
    house: House, asked: Mapping[str, Mapping[str, object]] | None, enabled: set[str]
) -> None:
    secret = house.session(components=asked)
    assert house.guard.check(secret).grant.components == frozenset(enabled)


def test_components_left_out_are_those_of_the_minting_key(house: House) -> None:
    by = house.minter(components={"call_logs": ("transcripts",)})
    made = house.sessions.create(by=by, account="acct_1")
    assert house.guard.check(made.client_secret).grant.components == frozenset({"call_logs", "call_logs/transcripts"})
    made = house.sessions.create(by=by, account="acct_1", components={"call_logs": {"enabled": True}})
    assert house.guard.check(made.client_secret).grant.components == frozenset({"call_logs", "call_logs/transcripts"})


BAD: list[tuple[dict[str, Any], list[str]]] = [
    ({"account": None}, ["account"]),
    ({"account": ""}, ["account"]),
    ({"account": "-"}, ["account"]),
    ({"account": "a" * 129}, ["account"]),
    ({"account": "a b"}, ["account"]),
    ({"account": "a\n"}, ["account"]),
    ({"account": "ä"}, ["account"]),
    ({"account": 7}, ["account"]),
    ({"account": ["acct_1"]}, ["account"]),
    ({"expires_in": 59}, ["expires_in"]),
    ({"expires_in": 86_401}, ["expires_in"]),
    ({"expires_in": 0}, ["expires_in"]),
    ({"expires_in": -60}, ["expires_in"]),
    ({"expires_in": True}, ["expires_in"]),
    ({"expires_in": 3600.0}, ["expires_in"]),
    ({"expires_in": "3600"}, ["expires_in"]),
    ({"expires_in": math.inf}, ["expires_in"]),
    ({"components": []}, ["components"]),
    ({"components": "call_logs"}, ["components"]),
    ({"components": {"nothing": {"enabled": True}}}, ["components.nothing"]),
    ({"components": {"<script>": {"enabled": True}}}, ["components"]),
    ({"components": {7: {"enabled": True}}}, ["components"]),
    ({"components": {"call_logs": True}}, ["components.call_logs"]),
    ({"components": {"call_logs": None}}, ["components.call_logs"]),
    ({"components": {"call_logs": {"enabled": True, "admin": True}}}, ["components.call_logs"]),
    ({"components": {"call_logs": {}}}, ["components.call_logs.enabled"]),
    ({"components": {"call_logs": {"enabled": 1}}}, ["components.call_logs.enabled"]),
    ({"components": {"call_logs": {"enabled": "true"}}}, ["components.call_logs.enabled"]),
    ({"components": {"call_logs": {"enabled": True, "features": []}}}, ["components.call_logs.features"]),
    ({"components": {"call_logs": {"enabled": True, "features": {"x": True}}}}, ["components.call_logs.features.x"]),
    ({"components": {"voicemails": {"enabled": True, "features": {"x": True}}}}, ["components.voicemails.features.x"]),
    ({"components": {"call_logs": {"enabled": True, "features": {"a b": True}}}}, ["components.call_logs.features"]),
    (
        {"components": {"call_logs": {"enabled": True, "features": {"export": 1}}}},
        ["components.call_logs.features.export"],
    ),
    ({"roles": "admin"}, ["roles"]),
    ({"roles": ["king"]}, ["roles"]),
    ({"roles": [7]}, ["roles"]),
    ({"roles": {"admin": False}}, ["roles"]),
    ({"roles": 7}, ["roles"]),
    ({"idempotency_key": ""}, ["Idempotency-Key"]),
    ({"idempotency_key": "a b"}, ["Idempotency-Key"]),
    ({"idempotency_key": "k" * 256}, ["Idempotency-Key"]),
    ({"account": 7, "expires_in": 7, "roles": 7, "components": 7}, ["account", "components", "expires_in", "roles"]),
]


@pytest.mark.parametrize(("asked", "named"), BAD, ids=lambda value: str(value)[:60])
def test_a_field_out_of_bounds_is_named(house: House, asked: dict[str, Any], named: list[str]) -> None:
    by = house.minter()
    assert fields(lambda: house.sessions.create(by=by, **{"account": "acct_1", **asked})) == named


@pytest.mark.parametrize("seconds", [MIN_LIFETIME, MAX_LIFETIME])
def test_both_ends_of_the_lifetime_are_in(house: House, seconds: int) -> None:
    assert house.sessions.create(by=house.minter(), account="acct_1", expires_in=seconds).expires_in == seconds


@pytest.mark.parametrize("account", ["a", "0", "--", "a" * 128, "A-Za.z0_9:@-", "acct_1"])
def test_an_account_may_be_called_so(account: str) -> None:
    house = build(RULES, owns=lambda platform, account: True)
    assert house.guard.check(house.session(account)).account == account


def test_a_policy_without_components_and_roles_says_so_in_its_errors() -> None:
    house = build(Policy(Rule("GET /")))
    by = house.minter()
    with pytest.raises(Refused) as raised:
        house.sessions.create(by=by, account="acct_1", components={"x": {"enabled": True}}, roles=["x"])
    assert all("none" in error.reason for error in raised.value.refusal.errors)
    assert house.guard.check(house.session()).grant.roles == frozenset()


# --- never more than the minter --------------------------------------------------------------------------------------

EXCEEDING: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"accounts": {"acct_1"}}, {"account": "acct_2"}, "account"),
    ({"accounts": {"acct_1", "acct_2"}}, {"account": "acct_3"}, "account"),
    ({"components": {"voicemails"}}, {"components": {"call_logs": {"enabled": True}}}, "components"),
    (
        {"components": {"call_logs": ()}},
        {"components": {"call_logs": {"enabled": True, "features": {"export": True}}}},
        "components",
    ),
    ({"roles": {"agent"}}, {"roles": ["admin"]}, "roles"),
    ({"expires_at": START + 600}, {"expires_in": 601}, "expires_in"),
]


@pytest.mark.parametrize(("key", "asked", "dimension"), EXCEEDING)
def test_asking_for_more_is_refused_with_what_exceeded(
    house: House, key: dict[str, Any], asked: dict[str, Any], dimension: str
) -> None:
    by = house.minter(**key)
    with pytest.raises(Refused) as raised:
        house.sessions.create(by=by, **{"account": "acct_1", **asked})
    assert raised.value.code == "escalation_denied"
    assert f"in: {dimension}" in raised.value.refusal.detail


def test_narrow_takes_the_common_part(house: House) -> None:
    by = house.minter(components={"call_logs": ()}, roles={"agent"}, expires_at=START + 600)
    both: dict[str, dict[str, object]] = {
        "call_logs": {"enabled": True, "features": {"export": True}},
        "voicemails": {"enabled": True},
    }
    made = house.sessions.create(
        by=by, account="acct_1", components=both, roles=["admin"], expires_in=3_600, narrow=True
    )
    grant = house.guard.check(made.client_secret).grant
    assert (grant.components, grant.roles) == (frozenset({"call_logs"}), frozenset({"external_entity", "agent"}))
    assert made.expires_in == 600


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        ({"accounts": {"acct_1"}}, {"account": "acct_2"}),
        ({"components": {"voicemails"}}, {"components": {"call_logs": {"enabled": True}}}),
        ({"roles": set()}, {"roles": ["agent"]}),
    ],
)
def test_an_empty_common_part_is_refused(house: House, key: dict[str, Any], asked: dict[str, Any]) -> None:
    by = house.minter(**key)
    assert (
        code_of(lambda: house.sessions.create(by=by, **{"account": "acct_1", "narrow": True, **asked}))
        == "escalation_denied"
    )


def test_a_lifetime_left_out_is_cut_to_what_the_key_has_left(house: House) -> None:
    by = house.minter(expires_at=START + 600.5)
    made = house.sessions.create(by=by, account="acct_1")
    assert made.expires_in == 600
    house.clock.advance(600)
    assert code_of(lambda: house.sessions.create(by=by, account="acct_1")) == "key_expired"
    house.clock.advance(1)
    assert code_of(lambda: house.sessions.create(by=by, account="acct_1")) == "key_expired"


def test_a_key_of_one_account_needs_none_named(house: House) -> None:
    assert house.sessions.create(by=house.minter(accounts={"acct_7"})).account == "acct_7"


def test_only_a_secret_key_mints(house: House) -> None:
    others = [house.session(), house.token(), house.key(kind="publishable_key")]
    for text in others:
        by = house.guard.check(text)
        assert code_of(lambda by=by: house.sessions.create(by=by, account="acct_1")) == "escalation_denied"  # type: ignore[misc]
        assert code_of(lambda by=by: house.sessions.revoke("as_x", by=by)) == "escalation_denied"  # type: ignore[misc]


def test_every_account_that_a_platforms_key_names_must_be_its_own() -> None:
    asked: list[tuple[str, str]] = []

    def owns(platform: str, account: str) -> bool:
        asked.append((platform, account))
        return platform == "plat" and account == "acct_1"

    house = build(RULES, owns=owns)
    by = house.minter()
    assert code_of(lambda: house.sessions.create(by=by, account="acct_2")) == "account_refused"
    assert code_of(lambda: house.sessions.create(by=by, account="acct_1")) == "let in"
    other = house.minter(platform="other")
    assert code_of(lambda: house.sessions.create(by=other, account="acct_1")) == "account_refused"
    assert asked == [("plat", "acct_2"), ("plat", "acct_1"), ("other", "acct_1")]


def test_without_anybody_who_knows_whose_accounts_are_a_platforms_key_names_none() -> None:
    from guestpass import ALL, Credential, Grant

    class OwnKeys:
        prefixes = ("xk",)

        def kind_of(self, credential: Credential, /) -> str | None:
            return "secret_key" if credential.text.startswith("xk_") else None

        def authenticate(self, credential: Credential, now: float, /) -> Principal:
            everything = Grant("plat", "live", ALL, ALL, ALL)
            held = Grant("plat", "live", {"acct_1"}, ALL, ALL)  # type: ignore[arg-type]
            return Principal(
                "secret_key", "k", everything if credential.text == "xk_all" else held, "k" + credential.text
            )

    store = open_store("memory://")
    sessions = AccountSessions(store)
    guard = Guard(authenticators=[OwnKeys(), sessions], policy=policy(*RULES), mode="live")
    by = guard.check("xk_all")
    assert code_of(lambda: sessions.create(by=by, account="acct_1")) == "account_refused"
    # Keys that are kept elsewhere mint as far as their own grant goes.
    held = guard.check("xk_one")
    assert guard.check(sessions.create(by=held).client_secret).account == "acct_1"


def test_a_session_of_a_key_that_is_kept_elsewhere_is_minted_by_the_clock_of_its_own_store(house: House) -> None:
    # This process is ten minutes ahead of the store that has the sessions and what ends them.
    store = open_store("memory://", clock=lambda: START - 600)
    sessions = AccountSessions(store, clock=house.clock)
    guard = Guard(authenticators=[house.keys, sessions], policy=policy(*RULES), mode="live", clock=house.clock)
    secret = sessions.create(by=guard.check(house.key()), account="acct_1").client_secret
    assert guard.check(secret).account == "acct_1"
    Revocations(store).account("plat", "acct_1")
    assert code_of(lambda: guard.check(secret)) == "session_revoked"


# --- the state of the key --------------------------------------------------------------------------------------------


def test_a_revoked_key_mints_nothing_and_what_it_minted_has_ended(house: House) -> None:
    by = house.minter()
    first = house.sessions.create(by=by, account="acct_1").client_secret
    house.keys.revoke(by.credential_id)
    assert code_of(lambda: house.guard.check(first)) == "session_revoked"
    house.clock.advance(2)
    assert code_of(lambda: house.sessions.create(by=by, account="acct_1")) == "key_revoked"


def test_an_expired_key_mints_nothing(house: House) -> None:
    by = house.minter(expires_at=START + 100)
    house.clock.advance(100)
    assert code_of(lambda: house.sessions.create(by=by, account="acct_1")) == "key_expired"


def test_a_narrowed_key_gives_away_what_is_left_of_it_though_its_principal_is_still_held(house: House) -> None:
    by = house.minter()
    house.sessions.create(by=by, account="acct_1")
    house.keys.narrow(by.credential_id, components={"voicemails"})
    for seconds in (0, 0.5, 0.6, 5):
        house.clock.advance(seconds)
        made = house.sessions.create(by=by, account="acct_1")
        try:
            components = house.guard.check(made.client_secret).grant.components
        except Refused:
            continue
        assert components == frozenset({"voicemails"})
    assert components == frozenset({"voicemails"})


def test_a_key_narrowed_while_a_session_is_made_ends_it() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    by = house.minter()
    # Looked up before, kept after: the narrowing falls in between.

    def narrow() -> None:
        house.clock.advance(0.01)
        house.keys.narrow(by.credential_id, components={"voicemails"})

    store.before[AddSession] = narrow
    house.clock.advance(0.01)
    made = house.sessions.create(by=by, account="acct_1")
    house.clock.advance(5)
    assert code_of(lambda: house.guard.check(made.client_secret)) == "session_revoked"


def test_a_key_is_looked_up_anew_whenever_it_mints() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    by = house.minter()
    for _ in range(5):
        house.sessions.create(by=by, account="acct_1")
    assert store.count(FindMinter) == 5


# --- the end ---------------------------------------------------------------------------------------------------------


def test_a_session_ends_at_its_end(house: House) -> None:
    secret = house.session(expires_in=60)
    house.clock.now = START + 59.999
    assert house.guard.check(secret).account == "acct_1"
    house.clock.now = START + 60
    assert code_of(lambda: house.guard.check(secret)) == "session_expired"


def test_a_revoked_session_ends_at_once_here_and_within_a_second_elsewhere(house: House) -> None:
    elsewhere = build(RULES, store=Recording(house.store), clock=house.clock, seed=3)
    made = house.sessions.create(by=house.minter(), account="acct_1")
    house.guard.check(made.client_secret)
    elsewhere.guard.check(made.client_secret)
    house.sessions.revoke(made.id)
    assert code_of(lambda: house.guard.check(made.client_secret)) == "session_revoked"
    elsewhere.guard.check(made.client_secret)
    feed_of(elsewhere.store).read()
    assert code_of(lambda: elsewhere.guard.check(made.client_secret)) == "session_revoked"


def test_revoking_twice_keeps_the_first_instant(house: House) -> None:
    made = house.sessions.create(by=house.minter(), account="acct_1")
    first = house.sessions.revoke(made.id)
    house.clock.advance(10)
    assert house.sessions.revoke(made.id).revoked_at == first.revoked_at == START


def test_a_key_ends_only_sessions_of_its_platform_mode_and_accounts(house: House) -> None:
    test = build(RULES, mode="test", store=house.store, clock=house.clock, seed=5)
    made = house.sessions.create(by=house.minter(), account="acct_1")
    strangers = [house.minter(platform="other"), house.minter(accounts={"acct_2"}), test.minter()]
    for by in strangers:
        assert code_of(lambda by=by: house.sessions.revoke(made.id, by=by)) == "session_unknown"  # type: ignore[misc]
    assert code_of(lambda: house.sessions.revoke("as_never", by=house.minter())) == "session_unknown"
    assert code_of(lambda: house.sessions.revoke("as_never")) == "session_unknown"
    assert house.guard.check(made.client_secret).account == "acct_1"
    assert house.sessions.revoke(made.id, by=house.minter(accounts={"acct_1"})).revoked_at == START


def test_a_session_that_is_purged_while_it_is_revoked_is_unknown() -> None:
    class Purged(Recording):
        def answer(self, question):  # type: ignore[no-untyped-def]
            return None if isinstance(question, RevokeSession) else super().answer(question)

    house = build(RULES, store=Purged(open_store("memory://")))
    made = house.sessions.create(by=house.minter(), account="acct_1")
    assert code_of(lambda: house.sessions.revoke(made.id)) == "session_unknown"


def test_a_store_that_finds_another_session_is_not_believed(house: House) -> None:
    secret = house.session()

    class Confused(Recording):
        def answer(self, question):  # type: ignore[no-untyped-def]
            if isinstance(question, FindSession):
                from guestpass.credentials import digest

                question = FindSession(digest(secret))
            return super().answer(question)

    confused = build(RULES, store=Confused(house.store), clock=house.clock, seed=8)
    stranger = build(RULES, seed=9).session()
    assert code_of(lambda: confused.guard.check(stranger)) == "credential_invalid"


def test_a_mistyped_client_secret_is_refused_without_a_look() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    secret = house.session()
    before = len(store.asked)
    for text in (secret[:-1], secret + "a", secret.swapcase(), "cs_live_", "cs_live_" + "0" * 39):
        assert code_of(lambda text=text: house.guard.check(text)) == "credential_invalid"  # type: ignore[misc]
    assert len(store.asked) == before


# --- idempotency -----------------------------------------------------------------------------------------------------


def test_a_replay_answers_the_same_session_with_a_new_secret_and_the_old_one_ends(house: House) -> None:
    by = house.minter()
    first = house.sessions.create(by=by, account="acct_1", idempotency_key="k")
    house.guard.check(first.client_secret)
    house.clock.advance(100)
    again = house.sessions.create(by=by, account="acct_1", idempotency_key="k")
    assert (again.id, again.expires_at, again.expires_in) == (first.id, first.expires_at, 3_500)
    assert again.client_secret != first.client_secret
    assert code_of(lambda: house.guard.check(first.client_secret)) == "credential_invalid"
    assert house.guard.check(again.client_secret).credential_id == first.id


def test_another_body_under_the_same_key_is_a_conflict(house: House) -> None:
    by = house.minter()
    house.sessions.create(by=by, account="acct_1", idempotency_key="k")
    others: list[dict[str, Any]] = [
        {"account": "acct_2"},
        {"account": "acct_1", "expires_in": 60},
        {"account": "acct_1", "roles": ["external_entity"]},
        {"account": "acct_1", "components": {}},
    ]
    for body in others:
        assert (
            code_of(lambda body=body: house.sessions.create(by=by, idempotency_key="k", **body))  # type: ignore[misc]
            == "idempotency_conflict"
        )


def test_the_order_of_a_body_is_no_other_body(house: House) -> None:
    by = house.minter()
    one = house.sessions.create(
        by=by, account="acct_1", roles={"agent", "admin"}, idempotency_key="k",
        components={"call_logs": {"enabled": True}, "voicemails": {"enabled": True}},
    )  # fmt: skip
    other = house.sessions.create(
        by=by, account="acct_1", roles=frozenset({"admin", "agent"}), idempotency_key="k",
        components={"voicemails": {"enabled": True}, "call_logs": {"enabled": True}},
    )  # fmt: skip
    assert one.id == other.id


def test_an_idempotency_key_is_one_keys_own_and_lasts_a_day(house: House) -> None:
    one, other = house.minter(), house.minter()
    first = house.sessions.create(by=one, account="acct_1", idempotency_key="k", expires_in=86_400)
    assert house.sessions.create(by=other, account="acct_2", idempotency_key="k").id != first.id
    house.clock.advance(86_399)
    again = house.sessions.create(by=one, account="acct_1", idempotency_key="k", expires_in=86_400)
    assert (again.id, again.expires_in) == (first.id, 1)
    house.clock.advance(1)
    assert house.sessions.create(by=one, account="acct_2", idempotency_key="k").id != first.id


def test_a_replay_never_reaches_an_account_that_its_caller_may_not(house: House) -> None:
    by = house.minter()
    first = house.sessions.create(by=by, account="acct_1", idempotency_key="k")
    house.keys.narrow(by.credential_id, accounts={"acct_2"})
    house.clock.advance(2)
    assert code_of(lambda: house.sessions.create(by=by, account="acct_1", idempotency_key="k")) == "escalation_denied"
    assert code_of(lambda: house.guard.check(first.client_secret)) == "session_revoked"


@pytest.mark.parametrize("end", ["revoked", "expired", "of a narrowed key"])
def test_a_replay_of_a_session_that_has_ended_opens_nothing(house: House, end: str) -> None:
    by = house.minter()
    first = house.sessions.create(by=by, account="acct_1", idempotency_key="k", expires_in=60)
    if end == "revoked":
        house.sessions.revoke(first.id)
    elif end == "expired":
        house.clock.advance(60)
    else:
        house.keys.narrow(by.credential_id, components={"call_logs"})
    body: dict[str, Any] = {"account": "acct_1", "idempotency_key": "k", "expires_in": 60}
    assert code_of(lambda: house.sessions.create(by=by, **body)) == "idempotency_conflict"
    assert code_of(lambda: house.guard.check(first.client_secret)) != "let in"


# --- construction ----------------------------------------------------------------------------------------------------


def test_outside_a_guard_nothing_is_minted() -> None:
    sessions = AccountSessions(open_store("memory://"))
    by = build(RULES).minter()
    with pytest.raises(ConfigurationError, match="Guard"):
        sessions.create(by=by, account="acct_1")


def test_guards_that_share_sessions_need_one_vocabulary() -> None:
    house = build(RULES)
    with pytest.raises(ConfigurationError, match="same components and roles"):
        Guard(authenticators=[house.sessions, house.keys], policy=Policy(*RULES, roles=("king",)), mode="live")
    Guard(authenticators=[house.sessions, house.keys], policy=policy(*RULES), mode="test")


def test_the_prefix_is_a_setting() -> None:
    store = open_store("memory://")
    keys = ApiKeys(store, owns=lambda platform, account: True, secret_prefix="key", publishable_prefix="pub")
    sessions = AccountSessions(store, prefix="sess")
    guard = Guard(authenticators=[keys, sessions], policy=policy(*RULES), mode="live")
    by = guard.check(keys.create(platform="plat", mode="live").secret)
    secret = sessions.create(by=by, account="acct_1").client_secret
    assert secret.startswith("sess_live_")
    assert guard.check(secret).account == "acct_1"
    for prefix in ("", "CS", "c_s", "9", "c s"):
        with pytest.raises(ValueError, match="prefix"):
            AccountSessions(store, prefix=prefix)


def test_a_store_out_of_reach_is_told_to_whoever_mints() -> None:
    house = build(RULES)
    by = house.minter()
    broken = build(RULES, store=Failing(StoreUnavailable("gone")))
    with pytest.raises(StoreUnavailable):
        broken.sessions.create(by=by, account="acct_1")


def test_a_principal_that_does_not_fit_its_key_mints_nothing(house: House) -> None:
    from dataclasses import replace

    by = house.minter()
    for stranger in (replace(by.grant, platform="other"), replace(by.grant, mode="test")):
        forged = by.but(grant=stranger)
        assert code_of(lambda forged=forged: house.sessions.create(by=forged, account="acct_1")) == "escalation_denied"  # type: ignore[misc]


def test_a_body_may_be_of_any_mapping(house: House) -> None:
    from types import MappingProxyType

    by = house.minter()
    setting = MappingProxyType({"enabled": True, "features": MappingProxyType({"export": True})})
    asked: dict[str, Any] = {"account": "acct_1", "components": MappingProxyType({"call_logs": setting})}
    first = house.sessions.create(by=by, idempotency_key="k", **asked)
    plain: dict[str, Any] = {"call_logs": {"enabled": True, "features": {"export": True}}}
    again = house.sessions.create(by=by, idempotency_key="k", account="acct_1", components=plain)
    assert again.id == first.id


def test_a_session_ends_by_its_own_name_too(house: House) -> None:
    made = house.sessions.create(by=house.minter(), account="acct_1")
    house.revocations.credential(house.guard.check(made.client_secret))
    assert code_of(lambda: house.guard.check(made.client_secret)) == "session_revoked"


def test_a_store_that_answers_a_session_for_every_account_lets_nobody_in(house: House) -> None:
    class Generous(Recording):
        def answer(self, question: Any, /) -> Any:
            found = super().answer(question)
            if isinstance(found, SessionRecord):
                return replace(found, grant=replace(found.grant, accounts=ALL))
            return found

    generous = build(RULES, store=Generous(house.store), clock=house.clock, seed=8)
    secret = house.session()
    with pytest.raises(ValueError, match="one account"):
        generous.guard.check(secret)


def test_what_cannot_be_compared_is_a_mistake() -> None:
    from guestpass.sessions import _plain

    with pytest.raises(TypeError, match="cannot compare"):
        _plain(7)
