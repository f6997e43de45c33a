"""The client of a platform's backend: sessions, signed tokens and their end, over HTTP; and credentials kept good.

For backends: whoever has the secret key has all that it opens. Needs httpx, ``pip install "guestpass[client]"``.
"""

try:
    import httpx
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError('guestpass.client needs httpx: pip install "guestpass[client]"') from missing

from guestpass.client.async_client import AsyncClient
from guestpass.client.bearers import Bearer
from guestpass.client.client import Client
from guestpass.client.refresh import RefreshAuth
from guestpass.client.results import IssuedSession, IssuedToken, Revoked
from guestpass.client_error import CODES, ClientError, Code

del httpx  # Asked for above so that, where it is missing, the line that brings it is named.

__all__ = [
    "CODES",
    "AsyncClient",
    "Bearer",
    "Client",
    "ClientError",
    "Code",
    "IssuedSession",
    "IssuedToken",
    "RefreshAuth",
    "Revoked",
]
