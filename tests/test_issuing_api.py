"""The issuing API over HTTP: the documents' fields, answers and errors."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from guestpass import Authenticator, ConfigurationError, Guard, Refused, Rule, StoreUnavailable, open_store
from guestpass.asgi import ASGIApp, GuardMiddleware
from guestpass.errors import NotGuarded
from guestpass.fastapi import needs, protect
from guestpass.inquiry import drive
from guestpass.issuing_api import MAX_BODY, answer_refused, issuing_api, issuing_routes, issuing_rules
from guestpass.issuing_revocations import revoke_from
from guestpass.keyring import MAX_AGE
from guestpass.problems import render
from guestpass.tokens import check_signature
from support import (
    ISSUER,
    Failing,
    House,
    Outcome,
    ask_http,
    bearer,
    build,
)

pytestmark = pytest.mark.anyio

MINT, SIGN, JWKS = "/v1/account_sessions", "/api/v1/jwt/sign", "/.well-known/jwks.json"


@pytest.fixture
def house() -> House:
    return build()


@pytest.fixture
def app(house: House) -> ASGIApp:
    app = FastAPI(openapi_url=None)

    async def logs() -> str:
        return "in"

    app.add_api_route("/logs", needs(component="call_logs")(logs))
    protect(app, house.guard, issuing="/")
    return app


async def post(app: ASGIApp, path: str, secret: str, body: object = None, **headers: str) -> Outcome:
    """Send a body as JSON; bytes are sent as they are."""
    sent = body if isinstance(body, bytes) else b"{}" if body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await ask_http(app, "POST", path, {**bearer(secret), **named}, body=sent)


def wrong(outcome: Outcome) -> list[str]:
    """The fields of a validation error."""
    problem = json.loads(outcome.body)
    assert (outcome.status, problem["code"]) == (422, "validation_error"), problem
    assert all(set(error) == {"field", "reason"} and error["reason"] for error in problem["errors"])
    return sorted(error["field"] for error in problem["errors"])


async def test_a_session_is_answered_as_the_document_says(house: House, app: ASGIApp) -> None:
    body = {"account": "acct_1", "components": {"call_logs": {"enabled": True}}, "expires_in": 600}
    outcome = await post(app, MINT, house.key(), body)
    assert outcome.status == 201
    assert outcome.headers["cache-control"] == "no-store"
    assert "Authorization" in outcome.headers["vary"]
    said = outcome.said
    assert set(said) == {"id", "account", "client_secret", "expires_at", "expires_in", "components", "livemode"}
    assert (said["account"], said["expires_in"], said["livemode"]) == ("acct_1", 600, True)
    assert said["components"]["voicemails"] == {"enabled": False, "features": {}}
    assert (await ask_http(app, "GET", "/logs", bearer(said["client_secret"]))).status == 200


async def test_a_token_is_answered_as_the_document_says(house: House, app: ASGIApp) -> None:
    user = "3F2A9C1E-0B4D-4E5F-8A6B-7C8D9E0F1A2B"
    body = {
        "id": user,
        "tenantId": "acct_1",
        "metadata": {"a": 1},
        "expiresIn": 600,
        "components": {"call_logs": {"enabled": True}},
    }
    outcome = await post(app, SIGN, house.key(), body)
    assert outcome.status == 200
    assert outcome.headers["cache-control"] == "no-store"
    said = outcome.said
    assert set(said) == {"jwt", "expiresAt", "id"}
    assert (said["id"], said["expiresAt"]) == (user.lower(), int(house.clock.now) + 600)
    assert (await ask_http(app, "GET", "/logs", bearer(said["jwt"]))).status == 200


async def test_the_published_keys_verify_what_was_signed(house: House, app: ASGIApp) -> None:
    jwt = (await post(app, SIGN, house.key())).said["jwt"]
    outcome = await ask_http(app, "GET", JWKS)
    assert outcome.headers["cache-control"] == f"public, max-age={MAX_AGE}"
    assert all("d" not in key for key in outcome.said["keys"])
    assert json.loads(check_signature(jwt, outcome.said, ["ES256"]))["iss"] == ISSUER


async def test_revoking_answers_what_ended_and_may_be_repeated(house: House, app: ASGIApp) -> None:
    secret = house.key()
    made = (await post(app, MINT, secret, {"account": "acct_1"})).said
    for _ in range(2):
        outcome = await post(app, f"{MINT}/{made['id']}/revoke", secret)
        assert (outcome.status, outcome.said) == (200, {"id": made["id"], "revoked": True})
        assert outcome.headers["cache-control"] == "no-store"
    assert (await ask_http(app, "GET", "/logs", bearer(made["client_secret"]))).code == "session_revoked"


BODIES: list[tuple[str, object, list[str]]] = [
    (MINT, None, ["account"]),
    (MINT, {}, ["account"]),
    (MINT, {"account": None}, ["account"]),
    (MINT, {"account": "acct_1", "narrow": True}, ["narrow"]),
    (MINT, {"account": "acct_1", "expires_at": 7}, ["expires_at"]),
    (MINT, {"account": "acct_1", "<script>": 7}, ["body"]),
    (MINT, {"account": "acct_1", "expires_in": 3600.0}, ["expires_in"]),
    (MINT, {"account": "acct_1", "expires_in": True}, ["expires_in"]),
    (MINT, {"account": "acct_1", "expires_in": "60"}, ["expires_in"]),
    (MINT, {"account": "acct_1", "roles": {"admin": False}}, ["roles"]),
    (MINT, {"account": "acct_1", "components": ["call_logs"]}, ["components"]),
    (MINT, {"account": 7, "expires_in": 1, "components": 7}, ["account", "components", "expires_in"]),
    (SIGN, {"tenant_id": "acct_1"}, ["tenant_id"]),
    (SIGN, {"tenantId": 7}, ["tenantId"]),
    (SIGN, {"expiresIn": 59}, ["expiresIn"]),
    (SIGN, {"expiresIn": 86_401}, ["expiresIn"]),
    (SIGN, {"expires_in": 600}, ["expires_in"]),
    (SIGN, {"id": "me"}, ["id"]),
    (SIGN, {"metadata": "x"}, ["metadata"]),
    (SIGN, {"metadata": {"a": "x" * 4_096}}, ["metadata"]),
    (SIGN, {"metadata": json.loads('{"a":' * 13 + "1" + "}" * 13)}, ["metadata"]),
    (SIGN, {"a-b": 1}, ["body"]),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "fields"), BODIES, ids=lambda value: str(value)[:40])
async def test_a_field_out_of_bounds_is_named_as_the_document_spells_it(
    house: House, app: ASGIApp, path: str, body: object, fields: list[str]
) -> None:
    outcome = await post(app, path, house.key(), body)
    assert wrong(outcome) == fields
    assert b"<script>" not in outcome.body


MALFORMED: list[bytes] = [
    b"", b"{", b"[]", b"7", b"null", b'"x"', b"{}{}", b'{"account": NaN}', b'{"expires_in": 1e999}',
    b'{"a": 1, "a": 1}',
    b"\xff\xfe{\x00}\x00", b'\xef\xbb\xbf{"account":"acct_1"}', b'{"account": "\\ud800"}',
    b'{"account": 99999999999999999999}', b"[" * 100_000,
    b'{"a":' * 40 + b"1" + b"}" * 40, b"{" + b" " * MAX_BODY + b"}", b"\x00", b"account=acct_1",
]  # fmt: skip


@pytest.mark.parametrize("path", [MINT, SIGN])
@pytest.mark.parametrize("body", MALFORMED, ids=lambda body: repr(body[:30]))
async def test_what_is_no_json_object_is_400(house: House, app: ASGIApp, path: str, body: bytes) -> None:
    outcome = await post(app, path, house.key(), body)
    assert (outcome.status, outcome.code) == (400, "body_malformed")
    assert outcome.headers["cache-control"] == "no-store"


async def test_a_body_may_be_as_long_as_the_bound(house: House, app: ASGIApp) -> None:
    body = b'{"account":"acct_1"' + b" " * (MAX_BODY - 20) + b"}"
    assert len(body) == MAX_BODY
    assert (await post(app, MINT, house.key(), body)).status == 201


async def test_a_body_in_pieces_is_put_together(house: House, app: ASGIApp) -> None:
    from support import http_scope

    pieces = [b'{"acc', b'ount":"ac', b'ct_1"}']
    incoming: list[Any] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    incoming.append({"type": "http.request", "body": b"", "more_body": False})
    outcome = Outcome()

    async def receive() -> Any:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        outcome.sent.append(message)

    await app(http_scope("POST", MINT, bearer(house.key())), receive, send)
    assert outcome.status == 201


# --- idempotency -----------------------------------------------------------------------------------------------------


async def test_a_replay_answers_the_same_session_with_a_new_secret(house: House, app: ASGIApp) -> None:
    secret, body = house.key(), {"account": "acct_1"}
    first = (await post(app, MINT, secret, body, Idempotency_Key="k")).said
    again = await post(app, MINT, secret, body, Idempotency_Key="k")
    assert again.status == 201
    assert again.said["id"] == first["id"]
    assert again.said["client_secret"] != first["client_secret"]
    assert (await ask_http(app, "GET", "/logs", bearer(first["client_secret"]))).code == "credential_invalid"
    assert (await ask_http(app, "GET", "/logs", bearer(again.said["client_secret"]))).status == 200


async def test_another_body_is_a_conflict(house: House, app: ASGIApp) -> None:
    secret = house.key()
    await post(app, MINT, secret, {"account": "acct_1"}, Idempotency_Key="k")
    outcome = await post(app, MINT, secret, {"account": "acct_2"}, Idempotency_Key="k")
    assert (outcome.status, outcome.code) == (409, "idempotency_conflict")
    assert "www-authenticate" not in outcome.headers


async def test_odd_idempotency_keys_are_refused(house: House, app: ASGIApp) -> None:
    secret, body = house.key(), {"account": "acct_1"}
    for key in ("", "a b", "x" * 256, "é"):
        assert wrong(await post(app, MINT, secret, body, Idempotency_Key=key)) == ["Idempotency-Key"]
    two = [*bearer(secret).items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    outcome = await ask_http(app, "POST", MINT, two, body=json.dumps(body).encode())
    assert (outcome.status, outcome.code) == (400, "body_malformed")


async def test_one_idempotency_key_under_two_named_accounts_stays_with_its_account(house: House, app: ASGIApp) -> None:
    secret = house.key()
    first = (await post(app, MINT, secret, {}, Idempotency_Key="k", Account_Id="acct_1")).said
    assert first["account"] == "acct_1"
    other = await post(app, MINT, secret, {}, Idempotency_Key="k", Account_Id="acct_2")
    assert other.code == "idempotency_conflict"
    assert (await ask_http(app, "GET", "/logs", bearer(first["client_secret"]))).status == 200


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [MINT, SIGN, MINT + "/as_1/revoke"])
async def test_nothing_but_a_secret_key_mints(house: House, app: ASGIApp, path: str) -> None:
    for secret in (house.session(roles=["admin"]), house.token(roles=["admin"])):
        outcome = await post(app, path, secret, {"account": "acct_1"})
        assert (outcome.status, outcome.code) == (403, "escalation_denied")
    assert (await post(app, path, house.key(kind="publishable_key"))).code == "kind_refused"
    assert (await ask_http(app, "POST", path)).code == "credential_missing"


async def test_a_named_account_narrows_what_is_minted(house: House, app: ASGIApp) -> None:
    secret = house.key()
    outcome = await post(app, MINT, secret, {"account": "acct_2"}, Account_Id="acct_1")
    assert outcome.code == "escalation_denied"
    assert (await post(app, MINT, secret, {"account": "acct_1"}, Account_Id="acct_1")).status == 201


async def test_a_refusal_of_the_mint_is_a_whole_problem(house: House, app: ASGIApp) -> None:
    outcome = await post(app, MINT, house.key(accounts={"acct_1"}), {"account": "acct_2"})
    assert (outcome.status, outcome.code) == (403, "escalation_denied")
    assert outcome.headers["content-type"] == "application/problem+json"
    assert outcome.headers["www-authenticate"] == 'Bearer realm="api", error="insufficient_scope"'
    assert outcome.headers["cache-control"] == "no-store"
    assert outcome.headers["vary"] == "Authorization"


class Fickle:
    """A store that can be switched off."""

    def __init__(self) -> None:
        self.store = open_store("memory://")
        self.problem: Exception | None = None

    def answer(self, question: Any, /) -> Any:
        if self.problem is not None:
            raise self.problem
        return self.store.answer(question)

    def close(self) -> None:
        self.store.close()


@pytest.mark.parametrize("path", [MINT, SIGN, MINT + "/as_1/revoke"])
async def test_a_store_that_goes_away_between_is_503(path: str) -> None:
    store = Fickle()
    house = build(store=store)
    app = FastAPI(openapi_url=None)
    protect(app, house.guard, issuing="/")
    secret = house.key()
    # The key is known, and then the store is gone.
    assert (await post(app, SIGN, secret)).status == 200
    store.problem = StoreUnavailable("gone", retry_after=9)
    outcome = await post(app, path, secret, {"account": "acct_1"} if path == MINT else None)
    assert (outcome.status, outcome.code, outcome.headers["retry-after"]) == (503, "store_unavailable", "9")
    assert outcome.headers["cache-control"] == "no-store"


async def test_the_key_set_is_503_where_the_store_is_out_of_reach() -> None:
    house = build(store=Failing(StoreUnavailable("gone")))
    app = FastAPI(openapi_url=None)
    protect(app, house.guard, issuing="/")
    outcome = await ask_http(app, "GET", JWKS)
    assert (outcome.status, outcome.code) == (503, "store_unavailable")


def test_what_is_unforeseen_is_logged_and_shows_nothing_inside(house: House, caplog: pytest.LogCaptureFixture) -> None:
    answer = answer_refused(KeyError("inside"), house.guard, render)
    assert answer.status_code == 500
    assert b'"internal_error"' in answer.body
    assert b"inside" not in answer.body
    assert "inside" in caplog.text


def test_that_no_guard_stands_in_front_is_raised_on(house: House) -> None:
    with pytest.raises(NotGuarded):
        answer_refused(NotGuarded("x"), house.guard, render)


# --- what is issued --------------------------------------------------------------------------------------------------


def _guard(*kinds: str) -> Guard:
    house = build()
    one: dict[str, Authenticator] = {"sessions": house.sessions, "signer": house.signer, "keys": house.keys}
    return Guard(authenticators=[one[kind] for kind in kinds], policy=house.guard.policy, mode="live")


def test_only_what_the_guard_has_is_issued() -> None:
    def paths(guard: Guard) -> set[str]:
        return {route.path for route in issuing_routes(guard)}

    assert paths(_guard("keys", "sessions", "signer")) == {MINT, MINT + "/{id}/revoke", SIGN, JWKS, REVOKE}
    assert paths(_guard("keys", "sessions")) == {MINT, MINT + "/{id}/revoke", REVOKE}
    assert paths(_guard("keys", "signer")) == {SIGN, JWKS, REVOKE}
    with pytest.raises(ConfigurationError, match="nothing to issue"):
        issuing_api(_guard("keys"))


async def test_the_api_can_be_mounted_by_itself_behind_a_guard() -> None:
    house = build([Rule("GET /logs", component="call_logs")])
    guard = house.guard
    guard.policy = guard.policy.with_rules(issuing_rules(guard, "/auth"))
    app = GuardMiddleware(Starlette(routes=[Mount("/auth", issuing_api(guard))]), guard)
    outcome = await post(app, "/auth" + MINT, house.key(), {"account": "acct_1"})
    assert outcome.status == 201
    assert (await ask_http(app, "GET", "/auth" + JWKS)).status == 200
    assert (await post(app, "/auth" + MINT, outcome.said["client_secret"])).code == "escalation_denied"


async def test_without_a_guard_in_front_the_api_issues_nothing() -> None:
    house = build()
    with pytest.raises(NotGuarded):
        await post(issuing_api(house.guard), MINT, house.key(), {"account": "acct_1"})


def test_what_is_minted_in_process_is_what_is_minted_over_http(house: House) -> None:
    by = house.minter()
    with pytest.raises(Refused) as raised:
        house.sessions.create(by=by, account="acct_1", expires_in=1)
    assert raised.value.status == 422
    assert str(raised.value).startswith("validation_error: ")


# --- revocations -----------------------------------------------------------------------------------------------------

REVOKE = "/v1/revocations"
USER = "3f2a9c1e-0b4d-4e5f-8a6b-7c8d9e0f1a2b"


async def test_everything_of_an_account_ends(house: House, app: ASGIApp) -> None:
    secret, other = house.session("acct_1"), house.session("acct_2")
    outcome = await post(app, REVOKE, house.key(), {"account": "acct_1"})
    assert (outcome.status, outcome.said) == (200, {"revoked": True, "at_ms": house.clock() * 1_000})
    assert outcome.headers["cache-control"] == "no-store"
    refused = await ask_http(app, "GET", "/logs", bearer(secret))
    assert (refused.status, refused.said["code"]) == (401, "session_revoked")
    assert (await ask_http(app, "GET", "/logs", bearer(other))).status == 200


@pytest.mark.parametrize("by", ["token", "subject"])
async def test_a_token_ends_by_its_jti_or_its_subject(house: House, app: ASGIApp, by: str) -> None:
    token = house.signer.sign(by=house.minter(), id=USER, tenant_id="acct_1").jwt
    who = house.guard.check(token)
    body = {"token": who.credential_id} if by == "token" else {"subject": USER.upper(), "account": "acct_1"}
    outcome = await post(app, REVOKE, house.key(), body)
    assert outcome.said == {"revoked": True, "at_ms": None if by == "token" else house.clock() * 1_000}
    assert (await ask_http(app, "GET", "/logs", bearer(token))).said["code"] == "token_revoked"


async def test_another_platforms_things_do_not_end(house: House, app: ASGIApp) -> None:
    token = house.signer.sign(by=house.minter(), id=USER, tenant_id="acct_1").jwt
    who = house.guard.check(token)
    stranger = house.key(platform="other")
    for body in ({"token": who.credential_id}, {"subject": USER, "account": "acct_1"}, {"account": "acct_1"}):
        assert (await post(app, REVOKE, stranger, body)).status == 200
    assert house.guard.check(token) == who


async def test_a_key_that_is_held_to_accounts_ends_what_is_theirs(house: House, app: ASGIApp) -> None:
    key = house.key(accounts={"acct_1"})
    for body, status in (
        ({"account": "acct_1"}, 200),
        ({"subject": USER, "account": "acct_1"}, 200),
        ({"account": "acct_2"}, 403),
        ({"subject": USER, "account": "acct_2"}, 403),
        ({"subject": USER}, 403),
        ({"token": "0" * 32}, 403),
    ):
        outcome = await post(app, REVOKE, key, body)
        assert outcome.status == status, body
        assert status == 200 or outcome.said["code"] == "account_refused"


async def test_an_account_that_is_not_the_platforms_is_refused(house: House, app: ASGIApp) -> None:
    outcome = await post(app, REVOKE, house.key(), {"account": "foreign_1"})
    assert (outcome.status, outcome.said["code"]) == (403, "account_refused")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["body"]),
        ({"account": "acct_1", "token": "x"}, ["body"]),
        ({"session": "as_1"}, ["body"]),
        ({"account": "acct_1", "more": 1}, ["body"]),
        ({"account": None}, ["account"]),
        ({"token": ""}, ["token"]),
        ({"token": "not-a-jti"}, ["token"]),
        ({"token": "a\nb"}, ["token"]),
        ({"subject": "x" * 257}, ["subject"]),
        ({"subject": "not-a-uuid"}, ["subject"]),
        ({"account": "no account"}, ["account"]),
    ],
)
async def test_what_does_not_say_what_is_to_end(
    house: House, app: ASGIApp, body: dict[str, Any], fields: list[str]
) -> None:
    assert wrong(await post(app, REVOKE, house.key(), body)) == fields


async def test_a_browsers_credential_revokes_nothing(house: House, app: ASGIApp) -> None:
    for text in (house.session(), house.token()):
        outcome = await post(app, REVOKE, text, {"account": "acct_1"})
        assert (outcome.status, outcome.said["code"]) == (403, "escalation_denied")


def test_only_a_secret_key_revokes_in_process_too(house: House) -> None:
    with pytest.raises(Refused, match="escalation_denied"):
        drive(revoke_from(house.revocations, None, house.guard.check(house.session()), {"account": "acct_1"}))


def test_without_a_register_a_platform_wide_key_ends_no_account(house: House) -> None:
    with pytest.raises(Refused, match="account_refused"):
        drive(revoke_from(house.revocations, None, house.minter(), {"account": "acct_1"}))
