"""What may be given away: never more than the minter has, in any dimension, and by nothing but a secret key.

Reads what was asked for, says everything that is wrong with it at once, and holds it against the minter's grant.
Sessions and signed tokens both come through here.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from guestpass.authenticators import Membership
from guestpass.errors import ConfigurationError, Refused
from guestpass.events import SECURITY, SecurityEvent, Tell
from guestpass.grants import ALL, Grant, Names, intersection, superset
from guestpass.inquiry import Answers, Inquiry, ask
from guestpass.ownership import is_owned
from guestpass.policy import Policy
from guestpass.principal import SECRET_KEY, Principal, is_account_id, is_name
from guestpass.records import FindMinter, KeyRecord
from guestpass.refusals import FieldError, Refusal
from guestpass.values import as_collection, as_mapping

MIN_LIFETIME: Final = 60
MAX_LIFETIME: Final = 86_400
DEFAULT_LIFETIME: Final = 3_600
LONGEST_FIELD: Final = 32


@dataclass(slots=True)
class Asked:
    """What is asked for, as it came; what is wrong with it gathers in `errors`.

    None where it was left out. `names` are what the fields are called by whoever asks.
    """

    account: object = None
    components: object = None
    roles: object = None
    expires_in: object = None
    narrow: bool = False
    account_required: bool = False
    components_default: bool = True
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    errors: list[FieldError] = field(default_factory=list[FieldError])

    def wrong(self, where: str, reason: str) -> None:
        """Note what is wrong with a field."""
        first, dot, rest = where.partition(".")
        self.errors.append(FieldError(self.names.get(first, first) + dot + rest, reason))

    def unknown(self, name: str) -> None:
        """Note a field that there is not. Its name is quoted only where it is too short to be a credential."""
        short = len(name) <= LONGEST_FIELD and name.isidentifier()
        self.errors.append(FieldError(name if short else "body", "no such field"))

    def refuse_null(self, body: Mapping[str, object], *fields: str) -> None:
        """Note each of these fields that is there and null: left out it means all that can be had, and a backend whose
        variable is empty did not mean that."""
        for name in fields:
            if name in body and body[name] is None:
                self.wrong(name, "not null; leave it out, or say what is to be enabled")

    def raise_if_wrong(self) -> None:
        """Raise `Refused` (``validation_error``) if anything is."""
        if self.errors:
            raise Refused(Refusal("validation_error", errors=tuple(self.errors)))


class Minted(NamedTuple):
    """A grant to give away, and its lifetime in whole seconds from `issued_at` (Unix seconds).

    `minted_ms` is the instant of the store's clock, in Unix milliseconds, at which the minter's key was looked at: what
    narrows or revokes the key after that ends what was minted from the older look.
    """

    grant: Grant
    issued_at: int
    expires_in: int
    minted_ms: int


class Mint:
    """Decides what a principal may give away; `attach` tells it of the guard whose names it speaks."""

    def __init__(self, store: Answers, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._membership: Membership | None = None
        self._single_platform = False
        self._observers: tuple[Tell, ...] = ()

    def attach(self, membership: Membership) -> None:
        """Raises `ConfigurationError` where two guards would have it speak of different components or roles."""
        known = self._membership
        if known is not None and (known.policy.components, known.policy.roles) != (
            membership.policy.components,
            membership.policy.roles,
        ):
            raise ConfigurationError(
                "the guards that share one AccountSessions or TokenSigner need the same components and roles"
            )
        if known is None or known.ownership is None:
            self._membership = membership
            self._single_platform = membership.ownership is not None and membership.ownership.single_platform
        if membership.tell is not None and membership.tell not in self._observers:
            self._observers = (*self._observers, membership.tell)

    @property
    def policy(self) -> Policy:
        """The policy of the guard it belongs to. Raises `ConfigurationError` where there is none yet."""
        if self._membership is None:
            raise ConfigurationError("nothing can be minted outside a guard: Guard(authenticators=[…, this one], …)")
        return self._membership.policy

    def grant(self, by: Principal, asked: Asked) -> Inquiry[Minted]:
        """What `by` gives away, as asked for. Raises `Refused`."""
        try:
            return (yield from self._grant(by, asked))
        except Refused as refused:
            self.tell(by, refused.refusal)
            raise

    def tell(self, by: Principal, refusal: Refusal) -> None:
        """Tell observers of a refusal of what `by` asked for, if it is one to tell of."""
        if refusal.code not in SECURITY:
            return
        one, because = by.credential_id or None, refusal.because or refusal.more
        event = SecurityEvent(refusal.code, None, by.kind, by.platform or None, by.account, one, because)
        for observer in self._observers:
            observer(event)

    def _grant(self, by: Principal, asked: Asked) -> Inquiry[Minted]:
        policy = self.policy
        if not isinstance(by, Principal):
            raise TypeError(f"by is a principal, by=guard.check(secret), not {type(by).__name__}")
        if by.kind != SECRET_KEY:
            raise Refused(Refusal("escalation_denied", more="Only a secret key creates sessions and signs tokens."))
        now = self._clock()
        minter, minted_ms = yield from self._current(by, now)
        account = _read_account(asked, minter)
        components = _read_components(asked, policy, minter)
        roles = _read_roles(asked, policy, minter)
        expires_in = _read_lifetime(asked)
        asked.raise_if_wrong()
        if account is not None and minter.accounts is ALL and not self._single_platform:
            yield from self._refuse_strange(minter.platform, account)
        issued_at = int(now)
        expires_at = issued_at + float(DEFAULT_LIFETIME if expires_in is None else expires_in)
        # A lifetime that nobody asked for is cut to what the minter has left.
        until = min(expires_at, minter.expires_at) if expires_in is None else expires_at
        accounts: Names = frozenset[str]() if account is None else frozenset((account,))
        grant = _within(minter, minter.to(accounts, components, roles, until), asked.narrow)
        grant = grant.until(float(int(grant.expires_at)))
        if now >= grant.expires_at:
            raise Refused(Refusal("key_expired", "API key"))
        return Minted(grant, issued_at, int(grant.expires_at) - issued_at, minted_ms)

    def _refuse_strange(self, platform: str, account: str) -> Inquiry[None]:
        ownership = None if self._membership is None else self._membership.ownership
        if not (yield from is_owned(ownership, platform, account)):
            raise Refused(Refusal("account_refused", "API key"))

    def _current(self, by: Principal, now: float) -> Inquiry[tuple[Grant, int]]:
        """What `by` may still give away, and when that was looked at: a principal may be held long after its key was
        narrowed or revoked."""
        found = yield from ask(self._store, FindMinter(by.credential_id))
        # Without a record the keys are kept elsewhere: in another store, or by an authenticator of the user's own.
        key = found.key
        grant = by.grant if key is None else by.grant.meet(self.policy.close(key.grant))
        if key is not None and (key.revoked_at is not None or not _is_good(by.secret_digest, key, now)):
            raise Refused(Refusal("key_revoked", "API key"))
        if grant is None:
            raise Refused(Refusal("escalation_denied", "API key"))
        if now >= grant.expires_at:
            raise Refused(Refusal("key_expired", "API key"))
        return grant, found.now_ms


def _is_good(secret_digest: bytes, key: KeyRecord, now: float) -> bool:
    """Whether the secret that proved `key` is still one of its own; one may have been retired since."""
    if not secret_digest or secret_digest == key.digest:
        return True
    return secret_digest == key.old_digest and now < key.old_until


def _within(minter: Grant, wanted: Grant, narrow: bool) -> Grant:
    if minter.covers(wanted):
        return wanted
    common = minter.meet(wanted) if narrow else None
    if common is None or any(
        asked and not left
        for asked, left in (
            (wanted.accounts, common.accounts),
            (wanted.components, common.components),
            (wanted.roles, common.roles),
        )
    ):
        exceeded = ", ".join(minter.lacks(wanted))
        if not superset(minter.components, wanted.components) and wanted.components is not ALL:
            beyond = sorted(name for name in wanted.components if name not in minter.components)
            exceeded = exceeded.replace("components", f"components ({', '.join(beyond[:5])})")
        raise Refused(Refusal("escalation_denied", "API key", f"It exceeds what the key has in: {exceeded}."))
    return common


def _read_account(asked: Asked, minter: Grant) -> str | None:
    account = asked.account
    if account is None:
        if minter.accounts is not ALL and len(minter.accounts) == 1:
            (account,) = minter.accounts
            return account
        if asked.account_required:
            asked.wrong("account", "name the account")
        return None
    if not isinstance(account, str) or not is_account_id(account):
        asked.wrong("account", "1-128 of A-Z a-z 0-9 . _ : @ -")
        return None
    return account


def _read_lifetime(asked: Asked) -> int | None:
    given = asked.expires_in
    if given is None:
        return None
    if type(given) is not int or not MIN_LIFETIME <= given <= MAX_LIFETIME:
        asked.wrong("expires_in", f"an integer from {MIN_LIFETIME} to {MAX_LIFETIME} (seconds)")
        return None
    return given


def _read_roles(asked: Asked, policy: Policy, minter: Grant) -> Names:
    if asked.roles is None:
        lowest = frozenset[str]() if policy.base_role is None else frozenset({policy.base_role})
        return intersection(minter.roles, lowest)
    given = as_collection(asked.roles)
    roles = frozenset(role for role in given or () if isinstance(role, str) and role in policy.roles)
    if given is None or len(roles) < len(given):
        asked.wrong("roles", f"a list, each one of: {', '.join(policy.roles) or 'none; the policy has no roles'}")
    return policy.close(replace(minter, roles=roles)).roles


def _read_components(asked: Asked, policy: Policy, minter: Grant) -> Names:
    if asked.components is None:
        return intersection(minter.components, policy.all_components()) if asked.components_default else frozenset()
    given = as_mapping(asked.components)
    if given is None:
        asked.wrong("components", 'an object: {"call_logs": {"enabled": true}}')
        return frozenset()
    wanted: set[str] = set()
    for component, setting in given.items():
        if not isinstance(component, str) or component not in policy.components:
            where = f"components.{component}" if is_name(component) else "components"
            asked.wrong(where, f"each one of: {', '.join(policy.components) or 'none; the policy has no components'}")
        else:
            wanted.update(_read_component(asked, policy, minter, component, as_mapping(setting)))
    return frozenset(wanted)


def _read_component(
    asked: Asked, policy: Policy, minter: Grant, component: str, setting: Mapping[object, object] | None
) -> Collection[str]:
    where = f"components.{component}"
    if setting is None or not set(setting) <= {"enabled", "features"}:
        asked.wrong(where, 'an object of "enabled" and, if need be, "features"')
        return ()
    enabled = setting.get("enabled")
    if not isinstance(enabled, bool):
        asked.wrong(f"{where}.enabled", "true or false")
    own = policy.features(component)
    if "features" not in setting:
        held = intersection(minter.components, own)
        features = own if held is ALL else held
    else:
        features = _read_features(asked, where, component, own, as_mapping(setting["features"]))
    return {component, *features} if enabled is True else ()


def _read_features(
    asked: Asked, where: str, component: str, own: frozenset[str], given: Mapping[object, object] | None
) -> frozenset[str]:
    if given is None:
        asked.wrong(f"{where}.features", 'an object: {"transcripts": true}')
        return frozenset()
    wanted: set[str] = set()
    for feature, on in given.items():
        name = f"{component}/{feature}"
        field = f"{where}.features.{feature}" if is_name(feature) else f"{where}.features"
        if not isinstance(feature, str) or name not in own:
            known = ", ".join(sorted(one.partition("/")[2] for one in own))
            asked.wrong(field, f"each one of: {known}" if known else "the component has no features")
        elif not isinstance(on, bool):
            asked.wrong(field, "true or false")
        elif on:
            wanted.add(name)
    return frozenset(wanted)
