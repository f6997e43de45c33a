"""What the check of a token costs beside its signature alone: guestpass, PyJWT, joserfc and Authlib in one run.

Every contender has its key, its settings and its validators ready and checks the same token: signature, issuer,
audience, subject and times. Knows nothing of guestpass but what its users know.
"""

import itertools
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.driving import of_calls
from benchmarks.measuring import measure
from benchmarks.results import Result, Table, Target
from benchmarks.scene import AUDIENCE, ISSUER, KID, SIZE, Key, make_key, make_token, serving_keys
from benchmarks.settings import Settings

TITLE = "one token checked, and unknown keys refused"
SECONDS = 12.0
LIMITS = {"RS256": 1.40, "ES256": 1.12, "EdDSA": 1.08}
KID_LIMIT = 5.0
# So many kids that nobody's memory of headers holds them all; and the longest token that is looked at.
KIDS, LONGEST = 1_000, 8_192
NAMES = ("guestpass", "PyJWT", "joserfc", "Authlib")

Check = Callable[[], object]


def run(settings: Settings) -> Result:
    """Each algorithm, then each length of a token that no key is known for."""
    from authlib.deprecate import AuthlibDeprecationWarning
    from joserfc.errors import SecurityWarning

    # Of Authlib, that joserfc is its heir; of joserfc, that EdDSA has a newer name.
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    warnings.simplefilter("ignore", SecurityWarning)
    targets: list[Target] = []
    rows: list[tuple[str, ...]] = []
    for algorithm, limit in LIMITS.items():
        checks = contenders(algorithm)
        rounds = measure({name: of_calls(check) for name, check in checks.items()}, settings.seconds(SECONDS))
        ratios = {name: rounds.ratio(name, "bare") for name in NAMES}
        targets.append(Target(f"a token checked, {algorithm}, × its signature alone", limit, ratios["guestpass"]))
        rows.append((algorithm, rounds.of("bare").written(1), *(ratio.written() for ratio in ratios.values())))
    tables = [Table("Times the bare signature check of `cryptography`", ("", "bare, µs", *NAMES), rows)]
    rows = []
    private, jwk = make_key("RS256")
    names = ("guestpass, given", "guestpass, fetched", *NAMES[1:])
    with serving_keys({"keys": [jwk]}) as url:
        for size in (SIZE, 8_000, 60_000):
            refusals = refusers(size, url, private, jwk)
            rounds = measure({name: of_calls(check) for name, check in refusals.items()}, settings.seconds(SECONDS / 2))
            rows.append((f"{size:,} characters", *(rounds.of(name).written() for name in names)))
            for name in names[:2]:
                what = f"an unknown kid refused, {size:,} characters, key set {name.partition(', ')[2]}"
                targets.append(Target(what, KID_LIMIT, rounds.of(name), unit="µs"))
    tables.append(Table("Tokens of kids never seen before, refused, in µs", ("", *names), rows))
    return Result(
        "tokens",
        TITLE,
        targets=targets,
        tables=tables,
        notes=[
            f"A token of about {SIZE} characters. Unknown kids are refused with a set that was given in code (401), "
            "and with one that is fetched and may not be again yet (503)."
        ],
    )


# What is measured.


def contenders(algorithm: str) -> dict[str, Check]:
    """The checks of one right token; ``bare`` is the signature alone, as `cryptography` wants it."""
    import authlib.jose
    import joserfc.jwk
    import joserfc.jwt
    import jwt

    from guestpass import JwtIssuer, KeySet

    private, jwk = make_key(algorithm)
    token = make_token(algorithm, private, KID, SIZE)

    issuer = JwtIssuer(ISSUER, keys=KeySet.from_jwks({"keys": [jwk]}), audience=AUDIENCE, algorithms=(algorithm,))

    pyjwt_key, pyjwt = jwt.PyJWK(jwk, algorithm), jwt.PyJWT()
    pyjwt_options: Any = {"require": ["exp", "iss", "sub", "aud"]}

    joserfc_key = joserfc.jwk.import_key(jwk)
    wanted = {"essential": True}
    registry = joserfc.jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": ISSUER}, aud={"essential": True, "value": AUDIENCE}, sub=wanted, exp=wanted
    )

    def by_joserfc() -> None:
        registry.validate(joserfc.jwt.decode(token, joserfc_key, algorithms=[algorithm]).claims)

    authlib_key, authlib_jwt = authlib.jose.JsonWebKey.import_key(jwk), authlib.jose.JsonWebToken([algorithm])
    authlib_options = {
        "iss": {"essential": True, "value": ISSUER},
        "aud": {"essential": True, "value": AUDIENCE},
        "sub": wanted,
        "exp": wanted,
    }

    return {
        "bare": bare(algorithm, private, token),
        "guestpass": lambda: issuer.check(token),
        "PyJWT": lambda: pyjwt.decode(
            token, pyjwt_key, algorithms=[algorithm], audience=AUDIENCE, issuer=ISSUER, options=pyjwt_options
        ),
        "joserfc": by_joserfc,
        "Authlib": lambda: authlib_jwt.decode(token, authlib_key, claims_options=authlib_options).validate(),
    }


def refusers(size: int, url: str, private: Key, jwk: dict[str, Any]) -> dict[str, Check]:
    """The refusals of tokens whose kids are in nobody's key set, each of another kid than the one before."""
    import authlib.jose
    import joserfc.jwk
    import joserfc.jwt
    import jwt

    from guestpass import InvalidToken, JwtIssuer, KeySet
    from guestpass.errors import KeysUnavailable

    strangers = [make_token("RS256", private, f"another-{number}", size) for number in range(KIDS)]
    jwks = {"keys": [jwk]}
    given = JwtIssuer(ISSUER, keys=KeySet.from_jwks(jwks), audience=AUDIENCE)
    fetched = JwtIssuer(ISSUER, keys=KeySet.from_url(url), audience=AUDIENCE)
    fetched.check(make_token("RS256", private, KID, SIZE))
    for token in strangers[:3] if size <= LONGEST else ():
        # They spend the fetches that unknown kids may cause.
        refused(partial(fetched.check, token), (InvalidToken, KeysUnavailable))()
    pyjwt_keys = jwt.PyJWKSet.from_dict(jwks)
    joserfc_keys = joserfc.jwk.KeySet.import_key_set(jwks)
    authlib_keys, authlib_jwt = authlib.jose.JsonWebKey.import_key_set(jwks), authlib.jose.JsonWebToken(["RS256"])
    one, two, three, four, five = (itertools.cycle(strangers) for _ in range(5))
    return {
        "guestpass, given": refused(lambda: given.check(next(one)), InvalidToken),
        "guestpass, fetched": refused(lambda: fetched.check(next(two)), (InvalidToken, KeysUnavailable)),
        "PyJWT": refused(lambda: pyjwt_keys[jwt.get_unverified_header(next(three))["kid"]], KeyError),
        "joserfc": refused(lambda: joserfc.jwt.decode(next(four), joserfc_keys, algorithms=["RS256"]), Exception),
        "Authlib": refused(lambda: authlib_jwt.decode(next(five), authlib_keys), Exception),
    }


def refused(check: Check, problem: type[Exception] | tuple[type[Exception], ...]) -> Check:
    """A check that must fail."""

    def failing() -> None:
        try:
            check()
        except problem:
            return
        raise AssertionError("it passed")

    return failing


def bare(algorithm: str, private: Key, token: str) -> Check:
    """Nothing but the call of `cryptography`, everything that it takes made beforehand."""
    import base64

    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    signed, _, encoded = token.rpartition(".")
    data, signature = signed.encode(), base64.urlsafe_b64decode(encoded + "==")
    if isinstance(private, rsa.RSAPrivateKey):
        verify_rsa, scheme, digest = private.public_key().verify, padding.PKCS1v15(), hashes.SHA256()
        return lambda: verify_rsa(signature, data, scheme, digest)
    if isinstance(private, ec.EllipticCurvePrivateKey):
        verify_ec, ecdsa = private.public_key().verify, ec.ECDSA(hashes.SHA256())
        der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
        return lambda: verify_ec(der, data, ecdsa)
    if isinstance(private, ed25519.Ed25519PrivateKey):
        verify = private.public_key().verify
        return lambda: verify(signature, data)
    raise TypeError(algorithm)
