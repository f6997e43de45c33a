"""Who a credential proved to be.

Knows the kinds of credential and what the application is told of a caller. Knows nothing of how it was proved.
"""

import math
import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import FrozenInstanceError, dataclass, field, replace
from types import MappingProxyType
from typing import Final, NoReturn, TypedDict, TypeVar, Unpack, cast

from guestpass.grants import ALL, Grant, Mode, listed
from guestpass.slots import slot

T = TypeVar("T")

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


def in_a_header(account: str) -> bytes | None:
    """`account` as a header names it; None where none can."""
    try:
        return account.encode("latin-1")
    except UnicodeEncodeError:
        return None


def is_origin(value: object) -> bool:
    """Whether `value` is a web origin as browsers send it (RFC 6454 section 6.2)."""
    return isinstance(value, str) and _ORIGIN.match(value) is not None


@dataclass(frozen=True, slots=True)
class Standing:
    """What credentials of one origin have in common: kept once in memory, however many of them are remembered.

    `grant` has no end, since each credential has its own. `account` is the one account that they are held to, None
    where there are none or several; `account_header` is how a header names it; `placeless`, whether they are good
    wherever a browser sends them from. `admitted` are the rules of one guard's policy that let them in, as far as they
    were met: see `Guard.recall`. Of a guard's own, all that differ in whose they are alone share it.
    """

    kind: str
    grant: Grant
    issuer: str = ""
    minted_by: str = ""
    origins: frozenset[str] = frozenset()
    secret_digest: bytes = field(default=b"", repr=False)
    signing_key: str = ""
    account: str | None = field(init=False, repr=False, compare=False)
    account_header: bytes | None = field(init=False, repr=False, compare=False)
    placeless: bool = field(init=False, repr=False, compare=False)
    admitted: AbstractSet[object] = field(init=False, repr=False, compare=False, default=frozenset())
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        accounts = self.grant.accounts
        account = None if accounts is ALL or len(accounts) != 1 else next(iter(accounts))
        object.__setattr__(self, "account", account)
        object.__setattr__(self, "account_header", None if account is None else in_a_header(account))
        object.__setattr__(self, "placeless", self.kind != SECRET_KEY and not self.origins)
        said = (self.kind, self.grant, self.issuer, self.minted_by, self.secret_digest, self.signing_key)
        object.__setattr__(self, "_hash", hash(said))

    def __hash__(self) -> int:
        return self._hash

    def sharing(self, admitted: set[object]) -> "Standing":
        """This standing, with what lets it in noted in `admitted`."""
        object.__setattr__(self, "admitted", admitted)
        return self

    def admit(self, rule: object) -> None:
        """Remember that `rule` lets these credentials in, for the account that they are held to."""
        if isinstance(self.admitted, set):
            self.admitted.add(rule)


class Parts(TypedDict, total=False):
    """What a principal is made of."""

    kind: str
    subject: str
    grant: Grant
    credential_id: str
    issuer: str
    minted_by: str
    issued_at: float
    metadata: Mapping[str, object]
    origins: frozenset[str]
    secret_digest: bytes
    signing_key: str
    narrowed_from: "Principal | None"


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

    # No dataclass: what it is made of and what it keeps are not the same.
    # There may be a million of them, so what most have none of is in one place: metadata, and who it was narrowed from.
    __slots__ = ("_rare", "credential_id", "expires_at", "issued_at", "standing", "subject")

    standing: Standing
    subject: str
    credential_id: str
    issued_at: float
    expires_at: float
    _rare: "tuple[Mapping[str, object], Principal | None] | None"

    def __init__(
        self,
        kind: str,
        subject: str,
        grant: Grant,
        credential_id: str,
        issuer: str = "",
        minted_by: str = "",
        issued_at: float = 0.0,
        metadata: Mapping[str, object] = NO_METADATA,
        origins: frozenset[str] = frozenset(),
        secret_digest: bytes = b"",
        signing_key: str = "",
        narrowed_from: "Principal | None" = None,
    ) -> None:
        endless = grant.until(math.inf)
        standing = Standing(kind, endless, issuer, minted_by, origins, secret_digest, signing_key)
        rare = None if metadata is NO_METADATA and narrowed_from is None else (metadata, narrowed_from)
        self._fill(standing, subject, credential_id, issued_at, grant.expires_at, rare)

    @staticmethod
    def of(
        standing: Standing,
        subject: str,
        credential_id: str,
        expires_at: float,
        issued_at: float,
    ) -> "Principal":
        """The principal of one credential of a standing."""
        principal = object.__new__(Principal)
        principal._fill(standing, subject, credential_id, issued_at, expires_at, None)
        return principal

    def _fill(
        self,
        standing: Standing,
        subject: str,
        credential_id: str,
        issued_at: float,
        expires_at: float,
        rare: "tuple[Mapping[str, object], Principal | None] | None",
    ) -> None:
        _put_standing(self, standing)
        _put_subject(self, subject)
        _put_credential_id(self, credential_id)
        _put_issued_at(self, issued_at)
        _put_expires_at(self, expires_at)
        _put_rare(self, rare)

    @property
    def kind(self) -> str:
        """The kind of its credential."""
        return self.standing.kind

    @property
    def grant(self) -> Grant:
        """What it may do, until its end."""
        return self.standing.grant.until(self.expires_at)

    @property
    def issuer(self) -> str:
        """Who vouches for it: the ``iss`` of a token, the id of the key that made a session."""
        return self.standing.issuer

    @property
    def minted_by(self) -> str:
        """The id of the secret key that made it, empty where none did."""
        return self.standing.minted_by

    @property
    def origins(self) -> frozenset[str]:
        """The web origins that a key is good for."""
        return self.standing.origins

    @property
    def secret_digest(self) -> bytes:
        """Which secret of a key it was."""
        return self.standing.secret_digest

    @property
    def signing_key(self) -> str:
        """The ``kid`` of what signed a token here."""
        return self.standing.signing_key

    @property
    def metadata(self) -> Mapping[str, object]:
        """Data of the platform's; nothing in it authorises anything."""
        return NO_METADATA if self._rare is None else self._rare[0]

    @property
    def narrowed_from(self) -> "Principal | None":
        """Who the caller is beyond the one account that a request is held to."""
        return None if self._rare is None else self._rare[1]

    @property
    def platform(self) -> str:
        """The platform whose backend is, or vouches for, the caller; empty where an outside issuer names none."""
        return self.standing.grant.platform

    @property
    def mode(self) -> Mode:
        """``live`` or ``test``."""
        return self.standing.grant.mode

    @property
    def account(self) -> str | None:
        """The one account that the caller is held to, or None where there are none or several."""
        return self.standing.account

    @property
    def identity(self) -> tuple[str, str, str, str | None, str]:
        """Who this is, everywhere: a bare subject of one issuer is nobody elsewhere."""
        proved = self.narrowed_from or self
        return (proved.kind, proved.issuer, proved.platform, proved.account, proved.subject)

    def held_to(self, account: str) -> "Principal":
        """This principal, for one of its accounts alone."""
        if self.account == account:
            return self
        return self.but(grant=replace(self.grant, accounts=frozenset({account})), narrowed_from=self)

    def but(self, **parts: "Unpack[Parts]") -> "Principal":
        """This principal with some parts exchanged, as `dataclasses.replace` has it."""
        same = {name: getattr(self, name) for name in Parts.__annotations__}
        return Principal(**cast("Parts", {**same, **parts}))

    @property
    def is_authenticated(self) -> bool:
        """True. With `display_name` and `scopes`, what Starlette's own tools expect of ``scope["user"]`` and
        ``scope["auth"]``."""
        return True

    @property
    def display_name(self) -> str:
        """The subject."""
        return self.subject

    @property
    def scopes(self) -> list[str]:
        """``authenticated``, and the names of the components, features and roles that were granted."""
        granted = self.standing.grant
        return ["authenticated", *(name for names in (granted.components, granted.roles) for name in listed(names))]

    def __setattr__(self, name: str, value: object) -> NoReturn:
        # It is shared by all requests with its credential.
        raise FrozenInstanceError(f"a principal stays as it is: {name}; principal.but({name}=…) is another")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenInstanceError(f"a principal stays as it is: {name}")

    def __copy__(self) -> "Principal":
        return self

    def __deepcopy__(self, _: object) -> "Principal":
        return self

    def _compared(self) -> tuple[object, ...]:
        standing = self.standing
        # Which secret or signing key it was does not make it somebody else.
        shared = (standing.kind, standing.grant, standing.issuer, standing.minted_by, standing.origins)
        return (*shared, self.subject, self.credential_id, self.issued_at, self.expires_at)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Principal):
            return NotImplemented
        return self._compared() == other._compared() and self.metadata == other.metadata

    def __hash__(self) -> int:
        return hash(self._compared())

    def __repr__(self) -> str:
        shown = ("kind", "subject", "grant", "credential_id", "issuer", "minted_by", "issued_at", "metadata", "origins")
        return f"Principal({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"


_put_standing: Final = slot(Principal, "standing")
_put_subject: Final = slot(Principal, "subject")
_put_credential_id: Final = slot(Principal, "credential_id")
_put_issued_at: Final = slot(Principal, "issued_at")
_put_expires_at: Final = slot(Principal, "expires_at")
_put_rare: Final = slot(Principal, "_rare")


class Remembered(Principal):
    """A principal in a guard's memory: `until` when the verdict on it is good (Unix seconds), and as of which
    `versions` of the lists of endings. One object for all three, since there may be a million of them."""

    __slots__ = ("until", "versions")

    until: float
    versions: tuple[int, ...]

    def __init__(self, proved: Principal, standing: Standing, until: float, versions: tuple[int, ...]) -> None:
        account = standing.account
        subject = account if account is not None and account == proved.subject else proved.subject
        self._fill(standing, subject, proved.credential_id, proved.issued_at, proved.expires_at, proved._rare)
        _put_until(self, until)
        _put_versions(self, versions)

    def seen(self, versions: tuple[int, ...]) -> None:
        """Remember that it still stands as of `versions`."""
        _put_versions(self, versions)


_put_until: Final = slot(Remembered, "until")
_put_versions: Final = slot(Remembered, "versions")
