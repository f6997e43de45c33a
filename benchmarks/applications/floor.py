"""Floors, written by hand: the least that a guard can do, and be one.

The whole credential is hashed, a second Authorization header is looked for, the rule is found among all by the path,
the end of what was verified is looked at and the account compared; the application is told who it is. Cold, the token
is taken apart, its signature checked by `cryptography` itself and its claims read. Nothing else: no path that can be
read in two ways, no component or role, no revocation, no refusal that says why. Not for use.
"""

import hashlib
import json
import time
from binascii import a2b_base64
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeAlias

from benchmarks.driving import ASGIApp, Environ, Receive, Scope, Send, StartResponse, WSGIApp
from benchmarks.scene import Scene as Given
from benchmarks.scene import path_of

TO_STANDARD = bytes.maketrans(b"-_", b"+/")
REFUSED = [(b"content-type", b"text/plain"), (b"content-length", b"0")]


class Verified(NamedTuple):
    """What is left of a token once it has been verified."""

    subject: str
    account: str
    ends: float


Verify: TypeAlias = Callable[[bytes], Verified | None]
"""What the value of an Authorization header proves."""


def asgi(given: Given) -> ASGIApp:
    """Around the bare ASGI application."""
    from benchmarks.applications import bare

    return around_asgi(bare.asgi(given), given)


def starlette(given: Given) -> ASGIApp:
    """Around Starlette."""
    from benchmarks.applications import bare

    return around_asgi(bare.starlette(given), given)


def around_asgi(app: ASGIApp, given: Given, verify: Verify | None = None) -> ASGIApp:
    """The floor as ASGI middleware; `verify` is for credentials that are no tokens."""
    rules = {path_of(number): number for number in range(given.rules)}
    known: dict[bytes, Verified] = {}
    verify, cold = verify or verifier(given), given.cold

    async def floor(scope: Scope, receive: Receive, send: Send) -> None:
        credential = account = None
        for name, value in scope["headers"]:
            if name == b"authorization":
                if credential is not None:
                    await refuse(send, 400)
                    return
                credential = value
            elif name == b"account-id":
                account = value
        if credential is None:
            await refuse(send, 401)
            return
        key = hashlib.sha256(credential).digest()
        verified = known.get(key)
        if verified is None or verified.ends <= time.time():
            verified = verify(credential)
            if verified is None:
                await refuse(send, 401)
                return
            if cold:
                known.clear()
            known[key] = verified
        if rules.get(scope["path"]) is None:
            await refuse(send, 404)
            return
        if account is not None and account.decode("latin-1") != verified.account:
            await refuse(send, 403)
            return
        scope["principal"] = verified
        await app(scope, receive, send)

    return floor


def wsgi(given: Given) -> WSGIApp:
    """Around the bare WSGI application."""
    from benchmarks.applications import bare

    return around_wsgi(bare.wsgi(given), given)


def flask(given: Given) -> WSGIApp:
    """Around Flask."""
    from benchmarks.applications import bare

    return around_wsgi(bare.flask(given), given)


def around_wsgi(app: WSGIApp, given: Given) -> WSGIApp:
    """The floor as WSGI middleware."""
    rules = {path_of(number): number for number in range(given.rules)}
    known: dict[bytes, Verified] = {}
    verify, cold = verifier(given), given.cold

    def floor(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        credential = environ.get("HTTP_AUTHORIZATION")
        # A server joins two with a comma.
        if credential is None or "," in credential:
            start_response("401 Unauthorized", [])
            return []
        authorization = credential.encode("latin-1")
        key = hashlib.sha256(authorization).digest()
        verified = known.get(key)
        if verified is None or verified.ends <= time.time():
            verified = verify(authorization)
            if verified is None:
                start_response("401 Unauthorized", [])
                return []
            if cold:
                known.clear()
            known[key] = verified
        if rules.get(environ["PATH_INFO"]) is None:
            start_response("404 Not Found", [])
            return []
        account = environ.get("HTTP_ACCOUNT_ID")
        if account is not None and account != verified.account:
            start_response("403 Forbidden", [])
            return []
        environ["principal"] = verified
        return app(environ, start_response)

    return floor


def verifier(given: Given) -> Verify:
    """The bare signature check of `cryptography`, JSON, and the claims that have to be looked at."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    keys = {jwk["kid"]: public_key(jwk) for jwk in given.jwks["keys"]}
    scheme, digest = padding.PKCS1v15(), hashes.SHA256()
    issuer, audience = given.issuer, given.audience

    def verify(authorization: bytes) -> Verified | None:
        try:
            scheme_name, _, token = authorization.partition(b" ")
            signed, _, signature = token.rpartition(b".")
            header, _, payload = signed.partition(b".")
            head = json.loads(decoded(header).decode())
            if scheme_name.lower() != b"bearer" or head["alg"] != "RS256":
                return None
            keys[head["kid"]].verify(decoded(signature), signed, scheme, digest)
            claims = json.loads(decoded(payload).decode())
            if claims["iss"] != issuer or claims["aud"] != audience or claims["exp"] <= time.time():
                return None
            return Verified(claims["sub"], claims["org_id"], claims["exp"])
        except (ValueError, KeyError, InvalidSignature):
            return None

    return verify


def decoded(part: bytes) -> bytes:
    return a2b_base64(part.translate(TO_STANDARD) + b"==")


def public_key(jwk: dict[str, Any]) -> Any:
    """An RSA key, from its numbers."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    modulus, exponent = (int.from_bytes(decoded(jwk[name].encode())) for name in ("n", "e"))
    return RSAPublicNumbers(exponent, modulus).public_key()


async def refuse(send: Send, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": REFUSED})
    await send({"type": "http.response.body", "body": b""})
