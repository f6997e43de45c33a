"""guestpass guards APIs that browsers call.

A guest pass opens a few doors of one house for a while, and a guest cannot sign in guests. The doors themselves are
modules of their own (`guestpass.asgi`, `guestpass.fastapi`, `guestpass.starlette`), so that this one loads no web
framework.
"""

from guestpass.access import principal_of
from guestpass.api_keys import ApiKeys
from guestpass.authenticators import Authenticator
from guestpass.claims import ANY, Always, Claim, ClaimMapping
from guestpass.credentials import Credential
from guestpass.errors import (
    ConfigurationError,
    GuestpassError,
    InvalidToken,
    KeysUnavailable,
    NoPrincipal,
    NotGuarded,
    Refused,
    StoreUnavailable,
    Unavailable,
)
from guestpass.grants import ALL, Grant
from guestpass.guard import Guard
from guestpass.issuers import ANY_AUDIENCE, JwtIssuer
from guestpass.keyring import KeyRing
from guestpass.keysets.keyset import KeySet
from guestpass.ownership import SINGLE_PLATFORM
from guestpass.policy import Policy
from guestpass.principal import Principal
from guestpass.refusals import Refusal
from guestpass.revocation.revocations import Revocations
from guestpass.rules import Rule, needs
from guestpass.sessions import AccountSession, AccountSessions
from guestpass.signer import SignedToken, TokenSigner
from guestpass.stores import open_store

__version__ = "0.1.0"

__all__ = [
    "ALL",
    "ANY",
    "ANY_AUDIENCE",
    "SINGLE_PLATFORM",
    "AccountSession",
    "AccountSessions",
    "Always",
    "ApiKeys",
    "Authenticator",
    "Claim",
    "ClaimMapping",
    "ConfigurationError",
    "Credential",
    "Grant",
    "Guard",
    "GuestpassError",
    "InvalidToken",
    "JwtIssuer",
    "KeyRing",
    "KeySet",
    "KeysUnavailable",
    "NoPrincipal",
    "NotGuarded",
    "Policy",
    "Principal",
    "Refusal",
    "Refused",
    "Revocations",
    "Rule",
    "SignedToken",
    "StoreUnavailable",
    "TokenSigner",
    "Unavailable",
    "needs",
    "open_store",
    "principal_of",
]
