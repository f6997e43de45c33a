"""Asking the person at the terminal before something that cannot be undone."""

import sys

from guestpass.cli.problems import Misused


def confirmed(question: str) -> bool:
    """Whether the person at the terminal agrees. Raises `Misused` where nobody sits there."""
    if sys.stdin is None or sys.stderr is None or not sys.stdin.isatty():
        raise Misused("this cannot be undone, and nobody is here to be asked: add --yes")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
