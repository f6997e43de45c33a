"""The demo as a process: a store, a socket on loopback, uvicorn, and what is printed once it serves.

Knows ports, signals and standard output. What is served is `guestpass.demo.house`'s.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import uvicorn

from guestpass import open_store
from guestpass.demo import data
from guestpass.demo.house import House, open_house
from guestpass.demo.leaflet import leaflet
from guestpass.demo.wrapping import wrapping_key

HOST: Final = "127.0.0.1"


def serve(*, port: int, store_url: str | None, as_json: bool) -> int:
    """Serve until SIGINT or SIGTERM; answers the exit code. See `guestpass.demo.run`."""
    # uvicorn ends in good order on these two, and then raises them again for whoever was there before: for us.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    with contextlib.ExitStack() as held:
        try:
            listening = held.enter_context(_listen(port))
        except OSError as problem:
            print(f"port_unavailable: {HOST}:{port}: {problem.strerror}; take another with --port", file=sys.stderr)
            return 1
        if store_url is None:
            directory = held.enter_context(tempfile.TemporaryDirectory(prefix="guestpass-demo-"))
            store_url = f"sqlite:///{Path(directory) / 'guestpass.db'}"
        store = held.enter_context(contextlib.closing(open_store(store_url)))
        house = open_house(store, wrapping_key(store_url, os.environ))
        url = f"http://{HOST}:{listening.getsockname()[1]}"
        text = _as_json(url, house) if as_json else leaflet(url, house.secret_key)
        config = uvicorn.Config(
            house.app,
            # A query string may hold what was never meant to be in one, and these two would write it down.
            access_log=False,
            log_level="warning",
            # What is wrong with the rules ends the start, not each request.
            lifespan="on",
            server_header=False,
            timeout_graceful_shutdown=3,
        )
        _Server(config, lambda: print(text, flush=True)).run(sockets=[listening])
    return 0


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._announce()


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def _listen(port: int) -> socket.socket:
    # With the protocol said: only then does asyncio send small pieces at once (TCP_NODELAY).
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
    except OSError:
        listening.close()
        raise
    return listening


def _as_json(url: str, house: House) -> str:
    return json.dumps(
        {
            "url": url,
            "secret_key": house.secret_key,
            "publishable_key": house.publishable_key,
            "account": data.ACCOUNT,
            "other_account": data.OTHER_ACCOUNT,
            "jwks_url": f"{url}/.well-known/jwks.json",
        }
    )
