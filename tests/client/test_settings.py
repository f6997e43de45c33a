"""Where the key may go, what it looks like, and what is said of what is wrong or missing."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from client.scripted import KEY, WAYS, Caller, Way, says, scripted
from guestpass.client import AsyncClient, Client, ClientError
from guestpass.client.settings import Settings, check_base_url


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GUESTPASS_BASE_URL", raising=False)
    monkeypatch.delenv("GUESTPASS_API_KEY", raising=False)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://api.example", "https://api.example"),
        ("https://api.example/", "https://api.example"),
        ("https://api.example:8443/voice/", "https://api.example:8443/voice"),
        ("HTTPS://API.example", "https://api.example"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_addresses_that_a_key_may_go_to(given: str, used: str) -> None:
    assert check_base_url(given) == used


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("http://api.example", "https"),
        ("http://127.0.0.1.example", "https"),
        ("http://localhost.example", "https"),
        ("ftp://api.example", "absolute"),
        ("api.example", "absolute"),
        ("//api.example", "absolute"),
        ("https://", "absolute"),
        ("https://api.example:port", "absolute"),
        ("https://api.example\r\nX: y", "absolute"),
        (" https://api.example", "absolute"),
        ("", "absolute"),
        (7, "absolute"),
        ("https://ada:hunter2@api.example", "user name"),
        ("https://api.example?key=1", "query"),
        ("https://api.example/?", "query"),
        ("https://api.example#x", "query"),
        ("https://api.example/#", "query"),
    ],
)
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_addresses_that_it_may_not(kind: Any, given: Any, said: str) -> None:
    with pytest.raises(ClientError, match=said) as raised:
        kind(given, KEY)
    assert raised.value.code == "INVALID_REQUEST"
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("key", ["", "sk_live_x\n", " sk_live_x", "sk live", "sk_live_ü", "sk_live_\x00", 7])
def test_a_key_that_no_header_can_hold_is_not_quoted(key: Any) -> None:
    with pytest.raises(ClientError) as raised:
        Client("https://api.example", key)
    assert raised.value.code == "INVALID_REQUEST"
    assert "GUESTPASS_API_KEY" in str(raised.value)
    assert "sk" not in str(raised.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": float("inf")},
        {"timeout": float("nan")},
        {"timeout": None},
        {"retries": -1},
        {"retries": 11},
        {"retries": 1.0},
        {"retries": True},
    ],
)
def test_numbers_out_of_bounds(wrong: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match=next(iter(wrong))) as raised:
        Client("https://api.example", KEY, **wrong)
    assert raised.value.code == "INVALID_REQUEST"


@pytest.mark.parametrize("way", WAYS)
def test_what_is_missing_is_said_by_the_call(way: Way) -> None:
    # As in the document's sample: the program can be loaded, and sign() says that the key is not configured.
    with scripted(says({})) as server:
        for settings, said in (
            ({"base_url": server.url}, "GUESTPASS_API_KEY"),
            ({"api_key": KEY}, "GUESTPASS_BASE_URL"),
            ({}, "GUESTPASS_API_KEY"),
        ):
            with pytest.raises(ClientError, match=said) as raised:
                Caller(way, dict(settings))(lambda client: client.auth.sign())
            assert (raised.value.code, raised.value.status) == ("INVALID_REQUEST", None)
        assert server.asked == []


def test_the_environment_is_asked_for_what_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(url: str | None = None, key: str | None = None, **found: str) -> tuple[str | None, str | None]:
        settings = Settings.read(url, key, environment=found)
        return settings.base_url, settings.api_key

    found: Mapping[str, str] = {"GUESTPASS_BASE_URL": "https://env.example", "GUESTPASS_API_KEY": "sk_env"}
    assert read(**found) == ("https://env.example", "sk_env")
    assert read("https://api.example", "sk_given", **found) == ("https://api.example", "sk_given")
    assert read(GUESTPASS_BASE_URL="", GUESTPASS_API_KEY="") == (None, None)
    with pytest.raises(ClientError, match="empty"):
        read("https://api.example", "", **found)
    monkeypatch.setenv("GUESTPASS_BASE_URL", "https://real.example")
    assert repr(Client()) == "Client('https://real.example')"


def test_no_repr_shows_the_key() -> None:
    assert "sk_" not in repr(Settings.read("https://api.example", KEY))
    for client in (Client("https://api.example", KEY), AsyncClient("https://api.example", KEY)):
        assert "sk_" not in repr(client) + repr(client.auth) + repr(client.account_sessions) + repr(client.revocations)


def test_a_client_may_be_closed_twice() -> None:
    client = Client("https://api.example", KEY)
    client.close()
    client.close()


def test_a_transport_or_a_client_of_ones_own() -> None:
    with httpx.Client() as http:
        with pytest.raises(ClientError, match="one of them"):
            Client("https://api.example", KEY, transport=httpx.HTTPTransport(), http=http)
        with Client("https://api.example", KEY, http=http):
            pass
        assert not http.is_closed
        with pytest.raises(ClientError, match=r"an httpx\.AsyncClient"):
            AsyncClient("https://api.example", KEY, http=http)  # type: ignore[arg-type]
    with pytest.raises(ClientError, match=r"an httpx\.Client"):
        Client("https://api.example", KEY, http=httpx.AsyncClient())  # type: ignore[arg-type]
    with pytest.raises(ClientError, match="one of them"):
        AsyncClient("https://api.example", KEY, transport=httpx.AsyncHTTPTransport(), http=httpx.AsyncClient())


@pytest.mark.anyio
async def test_an_async_client_of_ones_own_is_not_closed() -> None:
    async with httpx.AsyncClient() as http:
        async with AsyncClient("https://api.example", KEY, http=http):
            pass
        assert not http.is_closed
    own = AsyncClient("https://api.example", KEY)
    await own.aclose()
    await own.aclose()


@pytest.mark.parametrize("way", WAYS)
def test_no_proxy_sees_what_goes_to_this_machine(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(says({})) as proxy, scripted(says({"revoked": True, "at_ms": 1})) as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        Caller(way, {"base_url": server.url, "api_key": KEY})(lambda client: client.revocations.account("acct_1"))
        assert proxy.asked == []
