"""Credentials as a refresh callback may give them, and what each says of its own end and of whose it is."""

import re
from dataclasses import dataclass, field
from typing import TypeAlias

from guestpass.client.results import IssuedSession, IssuedToken, token_lifetime, token_subject
from guestpass.client.settings import invalid

_SENDABLE = re.compile(r"[A-Za-z0-9\-._~+/]+=*\Z")


@dataclass(frozen=True, slots=True)
class Bearer:
    """A client secret or a token, as some backend gave it.

    `expires_in` is in seconds from receipt; None, its end is not known, and only a 401 tells of it. `entity_id` is
    whose it is, where it says so. `received_at` is an instant of `time.monotonic`; None, now.
    """

    text: str = field(repr=False)
    expires_in: float | None = None
    entity_id: str | None = None
    received_at: float | None = None


Renewed: TypeAlias = IssuedSession | IssuedToken | Bearer | str
"""What a refresh callback answers. Of a JWT as a plain text the lifetime and the subject are read from itself."""


def as_bearer(renewed: object) -> Bearer:
    """Raises `ClientError` (``INVALID_REQUEST``) for what is no credential; the error never quotes it."""
    if isinstance(renewed, IssuedSession):
        bearer = Bearer(renewed.client_secret, renewed.expires_in, None, renewed.received_at)
    elif isinstance(renewed, IssuedToken):
        bearer = Bearer(renewed.jwt, renewed.expires_in, renewed.id, renewed.received_at)
    elif isinstance(renewed, str):
        bearer = Bearer(renewed, token_lifetime(renewed), token_subject(renewed))
    elif isinstance(renewed, Bearer):
        bearer = renewed
    else:
        raise invalid(
            f"the refresh callback answered {type(renewed).__name__}: it must answer what "
            "client.account_sessions.create or client.auth.sign give, a text, or Bearer(text, expires_in=…)"
        )
    if not isinstance(bearer.text, str) or not _SENDABLE.match(bearer.text):
        raise invalid("the refresh callback answered something that is no credential: empty, or with white space in it")
    lifetime = bearer.expires_in
    if lifetime is not None and not (isinstance(lifetime, int | float) and lifetime > 0):
        raise invalid("Bearer(expires_in=…): seconds, more than 0")
    return bearer
