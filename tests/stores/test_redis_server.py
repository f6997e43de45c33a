"""What a Redis server is looked at for when a store opens: refused, warned of, or told that nobody can say."""

import asyncio
import datetime as dt
import logging
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from guestpass.errors import ConfigurationError, StoreUnavailable
from guestpass.records import ListKeys
from guestpass.stores import open_store
from guestpass.stores.redis import RedisStore
from guestpass.testing.store_contract import StoreContract

from .redis_servers import Admin, Server, program, programs, running

ACL = "~{guestpass:}* +@read +@write +@scripting +@connection +time"
"""What the documentation says that the store's user needs."""

SEEING = "+info +config|get"


@pytest.fixture(scope="module", params=sorted(programs()) or ["redis"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running(programs().get(request.param) or program(request.param)) as one:
        yield one


@pytest.fixture
def admin(server: Server) -> Iterator[Admin]:
    with server.client() as client:
        yield client
        client.config_set("appendfsync", "always")
        client.config_set("appendonly", "yes")
        client.config_set("maxmemory-policy", "noeviction")
        client.flushall()


def said(server: Server, caplog: pytest.LogCaptureFixture, more: str = "") -> list[tuple[str, str]]:
    """What an opening store logs, by level."""
    caplog.clear()
    with caplog.at_level(logging.INFO, "guestpass"):
        open_store(f"{server.url}{more}").close()
    return [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "guestpass"]


def test_a_server_that_keeps_everything_is_silent(
    server: Server, admin: Admin, caplog: pytest.LogCaptureFixture
) -> None:
    assert said(server, caplog) == []


def test_a_server_without_an_append_only_file_is_warned_of(
    server: Server, admin: Admin, caplog: pytest.LogCaptureFixture
) -> None:
    admin.config_set("appendonly", "no")
    ((level, text),) = said(server, caplog)
    assert level == "WARNING"
    assert "Set appendonly yes" in text


@pytest.mark.parametrize("fsync", ["everysec", "no"])
def test_a_file_that_is_written_late_is_told(
    server: Server, admin: Admin, caplog: pytest.LogCaptureFixture, fsync: str
) -> None:
    admin.config_set("appendfsync", fsync)
    ((level, text),) = said(server, caplog)
    assert level == {"everysec": "INFO", "no": "WARNING"}[fsync]
    assert fsync in text


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_server_that_may_evict_is_warned_of(
    server: Server, admin: Admin, caplog: pytest.LogCaptureFixture, policy: str
) -> None:
    admin.config_set("maxmemory-policy", policy)
    ((level, text),) = said(server, caplog)
    assert level == "WARNING"
    assert policy in text


@pytest.fixture
def user(admin: Admin) -> Iterator[str]:
    """Sets up a user, and names it to the URL."""
    admin.execute_command("ACL", "SETUSER", "app", "on", ">pw", *ACL.split())
    yield "username=app&password=pw"
    admin.execute_command("ACL", "DELUSER", "app")


def test_what_a_user_may_not_see_is_said(
    server: Server, admin: Admin, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    told = said(server, caplog, f"?{user}")
    assert {level for level, _ in told} == {"INFO"}
    assert [text for _, text in told if "append-only" in text]
    assert [text for _, text in told if "maxmemory-policy" in text]
    admin.execute_command("ACL", "SETUSER", "app", *SEEING.split())
    assert said(server, caplog, f"?{user}") == []


@pytest.mark.parametrize("seen", ["+info", "+config|get"])
def test_either_way_of_seeing_tells_of_what_is_lost(
    server: Server, admin: Admin, user: str, caplog: pytest.LogCaptureFixture, seen: str
) -> None:
    admin.config_set("appendonly", "no")
    admin.config_set("maxmemory-policy", "allkeys-lru")
    admin.execute_command("ACL", "SETUSER", "app", seen)
    assert {level for level, _ in said(server, caplog, f"?{user}")} == {"WARNING"}


def test_a_user_who_may_not_do_it_is_told(server: Server, admin: Admin, user: str) -> None:
    for less in ("-evalsha", "-hset"):
        admin.execute_command("ACL", "SETUSER", "app", less)
        with pytest.raises(StoreUnavailable, match="ACL"):
            RedisStore(f"{server.url}?{user}", prefix="guestpass:")
        admin.execute_command("ACL", "SETUSER", "app", less.replace("-", "+"))
        admin.flushall()
    with pytest.raises(StoreUnavailable, match="ACL"):
        RedisStore(f"{server.url}?{user}", prefix="other:")


class TestTheDocumentedUser(StoreContract):
    """The ACL of the documentation is enough for everything."""

    @pytest.fixture
    def store(self, server: Server, admin: Admin, user: str) -> Iterator[RedisStore]:
        with closing(RedisStore(f"{server.url}?{user}", wait=10)) as store:
            yield store


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (("--cluster-enabled", "yes"), "Redis Cluster"),
        (("--sentinel",), "Sentinel"),
    ],
)
def test_a_server_that_is_another_thing_is_refused(settings: tuple[str, ...], told: str) -> None:
    with running(program("redis"), *settings) as server, pytest.raises(ConfigurationError, match=told):
        RedisStore(server.url)


def test_the_documentation_names_that_user() -> None:
    documents = (Path(__file__).parents[2] / "docs").glob("stores*.md")
    assert [document for document in documents if ACL in document.read_text()]


# TLS


class Tls:
    """TLS in front of a server, as where a proxy ends it."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.ca = folder / "ca.pem"
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private = folder / "key.pem"
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(self.ca, private)
        self._to = server.path
        self._loop = asyncio.new_event_loop()
        serving = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        self._listening = self._loop.run_until_complete(serving)
        self.port = self._listening.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._listening.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
            with suppress(asyncio.CancelledError):
                self._loop.run_until_complete(task)
        self._loop.close()

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_unix_connection(self._to)
        try:
            await asyncio.gather(self._carry(client, to_server), self._carry(server, to_client))
        finally:
            to_server.close()
            to_client.close()

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while said := await source.read(65536):
                target.write(said)
                await target.drain()
        target.close()


@pytest.fixture
def tls(server: Server, admin: Admin, tmp_path: Path) -> Iterator[Tls]:
    with closing(Tls(server, tmp_path)) as tls:
        yield tls


@pytest.mark.parametrize("scheme", ["rediss", "valkeys"])
def test_tls_is_spoken_by_both_halves(tls: Tls, scheme: str) -> None:
    with closing(RedisStore(f"{scheme}://localhost:{tls.port}/0?ssl_ca_certs={tls.ca}", wait=5)) as store:
        assert store.answer(ListKeys()) == ()
        assert asyncio.run(store.answer_async(ListKeys())) == ()


@pytest.mark.parametrize(
    ("host", "more"),
    [
        ("localhost", ""),  # a certificate that nobody vouches for
        ("127.0.0.1", "?ssl_ca_certs={ca}"),  # and one for another name
    ],
)
def test_a_server_that_is_not_who_it_says_is_not_asked(tls: Tls, host: str, more: str) -> None:
    with pytest.raises(StoreUnavailable, match=r"(?i)certificate"):
        RedisStore(f"rediss://{host}:{tls.port}{more.format(ca=tls.ca)}", wait=5)
