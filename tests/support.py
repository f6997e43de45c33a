"""What the tests share: a clock that is turned by hand, seeded randomness, a whole guarded house, an ASGI client.

Nothing here sleeps, opens a socket or reads the real clock.
"""

import contextlib
import json
import random
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from urllib.parse import unquote

from guestpass import (
    AccountSessions,
    ApiKeys,
    Authenticator,
    Credential,
    Grant,
    Guard,
    KeyRing,
    Policy,
    Principal,
    Refusal,
    Refused,
    Revocations,
    Rule,
    TokenSigner,
    open_store,
)
from guestpass.asgi import ASGIApp, Message, Scope
from guestpass.grants import Mode
from guestpass.inquiry import Inquiry, Question, drive
from guestpass.ownership import Owns, SinglePlatform
from guestpass.requests import Request
from guestpass.revocation.feed import feed_of
from guestpass.stores import Store

T = TypeVar("T")

START = 1_900_000_000.0
ISSUER = "https://api.example"
AUDIENCE = "api"
WRAPPING_KEY = "a wrapping key that is long enough: 32 bytes"
COMPONENTS: Mapping[str, tuple[str, ...]] = {"call_logs": ("transcripts", "export"), "voicemails": ()}
ROLES = ("external_entity", "agent", "admin")


class Clock:
    """Unix time, turned by hand."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Seeded:
    """Randomness that is the same in every run."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def __call__(self, count: int) -> bytes:
        return self._random.randbytes(count)


def policy(*rules: Rule) -> Policy:
    """A policy with the components and roles of the tests."""
    return Policy(*rules, components=COMPONENTS, roles=ROLES)


def owns_acct(platform: str, account: str) -> bool:
    """The register of the tests: a platform owns what is called ``acct_…``."""
    return account.startswith("acct_")


@dataclass(slots=True)
class House:
    """One guard and everything that it is made of."""

    clock: Clock
    store: Store
    keys: ApiKeys
    sessions: AccountSessions
    ring: KeyRing
    signer: TokenSigner
    guard: Guard
    revocations: Revocations

    def key(self, **asked: Any) -> str:
        """A new key's secret; platform-wide and live unless it is said."""
        return self.keys.create(**{"platform": "plat", "mode": self.guard.mode, **asked}).secret

    def minter(self, **asked: Any) -> Principal:
        """The principal of a new secret key."""
        return self.guard.check(self.key(**asked))

    def session(self, account: str = "acct_1", **asked: Any) -> str:
        """The client secret of a new session of a new platform-wide key."""
        return self.sessions.create(by=self.minter(), account=account, **asked).client_secret

    def token(self, account: str | None = "acct_1", **asked: Any) -> str:
        """A new signed token of a new platform-wide key."""
        return self.signer.sign(by=self.minter(), tenant_id=account, **asked).jwt


def build(
    rules: Policy | Sequence[Rule] = (),
    *,
    mode: Mode = "live",
    owns: Owns | SinglePlatform = owns_acct,
    store: Store | None = None,
    clock: Clock | None = None,
    more: Sequence[Authenticator] = (),
    algorithm: str = "ES256",
    seed: int = 0,
    **settings: Any,
) -> House:
    """A house with every authenticator, and these rules."""
    clock = clock or Clock()
    store = store or open_store("memory://", clock=clock)
    chance = Seeded(seed)
    keys = ApiKeys(store, owns=owns, clock=clock, randomness=chance)
    sessions = AccountSessions(store, clock=clock, randomness=chance)
    ring = KeyRing(store, wrapping_key=WRAPPING_KEY, algorithm=algorithm, clock=clock, randomness=chance)
    signer = TokenSigner(ring, issuer=ISSUER, audience=AUDIENCE, clock=clock, randomness=chance)
    guard = Guard(
        authenticators=[keys, sessions, signer, *more],
        policy=rules if isinstance(rules, Policy) else policy(*rules),
        mode=mode,
        clock=clock,
        **settings,
    )
    with contextlib.suppress(Exception):
        feed_of(store, clock).read()
    return House(clock, store, keys, sessions, ring, signer, guard, guard.revocations)


class GatePasses:
    """A kind of credential of one's own: ``gp_live_<account>``, good for that account."""

    prefixes = ("gp",)

    def kind_of(self, credential: Credential, /) -> str | None:
        return "gate_pass" if credential.text.startswith("gp_") else None

    def authenticate(self, credential: Credential, now: float, /) -> Principal | Refusal:
        account = credential.text.removeprefix("gp_live_")
        if account == credential.text:
            return Refusal("credential_invalid", "gate pass")
        accounts, components = frozenset({account}), frozenset({"call_logs"})
        grant = Grant("plat", "live", accounts, components, frozenset(ROLES), now + 60)
        return Principal(kind="gate_pass", subject="gate", grant=grant, credential_id=credential.text[-4:])


class Recording:
    """A store that notes what it is asked, and does something first, or answers otherwise, where a test says so."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.asked: list[Question[Any]] = []
        self.before: dict[type, Callable[[], object]] = {}
        self.after: dict[type, Callable[[], object]] = {}
        self.replies: dict[type, Any] = {}

    def answer(self, question: Question[T], /) -> T:
        self.asked.append(question)
        if type(question) in self.replies:
            return cast("T", self.replies.pop(type(question)))
        early = self.before.pop(type(question), None)
        if early is not None:
            early()
        answer = self.store.answer(question)
        late = self.after.pop(type(question), None)
        if late is not None:
            late()
        return answer

    def close(self) -> None:
        self.store.close()

    def count(self, kind: type) -> int:
        """How often a question of this type was asked."""
        return sum(isinstance(question, kind) for question in self.asked)


class Failing:
    """A store that answers every question with the same exception."""

    def __init__(self, problem: Exception) -> None:
        self.problem = problem

    def answer(self, question: Question[T], /) -> T:
        raise self.problem

    def close(self) -> None:
        """Nothing is open."""


def recall(guard: Guard, request: Request) -> Principal | None:
    """Whom a guard recalls by a request; asked again, since the names of headers may be new to it."""

    def once() -> Principal | None:
        return guard.recall(request.method, request.path, request.whole_path, request.raw_path, request.headers)

    return once() or once()


def decided(guard: Guard, request: Request) -> Principal | Refusal:
    """The verdict on a request, whatever has to be asked for it. What the guard recalls of it must be the same."""
    recalled = recall(guard, request)
    decided = guard.decide(request)
    verdict = drive(decided) if isinstance(decided, Generator) else decided
    assert recalled is None or recalled is verdict
    return verdict


def judged(guard: Guard, request: Request) -> Principal | Refusal:
    """The verdict on a request as a door asks for it: whom the guard recalls, or else what it decides."""
    verdict = recall(guard, request) or guard.decide(request)
    return drive(verdict) if isinstance(verdict, Generator) else verdict


def finish(inquiry: Inquiry[T], *answers: object) -> T:
    """Run an inquiry with scripted answers."""
    try:
        next(inquiry)
        for answer in answers:
            inquiry.send(answer)
    except StopIteration as end:
        value: T = end.value
        return value
    raise AssertionError("the inquiry asks for more than the script answers")


def code_of(action: Callable[[], object]) -> str:
    """The code with which an action is refused; ``"let in"`` where it is not."""
    try:
        action()
    except Refused as refused:
        return refused.code
    return "let in"


def bearer(credential: str) -> dict[str, str]:
    """The header that presents a credential."""
    return {"Authorization": f"Bearer {credential}"}


HeaderItems = Mapping[str, str] | Iterable[tuple[str, str]]


def raw_headers(headers: HeaderItems) -> list[tuple[bytes, bytes]]:
    """Headers as an ASGI server shows them: lower-case names, in order, duplicates kept."""
    items = headers.items() if isinstance(headers, Mapping) else headers
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in items]


def http_scope(
    method: str,
    target: str,
    headers: HeaderItems = (),
    *,
    root_path: str = "",
    raw: bool = True,
) -> Scope:
    """The scope that uvicorn would make of a request line; `raw` off, that of a server without ``raw_path``."""
    sent, _, query = target.partition("?")
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(sent),
        "query_string": query.encode("latin-1"),
        "root_path": root_path,
        "headers": [(b"host", b"testserver"), *raw_headers(headers)],
        "client": ("192.0.2.1", 50000),
        "server": ("testserver", 80),
    }
    if raw:
        scope["raw_path"] = sent.encode("latin-1")
    return scope


def socket_scope(
    target: str,
    headers: HeaderItems = (),
    subprotocols: Sequence[str] = (),
    *,
    root_path: str = "",
    http_response: bool = True,
) -> Scope:
    """The scope of a WebSocket handshake, with the subprotocols also in their header, as servers leave it."""
    scope = http_scope("GET", target, headers, root_path=root_path)
    del scope["method"]
    scope.update(type="websocket", scheme="ws", subprotocols=list(subprotocols))
    if subprotocols:
        scope["headers"].append((b"sec-websocket-protocol", ", ".join(subprotocols).encode("latin-1")))
    scope["extensions"] = {"websocket.http.response": {}} if http_response else {}
    return scope


@dataclass(slots=True)
class Outcome:
    """What a client saw of one connection."""

    sent: list[Message] = field(default_factory=list[Message])

    def first(self, kind: str) -> Message | None:
        """The first message of a type, None where there is none."""
        return next((message for message in self.sent if message["type"] == kind), None)

    def _start(self) -> Message:
        found = self.first("http.response.start") or self.first("websocket.http.response.start")
        assert found is not None, f"no HTTP answer among {[message['type'] for message in self.sent]}"
        return found

    @property
    def status(self) -> int:
        """The HTTP status; 101 for an accepted socket."""
        if self.first("websocket.accept") is not None:
            return 101
        status: int = self._start()["status"]
        return status

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer; of several with one name, joined."""
        joined: dict[str, str] = {}
        for name, value in self._start().get("headers", ()):
            key = name.decode("latin-1").lower()
            text = value.decode("latin-1")
            joined[key] = f"{joined[key]}, {text}" if key in joined else text
        return joined

    @property
    def body(self) -> bytes:
        """The whole body of the answer."""
        kinds = ("http.response.body", "websocket.http.response.body")
        return b"".join(message.get("body", b"") for message in self.sent if message["type"] in kinds)

    @property
    def said(self) -> Any:
        """What the application said of itself, over HTTP or as the socket's first message."""
        message = self.first("websocket.send")
        return json.loads(self.body if message is None else message["text"])

    @property
    def code(self) -> str | None:
        """The code of the refusal, None where there is none."""
        if self.first("websocket.accept") is not None or self._start()["status"] < 400 or not self.body:
            return None
        problem = json.loads(self.body)
        code: str | None = problem.get("code")
        return code


async def call(app: ASGIApp, scope: Scope, body: bytes = b"") -> Outcome:
    """Send one request or handshake to an application, and note all that it sends."""
    outcome = Outcome()
    if scope["type"] == "websocket":
        incoming: list[Message] = [{"type": "websocket.connect"}]
    else:
        incoming = [{"type": "http.request", "body": body, "more_body": False}]
    gone: Message = {"type": "websocket.disconnect" if scope["type"] == "websocket" else "http.disconnect"}

    async def receive() -> Message:
        return incoming.pop(0) if incoming else gone

    async def send(message: Message) -> None:
        outcome.sent.append(message)

    await app(scope, receive, send)
    return outcome


def ask_http(app: ASGIApp, method: str, target: str, headers: HeaderItems = (), **more: Any) -> Awaitable[Outcome]:
    """Send one HTTP request."""
    body: bytes = more.pop("body", b"")
    return call(app, http_scope(method, target, headers, **more), body)


def ask_socket(
    app: ASGIApp, target: str, headers: HeaderItems = (), subprotocols: Sequence[str] = (), **more: Any
) -> Awaitable[Outcome]:
    """Open one WebSocket."""
    return call(app, socket_scope(target, headers, subprotocols, **more))


def seen(scope: Mapping[str, Any]) -> dict[str, object]:
    """What an application finds in its scope, as the doors of the tests report it."""
    principal: Principal | None = scope["principal"]
    return {
        "kind": None if principal is None else principal.kind,
        "account": None if principal is None else principal.account,
        "subprotocols": list(scope.get("subprotocols", ())),
    }


async def echo(
    scope: Scope, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """A bare application that lets everybody in and says what it sees."""
    said = json.dumps(seen(scope))
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": said})
        await send({"type": "websocket.close", "code": 1000})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": said.encode()})
