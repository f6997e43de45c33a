"""How an application finds its caller."""

from typing import Any

import pytest

from guestpass import NoPrincipal, NotGuarded, Principal, principal_of
from guestpass.access import ENVIRON_KEY
from support import build


class Carrier:
    """A request or a WebSocket, of whatever framework."""

    def __init__(self, **carried: Any) -> None:
        for name, value in carried.items():
            setattr(self, name, value)


@pytest.fixture
def principal() -> Principal:
    return build().minter()


def test_a_principal_is_found_in_everything_that_carries_one(principal: Principal) -> None:
    for source in (
        {"principal": principal},
        {ENVIRON_KEY: principal},
        Carrier(scope={"principal": principal}),
        Carrier(environ={ENVIRON_KEY: principal}),
        Carrier(scope=None, environ={ENVIRON_KEY: principal}),
    ):
        assert principal_of(source) is principal
        assert principal_of(source, None) is principal


def test_on_a_public_route_there_is_nobody() -> None:
    for source in ({"principal": None}, {ENVIRON_KEY: None}, Carrier(scope={"principal": None})):
        with pytest.raises(NoPrincipal, match="public"):
            principal_of(source)
        assert principal_of(source, None) is None
        assert principal_of(source, "nobody") == "nobody"


def test_what_is_no_principal_is_nobody() -> None:
    # Whatever another middleware left there.
    for impostor in ("admin", True, object(), {"kind": "secret_key"}):
        assert principal_of({"principal": impostor}, None) is None


def test_where_no_guard_ran_the_error_names_the_line_to_add() -> None:
    for source in ({}, {"user": "admin"}, Carrier(scope={}), Carrier(environ={})):
        with pytest.raises(NotGuarded, match=r"GuardMiddleware\(app, guard\)"):
            principal_of(source)
        # A default is for public routes; a missing guard is a mistake all the same.
        with pytest.raises(NotGuarded):
            principal_of(source, None)


@pytest.mark.parametrize("source", [None, 7, "scope", object(), Carrier(scope="x")])
def test_what_carries_no_request_is_a_mistake(source: object) -> None:
    with pytest.raises(TypeError, match="a scope, an environ or a request"):
        principal_of(source)
