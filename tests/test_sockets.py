"""A live socket ends when its credential does, and nothing of it is left behind."""

import threading
from dataclasses import dataclass, field

import anyio
import pytest

from guestpass.asgi_types import ASGIApp, Message, Receive, Scope, Send
from guestpass.grants import Grant
from guestpass.guard import Guard
from guestpass.policy import Policy
from guestpass.principal import Principal
from guestpass.rules import Rule
from guestpass.sockets import SocketEnded, serve_until_ended
from support import build

pytestmark = pytest.mark.anyio

START = 1_000_000.0
CLOSE = {"type": "websocket.close", "code": 3000, "reason": "the credential has ended"}


@dataclass
class Setting:
    """A guard, a socket whose other end stays silent, and who is on it."""

    guard: Guard
    instants: list[float] = field(default_factory=lambda: [START])
    admitted: bool = True
    sent: list[Message] = field(default_factory=list)
    accepted: anyio.Event = field(default_factory=anyio.Event)

    def clock(self) -> float:
        return self.instants.pop(0) if len(self.instants) > 1 else self.instants[0]

    async def still_admitted(self) -> bool:
        return self.admitted

    async def receive(self) -> Message:
        await anyio.sleep_forever()
        raise AssertionError

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message["type"] == "websocket.accept":
            self.accepted.set()

    def principal(self, expires_at: float = START + 3600) -> Principal:
        grant = Grant("acme", "live", frozenset({"acct_1"}), expires_at=expires_at)
        return Principal("account_session", "acct_1", grant, "as_1", minted_by="key_1")

    async def serve(self, app: ASGIApp, expires_at: float = START + 3600, grace: float = 5) -> None:
        with anyio.fail_after(5):
            principal = self.principal(expires_at)
            streams = (self.receive, self.send)
            await serve_until_ended(
                app, {"type": "websocket"}, *streams, self.guard, principal, self.still_admitted, grace
            )
        assert not self.guard._watched


@pytest.fixture
def setting() -> Setting:
    made = Setting(build(Policy(Rule("WEBSOCKET /v1/events"))).guard)
    made.guard = Guard(
        authenticators=made.guard.authenticators, policy=made.guard.policy, mode="live", clock=made.clock
    )
    return made


async def listen(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})
    message = await receive()
    assert message == {**CLOSE, "type": "websocket.disconnect"}
    assert await receive() == message
    with pytest.raises(SocketEnded):
        await send({"type": "websocket.send", "text": "too late"})


async def test_an_idle_socket_ends_with_its_credential(setting: Setting) -> None:
    await setting.serve(listen, expires_at=START)
    assert setting.sent[-1] == CLOSE


async def test_what_ended_before_it_was_watched_ends_too(setting: Setting) -> None:
    setting.admitted = False
    await setting.serve(listen)
    assert setting.sent == [CLOSE]


async def test_the_end_is_waited_for(setting: Setting) -> None:
    setting.instants = [START, START + 10]
    await setting.serve(listen, expires_at=START + 0.02)
    assert setting.sent == [{"type": "websocket.accept"}, CLOSE]


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_revoked_credentials_socket_ends_at_once(setting: Setting, elsewhere: bool) -> None:
    def revoke() -> None:
        setting.admitted = False
        setting.guard.forget(lambda principal: principal.minted_by == "key_1")

    async def revoke_soon() -> None:
        await setting.accepted.wait()
        if elsewhere:
            thread = threading.Thread(target=revoke)
            thread.start()
            thread.join(5)
        else:
            revoke()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(revoke_soon)
        await setting.serve(listen)
    assert setting.sent[-1] == CLOSE


async def test_what_ends_without_a_word_is_found_before_long(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guestpass.sockets.LOOK_AGAIN", 0.01)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        setting.admitted = False
        await listen(scope, receive, send)

    await setting.serve(application)
    assert setting.sent[-1] == CLOSE


async def test_a_verdict_that_is_dropped_and_given_again_ends_nothing(setting: Setting) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        setting.guard.forget(lambda principal: principal.minted_by == "key_1")
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        await send({"type": "websocket.close", "code": 1000})

    await setting.serve(application)
    assert setting.sent == [{"type": "websocket.close", "code": 1000}]


async def test_anothers_revocation_ends_nothing(setting: Setting) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        setting.guard.forget(lambda principal: principal.minted_by == "key_2")
        await anyio.lowlevel.checkpoint()
        await send({"type": "websocket.close", "code": 1000})

    await setting.serve(application)
    assert setting.sent == [{"type": "websocket.close", "code": 1000}]


async def test_who_still_sends_is_told_that_the_connection_is_lost(setting: Setting) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.send", "text": "too late"})

    await setting.serve(application, expires_at=START - 1)
    assert setting.sent == [CLOSE]


async def test_an_application_that_does_not_end_is_ended(setting: Setting) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await anyio.sleep_forever()

    await setting.serve(application, expires_at=START - 1, grace=0.01)
    assert setting.sent == [CLOSE]


async def test_a_socket_that_its_application_closed_is_closed_once(setting: Setting) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": 1000})
        setting.admitted = False
        setting.guard.forget(lambda _: True)
        await receive()

    await setting.serve(application)
    assert setting.sent == [{"type": "websocket.close", "code": 1000}]


@pytest.mark.parametrize("raised", [ValueError("its own"), OSError("its own")])
async def test_an_applications_exceptions_come_out_as_they_are(setting: Setting, raised: Exception) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        raise raised

    with pytest.raises(type(raised), match="its own"):
        await setting.serve(application)


async def test_a_server_that_cancels_is_obeyed(setting: Setting) -> None:
    with anyio.move_on_after(0) as scope:
        await setting.serve(listen)
    assert scope.cancelled_caught
    assert not setting.guard._watched
