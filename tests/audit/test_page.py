"""The page about the audit: its table is that of the code. Its snippets are run with those of all pages."""

import re
from pathlib import Path

from guestpass.audit import KINDS

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"


def test_the_table_of_findings_is_the_one_that_is_used() -> None:
    shown = re.search(r"<!-- findings -->\n(.*?)\n<!-- /findings -->", PAGE.read_text(), re.DOTALL)
    rows = ["| code | level | says |", "|---|---|---|"]
    rows += [f"| `{code}` | {kind.level} | {kind.says} |" for code, kind in KINDS.items()]
    assert shown is not None
    assert shown[1] == "\n".join(rows)
