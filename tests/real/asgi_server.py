"""One application under one ASGI server, as a program of its own on loopback.

``python -m real.asgi_server SERVER APPLICATION SETTINGS``: the demo or the `stage`, and as JSON its settings and the
server's. It prints one line of JSON once it serves, besides what the server logs, and ends with its standard input, so
that it outlives no test.
"""

import asyncio
import json
import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Thread
from typing import Any, Final

from guestpass import open_store
from guestpass.asgi import ASGIApp
from guestpass.demo.house import open_house
from real.stage import stage

HOST: Final = "127.0.0.1"


@dataclass(frozen=True)
class Post:
    """What a server is to serve, and whom it tells of its port. `idle` is how many seconds Hypercorn keeps a connection
    from which nothing comes, also where the client is long gone."""

    app: ASGIApp
    announce: Callable[[int], None]
    root_path: str = ""
    idle: float = 5.0


def uvicorn(post: Post, http: Any = "h11", ws: Any = "websockets-sansio") -> None:
    """uvicorn, with its parsers in Python unless others are named."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            post.announce(listening.getsockname()[1])

    listening = _listen()
    # Nobody who is slow to answer a ping is taken for lost while a test waits.
    config = uvicorn.Config(post.app, root_path=post.root_path, http=http, ws=ws, ws_ping_interval=None)
    Server(config).run(sockets=[listening])


def uvicorn_in_c(post: Post) -> None:
    """uvicorn with llhttp for its parser, and the other of its WebSocket protocols."""
    uvicorn(post, "httptools", "wsproto")


def hypercorn(post: Post) -> None:
    """Hypercorn on asyncio."""
    from hypercorn.asyncio import serve

    asyncio.run(serve(post.app, _hypercorn_config(post)))  # type: ignore[arg-type] # it has its own names for these


def hypercorn_on_trio(post: Post) -> None:
    """Hypercorn on trio."""
    import trio
    from hypercorn.trio import serve

    trio.run(serve, post.app, _hypercorn_config(post))  # type: ignore[arg-type] # the same


def _hypercorn_config(post: Post) -> Any:
    from hypercorn.config import Config

    listening = _listen()
    config = Config()
    config.root_path = post.root_path
    config.keep_alive_timeout = post.idle
    config.accesslog = "-"
    # It listens before it is ready; who connects waits.
    post.announce(listening.getsockname()[1])
    config.bind = [f"fd://{listening.detach()}"]
    return config


def granian(post: Post) -> None:
    """Granian in this process, so that it ends with it."""
    from granian.constants import Interfaces
    from granian.server.embed import Server

    # It takes no socket. While this one is bound and does not listen, the port is nobody else's.
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    held.bind((HOST, 0))
    port = held.getsockname()[1]

    async def serve() -> None:
        prefix = post.root_path or None
        server = Server(
            post.app, HOST, port, interface=Interfaces.ASGI, backlog=2048, url_path_prefix=prefix, log_access=True
        )
        Thread(target=_announce_when_open, args=(port, post.announce), daemon=True).start()
        await server.serve()

    asyncio.run(serve())


def daphne(post: Post) -> None:
    """Daphne, on Twisted."""
    from daphne.access import AccessLogGenerator  # type: ignore[import-untyped]
    from daphne.server import Server  # type: ignore[import-untyped]

    def announce() -> None:
        post.announce(server.listening_addresses[0][1])

    server: Any = Server(
        post.app,
        endpoints=[f"tcp:port=0:interface={HOST}:backlog=2048"],
        action_logger=AccessLogGenerator(sys.stdout),
        ready_callable=announce,
        root_path=post.root_path,
    )
    server.run()


def _listen() -> socket.socket:
    # With its protocol named, or asyncio does not see that it is TCP, and leaves Nagle's algorithm on: 40 ms an answer.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind((HOST, 0))
    listening.listen(2048)
    return listening


def _announce_when_open(port: int, announce: Callable[[int], None]) -> None:
    """Granian says nowhere that it listens."""
    while True:
        try:
            socket.create_connection((HOST, port)).close()
        except ConnectionRefusedError:
            continue
        announce(port)
        return


def demo(store: str) -> tuple[ASGIApp, dict[str, str]]:
    """The demo's API. Its event socket tells of nothing by itself."""
    house = open_house(open_store(store), "a wrapping key that is long enough: 32 bytes", every=3_600)
    return house.app, {"secret_key": house.secret_key, "publishable_key": house.publishable_key}


SERVERS: Final[Mapping[str, Callable[[Post], None]]] = {
    "uvicorn": uvicorn,
    "uvicorn_in_c": uvicorn_in_c,
    "hypercorn": hypercorn,
    "hypercorn_on_trio": hypercorn_on_trio,
    "granian": granian,
    "daphne": daphne,
}


def _end_with_the_input() -> None:
    sys.stdin.read()
    os._exit(0)


def main(server: str, application: str, settings: str) -> None:
    """Serve until the standard input ends."""
    Thread(target=_end_with_the_input, daemon=True).start()
    asked: dict[str, Any] = json.loads(settings)
    served: dict[str, Any] = {name: asked.pop(name) for name in ("root_path", "idle") if name in asked}
    app, said = (demo if application == "demo" else stage)(**asked)

    def announce(port: int) -> None:
        sys.stdout.write(json.dumps({"port": port, **said}) + "\n")
        sys.stdout.flush()

    SERVERS[server](Post(app, announce, **served))


if __name__ == "__main__":
    main(*sys.argv[1:])
