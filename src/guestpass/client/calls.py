"""What can be asked of the API: for each thing the arguments, held to their bounds, and the call that they make."""

import uuid
from collections.abc import Collection, Mapping
from functools import partial
from typing import Final

from guestpass.client.exchange import Call
from guestpass.client.fields import Fields
from guestpass.client.results import (
    IssuedSession,
    IssuedToken,
    Revoked,
    read_revoked,
    read_revoked_session,
    read_session,
    read_signed,
)

SESSIONS: Final = "/v1/account_sessions"
TOKENS: Final = "/api/v1/jwt/sign"
REVOCATIONS: Final = "/v1/revocations"


def create_session(
    account: str | None,
    components: Mapping[str, Mapping[str, object]] | None,
    roles: Collection[str] | None,
    expires_in: int | None,
    idempotency_key: str | None,
) -> Call[IssuedSession]:
    """Make a session. With a key of its own, so that however often it is sent, one session is made."""
    fields = Fields()
    fields.account("account", "account", account)
    fields.components(components)
    fields.roles(roles)
    fields.lifetime("expires_in", expires_in)
    key = fields.idempotency_key(idempotency_key)
    return Call(SESSIONS, fields.body(), partial(read_session, account=account), {"Idempotency-Key": key})


def revoke_session(session_id: str) -> Call[None]:
    """End a session; twice is no fault."""
    fields = Fields()
    path = f"{SESSIONS}/{fields.session_id(session_id)}/revoke"
    return Call(path, fields.body(), read_revoked_session)


def sign(
    user: str | uuid.UUID | None,
    tenant_id: str | None,
    metadata: Mapping[str, object] | None,
    roles: Collection[str] | None,
    components: Mapping[str, Mapping[str, object]] | None,
    expires_in: int | None,
) -> Call[IssuedToken]:
    """Sign a token. Twice leaves nothing behind but a token that nobody has."""
    fields = Fields()
    fields.user(user)
    fields.account("tenant_id", "tenantId", tenant_id)
    fields.metadata(metadata)
    fields.roles(roles)
    fields.components(components)
    fields.lifetime("expiresIn", expires_in)
    return Call(TOKENS, fields.body(), partial(read_signed, user=None if user is None else str(user).lower()))


def revoke(*, account: str | None = None, subject: str | None = None, token: str | None = None) -> Call[Revoked]:
    """End what was minted for an account, a subject, or as one token. Twice ends what came between, too."""
    fields = Fields()
    fields.account("account", "account", account)
    fields.name("subject", subject)
    fields.name("token", token)
    return Call(REVOCATIONS, fields.body(), read_revoked)
