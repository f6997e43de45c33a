"""What the URL of a store says by itself, without opening the store: for whoever is handed one, or shows one."""

from pathlib import Path
from urllib.parse import parse_qsl, urlsplit


def has_password(url: str) -> bool:
    """Whether there is a password in `url`."""
    try:
        parts = urlsplit(url)
        settings = parse_qsl(parts.query)
        return bool(parts.password) or any(name.endswith("password") and value for name, value in settings)
    except ValueError:
        # What cannot be read here may hold one, and is refused by the store without being quoted.
        return False


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite store, None for any other."""
    scheme, separator, path = url.partition(":///")
    return Path(path) if separator and scheme.partition("+")[0] == "sqlite" and path else None


def shown(url: str) -> str:
    """`url` without user, password and settings."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
