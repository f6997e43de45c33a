"""``guestpass demo``: a small voice platform to try, served here."""

import argparse
from typing import Final

from guestpass import demo
from guestpass.cli import arguments
from guestpass.cli.command import Command


def run(asked: argparse.Namespace) -> int:
    """Serve the demo until it is told to end."""
    return demo.run(port=asked.port, store=asked.store, as_json=asked.json)


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=arguments.port, default=8000, help="left out: 8000; 0 takes a free one")


COMMANDS: Final = (
    Command(
        "demo",
        "serve a small voice platform on this machine, with a page to try it",
        run,
        _arguments,
        "With --json it prints its address and its keys once it serves. It ends on Ctrl-C.",
        store="left out: a SQLite file that goes when the demo ends",
    ),
)
