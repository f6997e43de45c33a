"""The fixtures, in a test file of somebody else's."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest
from guestpass import AccountSessions, ApiKeys, Guard, Policy, Rule, SINGLE_PLATFORM, open_store


@pytest.fixture
def guard(clock, identity_provider):
    store = open_store("memory://", clock=clock)
    made = [ApiKeys(store, owns=SINGLE_PLATFORM, clock=clock), AccountSessions(store, clock=clock)]
    policy = Policy(Rule("GET /"))
    return Guard(authenticators=[*made, identity_provider.authenticator()], policy=policy, mode="test", clock=clock)


def test_all_go_together(kit, guard, clock, identity_provider):
    assert kit.guard is guard and kit.clock is clock
    assert guard.check(kit.session(account="acct_1").client_secret).account == "acct_1"
    assert guard.check(identity_provider.token("ada")).subject == "ada"
"""


def test_they_are_there_for_a_plugin_line_and_for_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "test_app.py").write_text(TESTS)
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["guestpass.testing.fixtures"]\n')
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr


def test_the_kit_itself_needs_no_pytest_no_hypothesis_and_no_framework() -> None:
    heavy = ("pytest", "hypothesis", "httpx", "httpx2", "flask", "starlette", "fastapi", "sqlalchemy")
    program = f"import sys, guestpass.testing; print(*sorted(set(sys.modules) & set({heavy!r})))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


@pytest.mark.parametrize(
    ("name", "missing"), [("fixtures", "pytest"), ("store_contract", "pytest"), ("escalation", "hypothesis")]
)
def test_what_is_missing_is_named_with_the_line_that_brings_it(name: str, missing: str) -> None:
    program = f"import sys, guestpass.testing; sys.modules[{missing!r}] = None; import guestpass.testing.{name}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"pip install {missing}" in done.stderr.splitlines()[-1]


def test_nothing_else_of_guestpass_imports_it() -> None:
    others = "guestpass, guestpass.fastapi, guestpass.flask, guestpass.cli, guestpass.demo.app"
    program = f"import sys, {others}; print(*(n for n in sys.modules if n.startswith('guestpass.testing')))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
