"""The voice platform's API. Each route says what it needs; who may have it is the guard's to decide.

Knows the caller that the guard found, and nothing of credentials.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter

from guestpass import ALL
from guestpass.demo import data
from guestpass.fastapi import Caller, needs
from guestpass.grants import Names
from guestpass.principal import ACCOUNT_SESSION, IDENTITY_TOKEN, PUBLISHABLE_KEY, SECRET_KEY, SIGNED_TOKEN

COMPONENTS: Final[Mapping[str, tuple[str, ...]]] = {"call_logs": ("transcripts",), "voicemails": ()}
ROLES: Final = ("external_entity", "agent", "admin")

ANY_KIND: Final = (SECRET_KEY, PUBLISHABLE_KEY, ACCOUNT_SESSION, SIGNED_TOKEN, IDENTITY_TOKEN)

router: Final = APIRouter()


@router.get("/v1/call_logs")
@needs(component="call_logs")
async def call_logs(caller: Caller) -> dict[str, object]:
    """The calls of the caller's account."""
    return _call_logs(caller)


@router.get("/v1/accounts/{account}/call_logs")
@needs(component="call_logs")
async def call_logs_of(caller: Caller) -> dict[str, object]:
    """The calls of the account in the path: the guard has held it against the caller's, so it is the caller's."""
    return _call_logs(caller)


@router.get("/v1/voicemails")
@needs(component="voicemails")
async def voicemails(caller: Caller) -> dict[str, object]:
    """The messages of the caller's account."""
    return {"account": caller.account, "voicemails": data.voicemails(caller.account, datetime.now(UTC))}


# The one address for whoever holds anything at all, publishable keys included: it tells a caller about itself.
@router.get("/v1/me")
@needs(account=False, role=None, kinds=ANY_KIND)
async def me(caller: Caller) -> dict[str, object]:
    """Who the credential proved to be."""
    ends = caller.expires_at
    return {
        "kind": caller.kind,
        "account": caller.account,
        "subject": caller.subject,
        "components": _names(caller.grant.components),
        "roles": _names(caller.grant.roles),
        "expires_at": None if math.isinf(ends) else data.instant(datetime.fromtimestamp(ends, UTC)),
    }


@router.get("/health")
@needs(public=True, reason="probes carry no credential, and the answer is the same for everyone")
async def health() -> dict[str, str]:
    """That the process serves."""
    return {"status": "ok"}


def _call_logs(caller: Caller) -> dict[str, object]:
    # A feature is a name of the grant like any other; a route that is nothing without one would say feature="…".
    transcripts = "call_logs/transcripts" in caller.grant.components
    rows = data.call_logs(caller.account, datetime.now(UTC), transcripts=transcripts)
    return {"account": caller.account, "call_logs": rows}


def _names(names: Names) -> str | list[str]:
    return "ALL" if names is ALL else sorted(names)
