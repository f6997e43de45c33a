"""The bounds that are held before anything is sent: those of the document, and exactly the server's."""

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.scripted import KEY, WAYS, Caller, Way, says, scripted
from guestpass import Refused
from guestpass.client import ClientError, calls
from guestpass.client.exchange import Call
from guestpass.inquiry import drive
from support import House, build

USER = "a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d"


def session(**given: Any) -> Call[Any]:
    asked = {"account": None, "components": None, "roles": None, "expires_in": None, "idempotency_key": None, **given}
    return calls.create_session(**asked)


def token(**given: Any) -> Call[Any]:
    left_out = dict.fromkeys(("user", "tenant_id", "metadata", "roles", "components", "expires_in"))
    return calls.sign(**{**left_out, **given})


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("make", "given", "field"),
    [
        *((make, {"expires_in": one}, "expires_in") for make in (session, token) for one in
          (59, 0, -60, 86_401, True, 3_600.0, "3600", [60])),
        *((make, {"roles": one}, "roles") for make in (session, token) for one in
          ("admin", ["Admin"], [7], {"admin": 1}, 7, [""])),
        (session, {"account": "a b"}, "account"),
        (session, {"account": ""}, "account"),
        (session, {"account": "a" * 129}, "account"),
        (session, {"account": 7}, "account"),
        (token, {"tenant_id": "tenant/1"}, "tenant_id"),
        (session, {"components": ["call_logs"]}, "components"),
        (session, {"components": {"Call Logs": {"enabled": True}}}, "components"),
        (session, {"components": {7: {"enabled": True}}}, "components"),
        (session, {"components": {"call_logs": True}}, "components.call_logs"),
        (session, {"components": {"call_logs": {"enabled": True, "more": 1}}}, "components.call_logs"),
        (session, {"components": {"call_logs": {}}}, "components.call_logs.enabled"),
        (session, {"components": {"call_logs": {"enabled": 1}}}, "components.call_logs.enabled"),
        *((token, {"components": {"call_logs": {"enabled": True, "features": one}}}, "components.call_logs.features")
          for one in (["x"], {"x": 1}, {"X": True}, None)),
        *((session, {"idempotency_key": one}, "idempotency_key") for one in ("", "a b", "a\n", "ü", "a" * 256, 7)),
        *((token, {"user": one}, "id") for one in
          ("", "user-123", USER[:-1], USER + "0", USER.replace("-", ""), f"{{{USER}}}", f"urn:uuid:{USER}", USER + "\n",
           USER.replace("a", "g"), 7)),
        *((token, {"metadata": one}, "metadata") for one in
          ("text", [1], 7, {"x": "a" * 4_089}, {"x": float("nan")}, {"x": float("inf")}, {1: "x"}, {"x": object()},
           {"x": (1, 2)}, {"x": 2**64}, {"x": "\ud800"}, nested(13), nested(100_000))),
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_named(make: Any, given: dict[str, Any], field: str) -> None:
    with pytest.raises(ClientError) as raised:
        make(**given)
    problem = raised.value
    assert (problem.code, problem.status) == ("VALIDATION_ERROR", None)
    errors: Any = problem.details["errors"]
    (error,) = errors
    assert error["field"] == field
    assert f"{field}: {error['reason']}" in str(problem)
    assert "nothing was sent" in str(problem)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ClientError) as raised:
        token(user="x", tenant_id="a b", metadata=7, roles=7, components=7, expires_in=7)
    errors: Any = raised.value.details["errors"]
    assert [one["field"] for one in errors] == ["id", "tenant_id", "metadata", "roles", "components", "expires_in"]


@pytest.mark.parametrize("given", ["", "as_", "as_1/revoke", "../x", "cs_live_" + "0" * 39, KEY, "as_ü", "as_1\n", 7])
def test_only_the_id_of_a_session_stands_in_a_path(given: Any) -> None:
    with pytest.raises(ClientError, match="session_id") as raised:
        calls.revoke_session(given)
    assert raised.value.code == "VALIDATION_ERROR"
    if len(str(given)) > 8:
        assert str(given) not in str(raised.value)


@pytest.mark.parametrize(
    "given",
    [{"account": ""}, {"account": "a b"}, {"subject": ""}, {"subject": "a\n"}, {"token": "x" * 257}, {"token": 7}],
)
def test_only_names_are_revoked(given: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match=next(iter(given))) as raised:
        calls.revoke(**given)
    assert raised.value.code == "VALIDATION_ERROR"


def test_what_is_sent() -> None:
    assert json.loads(token().body) == {}
    assert json.loads(session().body) == {}
    everything = token(
        user=USER.upper(), tenant_id="acct_1", metadata={"name": "Zoë"}, roles=("b", "a"),
        components={"call_logs": {"enabled": True, "features": {"transcripts": False}}}, expires_in=60,
    )  # fmt: skip
    assert everything.path == "/api/v1/jwt/sign"
    assert json.loads(everything.body) == {
        "id": USER.upper(),
        "tenantId": "acct_1",
        "metadata": {"name": "Zoë"},
        "roles": ["a", "b"],
        "components": {"call_logs": {"enabled": True, "features": {"transcripts": False}}},
        "expiresIn": 60,
    }
    assert "Zoë".encode() in everything.body
    assert json.loads(token(user=uuid.UUID(USER)).body) == {"id": USER}
    made = session(account="acct_1", components={}, expires_in=86_400)
    assert (made.path, json.loads(made.body)) == (
        "/v1/account_sessions",
        {"account": "acct_1", "components": {}, "expires_in": 86_400},
    )
    assert calls.revoke_session("as_1").path == "/v1/account_sessions/as_1/revoke"
    assert json.loads(calls.revoke(subject="ada", account="acct_1").body) == {"account": "acct_1", "subject": "ada"}


def test_each_creation_has_a_key_of_its_own() -> None:
    keys = {session().headers["Idempotency-Key"] for _ in range(50)}
    assert len(keys) == 50
    assert session(idempotency_key="order-7").headers == {"Idempotency-Key": "order-7"}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_sent_for_what_is_out_of_bounds(way: Way) -> None:
    with scripted(says({})) as server:
        call = Caller(way, {"base_url": server.url, "api_key": KEY})
        for ask in (
            lambda client: client.account_sessions.create(account="a b"),
            lambda client: client.account_sessions.revoke("cs_live_1"),
            lambda client: client.auth.sign(expires_in=59),
            lambda client: client.revocations.token("x" * 300),
        ):
            with pytest.raises(ClientError):
                call(ask)
        assert server.asked == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


class TestAgainstTheServer:
    """The law: the client refuses what the server would refuse, and nothing else."""

    house: House = build()
    by = house.minter()

    def _server_refuses(self, **body: object) -> bool:
        try:
            drive(self.house.signer.sign_from(self.by, body))
        except Refused as refused:
            return refused.code == "validation_error"
        return False

    @staticmethod
    def _client_refuses(**given: object) -> bool:
        try:
            token(**given)
        except ClientError:
            return True
        return False

    @given(st.integers(-1, 90_000) | st.sampled_from([59, 60, 86_400, 86_401]) | st.booleans() | st.floats())
    def test_lifetimes(self, value: object) -> None:
        assert self._client_refuses(expires_in=value) == self._server_refuses(expiresIn=value)

    @given(st.dictionaries(st.text(max_size=3), JSON, max_size=3) | JSON.filter(lambda value: value is not None))
    def test_metadata(self, value: object) -> None:
        assert self._client_refuses(metadata=value) == self._server_refuses(metadata=value)

    @given(st.integers(4_050, 4_110), st.sampled_from(["a", "ü", "\\", '"']))
    def test_the_length_of_metadata(self, length: int, letter: str) -> None:
        value = {"x": letter * (length // len(json.dumps(letter, ensure_ascii=False).encode()[1:-1]))}
        assert self._client_refuses(metadata=value) == self._server_refuses(metadata=value)

    @given(st.uuids().map(str) | st.text(max_size=40) | st.from_regex(r"[0-9A-Fa-f-]{36}"))
    def test_ids(self, value: str) -> None:
        assert self._client_refuses(user=value) == self._server_refuses(id=value)

    @given(st.text(max_size=4) | st.text("aZ9._:@-", min_size=126, max_size=130))
    def test_accounts(self, value: str) -> None:
        # The tests' platform owns what is called acct_….
        value = "acct_" + value
        assert self._client_refuses(tenant_id=value) == self._server_refuses(tenantId=value)
