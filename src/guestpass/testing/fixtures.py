"""The kit as fixtures of pytest: ``pytest_plugins = ["guestpass.testing.fixtures"]`` in the conftest.py at the top.

`kit` needs a fixture called ``guard`` of yours: the guard of the application under test, in test mode.
"""

from collections.abc import Iterator

try:
    import pytest
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError("guestpass.testing.fixtures needs pytest: pip install pytest") from missing

from guestpass.guard import Guard
from guestpass.testing.clock import Clock
from guestpass.testing.identity_provider import IdentityProvider
from guestpass.testing.kit import Kit

__all__ = ["clock", "identity_provider", "kit"]


@pytest.fixture
def clock() -> Clock:
    """Time that passes at a word; give it to all that a test builds."""
    return Clock()


@pytest.fixture
def kit(guard: Guard) -> Kit:
    """Credentials for your fixture ``guard``."""
    return Kit(guard)


@pytest.fixture
def identity_provider(clock: Clock) -> Iterator[IdentityProvider]:
    """An outside issuer on loopback, on the time of `clock`, until the test ends."""
    with IdentityProvider(clock=clock) as provider:
        yield provider
