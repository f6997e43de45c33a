"""What an import costs, and what is said where httpx is missing."""

import subprocess
import sys

import pytest

FRAMEWORKS = ("starlette", "fastapi", "flask", "sqlalchemy", "httpx", "redis", "uvicorn", "websockets", "pydantic")


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("guestpass.client", {"httpx"}),
        ("guestpass.client_error", set[str]()),
        ("guestpass.platform", set[str]()),
        ("guestpass.platform.starlette", {"starlette"}),
        ("guestpass.platform.flask", {"flask"}),
    ],
)
def test_an_import_loads_what_it_needs_and_no_more(name: str, allowed: set[str]) -> None:
    program = f"import sys, {name}; print(*{{one.partition('.')[0] for one in sys.modules}} & set({FRAMEWORKS!r}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == allowed


@pytest.mark.parametrize(
    ("name", "missing", "line"),
    [
        ("guestpass.client", "httpx", 'pip install "guestpass[client]"'),
        ("guestpass.platform.flask", "flask", 'pip install "guestpass[flask]"'),
    ],
)
def test_what_is_missing_is_named_with_the_line_that_brings_it(name: str, missing: str, line: str) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; import {name}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert line in done.stderr.splitlines()[-1]
