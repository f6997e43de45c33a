"""The module as it is served, and the demo's back end for it: no browser needed."""

import re

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.types import ASGIApp

from guestpass import KeyRing, Rule, browser, fastapi, open_store, starlette
from guestpass.browser.starlette import module_route
from guestpass.demo import data
from guestpass.demo.house import House as DemoHouse
from guestpass.demo.house import open_house
from support import build

PAGE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def demo() -> DemoHouse:
    return open_house(open_store("memory://"), KeyRing.new_wrapping_key())


def web(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://voice")


def test_the_files_are_where_they_are_said_to_be() -> None:
    assert browser.module_path().name == "guestpass.js"
    assert browser.types_path() == browser.module_path().with_suffix(".d.ts")
    assert b"export const initialize" in browser.module_path().read_bytes()
    assert "export declare function initialize" in browser.types_path().read_text()
    file = browser.module_file()
    assert file.content == browser.module_path().read_bytes()
    assert file.headers["Content-Type"].startswith("text/javascript")


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["starlette", "fastapi"])
async def test_the_route_is_public_and_answers_304_to_who_has_it(kind: str) -> None:
    guard = build([Rule("GET /v1/call_logs")]).guard
    app: Starlette
    if kind == "fastapi":
        app = FastAPI()
        app.router.routes.append(module_route("/assets/guestpass.js"))
        fastapi.protect(app, guard)
    else:
        app = Starlette(routes=[module_route("/assets/guestpass.js")])
        starlette.protect(app, guard)
    async with web(app) as client:
        answer = await client.get("/assets/guestpass.js", headers={"Authorization": "Bearer nonsense"})
        assert answer.status_code == 200
        assert answer.content == browser.module_path().read_bytes()
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "set-cookie" not in answer.headers
        tag = answer.headers["etag"]
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = await client.get("/assets/guestpass.js", headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert (await client.get("/assets/guestpass.js", headers={"If-None-Match": '"other"'})).status_code == 200
        assert (await client.head("/assets/guestpass.js")).status_code == 200
        assert (await client.post("/assets/guestpass.js")).status_code in (401, 405)


@pytest.mark.anyio
async def test_the_pages_sessions_last_a_minute_and_end_together(demo: DemoHouse) -> None:
    async with web(demo.app) as client:
        for _ in range(2):
            made = await client.post("/demo/create-session", json={"accountId": data.ACCOUNT}, headers=PAGE)
            assert (made.status_code, made.json()["expires_in"]) == (200, 60)
        headers = {"Authorization": f"Bearer {made.json()['client_secret']}"}
        assert (await client.get("/v1/call_logs", headers=headers)).status_code == 200
        ended = await client.post("/demo/end-sessions", json={}, headers=PAGE)
        assert ended.json() == {"ended": 2}
        assert (await client.get("/v1/call_logs", headers=headers)).json()["code"] == "session_revoked"
        assert (await client.post("/demo/end-sessions", json={}, headers=PAGE)).json() == {"ended": 0}


@pytest.mark.anyio
async def test_the_pages_back_end_asks_who_may_access(demo: DemoHouse) -> None:
    async with web(demo.app) as client:
        for account in (data.OTHER_ACCOUNT, data.FOREIGN_ACCOUNT, "", None):
            refused = await client.post("/demo/create-session", json={"accountId": account}, headers=PAGE)
            assert (refused.status_code, refused.json()) == (403, {"error": "Access denied"})


@pytest.mark.anyio
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Content-Type": "application/json"},
        {"Sec-Fetch-Site": "same-site", "Content-Type": "application/json"},
        {"Origin": "https://elsewhere.example", "Content-Type": "application/json"},
        {"Sec-Fetch-Site": "same-origin", "Content-Type": "text/plain"},
    ],
)
async def test_another_sites_page_signs_nobody_out(demo: DemoHouse, headers: dict[str, str]) -> None:
    async with web(demo.app) as client:
        refused = await client.post("/demo/end-sessions", content=b"{}", headers=headers)
        assert (refused.status_code, refused.json()) == (403, {"error": "Access denied"})


@pytest.mark.anyio
async def test_the_page_learns_its_publishable_key_and_loads_nothing_else(demo: DemoHouse) -> None:
    async with web(demo.app) as client:
        settings = await client.get("/page.json")
        assert settings.json() == {"publishable_key": demo.publishable_key}
        for name in ("page.js", "components.js", "listening.js", "saying.js"):
            script = await client.get(f"/static/{name}")
            assert script.headers["content-type"].startswith("text/javascript")
            imported = re.findall(r'^import (?:.* from )?"(.+)";$', script.text, re.MULTILINE)
            assert set(imported) <= {"/guestpass.js", "./components.js", "./listening.js", "./saying.js"}
            assert len(imported) == script.text.count("import ")
        policy = (await client.get("/")).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "require-trusted-types-for 'script'" in policy
