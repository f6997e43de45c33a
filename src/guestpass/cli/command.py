"""What a command of the command line is: a name, what it says of itself, its arguments, and a function.

A module of `guestpass.cli` lists its commands in ``COMMANDS``; `guestpass.cli.table` has them all.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from guestpass.cli.answers import Answer


def _none(_: argparse.ArgumentParser) -> None:
    """A command without arguments of its own."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    - `name`: what follows ``guestpass``: one word, or the name of an area and a word.
    - `summary`: one line; `more`: what else its help says.
    - `run`: does it, with the arguments as they were read. Answers what to print, or an exit code where it has printed
      itself, and raises what `guestpass.cli.problems` knows how to tell.
    - `arguments`: adds those that are its own; `store` is the help of its ``--store``, "" where it has none.
    """

    name: str
    summary: str
    run: Callable[[argparse.Namespace], Answer | int]
    arguments: Callable[[argparse.ArgumentParser], None] = _none
    more: str = ""
    store: str = "left out: $GUESTPASS_STORE, else sqlite:///guestpass.db"
