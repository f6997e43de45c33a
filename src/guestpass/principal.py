"""Who a credential proved to be.

Knows the kinds of credential and what the application is told of a caller. Knows nothing of how it was proved.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from guestpass.grants import ALL, Grant, Mode

SECRET_KEY: Final = "secret_key"  # noqa: S105 - the name of a kind
PUBLISHABLE_KEY: Final = "publishable_key"
ACCOUNT_SESSION: Final = "account_session"
SIGNED_TOKEN: Final = "signed_token"  # noqa: S105 - the name of a kind
IDENTITY_TOKEN: Final = "identity_token"  # noqa: S105 - the name of a kind

NO_METADATA: Final[Mapping[str, object]] = MappingProxyType({})

_PLATFORM = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_ACCOUNT = re.compile(r"(?!-\Z)[A-Za-z0-9._:@-]{1,128}\Z")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9._~-]+(?::[0-9]+)?\Z|[a-z]+://\[[0-9a-f:.]+\](?::[0-9]+)?\Z")
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\Z")
_NAME = re.compile(r"[a-z0-9_.-]{1,64}\Z")


def is_platform(value: object) -> bool:
    """Whether `value` can name a platform: 1-64 of ``A-Z a-z 0-9 _ . -``."""
    return isinstance(value, str) and _PLATFORM.match(value) is not None


def is_user_id(value: object) -> bool:
    """Whether `value` can be the subject of a token signed here: a UUID in its 36-character form, in lower case."""
    return isinstance(value, str) and _UUID.match(value) is not None


def is_account_id(value: object) -> bool:
    """Whether `value` can name an account: 1-128 of ``A-Z a-z 0-9 . _ : @ -``, and not ``-`` alone."""
    return isinstance(value, str) and _ACCOUNT.match(value) is not None


def is_name(value: object) -> bool:
    """Whether `value` can name a role, a component or a feature: 1-64 of ``a-z 0-9 _ . -``."""
    return isinstance(value, str) and _NAME.match(value) is not None


def is_origin(value: object) -> bool:
    """Whether `value` is a web origin as browsers send it (RFC 6454 section 6.2)."""
    return isinstance(value, str) and _ORIGIN.match(value) is not None


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling, and what they may do.

    `kind` is one of ``secret_key``, ``publishable_key``, ``account_session``, ``signed_token``,
    ``identity_token``, or one of the user's own. `credential_id` names the key, the session or the token (its
    ``jti``), never its secret. `issued_at` is in Unix seconds. `minted_by` is the id of the secret key that made
    a session or a signed token. Nothing in `metadata` ever authorises anything: it is data of the platform's.

    `origins` are the web origins that a key is good for: a publishable key with origins works from those alone,
    a secret key is let through from a browser only there. `secret_digest` says which secret of a key it was,
    `signing_key` the ``kid`` of what signed a token here, and `narrowed_from` who the caller is beyond the one account
    that a request is held to.
    """

    kind: str
    subject: str
    grant: Grant
    credential_id: str
    issuer: str = ""
    minted_by: str = ""
    issued_at: float = 0.0
    metadata: Mapping[str, object] = field(default_factory=lambda: NO_METADATA, hash=False)
    origins: frozenset[str] = frozenset()
    secret_digest: bytes = field(default=b"", repr=False, compare=False)
    signing_key: str = field(default="", repr=False, compare=False)
    narrowed_from: "Principal | None" = field(default=None, repr=False, compare=False)

    @property
    def platform(self) -> str:
        """The platform whose backend is, or vouches for, the caller; empty where an outside issuer names none."""
        return self.grant.platform

    @property
    def mode(self) -> Mode:
        """``live`` or ``test``."""
        return self.grant.mode

    @property
    def expires_at(self) -> float:
        """The end, in Unix seconds; infinity where there is none."""
        return self.grant.expires_at

    @property
    def account(self) -> str | None:
        """The one account that the caller is held to, or None where there are none or several."""
        accounts = self.grant.accounts
        if accounts is ALL or len(accounts) != 1:
            return None
        (account,) = accounts
        return account

    @property
    def identity(self) -> tuple[str, str, str, str | None, str]:
        """Who this is, everywhere: a bare subject of one issuer is nobody elsewhere."""
        proved = self.narrowed_from or self
        return (proved.kind, proved.issuer, proved.platform, proved.account, proved.subject)

    @property
    def is_authenticated(self) -> bool:
        """True. With `display_name`, what Starlette's own tools expect at ``scope["user"]``."""
        return True

    @property
    def display_name(self) -> str:
        """The subject."""
        return self.subject
