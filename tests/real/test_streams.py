"""Event streams under real servers: when the credential ends, a client sees a broken transfer, never a clean end."""

import re
import socket
import time
from collections.abc import Iterator
from contextlib import closing

import httpx
import pytest

from guestpass.sessions import AccountSession
from real.live_servers import SOON, Serving, serving
from real.programs import WAIT
from real.serving import SERVERS

pytestmark = pytest.mark.real

EVENT = b"data: tick\n\n"

WAITRESS = """
import waitress, real.streaming
server = waitress.create_server(real.streaming.wsgi(), host="127.0.0.1", port=0, threads=4)
print(f"Listening at: http://127.0.0.1:{server.effective_port}", flush=True)
server.run()
"""


def gunicorn(*more: str) -> list[str]:
    return ["-m", "gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket", *more, "real.streaming:wsgi()"]


WSGI_SERVERS: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "gunicorn sync": (("gunicorn",), gunicorn()),
    "gunicorn gthread": (("gunicorn",), gunicorn("--worker-class", "gthread", "--threads", "4")),
    "gunicorn gevent": (("gunicorn", "gevent"), gunicorn("--worker-class", "gevent")),
    "waitress": (("waitress",), ["-c", WAITRESS]),
}


class Stream:
    """What a client is sent that asks for a stream, to the byte; the first event has come."""

    def __init__(self, server: Serving, path: str, session: AccountSession) -> None:
        host, _, port = server.url.removeprefix("http://").partition(":")
        self._connection = socket.create_connection((host, int(port)), timeout=WAIT)
        self.sent = b""
        lines = [f"GET {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {session.client_secret}", "", ""]
        try:
            self._connection.sendall("\r\n".join(lines).encode())
            self.until(EVENT)
        except BaseException:
            self._connection.close()
            raise

    def until(self, wanted: bytes) -> None:
        """Read until `wanted` has been sent."""
        while wanted not in self.sent:
            more = self._connection.recv(65_536)
            assert more, f"it ended: {self.sent!r}"
            self.sent += more

    def broken_after(self) -> float:
        """Seconds until the connection is lost. The body has begun, in chunks, and has no last one."""
        began = time.monotonic()
        with closing(self._connection):
            while more := self._connection.recv(65_536):
                self.sent += more
        head, _, body = self.sent.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert b"transfer-encoding: chunked" in head.lower()
        assert not re.search(rb"(?:^|\r\n)0\r\n", body), "an end, and a clean one"
        return time.monotonic() - began


APPLICATIONS = [(server, app) for server in SERVERS for app in ("bare", "starlette")]
# Daphne is out of reach behind such middleware, and so is Hypercorn's HTTP/2; Granian behind two of them.
WRAPPED = [
    ("uvicorn", "wrapped_twice"),
    ("uvicorn_in_c", "wrapped_twice"),
    ("hypercorn", "wrapped_twice"),
    ("hypercorn_on_trio", "wrapped_twice"),
    ("granian", "wrapped"),
]


@pytest.fixture(scope="module", params=APPLICATIONS + WRAPPED, ids="-".join)
def asgi(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    server, application = request.param
    url = f"sqlite:///{tmp_path_factory.mktemp('streams')}/guestpass.db"
    command = ["-m", "real.streaming", server, application, url]
    scheme = "https" if server.endswith("_tls") else "http"
    with serving(SERVERS[server.removesuffix("_over_tls")], command, r'^\{"port": (\d+)', url, scheme) as serves:
        yield serves


@pytest.fixture(scope="module", params=WSGI_SERVERS)
def wsgi(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    needed, command = WSGI_SERVERS[request.param]
    url = f"sqlite:///{tmp_path_factory.mktemp('streams')}/guestpass.db"
    with serving(needed, command, r"Listening at: http://127\.0\.0\.1:(\d+)", url) as server:
        yield server


def test_streams_are_broken_off_when_their_session_expires(asgi: Serving) -> None:
    session = asgi.office.session(SOON)
    streams = [Stream(asgi, path, session) for path in ("/busy", "/idle")]
    # At once; where the application listens to nobody, it is given a second.
    assert [stream.broken_after() < SOON + 3 for stream in streams] == [True, True]
    asgi.program.until("the application has ended")
    left_clean(asgi)


@pytest.mark.parametrize("asgi", [(server, "bare") for server in SERVERS], ids="-".join, indirect=True)
def test_a_stream_is_broken_off_when_its_session_is_revoked_elsewhere(asgi: Serving) -> None:
    session = asgi.office.session()
    stream = Stream(asgi, "/idle", session)
    asgi.office.revoke(session)
    # A look every five seconds, and a second for the application to end by itself.
    assert stream.broken_after() < 8
    asgi.program.until("the application has ended")
    left_clean(asgi)


def left_clean(asgi: Serving) -> None:
    """Nothing is left behind, and the server is no worse for it."""
    deadline = time.monotonic() + WAIT
    while asgi.get("/watched").text != "0":
        assert time.monotonic() < deadline
    session = asgi.office.session()
    assert asgi.get("/whole", session).content == 2 * EVENT
    assert asgi.get("/crash", session).status_code == 500


@pytest.mark.parametrize("end", ["expiry", "revocation"])
def test_a_stream_over_wsgi_is_broken_off(wsgi: Serving, end: str) -> None:
    session = wsgi.office.session(SOON if end == "expiry" else 3600)
    stream = Stream(wsgi, "/busy", session)
    if end == "revocation":
        wsgi.office.revoke(session)
    assert stream.broken_after() < (SOON + 2 if end == "expiry" else 7)
    wsgi.program.until("the application has ended")
    fresh = wsgi.office.session()
    assert wsgi.get("/whole", fresh).content == 2 * EVENT
    assert wsgi.get("/file", fresh).content == b"onetwo"
    assert wsgi.get("/whole", session).status_code == 401


def test_a_client_is_told_of_an_incomplete_body(wsgi: Serving) -> None:
    headers = {"Authorization": f"Bearer {wsgi.office.session(SOON).client_secret}"}
    with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
        httpx.get(f"{wsgi.url}/busy", headers=headers, timeout=WAIT)


HTTP2 = [(server, app) for server in ("hypercorn", "hypercorn_on_trio", "granian") for app in ("bare", "starlette")]


@pytest.mark.parametrize("asgi", [*HTTP2, ("daphne_over_tls", "bare")], ids="-".join, indirect=True)
def test_a_stream_over_http2_is_reset(asgi: Serving) -> None:
    headers = {"Authorization": f"Bearer {asgi.office.session(SOON).client_secret}"}
    good = {"Authorization": f"Bearer {asgi.office.session().client_secret}"}
    with httpx.Client(base_url=asgi.url, http1=False, http2=True, verify=False, timeout=WAIT) as client:
        with client.stream("GET", "/idle", headers=headers) as answer:
            assert answer.http_version == "HTTP/2"
            with pytest.raises(httpx.RemoteProtocolError, match="StreamReset"):
                answer.read()
        # The connection is none the worse for it, and neither is the server.
        assert client.get("/whole", headers=good).content == 2 * EVENT
        assert client.get("/crash", headers=good).status_code == 500
