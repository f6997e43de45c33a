"""``module:app``: what can be loaded, and what is said of what cannot be."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from guestpass.cli.application import load
from guestpass.cli.problems import MISUSED, Misused, problem_of


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty directory, in which a command is run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def refusal(name: str) -> str:
    with pytest.raises(Misused) as raised:
        load(name)
    problem = problem_of(raised.value)
    assert problem.exit_code == MISUSED
    return problem.line(as_json=False)


def test_an_application_of_the_current_directory(here: Path) -> None:
    (here / "shop_one.py").write_text("def app(environ, start_response): ...\ncalled = 0\n")
    assert load("shop_one:app") is sys.modules["shop_one"].app


def test_one_that_is_made_and_one_deeper_down(here: Path) -> None:
    (here / "shop_two").mkdir()
    (here / "shop_two" / "main.py").write_text(
        "class Site:\n    def app(self): return 'served'\nsite = Site()\ndef make(): return site.app\n"
    )
    made = load("shop_two.main:make()")
    assert callable(made)
    assert made() == "served"
    assert callable(load("shop_two.main:site.app"))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("shop", "write the module and its application"),
        ("shop:", "write the module and its application"),
        ("shop:app(1)", "write the module and its application"),
        ("no_such_shop:app", "there is no module 'no_such_shop'"),
        ("shop_there.no:app", "there is no module 'shop_there.no'"),
        ("shop_there:web", "module shop_there has no 'web'"),
        ("shop_there:site.web", "a dict has no 'web'"),
        ("shop_there:site", "a dict is no application"),
        ("shop_there:Site", "a type is no application"),
        ("shop_there:site()", "site is no function; leave out the ()"),
        ("shop_there:fails()", "it failed: KeyError: 'DATABASE' ("),
        ("shop_there:leaves()", "it failed: SystemExit: 3"),
        ("shop_lacks:app", "importing shop_lacks failed: ModuleNotFoundError: No module named 'no_such_thing' ("),
        ("shop_broken:app", "importing shop_broken failed: SyntaxError: "),
        ("shop_leaves:app", "importing shop_leaves failed: SystemExit: off"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_one_line(here: Path, name: str, says: str) -> None:
    (here / "shop_there").mkdir()
    (here / "shop_there" / "__init__.py").write_text(
        "import sys\nsite = {}\nclass Site: ...\n"
        "def fails(): return {}['DATABASE']\ndef leaves(): sys.exit(3)\ndef app(): ...\n"
    )
    (here / "shop_lacks.py").write_text("import no_such_thing\n")
    (here / "shop_broken.py").write_text("def app(:\n")
    (here / "shop_leaves.py").write_text("raise SystemExit('off')\n")
    line = refusal(name)
    assert line.startswith("usage: ")
    assert says in line
    assert "\n" not in line


def test_where_it_went_wrong_is_said(here: Path) -> None:
    (here / "shop_fails.py").write_text("\n\nint('eleven')\n")
    assert f"({here / 'shop_fails.py'}:3)" in refusal("shop_fails:app")


def test_a_credential_in_what_went_wrong_is_not_shown(here: Path) -> None:
    (here / "shop_tells.py").write_text("raise ValueError('sk_live_' + 'A' * 40)\n")
    assert "sk_live_…" in refusal("shop_tells:app")
