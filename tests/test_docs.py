"""What the documentation shows is run, and its tables are those of the code."""

import re
from pathlib import Path

import pytest

from guestpass.refusals import CASES

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def refusal_table() -> str:
    rows = ["| code | status | says |", "|---|---|---|"]
    rows += [f"| `{code}` | {case.status} | {case.text.format(it='credential')} |" for code, case in CASES.items()]
    return "\n".join(rows)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_python_snippet_runs(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "snippet"}
    for snippet in re.findall(r"^```python\n(.*?)^```", document.read_text(), re.DOTALL | re.MULTILINE):
        exec(compile(snippet, document.name, "exec"), namespace)


def test_the_table_of_refusals_is_the_one_that_is_used() -> None:
    shown = re.search(r"<!-- refusals -->\n(.*?)\n<!-- /refusals -->", (ROOT / "README.md").read_text(), re.DOTALL)
    assert shown is not None
    assert shown[1] == refusal_table()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
        assert (document.parent / target).exists(), target
