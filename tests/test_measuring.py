"""The laws of measuring: turns of one round belong together, and a ratio is theirs."""

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import run
from benchmarks.measuring import LEAST_ROUNDS, MOST_CALLS, Rounds, Spread, calls_in, measure
from benchmarks.results import Result, Table, Target, grid, report, section


def test_a_spread_is_the_median_between_the_quartiles() -> None:
    assert Spread.of([5, 1, 3, 2, 4]) == Spread(2, 3, 4)
    assert Spread.of([7]) == Spread(7, 7, 7)
    assert Spread.of([1000.5, 1000.5]).written(1) == "1,000.5 [1,000.5–1,000.5]"


def test_ratios_are_of_turns_of_the_same_round() -> None:
    # The machine was three times as slow in the second round, for all alike.
    rounds = Rounds({"bare": [1, 3, 1], "floor": [2, 6, 2], "guard": [4, 12, 4]})
    assert rounds.ratio("guard", "floor") == Spread(2, 2, 2)
    assert rounds.over("guard", "bare") == Spread(3, 3, 6)
    assert rounds.ratio_over("guard", "floor", "bare") == Spread(3, 3, 3)
    assert rounds.ratio_of_over("guard", "bare", "floor") == Spread(1.5, 1.5, 1.5)


def test_a_round_without_a_difference_has_no_ratio_over_it() -> None:
    rounds = Rounds({"bare": [1, 2], "floor": [2, 2], "guard": [3, 3]})
    assert rounds.ratio_over("guard", "floor", "bare") == Spread(2, 2, 2)


def test_rounds_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Rounds({"one": [1, 2], "other": [1]}).ratio("one", "other")


@pytest.mark.parametrize("each", [1e-7, 3e-5, 2e-3, 0.5])
def test_a_turn_is_about_as_long_as_is_asked_for(each: float) -> None:
    calls = calls_in(lambda calls: calls * each, 0.002)
    assert calls == 1 or 0.5 <= calls * each / 0.002 <= 2


def test_what_takes_no_time_is_not_called_for_ever() -> None:
    assert calls_in(lambda _: 0.0, 0.002) <= 2 * MOST_CALLS


def test_everybody_has_a_turn_in_each_round_and_nobody_is_always_first() -> None:
    order: list[str] = []

    def turn(name: str) -> float:
        order.append(name)
        return 0.01

    rounds = measure({name: lambda _, name=name: turn(name) for name in ("a", "b", "c")}, 0, turn=0.001)  # type: ignore[misc]
    took = order[6:]  # two calls each, to see how long they take
    assert len(took) == 3 * LEAST_ROUNDS
    firsts = set()
    for first in range(0, len(took), 3):
        assert sorted(took[first : first + 3]) == ["a", "b", "c"]
        firsts.add(took[first])
    assert len(firsts) > 1
    assert all(times == pytest.approx([1e4] * LEAST_ROUNDS) for times in rounds.times.values())


def test_a_figure_is_of_one_call_however_many_a_turn_has() -> None:
    turns = {"one": lambda calls: calls * 1e-6, "four": lambda calls: calls * 4e-6}
    rounds = measure(turns, 0)
    assert rounds.of("one").middle == pytest.approx(1)
    assert rounds.ratio("four", "one").middle == pytest.approx(4)


def test_a_target_is_met_by_its_median() -> None:
    assert Target("", 1.6, Spread(1.4, 1.6, 9)).met
    assert not Target("", 1.6, Spread(1.4, 1.61, 1.7)).met
    assert Target("", 0.9, Spread(0.1, 0.9, 1), "≥").met
    assert not Target("", 0.9, Spread(0.1, 0.89, 1), "≥").met


def result() -> Result:
    return Result(
        "warm",
        "a title",
        targets=[Target("so much", 2, Spread(1, 2, 3)), Target("too much", 2, Spread(1, 2.5, 3), unit="µs")],
        tables=[Table("A table", ("", "µs"), [("one", "1.00"), ("another", "10.00")])],
        notes=["A note."],
        versions={"mcp": "mcp 1"},
        of=["A machine."],
        measured="at noon.",
    )


def test_a_result_comes_through_a_pipe_as_it_was() -> None:
    assert section(Result.from_json(result().to_json())) == section(result())
    assert Result.from_json(result().to_json()).targets == result().targets


def test_a_report_has_its_targets_first() -> None:
    text = report([result()])
    assert text.index("## All targets") < text.index("## warm: a title")
    assert "| so much  |  ≤ 2 × | 2.00 [1.00–3.00] |    yes |" in text
    assert "| too much | ≤ 2 µs | 2.50 [1.00–3.00] | **no** |" in text
    assert "A machine." in text
    assert "Measured at noon." in text
    assert "| mcp         | mcp 1 |" in text


def test_a_table_lines_up() -> None:
    lines = grid(("", "µs"), [(str(random.Random(n).random())[:n], "1" * n) for n in range(1, 9)]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1].endswith("-:|")


def test_results_are_gathered_when_there_is_one_of_each_part_and_all_of_one_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "PARTS", ("warm", "cold"))
    written = tmp_path / "RESULTS.md"
    warm, cold = result(), replace(result(), part="cold", of=["Another machine."])
    (tmp_path / "warm.json").write_text(warm.to_json())
    run.gather(tmp_path, written)
    assert "the same of: cold" in capsys.readouterr().out
    (tmp_path / "cold.json").write_text(cold.to_json())
    os.utime(tmp_path / "warm.json", (1, 1))
    run.gather(tmp_path, written)
    assert "the same of: warm" in capsys.readouterr().out
    assert not written.exists()
    (tmp_path / "cold.json").write_text(replace(cold, of=warm.of).to_json())
    run.gather(tmp_path, written)
    assert written.read_text() == report([warm, replace(cold, of=warm.of)])
