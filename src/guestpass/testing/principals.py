"""Principals without a credential."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from guestpass.api_keys import Components, component_names
from guestpass.grants import ALL, All, Grant, names
from guestpass.policy import EXTERNAL_ENTITY
from guestpass.principal import ACCOUNT_SESSION, IDENTITY_TOKEN, PUBLISHABLE_KEY, SECRET_KEY, SIGNED_TOKEN, Principal

PLATFORM: Final = "plat_test"
ACCOUNT: Final = "acct_test"
"""Whose a credential is unless it is said."""

MINTER: Final = "key_test"
USER: Final = "00000000-0000-4000-8000-000000000001"


@dataclass(frozen=True, slots=True)
class _Usual:
    """What a credential of one kind has where nothing else is asked for."""

    accounts: frozenset[str] | All = frozenset({ACCOUNT})
    components: Components = ()
    roles: Collection[str] | All = (EXTERNAL_ENTITY,)
    subject: str = USER
    issuer: str = ""


_USUAL: Final[Mapping[str, _Usual]] = {
    SECRET_KEY: _Usual(ALL, ALL, ALL, subject=""),
    PUBLISHABLE_KEY: _Usual(frozenset(), (), subject=""),
    ACCOUNT_SESSION: _Usual(components=ALL, subject="", issuer=MINTER),
    SIGNED_TOKEN: _Usual(issuer="https://api.example"),
    IDENTITY_TOKEN: _Usual(accounts=frozenset(), roles=(), issuer="https://login.example"),
}


def principal(
    kind: str = ACCOUNT_SESSION,
    *,
    account: str | All | None = None,
    components: Components | None = None,
    roles: Collection[str] | All | None = None,
    platform: str = PLATFORM,
    subject: str | None = None,
    expires_at: float = math.inf,
    issued_at: float = 0.0,
    metadata: Mapping[str, object] | None = None,
    origins: Collection[str] = (),
) -> Principal:
    """A principal of `kind` in test mode, which no live guard lets in.

    What is left out is what such credentials usually have: a session one account, every component and the role
    ``external_entity``; a signed token no component; an identity token nothing; a secret key everything. `account` is
    one, or `ALL`; `components` and `roles` are as in ``ApiKeys.create``. Times are in Unix seconds.
    """
    usual, name = _USUAL.get(kind, _Usual()), f"{kind}_test"
    accounts = names({account} if isinstance(account, str) else usual.accounts if account is None else account)
    if kind == ACCOUNT_SESSION and accounts is not ALL:
        # A session names no person: it is its account.
        (name,) = accounts
    return Principal(
        kind=kind,
        subject=subject or usual.subject or name,
        grant=Grant(
            platform,
            "test",
            accounts,
            component_names(usual.components if components is None else components),
            names(usual.roles if roles is None else roles),
            expires_at,
        ),
        credential_id=f"{kind}_test",
        issuer=usual.issuer,
        minted_by=MINTER if kind in (ACCOUNT_SESSION, SIGNED_TOKEN) else "",
        issued_at=issued_at,
        metadata=metadata or {},
        origins=frozenset(origins),
    )
