"""What answers a credential that proves nobody, and what of that is said to the operator alone.

Knows the codes of each kind of credential, and words. Decides nothing.
"""

import logging
from typing import Final

from guestpass.authorize import noun
from guestpass.credentials import Credential
from guestpass.errors import Refused, Unavailable
from guestpass.grants import Mode
from guestpass.principal import (
    ACCOUNT_SESSION,
    IDENTITY_TOKEN,
    PUBLISHABLE_KEY,
    SECRET_KEY,
    SIGNED_TOKEN,
    Principal,
)
from guestpass.quoting import instant, quoted
from guestpass.refusals import Refusal
from guestpass.requests import Presented, Rehearsed
from guestpass.sparse_log import SparseLog

security_log: Final = logging.getLogger("guestpass.security")
outages: Final = SparseLog(logging.getLogger("guestpass"))

_REVOKED: Final = {
    SECRET_KEY: "key_revoked",
    PUBLISHABLE_KEY: "key_revoked",
    ACCOUNT_SESSION: "session_revoked",
}

_EXPIRED: Final = {
    SECRET_KEY: "key_expired",
    PUBLISHABLE_KEY: "key_expired",
    ACCOUNT_SESSION: "session_expired",
    SIGNED_TOKEN: "token_expired",
    IDENTITY_TOKEN: "token_expired",
}


def revoked(principal: Principal) -> Refusal:
    code, because = _REVOKED.get(principal.kind, "token_revoked"), "the list of revocations names it"
    return Refusal(code, noun(principal.kind), because=because, credential_id=principal.credential_id)


def expired(principal: Principal) -> Refusal:
    code, because = _EXPIRED.get(principal.kind, "credential_invalid"), f"it ended at {instant(principal.expires_at)}"
    return Refusal(code, noun(principal.kind), because=because, credential_id=principal.credential_id)


def invalid(principal: Principal, because: str, more: str = "") -> Refusal:
    it, one = noun(principal.kind), principal.credential_id
    return Refusal("credential_invalid", it, more, because=because, credential_id=one)


def wrong_mode(mode: Mode) -> str:
    """Why what is of the other mode is refused by a guard of `mode`."""
    return f"it is not of {mode} mode, which is the guard's"


def secret_key_in_browser(found: Principal | Refusal | None, presented: Presented) -> Refusal:
    """`found` is what the key was found to be, None where nobody looked."""
    of = f"{found.credential_id} of {found.platform}" if isinstance(found, Principal) else "one that is not valid"
    if not isinstance(presented, Rehearsed):
        security_log.warning("secret_key_in_browser: a browser presented a secret key: %s", of)
    because = f"the request is {whence(presented)}" + (f"; {found.because}" if isinstance(found, Refusal) else "")
    return Refusal("secret_key_in_browser", because=because, credential_id="" if found is None else found.credential_id)


def whence(presented: Presented) -> str:
    if presented.origin is None:
        return "a page's own: it has Sec-Fetch-Site, and no Origin" if presented.in_browser else "of no origin"
    return f"of the origin {quoted(presented.origin)}"


def why_nobodys(credential: Credential) -> str:
    if credential.token is not None:
        issuer = f"its issuer is {quoted(credential.token.issuer)}" if credential.token.issuer else "it names no issuer"
        return f"{issuer}, of which the guard has no authenticator"
    if credential.unreadable:
        return f"it is no JWT that can be read: {credential.unreadable}"
    return "no authenticator of the guard has credentials of this form"


def looks_like(credential: Credential) -> str:
    return "token" if credential.text.count(".") == 2 else "credential"


def refusal_of(problem: Refused | Unavailable, kind: str) -> Refusal:
    """What answers a problem that came up while a credential of `kind` was looked at."""
    if isinstance(problem, Refused):
        return problem.refusal
    outages("%s: %s", problem.code, problem)
    return Refusal(problem.code, noun(kind), retry_after=problem.retry_after, because=str(problem))
