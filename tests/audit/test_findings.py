"""What is accepted on purpose, and what a project says of its audits."""

from pathlib import Path

import pytest

from guestpass import ConfigurationError
from guestpass.audit import KINDS, Accepted, Finding
from guestpass.audit.findings import says_something, sift
from guestpass.audit.settings import Settings, read_settings

GAP = Finding("route_uncovered", "GET /old/things", "…")


def test_a_finding_is_accepted_by_code_and_route() -> None:
    by = Accepted("route_uncovered", "GET /old/*", reason="gone in March")
    assert sift([GAP], [by]) == ((), ((GAP, by),))
    exact = Accepted("route_uncovered", "GET /old/things", reason="gone in March")
    assert sift([GAP], [exact])[0] == ()


@pytest.mark.parametrize(
    "other",
    [
        Accepted("outside_guard", "GET /old/things", reason="it is public"),
        Accepted("route_uncovered", "GET /old", reason="gone in March"),
        Accepted("route_uncovered", "GET /older/*", reason="gone in March"),
        Accepted("route_uncovered", "POST /old/things", reason="gone in March"),
    ],
)
def test_an_acceptance_for_something_else_is_a_finding_itself(other: Accepted) -> None:
    left, accepted = sift([GAP], [other])
    assert accepted == ()
    assert [finding.code for finding in left] == ["route_uncovered", "acceptance_unused"]
    assert left[1].route == other.route


def test_the_same_finding_twice_is_one() -> None:
    assert sift([GAP, GAP], [])[0] == (GAP,)


@pytest.mark.parametrize("reason", ["", " ", "TODO", "n/a", "...", "reason", "FIXME!"])
def test_a_reason_is_needed(reason: str) -> None:
    assert not says_something(reason)
    with pytest.raises(ConfigurationError, match="a reason is needed"):
        Accepted("route_uncovered", "GET /x", reason)


def test_an_acceptance_names_what_there_is() -> None:
    with pytest.raises(ConfigurationError, match="no such finding; one of unguarded, "):
        Accepted("route_uncoverd", "GET /x", "gone in March")
    with pytest.raises(ConfigurationError, match="name the route"):
        Accepted("route_uncovered", "*", "everything is fine")


def test_every_code_has_a_line_and_a_level() -> None:
    assert all(kind.says.endswith(".") and kind.level in ("error", "warning") for kind in KINDS.values())


def test_a_project_says_it_in_its_own_file(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(
        '[tool.guestpass.audit]\naccount-names = ["tenant"]\n'
        'accept = [{ finding = "route_uncovered", route = "GET /old/*", reason = "gone in March" }]\n'
    )
    expected = Settings(("tenant",), (Accepted("route_uncovered", "GET /old/*", "gone in March"),))
    assert read_settings(file) == expected
    file.write_text("[project]\nname = 'shop'\n")
    assert read_settings(file) == Settings()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("accept = 1", r"accept is a list of \{ finding = "),
        ("accept = [1]", "accept is a list of"),
        ('accept = [{ finding = "route_uncovered", route = "GET /x" }]', "accept is a list of"),
        ('accept = [{ finding = "no", route = "GET /x", reason = "so it is" }]', "no such finding"),
        ('account-names = "tenant"', "account-names is a list of names"),
        ("account-names = [1]", "account-names is a list of names"),
        ('acount-names = ["tenant"]', "has no 'acount-names'"),
        ("accept = [", "pyproject.toml: "),
    ],
)
def test_what_it_says_wrongly_is_told(tmp_path: Path, said: str, told: str) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(f"[tool.guestpass.audit]\n{said}\n")
    with pytest.raises(ConfigurationError, match=told):
        read_settings(file)


def test_a_table_is_a_table(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text("[tool]\nguestpass = 1\n")
    with pytest.raises(ConfigurationError, match="is a table"):
        read_settings(file)
