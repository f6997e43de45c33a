"""A client that was used before its process forked: no two processes read each other's answers."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from client.scripted import KEY, LONG

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

PROGRAM = """
import os, sys
import anyio, httpx
from guestpass.client import AsyncClient, Client, ClientError

way, url, key, transport = sys.argv[1:]
kind = {"sync": (Client, httpx.HTTPTransport), "async": (AsyncClient, httpx.AsyncHTTPTransport)}[way]
client = kind[0](url, key, **({"transport": kind[1]()} if transport != "none" else {}))

def create(account):
    try:
        if way == "sync":
            return client.account_sessions.create(account=account).account
        async def run():
            return (await client.account_sessions.create(account=account)).account
        return anyio.run(run)
    except ClientError as problem:
        return str(problem)

if transport != "unused":
    create("acct_parent")
if child := os.fork():
    os.waitpid(child, 0)
    if way == "sync":
        print("parent", create("acct_parent"), flush=True)
else:
    print("child", create("acct_child"), flush=True)
    os._exit(0)
"""


@dataclass
class Served:
    """`connections` has for each account the ports that its requests came from."""

    url: str = ""
    connections: dict[str, set[int]] = field(default_factory=dict)


@contextmanager
def serving() -> Iterator[Served]:
    """An API that keeps its connections open."""
    served = Served()

    class Answering(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            account = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["account"]
            served.connections.setdefault(account, set()).add(self.client_address[1])
            session = {
                "id": "as_1", "account": account, "client_secret": f"cs_of_{account}", "expires_in": 3600,
                "expires_at": "2030-01-01T00:00:00Z", "components": {}, "livemode": True,
            }  # fmt: skip
            body = json.dumps(session).encode()
            self.send_response(201)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever)
        thread.start()
        served.url = f"http://127.0.0.1:{server.server_port}"
        yield served
        server.shutdown()
        thread.join(LONG)


def run(way: str, served: Served, transport: str = "none") -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, way, served.url, KEY, transport],
        capture_output=True,
        text=True,
        timeout=LONG,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_forked_child_has_connections_of_its_own(way: str) -> None:
    with serving() as served:
        said = run(way, served)
        assert "child acct_child\n" in said
        assert not served.connections["acct_child"] & served.connections["acct_parent"]
        # The parent goes on with the one that it had.
        assert way == "async" or "parent acct_parent\n" in said
        assert len(served.connections["acct_parent"]) == 1


@pytest.mark.parametrize("way", ["sync", "async"])
def test_with_a_transport_of_ones_own_it_says_what_to_do(way: str) -> None:
    with serving() as served:
        assert "child INVALID_REQUEST: this process was forked" in run(way, served, "used")
        assert "acct_child" not in served.connections
    with serving() as served:
        assert "child acct_child\n" in run(way, served, "unused")
