"""What a part has found, and how it is written: targets first, then the figures they come from.

Knows text alone.
"""

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks.measuring import Spread


@dataclass(frozen=True, slots=True)
class Target:
    """What was aimed at, and what was measured: ``at most`` or ``at least`` so much. Its median counts."""

    what: str
    limit: float
    measured: Spread
    sense: Literal["≤", "≥"] = "≤"
    unit: str = "×"
    digits: int = 2

    @property
    def met(self) -> bool:
        """Whether it was reached."""
        middle = self.measured.middle
        return middle <= self.limit if self.sense == "≤" else middle >= self.limit


@dataclass(frozen=True, slots=True)
class Table:
    """Figures, ready to be shown."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(slots=True)
class Result:
    """What one part has found. `notes` say what has to be known to read it; `versions` are those of other
    environments, `of` says what was measured with what, `measured` when."""

    part: str
    title: str
    targets: list[Target] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    of: list[str] = field(default_factory=list)
    measured: str = ""

    def to_json(self) -> str:
        """For the process that gathers them."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Result":
        """The other way."""
        read = json.loads(text)
        read["targets"] = [Target(**{**one, "measured": Spread(**one["measured"])}) for one in read["targets"]]
        read["tables"] = [Table(**one) for one in read["tables"]]
        return cls(**read)


def section(result: Result) -> str:
    """One part in Markdown."""
    parts = [f"## {result.part}: {result.title}", *result.notes]
    if result.targets:
        parts.append(targets_table(result.targets))
    for table in result.tables:
        parts.append(f"### {table.title}")
        parts.append(grid(table.heads, table.rows))
    if result.versions:
        parts.append(grid(("environment", "with"), list(result.versions.items())))
    parts.append(f"Measured {result.measured}")
    return "\n\n".join(parts) + "\n"


def targets_table(targets: Iterable[Target]) -> str:
    """Target, measured, met or not."""
    return grid(
        ("", "target", "measured", "met"),
        [
            (
                one.what,
                f"{one.sense} {one.limit:,g} {one.unit}",
                one.measured.written(one.digits),
                "yes" if one.met else "**no**",
            )
            for one in targets
        ],
    )


def grid(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, laid out so that it can be read as it is: text to the left, figures to the right."""
    cells = [tuple(heads), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]

    def line(row: Sequence[str]) -> str:
        first, *others = (cell for cell in row)
        padded = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2), *("-" * (width + 1) + ":" for width in widths[1:])]) + "|"
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:])])


def report(results: Sequence[Result]) -> str:
    """The whole of RESULTS.md."""
    parts = [
        "# Results",
        "Written by `make bench`; how to read it is in [README.md](README.md). Medians; in brackets, between which "
        "half of the rounds lie. A ratio is that of turns of the same round.",
        *results[0].of,
        "## All targets",
        targets_table([one for result in results for one in result.targets]),
        *(section(result) for result in results),
    ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def machine() -> str:
    """What it was measured on."""
    return (
        f"{platform.python_implementation()} {platform.python_version()}, {processor()}, {os.cpu_count()} cores, "
        f"{platform.system()} {platform.release()}"
    )


def processor() -> str:
    """What the machine calls its processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
