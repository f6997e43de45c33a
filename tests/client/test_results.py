"""Answers are read by their shape; what is junk is said without being quoted."""

import json
import pickle
from typing import Any

import pytest

from guestpass.client import ClientError, IssuedToken
from guestpass.client.results import (
    read_revoked,
    read_revoked_session,
    read_session,
    read_signed,
    token_lifetime,
    token_subject,
)
from support import build

SESSION = {
    "id": "as_1",
    "account": "acct_1",
    "client_secret": "cs_live_secret",
    "expires_at": "2030-01-01T00:00:00Z",
    "expires_in": 3600,
    "components": {"call_logs": {"enabled": True, "features": {}}},
    "livemode": True,
}


def encoded(content: object) -> bytes:
    return json.dumps(content).encode()


def test_a_session() -> None:
    session = read_session(encoded({**SESSION, "more": 1}), 7.0)
    assert (session.id, session.account, session.client_secret) == ("as_1", "acct_1", "cs_live_secret")
    assert (session.expires_at, session.expires_in, session.received_at) == ("2030-01-01T00:00:00Z", 3600, 7.0)
    assert session.livemode
    assert session.components == SESSION["components"]
    assert "cs_live" not in repr(session)
    with pytest.raises(TypeError, match="copy"):
        session.components["voicemails"] = {}  # type: ignore[index]
    with pytest.raises(AttributeError):
        session.account = "acct_2"  # type: ignore[misc]


def test_another_accounts_session_and_another_users_token_are_none() -> None:
    assert read_session(encoded(SESSION), 7.0, account="acct_1").account == "acct_1"
    with pytest.raises(ClientError, match="another account") as raised:
        read_session(encoded(SESSION), 7.0, account="acct_2")
    assert raised.value.code == "INVALID_RESPONSE"
    house = build()
    signed = house.signer.sign(by=house.minter())
    answer = encoded({"jwt": signed.jwt, "expiresAt": signed.expires_at, "id": signed.id})
    assert read_signed(answer, 7.0, user=signed.id).id == signed.id
    with pytest.raises(ClientError, match="another user"):
        read_signed(answer, 7.0, user="a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d")


def test_a_token_says_how_long_it_lives_by_its_issuers_own_clock() -> None:
    house = build()
    signed = house.signer.sign(by=house.minter(), expires_in=90)
    answer = {"jwt": signed.jwt, "expiresAt": signed.expires_at, "id": signed.id}
    token = read_signed(encoded(answer), 7.0)
    assert token == IssuedToken(signed.jwt, signed.expires_at, signed.id, 90, 7.0)
    assert "eyJ" not in repr(token)
    for wrong in (
        {"jwt": "eyJ.eyJ.x"},
        {"jwt": signed.jwt + "\n"},
        {"id": "another"},
        {"expiresAt": "soon"},
        {"expiresAt": True},
    ):
        with pytest.raises(ClientError):
            read_signed(encoded({**answer, **wrong}), 7.0)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("id", [None, 7, "", "a\r\nb", ["as_1"]]),
        ("account", [None, ""]),
        ("client_secret", [None, {}, "cs_live_secret\n"]),
        ("expires_at", [None, 1900000000]),
        ("expires_in", [None, "3600", 3600.0, True, 0, -1]),
        ("components", [None, [], "all"]),
        ("livemode", [None, 1, "true"]),
    ],
)
def test_a_session_of_another_shape_is_junk(field: str, values: list[Any]) -> None:
    for value in values:
        _is_junk(read_session, {**SESSION, field: value}, field)
    _is_junk(read_session, {name: value for name, value in SESSION.items() if name != field}, field)


@pytest.mark.parametrize("body", [b"", b"<html>cs_live_secret</html>", b"[]", b"null", b"\xff", b"{", b'{"a":1,"a":2}'])
@pytest.mark.parametrize("read", [read_session, read_signed, read_revoked, read_revoked_session])
def test_what_is_no_object_is_junk(read: Any, body: bytes) -> None:
    with pytest.raises(ClientError) as raised:
        read(body, 7.0)
    assert raised.value.code == "INVALID_RESPONSE"
    assert "cs_live" not in str(raised.value)


def test_revocations() -> None:
    read_revoked_session(encoded({"id": "as_1", "revoked": True}), 7.0)
    assert read_revoked(encoded({"revoked": True, "at_ms": None}), 7.0).at_ms is None
    assert read_revoked(encoded({"revoked": True, "at_ms": 1_900_000_000_000}), 7.0).at_ms == 1_900_000_000_000
    for wrong in ({"revoked": False, "at_ms": 1}, {"revoked": 1, "at_ms": 1}, {"revoked": True}, {"at_ms": 1}):
        _is_junk(read_revoked, wrong, "")


def test_what_a_token_says_of_itself() -> None:
    for nonsense in ("", "cs_live_x", "a.b.c", "eyJhbGciOiJub25lIn0.W10.eA"):
        assert token_lifetime(nonsense) is None
        assert token_subject(nonsense) is None


def test_a_client_error_can_be_pickled() -> None:
    problem = ClientError("UNAVAILABLE", "not now", status=503, details={"code": "overloaded"}, retry_after=2.0)
    copy = pickle.loads(pickle.dumps(problem))
    assert (copy.code, copy.message, copy.status, copy.details, copy.retry_after, str(copy)) == (
        "UNAVAILABLE", "not now", 503, {"code": "overloaded"}, 2.0, "UNAVAILABLE: not now",
    )  # fmt: skip


def _is_junk(read: Any, content: object, field: str) -> None:
    with pytest.raises(ClientError) as raised:
        read(encoded(content), 7.0)
    assert field in str(raised.value)
    assert raised.value.code == "INVALID_RESPONSE"
    assert "base_url" in str(raised.value)
    assert "cs_live" not in str(raised.value)
