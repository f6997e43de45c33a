"""``guestpass explain``: the trace of a decision of an application's own guard."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.conftest import ACCOUNT, Run
from guestpass.stores import Store
from service.writing import sound

SHOPS = {
    "fastapi": """
from fastapi import FastAPI
from guestpass.fastapi import Caller, needs, protect

app = FastAPI()

@app.get("/v1/accounts/{account}/call_logs")
@needs(component="call_logs")
async def call_logs(account: str, caller: Caller) -> None: ...

@app.websocket("/v1/events")
@needs()
async def events(caller: Caller) -> None: ...

protect(app, guard, issuing="/")
""",
    "flask": """
from flask import Flask
from guestpass.flask import needs, protect

app = Flask(__name__)

@app.get("/v1/accounts/<account>/call_logs")
@needs(component="call_logs")
def call_logs(account): ...

protect(app, guard, issuing="/")
""",
    "starlette": """
from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute
from guestpass.starlette import protect

async def call_logs(request): ...
async def events(socket): ...

app = Starlette(routes=[
    Route("/v1/accounts/{account}/call_logs", needs(component="call_logs")(call_logs)),
    WebSocketRoute("/v1/events", needs()(events)),
])
protect(app, guard, issuing="/")
""",
    "middleware": """
from guestpass import Rule
from guestpass.asgi import GuardMiddleware
from guestpass.issuing_api import issuing_rules

async def inside(scope, receive, send): ...

guard.add_rules([
    Rule("GET /v1/accounts/{account}/call_logs", component="call_logs"), Rule("WEBSOCKET /v1/events"),
    *issuing_rules(guard),
])
app = GuardMiddleware(inside, guard)
""",
    "litestar": """
from litestar import Controller, Litestar, WebSocket, get, websocket
from guestpass import Rule
from guestpass.asgi import GuardMiddleware
from guestpass.issuing_api import issuing_rules

class Accounts(Controller):
    path = "/v1/accounts/{account:str}"

    @get("/call_logs")
    async def call_logs(self) -> None: ...

@websocket("/v1/events")
async def events(socket: WebSocket) -> None: ...

guard.add_rules([
    Rule("GET /v1/accounts/{account}/call_logs", component="call_logs"), Rule("WEBSOCKET /v1/events"),
    *issuing_rules(guard),
])
app = GuardMiddleware(Litestar([Accounts, events], openapi_config=None, logging_config=None), guard)
""",
    "a guard": """
from guestpass import Rule
from guestpass.forward_auth import forward_auth
from guestpass.issuing_api import issuing_rules

guard.add_rules([
    Rule("GET /v1/accounts/{account}/call_logs", component="call_logs"), Rule("WEBSOCKET /v1/events"),
    *issuing_rules(guard),
])
asked = forward_auth(guard, proxy="nginx", trusted=["127.0.0.1"])
app = guard
""",
}

GUARD = """
print("starting")
import os
from guestpass import *

store = open_store(os.environ["GUESTPASS_STORE"])
sessions = AccountSessions(store)
guard = Guard(
    authenticators=[ApiKeys(store, owns=lambda platform, account: account.startswith("acct_")), sessions],
    policy=Policy(components={"call_logs": (), "voicemails": ()}, roles=("external_entity", "admin")),
    mode="live",
)
"""


@pytest.fixture(params=list(SHOPS))
def shop(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An application of one framework, by the name that a server is given."""
    name = f"shop_{request.param.replace(' ', '_')}"
    (tmp_path / f"{name}.py").write_text(GUARD + SHOPS[request.param])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield f"{name}:app"
    module = sys.modules.pop(name, None)
    if module is not None:
        module.store.close()


def session(run: Run) -> str:
    key = run("keys", "create", "--platform", "voice")[1]
    return run("sessions", "create", "--key-file", "-", "--account", ACCOUNT, "--component", "call_logs", stdin=key)[
        1
    ].strip()


def test_what_is_let_in_and_what_is_refused(run: Run, shop: str, tmp_path: Path) -> None:
    secret = session(run)
    ask = ["explain", shop, "GET", f"/v1/accounts/{ACCOUNT}/call_logs"]
    code, out, err = run(*ask, "--credential-file", "-", stdin=secret)
    assert (code, err) == (0, "starting\n")
    assert "let in:\n  kind: account_session\n" in out
    assert "needed: call_logs; the credential has call_logs" in out

    code, out, err = run(*ask, "--credential-file", "-", "--account", "acct_2", "--json", stdin=secret)
    assert (code, err) == (1, "")
    told = json.loads(out)
    assert (told["allowed"], told["code"], told["status"], told["refused_at"]) == (
        False, "account_mismatch", 403, "account",
    )  # fmt: skip
    assert secret[8:20] not in out

    file = tmp_path / "credential"
    file.write_text(secret)
    code, out, _ = run(*ask[:3], "/v1/nowhere", "--credential-file", str(file))
    assert (code, "refused: 404 rule_missing" in out) == (1, True)
    code, out, _ = run(*ask)
    assert (code, "refused: 401 credential_missing" in out) == (1, True)
    minting = ["explain", shop, "POST", "/v1/account_sessions", "--credential-file", str(file)]
    code, out, _ = run(*minting)
    assert (code, "refused: 403 escalation_denied" in out) == (1, True)


@pytest.mark.parametrize("shop", ["fastapi", "starlette", "middleware", "litestar", "a guard"], indirect=True)
def test_a_handshake(run: Run, shop: str) -> None:
    secret = session(run)
    ask = ["explain", shop, "GET", "/v1/events", "--credential-file", "-"]
    code, out, _ = run(*ask, "--websocket", "--protocol", "client_secret", stdin=secret)
    assert (code, "the subprotocol client_secret, and a credential after it" in out) == (0, True)
    assert run(*ask, "--websocket", stdin=secret)[0] == 0
    code, out, _ = run(*ask, "--websocket", "--protocol", "jwt", stdin=secret)
    assert (code, "credential_malformed" in out) == (1, True)
    code, out, _ = run(*ask, stdin=secret)
    assert (code, "it is for WEBSOCKET, and this is GET" in out) == (1, True)


@pytest.mark.parametrize("shop", ["middleware"], indirect=True)
def test_a_key_of_a_page_s_is_refused_and_no_use_of_it_is_noted(run: Run, shop: str) -> None:
    key = run("keys", "create", "--platform", "voice")[1]
    ask = ["explain", shop, "GET", f"/v1/accounts/{ACCOUNT}/call_logs", "--credential-file", "-"]
    code, out, err = run(*ask, "--header", "Origin: https://shop.example", stdin=key)
    assert (code, "secret_key_in_browser" in out) == (1, True)
    # It was not one: nobody is to be alarmed.
    assert err == "starting\n"
    assert run(*ask, stdin=key)[0] == 0
    (record,) = json.loads(run("keys", "list", "--json")[1])
    assert record["last_used_at"] is None


@pytest.mark.parametrize("shop", ["middleware"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["GET", "v1/call_logs"], "write the method and the path"),
        (["GET", "/v1/call logs"], "write the method and the path"),
        (["GET", "/", "--header", "Authorization: Bearer x"], "--credential-file FILE"),
        (["GET", "/", "--header", "Origin"], "a header is written as it is sent"),
        (["GET", "/", "--header", "Origin: €"], "Latin-1"),
        (["GET", "/", "--protocol", "jwt"], "--credential-file FILE has it"),
        (["GET", "/", "--protocol", "jwt", "--credential-file", "-"], "add --websocket"),
        (["POST", "/", "--websocket"], "a WebSocket handshake is GET"),
        (["GET", "/", "--credential-file", "nowhere"], "No such file"),
        (["GET", "/?token=sk_live_0SFv4vhoeLwt9dIDrCKTW0SFv4vhoeLwt2AZKGY"], "an argument is a credential"),
    ],
)
def test_what_is_written_wrongly_is_misuse(run: Run, shop: str, arguments: list[str], says: str) -> None:
    code, out, err = run("explain", shop, *arguments, stdin="word")
    if "token=" in arguments[1]:
        # Only where its checksum is right is it surely one.
        arguments[1] = f"/?token={session(run)}"
        code, out, err = run("explain", shop, *arguments)
    assert (code, out) == (2, "")
    assert says in err


@pytest.mark.parametrize("shop", ["a guard"], indirect=True)
def test_what_a_proxy_asks_is_explained_by_its_guard(run: Run, shop: str) -> None:
    code, out, err = run("explain", shop.replace(":app", ":asked"), "GET", "/")
    assert (code, out) == (2, "")
    assert "Name its guard, to explain what it decides" in err
    assert run("explain", shop.replace(":app", ":guard"), "GET", "/")[0] == 1


def test_what_serve_decides_is_explained_by_its_settings(run: Run, opened: Store, tmp_path: Path) -> None:
    file = tmp_path / "guestpass.toml"
    file.write_text(sound(without='store = "memory://"\n').replace("proxy =", 'root_path = "/api"\nproxy ='))
    before = set(tmp_path.iterdir())
    secret, key = session(run), run("keys", "create", "--platform", "voice")[1]
    ask = ["explain", str(file), "GET", "/api/v1/call_logs", "--credential-file", "-"]
    code, out, err = run(*ask, stdin=secret)
    assert (code, err) == (0, "")
    assert "rule         passed   GET /v1/call_logs: component='call_logs'" in out
    code, out, _ = run(*ask, "--account", "acct_9", stdin=secret)
    assert (code, "refused: 403 account_mismatch" in out) == (1, True)
    # The issuing API has a guard of its own.
    minting = ["explain", str(file), "POST", "/v1/account_sessions?x=1", "--credential-file", "-"]
    code, out, _ = run(*minting, stdin=secret)
    assert (code, "refused: 403 escalation_denied" in out) == (1, True)
    assert run(*minting, stdin=key)[0] == 0
    code, out, _ = run("explain", str(file), "GET", "/v1/nowhere", "--credential-file", "-", stdin=secret)
    assert (code, "refused: 404 rule_missing" in out) == (1, True)
    assert set(tmp_path.iterdir()) == before
    file.write_text(file.read_text().partition("[forward_auth]")[0] + "[issuing]\n")
    for method, path in (("GET", "/api/v1/call_logs"), ("GET", "/v1/account_sessions")):
        code, out, _ = run("explain", str(file), method, path, "--credential-file", "-", stdin=secret)
        assert (code, "refused: 404 rule_missing" in out) == (1, True)
    code, out, err = run("explain", str(tmp_path / "nowhere.toml"), "GET", "/")
    assert (code, out) == (2, "")
    assert "there is no such file" in err


def test_what_is_no_guarded_application_is_misuse(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bare_shop.py").write_text("async def app(scope, receive, send): ...\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    code, out, err = run("explain", "bare_shop:app", "GET", "/")
    assert (code, out) == (2, "")
    assert "no guard stands before this application" in err
    code, out, err = run("explain", "no_such_shop:app", "GET", "/")
    assert (code, out) == (2, "")
    assert "there is no module 'no_such_shop'" in err
