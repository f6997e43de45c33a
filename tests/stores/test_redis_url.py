"""What the URL of a Redis store may say, and that no part of a password is ever quoted."""

import subprocess
import sys

import pytest

from guestpass.errors import ConfigurationError
from guestpass.stores import open_store
from guestpass.stores.redis import RedisStore
from guestpass.stores.redis_url import PREFIX, place


@pytest.mark.parametrize(
    ("url", "for_redis", "shown"),
    [
        ("redis://localhost", "redis://localhost", "redis://localhost"),
        ("redis://", "redis://", "redis://"),
        ("valkey://:pw@h:1/2", "redis://:pw@h:1/2", "valkey://h:1/2"),
        ("valkeys://u:p%40w@h", "rediss://u:p%40w@h", "valkeys://h"),
        ("rediss://h?ssl_ca_certs=%2Fca.pem&db=3", "rediss://h?ssl_ca_certs=%2Fca.pem&db=3", "rediss://h"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0", "redis://[::1]:6379/0"),
        ("redis://u:p@ss@h/0", "redis://u:p@ss@h/0", "redis://h/0"),
        ("unix:///run/r.sock?db=1&password=a%26b", "unix:///run/r.sock?db=1&password=a%26b", "unix:///run/r.sock"),
        ("unix://u:p@/run/r.sock", "unix://u:p@/run/r.sock", "unix:///run/r.sock"),
        ("redis://h?prefix=a:&max_connections=9", "redis://h?max_connections=9", "redis://h"),
    ],
)
def test_what_a_url_names(url: str, for_redis: str, shown: str) -> None:
    found = place(url, None)
    assert (found.url, found.shown) == (for_redis, shown)
    assert found.is_tcp is not url.startswith("unix")
    assert found.is_tls is url.startswith(("rediss", "valkeys"))


@pytest.mark.parametrize(
    ("url", "given", "prefix"),
    [
        ("redis://h", None, PREFIX),
        ("redis://h", "mine:", "mine:"),
        ("redis://h?prefix=theirs:", None, "theirs:"),
        ("redis://h?pre%66ix=theirs%3A", "mine:", "theirs:"),
    ],
)
def test_the_prefix_is_the_urls_before_the_arguments(url: str, given: str | None, prefix: str) -> None:
    assert place(url, given).prefix == prefix


@pytest.mark.parametrize("prefix", ["", "a b", "a{b}", "é", "x" * 65, "a\n", "}"])
def test_a_prefix_is_plain(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="prefix"):
        place("redis://h", prefix)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://h:port", "percent-encoded"),
        ("redis://u:secret/more@h", "percent-encoded|number of a database"),
        ("redis://u:12/secret@h", "number of a database"),
        ("redis://u:12?secret@h", "question mark"),
        ("redis://u:12?secret=x@h", "question mark"),
        ("redis://u:12#secret@h", "fragment"),
        ("redis://u:secret#@h", "fragment|percent-encoded"),
        ("redis://[u:secret@h", "percent-encoded"),
        ("redis://h/zero", "number of a database"),
        ("redis://h/0?db=1", "number of a database"),
        ("redis://h?db=zero", "db=1"),
        ("redis://h?db=", "db=1"),
        ("redis://h?max_connections=0", "max_connections"),
        ("redis://h?db=1&db=2", "twice"),
        ("redis://h?socket_timeout=99", "'socket_timeout'"),
        ("redis://h?retry_on_timeout=1", "'retry_on_timeout'"),
        ("redis://h?decode_responses=1", "'decode_responses'"),
        ("redis://h?ssl_cert_reqs=none", "rediss://"),
        ("rediss://h?ssl_cert_reqs=perhaps", "redis-py does not take"),
        ("unix://host/run/r.sock", "absolute path"),
        ("unix://", "absolute path"),
        ("redis+sentinel://h", "does not speak"),
    ],
)
def test_what_cannot_work_is_refused_without_a_word_of_the_password(url: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as problem:
        open_store(url)
    assert "secret" not in f"{problem.value!r}{problem.value.__cause__!r}"
    assert problem.value.__suppress_context__ or problem.value.__context__ is None


@pytest.mark.parametrize("wait", [0, -1, 61, float("nan")])
def test_there_is_a_bound_to_every_wait(wait: float) -> None:
    with pytest.raises(ConfigurationError, match="wait"):
        RedisStore("redis://h", wait=wait)


def test_the_pip_line_is_told_where_redis_py_is_missing() -> None:
    program = """
import sys
sys.modules["redis"] = None
from guestpass.stores import open_store
from guestpass.errors import ConfigurationError
for scheme in ("redis", "rediss", "valkey", "valkeys", "unix"):
    try:
        open_store(f"{scheme}:///x")
    except ConfigurationError as error:
        print(error)
"""
    said = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    assert said.count('pip install "guestpass[redis]"') == 5


def test_other_stores_do_not_load_redis_py() -> None:
    program = """
import sys
from guestpass.stores import open_store
open_store("memory://").close()
assert "redis" not in sys.modules
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)
