"""What serves one application under uvicorn, on loopback, in the environment that is meant.

``python -m benchmarks.serve`` reads one line of JSON on standard input (what to make, and the scene), answers with the
port, and serves until standard input ends.
"""

import json
import os
import socket
import sys
import threading

import uvicorn

from benchmarks.contenders import application
from benchmarks.scene import Scene


def main() -> None:
    """Serve one application."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    asked = json.loads(sys.stdin.readline())
    app = application(asked["made_by"], Scene.from_json(asked["scene"]))
    # Connections are kept open while others have their turn.
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, timeout_keep_alive=3600))
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)

    def wait_for_the_end() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    print(listening.getsockname()[1], file=answers, flush=True)
    server.run(sockets=[listening])


if __name__ == "__main__":
    main()
