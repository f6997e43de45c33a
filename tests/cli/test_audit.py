"""``guestpass audit``: exit codes, what people and machines are told, and where it is written."""

import contextlib
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guestpass.audit import audit
from guestpass.cli import main
from guestpass.cli.audit_page import lines

SHOP = """\
from fastapi import FastAPI
from guestpass import SINGLE_PLATFORM, ApiKeys, Guard, Policy, needs, open_store
from guestpass.fastapi import protect

print("a line that an application prints")
keys = ApiKeys(open_store("memory://"), owns=SINGLE_PLATFORM)
guard = Guard(authenticators=[keys], policy=Policy(components={"call_logs": ()}), mode="live")
app = FastAPI()

@app.get("/v1/call_logs")
@needs(component="call_logs")
async def call_logs():
    raise AssertionError

protect(app, guard)
"""
FORGOTTEN = """
@app.post("/v1/tenants/{tenant}/exports")
async def export(tenant: str):
    raise AssertionError

@app.get("/v1/tenants/{tenant}/notes")
@needs()
async def notes(tenant: str):
    raise AssertionError
"""
HOSTED = """
from starlette.middleware.trustedhost import TrustedHostMiddleware

app.add_middleware(TrustedHostMiddleware, allowed_hosts=["api.example"])
"""


class Shop:
    """A directory with an application, in which the command is run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write(SHOP)

    def write(self, source: str) -> None:
        sys.modules.pop("shop_of_tests", None)
        (self.folder / "shop_of_tests.py").write_text(source)

    def audit(self, *arguments: str) -> tuple[int, str, str]:
        sys.modules.pop("shop_of_tests", None)
        said, beside = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(beside):
            code = main(["audit", "shop_of_tests:app", *arguments])
        return code, said.getvalue(), beside.getvalue()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Shop(tmp_path)
    sys.modules.pop("shop_of_tests", None)


def test_a_sound_application_is_0(shop: Shop) -> None:
    code, said, beside = shop.audit()
    assert code == 0
    assert "GET /v1/call_logs" in said
    assert said.rstrip().endswith("5 routes, 0 findings, 21 requests asked.")
    # What it prints is none of the answer.
    assert beside == "a line that an application prints\n"


def test_a_gap_is_1_and_says_where(shop: Shop) -> None:
    shop.write(SHOP + FORGOTTEN)
    code, said, _ = shop.audit()
    assert code == 1
    assert "warning route_uncovered: POST /v1/tenants/{tenant}/exports" in said
    assert "put @needs(…) at export" in said
    assert "at shop_of_tests.py:17" in said
    assert "1 finding, " in said


def test_a_name_of_an_account_is_an_option(shop: Shop) -> None:
    shop.write(SHOP + FORGOTTEN)
    code, said, _ = shop.audit("--account-name", "tenant", "--json")
    found = {finding["code"] for finding in json.loads(said)["findings"]}
    assert (code, found) == (1, {"route_uncovered", "account_unbound"})
    assert shop.audit("--account-name", "a b")[0] == 2


def test_the_project_accepts_with_a_reason(shop: Shop) -> None:
    shop.write(SHOP + FORGOTTEN)
    accepted = '{ finding = "route_uncovered", route = "POST /v1/tenants/*", reason = "comes in March" }'
    (shop.folder / "pyproject.toml").write_text(f"[tool.guestpass.audit]\naccept = [{accepted}]\n")
    code, said, _ = shop.audit("--json")
    answered = json.loads(said)
    assert code == 0
    assert answered["clean"] is True
    assert answered["accepted"][0]["reason"] == "comes in March"
    # The same elsewhere, by name; and one that is not there.
    (shop.folder / "pyproject.toml").rename(shop.folder / "audit.toml")
    assert shop.audit()[0] == 1
    assert shop.audit("--config", "audit.toml")[0] == 0
    assert shop.audit("--config", "no.toml")[0] == 2


def test_json_says_everything(shop: Shop) -> None:
    shop.write(SHOP + FORGOTTEN)
    code, said, _ = shop.audit("--json")
    answered = json.loads(said)
    assert (code, answered["schema"], answered["clean"]) == (1, 1, False)
    assert answered["requests"] > 0
    by_route = {route["route"]: route for route in answered["routes"]}
    route = by_route["GET /v1/call_logs"]
    assert route["rule"]["component"] == "call_logs"
    assert (route["file"], route["line"], route["handler"]) == ("shop_of_tests.py", 10, "call_logs")
    assert by_route["POST /v1/tenants/{tenant}/exports"]["rule"] is None
    (finding,) = answered["findings"]
    assert finding["file"] == "shop_of_tests.py"


def test_whom_requests_are_for(shop: Shop) -> None:
    shop.write(SHOP + HOSTED)
    assert "asked_in_vain" in shop.audit()[1]
    assert shop.audit("--host", "api.example")[0] == 0
    assert shop.audit("--host", "a b")[0] == 2
    (shop.folder / "pyproject.toml").write_text('[tool.guestpass.audit]\nhost = "api.example"\n')
    assert shop.audit()[0] == 0
    (shop.folder / "pyproject.toml").write_text("[tool.guestpass.audit]\nhost = 1\n")
    code, _, beside = shop.audit()
    assert code == 2
    assert "host is the name of a host" in beside


def test_sarif_is_written(shop: Shop) -> None:
    shop.write(SHOP + FORGOTTEN)
    code, said, _ = shop.audit("--sarif", "audit.sarif")
    log = json.loads((shop.folder / "audit.sarif").read_text())
    assert code == 1
    assert "ROUTE" in said
    assert [result["ruleId"] for result in log["runs"][0]["results"]] == ["route_uncovered"]
    assert shop.audit("--sarif", "no/such/place.sarif")[0] == 2


def test_it_may_only_look(shop: Shop) -> None:
    code, said, _ = shop.audit("--no-ask")
    assert code == 0
    assert "not asked" in said


@pytest.mark.parametrize("name", ["shop_of_tests", "shop_of_tests:guard", "no_such_shop:app"])
def test_misuse_is_2(shop: Shop, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", name]) == 2
    assert capsys.readouterr().err.startswith(("usage: ", "a line that"))


def test_an_application_of_no_known_framework_is_misuse(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.write("async def app(scope, receive, send): ...\n")
    assert main(["audit", "shop_of_tests:app"]) == 2
    assert "there are no routes to audit" in capsys.readouterr().err


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_colours_and_the_same_words(shop: Shop) -> None:
    shop.write(SHOP + FORGOTTEN)
    shop.audit()
    seen = audit(sys.modules["shop_of_tests"].app)
    page: Any = "\n".join(lines(seen, Terminal()))
    assert "\x1b[" in page
    for word in ("GET /v1/call_logs", "route_uncovered", "POST /v1/tenants/{tenant}/exports"):
        assert word in page
    assert "\x1b[" not in "\n".join(lines(seen, io.StringIO()))


def test_in_a_narrow_terminal_a_finding_stands_apart(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    shop.write(SHOP + FORGOTTEN)
    shop.audit()
    seen = audit(sys.modules["shop_of_tests"].app)
    page = [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in lines(seen, Terminal())]
    first = next(place for place, line in enumerate(page) if line.startswith("warning "))
    assert page[first - 1] == ""
    below = page[first + 1 : page.index("", first)]
    assert len(below) > 2
    # However long what is told of it.
    assert all(line.startswith("    ") for line in below[1:])


def test_without_rich_a_terminal_gets_plain_text(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.audit()
    seen = audit(sys.modules["shop_of_tests"].app)
    monkeypatch.setattr("guestpass.cli.audit_page.find_spec", lambda _: None)
    assert lines(seen, Terminal()) == lines(seen, io.StringIO())
