"""The demo's own page in Chromium: what its session opens and does not, its renewal, its end, its back end's outage;
on a phone, by keyboard, and to who looks for barriers.

The page's clock is moved; the demo's own is not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import js
from demo_program import Program, running
from real.programs import npm_packages

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

pytestmark = pytest.mark.real

PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with running("--json") as program:
        yield program


@contextmanager
def shown(chromium: "BrowserContext", program: Program, **how: Any) -> Iterator["Page"]:
    """The page, once it has loaded; it must be in no trouble, with its policy least of all."""
    assert chromium.browser is not None
    context = chromium.browser.new_context(**how)
    context.clock.install()
    page = context.new_page()
    troubles: list[str] = []
    url = program.started["url"]

    def console(said: "ConsoleMessage") -> None:
        # Browsers note refusals as well, and those are what the page is about.
        if "Failed to load resource" not in said.text:
            troubles.append(said.text)

    def request(asked: "Request") -> None:
        if not asked.url.startswith(url):
            troubles.append(asked.url)

    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", console)
    page.on("request", request)
    page.goto(url)
    page.locator("guestpass-call-logs[data-state=ready]").wait_for()
    page.locator("guestpass-voicemails[data-state=refused]").wait_for()
    yield page
    context.close()
    assert troubles == []


@pytest.fixture
def page(chromium: "BrowserContext", program: Program) -> Iterator["Page"]:
    with shown(chromium, program) as page:
        yield page


def diary(page: "Page", text: str) -> None:
    """Wait until the page has noted it."""
    page.locator("#diary li", has_text=text).last.wait_for()


def try_all(page: "Page") -> None:
    """Press each button of what the pass does not open."""
    for button, code in (
        ("try-mint", "403 escalation_denied"),
        ("try-account", "403 account_mismatch"),
        ("try-backend", "403 Access denied"),
        ("try-outside", "Could not find guestpass context"),
    ):
        page.locator(f"#{button}").click()
        page.locator(f"#{button}-outcome", has_text=code).wait_for()


def listen(page: "Page") -> None:
    """Open the socket, and say something over it."""
    page.locator("#listen").click()
    page.locator("#events", has_text="hello, ").wait_for()
    page.get_by_label("Say something to the front desk").fill("Is the doctor in?")
    page.get_by_role("button", name="Send").click()
    page.locator("#events", has_text="heard your message").wait_for()


def test_what_the_pass_opens_and_what_it_does_not(page: "Page") -> None:
    assert page.locator("guestpass-call-logs tbody tr").count() == 4
    assert "not enabled for this session" in page.locator("guestpass-voicemails").inner_text()
    assert page.locator("#opens-call_logs").inner_text() == "✓ open"
    assert page.locator("#opens-voicemails").inner_text() == "✕ closed"
    assert page.locator("#secret").inner_text().startswith("cs_live_••••")
    try_all(page)


def test_a_minute_is_renewed_before_ones_eyes_and_the_socket_stays(page: "Page") -> None:
    listen(page)
    page.clock.fast_forward(47_000)
    assert page.locator("#diary li").count() == 1
    page.clock.fast_forward(2_000)
    diary(page, "Renewed ahead of its end: pass 2, for 60 s.")
    page.locator("#events", has_text="renewed, and the socket stays").wait_for()
    page.get_by_label("Say something").fill("Still there?")
    page.get_by_label("Say something").press("Enter")
    page.locator("#events", has_text="heard 2 messages").wait_for()
    page.locator("#listen").click()
    page.locator("#events-outcome", has_text="1000").wait_for()


def test_the_socket_with_a_signed_token(page: "Page") -> None:
    page.get_by_label("a signed token of Ada's").check()
    listen(page)
    page.locator("#events", has_text="hello, signed_token").wait_for()
    page.locator("#events-outcome", has_text="“jwt”").wait_for()
    page.clock.fast_forward(3_310_000)
    page.locator("#events", has_text="renewed, and the socket stays").wait_for()


def test_revoked_it_comes_back_and_an_open_socket_ends(page: "Page") -> None:
    listen(page)
    page.get_by_role("button", name="Revoke it").click()
    diary(page, "After that 401, a new one, and the request was sent again: pass 2")
    page.locator("guestpass-call-logs[data-state=ready]").wait_for()
    page.locator("#events-outcome", has_text="3000").wait_for()
    listen(page)


def test_the_back_end_down_and_back(page: "Page") -> None:
    page.get_by_label("Let the back end be down").check()
    page.clock.fast_forward(50_000)
    diary(page, "The back end gave no new pass")
    # What it has is good for a while yet.
    assert page.locator("#remaining").inner_text() != "ended"
    page.clock.fast_forward(20_000)
    page.locator("#remaining", has_text="ended").wait_for()
    page.evaluate("document.querySelector('guestpass-call-logs').load()")
    page.locator("guestpass-call-logs[data-state=failed]", has_text="gave no session").wait_for()
    page.get_by_role("button", name="Listen").click()
    page.locator("#events-outcome", has_text="gave no session").wait_for()
    page.get_by_label("Let the back end be down").uncheck()
    page.clock.run_for(62_000)
    page.locator("guestpass-call-logs[data-state=ready]").wait_for()


def test_after_a_night_with_the_lid_closed(page: "Page") -> None:
    page.clock.fast_forward(8 * 3_600_000)
    diary(page, "pass 2")
    page.evaluate("document.querySelector('guestpass-call-logs').load()")
    page.locator("guestpass-call-logs[data-state=ready]").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, {"width": 1280, "height": 900}], ids=["phone", "desktop"])
def test_no_barrier_in_any_state(
    chromium: "BrowserContext", program: Program, scheme: str, size: dict[str, int]
) -> None:
    _, packages = npm_packages("browser-module", Path(js.__file__).parent / "package.json")
    axe = (packages / "axe-core" / "axe.min.js").read_text()

    def look(page: "Page") -> None:
        page.evaluate(f"() => {{ if (!window.axe) {{ {axe} }} }}")
        found = page.evaluate("axe.run({ resultTypes: ['violations'] }).then((result) => result.violations)")
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
        # Nothing is wider than the screen.
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    how: dict[str, Any] = {"color_scheme": scheme, "viewport": size, "reduced_motion": "reduce"}
    with shown(chromium, program, **how) as page:
        look(page)
        try_all(page)
        listen(page)
        look(page)
        assert page.evaluate("document.getAnimations().length") == 0
        page.get_by_label("Let the back end be down").check()
        page.get_by_role("button", name="Renew it").click()
        diary(page, "gave no new pass")
        page.clock.fast_forward(70_000)
        page.evaluate("document.querySelector('guestpass-call-logs').load()")
        page.locator("guestpass-call-logs[data-state=failed]").wait_for()
        look(page)


def test_by_keyboard_alone(page: "Page") -> None:
    def focused() -> Any:
        return page.evaluate(
            "document.activeElement.id || document.activeElement.value || document.activeElement.localName"
        )

    order = []
    for _ in range(40):
        page.keyboard.press("Tab")
        if focused() == "body":
            break
        # Where one is can be seen.
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        order.append(focused())
    tries = ["try-mint", "try-account", "try-backend", "try-outside"]
    assert order == ["renew", "revoke", "down", "diary", *tries, "session", "listen"]
    page.locator("#listen").focus()
    page.keyboard.press("Enter")
    page.locator("#events", has_text="hello, ").wait_for()
    assert focused() == "listen"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("Good day")
    page.keyboard.press("Enter")
    page.locator("#events", has_text="You: Good day").wait_for()
    assert focused() == "message"


def test_without_script_it_says_so(chromium: "BrowserContext", program: Program) -> None:
    assert chromium.browser is not None
    context = chromium.browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(program.started["url"])
    assert "needs JavaScript" in page.locator("noscript").inner_text()
    context.close()
