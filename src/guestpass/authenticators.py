"""The port that every kind of credential comes through, the user's own kinds included."""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from guestpass.credentials import Credential
from guestpass.errors import ConfigurationError
from guestpass.events import Tell
from guestpass.inquiry import Inquiry
from guestpass.ownership import Ownership
from guestpass.policy import Policy
from guestpass.principal import Principal
from guestpass.refusals import Refusal

Ended: TypeAlias = Callable[[Principal], bool]

Forget: TypeAlias = Callable[[Ended], None]
"""Drops the cached verdicts on every principal for which the function given is true."""

Verdict: TypeAlias = Principal | Refusal | Inquiry[Principal | Refusal]
"""A principal lets in. Everything else does not: a refusal, or questions that come first."""


class Authenticator(Protocol):
    """Turns one kind of credential into a principal, or refuses it.

    What is its own is its own alone: what it refuses is refused, and no other authenticator is asked.

    An authenticator may also have ``issuer``, the ``iss`` of the JWTs that are its own; ``prefixes``, what its opaque
    credentials begin with; ``ownership``, which tells whether an account is its platform's; ``good_for``, the seconds
    for which a verdict may be kept; and be `Attachable`. Where what it authenticates is kept in a store, it has the
    ``feed`` of the store's list of revocations, and ``looks_up`` is True where each verdict comes from a look-up there.
    """

    def kind_of(self, credential: Credential, /) -> str | None:
        """The kind that the credential's own form names, or None where it is not this authenticator's."""
        ...

    def authenticate(self, credential: Credential, now: float, /) -> Verdict:
        """Who the credential proves to be at `now` (Unix seconds); only asked for credentials of its own.

        A generator where something outside has to be asked: see `guestpass.inquiry`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Membership:
    """What an authenticator is told of the guard it is in: the names that grants are spelled out with, who knows
    whose an account is, how to drop cached verdicts, and whom to tell of events, None where nobody observes."""

    policy: Policy
    ownership: Ownership | None
    forget: Forget
    tell: Tell | None = None


@runtime_checkable
class Attachable(Protocol):
    """An authenticator that needs to know the guard it is in."""

    def attach(self, membership: Membership, /) -> None:
        """Called once by each guard that it is given to."""
        ...


@runtime_checkable
class Noticing(Protocol):
    """An authenticator that keeps account of what it is asked, such as when a key was last used."""

    def unnoticed(self) -> Authenticator:
        """The same one, for looking on: what it authenticates counts as no use."""
        ...


class Authenticators:
    """The authenticators of one guard, found by what a credential's own form says.

    Raises `ConfigurationError` where two would claim the same credentials.
    """

    def __init__(self, authenticators: Iterable[Authenticator]) -> None:
        self._all = tuple(authenticators)
        if not self._all:
            raise ConfigurationError("Guard(authenticators=[]): without one, no credential is ever valid")
        for one in self._all:
            if not (callable(getattr(one, "kind_of", None)) and callable(getattr(one, "authenticate", None))):
                raise ConfigurationError(f"Guard(authenticators=…): {type(one).__name__} is no authenticator")
        self._by_issuer: Mapping[str, Authenticator] = _by_issuer(self._all)
        self._others = tuple(one for one in self._all if not isinstance(getattr(one, "issuer", None), str))
        _refuse_shared_prefixes(self._others)
        found = [getattr(one, "ownership", None) for one in self._all]
        owners = [ownership for ownership in found if isinstance(ownership, Ownership)]
        if len(owners) > 1:
            raise ConfigurationError("Guard(authenticators=…): two authenticators have owns=…; put the keys into one")
        self.ownership: Ownership | None = next(iter(owners), None)

    def whose(self, credential: Credential) -> tuple[Authenticator, str] | None:
        """The one authenticator whose own this credential is, and of which kind that is; None where it is nobody's."""
        if credential.token is not None:
            issuer = credential.token.claims.get("iss")
            found = self._by_issuer.get(issuer) if isinstance(issuer, str) else None
            if found is not None:
                kind = found.kind_of(credential)
                return None if kind is None else (found, kind)
        for authenticator in self._others:
            kind = authenticator.kind_of(credential)
            if kind is not None:
                return authenticator, kind
        return None

    def unnoticed(self) -> "Authenticators":
        """The same ones, for looking on: see `Noticing`."""
        twin = copy.copy(self)
        twins = {id(one): one.unnoticed() if isinstance(one, Noticing) else one for one in self._all}
        twin._all = tuple(twins.values())
        twin._others = tuple(twins[id(one)] for one in self._others)
        twin._by_issuer = {issuer: twins[id(one)] for issuer, one in self._by_issuer.items()}
        twin.ownership = None if self.ownership is None else self.ownership.unnoticed()
        return twin

    def attach(self, policy: Policy, forget: Forget, tell: Tell | None = None) -> None:
        """Tell each that wants to know which guard it is in."""
        for authenticator in self._all:
            if isinstance(authenticator, Attachable):
                authenticator.attach(Membership(policy, self.ownership, forget, tell))

    def __iter__(self) -> Iterator[Authenticator]:
        return iter(self._all)


def _by_issuer(authenticators: Iterable[Authenticator]) -> dict[str, Authenticator]:
    found: dict[str, Authenticator] = {}
    for authenticator in authenticators:
        issuer = getattr(authenticator, "issuer", None)
        if not isinstance(issuer, str):
            continue
        if issuer in found:
            raise ConfigurationError(f"Guard(authenticators=…): two of them claim the tokens of issuer {issuer!r}")
        found[issuer] = authenticator
    return found


def _refuse_shared_prefixes(authenticators: Iterable[Authenticator]) -> None:
    seen: set[str] = set()
    for authenticator in authenticators:
        for prefix in getattr(authenticator, "prefixes", ()):
            if prefix in seen:
                raise ConfigurationError(
                    f"Guard(authenticators=…): two of them claim the credentials that begin with {prefix}_"
                )
            seen.add(prefix)
