"""Tokens: vectors of the RFCs, a table of attacks, and never more lenient than PyJWT."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import example, given, settings
from hypothesis import strategies as st

from guestpass import jwks as jwks_module
from guestpass import tokens
from guestpass.errors import ConfigurationError, InvalidToken
from guestpass.issuers import ANY_AUDIENCE, JwtIssuer
from guestpass.jwks import PrivateKey, VerificationKey, index_keys, parse_jwks, read_jwk, served_by, thumbprint
from guestpass.keysets.keyset import KeySet

VECTORS = Path(__file__).parent / "vectors"
SIGNATURES = json.loads((VECTORS / "signatures.json").read_text())
THUMBPRINTS = json.loads((VECTORS / "thumbprints.json").read_text())
ATTACKS = json.loads((VECTORS / "attacks.json").read_text())

RSA_KEY = rsa.generate_private_key(65537, 2048)
KEYS: dict[str, PrivateKey] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), RSA_KEY),
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "ES384": ec.generate_private_key(ec.SECP384R1()),
    "ES512": ec.generate_private_key(ec.SECP521R1()),
    **dict.fromkeys(("EdDSA", "Ed25519"), ed25519.Ed25519PrivateKey.generate()),
    "HS256": b"k" * 32,
    "HS384": b"k" * 48,
    "HS512": b"k" * 64,
}


def encode(data: bytes | str) -> str:
    return base64.urlsafe_b64encode(data.encode() if isinstance(data, str) else data).rstrip(b"=").decode()


def public_jwk(algorithm: str, **members: object) -> dict[str, Any]:
    key = KEYS[algorithm]
    if isinstance(key, bytes):
        return {"kty": "oct", "k": encode(key), **members}
    jwk = jwt.get_algorithm_by_name("EdDSA" if algorithm == "Ed25519" else algorithm).to_jwk(
        key.public_key(), as_dict=True
    )
    jwk.pop("key_ops", None)
    return {**jwk, **members}


@pytest.mark.parametrize("vector", SIGNATURES, ids=lambda vector: vector["reference"])
def test_signatures_of_the_rfcs(vector: dict[str, Any]) -> None:
    token, keys, algorithms = vector["token"], vector["jwks"], vector["algorithms"]
    if not vector["valid"]:
        with pytest.raises(InvalidToken):
            tokens.check_signature(token, keys, algorithms)
        return
    payload = tokens.check_signature(token, keys, algorithms)
    assert encode(payload) == token.split(".")[1]
    header, _, signature = token.split(".")
    with pytest.raises(InvalidToken, match="signature"):
        tokens.check_signature(f"{header}.{encode(payload + b'.')}.{signature}", keys, algorithms)


@pytest.mark.parametrize("vector", THUMBPRINTS, ids=lambda vector: vector["reference"])
def test_thumbprints_of_the_rfcs(vector: dict[str, Any]) -> None:
    assert thumbprint(vector["jwk"]) == vector["thumbprint"]


def test_a_thumbprint_needs_a_known_key_type() -> None:
    with pytest.raises(ValueError, match="key type"):
        thumbprint({"kty": "new"})


def attacked(**settings: Any) -> JwtIssuer:
    return JwtIssuer(
        ATTACKS["issuer"],
        keys=KeySet.from_jwks(ATTACKS["jwks"]),
        audience=ATTACKS["audience"],
        algorithms=ATTACKS["algorithms"],
        **settings,
    )


@pytest.mark.parametrize("case", ATTACKS["accepted"], ids=lambda case: case["name"])
def test_right_tokens_pass(case: dict[str, Any]) -> None:
    assert attacked().check(case["token"], now=ATTACKS["now"])["sub"] == "user-1"


@pytest.mark.parametrize("attack", ATTACKS["refused"], ids=lambda attack: attack["name"])
def test_attacks_are_refused(attack: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken) as refused:
        attacked().check(attack["token"], now=ATTACKS["now"])
    assert refused.value.code == attack["code"]
    for part in attack["token"].split("."):
        assert len(part) < 8 or part not in str(refused.value)


@pytest.mark.parametrize("attack", ATTACKS["refused"], ids=lambda attack: attack["name"])
def test_pyjwt_is_never_stricter(attack: dict[str, Any]) -> None:
    """Each attack is refused here; where PyJWT accepts one, it is one of those that it does not look at."""
    if accepted_by_pyjwt(attack["token"], ATTACKS["jwks"], now=ATTACKS["now"], leeway=30):
        assert not accepted_here(attack["token"], ATTACKS["jwks"], now=ATTACKS["now"], leeway=30)


# Never more lenient than PyJWT.


class Now(jwt.PyJWT):
    """PyJWT at another instant than this one."""

    def __init__(self, now: float) -> None:
        super().__init__()
        self.offset = now - time.time()

    def _validate_claims(self, payload: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        moved = dict(payload)
        for name in ("exp", "nbf", "iat"):
            if type(moved.get(name)) in (int, float):
                moved[name] = int(moved[name]) - self.offset if abs(moved[name]) < 2**62 else moved[name]
        super()._validate_claims(moved, *args, **kwargs)


def accepted_by_pyjwt(token: str, jwks: Mapping[str, Any], *, now: float, leeway: float = 0) -> bool:
    """Whether PyJWT takes the token with any key of the set that it can read itself."""
    for jwk in jwks["keys"]:
        for name in ATTACKS["algorithms"]:
            algorithm = "EdDSA" if name == "Ed25519" else name
            try:
                key = jwt.PyJWK(jwk, algorithm)
                Now(now).decode(
                    token,
                    key.key,
                    algorithms=[algorithm],
                    issuer=ATTACKS["issuer"],
                    audience=ATTACKS["audience"],
                    leeway=leeway,
                    options={"require": ["exp", "iss", "sub", "aud"]},
                )
            except Exception:  # noqa: BLE001 - whatever it raises, it has not accepted
                continue
            return True
    return False


def accepted_here(token: str, jwks: Mapping[str, Any], *, now: float, leeway: float = 0) -> bool:
    issuer = JwtIssuer(
        ATTACKS["issuer"],
        keys=KeySet.from_jwks(jwks),
        audience=ATTACKS["audience"],
        algorithms=ATTACKS["algorithms"],
        leeway=leeway,
    )
    try:
        issuer.check(token, now=now)
    except InvalidToken:
        return False
    return True


NOW = 1_800_000_000
DIFFERENTIAL = {"keys": [public_jwk(name, kid=name) for name in ("ES256", "Ed25519")]}

times = st.one_of(
    st.integers(NOW - 3, NOW + 3),
    st.floats(NOW - 3, NOW + 3),
    st.sampled_from([None, True, "1800000100", 0, -1, 2**63 - 1, 1e300, NOW + 1000]),
)
texts = st.sampled_from(
    [ATTACKS["issuer"], ATTACKS["audience"], "", "x", None, 1, ["api"], ["api", 1], [], {}, ["x", "api"]]
)
claims_of_strangers = st.fixed_dictionaries(
    {},
    optional={
        "iss": st.just(ATTACKS["issuer"]) | texts,
        "aud": st.just("api") | texts,
        "sub": st.just("user") | texts,
        "exp": st.just(NOW + 10) | times,
        "nbf": times,
        "iat": times,
        "jti": texts,
        "x": texts,
    },
)
headers_of_strangers = st.fixed_dictionaries(
    {"alg": st.sampled_from(["ES256", "EdDSA", "none", "HS256", 1])},
    optional={
        "kid": st.sampled_from(["ES256", "Ed25519", "x", 1, None]),
        "typ": st.sampled_from(["JWT", "at+jwt", "x", 1]),
        "crit": st.sampled_from([["b64"], [], ["x"], "b64", ["b64", "b64"]]),
        "b64": st.sampled_from([True, False, 0, None]),
        "x": texts,
    },
)
MANGLINGS: dict[str, Callable[[str], str]] = {
    "not at all": lambda token: token,
    "padded": lambda token: token + "=",
    "padded twice": lambda token: token + "==",
    "a line break": lambda token: token + "\n",
    "cut": lambda token: token[:-1],
    "other last bits": lambda token: token[:-1] + chr(ord(token[-1]) + 1),
    "one more part": lambda token: token + ".e30",
    "space inside": lambda token: token.replace(".", " .", 1),
}


@settings(max_examples=300, deadline=None)
@given(
    headers_of_strangers, claims_of_strangers, st.sampled_from(sorted(MANGLINGS)), st.sampled_from(["ES256", "EdDSA"])
)
@example(
    {"alg": "ES256", "kid": "ES256"},
    {"iss": ATTACKS["issuer"], "aud": "api", "sub": "u", "exp": NOW + 5},
    "not at all",
    "ES256",
)
@example(
    {"alg": "ES256"}, {"iss": ATTACKS["issuer"], "aud": "api", "sub": "u", "exp": NOW + 0.9}, "not at all", "ES256"
)
def test_never_more_lenient_than_pyjwt(
    header: dict[str, Any], claims: dict[str, Any], mangling: str, signed_with: str
) -> None:
    signing_input = f"{encode(json.dumps(header))}.{encode(json.dumps(claims))}"
    signature = jwt.get_algorithm_by_name(signed_with).sign(signing_input.encode(), KEYS[signed_with])
    token = MANGLINGS[mangling](f"{signing_input}.{encode(signature)}")
    for now in (NOW, NOW + 0.5):
        if accepted_here(token, DIFFERENTIAL, now=now):
            assert accepted_by_pyjwt(token, DIFFERENTIAL, now=now)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(KEYS)), st.data())
def test_signatures_agree_with_pyjwt(algorithm: str, data: st.DataObject) -> None:
    """What is verified with `cryptography` directly is what PyJWT verifies, for every algorithm and any bytes."""
    name = "EdDSA" if algorithm == "Ed25519" else algorithm
    reference = jwt.get_algorithm_by_name(name)
    private = KEYS[algorithm]
    public = private if isinstance(private, bytes) else private.public_key()
    signature = reference.sign(b"message", private)
    signature = data.draw(
        st.just(signature) | st.binary(max_size=8) | st.just(signature[:-1]) | st.just(b"\0" + signature)
    )
    message = data.draw(st.sampled_from([b"message", b"another"]))
    key = read_jwk(public_jwk(algorithm), symmetric=True)
    assert key.verifies(algorithm, message, signature) == reference.verify(message, public, signature)
    assert not key.verifies("none", message, signature)


@given(st.sampled_from([32, 48, 66]), st.data())
def test_a_signature_is_written_in_der_as_cryptography_writes_it(size: int, data: st.DataObject) -> None:
    halves = st.binary(min_size=size, max_size=size) | st.integers(0, 2**20).map(lambda n: n.to_bytes(size, "big"))
    r, s = data.draw(halves), data.draw(halves)
    assert jwks_module._der_of(r, s) == encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))


# Reading.


def test_a_token_is_read_once_and_into_its_parts() -> None:
    token = tokens.sign(
        {"iss": "https://issuer.example/", "sub": "u"}, {"kid": "k", "typ": "JWT"}, KEYS["ES256"], "ES256"
    )
    read = tokens.read_token(token)
    assert (read.alg, read.kid, read.issuer) == ("ES256", "k", "https://issuer.example/")
    assert read.signing_input == token.rpartition(".")[0].encode()
    assert read.header["typ"] == "JWT"
    assert "https" not in repr(read)
    assert encode(read.signature) not in repr(read)
    with pytest.raises(AttributeError):
        read.header = {}  # type: ignore[misc]
    with pytest.raises(TypeError):
        read.header["alg"] = "none"  # type: ignore[index] # it is shared between tokens with the same header


@pytest.mark.parametrize("iss", [None, 1, ["x"], {}])
def test_an_issuer_that_is_no_text_is_nobody(iss: object) -> None:
    token = tokens.sign({"iss": iss}, {}, KEYS["ES256"], "ES256")
    assert tokens.read_token(token).issuer == ""
    assert tokens.read_token(token).kid is None


def test_a_long_header_is_read_as_well() -> None:
    token = tokens.sign({}, {"x": "y" * 1000}, KEYS["ES256"], "ES256")
    assert tokens.read_token(token).header["x"] == "y" * 1000


def test_headers_are_kept_of_verified_tokens_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_kept_headers", {})
    key = read_jwk(public_jwk("HS256"), symmetric=True)
    secret = KEYS["HS256"]

    def verified(header: Mapping[str, Any]) -> Mapping[str, object]:
        read = tokens.read_token(tokens.sign({}, header, secret, "HS256"))
        tokens.verify(read, key)
        return read.header

    strange = tokens.sign({}, {"kid": "x"}, b"another secret of at least 32 bytes", "HS256")
    with pytest.raises(InvalidToken):
        tokens.verify(tokens.read_token(strange), key)
    assert tokens.read_header(strange) is not tokens.read_header(strange)
    assert verified({"kid": "x"}) is verified({"kid": "x"}) is tokens.read_header(strange)
    assert verified({"kid": "y" * 500}) is not verified({"kid": "y" * 500})
    for number in range(1000):
        verified({"kid": f"{number}"})
        assert len(tokens._kept_headers) <= 256
    assert tokens.read_header(strange) == {"alg": "HS256", "kid": "x"}


@given(st.text(max_size=40) | st.text("eyJhbGciOiJFUzI1NiJ9.", max_size=60))
def test_nothing_but_invalid_token_comes_of_any_text(text: str) -> None:
    with pytest.raises(InvalidToken):
        tokens.read_token(text)


def test_a_token_over_the_limit_is_not_looked_at() -> None:
    with pytest.raises(InvalidToken, match="8 KiB"):
        tokens.read_token("." * 8193)


@given(st.binary(max_size=70))
def test_base64url_has_one_form(data: bytes) -> None:
    """Of all texts of the same length that a lenient decoder reads alike, one passes (RFC 4648 section 3.5)."""
    encoded = encode(data or b"0")
    header = encode('{"alg":"ES256"}')
    assert tokens.read_header(f"{header}.{encoded}.AA")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= \n."
    passing = []
    for last in alphabet:
        try:
            tokens.split(f"{header}.{encoded[:-1]}{last}.AA")
        except InvalidToken:
            continue
        passing.append(last)
    decodings = {base64.urlsafe_b64decode(encoded[:-1] + last + "==") for last in passing}
    assert encoded[-1] in passing
    assert len(decodings) == len(passing)


# Signing.


@pytest.mark.parametrize("algorithm", sorted(KEYS))
def test_what_is_signed_verifies(algorithm: str) -> None:
    token = tokens.sign({"sub": "Å\N{GRINNING FACE}"}, {"kid": "k"}, KEYS[algorithm], algorithm)
    payload = tokens.check_signature(token, {"keys": [public_jwk(algorithm, kid="k")]}, [algorithm])
    assert payload == '{"sub":"Å\N{GRINNING FACE}"}'.encode()
    assert json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "==")) == {"kid": "k", "alg": algorithm}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(KEYS)), st.binary(max_size=200))
def test_what_is_signed_with_cryptography_directly_pyjwt_verifies(algorithm: str, message: bytes) -> None:
    private = KEYS[algorithm]
    signature = jwks_module.signing_with(algorithm, private)(message)
    reference = jwt.get_algorithm_by_name("EdDSA" if algorithm == "Ed25519" else algorithm)
    public = private if isinstance(private, bytes) else private.public_key()
    assert reference.verify(message, public, signature)
    assert not reference.verify(message + b".", public, signature)
    assert len(signature) == len(reference.sign(message, private))


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (KEYS["ES256"], "ES384"),
        (KEYS["ES256"], "RS256"),
        (KEYS["RS256"], "EdDSA"),
        (b"k" * 32, "HS384"),
        (b"k" * 31, "HS256"),
        (KEYS["ES256"], "none"),
        (ec.generate_private_key(ec.SECP256K1()), "ES256"),
        (rsa.generate_private_key(65537, 1024), "RS256"),
    ],
)
def test_a_key_signs_only_what_fits_it(key: PrivateKey, algorithm: str) -> None:
    with pytest.raises(ConfigurationError, match="algorithm="):
        tokens.sign({}, {}, key, algorithm)


@pytest.mark.parametrize("claims", [{"x": float("nan")}, {"x": "\ud800"}])
def test_claims_that_json_cannot_hold_are_not_signed(claims: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        tokens.sign(claims, {}, KEYS["ES256"], "ES256")


# check_signature and the choice of a key.


@pytest.mark.parametrize("algorithms", ["RS256", [], (), ["none"], ["RS256", "none"], ["ES256K"]])
def test_an_allowlist_is_one(algorithms: Any) -> None:
    with pytest.raises(ConfigurationError, match="algorithms="):
        tokens.check_signature("e30.e30.AA", {"keys": []}, algorithms)


def test_a_mapping_that_is_no_key_set_is_a_mistake_of_the_caller() -> None:
    token = tokens.sign({}, {}, KEYS["ES256"], "ES256")
    with pytest.raises(ConfigurationError, match="jwks"):
        tokens.check_signature(token, public_jwk("ES256"), ["ES256"])
    with pytest.raises(InvalidToken, match="no key"):
        tokens.check_signature(token, {"keys": []}, ["ES256"])


def test_a_token_without_kid_passes_only_where_exactly_one_key_fits() -> None:
    token = tokens.sign({}, {}, KEYS["ES256"], "ES256")
    one = public_jwk("ES256", kid="a")
    other = {
        **jwt.get_algorithm_by_name("ES256").to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True)
    }
    assert tokens.check_signature(token, {"keys": [one, public_jwk("Ed25519")]}, ["ES256"]) == b"{}"
    assert tokens.check_signature(token, {"keys": [one, {**one, "kid": "b"}, one]}, ["ES256"]) == b"{}"
    with pytest.raises(InvalidToken, match="fits"):
        tokens.check_signature(token, {"keys": [one, {**other, "kid": "b"}]}, ["ES256"])
    named = tokens.sign({}, {"kid": "a"}, KEYS["ES256"], "ES256")
    with pytest.raises(InvalidToken, match="fits"):
        tokens.check_signature(named, {"keys": [one, {**other, "kid": "a"}]}, ["ES256"])
    with pytest.raises(InvalidToken, match="fits"):
        tokens.check_signature(named, {"keys": [public_jwk("ES256")]}, ["ES256"])


# Keys.


@pytest.mark.parametrize(
    ("jwk", "reason"),
    [
        ("x", "not an object"),
        ({"kty": "new"}, "key type"),
        ({"kty": ["RSA"]}, "key type"),
        ({}, "key type"),
        (public_jwk("ES256", kid=1), "kid"),
        (public_jwk("ES256", use="enc"), "use"),
        (public_jwk("ES256", key_ops=["sign"]), "key_ops"),
        (public_jwk("ES256", key_ops="verify"), "key_ops"),
        (public_jwk("ES256", alg="ES384"), "alg"),
        (public_jwk("ES256", alg=["ES256"]), "alg"),
        (public_jwk("RS256", alg="RSA-OAEP"), "alg"),
        (public_jwk("ES256", x=None), "strings"),
        (public_jwk("ES256", x="AAAA"), "numbers"),
        (public_jwk("ES256", x=public_jwk("ES256")["y"]), "numbers"),
        (public_jwk("RS256", e="Ag"), "numbers"),
        (public_jwk("RS256", n="AQAB"), "numbers|length"),
        (public_jwk("Ed25519", x="AAAA"), "numbers"),
        ({"kty": "OKP", "crv": "Ed448", "x": encode(b"\1" * 57)}, "numbers"),
        ({"kty": "OKP", "crv": "X25519", "x": encode(b"\1" * 32)}, "numbers"),
        ({"kty": "oct", "k": encode(b"k" * 31)}, "length"),
        ({"kty": "oct", "k": "!" * 60}, "numbers"),
        ({"kty": "oct", "k": encode("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----")}, "numbers"),
    ],
)
def test_a_key_that_cannot_be_used_says_why(jwk: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_jwk(jwk, symmetric=True)


def test_a_key_on_another_curve_serves_nothing() -> None:
    jwk = jwt.get_algorithm_by_name("ES256K").to_jwk(ec.generate_private_key(ec.SECP256K1()).public_key(), as_dict=True)
    with pytest.raises(ValueError, match="curve"):
        read_jwk(jwk, symmetric=False)


@pytest.mark.parametrize(
    ("jwk", "serves"),
    [
        (public_jwk("RS256"), {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}),
        (public_jwk("RS256", alg="PS256", key_ops=["verify"], use="sig"), {"PS256"}),
        (public_jwk("ES384"), {"ES384"}),
        (public_jwk("EdDSA"), {"EdDSA", "Ed25519"}),
        (public_jwk("EdDSA", alg="EdDSA"), {"EdDSA", "Ed25519"}),
        (public_jwk("EdDSA", alg="Ed25519"), {"EdDSA", "Ed25519"}),
        (public_jwk("HS256"), {"HS256"}),
        (public_jwk("HS512"), {"HS256", "HS384", "HS512"}),
    ],
)
def test_a_key_serves_what_its_type_curve_length_and_alg_say(jwk: dict[str, Any], serves: set[str]) -> None:
    assert set(read_jwk(jwk, symmetric=True).algorithms) == serves


def test_of_a_private_key_only_the_public_half_is_read() -> None:
    private = jwt.get_algorithm_by_name("ES256").to_jwk(cast("ec.EllipticCurvePrivateKey", KEYS["ES256"]), as_dict=True)
    key = read_jwk(private, symmetric=False)
    assert key.key_id == read_jwk(public_jwk("ES256"), symmetric=False).key_id
    assert private["d"] not in repr(key)


def test_symmetric_keys_of_the_network_are_skipped() -> None:
    document = {"keys": [public_jwk("HS512", kid="h"), public_jwk("ES256", kid="e"), "junk"]}
    parsed = parse_jwks(document, symmetric=False)
    assert parsed.kids == {"e"}
    assert parsed.skipped == ("key 0: a symmetric key that came over the network", "key 2: not an object")
    assert parse_jwks(document, symmetric=True).kids == {"h", "e"}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({}, "no array"),
        ({"keys": {}}, "no array"),
        ({"keys": []}, "no key of the set can be used"),
        ({"keys": [{}]}, "key 0: a key type"),
        ({"keys": [{}] * 257}, "more than 256"),
    ],
)
def test_a_document_that_is_no_key_set(document: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_jwks(document, symmetric=False)


def test_a_key_of_more_than_16384_bits_serves_nothing() -> None:
    # Never made for real: a number of the right length does, since nothing is computed with it.
    jwk = {"kty": "RSA", "n": encode(((1 << 16400) + 1).to_bytes(2051, "big")), "e": "AQAB"}
    with pytest.raises(ValueError, match=r"length|numbers"):
        read_jwk(jwk, symmetric=False)
    assert served_by(rsa.RSAPublicNumbers(65537, (1 << 16400) + 1).public_key()) == ()


def test_an_algorithm_that_is_not_allowed_is_refused_before_any_key() -> None:
    token = tokens.sign({}, {}, KEYS["ES256"], "ES256")
    with pytest.raises(InvalidToken, match="not allowed"):
        tokens.check_signature(token, {"keys": "none of them is looked at"}, ["ES384"])


def test_keys_are_indexed_by_what_a_header_names() -> None:
    one = read_jwk(public_jwk("ES256"), symmetric=False)
    parsed = index_keys([one, VerificationKey("n", one.key_id, one.algorithms)])
    assert parsed.fitting[(None, "ES256")].key_id == one.key_id
    assert parsed.kids == {"n"}
    assert parsed.skipped == ()


def test_none_is_no_algorithm() -> None:
    assert "none" not in jwks_module.ALGORITHMS
    assert ANY_AUDIENCE is not None
