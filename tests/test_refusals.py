"""The table of refusals, and how a refusal is rendered."""

import json

import pytest

from guestpass.problems import render, vary_by_credential
from guestpass.refusals import CASES, FieldError, Refusal

# Section 8 of the specification, once more and independently: status and challenge of every code.
TABLE: dict[str, tuple[int, str | None]] = {
    "credential_missing": (401, ""),
    "credential_malformed": (400, "invalid_request"),
    "credential_invalid": (401, "invalid_token"),
    **dict.fromkeys(("session_expired", "token_expired", "key_expired"), (401, "invalid_token")),
    **dict.fromkeys(("session_revoked", "token_revoked", "key_revoked"), (401, "invalid_token")),
    "secret_key_in_browser": (403, None),
    "rule_missing": (404, None),
    "kind_refused": (403, "insufficient_scope"),
    "escalation_denied": (403, "insufficient_scope"),
    "account_missing": (400, None),
    "account_mismatch": (403, "insufficient_scope"),
    "account_refused": (403, "insufficient_scope"),
    **dict.fromkeys(("component_disabled", "feature_disabled", "role_insufficient"), (403, "insufficient_scope")),
    "body_malformed": (400, None),
    "validation_error": (422, None),
    "idempotency_conflict": (409, None),
    "path_ambiguous": (400, None),
    **dict.fromkeys(("keys_unavailable", "store_unavailable", "overloaded"), (503, None)),
    "internal_error": (500, None),
}
# Answers of the issuing API that the section does not list.
ISSUING = {"session_unknown": (404, None)}


def test_the_table_is_that_of_the_specification() -> None:
    assert {code: (case.status, case.challenge) for code, case in CASES.items()} == {**TABLE, **ISSUING}


@pytest.mark.parametrize("code", sorted(CASES))
@pytest.mark.parametrize("it", ["session", "token", "API key", "credential"])
def test_every_refusal_names_what_was_presented(code: str, it: str) -> None:
    refusal = Refusal(code, it)
    assert "{" not in refusal.detail
    if it != "credential":
        assert it in refusal.detail


@pytest.mark.parametrize("code", sorted(CASES))
def test_every_refusal_is_a_whole_answer(code: str) -> None:
    refusal = Refusal(code, "session", "More.", scope="call_logs", errors=(FieldError("f", "r"),))
    answer = render(refusal, "api")
    headers = dict(answer.headers)
    assert answer.status == refusal.status == CASES[code].status
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"vary"] == b"Authorization"
    assert headers[b"content-length"] == str(len(answer.body)).encode()
    problem = json.loads(answer.body)
    assert (problem["type"], problem["status"], problem["code"]) == ("about:blank", answer.status, code)
    assert problem["title"]
    assert problem["detail"].endswith("More.")
    assert problem["errors"] == [{"field": "f", "reason": "r"}]
    assert (b"retry-after" in headers) == (answer.status == 503)
    challenge = CASES[code].challenge
    if challenge is None:
        assert b"www-authenticate" not in headers
    else:
        error = f', error="{challenge}"' if challenge else ""
        assert headers[b"www-authenticate"].decode() == f'Bearer realm="api"{error}, scope="call_logs"'


CLOSE = {
    "credential_missing": 3000, "token_expired": 3000, "kind_refused": 3003, "rule_missing": 3003, "overloaded": 1013,
    "credential_malformed": 3003, "internal_error": 1013,
}  # fmt: skip


@pytest.mark.parametrize(("code", "close"), CLOSE.items())
def test_close_codes_are_those_of_the_registry(code: str, close: int) -> None:
    assert Refusal(code).close_code == close


def test_a_code_that_is_not_in_the_table_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="table of refusals"):
        Refusal("nope")


@pytest.mark.parametrize(("asked", "said"), [(None, 1), (0.0, 1), (0.2, 1), (1.01, 2), (60, 60)])
def test_retry_after_is_whole_seconds(asked: float | None, said: int) -> None:
    assert Refusal("store_unavailable", retry_after=asked).retry_after_seconds() == said


def test_only_503_asks_to_come_again() -> None:
    assert Refusal("credential_missing").retry_after_seconds() is None


def test_vary_is_merged() -> None:
    assert vary_by_credential([(b"VARY", b"Accept,authorization")]) == [(b"VARY", b"Accept,authorization")]
    assert vary_by_credential([(b"a", b"b")]) == [(b"a", b"b"), (b"vary", b"Authorization")]
