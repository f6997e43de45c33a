"""What the check of a token costs beside its signature alone: guestpass, PyJWT, joserfc and Authlib in one run.

`python benchmarks/tokens.py` (any Python >= 3.11) makes itself an environment, `.venv-bench`, with the versions of
`benchmarks/requirements.txt`, and takes about a minute after that. Every contender has its key, its settings and its
validators ready and checks the same token: signature, issuer, audience, subject and times. Turns are short and in
random order within a round, and a ratio is that of two turns of the same round, so that what else the machine does
falls on all alike. Knows nothing of guestpass but what its users know.
"""

# ruff: noqa: T201 - it prints

import itertools
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import threading
import time
import venv
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE.parent / ".venv-bench"
REQUIREMENTS = HERE / "requirements.txt"

ISSUER, AUDIENCE, KID = "https://login.example.com/", "https://api.example.com", "2026-11"
SIZE = 850
LIMITS = {"RS256": 1.40, "ES256": 1.12, "EdDSA": 1.08}
KID_LIMIT = 5.0
# So many kids that nobody's memory of headers holds them all; and the longest token that is looked at.
KIDS, LONGEST = 1_000, 8_192
SECONDS, TURN = 15.0, 20

Check = Callable[[], object]


def prepare() -> None:
    """Start again inside of the environment, which is made first where it is not there or not of these versions."""
    ready = ENVIRONMENT / ".ready"
    python = ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted = REQUIREMENTS.read_text()
    if not ready.exists() or ready.read_text() != wanted:
        print("making the environment …", file=sys.stderr)
        venv.create(ENVIRONMENT, clear=True, with_pip=True, symlinks=os.name != "nt")
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "--requirement", REQUIREMENTS, "--editable", HERE.parent], check=True)  # noqa: S603
        ready.write_text(wanted)
    sys.exit(subprocess.run([python, __file__], check=False).returncode)  # noqa: S603


def main() -> None:
    """Measure and print."""
    from authlib.deprecate import AuthlibDeprecationWarning
    from joserfc.errors import SecurityWarning

    # Of Authlib, that joserfc is its heir; of joserfc, that EdDSA has a newer name.
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)
    warnings.simplefilter("ignore", SecurityWarning)
    names = ("guestpass", "PyJWT", "joserfc", "Authlib")
    print(" · ".join(f"{name} {version(name)}" for name in (*names, "cryptography")))
    print(f"{platform.python_implementation()} {platform.python_version()}, {processor()}, {os.cpu_count()} cores")
    print(f"\nA token of about {SIZE} bytes, checked; times the bare signature check of `cryptography`.")
    print("Medians; in brackets, between which half of the rounds lie.\n")
    print(f"{'':<7}{'bare, µs':>10}{'limit':>8}   " + "".join(f"{name:<23}" for name in names))
    for algorithm, limit in LIMITS.items():
        checks = contenders(algorithm)
        turns = measure(checks, SECONDS)
        bare = turns.pop("bare")
        row = "".join(f"{spread([one / base for one, base in zip(turns[n], bare, strict=True)]):<23}" for n in names)
        print(f"{algorithm:<7}{statistics.median(bare):>10.1f}{limit:>8.2f}   {row}")
    print(
        "\nTokens of kids never seen before, refused, in µs: by guestpass with a set that was given in code (401), and"
    )
    print("with one that is fetched and may not be again yet (503).\n")
    names = ("guestpass, given", "guestpass, fetched", *names[1:])
    print(f"{'':<17}{'limit':>8}   " + "".join(f"{name:<23}" for name in names))
    with key_server() as (url, private, jwk):
        for size in (SIZE, 8_000, 60_000):
            turns = measure(refusers(size, url, private, jwk), SECONDS / 2)
            print(f"{size:>10,} bytes{KID_LIMIT:>9.2f}   " + "".join(f"{spread(turns[name]):<23}" for name in names))


def measure(checks: Mapping[str, Check], seconds: float) -> dict[str, list[float]]:
    """Microseconds per call of each check, a figure per round."""
    chance = random.Random(1)  # noqa: S311 - an order of turns
    order, turns = list(checks), {name: list[float]() for name in checks}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        chance.shuffle(order)
        for name in order:
            check, calls = checks[name], range(TURN)
            check()  # What the others pushed out of the caches is not this one's cost.
            began = time.perf_counter()
            for _ in calls:
                check()
            turns[name].append((time.perf_counter() - began) / TURN * 1e6)
    return turns


def spread(figures: list[float]) -> str:
    """The median, and the quartiles beside it."""
    low, middle, high = statistics.quantiles(figures, n=4)
    return f"{middle:.2f} [{low:.2f}–{high:.2f}]"


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
    pyjwt_options = {"require": ["exp", "iss", "sub", "aud"]}

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


def refusers(size: int, url: str, private: object, jwk: dict[str, Any]) -> dict[str, Check]:
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
        refused(lambda token=token: fetched.check(token), (InvalidToken, KeysUnavailable))()
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


@contextmanager
def key_server() -> Iterator[tuple[str, object, dict[str, Any]]]:
    """A key set on loopback: its URL, the private key, and the public one as a JWK."""
    private, jwk = make_key("RS256")
    document = json.dumps({"keys": [jwk]}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_: object) -> None:
            """Nothing: the figures stand alone."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", private, jwk
        server.shutdown()


def refused(check: Check, problem: type[Exception] | tuple[type[Exception], ...]) -> Check:
    """A check that must fail."""

    def failing() -> None:
        try:
            check()
        except problem:
            return
        raise AssertionError("it passed")

    return failing


def bare(algorithm: str, private: object, token: str) -> Check:
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


def make_key(algorithm: str) -> tuple[object, dict[str, Any]]:
    """A private key, and the public one as a JWK."""
    import jwt
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    if algorithm == "RS256":
        private = rsa.generate_private_key(65537, 2048)
    elif algorithm == "ES256":
        private = ec.generate_private_key(ec.SECP256R1())
    else:
        private = ed25519.Ed25519PrivateKey.generate()
    jwk = jwt.get_algorithm_by_name(algorithm).to_jwk(private.public_key(), as_dict=True)
    return private, {**jwk, "kid": KID, "alg": algorithm, "use": "sig", "key_ops": ["verify"]}


def make_token(algorithm: str, private: object, kid: str, size: int) -> str:
    """An access token as providers write them, its scope so long that the whole has about `size` characters."""
    import jwt

    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
        "aud": AUDIENCE,
        "iat": now - 60,
        "exp": now + 3600,
        "azp": "my_client_id_0123456789abcdef",
        "jti": "0f0b7f2e-6a5b-4a86-9f0a-1c2a3b4c5d6e",
        "scope": "",
    }

    def encode() -> str:
        return jwt.encode(claims, private, algorithm=algorithm, headers={"kid": kid})  # type: ignore[arg-type]

    words = "openid profile email read:call_logs write:call_logs read:voicemails write:voicemails "
    length = (size - len(encode())) * 3 // 4
    claims["scope"] = (words * (length // len(words) + 1))[:length]
    return encode()


def processor() -> str:
    """What the machine calls its processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    if Path(sys.prefix).resolve() == ENVIRONMENT:
        main()
    else:
        prepare()
