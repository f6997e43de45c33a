"""A platform's back end, ready to mount: where its pages get sessions and tokens from.

`PlatformBackend` says who may have what; `guestpass.platform.starlette` (also for FastAPI) and
`guestpass.platform.flask` put it at its addresses: behind the platform's own login, and with its secret key, which no
answer ever holds.
"""

from guestpass.platform.backend import EndUser, PlatformBackend, SessionTerms
from guestpass.platform.in_process import AsyncInProcess, InProcess
from guestpass.platform.issuer import Issuer

__all__ = ["AsyncInProcess", "EndUser", "InProcess", "Issuer", "PlatformBackend", "SessionTerms"]
