"""Real servers on loopback, in threads of the test's own process, until a block ends."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from werkzeug.serving import WSGIRequestHandler, make_server

from guestpass.asgi import ASGIApp
from guestpass.wsgi import WSGIApplication

WAIT = 30.0
"""Seconds after which something that should have happened has not."""


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """An ASGI application under uvicorn; answers its address."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none"))
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(WAIT)
        listening.close()
    assert not thread.is_alive()


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - as the class above has it
        """Nothing is printed."""


@contextmanager
def serving_wsgi(app: WSGIApplication) -> Iterator[str]:
    """A WSGI application under Werkzeug's server, a thread for each connection; answers its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(WAIT)
        server.server_close()
    assert not thread.is_alive()
