"""Find the gap: what of an application no rule guards, and which rule guards nothing.

``from guestpass.audit import audit``, then ``audit(app).findings``; on the command line ``guestpass audit module:app``.
Loads no framework that the application has not loaded.
"""

from guestpass.audit.auditing import Audit, audit
from guestpass.audit.findings import KINDS, Accepted, Finding, Location
from guestpass.audit.route import ACCOUNT_NAMES, Route
from guestpass.audit.rows import Row

__all__ = ["ACCOUNT_NAMES", "KINDS", "Accepted", "Audit", "Finding", "Location", "Route", "Row", "audit"]
