"""What commands are handed from outside: the store, and secrets in files or in the environment.

A store is only made where a command is there to make one: revoking something in an empty store that came to be by a
slip of the pen would look as if it had been done.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Generator
from typing import Final

from guestpass.cli.problems import Misused
from guestpass.errors import ConfigurationError
from guestpass.stores import Store, open_store
from guestpass.stores.urls import has_password, sqlite_file

DEFAULT_STORE: Final = "sqlite:///guestpass.db"
STORE_VARIABLE: Final = "GUESTPASS_STORE"
WRAPPING_VARIABLE: Final = "GUESTPASS_WRAPPING_KEY"

MAX_SECRET: Final = 8_192
"""Characters; a file that has more holds something else."""


def store_url(asked: argparse.Namespace) -> str:
    """The URL of the store that a command is for."""
    if asked.store and has_password(asked.store):
        raise Misused(
            "--store has a password in it, and every process here can read an argument: "
            f"put the URL into {STORE_VARIABLE} instead"
        )
    url: str = asked.store or os.environ.get(STORE_VARIABLE) or DEFAULT_STORE
    if url.startswith("memory:"):
        raise ConfigurationError(f"memory:// is gone when this command ends: --store {DEFAULT_STORE}")
    return url


@contextlib.contextmanager
def opened(asked: argparse.Namespace, *, make: bool = False) -> Generator[Store, None, None]:
    """The store that a command is for, closed afterwards; with `make`, also one that is not there yet."""
    url = store_url(asked)
    if not make:
        refuse_missing(url)
    with contextlib.closing(open_store(url)) as store:
        yield store


def refuse_missing(url: str) -> None:
    """Raises `ConfigurationError` where a SQLite store has no file yet."""
    file = sqlite_file(url)
    if file is not None and file.parent.is_dir() and not file.exists():
        raise ConfigurationError(
            f"there is no store in {file}: name the right one with --store or {STORE_VARIABLE}, "
            "or make one with guestpass store init"
        )


def secret_in(path: str) -> str:
    """The secret in a file, or on standard input for ``-``; white space around it is no part of it."""
    if path == "-":
        found = "" if sys.stdin is None else sys.stdin.read(MAX_SECRET + 1)
    else:
        with open(path, encoding="utf-8") as file:
            found = file.read(MAX_SECRET + 1)
    named = "standard input" if path == "-" else path
    if not found.strip():
        raise Misused(f"there is nothing in {named}")
    if len(found) > MAX_SECRET:
        raise Misused(f"there is more in {named} than a secret: over {MAX_SECRET} characters")
    return found.strip()


def wrapping_keys(asked: argparse.Namespace) -> list[str]:
    """The keys that signing keys are wrapped with, one a line: the first wraps, all of them unwrap."""
    if asked.wrapping_key_file is not None:
        found = secret_in(asked.wrapping_key_file)
    else:
        found = os.environ.get(WRAPPING_VARIABLE, "")
    keys = [line.strip() for line in found.splitlines() if line.strip()]
    if not keys:
        raise Misused(
            "the private half of a signing key is kept encrypted: say where the wrapping key is, "
            f"--wrapping-key-file FILE or {WRAPPING_VARIABLE}"
        )
    return keys
