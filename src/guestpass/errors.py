"""Everything that guestpass raises on purpose: one small tree.

A refusal of a request is a value (`guestpass.refusals.Refusal`); `Refused` carries it to callers in process.
"""

import errno

from guestpass.refusals import Refusal


class GuestpassError(Exception):
    """The root of what this library raises on purpose."""


class ConfigurationError(GuestpassError, ValueError):
    """Something is set up wrongly. Raised at construction; the message names the line to change."""


class RulesCompete(ConfigurationError):
    """Two rules are for one request, and nothing says which of them counts."""


class Refused(GuestpassError):
    """A credential or a request for one was refused. `refusal` says why; its text is safe to show."""

    def __init__(self, refusal: Refusal) -> None:
        fields = "".join(f" {error.field}: {error.reason}." for error in refusal.errors)
        super().__init__(f"{refusal.code}: {refusal.detail}{fields}")
        self.refusal = refusal

    @property
    def code(self) -> str:
        """The code of the table of refusals."""
        return self.refusal.code

    @property
    def status(self) -> int:
        """The HTTP status that belongs to the code."""
        return self.refusal.status


class InvalidToken(GuestpassError):
    """A JWT that does not pass. `reason` is for logs and developers; it never quotes the token."""

    def __init__(self, reason: str, *, code: str = "credential_invalid") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code


class Unavailable(GuestpassError):
    """Something outside could not be asked, so nobody can tell: 503, never 401.

    `retry_after` is in seconds.
    """

    code = "store_unavailable"

    def __init__(self, reason: str, *, retry_after: float = 1) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class StoreUnavailable(Unavailable):
    """The store cannot be reached, or does not answer in time."""


class KeysUnavailable(Unavailable):
    """The keys of an issuer cannot be had right now."""

    code = "keys_unavailable"


class NoPrincipal(GuestpassError, LookupError):
    """The request came through a public rule without a credential: there is nobody to name."""


class NotGuarded(GuestpassError, LookupError):
    """A principal was asked for where no guard ran."""


class ConnectionEnded(GuestpassError, OSError):
    """The credential of this connection has ended, and so has the connection; to an application, a lost one.

    It comes out of a door for the server to break the answer off by. Nothing has gone wrong: what reports errors may
    leave it out.
    """

    def __init__(self) -> None:
        # Servers make no noise about this errno: the other end is gone.
        super().__init__(errno.EPIPE, "the credential of this connection has ended")
