"""An audit for people: a table of routes, the findings, and one line that sums them up.

With rich, where it is installed and somebody looks; plain text everywhere else.
"""

import io
import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TextIO

from guestpass.audit import Audit, Row
from guestpass.audit.report import findings_lines, summary
from guestpass.cli.answers import table, visible

_COLUMNS = {"route": "ROUTE", "needs": "NEEDS", "handler": "HANDLER"}


def lines(seen: Audit, stream: TextIO | None) -> Sequence[str]:
    """The page, for `stream`."""
    if stream is not None and stream.isatty() and find_spec("rich") is not None:
        return _rich(seen, shutil.get_terminal_size().columns)
    return _plain(seen)


def _plain(seen: Audit) -> list[str]:
    said = table([_cells(row) for row in seen.rows], _COLUMNS)
    said += ["", *map(visible, findings_lines(seen))] if seen.findings else []
    if seen.unreached:
        said += ["", *(visible(f"not asked {row.shown}: {why}") for row, why in seen.unreached)]
    return [*said, "", summary(seen)]


def _cells(row: Row) -> dict[str, str]:
    return {"route": row.shown, "needs": row.needs, "handler": row.route.name}


def _rich(seen: Audit, width: int) -> list[str]:
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console = Console(file=io.StringIO(), width=width, force_terminal=True)
    shown = Table(box=None, pad_edge=False, header_style="bold")
    open_routes = {finding.route for finding in seen.findings}
    for heading in _COLUMNS.values():
        shown.add_column(heading, overflow="fold")
    for row in seen.rows:
        style = "red" if row.shown in open_routes else "yellow" if row.rule is not None and row.rule.public else ""
        # As text, never as rich's own markup: a path may have brackets in it.
        shown.add_row(*(Text(visible(cell)) for cell in _cells(row).values()), style=style)
    console.print(shown)
    for line in findings_lines(seen):
        style = "bold red" if line.startswith("error") else "bold yellow" if line.startswith("warning") else ""
        if style:
            console.print()
        # What is told of a finding stays below it where the terminal is narrow.
        indent = len(line) - len(line.lstrip())
        console.print(Padding(Text(visible(line.lstrip()), style=style), (0, 0, 0, indent)))
    console.print()
    for row, why in seen.unreached:
        console.print(Text(visible(f"not asked {row.shown}: {why}"), style="dim"))
    console.print(Text(summary(seen), style="bold green" if seen.clean else "bold"))
    file = console.file
    return file.getvalue().splitlines() if isinstance(file, io.StringIO) else []
