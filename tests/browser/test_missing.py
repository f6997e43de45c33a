"""What happens where the browser is not there."""

from pathlib import Path

import pytest

from browser import pages


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_the_browser_is_missed_by_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(pages, "find_spec", lambda name: name)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(outcome, match="chromium: it is not there"):
        pages.chromium_program()
    monkeypatch.setattr(pages, "find_spec", lambda _: None)
    with pytest.raises(outcome, match="playwright: it is not installed"):
        pages.chromium_program()
