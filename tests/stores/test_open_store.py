"""What is imported, and what is said of what is missing."""

import subprocess
import sys

import pytest


def said(program: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program], check=True, capture_output=True, text=True, timeout=60
    ).stdout


def test_sqlalchemy_is_loaded_by_the_stores_that_need_it() -> None:
    program = """
import sys
from guestpass.stores import open_store
open_store("memory://").close()
assert not [name for name in sys.modules if name.startswith(("sqlalchemy", "sqlite3"))]
"""
    assert said(program) == ""


@pytest.mark.parametrize(
    ("missing", "url", "told"),
    [
        ("sqlalchemy", "sqlite:///x.db", 'pip install "guestpass[sql]"'),
        *(
            (package, "postgresql://localhost/x", f'need {package}: pip install "guestpass[postgresql]"')
            for package in ("sqlalchemy", "greenlet", "psycopg")
        ),
    ],
)
def test_what_is_missing_is_named_with_its_pip_line(missing: str, url: str, told: str) -> None:
    program = f"""
import sys
sys.modules[{missing!r}] = None
from guestpass.stores import open_store
from guestpass.errors import ConfigurationError
try:
    open_store({url!r})
except ConfigurationError as error:
    print(error)
"""
    assert told in said(program)
