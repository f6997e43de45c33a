"""The platform's back end apart from any framework: who may have what, and what a page is told."""

import json
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import pytest
from starlette.authentication import UnauthenticatedUser
from werkzeug.local import LocalProxy

from guestpass import ConfigurationError, Guard, KeysUnavailable, Refusal, Refused, StoreUnavailable
from guestpass.client_error import CODES, ClientError
from guestpass.concurrency.coroutines import run_plain
from guestpass.platform import AsyncInProcess, EndUser, InProcess, PlatformBackend, SessionTerms
from guestpass.platform.backend import MAX_BODY, Endpoint
from guestpass.platform.origins import PageRequest, check_origins, is_own_page
from guestpass.refusals import CASES
from guestpass.sessions import AccountSession
from guestpass.signer import SignedToken
from support import House, build

T = TypeVar("T")

ADA = "5f0c9a52-7a0e-4f0e-9d0f-3a4b8e6d1c27"
EVE = "a1b2c3d4-e5f6-4a7b-8c9d-0e1f2a3b4c5d"
KEY = "sk_live_0000000000000000000000000000000000000000"


@dataclass
class Issuer:
    """Gives what is asked for, and notes it; or raises what it is told to."""

    asked: list[Mapping[str, Any]] = field(default_factory=list)
    raising: Exception | None = None
    key: str = KEY

    @property
    def account_sessions(self) -> "Issuer":
        return self

    @property
    def auth(self) -> "Issuer":
        return self

    def create(self, **asked: Any) -> AccountSession:
        self._note(asked)
        return AccountSession("as_1", asked["account"], "cs_live_1", "2030-01-01T00:00:00Z", 3_600, {}, True)

    def sign(self, **asked: Any) -> SignedToken:
        self._note(asked)
        return SignedToken("eyJ.eyJ.x", 1_900_000_000, asked["id"].lower())

    def _note(self, asked: Mapping[str, Any]) -> None:
        self.asked.append(asked)
        if self.raising is not None:
            raise self.raising


@dataclass
class Stage:
    """A back end whose users are UUIDs; each may access ``acct_1``."""

    issuer: Issuer = field(default_factory=Issuer)
    asked: list[tuple[str, str]] = field(default_factory=list)
    user: str | None = ADA
    settings: dict[str, Any] = field(default_factory=dict)

    def may_access(self, user: str, account: str) -> bool:
        self.asked.append((user, account))
        return account == "acct_1"

    def post(self, endpoint: Endpoint, content: object = None, **more: Any) -> tuple[int, dict[str, Any]]:
        settings: dict[str, Any] = {
            "may_access": self.may_access,
            "end_user": lambda user: EndUser(user, tenant_id="acct_1"),
            **self.settings,
        }
        body = b"" if content is None else json.dumps(content).encode()
        request = PageRequest(**{"body": body, "content_type": "application/json", **more})
        backend: PlatformBackend[str] = PlatformBackend(self.issuer, **settings)
        answer = run_plain(backend.answer(endpoint, request, lambda: self.user, plain))
        assert answer.headers["Cache-Control"] == "no-store"
        assert KEY not in answer.body.decode() + str(answer.headers)
        return answer.status, json.loads(answer.body)


async def plain(function: Callable[..., T | Awaitable[T]], /, *arguments: object) -> T:
    return cast("T", function(*arguments))


@pytest.fixture
def stage() -> Stage:
    return Stage()


SESSION = {
    "client_secret": "cs_live_1",
    "expires_at": "2030-01-01T00:00:00Z",
    "expires_in": 3_600,
    "account": "acct_1",
    "components": {},
}
DENIED = (403, {"error": "Access denied"})
BAD = (400, {"error": "Bad request"})
LEFT_OUT = {"components": None, "roles": None, "expires_in": None}


def test_a_session_for_an_account_that_the_user_may_access(stage: Stage) -> None:
    assert stage.post("create-session", {"accountId": "acct_1"}) == (200, SESSION)
    assert stage.asked == [(ADA, "acct_1")]
    assert stage.issuer.asked == [{"account": "acct_1", **LEFT_OUT}]


def test_a_session_is_as_the_application_says(stage: Stage) -> None:
    components = {"call_logs": {"enabled": True}}
    stage.settings["session"] = lambda user, account: SessionTerms(components, ["agent"], 60)
    stage.post("create-session", {"accountId": "acct_1", "components": {"voicemails": {"enabled": True}}})
    assert stage.issuer.asked == [{"account": "acct_1", "components": components, "roles": ["agent"], "expires_in": 60}]


@pytest.mark.parametrize(
    "account", ["acct_2", "", None, 7, ["acct_1"], {}, "acct_1\n", "a b", "x" * 129, "acct_1/../2"]
)
def test_no_other_account_has_one_and_none_is_asked_for(stage: Stage, account: object) -> None:
    assert stage.post("create-session", {"accountId": account}) == DENIED
    assert stage.post("create-session", {}) == DENIED
    assert stage.issuer.asked == []
    # What is no account id never comes to the application.
    assert stage.asked == ([(ADA, "acct_2")] if account == "acct_2" else [])


@pytest.mark.parametrize("granted", [None, 1, "yes", [True], object()])
def test_an_answer_that_is_not_yes_or_no_lets_nobody_in(stage: Stage, granted: object) -> None:
    stage.settings["may_access"] = lambda user, account: granted
    with pytest.raises(TypeError, match="True or False"):
        stage.post("create-session", {"accountId": "acct_1"})
    assert stage.issuer.asked == []


def test_an_error_of_the_applications_own_is_its_own_and_gives_nothing_out(stage: Stage) -> None:
    def broken(user: str, account: str) -> bool:
        raise LookupError("the database is gone")

    stage.settings["may_access"] = broken
    with pytest.raises(LookupError):
        stage.post("create-session", {"accountId": "acct_1"})
    assert stage.issuer.asked == []


def test_a_token_for_the_user_who_is_signed_in(stage: Stage) -> None:
    expected = (200, {"token": "eyJ.eyJ.x", "expiresAt": 1_900_000_000, "id": ADA})
    assert stage.post("sdk-token", content_type=None) == expected
    assert stage.post("sdk-token", {}) == expected
    assert stage.post("refresh-sdk-token", {"entityId": ADA}) == expected
    assert stage.post("refresh-sdk-token", {"entityId": ADA.upper()}) == expected
    assert stage.post("refresh-sdk-token", {}) == expected
    assert stage.asked == [(ADA, "acct_1")] * 5
    assert stage.issuer.asked == [{"id": ADA, "tenant_id": "acct_1", "metadata": None, **LEFT_OUT}] * 5


def test_a_token_is_as_the_application_says(stage: Stage) -> None:
    who = EndUser(ADA, None, {"plan": "pro"}, ["agent"], {"voicemails": {"enabled": True}}, 60)
    stage.settings["end_user"] = lambda user: who
    assert stage.post("refresh-sdk-token", {"entityId": ADA, "metadata": {"role": "admin"}, "expiresIn": 9})[0] == 200
    assert stage.issuer.asked == [
        {"id": ADA, "tenant_id": None, "metadata": {"plan": "pro"}, "roles": ["agent"],
         "components": {"voicemails": {"enabled": True}}, "expires_in": 60}
    ]  # fmt: skip
    # Without an account there is none to ask about.
    assert stage.asked == []


@pytest.mark.parametrize("entity", [EVE, "", None, 7, [ADA], {"id": ADA}, f"{ADA} ", ADA[:-1]])
@pytest.mark.parametrize("endpoint", ["sdk-token", "refresh-sdk-token"])
def test_nobody_gets_anybody_elses_token(stage: Stage, endpoint: Endpoint, entity: object) -> None:
    assert stage.post(endpoint, {"entityId": entity}) == DENIED
    assert stage.issuer.asked == []


def test_no_token_for_an_account_that_the_user_may_not_access(stage: Stage) -> None:
    stage.settings["end_user"] = lambda user: EndUser(user, tenant_id="acct_2")
    assert stage.post("sdk-token") == DENIED
    assert stage.asked == [(ADA, "acct_2")]
    assert stage.issuer.asked == []


@pytest.mark.parametrize("endpoint", ["create-session", "sdk-token", "refresh-sdk-token"])
def test_who_is_not_signed_in_is_told_so(stage: Stage, endpoint: Endpoint) -> None:
    stage.user = None
    assert stage.post(endpoint, {"accountId": "acct_1"}) == (401, {"error": "Not signed in"})
    assert not stage.asked
    assert not stage.issuer.asked


@dataclass
class Somebody:
    """A user as Flask-Login, Starlette and Django have them."""

    is_authenticated: Any


@pytest.mark.parametrize(
    "nobody",
    [
        Somebody(False),
        Somebody(None),
        Somebody(0),
        Somebody(lambda: False),
        UnauthenticatedUser(),
        LocalProxy(lambda: None),
    ],
)
def test_a_user_who_is_nobody_is_not_signed_in(stage: Stage, nobody: Any) -> None:
    stage.user = nobody
    assert stage.post("create-session", {"accountId": "acct_1"}) == (401, {"error": "Not signed in"})
    assert not stage.asked
    stage.user = Somebody(True)  # type: ignore[assignment]
    assert stage.post("create-session", {"accountId": "acct_1"})[0] == 200


@pytest.mark.parametrize("endpoint", ["create-session", "sdk-token", "refresh-sdk-token"])
@pytest.mark.parametrize(
    "more",
    [
        {"body": b"["},
        {"body": b"[]"},
        {"body": b"\xff"},
        {"body": b'{"accountId": NaN}'},
        {"body": b'{"accountId": "acct_1", "accountId": "acct_2"}'},
        {"body": b"{" + b" " * MAX_BODY + b"}"},
        {"content_type": None},
        {"content_type": "text/plain"},
        {"content_type": "text/plain; application/json"},
        {"content_type": "application/json-patch+json"},
        {"content_type": "application/x-www-form-urlencoded"},
        {"content_type": "multipart/form-data; boundary=x"},
    ],
)
def test_nothing_but_a_json_object_is_read(stage: Stage, endpoint: Endpoint, more: dict[str, Any]) -> None:
    assert stage.post(endpoint, {"accountId": "acct_1"}, **more) == BAD
    assert not stage.asked
    assert not stage.issuer.asked


def test_json_by_any_of_its_names(stage: Stage) -> None:
    for name in ("application/json", "Application/JSON; charset=utf-8", " application/json ;x=y"):
        assert stage.post("create-session", {"accountId": "acct_1"}, content_type=name)[0] == 200
    assert stage.post("create-session", content_type="application/json") == BAD
    assert stage.post("refresh-sdk-token", content_type="application/json") == BAD


OWN = "https://app.example"


@pytest.mark.parametrize(
    ("origin", "site", "host", "own"),
    [
        # What is no browser, or one of long ago: the content type is what keeps other sites' forms out.
        (None, None, "app.example", True),
        # The browser says it.
        (OWN, "same-origin", "app.example", True),
        (None, "same-origin", "app.example", True),
        (None, "none", "app.example", True),
        (OWN, "cross-site", "app.example", False),
        ("https://evil.example", "cross-site", "app.example", False),
        ("https://other.app.example", "same-site", "app.example", False),
        (None, "cross-site", "app.example", False),
        (None, "anything", "app.example", False),
        # It does not, but names where the page is from.
        (OWN, None, "app.example", True),
        ("http://app.example", None, "app.example", True),
        ("https://app.example:8443", None, "app.example:8443", True),
        ("https://app.example:8443", None, "app.example", False),
        ("https://evil.example", None, "app.example", False),
        ("https://app.example.evil", None, "app.example", False),
        ("https://evil.example/app.example", None, "app.example", False),
        ("null", None, "app.example", False),
        ("null", None, "", False),
        ("null", None, None, False),
        ("", None, "", False),
        ("https://evil.example", None, None, False),
        ("https://[", None, "app.example", False),
        ("https://app.example℀", None, "app.example", False),
        # Allowed by name.
        ("https://front.example", "cross-site", "app.example", True),
        ("https://front.example", None, "app.example", True),
        ("https://front.example.evil", "cross-site", "app.example", False),
    ],
)
def test_only_pages_of_the_platform_are_answered(
    stage: Stage, origin: str | None, site: str | None, host: str | None, own: bool
) -> None:
    request = PageRequest(b"", None, origin, site, host)
    assert is_own_page(request, {"https://front.example"}) is own
    stage.settings["allow_origins"] = ["https://front.example"]
    answer = stage.post("create-session", {"accountId": "acct_1"}, origin=origin, site=site, host=host)
    assert answer == ((200, SESSION) if own else DENIED)
    assert len(stage.issuer.asked) == own


@pytest.mark.parametrize(
    "wrong", ["*", ["*"], "https://app.example", ["https://app.example/"], ["app.example"], [7], [""]]
)
def test_origins_are_named_as_browsers_send_them(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="allow_origins"):
        check_origins(wrong)


SESSION_WORDS = "No session can be had"


@pytest.mark.parametrize("code", CODES)
def test_every_error_of_the_client_has_its_answer(stage: Stage, code: Any, caplog: pytest.LogCaptureFixture) -> None:
    stage.issuer.raising = ClientError(code, "as the client says it", status=401, retry_after=2.5)
    status, content = stage.post("create-session", {"accountId": "acct_1"})
    outage = code in ("NETWORK_ERROR", "UNAVAILABLE", "RATE_LIMITED", "SERVER_ERROR")
    assert status == (503 if outage else 502)
    assert content["error"].startswith(SESSION_WORDS)
    (record,) = caplog.records
    assert (record.levelno, record.name) == (logging.WARNING if outage else logging.ERROR, "guestpass")
    assert f"{code}: as the client says it" in record.getMessage()
    assert stage.post("sdk-token") == (status, content)


@pytest.mark.parametrize("code", CASES)
def test_every_refusal_in_process_has_its_answer(stage: Stage, code: str, caplog: pytest.LogCaptureFixture) -> None:
    stage.issuer.raising = Refused(Refusal(code, "API key"))
    status, _ = stage.post("create-session", {"accountId": "acct_1"})
    expected = 503 if CASES[code].status >= 500 else 403 if code == "account_refused" else 502
    # Whatever is wrong with the back end's own key, the page is not sent to log its user in again.
    assert status == expected != 401
    assert code in caplog.text


@pytest.mark.parametrize(
    ("problem", "seconds"),
    [
        (StoreUnavailable("the store is gone"), "1"),
        (KeysUnavailable("no keys", retry_after=7.2), "8"),
        (ClientError("UNAVAILABLE", "", retry_after=0.0), "1"),
        (ClientError("UNAVAILABLE", "", retry_after=1e9), "3600"),
        (ClientError("NETWORK_ERROR", ""), "1"),
    ],
)
def test_an_outage_says_when_to_come_back(stage: Stage, problem: Exception, seconds: str) -> None:
    stage.issuer.raising = problem
    backend = PlatformBackend[str](stage.issuer, may_access=stage.may_access)
    request = PageRequest(b'{"accountId": "acct_1"}', "application/json")
    answer = run_plain(backend.answer("create-session", request, lambda: ADA, plain))
    assert (answer.status, answer.headers["Retry-After"]) == (503, seconds)


def test_an_account_that_is_not_the_platforms_is_denied(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.issuer.raising = ClientError("FORBIDDEN", "no", status=403, details={"code": "account_refused"})
    assert stage.post("create-session", {"accountId": "acct_1"}) == DENIED
    assert caplog.records[0].levelno == logging.ERROR


def test_only_what_is_offered_is_there(stage: Stage) -> None:
    both = PlatformBackend[str](stage.issuer, may_access=stage.may_access, end_user=lambda user: EndUser(user))
    assert both.endpoints == ["create-session", "sdk-token", "refresh-sdk-token"]
    sessions = PlatformBackend[str](stage.issuer, may_access=stage.may_access)
    assert sessions.endpoints == ["create-session"]
    stage.settings["end_user"] = None
    assert stage.post("sdk-token") == DENIED
    stage.settings = {"session": None}
    assert stage.post("create-session", {"accountId": "acct_1"}) == DENIED
    assert stage.issuer.asked == []


@contextmanager
def refused(said: str) -> Iterator[None]:
    with pytest.raises(ConfigurationError, match=said):
        yield


def test_what_cannot_work_is_said_when_it_is_built(stage: Stage) -> None:
    keyword: Any = {"may_access": stage.may_access}
    with refused("may_access"):
        PlatformBackend(stage.issuer, may_access=None)  # type: ignore[arg-type]
    with refused("neither"):
        PlatformBackend(stage.issuer, session=None, **keyword)
    with refused("Client"):
        PlatformBackend(KEY, **keyword)  # type: ignore[arg-type]
    with refused("allow_origins"):
        PlatformBackend(stage.issuer, allow_origins=["*"], **keyword)
    with pytest.raises(TypeError, match=r"str\(user.id\)"):
        EndUser(id=7)  # type: ignore[arg-type]


def test_in_process_mints_with_the_guards_own(house: House) -> None:
    key = house.key()
    for kind in (InProcess, AsyncInProcess):
        assert key not in repr(kind(house.guard, key)) + repr(kind(house.guard, key).account_sessions)
    issuer = InProcess(house.guard, key)
    session = issuer.account_sessions.create(account="acct_1", components={"call_logs": {"enabled": True}})
    assert house.guard.check(session.client_secret).account == "acct_1"
    assert house.guard.check(issuer.auth.sign(id=ADA).jwt).subject == ADA
    house.keys.revoke(house.guard.check(key).credential_id)
    with pytest.raises(Refused, match="key_revoked"):
        issuer.account_sessions.create(account="acct_1")


def test_in_process_with_a_guard_that_mints_nothing_is_said_when_it_is_built(stage: Stage) -> None:
    house = build()
    bare = Guard(authenticators=[house.keys], policy=house.guard.policy, mode="live")
    for kind in (InProcess, AsyncInProcess):
        with refused("AccountSessions"):
            PlatformBackend[str](kind(bare, KEY), may_access=stage.may_access)
        with refused("TokenSigner"):
            PlatformBackend[str](
                kind(bare, KEY), may_access=stage.may_access, session=None, end_user=lambda user: EndUser(user)
            )
