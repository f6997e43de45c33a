"""What the documentation shows is run, and its tables are those of the code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import snippets
from guestpass.refusals import CASES

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def refusal_table() -> str:
    rows = ["| code | status | says |", "|---|---|---|"]
    rows += [f"| `{code}` | {case.status} | {case.text.format(it='credential')} |" for code, case in CASES.items()]
    return "\n".join(rows)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_python_snippet_runs(document: Path, tmp_path: Path) -> None:
    # In a process of its own: a framework's settings are the process's.
    command = [sys.executable, "-W", "error", snippets.__file__, str(document)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_python_is_passed_over(document: Path) -> None:
    fences = re.findall(r"^\s*(?:```|~~~) *(?:py|python)", document.read_text(), re.MULTILINE | re.IGNORECASE)
    unseen = document.read_text().count("\n<!-- python\n")
    assert len(list(snippets.snippets(document))) == len(fences) + unseen


def test_the_table_of_refusals_is_the_one_that_is_used() -> None:
    shown = re.search(r"<!-- refusals -->\n(.*?)\n<!-- /refusals -->", (ROOT / "README.md").read_text(), re.DOTALL)
    assert shown is not None
    assert shown[1] == refusal_table()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target
