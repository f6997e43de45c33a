"""The kit: each kind of credential in one line, for guards of test mode alone."""

from functools import partial

import pytest

from guestpass import (
    ALL,
    SINGLE_PLATFORM,
    AccountSessions,
    ApiKeys,
    ConfigurationError,
    Guard,
    Policy,
    Refused,
    Rule,
    open_store,
)
from guestpass.testing import Clock, Kit
from support import GatePasses, build, code_of, policy

POLICY = policy(Rule("GET /v1/call_logs", component="call_logs"))


@pytest.fixture
def kit() -> Kit:
    return Kit.around(POLICY)


def test_a_session_is_for_one_account_and_what_it_says(kit: Kit) -> None:
    made = kit.session(account="acct_1", components=["call_logs"])
    session = kit.guard.check(made.client_secret)
    assert (session.kind, session.account, session.mode) == ("account_session", "acct_1", "test")
    assert session.grant.components == frozenset({"call_logs", "call_logs/transcripts", "call_logs/export"})
    assert session.grant.roles == frozenset({"external_entity"})
    assert made.client_secret.startswith("cs_test_")


def test_a_session_of_which_nothing_is_said_has_every_component(kit: Kit) -> None:
    session = kit.guard.check(kit.session().client_secret)
    assert session.account == "acct_test"
    assert session.grant.components == POLICY.all_components()


@pytest.mark.parametrize(
    ("asked", "had"),
    [
        ([], set[str]()),
        (["voicemails"], {"voicemails"}),
        (["call_logs/export"], {"call_logs", "call_logs/export"}),
        ({"call_logs": ["export"]}, {"call_logs", "call_logs/export"}),
        ({"call_logs": []}, {"call_logs"}),
        (["call_logs/export", "call_logs"], {"call_logs", "call_logs/transcripts", "call_logs/export"}),
    ],
)
def test_components_are_written_as_for_a_key(kit: Kit, asked: list[str] | dict[str, list[str]], had: set[str]) -> None:
    assert kit.guard.check(kit.session(components=asked).client_secret).grant.components == frozenset(had)
    assert kit.guard.check(kit.token(components=asked).jwt).grant.components == frozenset(had)


def test_a_token_is_for_one_user_and_has_no_component_unless_it_is_said(kit: Kit) -> None:
    user = "0b1c9f0e-33f6-4c61-8a2e-5d3c52b0a001"
    token = kit.guard.check(kit.token(subject=user, account="acct_1", roles=["agent"], metadata={"a": 1}).jwt)
    assert (token.kind, token.subject, token.account, dict(token.metadata)) == (
        "signed_token",
        user,
        "acct_1",
        {"a": 1},
    )
    assert token.grant.components == frozenset()
    assert token.grant.roles == frozenset({"external_entity", "agent"})
    assert kit.guard.check(kit.token(components=ALL).jwt).grant.components == POLICY.all_components()


def test_a_key_may_everything_unless_it_is_said(kit: Kit) -> None:
    assert kit.minter().grant.accounts is ALL
    held = kit.minter(accounts={"acct_1"}, components=["voicemails"], roles=["agent"])
    assert (held.account, held.grant.components) == ("acct_1", frozenset({"voicemails"}))
    assert kit.guard.check(kit.key(kind="publishable_key").secret).kind == "publishable_key"
    bound = kit.key(kind="publishable_key", origins={"https://a.example"}).secret
    assert code_of(lambda: kit.guard.check(bound)) == "credential_invalid"


def test_what_it_makes_ends_on_the_kits_time(kit: Kit) -> None:
    key, session = kit.key(expires_in=100).secret, kit.session(expires_in=60).client_secret
    kit.clock.advance(59.9)
    kit.guard.check(session)
    kit.clock.advance(0.1)
    assert code_of(lambda: kit.guard.check(session)) == "session_expired"
    kit.clock.advance(40)
    assert code_of(lambda: kit.guard.check(key)) == "key_expired"


def test_what_is_asked_wrongly_is_refused_as_ever(kit: Kit) -> None:
    with pytest.raises(Refused, match="validation_error"):
        kit.session(components=["nothing"])
    with pytest.raises(Refused, match="validation_error"):
        kit.session(expires_in=1)


def test_a_mistyped_keyword_does_not_pass_for_one_left_out(kit: Kit) -> None:
    with pytest.raises(TypeError, match=r"kit\.key has no 'account'; it takes kind, accounts"):
        kit.key(account="acct_1")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"kit\.session has no 'component'"):
        kit.session(component="call_logs")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"kit\.token has no 'tenant_id'; .*account.*subject, metadata"):
        kit.token(tenant_id="acct_1")  # type: ignore[call-arg]


def test_two_platforms_stay_apart(kit: Kit) -> None:
    mine, other = kit.session(), kit.session(platform="plat_other")
    assert kit.guard.check(mine.client_secret).platform == "plat_test"
    assert kit.guard.check(other.client_secret).platform == "plat_other"
    stranger = kit.minter(platform="plat_other")
    assert code_of(lambda: kit.sessions.revoke(mine.id, by=stranger)) == "session_unknown"


def test_nobody_is_asked_whose_an_account_is_to_make_a_session() -> None:
    def owns(platform: str, account: str) -> bool:
        raise AssertionError("no register in this test")

    kit = Kit.around(POLICY, owns=owns)
    assert kit.guard.check(kit.session(account="acct_9").client_secret).account == "acct_9"


def test_a_live_guard_gets_nothing() -> None:
    house = build([Rule("GET /")], mode="live")
    with pytest.raises(ConfigurationError, match=r"Guard\(mode=settings\.mode\)"):
        Kit(house.guard)
    with pytest.raises(ConfigurationError, match=r"Kit\.around\(policy\)"):
        Kit(POLICY)  # type: ignore[arg-type]


def test_a_live_guard_on_the_same_store_refuses_all_that_the_kit_makes() -> None:
    clock = Clock()
    store = open_store("memory://", clock=clock)
    live = build(POLICY, mode="live", store=store, clock=clock)  # type: ignore[arg-type]
    house = build(POLICY, mode="test", store=store, clock=clock)  # type: ignore[arg-type]
    kit = Kit(house.guard)
    made = (
        kit.key().secret,
        kit.key(kind="publishable_key").secret,
        kit.session(account="acct_1").client_secret,
        kit.token(account="acct_1").jwt,
    )
    for credential in made:
        assert kit.guard.check(credential).mode == "test"
        assert code_of(partial(live.guard.check, credential)) == "credential_invalid"


def test_it_finds_what_makes_credentials_in_the_guard_that_it_is_given() -> None:
    house = build(POLICY, mode="test")
    kit = Kit(house.guard)
    assert (kit.keys, kit.sessions, kit.signer) == (house.keys, house.sessions, house.signer)
    assert house.guard.check(kit.session().client_secret).account == "acct_test"


def test_what_the_guard_has_not_is_named() -> None:
    guard = Guard(authenticators=[GatePasses()], policy=POLICY, mode="test")
    kit = Kit(guard)
    for ask in (kit.key, kit.session, kit.token):
        with pytest.raises(ConfigurationError, match=r"Guard\(authenticators=\["):
            ask()
    with pytest.raises(ConfigurationError, match=r"clock=guestpass\.testing\.Clock\(\)"):
        _ = kit.clock


def test_a_guard_whose_keys_are_kept_elsewhere_has_sessions_too() -> None:
    clock = Clock()
    sessions = AccountSessions(open_store("memory://", clock=clock), clock=clock)
    kit = Kit(Guard(authenticators=[sessions], policy=POLICY, mode="test", clock=clock))
    assert kit.guard.check(kit.session(account="acct_1", components=["voicemails"]).client_secret).account == "acct_1"


def test_a_policy_without_roles_and_components_will_do() -> None:
    kit = Kit.around(Policy(Rule("GET /")))
    assert kit.guard.check(kit.session().client_secret).account == "acct_test"
    assert kit.guard.check(kit.token().jwt).account == "acct_test"


def test_more_authenticators_may_be_had() -> None:
    kit = Kit.around(POLICY, authenticators=[GatePasses()], owns=SINGLE_PLATFORM, platform="plat")
    assert code_of(lambda: kit.guard.check("gp_nothing")) == "credential_invalid"
    assert kit.minter().platform == "plat"
    assert isinstance(kit.keys, ApiKeys)


def test_time_never_goes_back() -> None:
    clock = Clock(5)
    clock.advance(0)
    for seconds in (-1, float("nan")):
        with pytest.raises(ValueError, match="never goes back"):
            clock.advance(seconds)
    assert clock() == 5
    assert repr(clock) == "Clock(5)"
