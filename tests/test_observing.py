"""Whoever observes is told of each decision once, has no say in it, and costs nothing where nobody does."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from types import FrameType
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest

from cases import CASES, WS, Case, World, filled, world
from forwarding import behind
from guestpass import Guard, KeySet, KeysUnavailable, Principal, Refusal, Refused, Rule, StoreUnavailable
from guestpass.asgi import ASGIApp, GuardMiddleware, decide, request_of
from guestpass.concurrency.upkeep import Upkeep
from guestpass.errors import ConfigurationError, ConnectionEnded
from guestpass.events import SECURITY, Decided, Event, KeySetEvent, SecurityEvent, Tell
from guestpass.fastapi import needs, protect
from guestpass.guard import ANYONE
from guestpass.keysets.events import SPENT_EVERY
from guestpass.live.life import Life
from guestpass.observing import failures
from guestpass.quoting import PIECE
from guestpass.records import FindSession
from guestpass.requests import written
from guestpass.stores.http import Document, FetchFailed
from guestpass.testing import IdentityProvider
from guestpass.wsgi import GuardMiddleware as WSGIGuardMiddleware
from support import (
    Clock,
    GatePasses,
    House,
    Recording,
    ask_http,
    ask_socket,
    bearer,
    build,
    call,
    echo,
    judged,
    policy,
    recall,
    socket_scope,
)
from test_doors import headers_of, scope_of
from wsgi_support import ask_wsgi, echo_wsgi

RULES = [
    Rule("GET /health", public=True, reason="probes have no credential"),
    Rule("GET /v1/accounts/{account}/call_logs", component="call_logs"),
    Rule("POST /v1/tickets", mints=True),
]
LOGS = "/v1/accounts/acct_1/call_logs"
PATTERN = "GET /v1/accounts/{account}/call_logs"


class Heard(list[Event]):
    """An observer that remembers."""

    def __call__(self, event: Event) -> None:
        self.append(event)

    def decisions(self) -> list[Decided]:
        """The decisions, in order."""
        return [event for event in self if isinstance(event, Decided)]

    def security(self) -> list[SecurityEvent]:
        """What bears on security, in order."""
        return [event for event in self if isinstance(event, SecurityEvent)]

    def key_sets(self) -> list[KeySetEvent]:
        """How key sets fared, in order."""
        return [event for event in self if isinstance(event, KeySetEvent)]


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture(autouse=True)
def nothing_failed_before() -> None:
    failures.after_fork()


def observed(*observers: Tell, rules: list[Rule] = RULES, **settings: Any) -> House:
    return build(rules, observe=observers, **settings)


def asked(house: House, line: str, credential: str | None = None, **headers: str) -> Principal | Refusal:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return judged(house.guard, written(line, {**({} if credential is None else bearer(credential)), **named}))


def shape(event: Decided) -> tuple[object, ...]:
    """A decision without what differs each time."""
    return tuple(getattr(event, field.name) for field in fields(event) if field.name != "seconds")


def test_a_decision_says_whose_it_was_by_which_rule_and_where_from(heard: Heard) -> None:
    house = observed(heard)
    secret = house.session()
    for _ in range(3):
        assert isinstance(asked(house, f"GET {LOGS}?x=1", secret), Principal)
    assert recall(house.guard, written(f"GET {LOGS}?x=1", bearer(secret))) is not None
    looked_up, cached, *recalled = heard.decisions()
    as_id = house.guard.check(secret).credential_id
    expected = ("GET", PATTERN, "account_session", "plat", "acct_1", as_id, None, 200, "")
    assert shape(looked_up) == (*expected, "look-up")
    assert [shape(one) for one in (cached, *recalled)] == [(*expected, "cache")] * 3
    assert looked_up.allowed
    assert 0 < cached.seconds < 60
    assert heard.security() == []


def test_a_refusal_says_what_its_text_does_not(heard: Heard) -> None:
    house = observed(heard)
    secret = house.session()
    asked(house, "GET /v1/nowhere", secret)
    asked(house, f"GET {LOGS}")
    asked(house, f"GET {LOGS}", "letmein")
    asked(house, f"GET {LOGS}", secret[:-1] + "!")
    asked(house, "BREW /v1/nowhere", build(seed=9).session())
    house.clock.advance(4_000)
    asked(house, f"GET {LOGS}", secret)
    told = [(one.method, one.rule, one.kind, one.code, one.because, one.source) for one in heard.decisions()]
    invalid = "credential_invalid"
    gone = "no session in the store has this client secret; a day after their end they are dropped"
    assert told == [
        ("GET", None, "account_session", "rule_missing", "", "look-up"),
        ("GET", PATTERN, None, "credential_missing", "", "none"),
        ("GET", PATTERN, None, invalid, "no authenticator of the guard has credentials of this form", "check"),
        ("GET", PATTERN, None, "credential_malformed", "", "none"),
        ("_OTHER", None, "account_session", invalid, gone, "look-up"),
        ("GET", PATTERN, "account_session", "session_expired", "it ended at 2030-03-17T18:46:40Z", "look-up"),
    ]
    assert heard.decisions()[-1].credential_id == heard.decisions()[0].credential_id


def test_a_public_request_is_a_decision_on_nobody(heard: Heard) -> None:
    house = observed(heard)
    assert asked(house, "HEAD /health", "whatever") is ANYONE
    (event,) = heard.decisions()
    assert shape(event) == ("HEAD", "GET /health", None, None, None, None, None, 200, "", "none")


def test_what_bears_on_security_is_told_beside(heard: Heard) -> None:
    house = observed(heard)
    key, session, other = house.key(), house.session(), house.session()
    key_id = house.guard.check(key).credential_id
    asked(house, f"GET {LOGS}", key, Origin="https://shop.example")
    asked(house, f"GET {LOGS}", key[:-1], Origin="https://shop.example")
    asked(house, "POST /v1/tickets", session)
    asked(house, "GET /v1/accounts/acct_2/call_logs", session)
    house.revocations.account("plat", "acct_1")
    asked(house, f"GET {LOGS}", session)
    asked(house, f"GET {LOGS}", other)
    told = [(one.code, one.kind, one.credential_id) for one in heard.security()]
    one, last = heard.decisions()[2].credential_id, heard.decisions()[-1].credential_id
    assert told == [
        ("secret_key_in_browser", "secret_key", key_id),
        ("secret_key_in_browser", "secret_key", None),
        ("escalation_denied", "account_session", one),
        ("account_mismatch", "account_session", one),
        ("session_revoked", "account_session", one),
        ("session_revoked", "account_session", last),
    ]
    assert len(heard.decisions()) == len(heard.security())
    assert "the request is of the origin 'https://shop.example'" in heard.security()[0].because
    assert heard.security()[3].because == "the request names 'acct_2'"


def test_the_accounts_that_were_tried_are_told_of_and_no_credential_among_them(heard: Heard) -> None:
    house = observed(heard)
    session, other = house.session(), house.session()
    tried = [("Account-Id", f"acct_{number}") for number in range(2, 100)]
    for accounts in (tried, [("Account-Id", other)], [("Account-Id", "x" * 5_000 + "\n")]):
        judged(house.guard, written(f"GET {LOGS}", [*bearer(session).items(), *accounts]))
    few, secret, long = (one.because for one in heard.security())
    assert few == "the request names 'acct_2', 'acct_3', 'acct_4'"
    assert other[8:20] not in secret
    assert len(long) < 120


def test_a_credential_of_ones_own_kind_that_stands_for_an_account_is_not_told_of(heard: Heard) -> None:
    house = observed(heard, more=[GatePasses()])
    # Its form says nothing to anybody else.
    presented = "gp_live_acct-of-the-main-gate"
    for tried in (presented, f"Bearer {presented}", presented.removeprefix("gp_")):
        for _ in range(2):
            verdict = asked(house, f"GET {LOGS}", presented, Account_Id=tried)
            assert isinstance(verdict, Refusal)
            assert verdict.code == "account_mismatch"
    assert len(heard) == 12
    for event in heard:
        assert isinstance(event, Decided | SecurityEvent)
        assert "main-gate" not in event.because
        assert event.because.startswith("the request names '")


def test_more_than_a_key_has_is_told_of_where_it_is_asked_for_in_process(heard: Heard) -> None:
    house = observed(heard)
    by = house.minter(accounts={"acct_1"}, components={"call_logs"})
    logs = {"call_logs": {"enabled": True}}
    for attempt in (
        lambda: house.sessions.create(by=by, account="acct_2"),
        lambda: house.signer.sign(by=by, tenant_id="acct_1", components={"voicemails": {"enabled": True}}),
        lambda: house.sessions.create(by=house.guard.check(house.session()), account="acct_1", components=logs),
        lambda: house.sessions.revoke("as_x", by=house.guard.check(house.session())),
    ):
        with pytest.raises(Refused, match="escalation_denied"):
            attempt()
    assert [(one.code, one.rule, one.kind) for one in heard] == [  # type: ignore[union-attr]
        ("escalation_denied", None, "secret_key"),
        ("escalation_denied", None, "secret_key"),
        ("escalation_denied", None, "account_session"),
        ("escalation_denied", None, "account_session"),
    ]
    assert heard.security()[0].credential_id == by.credential_id
    assert "It exceeds what the key has in: account" in heard.security()[0].because


def test_guards_that_share_what_mints_and_their_observer_tell_it_once(heard: Heard) -> None:
    house = observed(heard)
    more, other = list(house.guard.authenticators), Heard()
    Guard(authenticators=more, policy=house.guard.policy, mode="live", observe=[heard])
    Guard(authenticators=more, policy=house.guard.policy, mode="live", observe=other)
    with pytest.raises(Refused, match="escalation_denied"):
        house.sessions.create(by=house.minter(accounts={"acct_1"}), account="acct_2")
    assert len(heard) == len(other) == 1


def test_a_key_that_was_revoked_and_still_mints_is_told_of(heard: Heard) -> None:
    house = observed(heard)
    by = house.minter()
    house.keys.revoke(by.credential_id)
    with pytest.raises(Refused, match="key_revoked"):
        house.sessions.create(by=by, account="acct_1")
    assert [(one.code, one.credential_id) for one in heard.security()] == [("key_revoked", by.credential_id)]


@pytest.mark.anyio
async def test_the_issuing_api_tells_as_calls_in_process_do(heard: Heard) -> None:
    from fastapi import FastAPI

    house, app = observed(heard, rules=[Rule("GET /v1/x")]), FastAPI(openapi_url=None)
    protect(app, house.guard, issuing="/")
    key = house.key(accounts={"acct_1"})
    outcome = await ask_http(app, "POST", "/v1/account_sessions", bearer(key), body=b'{"account":"acct_2"}')
    assert outcome.status == 403
    # The guard let the key in; what it asked for was refused behind it.
    assert [one.code for one in heard.decisions()] == [None]
    assert [one.code for one in heard.security()] == ["escalation_denied"]


@pytest.mark.parametrize("problem", [RuntimeError("boom"), KeyError("x"), SystemError()])
def test_an_observer_that_raises_changes_no_verdict(problem: Exception, caplog: pytest.LogCaptureFixture) -> None:
    def raising(event: Event) -> None:
        raise problem

    after = Heard()
    house, plain = observed(raising, after), build(RULES)
    secrets: list[tuple[str | None, str | None]] = [
        (house.session(), plain.session()),
        (house.key(), plain.key()),
        (house.session()[:-1] + "A", plain.session()[:-1] + "A"),
        (None, None),
    ]
    for mine, its in secrets:
        for line in (f"GET {LOGS}", "GET /health", "POST /v1/tickets", "GET /v1//x"):
            for _ in range(2):
                verdict, expected = asked(house, line, mine), asked(plain, line, its)
                assert type(verdict) is type(expected)
                if isinstance(expected, Refusal):
                    assert verdict == expected
    with pytest.raises(Refused, match="escalation_denied"):
        house.sessions.create(by=house.minter(accounts={"acct_1"}), account="acct_2")
    # The next one is told all the same; and a crowd of failures is a line a second.
    assert len(after.decisions()) == 32
    assert f"an observer failed: {type(problem).__name__} at " in caplog.text
    assert len([record for record in caplog.records if "an observer failed" in record.getMessage()]) < 10


def test_what_is_unforeseen_is_told_and_raised(heard: Heard) -> None:
    store = Recording(build().store)
    house = observed(heard, store=store)
    secret = house.session()

    def fail() -> None:
        raise OSError("disk")

    store.before[FindSession] = fail
    with pytest.raises(OSError, match="disk"):
        asked(house, f"GET {LOGS}", secret)
    (event,) = heard.decisions()
    assert (event.code, event.status, event.source) == ("internal_error", 500, "look-up")
    assert event.because.startswith("the guard failed: OSError at ")
    house.guard.__dict__["_account_header"] = None

    class Odd:
        method, path = "GET", LOGS

    with pytest.raises(AttributeError):
        house.guard.decide(Odd())  # type: ignore[arg-type]
    assert heard.decisions()[-1].code == "internal_error"


def test_a_client_that_leaves_before_the_verdict_is_told_of_to_nobody(heard: Heard) -> None:
    house = observed(heard)
    verdict = house.guard.decide(written(f"GET {LOGS}", bearer(house.session())))
    assert not isinstance(verdict, Principal | Refusal)
    next(verdict)
    verdict.close()
    assert heard == []


def test_who_cannot_be_told_is_refused_at_construction() -> None:
    async def later(event: Event) -> None: ...

    class Later:
        async def __call__(self, event: Event) -> None: ...

    for wrong in (later, Later(), "log", 7, [later], [None], Heard):
        with pytest.raises(ConfigurationError, match=r"Guard\(observe="):
            build(RULES, observe=wrong)


def test_no_event_holds_a_credential_or_a_raw_path(heard: Heard) -> None:
    made, guard = observed_world(heard)
    for case in CASES:
        judged(guard, request_of(scope_of(case, made)))
    said = repr(list(heard)) + repr([asdict(event) for event in heard])
    for name, text in made.credentials.items():
        if not name.startswith("gp"):
            for start in range(len(text) - PIECE + 1):
                assert text[start : start + PIECE] not in said, name
    assert len(heard.decisions()) == len(CASES)
    assert {event.code for event in heard.security()} <= SECURITY
    patterns = {rule.pattern for rule in guard.policy.rules}
    assert {event.rule for event in heard.decisions()} <= {None, *patterns}


def calls_in(action: Callable[[], object]) -> list[str]:
    """The functions of guestpass that are called, in order."""
    called: list[str] = []

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and "guestpass" in frame.f_code.co_filename and "tests" not in frame.f_code.co_filename:
            called.append(f"{frame.f_code.co_filename.rpartition('guestpass/')[2]}:{frame.f_code.co_qualname}")

    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
    return called


def test_where_nobody_observes_nothing_of_it_runs(heard: Heard) -> None:
    plain, watched = build(RULES), observed(heard)
    requests = [written(f"GET {LOGS}", bearer(plain.session())), written(f"GET {LOGS}"), written("GET /health")]
    watched.session()
    cold = [calls_in(lambda request=request: judged(plain.guard, request)) for request in requests]  # type: ignore[misc]
    # On a hit: the guard's own function, and not one call more; and so where it decides.
    known = (requests[0].method, requests[0].path, requests[0].whole_path, requests[0].raw_path, requests[0].headers)
    hit, decision = calls_in(lambda: plain.guard.recall(*known)), calls_in(lambda: plain.guard.decide(requests[0]))
    assert not {"recall", "decide"} & set(vars(plain.guard))
    assert hit == calls_in(lambda: Guard.recall(plain.guard, *known))
    assert decision == calls_in(lambda: Guard.decide(plain.guard, requests[0]))
    assert (hit[0], decision[0]) == ("guard.py:Guard.recall", "guard.py:Guard.decide")
    for calls in (*cold, hit, decision):
        assert calls
        assert not [call for call in calls if call.startswith(OBSERVING)]
    # Where somebody does, it is the same pipeline, and more around it.
    for _ in range(2):
        judged(watched.guard, requests[0])
    asks: list[tuple[Callable[[], object], list[str]]] = [
        (lambda: watched.guard.recall(*known), hit),
        (lambda: watched.guard.decide(requests[0]), decision),
    ]
    for ask, calls in asks:
        more = calls_in(ask)
        assert [call for call in more if call.startswith(OBSERVING)]
        assert Counter(calls) <= Counter(more)
    assert heard.decisions()[-1].source == "cache"


OBSERVING = ("observing.py", "tracing.py", "events.py", "observe/", "explanation.py", "seen.py")


def shapes_of_table(heard: Heard) -> list[tuple[object, ...]]:
    told = [shape(event) for event in heard.decisions()]
    heard.clear()
    return told


def observed_world(heard: Heard) -> tuple[World, Guard]:
    made = world("observed", with_rules=True)
    house = made.house
    guard = Guard(
        authenticators=list(house.guard.authenticators),
        policy=house.guard.policy,
        mode="live",
        observe=heard,
        clock=house.clock,
    )
    return made, guard


# What a server or a proxy makes of a request before anybody can judge it.
ALIKE = [
    case
    for case in CASES
    if case.method != WS and case.raw and not case.root_path and not case.body and "two accounts" not in case.name
]


@pytest.mark.anyio
@pytest.mark.parametrize("case", ALIKE[::3], ids=lambda case: case.name)
async def test_every_door_tells_of_the_same_decision(case: Case, heard: Heard) -> None:
    made, guard = observed_world(heard)
    target, headers, told = filled(case.target, made), headers_of(case, made), []
    scope = scope_of(case, made)
    for door in (GuardMiddleware(echo, guard), behind("traefik", guard)):
        guard.forget(lambda _: True)
        await call(door, scope)
        told.append(shapes_of_table(heard))
    guard.forget(lambda _: True)
    ask_wsgi(WSGIGuardMiddleware(echo_wsgi, guard), case.method.removeprefix("HTTP "), target, headers)
    told.append(shapes_of_table(heard))
    assert told[0] == told[1] == told[2]
    assert len(told[0]) == 1


def in_fastapi(guard: Guard) -> ASGIApp:
    from fastapi import FastAPI

    app = FastAPI(openapi_url=None)

    @app.get("/v1/accounts/{account}/call_logs")
    @needs(component="call_logs")
    async def logs(account: str) -> None: ...

    protect(app, guard)
    return app


def in_flask(guard: Guard) -> WSGIApplication:
    from flask import Flask

    from guestpass.flask import protect as protect_flask

    app = Flask(__name__)

    @app.get("/v1/accounts/<account>/call_logs")
    @needs(component="call_logs")
    def logs(account: str) -> str:
        return ""

    protect_flask(app, guard)
    return app


@pytest.mark.anyio
async def test_the_frameworks_tell_of_the_same_decisions() -> None:
    told: list[list[tuple[object, ...]]] = []
    for kind in ("fastapi", "flask"):
        heard = Heard()
        house = observed(heard, rules=RULES[:1])
        secrets = [house.session(), house.session("acct_2"), house.key(), "letmein", None]
        flask, fastapi = in_flask(house.guard) if kind == "flask" else None, None
        fastapi = in_fastapi(house.guard) if flask is None else None
        for secret in secrets:
            for path in (LOGS, "/health", "/nowhere"):
                headers = {} if secret is None else bearer(secret)
                if flask is not None:
                    ask_wsgi(flask, "GET", path, headers)
                elif fastapi is not None:
                    await ask_http(fastapi, "GET", path, headers)
        told.append(shapes_of_table(heard))
    # Flask's routes for GET are for HEAD as well, and say so.
    plain = [tuple((field == "GET,HEAD " + PATTERN[4:] and PATTERN) or field for field in one) for one in told[1]]
    assert told[0] == plain
    assert len(told[0]) == 15


@pytest.mark.anyio
async def test_a_live_connection_is_told_of_when_it_begins_and_when_it_ends(heard: Heard) -> None:
    house = observed(heard, rules=[Rule("WEBSOCKET /v1/events")])
    secret = house.session()
    house.guard.check(secret)
    outcome = await ask_socket(GuardMiddleware(echo, house.guard), "/v1/events", (), ["client_secret", secret])
    assert outcome.status == 101
    # Also looked at when it was opened, and that is not told of.
    assert [one.code for one in heard.decisions()] == [None]
    request = request_of(socket_scope("/v1/events", (), ["client_secret", secret]))
    admitted = judged(house.guard, request)
    assert isinstance(admitted, Principal)
    life = Life(house.guard, admitted, request, decide)
    heard.clear()
    for _ in range(20):
        assert await life.still_admitted()
    assert heard == []
    # What a client presents anew is a decision like any other.
    await life.decide(request)
    assert [one.code for one in heard.decisions()] == [None]
    house.revocations.account("plat", "acct_1")
    assert not await life.still_admitted()
    assert [one.code for one in heard.decisions()] == [None, "session_revoked"]
    # To end it was somebody's wish, and no use of it.
    assert heard.security() == []


@pytest.mark.anyio
async def test_an_outage_is_not_told_of_by_each_live_connection_again_and_again(heard: Heard) -> None:
    store = Recording(build().store)
    house = observed(heard, store=store)
    request = written(f"GET {LOGS}", bearer(house.session()))
    admitted = judged(house.guard, request)
    assert isinstance(admitted, Principal)
    problem = StoreUnavailable("the store is gone")

    def away() -> None:
        raise problem

    heard.clear()
    life = Life(house.guard, admitted, request, decide)
    for _ in range(5):
        house.guard.forget(lambda _: True)
        store.before[FindSession] = away
        assert await life.still_admitted()
        assert FindSession not in store.before
    assert heard == []
    store.before[FindSession] = away
    judged(house.guard, request)
    assert [one.code for one in heard.decisions()] == ["store_unavailable"]


def test_a_long_answer_over_wsgi_is_told_of_once(heard: Heard) -> None:
    house = observed(heard)
    secret = house.session()

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Type", "text/event-stream")])
        for number in range(40):
            if number == 30:
                house.revocations.account("plat", "acct_1")
            house.clock.advance(10)
            yield b"data: 1\n\n"

    with pytest.raises(ConnectionEnded):
        ask_wsgi(WSGIGuardMiddleware(app, house.guard), "GET", LOGS, bearer(secret))
    assert [one.code for one in heard.decisions()] == [None, "session_revoked"]


class Fetched:
    """A key set whose fetches a test answers, with a clock that it turns."""

    def __init__(self, heard: Heard) -> None:
        self.clock, self.failing, self.provider = Clock(0.0), False, IdentityProvider(algorithm="ES256")
        self.keys = KeySet(
            self.read, clock=self.clock, chance=lambda: 0.5, pause=self.clock.advance, upkeep=Upkeep(self.clock)
        )
        self.issuer = self.provider.authenticator(keys=self.keys)
        self.guard = Guard(authenticators=[self.issuer], policy=policy(*RULES), mode="test", observe=heard)

    def read(self) -> Document:
        self.clock.advance(0.25)
        if self.failing:
            raise FetchFailed("it says nothing")
        return Document(json.dumps(self.provider.jwks()).encode(), 600)

    def ask(self, credential: str) -> str | None:
        verdict = judged(self.guard, written(f"GET {LOGS}", bearer(credential)))
        return verdict.code if isinstance(verdict, Refusal) else None


@pytest.fixture
def fetched(heard: Heard) -> Iterator[Fetched]:
    made = Fetched(heard)
    yield made
    made.provider.stop()


def test_each_fetch_of_a_key_set_is_told_of(fetched: Fetched, heard: Heard) -> None:
    token = fetched.provider.token()
    fetched.ask(token)
    fetched.ask(token)
    assert [(one.kind, one.source) for one in heard.decisions()] == [
        ("identity_token", "look-up"),
        ("identity_token", "cache"),
    ]
    issuer = fetched.provider.issuer
    assert heard.key_sets() == [KeySetEvent("fetched", issuer, 0.25, 0.0)]
    fetched.clock.advance(100)
    fetched.failing = True
    with pytest.raises(KeysUnavailable):
        fetched.keys.reload()
    assert heard.key_sets()[1:] == [KeySetEvent("fetch_failed", issuer, 0.25, 100.25, "FetchFailed: it says nothing")]


def test_a_flood_of_unknown_keys_is_one_event(fetched: Fetched, heard: Heard) -> None:
    fetched.ask(fetched.provider.token())
    codes: list[str | None] = []
    for _ in range(30):
        stranger = IdentityProvider(algorithm="ES256")
        stranger.stop()
        codes.append(fetched.ask(stranger.sign(fetched.provider.claims())))
    assert codes[-10:] == ["keys_unavailable"] * 10
    spent = [one for one in heard.key_sets() if one.name == "budget_spent"]
    because = "no fetch is left for an unknown kid"
    assert spent == [KeySetEvent("budget_spent", fetched.provider.issuer, because=because)]
    assert heard.decisions()[-1].because == because


def test_keys_that_were_there_before_are_told_of_at_once(heard: Heard) -> None:
    with IdentityProvider(algorithm="ES256") as provider:
        keys = provider.key_set()
        keys.reload()
        issuer = provider.authenticator(keys=keys)
        Guard(authenticators=[issuer], policy=policy(*RULES), mode="test", observe=heard)
        (event,) = heard.key_sets()
        assert (event.name, event.issuer, event.seconds) == ("fetched", provider.issuer, None)
        assert event.age is not None
        # Two guards with one observer tell it once.
        again = provider.authenticator(keys=keys)
        Guard(authenticators=[again], policy=policy(*RULES), mode="test", observe=heard)
        keys.reload()
        assert len(heard.key_sets()) == 2


def test_too_many_tokens_with_keys_that_the_ring_does_not_know_are_told_of(heard: Heard) -> None:
    house = observed(heard)
    asked(house, f"GET {LOGS}", house.token())
    for seed in range(20, 40):
        asked(house, f"GET {LOGS}", build(seed=seed).token())
    assert [one.code for one in heard.decisions()][-1] == "keys_unavailable"
    (event,) = heard.key_sets()
    assert (event.name, event.issuer) == ("budget_spent", "https://api.example")
    house.clock.advance(SPENT_EVERY)
    for seed in range(40, 60):
        asked(house, f"GET {LOGS}", build(seed=seed, clock=Clock(house.clock.now)).token())
    assert len(heard.key_sets()) == 2
