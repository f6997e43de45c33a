"""The certified OpenID provider of the tests: its keys, its clients, and the tokens that it gives them.

Its port is held for it while it is stopped, so that it comes back under the same issuer.
"""

import json
import re
import secrets
import socket
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from html import unescape
from time import time

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from real.programs import WAIT, Program, oidc_provider

ALGORITHMS = ("RS256", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
API = "https://api.example"
"""Resources of one API: the last part of each is the algorithm that the provider signs its tokens with."""

BACKEND, BROWSER = "backend", "browser"
"""A client that acts for itself, and one through which users sign in."""
_COMES_BACK = "https://app.example/signed-in"


class Keys:
    """Private keys of a provider, one for each kind, called ``<name>-<algorithm>``. None of them says an `alg`."""

    def __init__(self, name: str) -> None:
        private: dict[str, jwt.algorithms.AllowedPrivateKeys] = {
            "RS256": rsa.generate_private_key(65537, 2048),
            "ES256": ec.generate_private_key(ec.SECP256R1()),
            "ES384": ec.generate_private_key(ec.SECP384R1()),
            "ES512": ec.generate_private_key(ec.SECP521R1()),
            "EdDSA": ed25519.Ed25519PrivateKey.generate(),
        }
        self.jwks: list[dict[str, object]] = []
        for alg, key in private.items():
            jwk = jwt.get_algorithm_by_name(alg).to_jwk(key, as_dict=True)
            # The provider publishes it as it is given, and a public key that may only sign is good for nothing.
            jwk.pop("key_ops", None)
            self.jwks.append({**jwk, "kid": f"{name}-{alg}", "use": "sig"})


@dataclass
class OpenIdProvider:
    """`oidc-provider` as a process of its own. `stop` ends it, `start` brings it back with these keys."""

    account: str = "acct_1"
    _secret: str = field(default_factory=secrets.token_urlsafe, repr=False)

    def __post_init__(self) -> None:
        self._command = oidc_provider()
        # Bound and never listening: nobody else is given the port, and what is sent there is refused.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._place.bind(("127.0.0.1", 0))
        self._port: int = self._place.getsockname()[1]
        self.issuer = f"http://127.0.0.1:{self._port}"
        self._program: Program | None = None

    def start(self, *keys: Keys) -> None:
        """Start it, or rotate the keys of one that runs. It signs with the first of `keys` and publishes all."""
        said: dict[str, object] = {"jwks": {"keys": [key for one in keys for key in one.jwks]}}
        if self._program is None:
            self._program = Program(*self._command)
            claims = {BACKEND: {"account": self.account}, BROWSER: {"account": self.account, "groups": ["agents"]}}
            said |= {"port": self._port, "clients": self._clients(), "claims": claims}
        self._program.tell(json.dumps(said))
        self._program.until("^ready$")

    def stop(self) -> None:
        """End it, without a word to anybody."""
        if self._program is not None:
            self._program.end()
            self._program = None

    def close(self) -> None:
        """End it for good."""
        self.stop()
        self._place.close()

    def token(self, alg: str = "ES256", *, api: str = API, scope: str = "call_logs", proof: str = "") -> str:
        """An access token for the backend itself (RFC 6749 section 4.4); with `proof`, one bound to its key."""
        asked = {"grant_type": "client_credentials", "resource": f"{api}/{alg}", "scope": scope}
        headers = {"DPoP": proof} if proof else {}
        answer = httpx.post(
            f"{self.issuer}/token", data=asked, headers=headers, auth=(BACKEND, self._secret), timeout=WAIT
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def bound_token(self) -> str:
        """An access token that is bound to a key of its holder (RFC 9449)."""
        key, algorithm = ec.generate_private_key(ec.SECP256R1()), jwt.get_algorithm_by_name("ES256")
        claims = {"jti": secrets.token_urlsafe(), "htm": "POST", "htu": f"{self.issuer}/token", "iat": int(time())}
        public = algorithm.to_jwk(key.public_key(), as_dict=True)
        return self.token(proof=jwt.encode(claims, key, "ES256", {"typ": "dpop+jwt", "jwk": public}))

    def sign_in(self, user: str, *, nonce: str | None = None) -> tuple[str, str]:
        """Access token and ID token of a user, who signs in and agrees (OpenID Connect Core section 3.1)."""
        verifier = secrets.token_urlsafe(48)
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "client_id": BROWSER,
            "response_type": "code",
            "redirect_uri": _COMES_BACK,
            "scope": "openid call_logs",
            "resource": f"{API}/ES256",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        with httpx.Client(base_url=self.issuer, timeout=WAIT) as browser:
            answer = browser.get("/auth", params=asked if nonce is None else {**asked, "nonce": nonce})
            while not answer.headers.get("location", "").startswith(_COMES_BACK):
                if answer.has_redirect_location:
                    answer = browser.get(answer.headers["location"])
                    continue
                form = re.search(r'<form[^>]*action="([^"]+)".*?name="prompt" value="(\w+)"', answer.text, re.DOTALL)
                assert form is not None, answer.text
                filled = {"prompt": form[2], "login": user, "password": secrets.token_urlsafe()}
                answer = browser.post(unescape(form[1]), data=filled)
            code = httpx.URL(answer.headers["location"]).params["code"]
            answer = browser.post(
                "/token",
                data={
                    "grant_type": "authorization_code",
                    "code": code,
                    "redirect_uri": _COMES_BACK,
                    "code_verifier": verifier,
                    "client_id": BROWSER,
                    "resource": f"{API}/ES256",
                },
            )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"]), str(answer.json()["id_token"])

    def _clients(self) -> list[dict[str, object]]:
        return [
            {
                "client_id": BACKEND,
                "client_secret": self._secret,
                "grant_types": ["client_credentials"],
                "redirect_uris": [],
                "response_types": [],
            },
            {
                "client_id": BROWSER,
                "token_endpoint_auth_method": "none",
                "redirect_uris": [_COMES_BACK],
            },
        ]
