"""What holds the cost of a decision: it notices more, says which line to change, and counts the same every time."""

import tomllib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from benchmarks import cost
from benchmarks.cost import Cost, compared, cost_of, decisions
from guestpass import Guard, Principal

KNOWN = Cost(calls=44, builtins=39, bytes=2000)


@pytest.fixture(scope="module")
def warm() -> Iterator[cost.Decision]:
    with decisions() as all_of_them:
        yield all_of_them["warm_asgi"]


def test_what_is_expected_passes() -> None:
    grown, said = compared({"warm": KNOWN}, {"warm": KNOWN})
    assert not grown
    assert len(said) == 1


@pytest.mark.parametrize(
    "more", [Cost(45, 39, 2000), Cost(44, 40, 2000), Cost(44, 39, 2061)], ids=["calls", "builtins", "bytes"]
)
def test_what_has_grown_fails_and_says_which_line_raises_it(more: Cost) -> None:
    grown, said = compared({"warm": more}, {"warm": KNOWN})
    assert grown
    assert "have grown" in said[0]
    (line,) = [line for line in "\n".join(said).splitlines() if line.startswith("  warm = ")]
    # It can be pasted as it is.
    assert Cost(**tomllib.loads(line)["warm"]) == more
    assert not compared({"warm": more}, {"warm": more})[0]


def test_more_of_one_is_not_outweighed_by_less_of_another() -> None:
    assert compared({"warm": Cost(10, 40, 100)}, {"warm": KNOWN})[0]


def test_what_has_come_down_passes_and_says_what_can_be_held() -> None:
    grown, said = compared({"warm": Cost(30, 39, 2000)}, {"warm": KNOWN})
    assert not grown
    assert "come down from 44 to 30" in said[0]
    assert "warm = { calls = 30, builtins = 39, bytes = 2000 }" in said[0]


def test_what_nothing_is_expected_of_is_told() -> None:
    grown, said = compared({"warm": KNOWN}, {})
    assert not grown
    assert "warm = { calls = 44, builtins = 39, bytes = 2000 }" in said[0]


def test_the_file_has_every_decision_of_each_version() -> None:
    with decisions() as all_of_them:
        for version, expected in tomllib.loads(cost.EXPECTED.read_text()).items():
            assert list(expected) == list(all_of_them), version


def test_a_decision_costs_the_same_each_time(warm: cost.Decision) -> None:
    one, other = cost_of(warm), cost_of(warm)
    assert (one.calls, one.builtins) == (other.calls, other.builtins)
    assert one.bytes == pytest.approx(other.bytes, rel=cost.TOLERATED["bytes"])


def test_one_more_call_and_one_more_object_are_seen(warm: cost.Decision, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cost_of(warm)
    recall: Callable[..., Principal | None] = Guard.recall

    def slower(guard: Guard, *asked: object) -> Principal | None:
        weight: Any = bytearray(5_000)
        recalled = recall(guard, *asked)
        weight.append(0)
        return recalled

    # As a change of the guard would: in a file of its own, not in the one that counts.
    monkeypatch.setattr(Guard, "recall", slower)
    after = cost_of(warm)
    assert after.calls == before.calls + 1
    assert after.builtins == before.builtins + 1
    assert after.bytes > before.bytes + 4_000


def test_what_is_called_is_listed(warm: cost.Decision, capsys: pytest.CaptureFixture[str]) -> None:
    cost.show(warm)
    assert "guestpass.guard.Guard.recall\n" in capsys.readouterr().out
