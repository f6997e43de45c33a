"""One request as the guard sees it, built by a door: nothing of any framework is left in it.

Knows which headers matter to a decision, and how two spellings of one header are the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from guestpass.rules import Place

Headers = Sequence[tuple[bytes, bytes]]

IDENTITY_PREFIX: Final = b"guestpass-"
"""What the names of the guard's own headers begin with: it sets them, a caller never does."""


def canonical(name: bytes) -> bytes:
    """A header name as a WSGI server or a proxy may spell it later: without case, ``_`` as ``-``."""
    return name.lower().replace(b"_", b"-")


@dataclass(slots=True)
class Request:
    """A request or a WebSocket handshake.

    `method` is upper case, ``WEBSOCKET`` for a handshake. `path` is decoded and below the application's root; it is
    None where root and path contradict each other. `whole_path` and `raw_path` are as the server shows them.
    Header names are lower case.
    """

    method: str
    path: str | None
    whole_path: str
    raw_path: bytes | None
    query: bytes
    headers: Headers
    subprotocols: Sequence[str] = ()

    def header(self, name: bytes) -> list[bytes]:
        """Every value of a header; `name` is canonical."""
        return [value for key, value in self.headers if canonical(key) == name]

    def named(self, place: Place, parameters: Sequence[str | None]) -> list[str]:
        """Every value that the request gives at `place`; `parameters` are the rule's, by segment."""
        if place.where == "header":
            return [value.decode("latin-1").strip() for value in self.header(place.name.encode())]
        if place.where == "path":
            return [(self.path or "")[1:].split("/")[parameters.index(place.name)]]
        pairs = parse_qsl(self.query.decode("latin-1"), keep_blank_values=True)
        return [value for name, value in pairs if name == place.name]
