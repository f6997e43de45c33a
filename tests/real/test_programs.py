"""What happens where a program is not there, so that nobody takes a skipped test for a passed one."""

from importlib import util
from pathlib import Path

import pytest

from real import programs
from real.cognito import cognito


@pytest.fixture(params=["true", ""])
def outcome(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[BaseException]:
    """What a test comes to that misses a program: on CI, and elsewhere."""
    monkeypatch.setenv("CI", request.param)
    return pytest.fail.Exception if request.param else pytest.skip.Exception


def test_a_python_package_is_missed_by_its_name(
    outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("real.cognito.find_spec", lambda name: None if name == "flask_cors" else util.find_spec(name))
    with pytest.raises(outcome, match="moto: flask_cors is not installed"), cognito(tmp_path):
        raise AssertionError


def test_node_is_missed_by_its_name(
    outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(programs, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(outcome, match="oidc-provider: node and npm are not there"):
        programs.oidc_provider()


def test_an_installation_that_fails_leaves_nothing_behind(
    outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'no such package' >&2\nexit 1\n")
    npm.chmod(0o700)
    monkeypatch.setattr(programs, "_node", lambda: ("node", (npm,)))
    monkeypatch.setattr(programs, "_CACHE", tmp_path / "cache")
    with pytest.raises(outcome, match="oidc-provider: npm could not install it: no such package"):
        programs.oidc_provider()
    assert not list(tmp_path.glob("cache/oidc-provider/*/node_modules"))
    assert (tmp_path / "cache" / ".gitignore").read_text() == "*\n"


def test_a_program_that_ends_says_why() -> None:
    program = programs.Program("/bin/sh", "-c", "echo one; echo two >&2; read said; echo $said")
    try:
        assert program.until("o[n]e")[0] == "one"
        program.tell("three")
        with pytest.raises(AssertionError, match="two\nthree"):
            program.until("four")
    finally:
        program.end()
