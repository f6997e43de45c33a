"""Outside issuers: settings, claims into grants, and what an authenticator promises."""

from collections.abc import Generator, Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from guestpass import tokens
from guestpass.claims import ANY, Always, Claim, ClaimMapping
from guestpass.credentials import Credential
from guestpass.errors import ConfigurationError, InvalidToken, KeysUnavailable
from guestpass.inquiry import Ask, drive, drive_async
from guestpass.issuers import ANY_AUDIENCE, JwtIssuer
from guestpass.keysets.keyset import FindVerificationKey, KeySet
from guestpass.principal import Principal
from guestpass.refusals import Refusal
from key_server import key_server

NOW = 1_800_000_000
ISSUER = "https://issuer.example/"
PRIVATE = ec.generate_private_key(ec.SECP256R1())
RSA_PRIVATE = rsa.generate_private_key(65537, 2048)
JWKS = {
    "keys": [
        {**jwt.get_algorithm_by_name("ES256").to_jwk(PRIVATE.public_key(), as_dict=True), "kid": "k"},
        {
            **jwt.get_algorithm_by_name("RS256").to_jwk(RSA_PRIVATE.public_key(), as_dict=True),
            "kid": "r",
            "key_ops": ["verify"],
        },
    ]
}
KEYS = KeySet.from_jwks(JWKS)
CLAIMS: dict[str, object] = {
    "iss": ISSUER,
    "aud": "api",
    "sub": "user-1",
    "exp": NOW + 60,
    "iat": NOW - 5,
    "jti": "t-1",
}


def issuer(**settings: Any) -> JwtIssuer:
    return JwtIssuer(ISSUER, **{"keys": KEYS, "audience": "api", "algorithms": ("ES256",), **settings})


def signed(header: Mapping[str, object] | None = None, without: tuple[str, ...] = (), **claims: Any) -> str:
    said = {name: value for name, value in {**CLAIMS, **claims}.items() if name not in without}
    return tokens.sign(said, {"kid": "k", **(header or {})}, PRIVATE, "ES256")


def presented(text: str) -> Credential:
    return Credential(text, token=tokens.read_token(text))


def authenticated(one: JwtIssuer, text: str, now: float = NOW) -> Principal | Refusal:
    verdict = one.authenticate(presented(text), now)
    assert not isinstance(verdict, Generator)
    return verdict


def refused(one: JwtIssuer, text: str) -> str:
    with pytest.raises(InvalidToken) as problem:
        one.check(text, now=NOW)
    return problem.value.reason


# Construction.


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"audience": None}, "audience"),
        ({"client_id": "c"}, "audience"),
        ({"audience": ()}, "audience"),
        ({"audience": ""}, "audience"),
        ({"audience": ["api", ""]}, "audience"),
        ({"audience": None, "client_id": []}, "client_id"),
        ({"algorithms": ()}, "algorithms"),
        ({"algorithms": "ES256"}, "algorithms"),
        ({"algorithms": ("none",)}, "algorithms"),
        ({"algorithms": ("ES256", "None")}, "algorithms"),
        ({"keys": KeySet.from_url("https://issuer.example/"), "algorithms": ("HS256",)}, "from_jwks"),
        ({"leeway": 301}, "leeway"),
        ({"leeway": -1}, "leeway"),
        ({"leeway": True}, "leeway"),
        ({"leeway": float("nan")}, "leeway"),
        ({"mode": "prod"}, "mode"),
    ],
)
def test_a_mistake_in_a_setting_names_the_line(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        issuer(**settings)


def test_an_issuer_has_a_name() -> None:
    with pytest.raises(ConfigurationError, match="issuer"):
        JwtIssuer("", keys=KEYS, audience="api")
    assert repr(issuer()) == f"JwtIssuer({ISSUER!r})"
    assert repr(ANY_AUDIENCE) == "ANY_AUDIENCE"
    assert repr(ANY) == "ANY"


def test_symmetric_keys_are_for_code_alone() -> None:
    keys = KeySet.from_jwks({"keys": [{"kty": "oct", "kid": "h", "k": "a2" * 32}]})
    one = issuer(keys=keys, algorithms=("HS256",))
    secret = tokens._decode_part("a2" * 32)
    token = tokens.sign(CLAIMS, {"kid": "h"}, secret, "HS256")
    assert one.check(token, now=NOW)["sub"] == "user-1"


# What is checked.


@pytest.mark.parametrize(
    ("settings", "claims", "passes"),
    [
        ({"audience": ["x", "api"]}, {}, True),
        ({"audience": ["x"]}, {}, False),
        ({"audience": ANY_AUDIENCE}, {"aud": "whoever"}, True),
        ({"audience": ANY_AUDIENCE}, {"aud": 1}, False),
        ({"audience": None, "client_id": "c"}, {"client_id": "c"}, True),
        ({"audience": None, "client_id": ["b", "c"]}, {"client_id": "c"}, True),
        ({"audience": None, "client_id": "c"}, {"client_id": "d"}, False),
        ({"audience": None, "client_id": "c"}, {}, False),
        ({"audience": None, "client_id": "c"}, {"client_id": ["c"]}, False),
        ({"require": {"azp": "app"}}, {"azp": "app"}, True),
        ({"require": {"azp": "app"}}, {"azp": "other"}, False),
        ({"require": {"azp": "app"}}, {}, False),
        ({"id_tokens": True}, {"nonce": "n", "at_hash": "h", "token_use": "id", "typ": "ID"}, True),
        ({"id_tokens": True}, {"cnf": {"jkt": "x"}}, False),
        ({}, {"token_use": "access", "typ": "Bearer"}, True),
        ({"leeway": 300}, {"exp": NOW - 299}, True),
        ({}, {"nbf": NOW + 30, "iat": NOW + 30.0}, True),
        ({}, {"nbf": NOW + 31}, False),
        ({"leeway": 0}, {"exp": NOW}, False),
    ],
)
def test_settings_decide(settings: dict[str, Any], claims: dict[str, Any], passes: bool) -> None:
    token = signed(**claims)
    if passes:
        assert issuer(**settings).check(token, now=NOW)["sub"] == "user-1"
    else:
        assert refused(issuer(**settings), token)


def test_any_audience_takes_a_token_without_one() -> None:
    assert issuer(audience=ANY_AUDIENCE).check(signed(without=("aud",)), now=NOW)


@pytest.mark.parametrize(
    ("settings", "header", "passes"),
    [
        ({}, {}, True),
        ({}, {"typ": "JWT"}, True),
        ({}, {"typ": "jwt"}, True),
        ({}, {"typ": "at+jwt"}, True),
        ({}, {"typ": "application/at+jwt"}, True),
        ({}, {"typ": "id+jwt"}, False),
        ({}, {"typ": "secevent+jwt"}, False),
        ({"typ": "at+jwt"}, {"typ": "AT+JWT"}, True),
        ({"typ": "at+jwt"}, {"typ": "JWT"}, False),
        ({"typ": "at+jwt"}, {}, False),
        ({"typ": "application/own+jwt"}, {"typ": "own+jwt"}, True),
        ({"id_tokens": True}, {"typ": "id+jwt"}, True),
        ({"id_tokens": True}, {"typ": None}, True),
        ({"typ": "JWT"}, {"typ": None}, False),
        ({}, {"typ": {}}, False),
    ],
)
def test_the_type_is_checked_where_it_is_known(
    settings: dict[str, Any], header: dict[str, object], passes: bool
) -> None:
    if passes:
        assert issuer(**settings).check(signed(header), now=NOW)
    else:
        assert "type" in refused(issuer(**settings), signed(header))


def test_a_header_that_was_accepted_opens_nothing_else() -> None:
    one, right = issuer(), signed()
    assert one.check(right, now=NOW)
    header, payload, signature = right.split(".")
    assert refused(one, f"{header}.{payload}.{signature[:-4]}AAAA")
    assert "8 KiB" in refused(one, f"{header}.{'a' * 8192}.{signature}")
    assert "three parts" in refused(one, f"{header}.")
    assert "three parts" in refused(one, f"{header}.{payload}")
    assert "three parts" in refused(one, f"{right}.{signature}")
    assert "three parts" in refused(one, f"{right}.")
    assert refused(one, f"{header}..{signature}") == refused(one, f"{header}.{payload}.")
    assert refused(one, f"{header[:-4]}.{payload}.{signature}")
    assert one.check(right, now=NOW)


def test_a_token_of_another_issuer_is_refused_before_its_signature_is_looked_at() -> None:
    foreign = signed(iss="https://other.example/")[:-4] + "AAAA"
    assert refused(issuer(), foreign) == "it is of another issuer"
    verdict = issuer().authenticate(presented(foreign), NOW)
    assert isinstance(verdict, Refusal)
    assert verdict.code == "credential_invalid"


def test_only_short_headers_of_verified_tokens_are_remembered() -> None:
    one, right = issuer(), signed()
    before = one._accepted
    assert refused(one, right[:-4] + "AAAA")
    assert one.check(signed({"x": "y" * 600}), now=NOW)
    assert one._accepted is before
    assert one.check(right, now=NOW)
    assert one._accepted[1:] == ("ES256", "k")


def test_the_time_of_the_system_is_the_default() -> None:
    with pytest.raises(InvalidToken) as problem:
        issuer().check(signed(exp=1_000_000_000, iat=1))
    assert problem.value.code == "token_expired"


# As an authenticator.


def test_a_token_of_the_issuer_becomes_a_principal_with_nothing_but_its_subject() -> None:
    one = issuer(platform="acme", mode="test")
    text = signed(roles=["admin"], account="acct_1", scope="call_logs")
    assert one.kind_of(presented(text)) == "identity_token"
    who = authenticated(one, text)
    assert isinstance(who, Principal)
    assert (who.kind, who.subject, who.issuer, who.credential_id) == ("identity_token", "user-1", ISSUER, "t-1")
    assert (who.platform, who.mode, who.expires_at, who.issued_at) == ("acme", "test", NOW + 90, NOW - 5)
    assert (who.grant.accounts, who.grant.components, who.grant.roles) == (frozenset(), frozenset(), frozenset())
    assert not who.metadata


def test_one_end_instant_serves_check_and_principal() -> None:
    who = authenticated(issuer(leeway=10), signed(exp=NOW + 5.75))
    assert isinstance(who, Principal)
    assert who.expires_at == NOW + 15
    assert isinstance(authenticated(issuer(leeway=10), signed(exp=NOW + 5.75), NOW + 14.9), Principal)
    late = authenticated(issuer(leeway=10), signed(exp=NOW + 5.75), NOW + 15)
    assert isinstance(late, Refusal)
    assert late.code == "token_expired"
    forever = authenticated(issuer(), signed(exp=2**62))
    assert isinstance(forever, Principal)
    assert forever.expires_at == 253402300799


def test_a_token_without_jti_is_called_by_what_it_says() -> None:
    for without, name in ((("jti",), f"user-1@{NOW - 5}"), (("jti", "iat"), f"user-1@{NOW + 90}")):
        who = authenticated(issuer(), signed(without=without))
        assert isinstance(who, Principal)
        assert who.credential_id == name


def test_what_is_not_the_issuers_is_not_its_business() -> None:
    assert issuer().kind_of(Credential("sk_live_x")) is None
    assert issuer().kind_of(presented(signed(iss="https://other.example/"))) is None
    verdict = issuer().authenticate(Credential("sk_live_x"), NOW)
    assert isinstance(verdict, Refusal)
    assert (verdict.code, verdict.it) == ("credential_invalid", "token")


@pytest.mark.parametrize(
    "text",
    [
        signed({"kid": "unknown"}),
        signed(aud="other"),
        tokens.sign(CLAIMS, {"kid": "r"}, RSA_PRIVATE, "RS256"),
        signed()[:-6] + "AAAAAA",
    ],
)
def test_a_refusal_comes_straight_away(text: str) -> None:
    verdict = authenticated(issuer(), text)
    assert isinstance(verdict, Refusal)
    assert (verdict.code, verdict.it, verdict.more) == ("credential_invalid", "token", "")


def test_a_key_that_is_not_at_hand_is_asked_for() -> None:
    """The inquiry, scripted: one question, and what each answer comes to."""
    keys = KeySet.from_url("https://issuer.example/jwks.json")
    one = issuer(keys=keys)
    known = KEYS.known("ES256", "k")
    for answer, expected in ((known, Principal), (None, Refusal)):
        inquiry = one.authenticate(presented(signed()), NOW)
        assert isinstance(inquiry, Generator)
        asked = next(inquiry)
        assert isinstance(asked, Ask)
        assert (asked.of, asked.question) == (keys, FindVerificationKey("ES256", "k"))
        with pytest.raises(StopIteration) as end:
            inquiry.send(answer)
        assert isinstance(end.value.value, expected)
    inquiry = one.authenticate(presented(signed()), NOW)
    assert isinstance(inquiry, Generator)
    next(inquiry)
    with pytest.raises(KeysUnavailable):
        inquiry.throw(KeysUnavailable("down"))
    # A token that would be refused in the end asks nobody.
    assert isinstance(one.authenticate(presented(signed(aud="other")), NOW), Refusal)


@pytest.mark.anyio
async def test_keys_are_fetched_on_both_kinds_of_loop() -> None:
    with key_server() as server:
        server.document = JWKS
        one = issuer(keys=KeySet.from_url(server.url))
        verdict = one.authenticate(presented(signed()), NOW)
        assert isinstance(verdict, Generator)
        assert isinstance(await drive_async(verdict), Principal)
        assert isinstance(one.authenticate(presented(signed()), NOW), Principal)
        assert server.fetches == 1


def test_whoever_caches_verdicts_is_told_of_keys_that_left() -> None:
    told: list[int] = []
    with key_server() as server:
        server.document = JWKS
        one = issuer(keys=KeySet.from_url(server.url))
        one.subscribe(lambda: told.append(1))
        verdict = one.authenticate(presented(signed()), NOW)
        assert isinstance(verdict, Generator)
        drive(verdict)
        server.document = {"keys": JWKS["keys"][1:]}
        one.keys.reload()
        assert told == [1]


# Claims into grants.


def granted(mapping: ClaimMapping, **claims: Any) -> tuple[object, object, object]:
    who = authenticated(issuer(mapping=mapping), signed(**claims))
    assert isinstance(who, Principal)
    return who.grant.accounts, who.grant.roles, who.grant.components


NOTHING = frozenset[str]()


SAID = st.sampled_from(["a", "b", "a b", 1, True, 1.0, None, {"a": 1}])
MAPPINGS = [
    ClaimMapping(accounts=Claim("x", ANY), roles=Claim("y", ANY, separator=" "), components=Claim("x", {"a": "b"})),
    ClaimMapping(roles=(Claim("x", {"a", "b"}, separator=" "), Claim("z", ANY)), components=Always("a")),
]


@pytest.mark.parametrize("mapping", MAPPINGS)
@given(*[st.dictionaries(st.sampled_from("xyzw"), SAID | st.lists(SAID | st.lists(SAID), max_size=3))] * 2)
def test_what_says_the_same_is_granted_the_same(
    mapping: ClaimMapping, one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert hash(mapping.said(one)) == hash(mapping.said(dict(one)))
    if mapping.said(one) == mapping.said(other):
        assert mapping.read(one) == mapping.read(other)


def test_what_is_granted_is_read_once_for_all_that_say_the_same() -> None:
    one = issuer(mapping=ClaimMapping(roles=Claim("groups", ANY), accounts=Claim("org", ANY)))
    first, same, otherwise, more = (
        authenticated(one, signed(org="acct_1", groups=groups, sub=sub))
        for groups, sub in ((["agent"], "a"), (["agent", 1], "b"), ("agent", "a"), (["agent", "admin"], "a"))
    )
    assert isinstance(first, Principal)
    assert isinstance(same, Principal)
    assert isinstance(otherwise, Principal)
    assert isinstance(more, Principal)
    assert same.standing is first.standing is otherwise.standing
    assert (len(one._by_said), len(one._by_granted)) == (3, 2)
    assert more.grant.roles == frozenset({"agent", "admin"})


class Nested(ClaimMapping):
    """A mapping of one's own, for an issuer that keeps its roles one level deeper."""

    def read(self, claims: Mapping[str, object]) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
        accounts, roles, components = super().read(claims)
        access = claims.get("realm_access")
        assert isinstance(access, dict)
        return accounts, roles | frozenset(access["roles"]), components


def test_a_mapping_of_ones_own_is_asked_about_each_token() -> None:
    one = issuer(mapping=Nested(accounts=Claim("org", ANY)))
    who = [authenticated(one, signed(org="a", realm_access={"roles": [role]})) for role in ("admin", "guest", "guest")]
    assert [principal.grant.roles for principal in who if isinstance(principal, Principal)] == [
        frozenset({"admin"}),
        frozenset({"guest"}),
        frozenset({"guest"}),
    ]


def test_what_takes_long_to_say_is_granted_and_not_remembered() -> None:
    one = issuer(mapping=ClaimMapping(roles=Claim("groups", {"Admins": "admin"})))
    for groups in (["Admins"], ["Admins", *map(str, range(500))]):
        who = authenticated(one, signed(groups=groups))
        assert isinstance(who, Principal)
        assert who.grant.roles == frozenset({"admin"})
    assert list(one._by_said) == [(("Admins",),)]


def test_what_was_said_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guestpass.issuers._STANDINGS", 4)
    one = issuer(mapping=ClaimMapping(accounts=Claim("org", ANY)))
    for number in range(20):
        assert isinstance(authenticated(one, signed(org=f"acct_{number}")), Principal)
        assert len(one._by_said) <= 4
        assert len(one._by_granted) <= 4


@pytest.mark.parametrize(
    ("mapping", "claims", "accounts", "roles", "components"),
    [
        (ClaimMapping(), {"groups": ["admin"]}, set(), set(), set()),
        (
            ClaimMapping(roles=Claim("groups", {"Admins": "admin"})),
            {"groups": ["Admins", "x"]},
            set(),
            {"admin"},
            set(),
        ),
        (ClaimMapping(roles=Claim("groups", {"Admins": "admin"})), {"groups": "Admins"}, set(), {"admin"}, set()),
        (ClaimMapping(roles=Claim("groups", {"Admins": "admin"})), {"groups": "Admins x"}, set(), set(), set()),
        (ClaimMapping(roles=Claim("groups", {"Admins": "admin"})), {"groups": {"Admins": 1}}, set(), set(), set()),
        (
            ClaimMapping(roles=Claim("groups", {"A": ["agent", "admin"]})),
            {"groups": ["A"]},
            set(),
            {"agent", "admin"},
            set(),
        ),
        (ClaimMapping(roles=Claim("groups", {"agent"})), {"groups": ["agent", "admin", 1]}, set(), {"agent"}, set()),
        (ClaimMapping(roles=Claim("role", ANY)), {"role": "admin"}, set(), {"admin"}, set()),
        (ClaimMapping(roles=Claim("role", ANY)), {"role": ["Not a name", "", "agent"]}, set(), {"agent"}, set()),
        (ClaimMapping(accounts=Claim("org", {"o1": "acct_1"})), {"org": "o1"}, {"acct_1"}, set(), set()),
        (ClaimMapping(accounts=Claim("org", {"o1": "acct_1"})), {"org": "acct_1"}, set(), set(), set()),
        (
            ClaimMapping(accounts=Claim("org", ANY)),
            {"org": ["acct_1", "acct_2", "-", "a b"]},
            {"acct_1", "acct_2"},
            set(),
            set(),
        ),
        (ClaimMapping(accounts=Always("acct_1")), {"org": "acct_2"}, {"acct_1"}, set(), set()),
        (
            ClaimMapping(components=Claim("scope", {"logs:read": "call_logs", "vm": "voicemails/*"}, separator=" ")),
            {"scope": "openid logs:read vm"},
            set(),
            set(),
            {"call_logs", "voicemails/*"},
        ),
        (
            ClaimMapping(components=Claim("scope", ANY, separator=" ")),
            {"scope": "call_logs call_logs/transcripts voicemails/* a/b/c  *"},
            set(),
            set(),
            {"call_logs", "call_logs/transcripts"},
        ),
        (
            ClaimMapping(roles=(Always("external_entity"), Claim("groups", {"agent"}))),
            {"groups": ["agent"]},
            set(),
            {"external_entity", "agent"},
            set(),
        ),
    ],
)
def test_claims_say_only_what_a_table_lets_them(
    mapping: ClaimMapping, claims: dict[str, Any], accounts: set[str], roles: set[str], components: set[str]
) -> None:
    assert granted(mapping, **claims) == (accounts, roles, components)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ClaimMapping(accounts=Claim("org", {"o": "-"})),
        lambda: ClaimMapping(accounts=Always("")),
        lambda: ClaimMapping(roles=Claim("groups", {"Admins"})),
        lambda: ClaimMapping(roles=Claim("groups", "admin")),
        lambda: ClaimMapping(components=Always("*")),
        lambda: ClaimMapping(components=Claim("scope", {"x": "a/b/c"})),
    ],
)
def test_a_table_with_an_impossible_name_is_a_mistake(make: Any) -> None:
    with pytest.raises(ConfigurationError):
        make()


# Ready-made.

POOL = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_abc"


def cognito(**settings: Any) -> JwtIssuer:
    return JwtIssuer.cognito("eu-west-1", "eu-west-1_abc", "app", **settings)


def cognito_token(**claims: object) -> str:
    said = {
        "iss": POOL,
        "sub": "user-1",
        "token_use": "access",
        "client_id": "app",
        "cognito:groups": ["admins", "acme", "strangers"],
        "custom:account": "acct_9",
        "exp": NOW + 60,
        "iat": NOW,
        **claims,
    }
    return tokens.sign(said, {"kid": "r"}, RSA_PRIVATE, "RS256")


def test_a_cognito_pool() -> None:
    keys = KeySet.from_jwks(JWKS)
    one = cognito(keys=keys, roles={"admins": "admin"}, accounts={"acme": "acct_1"}, platform="p")
    assert one.issuer == POOL
    who = authenticated(one, cognito_token())
    assert isinstance(who, Principal)
    assert (who.account, who.platform) == ("acct_1", "p")
    assert who.grant.roles == frozenset({"admin"})
    bare = authenticated(cognito(keys=keys), cognito_token())
    assert isinstance(bare, Principal)
    assert (bare.grant.roles, bare.grant.accounts) == (NOTHING, NOTHING)


@pytest.mark.parametrize(
    "claims", [{"token_use": "id", "aud": "app"}, {"token_use": None}, {"client_id": "other"}, {"client_id": None}]
)
def test_a_cognito_token_that_is_no_access_token_of_the_client(claims: dict[str, object]) -> None:
    assert refused(cognito(keys=KeySet.from_jwks(JWKS)), cognito_token(**claims))


def test_custom_claims_of_cognito_only_when_opted_into() -> None:
    mapping = ClaimMapping(accounts=Claim("custom:account", ANY))
    with pytest.raises(ConfigurationError, match="custom_claims"):
        cognito(mapping=mapping)
    with pytest.raises(ConfigurationError, match="not both"):
        cognito(mapping=mapping, roles={})
    who = authenticated(cognito(keys=KEYS, mapping=mapping, custom_claims=True), cognito_token())
    assert isinstance(who, Principal)
    assert who.account == "acct_9"


def test_where_a_cognito_pool_and_an_openid_provider_keep_their_keys() -> None:
    assert cognito().keys.networked
    assert JwtIssuer.cognito("cn-north-1", "cn-north-1_x", "app").issuer.startswith(
        "https://cognito-idp.cn-north-1.amazonaws.com.cn/"
    )
    with key_server() as server:
        server.document = JWKS
        path = "/.well-known/openid-configuration"
        server.paths[path] = server.send_json({"issuer": server.origin, "jwks_uri": server.url})
        one = JwtIssuer.oidc(server.origin, "api", algorithms=("ES256",))
        assert one.check(signed(iss=server.origin), now=NOW)["sub"] == "user-1"
        assert server.asked == [path, "/jwks.json"]
    with pytest.raises(ConfigurationError):
        JwtIssuer.oidc("http://issuer.example/", "api")
    assert JwtIssuer.oidc("any name", "api", keys=KEYS).issuer == "any name"
