"""The browser, what the tests have a page do, and what its script saw."""

import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from real.programs import missing

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page


def chromium_program() -> str:
    """The path of Chromium, where that and what drives it are there."""
    if find_spec("playwright") is None:
        missing("playwright", "it is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        missing("chromium", "it is not there; Debian's package is called chromium")
    return program


@dataclass(frozen=True)
class Seen:
    """What a page's script saw of its socket. `closed` is the close code, 0 while it is open."""

    opened: bool
    protocol: str
    messages: list[str]
    closed: int
    reason: str
    clean: bool


class Script:
    """A page of `site`, and the script on it."""

    def __init__(self, browser: "BrowserContext", site: str) -> None:
        self._page: Page = browser.new_page()
        self._page.goto(f"{site}/page.html")

    def listen(self, url: str, *protocols: str) -> None:
        """Open a socket."""
        self._page.evaluate("([url, protocols]) => listen(url, protocols)", [url, list(protocols)])

    def hears(self, count: int = 1) -> Seen:
        """What it saw, once as many messages have come."""
        return self._once(f"seen.messages.length >= {count}")

    def ends(self) -> Seen:
        """What it saw, once its socket is closed."""
        return self._once("seen.closed")

    def say(self, text: str) -> None:
        """Send something over the socket."""
        self._page.evaluate("text => socket.send(text)", text)

    def ask(self, url: str, credential: str = "", method: str = "GET", **headers: str) -> dict[str, Any]:
        """What a request is answered: ``status``, ``challenge``, ``body``; or ``blocked``, with the error's name."""
        if credential:
            headers["Authorization"] = f"Bearer {credential}"
        options = {"method": method, "headers": {name.replace("_", "-"): value for name, value in headers.items()}}
        said: dict[str, Any] = self._page.evaluate("([url, options]) => ask(url, options)", [url, options])
        return said

    def close(self) -> None:
        """Leave the page."""
        self._page.close()

    def _once(self, condition: str) -> Seen:
        self._page.wait_for_function(f"() => {condition}")
        return Seen(**self._page.evaluate("() => seen"))
