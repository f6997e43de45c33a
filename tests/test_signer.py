"""Signed tokens: what may be asked for, which claims are set, and which tokens are believed."""

import json
import uuid
from collections.abc import Callable
from functools import partial
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestpass import ConfigurationError, Grant, KeyRing, Principal, Refused, Rule, TokenSigner, open_store
from guestpass.inquiry import drive
from guestpass.minting import DEFAULT_LIFETIME, MAX_LIFETIME, MIN_LIFETIME, Minted
from guestpass.revocation.feed import feed_of
from guestpass.signer import MAX_METADATA, MAX_SIGNED, TYP
from guestpass.tokens import UnverifiedToken, check_signature, read_token, sign
from support import AUDIENCE, ISSUER, START, House, Recording, build, code_of

RULES = [Rule("GET /")]
USER = "3f2a9c1e-0b4d-4e5f-8a6b-7c8d9e0f1a2b"


@pytest.fixture
def house() -> House:
    return build(RULES)


@pytest.fixture
def by(house: House) -> Principal:
    return house.minter()


def read(token: str) -> UnverifiedToken:
    return read_token(token)


def fields(action: Callable[[], object]) -> list[str]:
    """The fields that a validation error names."""
    with pytest.raises(Refused) as raised:
        action()
    assert raised.value.code == "validation_error", raised.value
    return sorted(error.field for error in raised.value.refusal.errors)


# --- what comes out --------------------------------------------------------------------------------------------------


def test_a_token_says_all_that_the_document_promises(house: House, by: Principal) -> None:
    signed = house.signer.sign(by=by, id=USER, tenant_id="acct_1", metadata={"plan": "gold"}, expires_in=600)
    assert (signed.id, signed.expires_at) == (USER, int(START) + 600)
    assert signed.jwt not in repr(signed)
    token = read(signed.jwt)
    record, _ = drive(house.ring.signer("live"))
    assert token.header == {"alg": "ES256", "typ": TYP, "kid": record.kid}
    claims = dict(token.claims)
    assert len(str(claims.pop("jti"))) == 32
    assert claims == {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": USER,
        "iat": int(START),
        "exp": int(START) + 600,
        "platform": "plat",
        "mode": "live",
        "minted_by": by.credential_id,
        "minted_ms": int(START * 1000),
        "account": "acct_1",
        "components": [],
        "roles": ["external_entity"],
        "metadata": {"plan": "gold"},
    }


RING = KeyRing(open_store("memory://"), wrapping_key=KeyRing.new_wrapping_key())
NAMES = st.frozensets(st.text(), max_size=3)


@given(st.text(), st.text(), NAMES, NAMES, st.none() | st.text())
def test_whatever_stands_in_a_grant_is_what_is_read(
    platform: str, minter: str, components: frozenset[str], roles: frozenset[str], account: str | None
) -> None:
    """Also what no grant of ours has in it: quotes, braces, half a character, names of claims."""
    accounts = frozenset[str]() if account is None else frozenset((account,))
    grant = Grant(platform, "live", accounts, components, roles, 2_000_000_000.5)
    signer = TokenSigner(RING, issuer='is"s', audience="a\\ud", randomness=bytes)
    by = Principal(kind="secret_key", subject=minter, grant=grant, credential_id=minter)
    minted = Minted(grant, 1_999_999_999, 1, 1_999_999_999_123)
    metadata: dict[object, object] = {"}": ['"', account, 1.5]}
    assert json.loads(signer._claims(by, USER, metadata, minted)) == {
        "iss": signer.issuer,
        "aud": "a\\ud",
        "sub": USER,
        "iat": 1_999_999_999,
        "exp": 2_000_000_000,
        "jti": "0" * 32,
        "platform": platform,
        "mode": "live",
        "minted_by": minter,
        "minted_ms": 1_999_999_999_123,
        **({} if account is None else {"account": account}),
        "components": sorted(components),
        "roles": sorted(roles),
        "metadata": metadata,
    }


def test_a_tokens_principal_is_the_end_user(house: House, by: Principal) -> None:
    signed = house.signer.sign(by=by, id=USER, tenant_id="acct_1", metadata={"role": "admin", "n": [1, {"a": None}]})
    principal = house.guard.check(signed.jwt)
    assert principal.identity == ("signed_token", ISSUER, "plat", "acct_1", USER)
    assert principal.metadata == {"role": "admin", "n": (1, {"a": None})}
    assert principal.grant.roles == frozenset({"external_entity"})
    assert principal.minted_by == by.credential_id
    assert principal.expires_at == START + DEFAULT_LIFETIME
    assert hash(principal) == hash(house.guard.check(signed.jwt))


def test_an_id_left_out_is_made(house: House, by: Principal) -> None:
    made = {house.signer.sign(by=by).id for _ in range(5)}
    assert len(made) == 5
    for one in made:
        assert uuid.UUID(one).version == 4
        assert one == str(uuid.UUID(one))


def test_an_id_is_lower_cased(house: House, by: Principal) -> None:
    assert house.signer.sign(by=by, id=USER.upper()).id == USER


def test_metadata_is_shared_by_requests_and_cannot_be_changed(house: House, by: Principal) -> None:
    token = house.signer.sign(by=by, metadata={"a": {"b": [1]}}).jwt
    metadata: Any = house.guard.check(token).metadata
    with pytest.raises(TypeError):
        metadata["a"] = 1
    with pytest.raises(TypeError):
        metadata["a"]["b"] = 1
    assert metadata["a"]["b"] == (1,)


def test_claims_are_written_as_utf_8(house: House, by: Principal) -> None:
    jwt = house.signer.sign(by=by, metadata={"name": "Zoë 🔑"}).jwt
    payload = check_signature(jwt, house.ring.jwks("live"), ["ES256"])
    assert "Zoë 🔑".encode() in payload
    assert house.guard.check(jwt).metadata == {"name": "Zoë 🔑"}


def test_metadata_shadows_no_claim_and_authorises_nothing(house: House, by: Principal) -> None:
    greedy: dict[str, object] = {
        "iss": "https://evil.example", "aud": "x", "sub": "root", "exp": 9e15, "role": "admin", "roles": "admin",
        "components": "call_logs", "account": "acct_2", "platform": "other", "mode": "test", "metadata": {"roles": 1},
    }  # fmt: skip
    plain = house.guard.check(house.signer.sign(by=by, id=USER, tenant_id="acct_1").jwt)
    principal = house.guard.check(house.signer.sign(by=by, id=USER, tenant_id="acct_1", metadata=greedy).jwt)
    assert principal.identity == plain.identity
    assert principal.grant == plain.grant
    assert principal.metadata == greedy


@pytest.mark.anyio
async def test_the_async_form_does_the_same(house: House, by: Principal) -> None:
    signed = await house.signer.sign_async(by=by, tenant_id="acct_1", roles=["agent"], narrow=True)
    assert (await house.guard.check_async(signed.jwt)).grant.roles == frozenset({"external_entity", "agent"})


# --- bounds ----------------------------------------------------------------------------------------------------------


def nested(depth: int) -> dict[str, object]:
    """An object so deep."""
    value: dict[str, object] = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


NO_METADATA: tuple[Any, ...] = (
    [], "x", 7, {1: "a"}, {"a": float("nan")}, {"a": float("inf")}, {"a": {1, 2}}, {"a": object}, {"a": "\ud800"},
    {"a": (1, 2)}, {"a": 2**63}, {"a": b"x"}, {None: 1}, nested(40), {True: 1},
)  # fmt: skip
BAD: list[tuple[dict[str, Any], list[str]]] = [
    *(
        ({"id": value}, ["id"])
        for value in ("", "user-1", USER[:-1], USER + "0", USER.replace("-", ""), "{" + USER + "}", "urn:uuid:" + USER,
                      USER + "\n", USER.replace("3", "３"), 7, True, uuid.UUID(USER))
    ),
    *(({"expires_in": value}, ["expires_in"]) for value in (59, 86_401, True, 600.0, "600", -1)),
    *(({"tenant_id": value}, ["tenant_id"]) for value in ("", "-", "a b", 7, "a" * 129)),
    *(({"metadata": value}, ["metadata"]) for value in NO_METADATA),
    ({"roles": ["king"]}, ["roles"]),
    ({"components": {"nothing": {"enabled": True}}}, ["components.nothing"]),
    ({"id": 7, "tenant_id": 7, "metadata": 7, "expires_in": 7}, ["expires_in", "id", "metadata", "tenant_id"]),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "named"), BAD, ids=lambda value: str(value)[:50])
def test_a_field_out_of_bounds_is_named(house: House, by: Principal, asked: dict[str, Any], named: list[str]) -> None:
    assert fields(partial(house.signer.sign, by=by, **asked)) == named


@pytest.mark.parametrize("seconds", [MIN_LIFETIME, MAX_LIFETIME])
def test_both_ends_of_the_lifetime_are_in(house: House, by: Principal, seconds: int) -> None:
    assert house.signer.sign(by=by, expires_in=seconds).expires_at == START + seconds


def test_metadata_is_measured_in_bytes_of_compact_utf_8(house: House, by: Principal) -> None:
    overhead = len(b'{"a":""}')
    for text in ("x" * (MAX_METADATA - overhead), "é" * ((MAX_METADATA - overhead) // 2)):
        jwt = house.signer.sign(by=by, metadata={"a": text}).jwt
        assert house.guard.check(jwt).metadata == {"a": text}
        assert len(jwt) <= MAX_SIGNED
        assert fields(partial(house.signer.sign, by=by, metadata={"a": text + "é"})) == ["metadata"]


def test_a_token_that_would_be_too_long_is_a_validation_error() -> None:
    long = {f"component_{number:04d}_{'x' * 40}": () for number in range(80)}
    from guestpass import Policy

    house = build(Policy(*RULES, components=long, roles=("external_entity",)))
    everything: dict[str, dict[str, object]] = {name: {"enabled": True} for name in long}
    by = house.minter()
    assert house.signer.sign(by=by, metadata={"a": "x" * 1_000}).jwt
    assert fields(partial(house.signer.sign, by=by, components=everything, metadata={"a": "x" * 4_000})) == ["metadata"]


def test_metadata_may_be_any_mapping_and_is_left_out_where_it_is_empty(house: House, by: Principal) -> None:
    assert house.guard.check(house.signer.sign(by=by, metadata=MappingProxyType({"a": 1})).jwt).metadata == {"a": 1}
    assert "metadata" not in read(house.signer.sign(by=by, metadata={}).jwt).claims


# --- never more than the minter --------------------------------------------------------------------------------------


def test_a_key_of_one_account_signs_for_that_one_only(house: House) -> None:
    by = house.minter(accounts={"acct_1"})
    assert house.guard.check(house.signer.sign(by=by).jwt).account == "acct_1"
    assert code_of(partial(house.signer.sign, by=by, tenant_id="acct_2")) == "escalation_denied"


def test_without_an_account_a_token_has_none(house: House, by: Principal) -> None:
    assert house.guard.check(house.signer.sign(by=by).jwt).account is None
    several = house.minter(accounts={"acct_1", "acct_2"})
    assert house.guard.check(house.signer.sign(by=several).jwt).account is None


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        ({"roles": {"agent"}}, {"roles": ["admin"]}),
        ({"components": {"voicemails"}}, {"components": {"call_logs": {"enabled": True}}}),
        ({"expires_at": START + 600}, {"expires_in": 601}),
        ({}, {"tenant_id": "stranger"}),
    ],
)
def test_asking_for_more_is_refused(house: House, key: dict[str, Any], asked: dict[str, Any]) -> None:
    minter = house.minter(**key)
    assert code_of(partial(house.signer.sign, by=minter, **asked)) in ("escalation_denied", "account_refused")


def test_only_a_secret_key_signs(house: House) -> None:
    for text in (house.session(), house.token(), house.key(kind="publishable_key")):
        assert code_of(partial(house.signer.sign, by=house.guard.check(text))) == "escalation_denied"


# --- what is believed ------------------------------------------------------------------------------------------------


def forged(house: House, *, header: dict[str, object] | None = None, without: str = "", **claims: object) -> str:
    """A token signed with the ring's own key, with these headers and claims instead of the right ones."""
    record, private = drive(house.ring.signer("live"))
    whole: dict[str, object] = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": USER, "iat": int(START), "exp": int(START) + 600, "jti": "j",
        "platform": "plat", "mode": "live", "minted_by": "key_x", "minted_ms": int(START * 1000), "components": [],
        "roles": ["agent"], **claims,
    }  # fmt: skip
    whole.pop(without, None)
    heads: dict[str, object] = {"typ": TYP, "kid": record.kid, **(header or {})}
    return sign(whole, heads, private, record.algorithm)


def test_a_token_with_the_right_claims_is_believed(house: House) -> None:
    # What the table below changes one thing of.
    assert house.guard.check(forged(house)).grant.roles == frozenset({"external_entity", "agent"})
    assert house.guard.check(forged(house, aud=["x", AUDIENCE])).subject == USER


NO_NUMBERS: tuple[Any, ...] = ("1900000600", True, None, [])
NO_OBJECTS: tuple[Any, ...] = ([], "x", 7, None)
WRONG: list[tuple[dict[str, Any], str]] = [
    *(({"without": name}, "credential_invalid") for name in
      ("aud", "sub", "exp", "jti", "platform", "mode", "minted_by", "minted_ms", "components", "roles")),
    *(({"header": {"typ": typ}}, "credential_invalid") for typ in ("JWT", "at+jwt", "", None, 7)),
    *(({"header": {"kid": kid}}, "credential_invalid") for kid in ("", "other")),
    ({"header": {"crit": ["x"], "x": 1}}, "credential_invalid"),
    ({"header": {"b64": False}}, "credential_invalid"),
    *(({"aud": aud}, "credential_invalid") for aud in ("x", ["x"], [], None, [AUDIENCE, 7], {AUDIENCE: 1})),
    *(({"mode": mode}, "credential_invalid") for mode in ("test", "prod", 1, ["live"], {"live": 1}, None)),
    *(({"exp": exp}, "credential_invalid") for exp in NO_NUMBERS),
    ({"exp": START}, "token_expired"),
    ({"exp": START - 1}, "token_expired"),
    ({"exp": 0}, "token_expired"),
    ({"nbf": START + 1}, "credential_invalid"),
    ({"nbf": "x"}, "credential_invalid"),
    ({"iat": START + 1}, "credential_invalid"),
    *(({"minted_ms": at}, "credential_invalid") for at in (1.5, "1", True, None)),
    *(({"roles": roles}, "credential_invalid") for roles in ("agent", {"agent": True}, [7], None, [["agent"]])),
    *(({"components": names}, "credential_invalid") for names in ("call_logs", {"call_logs": 1}, [None])),
    *(({"metadata": data}, "credential_invalid") for data in NO_OBJECTS),
    *(({"account": account}, "credential_invalid") for account in ("", 7, None, ["acct_1"], "a\nb")),
    *(({"sub": sub}, "credential_invalid") for sub in ("", 7, "a\x00")),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "code"), WRONG, ids=lambda value: str(value)[:50])
def test_a_token_with_one_thing_wrong_is_refused_whoever_signed_it(
    house: House, changed: dict[str, Any], code: str
) -> None:
    assert code_of(lambda: house.guard.check(forged(house, **changed))) == code


def test_names_that_the_policy_does_not_know_are_worth_nothing(house: House) -> None:
    token = forged(house, roles=["king", "ALL", "*"], components=["nothing", "*", "ALL", "call_logs/*"])
    grant = house.guard.check(token).grant
    assert grant.roles == frozenset()
    assert grant.components <= frozenset({"call_logs", "call_logs/transcripts", "call_logs/export"})  # type: ignore[operator]


def test_a_token_of_another_issuer_is_nobodys(house: House) -> None:
    assert code_of(lambda: house.guard.check(forged(house, iss="https://evil.example"))) == "credential_invalid"
    assert code_of(lambda: house.guard.check(forged(house, iss=ISSUER + "/"))) == "credential_invalid"
    assert code_of(lambda: house.guard.check(forged(house, without="iss"))) == "credential_invalid"


def test_a_token_ends_at_its_exp_without_leeway(house: House, by: Principal) -> None:
    token = house.signer.sign(by=by, expires_in=60).jwt
    house.clock.now = START + 59.999
    assert house.guard.check(token).kind == "signed_token"
    house.clock.now = START + 60
    assert code_of(lambda: house.guard.check(token)) == "token_expired"


def test_a_cached_token_ends_at_its_exp_too() -> None:
    house = build(RULES, recheck=100_000.0)
    token = house.token(expires_in=60)
    house.guard.check(token)
    house.clock.now = START + 60
    assert code_of(lambda: house.guard.check(token)) == "token_expired"


def test_an_authenticator_that_is_handed_what_is_no_token_refuses_it(house: House) -> None:
    from guestpass import Credential, Refusal

    verdict = house.signer.authenticate(Credential("no.token.here"), START)
    assert isinstance(verdict, Refusal)
    assert verdict.code == "credential_invalid"


# --- revocation ------------------------------------------------------------------------------------------------------

ENDS: dict[str, Callable[[House, Principal], None]] = {
    "its jti": lambda house, who: void(house.revocations.token(who.credential_id, platform="plat")),
    "the token itself": lambda house, who: void(house.revocations.credential(who)),
    "its identity": lambda house, who: void(house.revocations.identity(who.identity)),
    "its subject in its account": lambda house, who: void(house.revocations.subject("plat", USER, "acct_1")),
    "its subject, as the platform spells it": lambda house, who: void(
        house.revocations.subject("plat", USER.upper(), "acct_1")
    ),
    "its account": lambda house, who: void(house.revocations.account("plat", "acct_1")),
    "its key": lambda house, who: void(house.keys.revoke(who.minted_by)),
    "its key, narrowed": lambda house, who: void(house.keys.narrow(who.minted_by, roles={"agent"})),
}


def void(_: object) -> None:
    """Nothing."""


@pytest.mark.parametrize("end", ENDS)
def test_a_token_ends_here_at_once_and_elsewhere_within_a_second(house: House, by: Principal, end: str) -> None:
    token = house.signer.sign(by=by, id=USER, tenant_id="acct_1").jwt
    elsewhere = build(RULES, store=Recording(house.store), clock=house.clock, seed=2)
    who = house.guard.check(token)
    elsewhere.guard.check(token)
    ENDS[end](house, who)
    assert code_of(lambda: house.guard.check(token)) == "token_revoked"
    elsewhere.guard.check(token)
    feed_of(elsewhere.store).read()
    assert code_of(lambda: elsewhere.guard.check(token)) == "token_revoked"
    # For good.
    house.clock.advance(1_000)
    assert code_of(lambda: house.guard.check(token)) == "token_revoked"


def test_a_revocation_ends_nothing_beside_what_it_names(house: House, by: Principal) -> None:
    other_user = str(uuid.UUID(int=7))
    mine = house.signer.sign(by=by, id=USER, tenant_id="acct_1").jwt
    others = [
        house.signer.sign(by=by, id=USER, tenant_id="acct_2").jwt,
        house.signer.sign(by=by, id=other_user, tenant_id="acct_1").jwt,
        house.signer.sign(by=by, id=USER).jwt,
        house.signer.sign(by=house.minter(platform="other"), id=USER, tenant_id="acct_1").jwt,
        house.session("acct_1"),
    ]
    house.revocations.subject("plat", USER, "acct_1")
    house.clock.advance(5)
    assert code_of(lambda: house.guard.check(mine)) == "token_revoked"
    for text in others:
        house.guard.check(text)


def test_a_subject_without_an_account_is_one_of_its_own(house: House, by: Principal) -> None:
    token = house.signer.sign(by=by, id=USER).jwt
    inside = house.signer.sign(by=by, id=USER, tenant_id="acct_1").jwt
    house.revocations.subject("plat", USER)
    assert code_of(lambda: house.guard.check(token)) == "token_revoked"
    house.guard.check(inside)


def test_what_is_signed_after_a_revocation_is_good(house: House, by: Principal) -> None:
    house.signer.sign(by=by, id=USER, tenant_id="acct_1")
    house.revocations.account("plat", "acct_1")
    house.clock.advance(1)
    assert house.guard.check(house.signer.sign(by=by, id=USER, tenant_id="acct_1").jwt).subject == USER


def test_an_account_ends_with_its_sessions(house: House) -> None:
    secret, other = house.session("acct_1"), house.session("acct_2")
    house.guard.check(secret)
    house.revocations.account("plat", "acct_1")
    assert code_of(lambda: house.guard.check(secret)) == "session_revoked"
    house.guard.check(other)


@pytest.mark.anyio
async def test_revocations_do_not_hold_up_an_event_loop(house: House, by: Principal) -> None:
    signed = [await house.signer.sign_async(by=by, id=USER, tenant_id=f"acct_{number}") for number in (1, 2, 3)]
    await house.revocations.token_async((await house.guard.check_async(signed[0].jwt)).credential_id, platform="plat")
    await house.revocations.subject_async("plat", USER, "acct_2")
    await house.revocations.account_async("plat", "acct_3")
    for one in signed:
        with pytest.raises(Refused, match="token_revoked"):
            await house.guard.check_async(one.jwt)


@pytest.mark.anyio
async def test_one_credential_and_one_identity_end_on_an_event_loop_too(house: House, by: Principal) -> None:
    tokens = [(await house.signer.sign_async(by=by, id=USER)).jwt for _ in range(2)]
    await house.revocations.credential_async(await house.guard.check_async(tokens[0]))
    with pytest.raises(Refused, match="token_revoked"):
        await house.guard.check_async(tokens[0])
    await house.revocations.identity_async((await house.guard.check_async(tokens[1])).identity)
    with pytest.raises(Refused, match="token_revoked"):
        await house.guard.check_async(tokens[1])


# --- construction ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"), [("issuer", ""), ("audience", ""), ("issuer", "a\nb"), ("audience", "\x00")]
)
def test_issuer_and_audience_are_texts(name: str, value: str) -> None:
    ring = KeyRing(open_store("memory://"), wrapping_key=KeyRing.new_wrapping_key())
    given: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, name: value}
    with pytest.raises(ConfigurationError, match=name):
        TokenSigner(ring, **given)


def test_the_payload_is_json_that_a_strict_reader_takes(house: House, by: Principal) -> None:
    payload = check_signature(house.signer.sign(by=by).jwt, house.ring.jwks("live"), ["ES256"])
    assert json.loads(payload)["aud"] == AUDIENCE


def test_what_is_not_spelled_out_is_never_signed() -> None:
    from guestpass import ALL
    from guestpass.signer import _listed

    with pytest.raises(TypeError, match="by name"):
        _listed(ALL)


def test_a_token_that_claims_another_mode_than_its_keys_is_refused(house: House) -> None:
    # The other way round than the table: a test key, and claims that say "live" to a live guard.
    record, private = drive(house.ring.signer("test"))
    claims = {**read(forged(house)).claims, "mode": "live"}
    token = sign(claims, {"typ": TYP, "kid": record.kid}, private, record.algorithm)
    assert code_of(partial(house.guard.check, token)) == "credential_invalid"
