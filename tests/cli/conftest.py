"""What the tests of the command line share: a store in a file, a command run on it, and the API that uses it."""

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeAlias

import pytest

from guestpass import AccountSessions, ApiKeys, Guard, KeyRing, Policy, Refused, TokenSigner, open_store
from guestpass.cli import main
from guestpass.stores import Store

ACCOUNT = "acct_1"
WRAPPING_KEY = "a wrapping key that is long enough: 32 bytes"


StartApi: TypeAlias = Callable[[], "Api"]


class Run(Protocol):
    """Runs a command on the store; answers exit code, standard output and standard error."""

    def __call__(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]: ...


class Api:
    """The API that the commands prepare keys and sessions for, as a process that has just started."""

    def __init__(self, url: str) -> None:
        self.store = open_store(url)
        self.keys = ApiKeys(self.store, owns=lambda platform, account: True)
        self.sessions = AccountSessions(self.store)
        self.ring = KeyRing(self.store, wrapping_key=WRAPPING_KEY, algorithm="EdDSA")
        self.signer = TokenSigner(self.ring, issuer="https://api.example", audience="api")
        policy = Policy(
            components={"call_logs": ("transcripts",), "voicemails": ()}, roles=("external_entity", "agent", "admin")
        )
        self.guard = Guard(authenticators=[self.keys, self.sessions, self.signer], policy=policy, mode="live")
        self.check = self.guard.check

    def refusal(self, credential: str) -> str:
        """The code with which a credential is refused."""
        with pytest.raises(Refused) as refused:
            self.check(credential)
        return refused.value.code


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'keys.db'}"


@pytest.fixture
def opened(store: str) -> Iterator[Store]:
    """The store, made."""
    store_itself = open_store(store)
    yield store_itself
    store_itself.close()


@pytest.fixture
def run(store: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("GUESTPASS_STORE", store)
    monkeypatch.delenv("GUESTPASS_WRAPPING_KEY", raising=False)

    def run(*arguments: str, stdin: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        code = main(arguments)
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return run


@pytest.fixture
def api(store: str) -> Iterator[StartApi]:
    """Starts the API anew."""
    started: list[Api] = []

    def start() -> Api:
        started.append(Api(store))
        return started[-1]

    yield start
    for one in started:
        one.store.close()
