"""What goes wrong between a platform's backend and the API: one exception, told apart by its `code`.

Apart from `guestpass.client`, so that whoever only catches it needs no HTTP library.
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, get_args

from guestpass.errors import GuestpassError
from guestpass.values import FrozenDict

Code: TypeAlias = Literal[
    "VALIDATION_ERROR",
    "UNAUTHORIZED",
    "NETWORK_ERROR",
    "INVALID_REQUEST",
    "FORBIDDEN",
    "NOT_FOUND",
    "CONFLICT",
    "RATE_LIMITED",
    "UNAVAILABLE",
    "SERVER_ERROR",
    "INVALID_RESPONSE",
    "REFRESH_FAILED",
]
"""What can go wrong. `docs/clients.md` says of each when it happens and what to do."""

CODES: Final[tuple[Code, ...]] = get_args(Code)

NO_DETAILS: Final[Mapping[str, object]] = FrozenDict()


class ClientError(GuestpassError):
    """A call did not do what it was to do. The text says what happened and what to do next; no credential is in it.

    `status` is the HTTP status, None where there was no answer. `details` is what the server said of it: its own
    ``code``, a ``detail``, and ``errors`` as ``{"field", "reason"}``; the same ``errors`` where a field was found out
    of bounds before anything was sent. `retry_after` is in seconds, where the server named a time.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        status: int | None = None,
        details: Mapping[str, object] = NO_DETAILS,
        retry_after: float | None = None,
    ) -> None:
        # Both as arguments, so that it can be pickled: task queues do that with what they cannot handle.
        super().__init__(code, message)
        self.code: Code = code
        self.message = message
        self.status = status
        self.details = details
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
