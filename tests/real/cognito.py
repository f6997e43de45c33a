"""Amazon Cognito as `moto` serves it: user pools, and the tokens of those who sign in at them.

It is reached under Cognito's own name: over TLS, with a certificate made here, and a resolver that takes this
machine for Cognito. So an issuer is built as everybody builds it, and finds its keys by itself. What is said to
it is Cognito's own protocol, JSON over HTTP.
"""

import os
import re
import secrets
import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from real.programs import WAIT, Program, missing

REGION = "eu-west-1"
HOST = f"cognito-idp.{REGION}.amazonaws.com"
_LOOPBACK = "127.0.0.1"


@dataclass
class Cognito:
    """The service; `ask` is one call of its API."""

    _client: httpx.Client

    def ask(self, action: str, **asked: object) -> dict[str, Any]:
        """What it answers to an action, which must succeed."""
        target = f"AWSCognitoIdentityProviderService.{action}"
        headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
        answer = self._client.post("/", json=asked, headers=headers)
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json() if answer.content else {}
        return said

    def pool(self) -> "Pool":
        """A new user pool, whose users have an attribute ``custom:account``."""
        schema = [{"Name": "account", "AttributeDataType": "String", "Mutable": True}]
        made = self.ask("CreateUserPool", PoolName="guests", Schema=schema)
        return Pool(self, str(made["UserPool"]["Id"]))


@dataclass
class Pool:
    """One user pool."""

    service: Cognito
    id: str
    _password: str = field(default_factory=lambda: f"aA1!{secrets.token_urlsafe()}", repr=False)

    def client(self) -> str:
        """The id of a new client, at which users sign in with their passwords."""
        flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
        made = self.service.ask("CreateUserPoolClient", UserPoolId=self.id, ClientName="app", ExplicitAuthFlows=flows)
        return str(made["UserPoolClient"]["ClientId"])

    def user(self, name: str, *groups: str, account: str = "acct_9") -> None:
        """A new user, in these groups, who wrote this into ``custom:account``."""
        whose = {"UserPoolId": self.id, "Username": name}
        attributes = [{"Name": "custom:account", "Value": account}]
        self.service.ask("AdminCreateUser", **whose, UserAttributes=attributes, MessageAction="SUPPRESS")
        self.service.ask("AdminSetUserPassword", **whose, Password=self._password, Permanent=True)
        for group in groups:
            self.service.ask("CreateGroup", UserPoolId=self.id, GroupName=group)
            self.service.ask("AdminAddUserToGroup", **whose, GroupName=group)

    def sign_in(self, name: str, client: str) -> dict[str, str]:
        """``AccessToken``, ``IdToken`` and what else a user has who signs in."""
        parameters = {"USERNAME": name, "PASSWORD": self._password}
        said = self.service.ask(
            "InitiateAuth", ClientId=client, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=parameters
        )
        tokens: dict[str, str] = said["AuthenticationResult"]
        return tokens


@contextmanager
def cognito(folder: Path) -> Iterator[Cognito]:
    """The service at `HOST`, for this process, until the block ends. Other regions are this machine too, but it
    has no certificate for them."""
    for module in ("moto", "flask", "flask_cors", "joserfc"):
        if find_spec(module) is None:
            missing("moto", f"{module} is not installed")
    trusted, private = _certificate(folder)
    # What it warns of, it warns itself of: it runs in a process of its own.
    server = Path(__file__).with_name("cognito_server.py")
    program = Program(sys.executable, server, "-H", _LOOPBACK, "-p", "0", "-c", trusted, "-k", private)
    try:
        port = int(program.until(r"Running on https://127\.0\.0\.1:(\d+)")[1])
        tls = ssl.create_default_context(cafile=trusted)
        with pytest.MonkeyPatch.context() as patch, _client(port, tls) as client:
            patch.setenv("SSL_CERT_FILE", os.fspath(trusted))
            patch.setattr(socket, "getaddrinfo", _resolver(socket.getaddrinfo, port))
            yield Cognito(client)
    finally:
        program.end()


def _client(port: int, tls: ssl.SSLContext) -> httpx.Client:
    return httpx.Client(
        base_url=f"https://{_LOOPBACK}:{port}", headers={"Host": HOST}, verify=tls, trust_env=False, timeout=WAIT
    )


def _resolver(real: Callable[..., Any], port: int) -> Callable[..., Any]:
    def getaddrinfo(host: object, asked: object, *more: object, **named: object) -> Any:
        if not re.fullmatch(r"cognito-idp\.[\w-]+\.amazonaws\.com", str(host)) or asked != 443:
            return real(host, asked, *more, **named)
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (_LOOPBACK, port))]

    return getaddrinfo


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of Cognito's name, which trusts itself, and its private key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    names = x509.SubjectAlternativeName([x509.DNSName(HOST), x509.IPAddress(ip_address(_LOOPBACK))])
    uses = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign"), False
    )
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.KeyUsage(digital_signature=True, key_cert_sign=True, encipher_only=False, decipher_only=False, **uses),
            critical=True,
        )
        .sign(key, hashes.SHA256())
    )
    trusted, private = folder / "certificate.pem", folder / "private.pem"
    trusted.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    private.write_bytes(key.private_bytes(*form))
    return trusted, private
