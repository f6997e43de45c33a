"""`guard.override`: every request as somebody, and the policy as ever."""

import threading
from contextlib import ExitStack, suppress

import pytest

from guestpass import ALL, ConfigurationError, Guard, Policy, Principal, Refusal, Rule
from guestpass.requests import Request
from guestpass.testing import Kit, principal
from support import COMPONENTS, ROLES, build, decided

POLICY = Policy(
    Rule("GET /v1/call_logs", component="call_logs"),
    Rule("GET /v1/exports", component="call_logs", feature="export"),
    Rule("GET /v1/admin", role="admin"),
    Rule("GET /v1/accounts/{account}/voicemails", component="voicemails"),
    Rule("POST /v1/mint", mints=True, account=False),
    Rule("GET /v1/config", kinds={"publishable_key"}, account=False),
    Rule("GET /health", public=True, reason="probe"),
    Rule("GET /open", public=True, optional=True, reason="page"),
    components=COMPONENTS,
    roles=ROLES,
)


@pytest.fixture
def kit() -> Kit:
    return Kit.around(POLICY)


def ask(guard: Guard, path: str, method: str = "GET", **headers: str) -> str:
    """The code of the refusal, or who is let in."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    verdict = decided(guard, Request(method, path, path, path.encode(), b"", raw))
    return verdict.code if isinstance(verdict, Refusal) else f"{verdict.kind} {verdict.account}"


def test_inside_every_request_is_the_principals_and_outside_none(kit: Kit) -> None:
    assert ask(kit.guard, "/v1/call_logs") == "credential_missing"
    with kit.guard.override(principal(account="acct_1")):
        assert ask(kit.guard, "/v1/call_logs") == "account_session acct_1"
        assert ask(kit.guard, "/v1/call_logs", authorization="Bearer nonsense") == "account_session acct_1"
    assert ask(kit.guard, "/v1/call_logs") == "credential_missing"
    assert ask(kit.guard, "/v1/call_logs", authorization="Bearer nonsense") == "credential_invalid"


@pytest.mark.parametrize(
    ("who", "method", "path", "answer"),
    [
        (principal(components=["voicemails"]), "GET", "/v1/call_logs", "component_disabled"),
        (principal(components={"call_logs": ()}), "GET", "/v1/exports", "feature_disabled"),
        (principal(components=["call_logs"]), "GET", "/v1/exports", "account_session acct_test"),
        (principal(), "GET", "/v1/admin", "role_insufficient"),
        (principal(roles=["admin"]), "GET", "/v1/admin", "account_session acct_test"),
        (principal(roles=["admin"]), "GET", "/v1/call_logs", "account_session acct_test"),
        (principal(account="acct_1"), "GET", "/v1/accounts/acct_2/voicemails", "account_mismatch"),
        (principal(account="acct_1"), "GET", "/v1/accounts/acct_1/voicemails", "account_session acct_1"),
        (principal("secret_key"), "GET", "/v1/accounts/acct_2/voicemails", "secret_key acct_2"),
        (principal("secret_key"), "GET", "/v1/call_logs", "account_missing"),
        (principal(), "POST", "/v1/mint", "escalation_denied"),
        (principal("signed_token", roles=ALL, account=ALL), "POST", "/v1/mint", "escalation_denied"),
        (principal("secret_key"), "POST", "/v1/mint", "secret_key None"),
        (principal("publishable_key"), "GET", "/v1/config", "publishable_key None"),
        (principal("publishable_key"), "GET", "/v1/call_logs", "kind_refused"),
        (principal("identity_token"), "GET", "/v1/call_logs", "account_missing"),
        (principal("gate_pass", components=ALL), "GET", "/v1/call_logs", "gate_pass acct_test"),
        (principal(), "GET", "/nowhere", "rule_missing"),
        (principal(), "GET", "/v1//call_logs", "path_ambiguous"),
        (principal(), "GET", "/health", "anyone None"),
        (principal(), "GET", "/open", "account_session acct_test"),
    ],
)
def test_the_policy_holds_as_ever(kit: Kit, who: Principal, method: str, path: str, answer: str) -> None:
    with kit.guard.override(who):
        assert ask(kit.guard, path, method) == answer


def test_a_secret_key_stays_out_of_browsers_and_a_publishable_one_at_its_origins(kit: Kit) -> None:
    with kit.guard.override(principal("secret_key", account="acct_1")):
        assert ask(kit.guard, "/v1/call_logs", origin="https://a.example") == "secret_key_in_browser"
    with kit.guard.override(principal("publishable_key", origins={"https://a.example"})):
        assert ask(kit.guard, "/v1/config", origin="https://a.example") == "publishable_key None"
        assert ask(kit.guard, "/v1/config", origin="https://b.example") == "credential_invalid"


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("account_session", "session_expired"),
        ("signed_token", "token_expired"),
        ("identity_token", "token_expired"),
        ("secret_key", "key_expired"),
        ("gate_pass", "credential_invalid"),
    ],
)
def test_it_ends_with_the_principal(kit: Kit, kind: str, code: str) -> None:
    who = principal(kind, account="acct_1", components=ALL, roles=ALL, expires_at=kit.clock() + 60)
    with kit.guard.override(who):
        assert ask(kit.guard, "/v1/call_logs") == f"{kind} acct_1"
        kit.clock.advance(60)
        assert ask(kit.guard, "/v1/call_logs") == code


def test_it_ends_when_the_principal_is_revoked(kit: Kit) -> None:
    made = kit.session(account="acct_1")
    with kit.guard.override(kit.guard.check(made.client_secret)):
        assert ask(kit.guard, "/v1/call_logs") == "account_session acct_1"
        kit.sessions.revoke(made.id)
        assert ask(kit.guard, "/v1/call_logs") == "session_revoked"


def test_a_backend_that_mints_in_process_still_is_who_it_is(kit: Kit) -> None:
    key = kit.key().secret
    with kit.guard.override(principal()):
        assert kit.guard.check(key).kind == "secret_key"


def test_one_inside_another_counts_until_it_ends_also_where_it_ends_badly(kit: Kit) -> None:
    with kit.guard.override(principal(account="acct_1")):
        with suppress(RuntimeError), kit.guard.override(principal(account="acct_2")):
            assert ask(kit.guard, "/v1/call_logs") == "account_session acct_2"
            raise RuntimeError
        assert ask(kit.guard, "/v1/call_logs") == "account_session acct_1"


def test_none_outlasts_its_block_whatever_order_they_end_in(kit: Kit) -> None:
    one, other = ExitStack(), ExitStack()
    one.enter_context(kit.guard.override(principal(account="acct_1")))
    other.enter_context(kit.guard.override(principal(account="acct_2")))
    one.close()
    assert ask(kit.guard, "/v1/call_logs") == "account_session acct_2"
    other.close()
    assert ask(kit.guard, "/v1/call_logs") == "credential_missing"


def test_requests_of_other_threads_are_overridden_too(kit: Kit) -> None:
    answers: list[str] = []
    with kit.guard.override(principal(account="acct_1")):
        thread = threading.Thread(target=lambda: answers.append(ask(kit.guard, "/v1/call_logs")))
        thread.start()
        thread.join(5)
    assert answers == ["account_session acct_1"]


def test_nothing_live_is_overridden(kit: Kit) -> None:
    live = build(POLICY, mode="live").guard
    with pytest.raises(ConfigurationError, match="the guard is in live mode"), live.override(principal()):
        raise AssertionError("let in")
    assert ask(live, "/v1/call_logs") == "credential_missing"
    house = build(POLICY, mode="live")
    lively = house.guard.check(house.session())
    with pytest.raises(ConfigurationError, match="the principal is in live mode"), kit.guard.override(lively):
        raise AssertionError("let in")
    with pytest.raises(ConfigurationError), live.override(lively):
        raise AssertionError("let in")


def test_a_principal_is_of_test_mode_and_like_those_of_its_kind() -> None:
    assert principal().identity == ("account_session", "key_test", "plat_test", "acct_test", "acct_test")
    assert principal(account="acct_1").subject == "acct_1"
    assert {principal(kind).mode for kind in ("secret_key", "signed_token", "own")} == {"test"}
    assert principal("secret_key").grant.accounts is ALL
    assert principal("publishable_key").grant.accounts == frozenset()
    assert principal("identity_token", account="acct_1").account == "acct_1"
    assert principal("signed_token").grant.components == frozenset()
    assert principal(account=ALL).account is None
    assert principal(metadata={"a": 1}).metadata == {"a": 1}
