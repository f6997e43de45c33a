"""An outside issuer on loopback, real HTTP, which misbehaves at a word.

Serves OpenID Connect Discovery 1.0 (section 4) and its JWK Set (RFC 7517), and signs tokens with any claims. Knows
nothing of how they are checked.
"""

import json
import threading
import time
import uuid
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias, Unpack, cast

from guestpass.errors import ConfigurationError
from guestpass.issuers import IssuerSettings, JwtIssuer
from guestpass.keysets.keyset import KeySet
from guestpass.keysets.state import Settings
from guestpass.signing_keys import ALGORITHMS, AsymmetricKey, KeyMaker, MakeSigningKey, public_jwk
from guestpass.tokens import sign

METADATA: Final = "/.well-known/openid-configuration"
JWKS: Final = "/jwks.json"

Lie: TypeAlias = Literal["another_issuer", "other_keys", "no_keys", "no_json", "error", "redirect"]
"""What it can be made to answer: metadata that names another issuer; keys called as its own that are not; a set without
keys; a page instead of JSON; status 500; a redirect."""

_LIES: Final = ("another_issuer", "other_keys", "no_keys", "no_json", "error", "redirect")

Answer: TypeAlias = tuple[int, dict[str, str], bytes]


class IdentityProvider:
    """``with IdentityProvider() as provider:`` serves at ``provider.issuer`` until the block ends.

    - `audience`: the ``aud`` of its tokens. `algorithm`: ``RS256``, ``ES256`` or ``EdDSA``.
    - `lifetime`: seconds for which a token is good. `max_age`: seconds for which its keys may be kept, as it says.
    - `clock`: what its tokens' times are taken from.

    Safe to use from any thread.
    """

    def __init__(
        self,
        *,
        audience: str = "api",
        algorithm: str = "RS256",
        lifetime: float = 3_600,
        max_age: int = 600,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if algorithm not in ALGORITHMS:
            raise ConfigurationError(f"IdentityProvider(algorithm={algorithm!r}): one of {', '.join(ALGORITHMS)}")
        self.audience: Final = audience
        self.algorithm: Final = algorithm
        self.requests: list[str] = []
        """The paths that were asked for, in order."""
        self._lifetime = lifetime
        self._max_age = max_age
        self._clock = clock
        self._keys: list[AsymmetricKey] = []
        self._lie: Lie | None = None
        self._seconds = 0.0
        self._gate = threading.Event()
        self._gate.set()
        self._closing = threading.Event()
        self._news = threading.Condition()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self.rotate()
        self._port = self._listen(0)
        self.issuer: Final = f"http://127.0.0.1:{self._port}"
        """The ``iss`` of its tokens, and where it is."""
        self.jwks_uri: Final = f"{self.issuer}{JWKS}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"IdentityProvider({self.issuer!r})"

    @property
    def kids(self) -> tuple[str, ...]:
        """The names of the keys that it publishes, the newest, which signs, last."""
        return tuple(str(jwk["kid"]) for jwk in self.jwks()["keys"])

    def jwks(self) -> dict[str, list[dict[str, object]]]:
        """Its public keys as a JWK Set, as it publishes them while it is honest."""
        return {"keys": [public_jwk(key, self.algorithm) for key in list(self._keys)]}

    def token(
        self,
        subject: str = "user_1",
        *,
        header: Mapping[str, object] | None = None,
        forged: bool = False,
        **claims: object,
    ) -> str:
        """A token for `subject`, good from now on. `claims` come on top, ``exp=…`` and ``aud=…`` too; None drops one.

        `header` comes on top of its header likewise. A `forged` one is signed with a key that was never published,
        under the name of one that is.
        """
        return self.sign(self.claims(subject, **claims), header=header, forged=forged)

    def claims(self, subject: str = "user_1", **claims: object) -> dict[str, object]:
        """The claims of a token for `subject`, with these on top."""
        now = int(self._clock())
        said: dict[str, object] = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": subject,
            "iat": now,
            "exp": now + int(self._lifetime),
            "jti": uuid.uuid4().hex,
        }
        return _without_none({**said, **claims})

    def sign(
        self, claims: Mapping[str, object], *, header: Mapping[str, object] | None = None, forged: bool = False
    ) -> str:
        """A token with these claims and no others: see `token`."""
        named: dict[str, object] = {"typ": "JWT", "kid": self.kids[-1], **(header or {})}
        key = self._new_key() if forged else self._keys[-1]
        return sign(claims, _without_none(named), key, self.algorithm)

    def key_set(self, **settings: Unpack[Settings]) -> KeySet:
        """Its key set, found through its metadata, for a `JwtIssuer` of one's own making."""
        return KeySet.from_discovery(self.issuer, **settings)

    def authenticator(self, *, keys: KeySet | None = None, **settings: Unpack[IssuerSettings]) -> JwtIssuer:
        """An authenticator of its tokens, in test mode: for ``Guard(authenticators=[…])``.

        Raises `ConfigurationError` for live mode, and as `JwtIssuer` does.
        """
        asked: IssuerSettings = {"mode": "test", "algorithms": (self.algorithm,), **settings}
        if asked["mode"] != "test":
            raise ConfigurationError('provider.authenticator(mode="live"): whoever it vouches for is of test mode')
        return JwtIssuer.oidc(self.issuer, self.audience, keys=keys or self.key_set(), **asked)

    def rotate(self, *, keep: bool = True) -> str:
        """Sign with a new key from now on; answers its ``kid``. Without `keep` the ones until now are not published any
        more."""
        key = self._new_key()
        self._keys = [*(self._keys if keep else ()), key]
        return str(public_jwk(key, self.algorithm)["kid"])

    def lie(self, lie: Lie) -> None:
        """Answer wrongly until `be_honest`: see `Lie`."""
        if lie not in _LIES:
            raise ConfigurationError(f"lie({lie!r}): one of {', '.join(_LIES)}")
        self._lie = lie

    def be_honest(self) -> None:
        """Answer as it should again."""
        self._lie = None

    def slow(self, seconds: float) -> None:
        """Wait `seconds` before every answer; 0 for no longer."""
        self._seconds = seconds

    @contextmanager
    def held(self) -> Generator[None]:
        """Inside the block requests come in, are counted, and are answered only when it ends."""
        self._gate.clear()
        try:
            yield
        finally:
            self._gate.set()

    def wait_for_requests(self, count: int, *, timeout: float = 5) -> None:
        """Wait until `count` requests have come in all. Raises TimeoutError after `timeout` seconds."""
        with self._news:
            if not self._news.wait_for(lambda: len(self.requests) >= count, timeout):
                raise TimeoutError(f"{len(self.requests)} requests came within {timeout} seconds, not {count}")

    def stop(self) -> None:
        """Be out of reach: connections are refused, and answers on their way are cut off. Stopping twice is stopping
        once."""
        server, thread = self._server, self._thread
        if server is None or thread is None:
            return
        self._server = self._thread = None
        self._closing.set()
        server.shutdown()
        server.server_close()
        thread.join(5)

    def start(self) -> None:
        """Be there again after `stop`, at the same address."""
        if self._server is None:
            self._listen(self._port)

    def _listen(self, port: int) -> int:
        self._closing = threading.Event()
        self._server = server = _Server(self._answer, self._closing, port)
        self._thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return server.server_port

    def _new_key(self) -> AsymmetricKey:
        return KeyMaker().answer(MakeSigningKey(self.algorithm))

    def _answer(self, path: str, closing: threading.Event) -> Answer | None:
        """What a request for `path` is answered with; None for nothing at all, where it has stopped meanwhile."""
        with self._news:
            self.requests.append(path)
            self._news.notify_all()
        while not self._gate.wait(0.02):
            if closing.is_set():
                return None
        if closing.wait(self._seconds) if self._seconds else closing.is_set():
            return None
        lie = self._lie
        if lie == "error":
            return _json(500, {"error": "server_error"})
        if lie == "no_json":
            return 200, {"Content-Type": "text/html"}, b"<!doctype html><title>Sign in</title>"
        if lie == "redirect":
            return 302, {"Location": self.jwks_uri}, b""
        if path == METADATA:
            issuer = "https://another.example" if lie == "another_issuer" else self.issuer
            return _json(200, {"issuer": issuer, "jwks_uri": self.jwks_uri})
        if path == JWKS:
            return _json(200, self._published(lie), {"Cache-Control": f"max-age={self._max_age}"})
        return _json(404, {"error": "not_found"})

    def _published(self, lie: Lie | None) -> Mapping[str, object]:
        if lie == "no_keys":
            return {"keys": []}
        if lie == "other_keys":
            strange = [public_jwk(self._new_key(), self.algorithm) for _ in self._keys]
            return {"keys": [{**jwk, "kid": kid} for jwk, kid in zip(strange, self.kids, strict=True)]}
        return self.jwks()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # As many as ask at once in a test of a crowd.
    request_queue_size = 256

    def __init__(
        self, answer: Callable[[str, threading.Event], Answer | None], closing: threading.Event, port: int
    ) -> None:
        self.answer = answer
        self.closing = closing
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Whoever asked has gone: nothing to tell."""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = cast("_Server", self.server)
        answer = server.answer(self.path, server.closing)
        if answer is None:
            self.close_connection = True
            return
        status, headers, body = answer
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body)), "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
        """Tests have their own output."""


def _json(status: int, content: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Answer:
    return status, {"Content-Type": "application/json", **(headers or {})}, json.dumps(content).encode()


def _without_none(given: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in given.items() if value is not None}
