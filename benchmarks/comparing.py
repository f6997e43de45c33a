"""All contenders in one run, each over its application without the guard."""

from collections.abc import Sequence

from benchmarks.contenders import Contender
from benchmarks.measuring import Rounds, measure
from benchmarks.results import Table
from benchmarks.scene import Scene
from benchmarks.workers import bare_name, turns_of

EACH = "Each over its application without the guard"


def compared(
    title: str, contenders: Sequence[Contender], scene: Scene, seconds: float
) -> tuple[Rounds, Table, dict[str, str]]:
    """What was measured, the table of it, and the versions that other environments have."""
    with turns_of(contenders, scene) as (turns, versions):
        rounds = measure(turns, seconds)
    rows: list[tuple[str, ...]] = []
    for one in contenders:
        taken = rounds.of(one.name).written()
        if one.over is None:
            rows.append((one.name, "—", "—", taken, "—"))
            continue
        base = bare_name(one)
        times, over = rounds.ratio(one.name, base).written(), rounds.over(one.name, base).written()
        rows.append((one.name, base.partition(" (")[0], times, taken, f"+{over}"))
    return rounds, Table(title, ("", "in front of", "× that", "µs", "µs over that"), rows), versions
