"""What the API gave, as frozen values, read from answers that are believed only as far as their shape goes.

The credential in one is never part of its repr. `received_at` is the instant of receipt on a monotonic clock: from it,
and from `expires_in`, a credential's end is counted, so that a wrong wall clock does no harm.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from guestpass.client_error import ClientError
from guestpass.errors import InvalidToken
from guestpass.strict_json import decode_object
from guestpass.tokens import read_token
from guestpass.values import FrozenDict, as_mapping, frozen


@dataclass(frozen=True, slots=True)
class IssuedSession:
    """An account session. `expires_at` is ISO 8601 in UTC, `expires_in` the seconds that were left at `received_at`.

    `components` says of every component and feature whether it is enabled.
    """

    id: str
    account: str
    client_secret: str = field(repr=False)
    expires_at: str
    expires_in: int
    components: Mapping[str, object]
    livemode: bool
    received_at: float


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A signed token. `expires_at` is in Unix seconds; `expires_in` is its whole lifetime, as the token itself has it;
    `id` is the end user's UUID, the ``sub`` claim."""

    jwt: str = field(repr=False)
    expires_at: int
    id: str
    expires_in: int
    received_at: float


@dataclass(frozen=True, slots=True)
class Revoked:
    """What was minted until `at_ms` (Unix milliseconds of the API's clock) has ended; None, it has ended for good."""

    at_ms: int | None


def read_session(content: bytes, received_at: float, *, account: str | None = None) -> IssuedSession:
    """The answer to a creation, for `account` where that was named. Raises `ClientError` (``INVALID_RESPONSE``)."""
    fields = _Answer(content)
    session = IssuedSession(
        id=fields.text("id"),
        account=fields.text("account"),
        client_secret=fields.text("client_secret"),
        expires_at=fields.text("expires_at"),
        expires_in=fields.seconds("expires_in"),
        components=fields.mapping("components"),
        livemode=fields.truth("livemode"),
        received_at=received_at,
    )
    if account is not None and session.account != account:
        raise junk("its session is for another account than was asked for")
    return session


def read_signed(content: bytes, received_at: float, *, user: str | None = None) -> IssuedToken:
    """The answer to a signature, for `user` where one was named. Raises `ClientError` (``INVALID_RESPONSE``)."""
    fields = _Answer(content)
    jwt, expires_at, subject = fields.text("jwt"), fields.seconds("expiresAt"), fields.text("id")
    lifetime, sub = token_lifetime(jwt), token_subject(jwt)
    if lifetime is None or sub != subject:
        raise junk("its jwt is not a token of this user, with a beginning and an end")
    if user is not None and subject != user:
        raise junk("its token is for another user than was asked for")
    return IssuedToken(jwt, expires_at, subject, int(lifetime), received_at)


def read_revoked_session(content: bytes, _: float) -> None:
    """The answer to the end of one session. Raises `ClientError` (``INVALID_RESPONSE``)."""
    if not _Answer(content).truth("revoked"):
        raise junk("it does not say that anything was revoked")


def read_revoked(content: bytes, received_at: float) -> Revoked:
    """The answer to a revocation. Raises `ClientError` (``INVALID_RESPONSE``)."""
    read_revoked_session(content, received_at)
    fields = _Answer(content)
    return Revoked(None if fields.empty("at_ms") else fields.seconds("at_ms"))


def token_lifetime(jwt: str) -> float | None:
    """The seconds from `iat` to `exp` of a JWT, both by its issuer's clock; None where it has not both. Nothing of it
    is verified: it is the holder's own."""
    claims = _claims(jwt)
    begins, ends = claims.get("iat"), claims.get("exp")
    if not isinstance(begins, int | float) or not isinstance(ends, int | float) or ends <= begins:
        return None
    return ends - begins


def token_subject(jwt: str) -> str | None:
    """The ``sub`` of a JWT, unverified; None where it has none."""
    subject = _claims(jwt).get("sub")
    return subject if isinstance(subject, str) else None


def junk(what: str, status: int | None = None) -> ClientError:
    """An answer that cannot be made sense of; nothing of it is quoted."""
    message = f"the answer is not one of this API: {what}. Look at what serves the address in base_url"
    return ClientError("INVALID_RESPONSE", message, status=status)


def _claims(jwt: str) -> Mapping[str, object]:
    try:
        return read_token(jwt).claims
    except InvalidToken:
        return {}


class _Answer:
    """The fields of an answer. What it says beyond those that are asked for is passed over."""

    def __init__(self, content: bytes) -> None:
        try:
            self._fields = decode_object(content)
        except ValueError as problem:
            raise junk(str(problem)) from None

    def text(self, name: str) -> str:
        value = self._fields.get(name)
        # What is to stand in a header must be able to; a line break would be a header of its own.
        if not isinstance(value, str) or not value or not value.isprintable():
            raise junk(f"{name} is no text")
        return value

    def seconds(self, name: str) -> int:
        value = self._fields.get(name)
        if type(value) is not int or value <= 0:
            raise junk(f"{name} is no number above 0")
        return value

    def truth(self, name: str) -> bool:
        value = self._fields.get(name)
        if not isinstance(value, bool):
            raise junk(f"{name} is neither true nor false")
        return value

    def mapping(self, name: str) -> Mapping[str, object]:
        value = as_mapping(self._fields.get(name))
        if value is None:
            raise junk(f"{name} is no object")
        return cast("FrozenDict", frozen(value))

    def empty(self, name: str) -> bool:
        return name in self._fields and self._fields[name] is None
