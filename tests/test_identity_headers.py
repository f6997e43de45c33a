"""Identity headers: whatever a principal holds, it arrives as it was, and nothing else can be made of it."""

import math
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestpass import ALL, Grant, Principal
from guestpass.identity_headers import IDENTITY_HEADERS, MAX_IDENTITY, identity_headers, read_identity_headers
from guestpass.requests import IDENTITY_PREFIX
from strategies import MODES, ends, principals

SAFE = re.compile(r"[!-~]+\Z")

texts = st.one_of(
    st.text(max_size=20),
    st.text(st.characters(), max_size=5),
    st.sampled_from(
        ("-", "--", "%2D", "*", "a,b", "a\r\nGuestpass-Roles: admin", "a b", "é", "\ud800", "auth0|1", "+", "\x00")
    ),
)
named = st.one_of(st.just(ALL), st.frozensets(texts.filter(bool), max_size=4))
json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(st.characters(codec="utf-8"), max_size=5)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3),
    ),
    max_leaves=6,
)
odd_principals = st.builds(
    Principal,
    kind=texts.filter(bool),
    subject=texts,
    grant=st.builds(
        Grant,
        platform=texts,
        mode=st.sampled_from(MODES),
        accounts=st.one_of(st.just(frozenset[str]()), texts.filter(bool).map(lambda account: frozenset({account}))),
        components=named,
        roles=named,
        expires_at=ends,
    ),
    credential_id=texts,
    issuer=texts,
    minted_by=texts,
    metadata=st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), json_values, max_size=4),
)
"""Principals as no issuer of ours makes them."""


def one(**more: Any) -> Principal:
    """A principal, and what is said of it."""
    grant = Grant(
        "plat", "live", frozenset({"acct_1"}), frozenset({"call_logs"}), frozenset({"agent"}), 1_900_000_000.9
    )
    return Principal(**{"kind": "own", "subject": "s", "grant": grant, "credential_id": "c_1", **more})


def values(principal: Principal | None) -> dict[str, str]:
    """The headers by name, each of which stands there once."""
    headers = identity_headers(principal)
    assert [name for name, _ in headers] == list(IDENTITY_HEADERS)
    return dict(headers)


@given(odd_principals)
def test_a_principal_arrives_as_it_was(principal: Principal) -> None:
    headers = identity_headers(principal)
    assert all(SAFE.match(value) for _, value in headers)
    assert read_identity_headers(headers) == principal
    read = read_identity_headers([(name.lower().encode(), value.encode()) for name, value in headers])
    assert read is not None
    assert read.metadata == principal.metadata


@given(principals)
def test_only_one_account_is_an_account(principal: Principal) -> None:
    said = values(principal)["Guestpass-Account"]
    assert said == (principal.account or "-")
    read = read_identity_headers(identity_headers(principal))
    assert read is not None
    assert read.account == principal.account
    assert principal.grant.covers(read.grant)


def test_every_name_begins_as_the_guards_own_do() -> None:
    assert len(set(IDENTITY_HEADERS)) == len(IDENTITY_HEADERS)
    for name in IDENTITY_HEADERS:
        assert name.lower().encode().startswith(IDENTITY_PREFIX)


def test_what_a_value_looks_like() -> None:
    said = values(one(issuer="https://login.example/", minted_by="key_1", metadata={"plan": "pro"}))
    assert said == {
        "Guestpass-Kind": "own",
        "Guestpass-Platform": "plat",
        "Guestpass-Account": "acct_1",
        "Guestpass-Subject": "s",
        "Guestpass-Issuer": "https://login.example/",
        "Guestpass-Credential-Id": "c_1",
        "Guestpass-Minted-By": "key_1",
        "Guestpass-Components": "call_logs",
        "Guestpass-Roles": "agent",
        "Guestpass-Mode": "live",
        "Guestpass-Expires-At": "1900000000",
        "Guestpass-Metadata": "eyJwbGFuIjoicHJvIn0",
    }


def test_where_there_is_nothing_stands_a_dash_and_nowhere_else() -> None:
    assert set(values(None).values()) == {"-"}
    empty = values(Principal(kind="own", subject="", grant=Grant("", "test"), credential_id=""))
    assert {name for name, value in empty.items() if value != "-"} == {"Guestpass-Kind", "Guestpass-Mode"}
    assert values(one(subject="-"))["Guestpass-Subject"] == "%2D"
    assert values(one(grant=Grant("p", "live", components=frozenset({"-"}))))["Guestpass-Components"] == "%2D"


def test_all_names_are_a_star_and_a_star_is_not() -> None:
    every = values(one(grant=Grant("p", "live", ALL, ALL, frozenset({"*"}))))
    assert (every["Guestpass-Account"], every["Guestpass-Components"], every["Guestpass-Roles"]) == ("-", "*", "%2A")


def test_no_end_is_no_time() -> None:
    assert values(one(grant=Grant("p", "live", expires_at=math.inf)))["Guestpass-Expires-At"] == "-"


def test_a_subject_makes_no_second_header() -> None:
    said = values(one(subject="eve\r\nGuestpass-Roles: admin"))
    assert said["Guestpass-Subject"] == "eve%0D%0AGuestpass-Roles:%20admin"
    assert said["Guestpass-Roles"] == "agent"


def test_what_does_not_fit_is_refused() -> None:
    kept = one(subject="s" * (MAX_IDENTITY - 200))
    assert identity_headers(kept)
    with pytest.raises(ValueError, match=r"a own would take \d+ bytes"):
        identity_headers(kept.but(subject="s" * MAX_IDENTITY))
    for metadata in ({"at": object()}, {"at": math.nan}, {"at": "\ud800"}):
        with pytest.raises(ValueError, match=r"JSON|surrogates"):
            identity_headers(one(metadata=metadata))


@pytest.mark.parametrize("name", IDENTITY_HEADERS)
def test_a_header_that_is_missing_or_doubled_is_noticed(name: str) -> None:
    for principal in (one(), None):
        headers = identity_headers(principal)
        with pytest.raises(ValueError, match=f"{name} is missing"):
            read_identity_headers([header for header in headers if header[0] != name])
        for again in (name, name.replace("-", "_"), name.upper()):
            with pytest.raises(ValueError, match=f"{name} stands there twice"):
                read_identity_headers([*headers, (again, "admin")])


@pytest.mark.parametrize(
    "wrong",
    [
        {"Guestpass-Mode": "both"},
        {"Guestpass-Mode": "-"},
        {"Guestpass-Kind": "-"},
        {"Guestpass-Expires-At": "soon"},
        {"Guestpass-Subject": "%ff"},
        {"Guestpass-Expires-At": "1_900_000_000"},
        {"Guestpass-Subject": "%73"},
        {"Guestpass-Subject": "a b"},
        {"Guestpass-Roles": "b,a"},
        {"Guestpass-Roles": "a,*"},
        {"Guestpass-Metadata": "W10"},
        {"Guestpass-Metadata": "eyJhIjox!fQ"},
        {"Guestpass-Metadata": "e30.e30"},
        {"Guestpass-Metadata": "eyJhIjoxLCJhIjoyfQ"},
    ],
    ids=str,
)
def test_what_nobody_wrote_is_not_read(wrong: Mapping[str, str]) -> None:
    said = {**values(one()), **wrong}
    with pytest.raises(ValueError):
        read_identity_headers(said.items())


def test_metadata_may_be_any_mapping() -> None:
    proxied = MappingProxyType({"a": MappingProxyType({"b": 1})})
    assert values(one(metadata=proxied)) == values(one(metadata={"a": {"b": 1}}))


def test_the_metadata_that_is_read_is_shared_by_nobody() -> None:
    read = read_identity_headers(identity_headers(one(metadata={"a": {"b": [1]}})))
    assert read is not None
    with pytest.raises(TypeError):
        read.metadata["a"] = 1  # type: ignore[index] # that is the point
