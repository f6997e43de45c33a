"""A crowd with one cause makes one line a second, and the line says how many there were."""

import logging

import pytest

from guestpass.sparse_log import CAUSES, SparseLog
from support import Clock


def texts(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_one_line_a_second_with_a_count(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    warn = SparseLog(logging.getLogger("sparse"), clock)
    for _ in range(500):
        warn("%s: %s", "store_unavailable", "the store is gone")
        clock.advance(1 / 128)
    said = texts(caplog)
    assert said[0] == "store_unavailable: the store is gone"
    assert said[1:] == ["store_unavailable: the store is gone (127 more like it since the last line)"] * 3


def test_each_cause_has_its_own_line(caplog: pytest.LogCaptureFixture) -> None:
    warn = SparseLog(logging.getLogger("sparse"), Clock())
    for cause in ("one", "other", "one"):
        warn("%s", cause)
    assert texts(caplog) == ["one", "other"]


def test_a_clock_that_goes_back_keeps_nothing_out(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    warn = SparseLog(logging.getLogger("sparse"), clock)
    warn("one")
    clock.advance(-3_600)
    warn("one")
    assert texts(caplog) == ["one", "one"]


def test_causes_without_end_take_no_memory_without_end(caplog: pytest.LogCaptureFixture) -> None:
    warn = SparseLog(logging.getLogger("sparse"), Clock())
    for number in range(CAUSES * 3):
        warn("%s", number)
    assert len(caplog.records) == CAUSES * 3
    assert len(warn._written) <= CAUSES


def test_a_child_speaks_for_itself(caplog: pytest.LogCaptureFixture) -> None:
    warn = SparseLog(logging.getLogger("sparse"), Clock())
    warn("one")
    warn.after_fork()
    warn("one")
    assert texts(caplog) == ["one", "one"]
