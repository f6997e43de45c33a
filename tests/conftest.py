"""The small things that most tests start with."""

import pytest

from guestpass import Rule, open_store
from guestpass.stores import Store
from guestpass.unproved import outages
from support import Clock, House, Seeded, build


@pytest.fixture(autouse=True)
def nothing_was_logged_before() -> None:
    """What another test had logged keeps no line out of this one's."""
    outages.after_fork()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def chance() -> Seeded:
    return Seeded()


@pytest.fixture
def memory() -> Store:
    return open_store("memory://")


@pytest.fixture
def house() -> House:
    """A guard with every authenticator and one rule."""
    return build([Rule("GET /v1/call_logs", component="call_logs")])


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend
