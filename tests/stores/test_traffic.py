"""Who waits for whom within a process."""

import pytest

from guestpass.errors import StoreUnavailable
from guestpass.stores.traffic import Turn


def test_a_turn_that_does_not_come_is_unavailable() -> None:
    turn = Turn(0.01)
    with turn, pytest.raises(StoreUnavailable, match="other writers"), turn:
        pass
    with turn:
        pass
