"""Secrets that the settings only know the place of: the URL of the store, the wrapping key, the register's token.

They come from the environment or from files of their own, which nobody but their owner and its group may read.
"""

import os
from collections.abc import Mapping
from typing import Final

from guestpass.service.settings import Settings, SettingsError, SignedTokens

WRAPPING_VARIABLE: Final = "GUESTPASS_WRAPPING_KEY"
DEFAULT_STORE: Final = "sqlite:///guestpass.db"

MAX_SECRET: Final = 8_192
"""Characters; a file that has more holds something else."""

_FORBIDDEN: Final = 0o027
"""Nothing for others, and no writing for the group."""


def store_url(settings: Settings) -> str:
    """The URL of the store. Raises `SettingsError`."""
    if settings.store_file is not None:
        url = _read(settings.store_file, f"{settings.name}: store_file")
    else:
        url = settings.store or DEFAULT_STORE
    if url.startswith("memory:") and settings.listen.workers > 1:
        raise SettingsError(
            f"{settings.name}, [listen]: workers: memory:// is kept by one process alone, and several would not know "
            "of each other's keys: name a store that they share"
        )
    return url


def wrapping_keys(settings: Settings, signed: SignedTokens, environ: Mapping[str, str]) -> list[str]:
    """The keys that signing keys are wrapped with, one a line: the first wraps, all of them unwrap. Raises
    `SettingsError`."""
    found = environ.get(WRAPPING_VARIABLE, "")
    place = f"{settings.name}, [signed_tokens]: wrapping_key_file"
    if not found.strip() and signed.wrapping_key_file is not None:
        found = _read(signed.wrapping_key_file, place)
    keys = [line.strip() for line in found.splitlines() if line.strip()]
    if not keys:
        raise SettingsError(
            f"{place}: is missing, and {WRAPPING_VARIABLE} is not set: the private half of a signing key is kept "
            "encrypted, with the key that one of them holds"
        )
    return keys


def token(settings: Settings, path: str) -> str:
    """The bearer token in a file. Raises `SettingsError`."""
    place = f"{settings.name}, [ownership]: token_file"
    found = _read(path, place)
    if not (found.isascii() and found.isprintable() and " " not in found):
        raise SettingsError(f"{place}: what is in {path} cannot be a bearer token: printable ASCII without blanks")
    return found


def _read(path: str, place: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            found = file.read(MAX_SECRET + 1)
    except UnicodeDecodeError:
        raise SettingsError(f"{place}: {path} is no text in UTF-8") from None
    except (OSError, ValueError) as problem:
        told = problem.strerror if isinstance(problem, OSError) else "no name of a file"
        raise SettingsError(f"{place}: {path}: {told}") from None
    if os.name == "posix" and mode & _FORBIDDEN:
        raise SettingsError(f"{place}: {path} is open to others, and it holds a secret: chmod 640 {path}")
    if not found.strip() or len(found) > MAX_SECRET:
        raise SettingsError(f"{place}: there is {'more than a secret' if found.strip() else 'nothing'} in {path}")
    return found.strip()
