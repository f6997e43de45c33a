"""The machine that tries to escalate: it finds nothing on several policies, and finds each check that is taken out."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from guestpass import ConfigurationError, Grant, Policy, Principal, Refusal, Rule, needs
from guestpass.cache import VerifiedCache
from guestpass.inquiry import Inquiry
from guestpass.keyring import KeyRing
from guestpass.minting import Asked, Mint, Minted
from guestpass.ownership import Ownership, OwnsAccount
from guestpass.principal import SECRET_KEY, Remembered
from guestpass.records import Ending, RotateKey
from guestpass.revocation.cutoff_list import RevocationList
from guestpass.starlette import protect
from guestpass.testing import Kit
from guestpass.testing.escalation import EscalationMachine
from support import COMPONENTS, ROLES

MIXED = Policy(
    Rule("GET /v1/call_logs", component="call_logs"),
    Rule("GET /v1/exports", component="call_logs", feature="export"),
    Rule("GET /v1/accounts/{account}/voicemails", component="voicemails"),
    Rule("GET /v1/search", account=["query:account", "header:X-Tenant"]),
    Rule("GET /v1/files/{name...}", role="agent"),
    Rule("GET /v1/admin", role="admin"),
    Rule("POST /v1/tickets", mints=True, account=False),
    Rule("GET /v1/config", kinds={"publishable_key"}, account=False),
    Rule("GET /health", public=True, reason="probe"),
    Rule("GET /open", public=True, optional=True, reason="page"),
    Rule("WEBSOCKET /v1/events"),
    components=COMPONENTS,
    roles=ROLES,
)

POLICIES: Final = {
    "mixed": MIXED,
    "no roles and no components": Policy(Rule("GET /v1/{account}/things", account="path:account")),
    "roles alone": Policy(Rule("GET /a"), Rule("GET /b", role="b"), Rule("GET /c", role="c"), roles=("a", "b", "c")),
    "components alone": Policy(
        Rule("GET /x", component="x"),
        Rule("GET /y", component="y", feature="one"),
        components={"x": (), "y": ("one", "two")},
    ),
    "no rules": Policy(components=COMPONENTS, roles=ROLES),
}

# The same examples in every run, and no shrinking: it is to find or not to find.
QUICK = settings(
    max_examples=20,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    print_blob=False,
)


MORE = settings(QUICK, max_examples=100)


def tried(policy: Policy, how: settings = QUICK) -> str:
    """What the machine finds wrong."""
    try:
        run_state_machine_as_test(EscalationMachine.for_policy(policy), settings=how)
    except AssertionError as found:
        return str(found)
    return "nothing"


@pytest.mark.parametrize("name", POLICIES)
def test_it_finds_nothing(name: str) -> None:
    assert tried(POLICIES[name]) == "nothing"


# --- each check taken out ---------------------------------------------------------------------------------------------

real_grant, real_lacks, real_put = Mint.grant, Grant.lacks, VerifiedCache.put
AUTHORIZE, GUARD, KEYS, MINTING, SESSIONS, SIGNER = (
    sys.modules[f"guestpass.{name}"] for name in ("authorize", "guard", "api_keys", "minting", "sessions", "signer")
)
real_authorize: Callable[..., Principal | Refusal | OwnsAccount] = AUTHORIZE.authorize


def lacks_all_but(dimension: str) -> Callable[[Grant, Grant], tuple[str, ...]]:
    return lambda self, other: tuple(one for one in real_lacks(self, other) if one != dimension)


def for_ever(self: Mint, by: Principal, asked: Asked) -> Inquiry[Minted]:
    minted = yield from real_grant(self, by, asked)
    return minted._replace(grant=replace(minted.grant, expires_at=4e9))


def by_whatever(self: Mint, by: Principal, asked: Asked) -> Inquiry[Minted]:
    return real_grant(self, by.but(kind=SECRET_KEY), asked)


def from_memory(_: Mint, by: Principal, now: float) -> Inquiry[tuple[Grant, int]]:
    """What the minter may is not looked up again."""
    yield from ()
    return by.grant, int(now * 1000)


def minting_by_anybody(policy: Policy, rule: Rule, *more: object) -> Principal | Refusal | OwnsAccount:
    return real_authorize(policy, replace(rule, mints=False), *more)


def kept_for_ever(self: VerifiedCache, key: bytes, entry: Remembered, generation: int) -> None:
    real_put(self, key, Remembered(entry, entry.standing, 4e9, entry.versions), generation)


def rotated_without_an_end(id: str, digest: bytes, _until: float, ending: Ending | None = None) -> RotateKey:  # noqa: A002
    return RotateKey(id, digest, 4e9, ending)


NEVER: Final[Callable[..., bool]] = lambda *_, **__: False  # noqa: E731
ALWAYS: Final[Callable[..., bool]] = lambda *_: True  # noqa: E731
NOTHING: Final[Callable[..., None]] = lambda *_: None  # noqa: E731

# What is taken out, what stands there instead, and what the machine says of it.
Mutant = tuple[list[tuple[Any, str, object]], str]
MUTANTS: Final[dict[str, Mutant]] = {
    "covers": ([(Grant, "lacks", lambda *_: ())], "should not|could mint"),
    "covers, in accounts": ([(Grant, "lacks", lacks_all_but("account"))], "could mint .*for acct_"),
    "covers, in components": ([(Grant, "lacks", lacks_all_but("components"))], "it has component .*, and should not"),
    "covers, in roles": ([(Grant, "lacks", lacks_all_but("roles"))], "it has role .*, and should not"),
    "covers, in time": ([(Grant, "lacks", lacks_all_but("expires_in"))], "more seconds, and should not"),
    "meet": ([(Grant, "meet", lambda _, other: other)], "should not|could mint"),
    "the cut to the minter's grant": ([(MINTING, "_within", lambda _, wanted, __: wanted)], "should not|could mint"),
    "the end of what is minted": ([(Mint, "grant", for_ever)], "more seconds, and should not"),
    "the look at what a key still may": ([(Mint, "_current", from_memory)], "although its key|and should not"),
    "that only keys mint, over HTTP and in process": (
        [(Mint, "grant", by_whatever), (GUARD, "authorize", minting_by_anybody)],
        "although it is a|it may mint",
    ),
    "that only keys mint, in process": ([(Mint, "grant", by_whatever)], "once proved to be although it is a"),
    "whose an account is": ([(Ownership, "known", ALWAYS)], "acct_"),
    "whose a session is that is revoked": ([(SESSIONS, "_may_end", ALWAYS)], "could end what is acct_"),
    "that what was ended has ended": ([(RevocationList, "has_ended", NEVER)], "it is good although"),
    "that news drop what is remembered": (
        [(RevocationList, "changed", NEVER), (VerifiedCache, "forget", NOTHING)],
        "good although|and should not",
    ),
    "that what is remembered has an end": ([(VerifiedCache, "put", kept_for_ever)], "seconds after its end"),
    "that a signing key is distrusted": ([(KeyRing, "distrust", NOTHING)], "that signed it is distrusted"),
    "the signature": ([(SIGNER, "verify", NOTHING)], "with more written into it, is let in"),
    "the end of an old secret": (
        [(KEYS, "RotateKey", rotated_without_an_end)],
        "although it was|after its end|more sec",
    ),
    "the account of a request": (
        [(AUTHORIZE, "_hold_to_account", lambda _rule, principal, *_: principal)],
        "acts for",
    ),
    "the component of a request": ([(AUTHORIZE, "_component", NOTHING)], "it has no "),
    "the role of a request": ([(AUTHORIZE, "_role", NOTHING)], "it has not the role"),
    "the order of roles": ([(Policy, "close_roles", lambda self, _: frozenset(self.roles))], "it has role"),
}


@pytest.mark.parametrize("check", MUTANTS)
def test_it_finds_a_check_that_is_taken_out(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutations, says = MUTANTS[check]
    for owner, name, mutant in mutations:
        assert hasattr(owner, name)
        monkeypatch.setattr(owner, name, mutant)
    found = tried(MIXED, MORE)
    assert re.search(says, found), found


def test_what_it_finds_shows_no_credential(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(Grant, "lacks", lambda *_: ())
    with pytest.raises(AssertionError) as found:
        run_state_machine_as_test(EscalationMachine.for_policy(MIXED), settings=QUICK)
    told = "\n".join([str(found.value), *found.value.__notes__, capsys.readouterr().out])
    assert "state.mint" in told
    assert not re.search(r"[sp]k_test_|cs_test_|eyJ", told)


# --- as somebody else's test ------------------------------------------------------------------------------------------

TESTS = """
from hypothesis import settings
from guestpass import Policy, Rule
from guestpass.testing.escalation import EscalationMachine

policy = Policy(Rule("GET /v1/call_logs", component="call_logs"), components={"call_logs": ()}, roles=("user", "admin"))
TestNoEscalation = EscalationMachine.for_policy(policy).TestCase
TestNoEscalation.settings = settings(max_examples=3, stateful_step_count=10, deadline=None)
"""


def test_it_is_a_test_in_three_lines(tmp_path: Path) -> None:
    (tmp_path / "test_policy.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr


def test_the_policy_itself_stays_as_it_is() -> None:
    before = MIXED.rules
    assert tried(MIXED, settings(QUICK, max_examples=2)) == "nothing"
    assert MIXED.rules is before


def test_what_stands_at_routes_is_tried_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(_: Request) -> Response:
        return Response()

    app = Starlette(routes=[Route("/v1/{account}/exports", needs(component="call_logs")(nothing))])
    guard = Kit.around(Policy(components=COMPONENTS, roles=ROLES)).guard
    protect(app, guard)
    TestClient(app).get("/")
    assert tried(guard.policy, settings(QUICK, max_examples=5)) == "nothing"
    monkeypatch.setattr(AUTHORIZE, "_component", NOTHING)
    assert re.search("let in by '.*/v1/{account}/exports': it has no call_logs", tried(guard.policy, MORE))


def test_without_a_policy_it_says_what_to_write() -> None:
    with pytest.raises(ConfigurationError, match=r"EscalationMachine\.for_policy\(policy\)"):
        EscalationMachine()
    with pytest.raises(ConfigurationError, match=r"for_policy\(list\)"):
        EscalationMachine.for_policy([])  # type: ignore[arg-type]
