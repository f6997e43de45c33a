"""The browser module in Chromium, against the demo: both documents' flows, sockets, tabs, components, other origins.

The pages' clock is moved; the demo's own is not.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from demo_program import Program, running
from guestpass.demo.backend import SIGNED_IN

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Route

pytestmark = pytest.mark.real

MODULE = """
async () => {
  const module = await import(window.from ?? "/guestpass.js");
  Object.assign(window, module, { happened: [] });
  const headers = { "Content-Type": "application/json" };
  window.asJson = (body) => ({ method: "POST", body: JSON.stringify(body), headers });
  window.seconds = async (path, body) => (await fetch(path, asJson(body))).json();
  window.begin = (options) => {
    window.pass = initialize(options);
    for (const name of ["renewed", "failed"]) pass.addEventListener(name, () => happened.push(name));
  };
  window.listen = async () => {
    await pass.ready();
    window.heard = [];
    window.socket = new pass.WebSocket("/v1/events");
    socket.onmessage = ({ data }) => heard.push(data);
    window.begun = new Promise((done) => { socket.onopen = () => done(true); });
    window.ended = new Promise((done) => { socket.onclose = ({ code }) => done(code); });
  };
}
"""

SESSION = """
({ account, ...more }) => begin({
  publishableKey: "pk_live_1",
  fetchClientSecret: () => seconds("/api/create-session", { accountId: account }),
  ...more,
})
"""


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with running("--json") as program:
        yield program


@pytest.fixture
def tabs(chromium: "BrowserContext") -> Iterator["BrowserContext"]:
    """Tabs of a browser without a past, whose clock is the test's."""
    assert chromium.browser is not None
    context = chromium.browser.new_context()
    context.clock.install()
    yield context
    context.close()


@pytest.fixture
def tab(tabs: "BrowserContext", program: Program) -> "Page":
    return opened(tabs, program)


def opened(tabs: "BrowserContext", program: Program) -> "Page":
    """A page of the API's origin with nothing on it but the module."""
    page = tabs.new_page()
    page.goto(f"{program.started['url']}/health")
    page.evaluate(MODULE)
    return page


def begin(page: "Page", program: Program, **more: object) -> None:
    page.evaluate(SESSION, {"account": program.started["account"], **more})


def requests_to(page: "Page | BrowserContext", path: str) -> list[Any]:
    """The requests to `path` from now on; grows."""
    seen: list[Any] = []
    page.on("request", lambda request: seen.append(request) if request.url.endswith(path) else None)
    return seen


def until(page: "Page", condition: str) -> None:
    """Wait in real time, whatever the page's clock says."""
    for _ in range(600):
        if page.evaluate(condition):
            return
        page.context.pages[0].wait_for_timeout(100)
    raise AssertionError(f"never came true: {condition}")


FIFTY = """
async () => {
  const answers = await Promise.all(Array.from({ length: 50 }, () => pass.fetch("/v1/call_logs")));
  return answers.map(({ status }) => status);
}
"""


def test_the_account_session_documents_flow(tab: "Page", program: Program) -> None:
    minted = requests_to(tab, "/api/create-session")
    asked = requests_to(tab, "/v1/call_logs")
    begin(tab, program)
    # "The SDK uses the client_secret for all API calls."
    assert tab.evaluate(FIFTY) == [200] * 50
    assert len(minted) == 1
    assert {request.all_headers()["authorization"][:15] for request in asked[:3]} == {"Bearer cs_live_"}
    # "Sessions expire after 1 hour by default. The SDK refreshes the session 5 minutes before expiry."
    assert tab.evaluate("pass.expiresIn") > 3_500
    tab.clock.fast_forward(3_290_000)
    assert tab.evaluate("happened") == ["renewed"]
    tab.clock.fast_forward(60_000)
    until(tab, "happened.length === 2")
    assert len(minted) == 2
    # Fifty requests once it has ended, as after a night with the lid closed.
    tab.clock.pause_at(tab.evaluate("Date.now() + 8 * 3600 * 1000"))
    assert tab.evaluate(FIFTY) == [200] * 50
    assert len(minted) == 3
    tab.clock.resume()
    # "Components will show an error if the session doesn't have permission."
    refused = tab.evaluate("pass.fetch('/v1/voicemails').then((answer) => answer.json())")
    assert refused["code"] == "component_disabled"
    # "Session tokens cannot create new sessions."
    minting = tab.evaluate("pass.fetch('/v1/account_sessions', asJson({ account: 'acct_1' })).then((a) => a.json())")
    assert minting["code"] == "escalation_denied"
    # A body arrives: this address is public, and reads it.
    asking = "(accountId) => pass.fetch('/api/create-session', asJson({ accountId })).then(({ status }) => status)"
    assert tab.evaluate(asking, program.started["account"]) == 200


def test_the_signed_token_documents_flow(tab: "Page", program: Program) -> None:
    asked = requests_to(tab, "-sdk-token")
    tab.evaluate(
        """() => begin({ fetchClientSecret: (entityId) =>
          entityId ? seconds("/api/refresh-sdk-token", { entityId }) : seconds("/api/sdk-token") })"""
    )
    first = tab.evaluate("pass.fetch('/v1/me').then((answer) => answer.json())")
    assert (first["kind"], first["subject"]) == ("signed_token", SIGNED_IN.id)
    tab.evaluate("listen()")
    assert tab.evaluate("begun")
    assert tab.evaluate("socket.protocol") == "jwt"
    tab.evaluate("socket.close()")
    tab.clock.fast_forward(3_310_000)
    until(tab, "happened.length === 2")
    # "Always pass the entityId": the same identity across refreshes.
    assert [request.post_data_json for request in asked] == [{"entityId": SIGNED_IN.id}]
    assert tab.evaluate("pass.fetch('/v1/me').then((answer) => answer.json())")["subject"] == SIGNED_IN.id


def end_short(program: Program) -> None:
    """End every session of the demo's page, as its back end does."""
    answer = httpx.post(f"{program.started['url']}/demo/end-sessions", json={})
    assert answer.status_code == 200


def begin_short(page: "Page", program: Program, **more: object) -> None:
    """With sessions of a minute, which `end_short` ends."""
    page.evaluate(
        """({ account, ...more }) => begin({
          fetchClientSecret: () => seconds("/demo/create-session", { accountId: account }), ...more })""",
        {"account": program.started["account"], **more},
    )


def test_after_a_401_it_renews_once_and_asks_once_more(tab: "Page", program: Program) -> None:
    begin_short(tab, program)
    tab.evaluate("pass.ready()")
    asked = requests_to(tab, "/v1/call_logs")
    end_short(program)
    assert tab.evaluate(FIFTY) == [200] * 50
    assert tab.evaluate("happened") == ["renewed", "renewed"]
    assert len(asked) == 100


def test_a_body_goes_along_the_second_time(tab: "Page", program: Program) -> None:
    begin_short(tab, program)
    # Public, and it reads its body; the one 401 is what a proxy in front might say.
    tab.route("**/api/create-session", lambda route: route.fulfill(status=401), times=1)
    asking = "(accountId) => pass.fetch('/api/create-session', asJson({ accountId })).then(({ status }) => status)"
    assert tab.evaluate(asking, program.started["account"]) == 200
    assert tab.evaluate("happened") == ["renewed", "renewed"]


def test_a_socket_stays_with_what_is_renewed_and_ends_when_it_is_revoked(tab: "Page", program: Program) -> None:
    begin_short(tab, program, renewSockets=True)
    tab.evaluate("listen()")
    assert tab.evaluate("begun")
    assert tab.evaluate("[socket.protocol, socket instanceof WebSocket, socket.readyState]") == [
        "client_secret",
        True,
        1,
    ]
    until(tab, "heard.length")
    tab.clock.fast_forward(50_000)
    until(tab, "happened.length === 2")
    tab.evaluate("socket.send('hello')")
    until(tab, "heard.some((text) => text.includes('heard'))")
    assert not [text for text in tab.evaluate("heard") if "guestpass" in text]
    end_short(program)
    # By the fresh one alone: were the first still what counts, the socket would not have to close.
    assert tab.evaluate("ended") == 3_000
    assert tab.evaluate("pass.expiresIn") == 0
    tab.evaluate("listen()")
    assert tab.evaluate("begun")
    assert tab.evaluate("happened") == ["renewed", "renewed", "renewed"]


def test_what_a_socket_is_told_of_renewals_is_not_the_pages(tab: "Page", program: Program) -> None:
    frames: list[Any] = []
    tab.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(frame)))
    begin_short(tab, program, renewSockets=True)
    tab.evaluate("listen()")
    assert tab.evaluate("begun")
    tab.clock.fast_forward(50_000)
    until(tab, "happened.length === 2")
    tab.evaluate("socket.send('x')")
    until(tab, "heard.some((text) => text.includes('heard'))")
    told = [str(frame) for frame in frames if "guestpass" in str(frame)]
    assert len(told) == 1
    assert '"renewed":true' in told[0]
    assert not [text for text in tab.evaluate("heard") if "guestpass" in text]


def test_a_refused_handshake_has_the_next_one_renew(tab: "Page", program: Program) -> None:
    begin_short(tab, program)
    tab.evaluate("pass.ready()")
    end_short(program)
    tab.evaluate("listen()")
    assert tab.evaluate("ended") == 1_006
    tab.evaluate("listen()")
    assert tab.evaluate("begun")
    tab.evaluate("pass.close()")
    assert tab.evaluate("ended") in (1_000, 1_005)


def test_a_handshake_that_failed_for_want_of_a_network_costs_no_credential(tab: "Page", program: Program) -> None:
    begin(tab, program)
    tab.evaluate("() => { Math.random = () => 0.99 }")
    tab.evaluate("pass.ready()")
    tab.context.set_offline(True)
    try:
        # A page that tries again and again; none of it can tell what the credential is worth.
        for _ in range(7):
            tab.evaluate("listen()")
            assert tab.evaluate("ended") == 1_006
            tab.clock.run_for(61_000)
    finally:
        tab.context.set_offline(False)
    assert tab.evaluate("pass.expiresIn") > 3_000
    assert tab.evaluate("pass.fetch('/v1/call_logs').then(({ status }) => status, ({ message }) => message)") == 200


def test_tabs_of_the_same_user_share_renewals_and_others_do_not(tabs: "BrowserContext", program: Program) -> None:
    minted = requests_to(tabs, "/api/create-session")
    pages = [opened(tabs, program) for _ in range(3)]
    for page in pages[:2]:
        begin(page, program, shareAs="acct ada")
    begin(pages[2], program, shareAs="acct bob")
    pages[0].evaluate("pass.ready()")
    until(pages[1], "pass.expiresIn > 3500")
    assert len(minted) == 1
    assert pages[2].evaluate("pass.expiresIn") == 0
    pages[1].evaluate("pass.fetch('/v1/call_logs')")
    assert len(minted) == 1
    # One clock for all, and both at once: one of them asks.
    tabs.clock.fast_forward(3_310_000)
    for page in pages[:2]:
        until(page, "happened.length >= 2")
    assert len(minted) == 2


def test_in_contention_one_tab_asks(tabs: "BrowserContext", program: Program) -> None:
    minted = requests_to(tabs, "/api/create-session")
    pages = [opened(tabs, program) for _ in range(2)]

    def slowly(route: "Route") -> None:
        pages[0].wait_for_timeout(300)
        route.continue_()

    tabs.route("**/api/create-session", slowly)
    for page in pages:
        begin(page, program, shareAs="acct ada")
    for page in pages:
        page.evaluate("void pass.ready()")
    for page in pages:
        until(page, "pass.expiresIn > 3500")
    assert len(minted) == 1


def test_a_tab_whose_back_end_hangs_holds_up_no_other_nor_itself(tabs: "BrowserContext", program: Program) -> None:
    pages = [opened(tabs, program) for _ in range(2)]
    for page in pages:
        begin(page, program, shareAs="acct ada")
    # The other tab's requests go through.
    pages[0].route("**/api/create-session", lambda route: None)
    pages[0].evaluate("() => { Math.random = () => 1 }")
    pages[0].evaluate("void pass.ready().catch(() => {})")
    pages[0].clock.run_for(30_500)
    until(pages[0], "happened.includes('failed')")
    pages[1].evaluate("void pass.ready()")
    until(pages[1], "pass.expiresIn > 3500")
    until(pages[0], "pass.expiresIn > 3500")


def test_the_credential_is_kept_nowhere(tab: "Page", program: Program) -> None:
    begin(tab, program, shareAs="acct ada")
    tab.evaluate("pass.fetch('/v1/call_logs')")
    kept = tab.evaluate(
        """async () => JSON.stringify([
          { ...localStorage }, { ...sessionStorage }, document.cookie, location.href,
          document.documentElement.outerHTML, await indexedDB.databases(), await caches.keys(),
          performance.getEntries().map(({ name }) => name), Object.entries(pass), pass,
        ])"""
    )
    assert "cs_live_" not in kept
    assert tab.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]


def test_a_page_of_another_origin_gets_nothing(chromium: "BrowserContext", program: Program, stranger: str) -> None:
    url = program.started["url"]
    page = chromium.new_page()
    page.goto(f"{stranger}/page.html")
    page.evaluate("(url) => { window.from = `${url}/guestpass.js` }", url)
    page.evaluate(MODULE)
    page.evaluate(
        """([baseUrl, accountId]) => begin({
          baseUrl, fetchClientSecret: () => seconds(`${baseUrl}/api/create-session`, { accountId }) })""",
        [url, program.started["account"]],
    )
    # No session from another site's back end, whoever is signed in there.
    assert "session" in page.evaluate("pass.fetch('/v1/call_logs').catch(({ message }) => message)")
    # Nor by a request that needs no preflight: it comes without JSON's content type, from a page that is not its own.
    answers: list[int] = []
    page.on("response", lambda response: answers.append(response.status))
    body = page.evaluate(
        """async ([url, accountId]) => {
          const answer = await fetch(`${url}/api/create-session`,
            { method: "POST", mode: "no-cors", body: JSON.stringify({ accountId }), credentials: "include" });
          return [answer.type, await answer.text()];
        }""",
        [url, program.started["account"]],
    )
    assert body == ["opaque", ""]
    assert answers in ([400], [403])
    # With a secret that it got hold of it reads no answer either.
    made = httpx.post(f"{url}/api/create-session", json={"accountId": program.started["account"]}).json()
    page.evaluate(
        "([baseUrl, secret]) => begin({ baseUrl, fetchClientSecret: async () => secret })", [url, made["client_secret"]]
    )
    assert page.evaluate("pass.fetch('/v1/call_logs').catch(({ name }) => name)") == "TypeError"
    page.close()


def test_the_credential_goes_to_no_other_origin(tab: "Page", program: Program, stranger: str, shop: str) -> None:
    begin(tab, program)
    tab.evaluate("pass.ready()")
    sent = requests_to(tab, "page.html")
    for url in (f"{stranger}/page.html", f"{shop}/page.html", f"//{stranger.partition('//')[2]}/page.html"):
        said = tab.evaluate("(url) => pass.fetch(url).catch(({ message }) => message)", url)
        assert "is not the API's origin" in said
        assert "is not the API's origin" in tab.evaluate(
            "(url) => pass.fetch(new Request(url)).catch(({ message }) => message)", url
        )
        said = tab.evaluate("(url) => { try { new pass.WebSocket(url) } catch ({ message }) { return message } }", url)
        assert "is not the API's origin" in said
    assert sent == []


COMPONENTS = """
() => {
  const define = (name, path, render) => customElements.define(name, class extends GuestpassElement {
    path = path;
    render = render;
  });
  define("guestpass-call-logs", "/v1/call_logs", ({ call_logs }) => call_logs.map(({ from }) => `<b>${from}</b>`));
  define("guestpass-voicemails", "/v1/voicemails", () => "");
  window.errors = [];
  addEventListener("loaderror", ({ error, code }) => errors.push([error, code]));
  document.body.replaceChildren();
}
"""


@pytest.fixture
def put(tab: "Page") -> Callable[[str], None]:
    """Puts elements on the page."""
    tab.evaluate(COMPONENTS)
    return lambda html: tab.evaluate("(html) => { document.body.innerHTML = html }", html)


def test_a_component_loads_is_refused_and_says_so(tab: "Page", program: Program, put: Callable[[str], None]) -> None:
    put("<guestpass-provider><guestpass-call-logs></guestpass-call-logs><guestpass-voicemails></guestpass-voicemails>")
    calls, voicemails = tab.locator("guestpass-call-logs"), tab.locator("guestpass-voicemails")
    # Before the page has said who its provider is.
    assert calls.get_attribute("data-state") == "loading"
    assert calls.get_attribute("aria-busy") == "true"
    assert calls.get_by_role("status").inner_text() == "Loading…"
    begin(tab, program)
    tab.evaluate("() => { document.querySelector('guestpass-provider').guestpass = pass }")
    tab.locator("guestpass-call-logs[data-state=ready]").wait_for()
    assert calls.get_attribute("aria-busy") == "false"
    # What is rendered as text is text.
    assert "<b>+1 206 555 0142</b>" in calls.inner_text()
    tab.locator("guestpass-voicemails[data-state=refused]").wait_for()
    assert "not enabled for this session" in voicemails.get_by_role("alert").inner_text()
    assert voicemails.get_by_role("button").count() == 0
    assert [code for _, code in tab.evaluate("errors")] == ["component_disabled"]


def test_a_load_error_of_a_session_says_session_and_trying_again_gets_another(
    tab: "Page", program: Program, put: Callable[[str], None]
) -> None:
    put("<guestpass-provider><guestpass-call-logs>")
    calls = tab.locator("guestpass-call-logs")
    tab.route("**/create-session", lambda route: route.abort())
    begin(tab, program)
    tab.evaluate("() => { document.querySelector('guestpass-provider').guestpass = pass }")
    tab.locator("guestpass-call-logs[data-state=failed]").wait_for()
    ((said, _),) = tab.evaluate("errors")
    assert "session" in said
    assert calls.get_by_role("alert").inner_text() == said
    # In vain at first, and the focus stays where somebody's keyboard is.
    calls.get_by_role("button", name="Try again").press("Enter")
    tab.locator("guestpass-call-logs[data-state=failed]").wait_for()
    until(tab, "errors.length >= 2")
    assert tab.evaluate("document.activeElement.localName") == "guestpass-call-logs"
    # Who tries again need not wait for the back-off, which is a minute by now.
    tab.evaluate("() => { Math.random = () => 0.99 }")
    for _ in range(7):
        tab.evaluate("pass.renew().catch(() => {})")
    tab.unroute("**/create-session")
    calls.get_by_role("button").click()
    tab.locator("guestpass-call-logs[data-state=ready]").wait_for()


def test_who_tries_again_sees_that_it_loads_and_asks_once(
    tab: "Page", program: Program, put: Callable[[str], None]
) -> None:
    put("<guestpass-provider><guestpass-call-logs>")
    calls = tab.locator("guestpass-call-logs")
    held: list[Route] = []
    tab.route("**/create-session", lambda route: route.abort())
    begin(tab, program)
    tab.evaluate("() => { document.querySelector('guestpass-provider').guestpass = pass }")
    tab.locator("guestpass-call-logs[data-state=failed]").wait_for()
    tab.unroute("**/create-session")
    tab.route("**/create-session", lambda route: held.append(route))
    asked = requests_to(tab, "/v1/call_logs")
    calls.get_by_role("button").click()
    # Though the back end takes its time.
    assert calls.get_by_role("status").inner_text() == "Loading…"
    until(tab, "happened.length === 1")
    held[0].continue_()
    tab.locator("guestpass-call-logs[data-state=ready]").wait_for()
    assert len(asked) == 1


def test_of_several_loads_the_last_counts(tab: "Page", program: Program, put: Callable[[str], None]) -> None:
    begin(tab, program)
    put("<guestpass-provider><guestpass-call-logs>")
    said = tab.evaluate(
        """async () => {
          const logs = document.querySelector("guestpass-call-logs");
          const answers = [];
          logs.request = () => new Promise((done) => answers.push((from) => done({ call_logs: [{ from }] })));
          document.querySelector("guestpass-provider").guestpass = pass;
          const loads = [logs.load(), logs.load()];
          answers.at(-1)("the last");
          await loads[1];
          answers.slice(0, -1).forEach((answer) => answer("an earlier one"));
          await loads[0];
          return logs.innerText;
        }"""
    )
    assert said == "<b>the last</b>"


def test_a_component_comes_back_by_itself_once_the_back_end_does(
    tab: "Page", program: Program, put: Callable[[str], None]
) -> None:
    put("<guestpass-provider><guestpass-call-logs>")
    tab.route("**/create-session", lambda route: route.abort())
    begin(tab, program)
    tab.evaluate("() => { document.querySelector('guestpass-provider').guestpass = pass }")
    tab.locator("guestpass-call-logs[data-state=failed]").wait_for()
    tab.unroute("**/create-session")
    tab.clock.run_for(4_000)
    tab.locator("guestpass-call-logs[data-state=ready]").wait_for()
    assert tab.evaluate("happened")[-1] == "renewed"


def test_outside_its_provider_a_component_says_so(tab: "Page", program: Program, put: Callable[[str], None]) -> None:
    thrown: list[str] = []
    tab.on("pageerror", lambda error: thrown.append(str(error)))
    put("<guestpass-call-logs>")
    said = tab.locator("guestpass-call-logs").get_by_role("alert").inner_text()
    assert said.startswith("Could not find guestpass context; You need to wrap <guestpass-call-logs>")
    assert tab.locator("button").count() == 0
    until(tab, "errors.length === 1")
    # Nor does it reject, whoever loads it.
    tab.evaluate("document.querySelector('guestpass-call-logs').load()")
    assert thrown == [said]


def test_a_component_in_a_shadow_tree_finds_its_provider(
    tab: "Page", program: Program, put: Callable[[str], None]
) -> None:
    put("<guestpass-provider><div>")
    begin(tab, program)
    tab.evaluate(
        """() => {
          document.querySelector("guestpass-provider").guestpass = pass;
          const inner = document.querySelector("div").attachShadow({ mode: "open" });
          inner.append(document.createElement("guestpass-call-logs"));
        }"""
    )
    tab.locator("guestpass-call-logs[data-state=ready]").wait_for()


def test_two_copies_of_the_module_can_be_on_one_page(tab: "Page") -> None:
    assert tab.evaluate("import('/guestpass.js?again').then((module) => typeof module.initialize)") == "function"
