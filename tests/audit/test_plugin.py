"""The plugin for pytest, in pytests of its own: one more test, and nothing at all without the option."""

import subprocess
import sys
from pathlib import Path

import pytest

from cli.test_audit import FORGOTTEN, SHOP

# Whether or not this checkout's own entry point is installed, the plugin is loaded once, by name.
PLUGIN = ("-p", "no:guestpass", "-p", "pytest_guestpass")


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", *PLUGIN, "-p", "no:cacheprovider", "-W", "error", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plugin_shop.py").write_text(SHOP)
    (tmp_path / "gaping_shop.py").write_text(SHOP + FORGOTTEN)
    (tmp_path / "test_nothing.py").write_text("def test_nothing(): pass\n")
    return tmp_path


def test_a_sound_application_is_a_test_that_passes(folder: Path) -> None:
    ran = run(folder, "--guestpass-audit", "plugin_shop:app")
    assert ran.returncode == 0, ran.stdout
    assert "2 passed" in ran.stdout


def test_a_gap_is_a_test_that_fails_with_what_was_found(folder: Path) -> None:
    ran = run(folder, "--guestpass-audit", "plugin_shop:app", "--guestpass-audit", "gaping_shop:app")
    assert ran.returncode == 1
    assert "1 failed, 2 passed" in ran.stdout
    assert "warning route_uncovered: POST /v1/tenants/{tenant}/exports" in ran.stdout
    assert "gaping_shop.py:17" in ran.stdout
    assert "Traceback" not in ran.stdout


def test_the_projects_settings_count(folder: Path) -> None:
    accepted = '{ finding = "route_uncovered", route = "POST /v1/tenants/*", reason = "comes in March" }'
    (folder / "pyproject.toml").write_text(f"[tool.guestpass.audit]\naccept = [{accepted}]\n")
    assert run(folder, "--guestpass-audit", "gaping_shop:app").returncode == 0


def test_what_cannot_be_loaded_fails_in_one_line(folder: Path) -> None:
    ran = run(folder, "--guestpass-audit", "no_such_shop:app")
    assert ran.returncode == 1
    assert "Misused: there is no module 'no_such_shop'" in ran.stdout


def test_without_the_option_nothing_is_loaded(folder: Path) -> None:
    (folder / "test_nothing.py").write_text(
        "import sys\n"
        "def test_nothing():\n"
        "    loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "    assert not loaded & {'guestpass', 'starlette', 'fastapi', 'flask', 'litestar', 'django', 'jwt'}\n"
    )
    ran = run(folder, "-p", "no:anyio", "-p", "no:hypothesispytest")
    assert ran.returncode == 0, ran.stdout
