"""Fetching documents: one deadline, one size, no redirect, whatever the server does."""

import socket
import ssl
import threading
from collections.abc import Iterator

import pytest

from guestpass.errors import ConfigurationError
from guestpass.stores import http
from guestpass.stores.http import FetchFailed, check_url, fetch, is_loopback
from key_server import Answer, Clock, KeyServer, key_server, send_raw


@pytest.fixture
def server() -> Iterator[KeyServer]:
    with key_server() as running:
        yield running


def test_a_document_is_fetched(server: KeyServer) -> None:
    server.document = {"keys": [1]}
    found = fetch(f"{server.origin}/a/b?c=d")
    assert found.content == b'{"keys": [1]}'
    assert found.max_age is None
    assert server.asked == ["/a/b?c=d"]


def test_an_empty_path_is_the_root(server: KeyServer) -> None:
    fetch(server.origin)
    assert server.asked == ["/"]


def test_chunks_are_put_together(server: KeyServer) -> None:
    server.answer = send_raw(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n3\r\n:1}\r\n0\r\n\r\n')
    assert fetch(server.url).content == b'{"a":1}'


def test_an_answer_without_length_ends_with_the_connection(server: KeyServer) -> None:
    server.answer = send_raw(b"HTTP/1.0 200 OK\r\n\r\n{}")
    assert fetch(server.url).content == b"{}"


@pytest.mark.parametrize(
    ("control", "age", "max_age"),
    [
        (None, None, None),
        ("public", None, None),
        ("max-age=300", None, 300),
        ("public, Max-Age=300, must-revalidate", None, 300),
        ('max-age="300"', None, 300),
        ("s-max-age=5, max-age = 300", "100", 200),
        ("max-age=300", "1000", 0),
        ("max-age=300", "old", 300),
        ("max-age=300", "-5", 300),
        ("max-age=-300", None, None),
        ("max-age=soon", None, None),
        ("max-age=99999999999999999999", None, None),
        ("no-cache, max-age=300", None, 0),
        ("no-store", None, 0),
    ],
)
def test_how_long_it_may_be_kept(
    server: KeyServer, control: str | None, age: str | None, max_age: float | None
) -> None:
    server.headers = {name: value for name, value in (("Cache-Control", control), ("Age", age)) if value is not None}
    assert fetch(server.url).max_age == max_age


def dripping(clock: Clock, piece: bytes, seconds: float) -> Answer:
    """Sends a piece at a time, with `seconds` between them on the test's clock."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(2000):
            clock.now += seconds
            connection.sendall(piece)

    return answer


def test_a_server_that_drips_has_five_seconds_in_total(server: KeyServer) -> None:
    clock = Clock()
    server.answer = dripping(clock, b" ", 0.5)
    with pytest.raises(FetchFailed, match="within 5 s"):
        fetch(server.url, clock=clock)


def test_a_server_that_says_nothing_is_given_up(server: KeyServer) -> None:
    server.gate.clear()
    with pytest.raises(FetchFailed, match=r"within 0\.02 s"):
        fetch(server.url, seconds=0.02)
    with pytest.raises(FetchFailed, match="within 0 s"):
        fetch(server.url, seconds=0)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: /jwks2.json\r\nContent-Length: 0\r\n\r\n", "status 302"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "status 404"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "status 204"),
        (b"HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\n\r\n{}", "status 206"),
        (b"", "no connection or no HTTP"),
        (b"\x16\x03\x01junk\r\n\r\n", "no connection or no HTTP"),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", "no connection or no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}", "broke off|no HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}", "no connection or no HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}", "no connection or no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 600000\r\n\r\n" + b" " * 600_000, "more than 524288 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 600_000, "more"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "no connection or no HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", "no connection or no HTTP"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 30_000, "more bytes than any key set"),
    ],
)
def test_answers_that_are_none(server: KeyServer, answer: bytes, reason: str) -> None:
    server.answer = send_raw(answer)
    with pytest.raises(FetchFailed, match=reason) as problem:
        fetch(server.url)
    assert server.fetches == 1
    assert "y" * 100 not in str(problem.value)


def test_the_status_is_there_for_who_asks_elsewhere_next(server: KeyServer) -> None:
    server.status = "404 Not Found"
    with pytest.raises(FetchFailed) as problem:
        fetch(server.url)
    assert problem.value.status == 404


def test_nobody_listening(server: KeyServer) -> None:
    server.close()
    with pytest.raises(FetchFailed, match="ConnectionRefusedError"):
        fetch(server.url)


def test_a_name_with_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    with pytest.raises(FetchFailed, match="OSError"):
        fetch("https://issuer.example/")


def test_the_second_address_has_its_turn(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    port = int(server.origin.rpartition(":")[2])
    family = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    addresses = [(*family, ("127.0.0.1", 1)), (*family, ("127.0.0.1", port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    assert fetch(server.url).content


def test_proxies_of_the_environment_are_not_asked(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert fetch(server.url).content


@pytest.mark.parametrize(
    "url",
    [
        "",
        "jwks.json",
        "//issuer.example/jwks.json",
        "http://issuer.example/jwks.json",
        "http://127.0.0.1.issuer.example/",
        "http://2130706433/",
        "http://[::2]/",
        "http://[::1/",
        "ftp://issuer.example/",
        "file:///etc/passwd",
        "https://",
        "https://user:password@issuer.example/",
        "https://user@issuer.example/",
        "https://issuer.example/#fragment",
        "https://issuer.example:0/",
        "https://issuer.example:99999/",
        "https://issuer.example/\r\nX: y",
        "https://issuer.example/a b",
        "https://issuer.example/\u00e9",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="URL"):
        check_url(url)
    with pytest.raises(ConfigurationError):
        fetch(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.example/jwks.json",
        "https://issuer.example",
        "HTTPS://issuer.example:8443/",
        "http://localhost:1/",
        "http://LOCALHOST/",
        "http://127.0.0.9/",
        "http://[::1]:80/",
    ],
)
def test_addresses_that_are_fine(url: str) -> None:
    assert check_url(url).hostname


def test_loopback_can_be_ruled_out() -> None:
    with pytest.raises(ConfigurationError, match="https"):
        check_url("http://127.0.0.1/", loopback=False)
    assert check_url("https://127.0.0.1/", loopback=False)
    assert is_loopback("::1")
    assert not is_loopback("10.0.0.1")
    assert not is_loopback("localhost.example")


def test_https_speaks_tls_and_checks_the_name(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    named: list[str] = []

    def wrap(_self: ssl.SSLContext, plain: socket.socket, *, server_hostname: str) -> socket.socket:
        named.append(server_hostname)
        return plain

    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", wrap)
    contexts: list[ssl.SSLContext] = []
    default = ssl.create_default_context

    def remembered() -> ssl.SSLContext:
        contexts.append(default())
        return contexts[-1]

    monkeypatch.setattr(ssl, "create_default_context", remembered)
    url = server.url.replace("http:", "https:")
    assert fetch(url).content
    assert named == ["127.0.0.1"]
    assert contexts[0].verify_mode == ssl.CERT_REQUIRED
    assert contexts[0].check_hostname
    assert fetch(url, tls=default()).content
    assert len(contexts) == 1


def test_a_server_without_tls_is_no_https_server() -> None:
    listening = socket.create_server(("127.0.0.1", 0))

    def plain() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(1024)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    thread = threading.Thread(target=plain)
    thread.start()
    with pytest.raises(FetchFailed, match=r"SSLError|no HTTP"):
        fetch(f"https://127.0.0.1:{listening.getsockname()[1]}/")
    thread.join(5)
    listening.close()


def test_the_default_port_is_not_in_the_host_header(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []

    class Connected:
        def settimeout(self, _seconds: float) -> None: ...
        def close(self) -> None: ...

        def sendall(self, data: bytes) -> None:
            sent.append(data)

        def recv_into(self, _buffer: memoryview) -> int:
            return 0

    monkeypatch.setattr(http._Link, "_connect", lambda *_: Connected())
    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", lambda _self, plain, **_: plain)
    for url, host in (
        ("https://issuer.example/", b"Host: issuer.example\r\n"),
        ("https://issuer.example:8443/", b"Host: issuer.example:8443\r\n"),
        ("http://[::1]/", b"Host: [::1]\r\n"),
    ):
        sent.clear()
        with pytest.raises(FetchFailed):
            fetch(url)
        assert host in b"".join(sent)
