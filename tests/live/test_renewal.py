"""A fresh credential on an open socket: who may stay, what the application sees of it, and what everybody else gets."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

import guestpass.fastapi
import guestpass.starlette
from guestpass import Rule, StoreUnavailable, needs
from guestpass.asgi import ASGIApp, GuardMiddleware, Message, Receive, Scope, Send
from guestpass.explaining.tracing import Decides
from guestpass.live.renewal import AHEAD, ATTEMPTS, credential_in
from guestpass.live.sockets import serve_socket
from guestpass.principal import Principal
from guestpass.proving import Proof
from guestpass.requests import Request
from live_support import ENDED, START, Connection, someone
from support import Failing, House, bearer, build, seen, socket_scope

pytestmark = pytest.mark.anyio

RULES = (
    Rule("WEBSOCKET /v1/events", component="call_logs"),
    Rule("WEBSOCKET /v1/accounts/{account}/events"),
    Rule("WEBSOCKET /open", public=True, optional=True, reason="visitors"),
)


def said(credential: str) -> str:
    """The message that presents a fresh credential."""
    return json.dumps({"guestpass": {"credential": credential}})


def text(value: str) -> Message:
    return {"type": "websocket.receive", "text": value}


@dataclass
class Line:
    """A socket through a door, from its client's end."""

    house: House
    client: Connection
    heard: list[Message] = field(default_factory=list[Message])
    scope: Scope = field(default_factory=dict[str, Any])

    async def listen(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An application that notes all it hears, and says who is there when it is asked."""
        self.scope = scope
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            self.heard.append(message)
            await send({"type": "websocket.send", "text": json.dumps(seen(scope))})
        self.heard.append(message)

    async def present(self, credential: str) -> dict[str, Any]:
        """Present a credential; what is answered."""
        before = len(self.answers())
        self.client.come(text(said(credential)))
        await self.client.until(lambda _: len(self.answers()) > before)
        return self.answers()[-1]

    def answers(self) -> list[dict[str, Any]]:
        """What the door has said."""
        texts = [json.loads(message["text"]) for message in self.client.sent if message["type"] == "websocket.send"]
        return [told["guestpass"] for told in texts if "guestpass" in told]

    async def heard_by_application(self, message: Message) -> None:
        """Send what is the application's, and wait until it has it."""
        before = len(self.heard)
        self.client.come(message)
        await self.client.until(lambda _: len(self.heard) > before)

    @property
    def closed(self) -> Message | None:
        return next((message for message in self.client.sent if message["type"] == "websocket.close"), None)


Talk = Callable[[Line], Awaitable[None]]


async def open_line(
    house: House,
    talk: Talk,
    credential: str,
    *,
    target: str = "/v1/events",
    header: bool = False,
    app: ASGIApp | None = None,
    protocol: str = "client_secret",
    **settings: Any,
) -> Line:
    """Open a socket with a credential, `talk` once it is accepted, and go."""
    line = Line(house, Connection())
    line.client.come({"type": "websocket.connect"})
    door = GuardMiddleware(app or line.listen, house.guard, **{"socket_renewal": True, **settings})
    scope = socket_scope(target, bearer(credential)) if header else socket_scope(target, (), [protocol, credential])

    async def serve() -> None:
        await door(scope, line.client.receive, line.client.send)
        tasks.cancel_scope.cancel()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve)
            await line.client.until_sent("websocket.accept")
            await talk(line)
            line.client.come({"type": "websocket.disconnect", "code": 1001})
    assert not house.guard._watchers
    return line


@pytest.fixture
def house() -> House:
    return build(RULES)


@pytest.fixture
def sessions(house: House) -> Callable[..., str]:
    """New sessions of one key and one account."""
    by = house.minter()
    return lambda **asked: house.sessions.create(by=by, **{"account": "acct_1", **asked}).client_secret


@pytest.mark.parametrize("header", [False, True])
async def test_who_presents_a_fresh_session_stays(house: House, sessions: Callable[..., str], header: bool) -> None:
    async def talk(line: Line) -> None:
        fresh = sessions(expires_in=7200)
        assert await line.present(fresh) == {
            "renewed": True, "expires_at": "2030-03-17T19:46:40Z", "expires_in": 7200,
        }  # fmt: skip
        house.clock.advance(4000)
        house.guard.forget(lambda _: True)
        await line.heard_by_application(text("still here"))
        assert await line.present(sessions(expires_in=7200)) == {
            "renewed": True, "expires_at": "2030-03-17T20:53:20Z", "expires_in": 7200,
        }  # fmt: skip
        assert line.closed is None

    line = await open_line(house, talk, sessions(), header=header)
    assert line.heard == [text("still here"), {"type": "websocket.disconnect", "code": 1001}]


async def test_who_presents_none_does_not(house: House, sessions: Callable[..., str]) -> None:
    async def talk(line: Line) -> None:
        house.clock.advance(4000)
        house.guard.forget(lambda _: True)
        await line.client.until_sent("websocket.close")

    line = await open_line(house, talk, sessions())
    assert line.closed == {"type": "websocket.close", "code": 3000, "reason": "the credential has ended"}


@pytest.mark.parametrize("which", ["old", "new"])
async def test_the_new_session_counts_and_the_old_one_no_more(house: House, which: str) -> None:
    by = house.minter()
    old, new = (house.sessions.create(by=by, account="acct_1") for _ in range(2))

    async def talk(line: Line) -> None:
        await line.present(new.client_secret)
        house.sessions.revoke((old if which == "old" else new).id)
        if which == "old":
            await line.heard_by_application(text("still here"))
            assert line.closed is None
        else:
            await line.client.until_sent("websocket.close")

    await open_line(house, talk, old.client_secret)


async def test_the_application_finds_the_new_principal_where_it_found_the_old(
    house: House, sessions: Callable[..., str]
) -> None:
    async def talk(line: Line) -> None:
        old = line.scope["principal"]
        await line.present(sessions(expires_in=7200, components={"call_logs": {"enabled": True}}))
        new = line.scope["principal"]
        assert isinstance(new, Principal)
        assert (new.identity, new.expires_at) == (old.identity, old.expires_at + 3600)
        assert line.scope["user"] is new
        assert "voicemails" not in line.scope["auth"].scopes

    await open_line(house, talk, sessions())


async def test_a_token_is_renewed_by_a_token_of_the_same_subject(house: House) -> None:
    by = house.minter()
    subject = "0f8fad5b-d9cb-469f-a165-70867728950e"

    def token(**asked: Any) -> str:
        return house.signer.sign(by=by, tenant_id="acct_1", components={"call_logs": {"enabled": True}}, **asked).jwt

    async def talk(line: Line) -> None:
        assert (await line.present(token(id=subject, expires_in=7200)))["renewed"] is True
        assert (await line.present(token()))["refused"] == "credential_invalid"

    await open_line(house, talk, token(id=subject), protocol="jwt")


async def test_a_key_without_an_end_says_so() -> None:
    house = build(RULES)
    key = house.key(accounts={"acct_1"})

    async def talk(line: Line) -> None:
        assert await line.present(key) == {"renewed": True, "expires_at": None, "expires_in": None}

    await open_line(house, talk, key, header=True)


# --- refused ---------------------------------------------------------------------------------------------------------


def wrong(house: House, sessions: Callable[..., str]) -> Mapping[str, Callable[[], str]]:
    """Credentials that are no good on a socket of one of `sessions`."""

    def revoked() -> str:
        made = house.sessions.create(by=house.minter(), account="acct_1")
        house.sessions.revoke(made.id)
        return made.client_secret

    return {
        "account_mismatch": lambda: sessions(account="acct_2"),
        "credential_invalid": house.session,
        "component_disabled": lambda: sessions(components={"voicemails": {"enabled": True}}),
        "session_revoked": revoked,
        "credential_malformed": lambda: sessions() + " " + sessions(),
    }


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("code", wrong(build(), str))
async def test_a_wrong_credential_leaves_the_old_one_in_place(
    house: House, sessions: Callable[..., str], code: str, header: bool
) -> None:
    async def talk(line: Line) -> None:
        before = line.scope["principal"]
        answer = await line.present(wrong(house, sessions)[code]())
        assert answer["refused"] == code
        assert answer.keys() == {"refused", "detail"}
        assert line.scope["principal"] is before
        await line.heard_by_application(text("still here"))
        assert line.closed is None

    await open_line(house, talk, sessions(), header=header)


KINDS: dict[str, Callable[[House], str]] = {
    "key": lambda house: house.key(accounts={"acct_1"}),
    "token": lambda house: house.token(components={"call_logs": {"enabled": True}}),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_another_kind_of_credential_is_another_identity(
    house: House, sessions: Callable[..., str], kind: str
) -> None:
    codes: list[str] = []

    async def talk(line: Line) -> None:
        codes.append((await line.present(KINDS[kind](house)))["refused"])

    for header in (False, True):
        await open_line(house, talk, sessions(), header=header)
    # It does not come under that name, and where it does not say, it is somebody else's.
    assert codes == ["credential_malformed", "credential_invalid"]


@pytest.mark.parametrize(
    "value", ["", " ", "cs_live_x\r\nAccount-Id: acct_2", "\u00e9", "\ud83d\ude00", "jwt", "client_secret", "x" * 8192]
)
@pytest.mark.parametrize("header", [False, True])
async def test_what_no_handshake_could_present_is_refused(
    house: House, sessions: Callable[..., str], value: str, header: bool
) -> None:
    async def talk(line: Line) -> None:
        answer = await line.present(value)
        assert answer["refused"] in ("credential_malformed", "credential_invalid", "credential_missing")
        assert value.strip() not in answer["detail"] or len(value) < 3 or value in ("jwt", "client_secret")

    await open_line(house, talk, sessions(), header=header)


async def test_the_account_that_the_path_names_counts_as_it_did(house: House) -> None:
    by = house.minter()
    one, other = (house.sessions.create(by=by, account=account).client_secret for account in ("acct_1", "acct_2"))

    async def talk(line: Line) -> None:
        assert (await line.present(other))["refused"] == "account_mismatch"
        assert (await line.present(one))["renewed"] is True

    await open_line(house, talk, one, target="/v1/accounts/acct_1/events")


async def test_the_third_wrong_one_in_a_row_closes_the_socket(house: House, sessions: Callable[..., str]) -> None:
    async def talk(line: Line) -> None:
        for _ in range(ATTEMPTS - 1):
            await line.present("cs_live_nonsense")
        await line.present(sessions())
        for _ in range(ATTEMPTS - 1):
            await line.present("cs_live_nonsense")
        assert line.closed is None
        await line.present("cs_live_nonsense")
        await line.client.until_sent("websocket.close")

    line = await open_line(house, talk, sessions())
    assert ATTEMPTS == 3
    assert line.closed == {"type": "websocket.close", "code": 3000, "reason": "credential_invalid"}
    assert line.heard == [{"type": "websocket.disconnect", "code": 3000, "reason": "credential_invalid"}]


async def test_where_nobody_can_tell_nobody_was_wrong(house: House, sessions: Callable[..., str]) -> None:
    async def talk(line: Line) -> None:
        broken = build(RULES, store=Failing(StoreUnavailable("gone")))
        line.house.guard.__dict__["decide"] = broken.guard.decide
        for _ in range(ATTEMPTS + 1):
            assert (await line.present(sessions()))["refused"] == "store_unavailable"
        del line.house.guard.__dict__["decide"]
        assert (await line.present(sessions()))["renewed"] is True
        assert line.closed is None

    await open_line(house, talk, sessions())


# --- what is the application's ---------------------------------------------------------------------------------------

LOOK_ALIKES = [
    '{"guestpass": {"credential": "x", "more": 1}}',
    '{"guestpass": {"credential": "x"}, "more": 1}',
    '{"guestpass": {"credential": 1}}',
    '{"guestpass": {"credential": null}}',
    '{"guestpass": {"credential": ["x"]}}',
    '{"guestpass": {"Credential": "x"}}',
    '{"guestpass": {}}',
    '{"guestpass": "x"}',
    '{"guestpass": [{"credential": "x"}]}',
    '{"guestpass": {"credential": "x"}',
    '{"guestpass": {"credential": "x"}} {}',
    '{"guestpass": {"credential": "x", "credential": "x"}}',
    '{"guestpass": {"credential": "\ud800"}}',
    '{"guestpass": {"credential": "\\ud800"}}',
    '{"guestpass2": {"credential": "x"}}',
    '{ "guestpass": {"credential": "x"}}',
    ' {"guestpass": {"credential": "x"}}',
    '[{"guestpass": {"credential": "x"}}]',
    '{"type": "x", "guestpass": {"credential": "x"}}',
    '{"guestpass": {"credential": "' + "x" * 8300 + '"}}',
    '{"guestpass"' + "[" * 8000,
    "guestpass",
    "",
]


@pytest.mark.parametrize("value", LOOK_ALIKES, ids=lambda value: repr(value[:60]))
def test_what_only_looks_like_a_renewal_is_none(value: str) -> None:
    assert credential_in(text(value)) is None


def test_a_renewal_is_read_however_it_is_spaced_and_escaped() -> None:
    for value in ('{"guestpass":{"credential":"x"}}', '{"guestpass" :\n{ "credential" : "\\u0078" } } '):
        assert credential_in(text(value)) == "x"
    as_bytes = said("x").encode()
    for message in ({"text": None, "bytes": as_bytes}, {"bytes": as_bytes}, {"text": as_bytes}, {}):
        assert credential_in({"type": "websocket.receive", **message}) is None


async def test_all_else_reaches_the_application_as_it_was(house: House, sessions: Callable[..., str]) -> None:
    messages: list[Message] = [
        text(LOOK_ALIKES[0]),
        {"type": "websocket.receive", "bytes": said(sessions()).encode()},
        {"type": "websocket.receive", "text": None, "bytes": b"\0"},
        {"type": "websocket.receive", "text": "x", "bytes": None, "own": "of the server"},
    ]

    async def talk(line: Line) -> None:
        for message in messages:
            await line.heard_by_application(message)

    line = await open_line(house, talk, sessions())
    assert line.heard[:-1] == messages
    assert line.answers() == []


@pytest.mark.parametrize("settings", [{"socket_renewal": False}, {}])
async def test_it_is_a_setting_and_off_unless_it_is_said(
    house: House, sessions: Callable[..., str], settings: dict[str, bool]
) -> None:
    line = Line(house, Connection())
    for message in ({"type": "websocket.connect"}, text(said(sessions())), {"type": "websocket.disconnect"}):
        line.client.come(message)
    door = GuardMiddleware(line.listen, house.guard, **settings)  # type: ignore[arg-type] # one setting, or none
    with anyio.fail_after(5):
        await door(socket_scope("/v1/events", bearer(sessions())), line.client.receive, line.client.send)
    assert len(line.heard) == 2
    assert line.answers() == []


@pytest.mark.parametrize("framework", ["starlette", "fastapi"])
async def test_it_is_a_setting_of_the_frameworks_doors_too(framework: str) -> None:
    house = build()
    by = house.minter()
    app = Starlette() if framework == "starlette" else FastAPI()

    @needs()
    async def events(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())

    app.router.routes.append(WebSocketRoute("/events", events))
    protect: Callable[..., None] = getattr(guestpass, framework).protect
    protect(app, house.guard, socket_renewal=True)
    line = Line(house, Connection())
    secret = house.sessions.create(by=by, account="acct_1").client_secret
    for message in ({"type": "websocket.connect"}, text(said(secret)), text("{}")):
        line.client.come(message)
    with anyio.fail_after(5):
        await app(socket_scope("/events", bearer(secret)), line.client.receive, line.client.send)
    assert line.answers()[0]["renewed"] is True
    assert said(secret) not in [message.get("text") for message in line.client.sent]


async def test_on_a_public_socket_there_is_nothing_to_renew(house: House) -> None:
    line = Line(house, Connection())
    for message in ({"type": "websocket.connect"}, text(said(house.session())), {"type": "websocket.disconnect"}):
        line.client.come(message)
    door = GuardMiddleware(line.listen, house.guard, socket_renewal=True)
    with anyio.fail_after(5):
        await door(socket_scope("/open"), line.client.receive, line.client.send)
    assert len(line.heard) == 2


# --- applications of every sort --------------------------------------------------------------------------------------


async def test_an_application_that_only_sends_has_its_socket_renewed(
    house: House, sessions: Callable[..., str]
) -> None:
    async def tell(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await anyio.sleep_forever()

    async def talk(line: Line) -> None:
        assert (await line.present(sessions()))["renewed"] is True
        line.client.come(text("nobody listens"))
        assert (await line.present(sessions()))["renewed"] is True
        gone.cancel()

    with anyio.CancelScope() as gone:
        await open_line(house, talk, sessions(), app=tell)
    assert gone.cancelled_caught


async def test_what_an_application_does_not_take_is_not_read_on(house: House, sessions: Callable[..., str]) -> None:
    taken: list[Message] = []
    take = anyio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await take.wait()
        while (message := await receive())["type"] != "websocket.disconnect":
            taken.append(message)

    async def talk(line: Line) -> None:
        for number in range(AHEAD + 5):
            line.client.come(text(str(number)))
        line.client.come(text(said(sessions())))
        for _ in range(50):
            await anyio.lowlevel.checkpoint()
        assert len(line.client.incoming) == 6
        assert line.answers() == []
        take.set()
        await line.client.until(lambda _: line.answers() != [])

    await open_line(house, talk, sessions(), app=slow)
    assert taken == [text(str(number)) for number in range(AHEAD + 5)]


@dataclass
class Bare:
    """A socket without a door. What the guard says of each credential is written down; `meanwhile` it does that."""

    client: Connection
    verdicts: dict[str, Proof] = field(default_factory=dict[str, Proof])
    shown: list[Principal] = field(default_factory=list[Principal])
    meanwhile: Callable[[str], None] = lambda _: None

    async def decide(self, guard: Decides, request: Request) -> Proof:
        credential = dict(request.headers)[b"authorization"].decode().removeprefix("Bearer ")
        self.client.asked.append(request)
        self.meanwhile(credential)
        await anyio.lowlevel.checkpoint()
        return self.verdicts[credential]

    async def serve(self, app: ASGIApp, grace: float = 5) -> None:
        life = self.client.life(request=Request("WEBSOCKET", "/", "/", None, b"", [(b"authorization", b"Bearer old")]))
        life._decide = self.decide
        with anyio.fail_after(5):
            await serve_socket(
                app, {"type": "websocket"}, self.client.receive, self.client.send, life, self.shown.append, grace
            )
        assert not self.client.watched()


@pytest.fixture
def bare(anyio_backend: str) -> Bare:
    made = Bare(Connection())
    made.verdicts = {"old": someone(), "new": someone(START + 7200).but(credential_id="as_2")}
    made.client.come({"type": "websocket.connect"})
    return made


async def until_over(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def test_what_is_revoked_while_it_is_looked_at_closes_the_socket(bare: Bare) -> None:
    async def decide(guard: Decides, request: Request) -> Proof:
        verdict = await Bare.decide(bare, guard, request)
        if verdict is bare.verdicts["new"]:
            # Once it is given, and before the guard is asked to tell of endings.
            bare.verdicts["new"] = ENDED
        return verdict

    bare.decide = decide  # type: ignore[method-assign]
    bare.client.come(text(said("new")))
    await bare.serve(until_over)
    assert [principal.credential_id for principal in bare.shown] == ["as_2"]
    assert bare.client.sent[-1]["type"] == "websocket.close"


async def test_a_verdict_that_comes_after_the_end_renews_nothing(bare: Bare) -> None:
    def end(credential: str) -> None:
        if credential == "new":
            bare.verdicts["old"] = ENDED
            bare.client.guard.forget(lambda _: True)

    async def decide(guard: Decides, request: Request) -> Proof:
        verdict = await Bare.decide(bare, guard, request)
        for _ in range(10 if verdict is bare.verdicts["new"] else 0):
            await anyio.lowlevel.checkpoint()
        return verdict

    bare.meanwhile, bare.decide = end, decide  # type: ignore[method-assign]
    bare.client.come(text(said("new")))
    await bare.serve(until_over)
    assert bare.shown == []
    assert [message["type"] for message in bare.client.sent] == ["websocket.accept", "websocket.close"]


async def test_a_look_at_the_old_credential_does_not_end_what_the_new_one_renewed(bare: Bare) -> None:
    release = anyio.Event()

    async def decide(guard: Decides, request: Request) -> Proof:
        verdict = await Bare.decide(bare, guard, request)
        if verdict is ENDED:
            # It takes its time to say no.
            await release.wait()
        return verdict

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        bare.verdicts["old"] = ENDED
        bare.client.guard.forget(lambda _: True)
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        bare.client.come(text(said("new")))
        await bare.client.until_sent("websocket.send")
        release.set()
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        bare.client.come(text("still here"))
        assert (await receive())["text"] == "still here"
        await send({"type": "websocket.close"})

    bare.decide = decide  # type: ignore[method-assign]
    await bare.serve(application)
    assert [message.get("code") for message in bare.client.sent][-1] is None


async def test_a_client_that_goes_while_it_is_answered_is_just_gone(bare: Bare) -> None:
    async def send(message: Message) -> None:
        if message["type"] == "websocket.send":
            bare.client.come({"type": "websocket.disconnect", "code": 1006})
            raise OSError("gone")
        await Connection.send(bare.client, message)

    bare.client.come(text(said("new")))
    heard: list[Message] = []

    async def application(scope: Scope, receive: Receive, answer: Send) -> None:
        heard.append(await receive())
        await answer({"type": "websocket.accept"})
        heard.append(await receive())

    bare.client.send = send  # type: ignore[method-assign]
    await bare.serve(application)
    assert heard[-1] == {"type": "websocket.disconnect", "code": 1006}


async def test_nothing_is_answered_on_a_socket_that_its_application_has_closed(bare: Bare) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
        bare.client.come(text(said("new")))
        while not bare.shown:
            await anyio.lowlevel.checkpoint()

    await bare.serve(application)
    assert [message["type"] for message in bare.client.sent] == ["websocket.accept", "websocket.close"]


async def test_before_it_accepts_an_application_can_wait_for_the_client_to_go(bare: Bare) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "websocket.connect"
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        # Nothing is read ahead yet: not every server expects to be asked.
        assert len(bare.client.incoming) == 1
        assert (await receive())["type"] == "websocket.disconnect"
        bare.client.come({"type": "websocket.disconnect", "again": True})
        assert (await receive())["again"]

    bare.client.come({"type": "websocket.disconnect"})
    await bare.serve(application)


async def test_what_the_server_raises_is_the_applications_to_see(bare: Bare) -> None:
    async def receive() -> Message:
        if bare.client.incoming:
            return bare.client.incoming.popleft()
        raise LookupError("the server's")

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(2):
            with pytest.raises(LookupError, match="the server's"):
                await receive()

    bare.client.receive = receive  # type: ignore[method-assign]
    await bare.serve(application)


async def test_two_who_receive_at_once_get_a_message_each(bare: Bare) -> None:
    got: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})

        async def take() -> None:
            got.append((await receive())["text"])

        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(take)
            for number in "abc":
                await anyio.lowlevel.checkpoint()
                bare.client.come(text(number))

    await bare.serve(application)
    assert sorted(got) == ["a", "b", "c"]
