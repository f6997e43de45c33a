"""`guard.explain` tells of the decision that is taken, holds nothing of a credential, and leaves nothing behind."""

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import CASES, ROUTES, WS, Case, World, world
from guestpass import Credential, Grant, Guard, Policy, Principal, Refusal, Rule, StoreUnavailable
from guestpass.asgi import GuardMiddleware, request_of
from guestpass.errors import ConfigurationError
from guestpass.explaining.explanation import STEPS, Explanation, explain
from guestpass.quoting import PIECE
from guestpass.records import FindKey
from guestpass.requests import Request, written
from guestpass.rules import Need
from guestpass.testing import IdentityProvider, principal
from support import (
    COMPONENTS,
    ROLES,
    Clock,
    House,
    Recording,
    bearer,
    build,
    call,
    decided,
    echo,
    http_scope,
    socket_scope,
)
from test_doors import scope_of


def everything(told: Explanation) -> str:
    """All that an explanation can be made to say."""
    return "\n".join([str(told), repr(told), json.dumps(told.as_data()), repr(told.steps), repr(told.principal)])


def holds_nothing_of(told: Explanation, credentials: Sequence[str]) -> None:
    said = everything(told)
    for text in credentials:
        for start in range(len(text) - PIECE + 1):
            assert text[start : start + PIECE] not in said


def is_of(told: Explanation, verdict: Principal | Refusal) -> None:
    """It tells of just this verdict, and of where it came about."""
    assert told.verdict == verdict
    assert told.allowed == isinstance(verdict, Principal)
    assert told.code == (None if isinstance(verdict, Principal) else verdict.code)
    assert [step.name for step in told.steps] == list(STEPS)
    states = [step.state for step in told.steps]
    assert states.count("refused") == (0 if told.allowed else 1)
    # Passed, then refused perhaps, then not reached: in this order.
    order = ["passed", "refused", "not reached"]
    assert states == sorted(states, key=order.index)
    assert all((step.saw == "") == (step.state == "not reached") for step in told.steps)
    if isinstance(verdict, Refusal):
        refused = next(step for step in told.steps if step.state == "refused")
        assert refused.name == told.refused_at


def row(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


def request_for(case: Case, made: World) -> Request:
    return request_of(scope_of(case, made))


def secrets_of(case: Case, made: World) -> list[str]:
    """The credentials of a row, wherever they stand."""
    shown = json.dumps([case.target, case.headers, case.subprotocols])
    named = [text for name, text in made.credentials.items() if name == case.credential or f"<{name}>" in shown]
    return [text for text in named if len(text) >= PIECE and not text.startswith("gp_")]


@pytest.mark.parametrize("case", [case for case in CASES if case.method != "HTTP"], ids=lambda case: case.name)
def test_every_case_is_explained_as_it_is_decided(case: Case) -> None:
    made = world("explain", with_rules=True)
    request = request_for(case, made)
    first = made.guard.explain(request)
    is_of(first, decided(made.guard, request))
    # And once more, now that the cache may know it.
    again = made.guard.explain(request)
    is_of(again, decided(made.guard, request))
    assert again.refused_at == first.refused_at
    for told in (first, again):
        holds_nothing_of(told, secrets_of(case, made))


GOOD = (
    "sk",
    "sk_one",
    "sk_two",
    "sk_low",
    "pk",
    "cs",
    "cs_2",
    "cs_plain",
    "cs_admin",
    "jwt",
    "jwt_plain",
    "jwt_agent",
    "gp",
)


@pytest.mark.anyio
@pytest.mark.parametrize("case", [case for case in CASES if case.code is not None], ids=lambda case: case.name)
async def test_what_the_operator_is_told_stands_in_no_answer(case: Case) -> None:
    made = world("explain", with_rules=True)
    request = request_for(case, made)
    verdict, door = decided(made.guard, request), GuardMiddleware(echo, made.guard)
    if isinstance(verdict, Principal):
        # What is wrong with a body is the issuing API's to say.
        return
    for http_response in (True, False):
        answered = repr((await call(door, scope_of(case, made, http_response=http_response))).sent)
        assert not verdict.because or verdict.because not in answered
        assert not verdict.credential_id or verdict.credential_id not in answered
        assert replace(verdict, because="", credential_id="").problem() == verdict.problem()


credential_names = st.one_of(
    *[st.sampled_from(GOOD)] * 4, st.sampled_from(sorted(world("explain", with_rules=True).credentials)), st.none()
)
accounts = st.one_of(*[st.sampled_from(("acct_1", "acct_2"))] * 3, st.sampled_from(("stranger", "", "a/b", "acct_1é")))


def seldom(draw: st.DrawFn) -> bool:
    """True once in ten times, and not the first that is tried."""
    return draw(st.sampled_from(range(10))) == 7


needs_of = st.fixed_dictionaries(
    {},
    optional={
        "component": st.sampled_from((None, *COMPONENTS)),
        "role": st.sampled_from((None, *ROLES)),
        "kinds": st.sampled_from(
            (None, {"secret_key"}, {"account_session", "signed_token"}, {"gate_pass", "secret_key"})
        ),
        "account": st.sampled_from((True, False, "query:account_id", ("header:X-Tenant", "query:account_id"))),
        "mints": st.booleans(),
    },
)


@st.composite
def rules(draw: st.DrawFn) -> list[Rule]:
    """Some rules at the places of the table, with any needs."""
    places = draw(st.lists(st.sampled_from([(m, p) for m, p, _ in ROUTES]), min_size=9, max_size=16, unique=True))
    made: list[Rule] = []
    for method, path in places:
        need: Need = draw(needs_of)  # type: ignore[assignment]
        if seldom(draw):
            need = Need(public=True, optional=draw(st.booleans()), reason="a test")
        try:
            made.append(Rule(f"{method} {path}", **need))
        except ConfigurationError:
            made.append(Rule(f"{method} {path}"))
    return made


@st.composite
def requests(draw: st.DrawFn, made: World) -> tuple[Request, list[str]]:
    """A request for one of the places, or near one, with any credentials in any place; and those credentials."""
    method, path, _ = draw(st.sampled_from(ROUTES))
    for name in ("account", "tenant", "name..."):
        path = path.replace(f"{{{name}}}", draw(accounts))
    if seldom(draw):
        path += draw(st.sampled_from(("/", "//", "x", "/..", "%2F", "?account_id=acct_1&account_id=acct_2")))
    named = draw(st.lists(credential_names, min_size=1, max_size=2))
    used = [made.credentials[name] for name in named if name is not None]
    paired = method == WS and draw(st.booleans())
    headers: list[tuple[str, str]] = []
    if not paired or seldom(draw):
        scheme = draw(st.sampled_from(("bearer ", "Basic ", ""))) if seldom(draw) else "Bearer "
        headers += [("Authorization", scheme + text) for text in used[: 2 if seldom(draw) else 1]]
    announced = draw(st.sampled_from(("jwt", "client_secret", "apikey", "token")))
    offered = ["mqtt", announced, *used[:1]] if paired or seldom(draw) else []
    if draw(st.booleans()):
        headers.append(("Account-Id", draw(accounts)))
    if used and seldom(draw):
        # Where none belongs.
        headers.append((draw(st.sampled_from(("Account-Id", "Origin", "X-Tenant", "Cookie", "X-Api-Key"))), used[0]))
        path += f"/{used[0]}" if "?" not in path and draw(st.booleans()) else ""
    if seldom(draw):
        headers.append(("Origin", "https://shop.example"))
    if method == WS:
        return request_of(socket_scope(path, headers, offered)), used
    if seldom(draw):
        method = draw(st.sampled_from(("HEAD", "DELETE", "BREW")))
    return request_of(http_scope(method, path, headers)), used


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_what_is_explained_is_what_is_decided(data: st.DataObject) -> None:
    made = world("explain", with_rules=True)
    house = made.house
    try:
        policy = Policy(*data.draw(rules()), components=COMPONENTS, roles=ROLES)
    except ConfigurationError:
        # Two of them are for the same requests.
        policy = house.guard.policy
    guard = Guard(
        authenticators=list(house.guard.authenticators),
        policy=policy,
        mode=data.draw(st.sampled_from(("live", "live", "live", "live", "test"))),
        clock=house.clock,
    )
    for request, used in data.draw(st.lists(requests(made), min_size=4, max_size=8)):
        told = guard.explain(request)
        is_of(told, decided(guard, request))
        is_of(guard.explain(request), decided(guard, request))
        holds_nothing_of(told, [text for text in used if not text.startswith("gp_")])


TABLE: Sequence[tuple[str, str, str]] = (
    # The rows of the table of refusals: a row of the cases, its code, and the check that refuses.
    ("nothing", "credential_missing", "header form"),
    ("another scheme", "credential_missing", "header form"),
    ("two in one header", "credential_malformed", "header form"),
    ("socket: pair and header", "credential_malformed", "header form"),
    ("invalid: sk_unknown", "credential_invalid", "credential"),
    ("invalid: jwt_forged", "credential_invalid", "credential"),
    ("invalid: jwt_stranger", "credential_invalid", "credential"),
    ("invalid: jwt_audience", "credential_invalid", "credential"),
    ("invalid: cs_test", "credential_invalid", "mode"),
    ("expired session", "session_expired", "credential"),
    ("expired token", "token_expired", "credential"),
    ("expired key", "key_expired", "credential"),
    ("revoked session", "session_revoked", "credential"),
    ("token of a revoked account", "token_revoked", "credential"),
    ("revoked key", "key_revoked", "credential"),
    ("socket: a secret key from a page", "secret_key_in_browser", "credential"),
    ("no rule, a session", "rule_missing", "rule"),
    ("a publishable key where its kind is not named", "kind_refused", "kind"),
)


@pytest.mark.parametrize(("name", "code", "step"), TABLE)
def test_each_row_of_the_table_of_refusals(name: str, code: str, step: str) -> None:
    made = world("explain", with_rules=True)
    told = made.guard.explain(request_for(row(name), made))
    assert (told.code, told.refused_at) == (code, step)
    assert f"refused: {told.verdict.status} {code}" in str(told)  # type: ignore[union-attr]
    if code.endswith(("invalid", "expired", "revoked", "browser")):
        assert told.because
        assert f"because {told.because}" in str(told)


def refused(told: Explanation) -> tuple[str | None, str | None, str]:
    saw = next(step.saw for step in told.steps if step.state == "refused")
    return told.code, told.refused_at, saw


def ask(line: str, name: str, *headers: tuple[str, str]) -> Explanation:
    made = world("explain", with_rules=True)
    return made.guard.explain(line, headers=[*bearer(made.credentials[name]).items(), *headers])


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (
            lambda: ask("POST /v1/account_sessions", "cs"),
            ("escalation_denied", "mint", "only a secret_key mints, and this is an account_session"),
        ),
        (
            lambda: ask("GET /v1/call_logs", "sk"),
            (
                "account_missing",
                "account",
                "nothing names one, in the header Account-Id; the credential has every account",
            ),
        ),
        (
            lambda: ask("GET /v1/accounts/acct_2/call_logs", "cs", ("Account-Id", "acct_1")),
            (
                "account_mismatch",
                "account",
                "the header Account-Id names 'acct_1'; {account} in the path names 'acct_2'; the credential has acct_1",
            ),
        ),
        (
            lambda: ask("GET /v1/call_logs", "sk", ("Account-Id", "strange")),
            (
                "account_refused",
                "account",
                "the header Account-Id names 'strange'; the credential has every account, "
                "and it is not plat's, by owns(…)",
            ),
        ),
        (
            lambda: ask("GET /v1/voicemails", "cs"),
            (
                "component_disabled",
                "component",
                "needed: voicemails; the credential has call_logs, call_logs/export, call_logs/transcripts",
            ),
        ),
        (
            lambda: ask("GET /v1/transcripts", "cs_plain"),
            ("feature_disabled", "feature", "needed: call_logs/transcripts; the credential has call_logs"),
        ),
        (
            lambda: ask("GET /v1/admin", "jwt_agent"),
            ("role_insufficient", "role", "needed: admin; the credential has agent, external_entity"),
        ),
        (
            lambda: ask("GET /v1//call_logs", "cs"),
            ("path_ambiguous", "path", "an empty segment, //"),
        ),
        (
            lambda: ask("GET /v1/call_logs%2Fx", "cs"),
            ("path_ambiguous", "path", "an encoded slash, %2F"),
        ),
    ],
    ids=lambda value: "" if callable(value) else value[0],
)
def test_it_shows_the_grant_against_the_need(told: Any, expected: tuple[str, str, str]) -> None:
    assert refused(told()) == expected


def test_an_outage_is_explained_at_the_check_that_it_fell_into() -> None:
    store = Recording(build().store)
    house = build([Rule("GET /v1/call_logs", component="call_logs")], store=store)
    secret, problem = house.key(), StoreUnavailable("the store is gone")

    def away() -> None:
        raise problem

    store.before[FindKey] = away
    told = house.guard.explain("GET /v1/call_logs", headers=bearer(secret))
    assert refused(told) == (
        "store_unavailable",
        "credential",
        "a secret_key by its form, looked up by ApiKeys: the store is gone",
    )
    assert told.because == "the store is gone"

    def owns(platform: str, account: str) -> bool:
        raise problem

    house = build([Rule("GET /v1/call_logs", component="call_logs")], owns=owns)
    told = house.guard.explain("GET /v1/call_logs", headers={**bearer(house.key()), "Account-Id": "acct_1"})
    assert (told.code, told.refused_at, told.because) == ("store_unavailable", "account", "the store is gone")


def test_keys_that_cannot_be_had_are_explained_so() -> None:
    with IdentityProvider(algorithm="ES256") as provider:
        token = provider.token()
        issuer = provider.authenticator()
    guard = Guard(authenticators=[issuer], policy=Policy(Rule("GET /v1/call_logs")), mode="test")
    told = guard.explain("GET /v1/call_logs", headers=bearer(token))
    assert refused(told) == (
        "keys_unavailable",
        "credential",
        "an identity_token by its form, looked up by JwtIssuer: the keys cannot be had right now (FetchFailed: no "
        "connection or no HTTP: ConnectionRefusedError)",
    )


@pytest.mark.parametrize("body", ["no JSON", "fields out of bounds", "an Idempotency-Key used again"])
def test_what_is_wrong_with_a_body_is_beyond_the_guard(body: str) -> None:
    # The request is let in; what the issuing API says of its body is no decision of the guard's.
    told = ask("POST /v1/account_sessions", "sk")
    assert told.allowed, body
    saw = {step.name: step.saw for step in told.steps}
    assert saw["mint"] == "only a secret_key mints, and this is a secret_key"
    assert saw["account"] == "the rule is for no account, and nothing names one; the credential has every account"


def test_too_many_look_ups_are_explained_so() -> None:
    house = build([Rule("GET /v1/call_logs")], lookups=1)
    one, other = house.session(), bearer(house.session())
    verdict = house.guard.decide(written("GET /v1/call_logs", bearer(one)))
    assert not isinstance(verdict, Principal | Refusal)
    # One look-up is under way, and stays so.
    next(verdict)
    told = house.guard.explain("GET /v1/call_logs", headers=other)
    assert (told.code, told.refused_at) == ("overloaded", "credential")
    verdict.close()
    assert house.guard.explain("GET /v1/call_logs", headers=other).allowed


def test_what_nobody_foresaw_is_explained_without_its_text() -> None:
    class Broken:
        prefixes = ("bk",)

        def kind_of(self, credential: Credential, /) -> str | None:
            return "broken" if credential.text.startswith("bk_") else None

        def authenticate(self, credential: Credential, now: float, /) -> Principal | Refusal:
            raise KeyError(credential.text)

    house = build([Rule("GET /v1/call_logs")], more=[Broken()])
    told = house.guard.explain("GET /v1/call_logs", headers=bearer("bk_a_secret_of_its_own"))
    assert (told.code, told.refused_at) == ("internal_error", "credential")
    assert told.because.startswith("the guard failed: KeyError at ")
    holds_nothing_of(told, ["bk_a_secret_of_its_own"])


def test_the_rules_nearby_are_named_and_why_they_are_not_it() -> None:
    house = build([
        Rule("GET /v1/call_logs", component="call_logs"),
        Rule("GET /v1/call_logs/{id}", component="call_logs"),
        Rule("POST /v1/call_logs/{id}/notes"),
        Rule("GET /v1/files/{name...}"),
        Rule("GET /v1/files/{name}/size"),
        Rule("GET /other"),
    ])  # fmt: skip
    secret = bearer(house.session())

    def notes(line: str) -> list[str]:
        told = house.guard.explain(line, headers=secret)
        return [note for step in told.steps if step.name == "rule" for note in step.notes]

    assert notes("GET /v1/call_log") == [
        "not GET /v1/call_logs: its segment 2 is 'call_logs', and the path has 'call_log' there"
    ]
    assert notes("DELETE /v1/call_logs") == ["not GET /v1/call_logs: it is for GET, and this is DELETE"]
    assert notes("WEBSOCKET /v1/call_logs") == ["not GET /v1/call_logs: it is for GET, and this is WEBSOCKET"]
    assert "not GET /v1/call_logs: it is for the path without the slash at the end" in notes("GET /v1/call_logs/")
    assert notes("GET /v1/call_logs/x/notes")[0] == (
        "not POST /v1/call_logs/{id}/notes: it is for POST, and this is GET"
    )
    assert notes("GET /v1/files/a/size") == [
        "not GET /v1/files/{name...}: it is for this request too, and less particular than GET /v1/files/{name}/size"
    ]
    assert "not GET /v1/files/{name...}: nothing follows where more must" in notes("GET /v1/files")
    assert notes("GET /nothing/at/all") == []


def test_a_route_that_says_nothing_is_named() -> None:
    from fastapi import FastAPI

    from guestpass.fastapi import protect
    from guestpass.guarded import guarded

    house, app = build([Rule("GET /v1/other")]), FastAPI(openapi_url=None)
    app.add_api_route("/v1/unmarked", lambda: None)
    protect(app, house.guard)
    guard = guarded(app).guard
    (note,) = [
        note for step in guard.explain("GET /v1/unmarked", headers=bearer(house.session())).steps for note in step.notes
    ]
    assert "this route says nothing of what it needs: needs(…)" in note


def test_a_route_that_takes_fewer_paths_than_its_rule_is_named() -> None:
    from fastapi import FastAPI

    from guestpass.fastapi import needs, protect
    from guestpass.guarded import guarded

    house, app = build(), FastAPI(openapi_url=None)

    @app.get("/v1/things/{number:int}")
    @needs()
    async def thing(number: int) -> None: ...

    protect(app, house.guard)
    guard, secret = guarded(app).guard, bearer(house.session())
    assert guard.explain("GET /v1/things/7", headers=secret).allowed
    told = guard.explain("GET /v1/things/seven", headers=secret)
    assert told.code == "rule_missing"
    assert "not GET /v1/things/{number}: its route does not take this path" in str(told)


def test_a_path_that_two_rules_compete_for_says_so() -> None:
    house = build([Rule("GET /admin/{rest...}", role="admin"), Rule("GET /{tenant}/logo")])
    told = house.guard.explain("GET /admin/logo", headers=bearer(house.session()))
    assert refused(told) == (
        "path_ambiguous", "path", "Two rules compete for it; one for just this path would end that.",
    )  # fmt: skip


def state_of(house: House) -> tuple[object, ...]:
    """All that a decision can leave behind."""
    guard = house.guard
    known, prover = guard.authenticators.ownership, guard._prover
    assert known is not None
    entries = {key: (entry, entry.versions, entry.until) for key, entry in guard._cache._entries.items()}
    admitted = {standing: frozenset(standing.admitted) for standing in prover._standings._kept.values()}
    under_way = dict(prover._look_ups._under_way)
    return entries, dict(house.keys._uses._noted), dict(known._known), admitted, under_way


def test_it_leaves_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    house = build([Rule("GET /v1/call_logs", component="call_logs")])
    key, session, token = house.key(), house.session(), house.token()
    house.clock.advance(120)
    house.guard.forget(lambda _: True)
    house.keys._uses.write()
    house.guard._prover._standings._kept.clear()
    house.guard.authenticators.ownership._known.clear()  # type: ignore[union-attr]
    assert not any(state_of(house))
    # One of them is known; nothing is yet known of what it opens, and of it news have been heard since.
    house.guard.check(session)
    house.revocations.account("plat", "acct_77")
    before = state_of(house)
    assert any(before)
    with caplog.at_level(logging.DEBUG):
        for secret in (key, session, token, key[:-1] + "x"):
            for more in ({}, {"Account-Id": "acct_5"}, {"Origin": "https://shop.example"}):
                house.guard.explain("GET /v1/call_logs", headers={**bearer(secret), **more})
    assert state_of(house) == before
    assert caplog.text == ""
    # As a real request does.
    decided(house.guard, written("GET /v1/call_logs", {**bearer(key), "Account-Id": "acct_5"}))
    assert all(state_of(house)[:4])


def test_nobody_waits_for_what_it_looks_up() -> None:
    house = build([Rule("GET /v1/call_logs", component="call_logs")])
    request = written("GET /v1/call_logs", bearer(house.session()))
    explaining = explain(house.guard, request)
    asked = next(explaining)
    verdict = house.guard.decide(request)
    assert not isinstance(verdict, Principal | Refusal)
    # It asks for itself.
    assert next(verdict).question == asked.question
    verdict.close()
    explaining.close()


def test_what_the_cache_knows_is_said_to_come_from_there() -> None:
    house = build([Rule("GET /v1/call_logs", component="call_logs")])
    request = written("GET /v1/call_logs", bearer(house.session()))
    assert "looked up by AccountSessions" in str(house.guard.explain(request))
    assert "looked up by AccountSessions" in str(house.guard.explain(request))
    decided(house.guard, request)
    assert "known from the cache" in str(house.guard.explain(request))


def test_an_end_that_only_the_cache_tells_of() -> None:
    house = build([Rule("GET /v1/call_logs", component="call_logs")])
    request = written("GET /v1/call_logs", bearer(house.session()))
    decided(house.guard, request)
    house.revocations.account("plat", "acct_1")
    told = house.guard.explain(request)
    is_of(told, decided(house.guard, request))
    assert refused(told)[:2] == ("session_revoked", "credential")
    assert told.because == "the list of revocations names it"


def test_a_change_of_the_policy_is_seen() -> None:
    house = build([Rule("GET /v1/call_logs", component="call_logs")])
    secret = bearer(house.session())
    assert house.guard.explain("GET /v1/other", headers=secret).code == "rule_missing"
    house.guard.add_rules([Rule("GET /v1/other")])
    assert house.guard.explain("GET /v1/other", headers=secret).allowed


def test_an_override_is_told_to_be_one() -> None:
    house = build([Rule("GET /v1/call_logs", component="call_logs")], mode="test")
    with house.guard.override(principal(account="acct_1", components=["call_logs"])):
        told = house.guard.explain("GET /v1/call_logs")
        assert told.allowed
        assert "in its place that of guard.override(…)" in str(told)
    assert house.guard.explain("GET /v1/call_logs").code == "credential_missing"


def test_whom_the_application_would_see() -> None:
    made = world("explain", with_rules=True)
    told = made.guard.explain("GET /v1/call_logs", headers={**bearer(made.credentials["sk"]), "Account-Id": "acct_1"})
    assert told.principal is not None
    assert told.principal["kind"] == "secret_key"
    assert told.principal["accounts"] == ["acct_1"]
    assert told.principal["components"] == "ALL"
    assert "let in:\n  kind: secret_key\n" in str(told)
    for public in ("GET /health", "GET /open"):
        told = made.guard.explain(public)
        assert told.allowed
        assert told.principal is None
        assert str(told).endswith("let in, as nobody in particular")


def test_a_credential_where_none_belongs_is_pointed_at() -> None:
    made = world("explain", with_rules=True)
    secret = made.credentials["cs"]
    told = made.guard.explain(f"GET /v1/call_logs?token={secret}", headers={"X-Api-Key": secret})
    assert refused(told)[2] == (
        "no Authorization header; the header x-api-key, the query has what looks like a credential, "
        "and none is accepted there"
    )
    holds_nothing_of(told, [secret])


@pytest.mark.anyio
async def test_it_goes_without_holding_up_an_event_loop() -> None:
    made = world("explain", with_rules=True)
    for case in (row("a session"), row("invalid: jwt_forged"), row("public, nothing presented")):
        request = request_for(case, made)
        told = await made.guard.explain_async(request)
        assert told == made.guard.explain(request)
        is_of(told, decided(made.guard, request))


def test_a_request_is_read_as_it_is_written() -> None:
    request = written("GET /v1/a%20b/c d?x=1&y=ü".replace(" d", "%20d"), {"Account-Id": " acct_1 "}, root_path="/v1")
    assert request == Request(
        "GET", "/a b/c d", "/v1/a b/c d", b"/v1/a%20b/c%20d", b"x=1&y=%C3%BC", [(b"account-id", b"acct_1")]
    )
    assert written("WS /v1/events").method == written("WEBSOCKET /v1/events").method == "(websocket)"
    assert written("GET /ü").raw_path == b"/%C3%BC"
    for line in ("", "GET", "/v1/x", "GET v1/x", "GET /v1/x y"):
        with pytest.raises(ValueError, match="write the method and the path"):
            written(line)


def test_a_credential_of_any_form_is_kept_out_of_sight() -> None:
    class Odd:
        def kind_of(self, credential: Credential, /) -> str | None:
            return "odd"

        def authenticate(self, credential: Credential, now: float, /) -> Principal | Refusal:
            # A mistake of its author's: what it says of itself is the credential.
            grant = Grant("plat", "live", frozenset({"acct_1"}))
            return Principal(kind="odd", subject=credential.text, grant=grant, credential_id=credential.text)

    house = build([Rule("GET /v1/call_logs", role=None)], more=[Odd()])
    secret = "Zm9vYmFyYmF6cXV4LW5vdC1hLWtub3duLWZvcm0"
    told = house.guard.explain("GET /v1/call_logs", headers=bearer(secret))
    assert told.allowed
    holds_nothing_of(told, [secret])


def test_a_method_is_no_place_for_a_credential_either() -> None:
    made = world("explain", with_rules=True)
    secret = made.credentials["cs"]
    for method in (secret, secret[3:], secret[8:]):
        told = made.guard.explain(f"{method} /v1/call_logs", headers=bearer(secret))
        assert told.code == "rule_missing"
        holds_nothing_of(told, [secret])


def calls_of_explain() -> Iterator[str]:
    import ast
    from pathlib import Path

    import guestpass

    for file in Path(guestpass.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("explain", "explain_async"):
                yield file.relative_to(Path(guestpass.__file__).parent).as_posix()


def test_no_door_hands_it_out() -> None:
    assert set(calls_of_explain()) <= {"cli/explain.py"}


def test_the_clock_of_the_tests_is_the_guards() -> None:
    clock = Clock()
    house = build([Rule("GET /v1/call_logs", component="call_logs")], clock=clock)
    secret = house.session(expires_in=60)
    clock.advance(61)
    told = house.guard.explain("GET /v1/call_logs", headers=bearer(secret))
    assert told.because == "it ended at 2030-03-17T17:47:40Z"


def test_a_credential_under_another_kinds_name_is_told_in_english() -> None:
    house = build([Rule("WEBSOCKET /v1/events")])
    secret = house.session()
    told = house.guard.explain("WEBSOCKET /v1/events", subprotocols=["jwt", secret])
    step = next(step for step in told.steps if step.name == "header form")
    assert step.saw == "the subprotocol jwt, and a credential after it, which is an account_session by its form"
