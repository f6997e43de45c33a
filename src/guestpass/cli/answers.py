"""What a command answers, and how it is printed: data for machines, lines for people.

Knows standard output and standard error, and what happens where nobody reads them.
"""

import errno
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TextIO

from guestpass.cli.problems import DONE, NOT_DONE, Problem


@dataclass(frozen=True, slots=True)
class Answer:
    """`data` for --json; else `lines` on standard output, and `hint` beside them on standard error.

    `unread` is what to do where standard output cannot be written, and so a secret is lost.
    """

    data: object
    lines: Sequence[str]
    hint: str = ""
    unread: str = ""


def say(answer: Answer, as_json: bool) -> int:
    """Print an answer; answers the exit code."""
    try:
        _print(sys.stdout, [json.dumps(answer.data)] if as_json else answer.lines)
    except OSError as problem:
        flush(sys.stdout)
        # Who has read enough of a list may leave in silence.
        if answer.unread or not isinstance(problem, BrokenPipeError):
            lost = f"{problem.strerror or type(problem).__name__}: standard output. {answer.unread}"
            complain(Problem("output_lost", lost.strip(), NOT_DONE), as_json)
        return NOT_DONE
    if answer.hint and not as_json:
        note(answer.hint)
    return DONE


def complain(problem: Problem, as_json: bool) -> int:
    """Print what went wrong; answers the exit code."""
    note(visible(problem.line(as_json)))
    return problem.exit_code


def note(line: str) -> None:
    """A line on standard error, if anybody is there."""
    try:
        _print(sys.stderr, [line])
    except OSError:
        flush(sys.stderr)


def flush(stream: TextIO | None) -> None:
    """Write out what is left; where nobody reads it, let it go, so that the interpreter does not stumble over it when
    it ends."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def table(rows: Sequence[Mapping[str, object]], columns: Mapping[str, str]) -> list[str]:
    """Rows under the headings of `columns` (key of a row: heading); no line where there is no row."""
    if not rows:
        return []
    cells = [list(columns.values()), *([_cell(row[name]) for name in columns] for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


_NOTHING: Final = "-"


def _cell(value: object) -> str:
    return visible(str(value)) if value not in (None, "") else _NOTHING


def visible(text: str) -> str:
    """`text` without anything that could move the cursor of a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _print(stream: TextIO | None, lines: Sequence[str]) -> None:
    if stream is None:
        raise OSError(errno.EBADF, "It is closed")
    encoding = stream.encoding or "utf-8"
    text = "".join(f"{line}\n" for line in lines)
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()
