"""The one scene that all contenders are measured in: an issuer, its key set, its tokens, and the request.

A page's script calls an API of 200 routes for one account, with an access token of about 850 characters as providers
write them. Needs PyJWT and cryptography, which every environment has.
"""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ISSUER, AUDIENCE, KID = "https://login.example.com/", "https://api.example.com", "2026-11"
ACCOUNT = "acct_5f7c8ec7c33c"
SIZE = 850
RULES = 200
COMPONENT = "call_logs"

Key = Any
"""A private key of `cryptography`."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a contender is told. `tokens` are right, of one account, and differ in their ``jti``; `forged` has a
    signature of another key. `cold`: each request comes with a token that is not known."""

    jwks: dict[str, Any]
    jwks_url: str
    tokens: Sequence[str]
    forged: str
    cold: bool = False
    rules: int = RULES
    issuer: str = ISSUER
    audience: str = AUDIENCE
    account: str = ACCOUNT

    @property
    def path(self) -> str:
        """What is asked for: in the middle of the rules."""
        return path_of(self.rules // 2)

    def headers(self, token: str) -> list[tuple[bytes, bytes]]:
        """A request's headers, as a browser and a page's script send them."""
        return request_headers(f"Bearer {token}", self.account)

    @property
    def requests(self) -> list[list[tuple[bytes, bytes]]]:
        """The headers of the requests that a contender is to serve, in turn."""
        return [self.headers(token) for token in (self.tokens if self.cold else self.tokens[:1])]

    def to_json(self) -> str:
        """For a process of another environment."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Scene":
        """The other way."""
        return cls(**json.loads(text))


def path_of(number: int) -> str:
    """The path of one of the routes."""
    return f"/v1/reports_{number}/daily"


def request_headers(authorization: str, account: str) -> list[tuple[bytes, bytes]]:
    """Ten headers: what a browser sends with a script's request to another origin."""
    return [
        (b"host", b"api.example.com"),
        (b"connection", b"keep-alive"),
        (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"),
        (b"accept", b"*/*"),
        (b"authorization", authorization.encode()),
        (b"account-id", account.encode()),
        (b"origin", b"https://app.example.com"),
        (b"sec-fetch-site", b"same-site"),
        (b"accept-encoding", b"gzip, deflate, br, zstd"),
        (b"accept-language", b"en-GB,en;q=0.9"),
    ]


@contextmanager
def staged(tokens: int) -> Iterator[Scene]:
    """A scene with so many tokens, and its key set served on loopback."""
    private, jwk = make_key("RS256")
    another, _ = make_key("RS256")
    jwks = {"keys": [jwk]}
    made = [make_token("RS256", private, KID, SIZE, f"{number:08}") for number in range(tokens)]
    with serving_keys(jwks) as url:
        yield Scene(jwks, url, made, make_token("RS256", another, KID, SIZE, "forged"))


@contextmanager
def serving_keys(jwks: object) -> Iterator[str]:
    """The URL of a key set on loopback."""
    document = json.dumps(jwks).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_: object) -> None:
            """Nothing: the figures stand alone."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/.well-known/jwks.json"
        server.shutdown()


def make_key(algorithm: str) -> tuple[Key, dict[str, Any]]:
    """A private key, and the public one as a JWK."""
    import jwt
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    private: Key
    if algorithm == "RS256":
        private = rsa.generate_private_key(65537, 2048)
    elif algorithm == "ES256":
        private = ec.generate_private_key(ec.SECP256R1())
    else:
        private = ed25519.Ed25519PrivateKey.generate()
    jwk = jwt.get_algorithm_by_name(algorithm).to_jwk(private.public_key(), as_dict=True)
    return private, {**jwk, "kid": KID, "alg": algorithm, "use": "sig", "key_ops": ["verify"]}


def make_token(algorithm: str, private: Key, kid: str, size: int, jti: str = "0f0b7f2e") -> str:
    """An access token (RFC 9068), its scope so long that the whole has about `size` characters."""
    import jwt

    now = int(time.time())
    claims: dict[str, object] = {
        "iss": ISSUER,
        "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
        "aud": AUDIENCE,
        "iat": now - 60,
        "exp": now + 86_400,
        "client_id": "my_client_id_0123456789abcdef",
        "jti": f"{jti}-6a5b-4a86-9f0a-1c2a3b4c5d6e",
        "org_id": ACCOUNT,
        "scope": "",
    }

    def encode() -> str:
        return jwt.encode(claims, private, algorithm=algorithm, headers={"kid": kid, "typ": "at+jwt"})

    words = "openid profile email read:call_logs write:call_logs read:voicemails write:voicemails "
    length = (size - len(encode())) * 3 // 4
    claims["scope"] = (words * (length // len(words) + 1))[:length]
    return encode()
