"""Where the demo's wrapping key comes from: what encrypts the private signing keys in the store.

A service has it from its operator's secret store. The demo takes it from the environment as well, and otherwise
keeps one beside its SQLite file, so that starting it twice needs no preparation.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from guestpass import ConfigurationError, KeyRing

VARIABLE: Final = "GUESTPASS_WRAPPING_KEY"


def wrapping_key(store_url: str, environment: Mapping[str, str]) -> str:
    """The key for the store at `store_url`. Raises `ConfigurationError` where there is no place for one."""
    given = environment.get(VARIABLE)
    if given:
        return given
    scheme, _, path = store_url.partition(":///")
    if scheme.partition("+")[0] == "sqlite" and path:
        return _beside(Path(f"{path}.wrapping-key"))
    if scheme.startswith("memory:"):
        return KeyRing.new_wrapping_key()
    raise ConfigurationError(
        f"set {VARIABLE} to a random value of at least 32 bytes, the same at each start on this store: "
        f"export {VARIABLE}=$(python3 -c 'import secrets; print(secrets.token_urlsafe(32))')"
    )


def _beside(path: Path) -> str:
    try:
        if not path.exists():
            _write_once(path)
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigurationError(f"the wrapping key in {path} cannot be had: set {VARIABLE} instead") from problem


def _write_once(path: Path) -> None:
    # Complete before it has its name, and never in the place of another: two processes may start at once.
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(KeyRing.new_wrapping_key())
        os.link(name, path)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()
