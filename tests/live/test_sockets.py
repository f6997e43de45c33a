"""A live socket ends when its credential does, and nothing of it is left behind."""

import threading
from collections.abc import Callable

import anyio
import pytest

from guestpass.asgi_types import ASGIApp, Message, Receive, Scope, Send
from guestpass.errors import ConnectionEnded
from guestpass.explaining.tracing import Decides
from guestpass.live.sockets import serve_socket
from guestpass.proving import Proof
from guestpass.refusals import Refusal
from guestpass.requests import Request
from live_support import ENDED, START, Connection, someone

pytestmark = pytest.mark.anyio

CLOSE = {"type": "websocket.close", "code": 3000, "reason": "the credential has ended"}
ACCEPT = {"type": "websocket.accept"}
GONE = {**CLOSE, "type": "websocket.disconnect"}


@pytest.fixture
def socket(anyio_backend: str) -> Connection:
    return Connection()


async def serve(socket: Connection, app: ASGIApp, expires_at: float = START + 3600, grace: float = 5) -> None:
    with anyio.fail_after(5):
        life = socket.life(someone(expires_at))
        await serve_socket(app, {"type": "websocket"}, socket.receive, socket.send, life, grace=grace)
    assert not socket.watched()


async def listen(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})
    assert await receive() == GONE
    assert await receive() == GONE
    with pytest.raises(ConnectionEnded):
        await send({"type": "websocket.send", "text": "too late"})


async def test_an_idle_socket_ends_with_its_credential(socket: Connection) -> None:
    await serve(socket, listen, expires_at=START)
    assert socket.sent[-1] == CLOSE


async def test_what_ended_before_it_was_watched_ends_too(socket: Connection) -> None:
    socket.verdict = ENDED
    await serve(socket, listen)
    assert socket.sent == [CLOSE]


async def test_the_end_is_waited_for(socket: Connection) -> None:
    socket.instants = [START, START + 10]
    await serve(socket, listen, expires_at=START + 0.02)
    assert socket.sent == [ACCEPT, CLOSE]


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_revoked_credentials_socket_ends_at_once(socket: Connection, elsewhere: bool) -> None:
    async def revoke_soon() -> None:
        await socket.until_sent("websocket.accept")
        if elsewhere:
            thread = threading.Thread(target=socket.end_it)
            thread.start()
            thread.join(5)
        else:
            socket.end_it()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(revoke_soon)
        await serve(socket, listen)
    assert socket.sent == [ACCEPT, CLOSE]


async def test_what_ends_without_a_word_is_found_before_long(
    socket: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guestpass.live.life.LOOK_AGAIN", 0.01)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        socket.verdict = ENDED
        await listen(scope, receive, send)

    await serve(socket, application)
    assert socket.sent == [ACCEPT, CLOSE]


async def test_a_store_that_is_slow_to_say_puts_no_expiry_off(socket: Connection) -> None:
    answer = anyio.Event()

    async def decide(guard: Decides, request: Request) -> Proof:
        verdict = await Connection.decide(socket, guard, request)
        if len(socket.asked) > 1:
            socket.instants = [START + 10]
            # As in a thread, which nobody can hurry.
            with anyio.CancelScope(shield=True):
                await answer.wait()
        return verdict

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        socket.guard.forget(lambda _: True)
        assert await receive() == GONE
        await socket.until_sent("websocket.close")
        answer.set()

    socket.decide = decide  # type: ignore[method-assign]
    await serve(socket, application, expires_at=START + 0.02)
    assert socket.sent == [ACCEPT, CLOSE]


async def test_an_outage_ends_nothing_and_anything_else_does(
    socket: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guestpass.live.life.LOOK_AGAIN", 0.001)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        socket.verdict = Refusal("store_unavailable", "session")
        await socket.until_asked(3)
        await send({"type": "websocket.accept"})
        socket.verdict = Refusal("internal_error")
        assert await receive() == GONE

    await serve(socket, application)
    assert socket.sent == [ACCEPT, CLOSE]


@pytest.mark.parametrize("minted_by", ["key_1", "key_2"])
async def test_a_verdict_that_is_dropped_and_given_again_ends_nothing(socket: Connection, minted_by: str) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        looks = len(socket.asked)
        socket.guard.forget(lambda principal: principal.minted_by == minted_by)
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        assert len(socket.asked) == looks + (minted_by == "key_1")
        await send({"type": "websocket.close", "code": 1000})

    await serve(socket, application)
    assert socket.sent == [{"type": "websocket.close", "code": 1000}]


def _disconnected(problem: Exception) -> None:
    class ClientDisconnect(Exception):
        """As frameworks call it."""

    raise ClientDisconnect


def _by_its_cause(problem: Exception) -> None:
    raise LookupError from problem


def _in_a_group(problem: Exception) -> None:
    raise ExceptionGroup("of a framework", [problem, problem])


@pytest.mark.parametrize("translate", [None, _disconnected, _by_its_cause, _in_a_group])
async def test_who_still_sends_is_told_that_the_connection_is_lost(
    socket: Connection, translate: Callable[[Exception], None] | None
) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await send({"type": "websocket.send", "text": "too late"})
        except OSError as problem:
            if translate is None:
                raise
            translate(problem)

    await serve(socket, application, expires_at=START - 1)
    assert socket.sent == [CLOSE]


async def test_a_mistake_made_while_the_end_is_handled_is_the_applications(socket: Connection) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await send({"type": "websocket.send", "text": "too late"})
        except OSError:
            raise KeyError("a mistake")  # noqa: B904 - as it happens

    with pytest.raises(KeyError, match="a mistake"):
        await serve(socket, application, expires_at=START - 1)


async def test_an_application_that_does_not_end_is_ended(socket: Connection) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await anyio.sleep_forever()

    await serve(socket, application, expires_at=START - 1, grace=0.01)
    assert socket.sent == [CLOSE]


async def test_who_is_on_a_socket_is_told_also_where_its_application_ends_at_once(socket: Connection) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        socket.end_it()
        await receive()

    async def slow(message: Message) -> None:
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        await Connection.send(socket, message)

    socket.send = slow  # type: ignore[method-assign]
    await serve(socket, application)
    assert socket.sent == [ACCEPT, CLOSE]


@pytest.mark.parametrize("problem", [OSError("gone"), RuntimeError("after sending websocket.close")])
async def test_who_is_gone_already_need_not_be_told(socket: Connection, problem: Exception) -> None:
    async def send(message: Message) -> None:
        if message["type"] == "websocket.close":
            raise problem

    socket.send = send  # type: ignore[method-assign]
    await serve(socket, listen, expires_at=START)


async def test_a_client_that_takes_nothing_is_told_no_longer_than_the_application_is_waited_for(
    socket: Connection,
) -> None:
    async def full(message: Message) -> None:
        await anyio.sleep_forever()

    socket.send = full  # type: ignore[method-assign]

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    await serve(socket, application, expires_at=START, grace=0.01)


ENDINGS: list[Message] = [
    {"type": "websocket.close", "code": 1000},
    {"type": "websocket.http.response.start", "status": 403, "headers": []},
]


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda message: message["type"])
async def test_a_socket_that_its_application_closed_or_denied_is_not_closed_again(
    socket: Connection, ending: Message
) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send(ending)
        socket.end_it()
        assert await receive() == GONE

    await serve(socket, application)
    assert socket.sent == [ending]


@pytest.mark.parametrize("raised", [ValueError("its own"), OSError("its own"), ExceptionGroup("its own", [OSError()])])
async def test_an_applications_exceptions_come_out_as_they_are(socket: Connection, raised: Exception) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        raise raised

    for expires_at in (START + 60, START - 1):
        with pytest.raises(type(raised), match="its own"):
            await serve(socket, application, expires_at)


async def test_a_server_that_cancels_is_obeyed(socket: Connection) -> None:
    with anyio.move_on_after(0) as scope:
        await serve(socket, listen)
    assert scope.cancelled_caught
    assert not socket.watched()


async def test_who_ends_a_credential_is_not_troubled_by_a_loop_that_is_gone(anyio_backend: str) -> None:
    socket = Connection()

    async def abandon() -> None:
        # As where a loop is stopped in the middle of everything.
        socket.life().begin()

    thread = threading.Thread(target=lambda: anyio.run(abandon, backend=anyio_backend))
    thread.start()
    thread.join(5)
    assert socket.watched() == 1
    socket.end_it()
