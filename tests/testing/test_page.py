"""The page about testing: its file of tests is one, and is as short as it is said to be."""

import subprocess
import sys
from pathlib import Path

from snippets import snippets

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"


def test_a_sample_application_is_tested_in_under_thirty_lines(tmp_path: Path) -> None:
    application, tests, *_ = (snippet.strip() for snippet in snippets(PAGE))
    assert len(tests.splitlines()) < 30
    assert tests.count("\ndef test_") == 3
    (tmp_path / "test_app.py").write_text(f"{application}\n\n{tests}\n")
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert "3 passed" in ran.stdout, ran.stdout + ran.stderr
