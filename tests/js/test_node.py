"""The browser module as it is: small, what its types say, and what it does in Node over real HTTP."""

import gzip
import re
import subprocess
from pathlib import Path

import pytest

from guestpass import browser
from real.programs import WAIT, npm_packages

HERE = Path(__file__).parent

STRICT = ("--strict", "--noEmit", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess", "--noImplicitOverride")
PLATFORM = (
    "--target",
    "es2022",
    "--lib",
    "es2022,dom,dom.iterable",
    "--module",
    "esnext",
    "--moduleResolution",
    "bundler",
)


def run(*command: str | Path) -> str:
    """What it prints, once it has ended well."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=2 * WAIT, check=False, cwd=HERE
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_it_is_under_4_kb_compressed_and_has_no_dependencies() -> None:
    source = browser.module_path().read_bytes()
    assert len(gzip.compress(source)) < 4_096
    text = source.decode()
    assert not re.search(r"^\s*import\b|\bimport\(|\brequire\(", text, re.MULTILINE)
    # Nothing that keeps a credential, shows it, or makes HTML of a text.
    assert not re.search(
        r"localStorage|sessionStorage|indexedDB|cookie|console\.|innerHTML|\beval\b|document\.write", text
    )


@pytest.mark.real
def test_in_node() -> None:
    node, _ = npm_packages("browser-module", HERE / "package.json")
    said = run(node, "--test", "--test-reporter=tap", HERE / "guestpass.test.mjs")
    passed = re.search(r"^# pass (\d+)$", said, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) > 30
    assert "# fail 0\n# cancelled 0\n# skipped 0\n# todo 0\n" in said


@pytest.mark.real
def test_its_types_pass_the_strict_checker() -> None:
    node, packages = npm_packages("browser-module", HERE / "package.json")
    compiler = packages / "typescript" / "bin" / "tsc"
    run(node, compiler, *STRICT, *PLATFORM, HERE / "usage.ts")
