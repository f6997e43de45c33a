"""Which part a request is for, readiness, and what the access log says and leaves out."""

import asyncio
import logging
from typing import Any, TypeVar, cast

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from guestpass.asgi_types import Receive, Scope, Send
from guestpass.errors import StoreUnavailable
from guestpass.inquiry import Question as Asked
from guestpass.service.application import Application, Question, Readiness
from guestpass.stores import Store
from support import Clock

T = TypeVar("T")


class Part:
    """A part that says its name and the path that it was asked for."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": f"{self.name} {scope['path']}".encode()})


class Looked:
    """A store that counts who looks, and does what it is told."""

    def __init__(self) -> None:
        self.times = 0
        self.problem: Exception | None = None

    def answer(self, _: Asked[T]) -> T:
        self.times += 1
        if self.problem is not None:
            raise self.problem
        return cast("T", None)

    def close(self) -> None:
        """Nothing to let go of."""


async def yes() -> bool:
    return True


def application(
    *, ready: Any = yes, joined: bool = False, question: bool = True, issuing: bool = True, logs: bool = False
) -> TestClient:
    asked = Question("/ask", joined, Part("question")) if question else None
    app = Application("/health", ready, asked, Part("issuing") if issuing else None, realm="api", logs=logs)
    return TestClient(app, raise_server_exceptions=True)


@pytest.mark.parametrize(
    ("path", "joined", "said"),
    [
        ("/ask", False, "question /ask"),
        ("/ask", True, "question /ask"),
        ("/ask/v1", True, "question /ask/v1"),
        ("/ask/v1", False, "issuing /ask/v1"),
        ("/asked", True, "issuing /asked"),
        ("/v1/account_sessions", True, "issuing /v1/account_sessions"),
        ("/health/", True, "issuing /health/"),
        ("/", True, "issuing /"),
    ],
)
def test_which_part_a_request_is_for(path: str, joined: bool, said: str) -> None:
    assert application(joined=joined).get(path).text == said


def test_what_is_for_no_part_is_refused() -> None:
    answer = application(question=False, issuing=False).get("/ask")
    assert (answer.status_code, answer.json()["code"]) == (404, "rule_missing")
    assert application(question=False, issuing=False).head("/ask").content == b""


def test_a_handshake_for_no_part_is_closed() -> None:
    client = application(question=False, issuing=False)
    with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect("/v1/events"):
        pass
    assert closed.value.code == 3003


def test_a_server_starts_and_ends_it() -> None:
    with application() as client:
        assert client.get("/health").status_code == 200


def test_readiness_says_only_whether() -> None:
    ready = application().get("/health")
    assert (ready.status_code, ready.json(), ready.headers["cache-control"]) == (200, {"status": "ok"}, "no-store")
    head = application().head("/health")
    assert (head.status_code, head.content, head.headers["content-length"]) == (
        200,
        b"",
        ready.headers["content-length"],
    )

    async def no() -> bool:
        return False

    away = application(ready=no).get("/health")
    assert (away.status_code, away.json(), away.headers["retry-after"]) == (503, {"status": "unavailable"}, "1")
    assert application().post("/health").status_code == 405


def test_one_look_is_for_everybody_and_for_a_second(caplog: pytest.LogCaptureFixture) -> None:
    store, clock = Looked(), Clock()
    ready = Readiness(cast("Store", store), clock)

    async def crowd() -> list[bool]:
        return await asyncio.gather(*(ready() for _ in range(20)))

    async def story() -> None:
        assert set(await crowd()) == {True}
        assert store.times == 1
        store.problem = StoreUnavailable("it is away")
        assert await ready() is True
        clock.advance(1)
        assert set(await crowd()) == {False}
        assert store.times == 2
        store.problem = ValueError("nobody foresaw it")
        clock.advance(1)
        assert await ready() is False
        store.problem = None
        clock.advance(1)
        assert await ready() is True

    asyncio.run(story())
    assert "it is away" in caplog.text
    assert "nobody foresaw it" in caplog.text


def test_who_gives_up_waiting_takes_the_look_from_nobody() -> None:
    store = Looked()
    ready = Readiness(cast("Store", store))

    async def story() -> None:
        first = asyncio.create_task(ready())
        await asyncio.sleep(0)
        second = asyncio.create_task(ready())
        await asyncio.sleep(0)
        first.cancel()
        assert await second is True

    asyncio.run(story())


SECRET = "cs_live_07BuYZZCARHwiRjc3LOPPAXHYaw7azd2U0CEEvq"


def written(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What guestpass wrote; the client of the test may write lines of its own."""
    return [record.getMessage() for record in caplog.records if record.name.startswith("guestpass")]


def test_the_access_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "guestpass.access")
    client = application(logs=True)
    client.get(f"/v1/x?secret={SECRET}", headers={"Authorization": f"Bearer {SECRET}"})
    client.get(f"/v1/{SECRET}")
    client.get("/a%0Ab%1b[2J/%C3%A9")
    client.get("/health")
    lines = written(caplog)
    assert len(lines) == 4
    assert lines[0].startswith("testclient GET /v1/x 299 ")
    assert lines[1].startswith("testclient GET /v1/cs_live_… 299 ")
    assert lines[2].startswith(r"testclient GET /a\nb\x1b[2J/\xe9 299 ")
    assert lines[3].startswith("testclient GET /health 200 ")
    assert not any(SECRET in line for line in lines)
    assert all(line.endswith(" ms") for line in lines)


def test_without_the_setting_nothing_is_written(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "guestpass.access")
    application().get("/health")
    assert not written(caplog)
