"""Chromium, and the page that it opens: on the site of the platform's customer, and on somebody else's."""

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from browser.pages import chromium_program
from real.programs import WAIT

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real: starts a program of others on loopback, and may have to install it")


class _Pages(SimpleHTTPRequestHandler):
    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing."""


@pytest.fixture(scope="package")
def port() -> Iterator[int]:
    """Where the page of the tests is served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Pages, directory=str(Path(__file__).parent))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(WAIT)


@pytest.fixture(scope="package")
def shop(port: int) -> str:
    """The origin of the customer's site."""
    return f"http://127.0.0.1:{port}"


@pytest.fixture(scope="package")
def stranger(port: int) -> str:
    """The origin of another site: the same page under another name."""
    return f"http://localhost:{port}"


@pytest.fixture(scope="package")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator["BrowserContext"]:
    """A browser without a past."""
    program = chromium_program()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("chromium"),
            executable_path=program,
            headless=True,
            args=FLAGS,
            timeout=WAIT * 1_000,
        )
        browser.set_default_timeout(WAIT * 1_000)
        yield browser
        browser.close()
