"""A service as a process: uvicorn on a socket that is there already, its signals, its log.

Knows nothing of what is served. Several processes on one socket are `guestpass.service.workers`'s.
"""

import logging
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn

import uvicorn

from guestpass.asgi_types import ASGIApp

GRACE: Final = 10
"""Seconds that requests under way have to end in, once it is told to stop."""

IDLE: Final = 75
"""Seconds for which an idle connection is kept: longer than nginx keeps one to an upstream, so that it is never this
end that closes one while a question is on its way."""


def run(app: ASGIApp, bound: socket.socket, serving: Callable[[], object]) -> None:
    """Serve `app` until SIGINT or SIGTERM, which end this in good order by SystemExit(0). Calls `serving` once it
    accepts connections."""
    # uvicorn ends in good order on these two, and then raises them again for whoever was there before: for us.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    config = uvicorn.Config(
        app,
        lifespan="on",
        # It keeps no more than 64 KiB of a request that has not begun: the faster parser, where it is installed, would
        # keep whatever a stranger sends.
        http="h11",
        # A handshake is no question, and the issuing API has no socket.
        ws="none",
        # Who asks is the proxy itself, whatever a header says of its client.
        proxy_headers=False,
        server_header=False,
        # It would write down query strings.
        access_log=False,
        log_config=None,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=GRACE,
    )
    _Server(config, serving).run(sockets=[bound])


def set_up_log() -> None:
    """Everything worth knowing on standard error, one line each."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    logging.getLogger("guestpass").setLevel(logging.INFO)
    # There is none on purpose: a handshake is answered as the plain request that it is here.
    logging.getLogger("uvicorn.error").addFilter(lambda record: "WebSocket library" not in record.getMessage())


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, serving: Callable[[], object]) -> None:
        super().__init__(config)
        self._serving = serving

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._serving()


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)
