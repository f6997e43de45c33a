"""What a guard refuses to be set up with."""

import math
import re
from collections.abc import Mapping
from typing import Final

from guestpass.errors import ConfigurationError
from guestpass.policy import Policy
from guestpass.requests import IDENTITY_PREFIX

_HEADER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*\Z")
_TAKEN: Final = frozenset({"authorization", "origin", "sec-fetch-site", "host", "cookie", "content-type"})


def check_guard(mode: object, realm: str, account_header: str, policy: object) -> None:
    """Raise `ConfigurationError` for what no guard can be."""
    if mode not in ("live", "test"):
        raise ConfigurationError(f'Guard(mode={mode!r}): mode="live" or mode="test"')
    named = account_header.lower()
    if not _HEADER.match(account_header) or named in _TAKEN or named.startswith(IDENTITY_PREFIX.decode()):
        raise ConfigurationError(f'Guard(account_header={account_header!r}): a header of its own: "Account-Id"')
    if not isinstance(policy, Policy):
        raise ConfigurationError(f"Guard(policy=…): a Policy(…), not {type(policy).__name__}")
    if '"' in realm or "\\" in realm or not realm.isprintable() or not realm.isascii():
        raise ConfigurationError(f"Guard(realm={realm!r}): plain printable ASCII without quotes")


def check_bounds(seconds: Mapping[str, float], counts: Mapping[str, int]) -> None:
    """Raise `ConfigurationError` for bounds of a guard that bound nothing, by the names of its arguments."""
    for name, value in {**seconds, **counts}.items():
        if not 0 < value < math.inf:
            raise ConfigurationError(f"Guard({name}={value!r}): a number above zero")
    for name, many in counts.items():
        # With a part of one left over, places never run out and a full cache keeps nothing.
        if not isinstance(many, int):
            raise ConfigurationError(f"Guard({name}={many!r}): a whole number")
