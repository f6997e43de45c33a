"""The browser's half: one ES module, and its types for TypeScript. Where they are, and what to serve them with.

The module is a file without dependencies: serve it from here, or copy it to where a page's own files are. Knows no
framework; `guestpass.browser.starlette` has the route.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Final

_HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file to serve: its bytes, and all the headers that it needs."""

    content: bytes
    headers: Mapping[str, str]


def module_path() -> Path:
    """Where ``guestpass.js`` is, to be copied or served."""
    return _HERE / "guestpass.js"


def types_path() -> Path:
    """Where ``guestpass.d.ts`` is, to be copied beside the module."""
    return _HERE / "guestpass.d.ts"


def module_file() -> StaticFile:
    """``guestpass.js`` and its headers, as it is now on disk.

    A page of any origin may load it, since it is the same for everyone and nothing in it is secret.
    """
    content = module_path().read_bytes()
    return StaticFile(
        content,
        MappingProxyType(
            {
                "Content-Type": "text/javascript; charset=utf-8",
                "Content-Length": str(len(content)),
                "Cache-Control": "no-cache",
                "ETag": f'"{sha256(content).hexdigest()[:32]}"',
                "X-Content-Type-Options": "nosniff",
                "Access-Control-Allow-Origin": "*",
                "Cross-Origin-Resource-Policy": "cross-origin",
            }
        ),
    )
