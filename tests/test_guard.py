"""The pipeline: one authenticator for each credential, the cache, the bound on look-ups, and accounts that are asked
after."""

import logging
import threading
from collections.abc import Callable, Generator
from functools import partial
from typing import Any, TypeVar

import pytest

from guestpass import (
    ALL,
    SINGLE_PLATFORM,
    AccountSessions,
    ApiKeys,
    ConfigurationError,
    Credential,
    Grant,
    Guard,
    Policy,
    Principal,
    Refusal,
    Refused,
    Rule,
    StoreUnavailable,
    open_store,
)
from guestpass.asgi import request_of
from guestpass.cache import VerifiedCache
from guestpass.inquiry import Ask, Inquiry, Question, ask, drive
from guestpass.ownership import OwnsAccount
from guestpass.principal import Remembered
from guestpass.records import FindKey, FindKeyById, FindSession
from guestpass.requests import Request
from guestpass.revocation.feed import feed_of
from support import (
    GatePasses,
    House,
    Recording,
    bearer,
    build,
    code_of,
    decided,
    finish,
    http_scope,
    socket_scope,
)

T = TypeVar("T")

RULES = [
    Rule("GET /v1/call_logs", component="call_logs"),
    Rule("GET /v1/tenants/{tenant}", account=("path:tenant", "header:X_Tenant")),
    Rule("WEBSOCKET /v1/events"),
]


@pytest.fixture
def house() -> House:
    return build(RULES)


def request(path: str = "/v1/call_logs", **headers: str) -> Request:
    """A GET request."""
    return request_of(http_scope("GET", path, {name.replace("_", "-"): value for name, value in headers.items()}))


def asking(credential: str, path: str = "/v1/call_logs", **headers: str) -> Request:
    """A GET request with a credential."""
    return request(path, Authorization=f"Bearer {credential}", **headers)


# --- checking a credential by itself ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "credential_malformed"),
        (" ", "credential_malformed"),
        ("a b", "credential_malformed"),
        ("a\nb", "credential_malformed"),
        ("é", "credential_malformed"),
        ("\ud800", "credential_malformed"),
        ("x" * 8_193, "credential_malformed"),
        ("x", "credential_invalid"),
        ("e..", "credential_invalid"),
        ("eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2FwaS5leGFtcGxlIn0.", "credential_invalid"),
    ],
)
def test_a_text_that_is_no_credential_is_refused(house: House, text: str, code: str) -> None:
    assert code_of(partial(house.guard.check, text)) == code


def test_a_kind_that_is_not_let_in_is_told_which_are() -> None:
    house = build([Rule("GET /logs"), Rule("GET /backend", kinds={"secret_key", "gate_pass"})])
    for path, secret, told in (
        ("/logs", house.key(kind="publishable_key"), "It is publishable"),
        ("/backend", house.session(), "Let in: gate_pass, secret_key."),
    ):
        verdict = decided(house.guard, request_of(http_scope("GET", path, bearer(secret))))
        assert isinstance(verdict, Refusal)
        assert verdict.code == "kind_refused"
        assert told in verdict.detail


def test_a_path_that_can_be_read_in_two_ways_is_answered_with_what_to_send(house: House) -> None:
    def detail(path: str, root_path: str = "") -> str:
        verdict = decided(house.guard, request_of(http_scope("GET", path, root_path=root_path)))
        assert isinstance(verdict, Refusal)
        assert verdict.code == "path_ambiguous"
        return verdict.detail

    assert "Send it without empty" in detail("/v1//call_logs")
    # No other spelling helps what only begins with the text of the root.
    assert "Send it" not in detail("/v10/call_logs", "/v1")


def test_what_is_refused_says_why_and_never_what(house: House) -> None:
    secret = "sk_live_" + "0" * 39
    with pytest.raises(Refused) as raised:
        house.guard.check(secret)
    assert (raised.value.code, raised.value.status) == ("credential_invalid", 401)
    assert secret not in str(raised.value)
    assert secret not in repr(raised.value)


# --- the cache -------------------------------------------------------------------------------------------------------


def test_what_the_cache_knows_is_one_plain_call() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    secret = house.session()
    assert isinstance(house.guard.decide(asking(secret)), Generator)
    decided(house.guard, asking(secret))
    before = len(store.asked)
    for _ in range(5):
        assert isinstance(house.guard.decide(asking(secret)), Principal)
    assert len(store.asked) == before


def test_a_session_is_looked_up_once_for_as_long_as_the_list_of_revocations_is_read() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    secret = house.session()
    for _ in range(10):
        house.guard.check(secret)
        house.clock.advance(9)
        feed_of(store).read()
    assert store.count(FindSession) == 1


def test_a_key_is_looked_up_anew_after_a_minute() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store, max_list_age=1_000.0)
    secret = house.key()
    for seconds, looks in ((0, 1), (59.9, 1), (0.1, 2), (59.9, 2)):
        house.clock.advance(seconds)
        house.guard.check(secret)
        assert store.count(FindKey) == looks


@pytest.mark.parametrize(("good_for", "recheck"), [(None, 5.0), (5.0, 100.0)])
def test_a_kind_of_ones_own_is_asked_anew_after_recheck_or_as_it_says(good_for: float | None, recheck: float) -> None:
    own = Own("own", good_for=good_for)
    house = build(RULES, more=[own], recheck=recheck, max_list_age=1_000.0)
    for seconds, looks in ((0, 1), (4.9, 1), (0.1, 2), (4.9, 2)):
        house.clock.advance(seconds)
        house.guard.check("own_x")
        assert len(own.asked) == looks


def test_refusals_are_not_remembered() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    unknown = build(RULES, seed=5).session()
    for _ in range(3):
        assert code_of(partial(house.guard.check, unknown)) == "credential_invalid"
    assert store.count(FindSession) == 3


def test_a_look_up_that_began_before_a_revocation_is_refused_and_leaves_no_verdict_after_it() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    made = house.sessions.create(by=house.minter(), account="acct_1")
    # The store has answered, and before the verdict is written the session is revoked.
    store.after[FindSession] = lambda: house.sessions.revoke(made.id)
    for _ in range(2):
        assert code_of(partial(house.guard.check, made.client_secret)) == "session_revoked"


def test_a_look_up_that_began_before_something_was_forgotten_leaves_no_verdict() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    secret = house.session()
    store.after[FindSession] = lambda: house.guard.forget(lambda _: False)
    house.guard.check(secret)
    house.guard.check(secret)
    assert store.count(FindSession) == 2


@pytest.mark.parametrize("end", ["revoke", "narrow", "replay", "account"])
def test_whatever_ends_a_session_here_is_not_outlived_by_its_cached_verdict(end: str) -> None:
    house = build(RULES, recheck=1_000.0)
    by = house.minter()
    made = house.sessions.create(by=by, account="acct_1", idempotency_key="k")
    house.guard.check(made.client_secret)
    if end == "revoke":
        house.keys.revoke(by.credential_id)
    elif end == "narrow":
        house.keys.narrow(by.credential_id)
    elif end == "account":
        house.revocations.account("plat", "acct_1")
    else:
        house.sessions.create(by=by, account="acct_1", idempotency_key="k")
    assert code_of(partial(house.guard.check, made.client_secret)) in ("session_revoked", "credential_invalid")


def test_a_cached_verdict_never_outlives_its_end() -> None:
    house = build(RULES, recheck=1_000.0)
    secret = house.session(expires_in=60)
    house.guard.check(secret)
    house.clock.advance(60)
    assert code_of(partial(house.guard.check, secret)) == "session_expired"


def test_a_credential_that_ends_while_it_is_looked_up_is_refused() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    secret = house.session(expires_in=60)
    house.clock.advance(59)
    store.after[FindSession] = lambda: house.clock.advance(1)
    assert code_of(partial(house.guard.check, secret)) == "session_expired"


def test_the_cache_is_bounded_and_the_oldest_leaves_first() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store, cache_size=2)
    secrets = [house.session(f"acct_{number}") for number in range(3)]
    house.guard.forget(lambda _: True)
    for secret in secrets:
        house.guard.check(secret)
    before = store.count(FindSession)
    house.guard.check(secrets[1])
    house.guard.check(secrets[2])
    assert store.count(FindSession) == before
    house.guard.check(secrets[0])
    assert store.count(FindSession) == before + 1


def test_the_cache_by_itself_keeps_its_promises() -> None:
    cache = VerifiedCache(2)
    principals = [Principal("own", str(number), Grant("plat", "live"), str(number)) for number in range(3)]
    entries = [Remembered(principal, principal.standing, 10.0, ()) for principal in principals]
    cache.put(b"0", entries[0], cache.generation)
    assert cache.get(b"0") is entries[0]
    assert cache.get(b"1") is None
    stale = cache.generation
    cache.forget(lambda principal: principal.subject == "0")
    assert cache.get(b"0") is None
    cache.put(b"1", entries[1], stale)
    assert len(cache) == 0
    for number, entry in enumerate(entries):
        cache.put(str(number).encode(), entry, cache.generation)
    assert len(cache) == 2
    cache.put(b"2", entries[0], cache.generation)
    assert len(cache) == 2
    assert cache.get(b"2") is entries[0]


def test_a_cached_secret_key_is_still_no_browsers(house: House, caplog: pytest.LogCaptureFixture) -> None:
    secret = house.key(accounts={"acct_1"})
    assert isinstance(decided(house.guard, asking(secret)), Principal)
    verdict = decided(house.guard, asking(secret, Origin="https://shop.example"))
    assert isinstance(verdict, Refusal)
    assert verdict.code == "secret_key_in_browser"
    (record,) = [record for record in caplog.records if record.name == "guestpass.security"]
    assert record.levelno == logging.WARNING
    assert house.guard.check(secret).credential_id in record.getMessage()
    assert secret not in record.getMessage()


@pytest.mark.parametrize("state", ["valid", "unknown", "mistyped", "revoked", "expired", "test"])
def test_a_secret_key_in_a_browser_is_reported_valid_or_not(state: str, caplog: pytest.LogCaptureFixture) -> None:
    house = build(RULES)
    makers: dict[str, Callable[[], str]] = {
        "valid": house.key,
        "unknown": build(RULES, seed=9).key,
        "mistyped": lambda: "sk_live_nonsense",
        "revoked": house.key,
        "expired": partial(house.key, expires_at=house.clock.now + 1),
        "test": build(RULES, mode="test", store=house.store, clock=house.clock, seed=3).key,
    }
    secret = makers[state]()
    if state == "revoked":
        house.keys.revoke(house.guard.check(secret).credential_id)
    house.clock.advance(2)
    for headers in ({"Origin": "https://shop.example"}, {"Sec_Fetch_Site": "same-origin"}):
        caplog.clear()
        verdict = decided(house.guard, asking(secret, **headers))
        assert isinstance(verdict, Refusal)
        assert verdict.code == "secret_key_in_browser"
        assert [record.name for record in caplog.records] == ["guestpass.security"]
        assert secret not in caplog.text


def test_while_the_store_is_away_a_secret_key_in_a_browser_is_503() -> None:
    whole = build(RULES)
    from support import Failing

    house = build(RULES, store=Failing(StoreUnavailable("gone")))
    verdict = decided(house.guard, asking(whole.key(), Origin="https://shop.example"))
    assert isinstance(verdict, Refusal)
    assert verdict.code == "store_unavailable"


# --- many at once ----------------------------------------------------------------------------------------------------


def test_look_ups_of_unseen_credentials_are_bounded_and_the_known_never_queue_behind_them() -> None:
    house = build(RULES, lookups=2)
    known = house.session()
    house.guard.check(known)
    unseen = [house.session(f"acct_{number}") for number in range(3)]
    waiting = [house.guard.decide(asking(secret)) for secret in unseen]
    started = []
    for inquiry in waiting[:2]:
        assert isinstance(inquiry, Generator)
        started.append(next(inquiry))
    third = waiting[2]
    assert isinstance(third, Generator)
    verdict = drive(third)
    assert isinstance(verdict, Refusal)
    assert (verdict.code, verdict.status, verdict.retry_after_seconds()) == ("overloaded", 503, 1)
    assert isinstance(house.guard.decide(asking(known)), Principal)
    # One ends, or is given up: its place is free again.
    waiting[0].close()  # type: ignore[union-attr]
    assert house.guard.check(unseen[2]).kind == "account_session"
    assert all(isinstance(one, Ask) for one in started)
    waiting[1].close()  # type: ignore[union-attr]
    for _ in range(10):
        house.guard.forget(lambda _: True)
        house.guard.check(unseen[0])


class Patient:
    """Asks somebody who asks once for however many wait."""

    single_flight = True

    def kind_of(self, credential: Credential, /) -> str | None:
        return "patient" if credential.text.startswith("patient_") else None

    def authenticate(self, credential: Credential, now: float, /) -> Inquiry[Principal | Refusal]:
        yield from ask(self, FindKeyById("x"))
        return Principal("patient", "p", Grant("acme", "live"), "p")

    def answer(self, question: Question[T], /) -> T:
        raise AssertionError(question)


def test_who_waits_for_a_single_flight_takes_up_nobodys_place() -> None:
    house = build(RULES, lookups=1, more=[Patient()])
    waiting = [house.guard.decide(asking(f"patient_{number}")) for number in range(5)]
    for inquiry in waiting:
        assert isinstance(inquiry, Generator)
        assert isinstance(next(inquiry), Ask)
    assert house.guard.check(house.session()).kind == "account_session"
    for inquiry in waiting:
        assert isinstance(inquiry, Generator)
        inquiry.close()


def test_a_look_up_that_fails_gives_its_place_back() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store, lookups=1)
    secret = house.session()

    def fail() -> None:
        raise OSError("disk")

    for _ in range(3):
        store.before[FindSession] = fail
        with pytest.raises(OSError, match="disk"):
            house.guard.check(secret)
    assert house.guard.check(secret).kind == "account_session"


def test_threads_share_one_guard(house: House) -> None:
    secrets = {house.session(f"acct_{number}"): f"acct_{number}" for number in range(8)}
    wrong: list[object] = []

    def work(number: int) -> None:
        for turn in range(50):
            for secret, account in secrets.items():
                if house.guard.check(secret).account != account:
                    wrong.append((number, secret))
            if turn % 10 == number:
                house.guard.forget(lambda _: True)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- accounts that are asked after -----------------------------------------------------------------------------------


def test_a_register_is_asked_once_and_a_no_every_time() -> None:
    asked: list[str] = []

    def owns(platform: str, account: str) -> bool:
        asked.append(account)
        return account == "acct_1"

    house = build(RULES, owns=owns)
    secret = house.key()
    for account in ("acct_1", "acct_1", "acct_2", "acct_2"):
        decided(house.guard, asking(secret, Account_Id=account))
    assert asked == ["acct_1", "acct_2", "acct_2"]


def test_with_one_platform_every_account_is_its_own() -> None:
    house = build(RULES, owns=SINGLE_PLATFORM)
    verdict = decided(house.guard, asking(house.key(), Account_Id="anything"))
    assert isinstance(verdict, Principal)
    assert verdict.account == "anything"


@pytest.mark.parametrize("answer", [1, "yes", None, object(), [True]])
def test_only_true_is_a_yes(answer: Any) -> None:
    house = build(RULES, owns=lambda platform, account: answer)
    verdict = decided(house.guard, asking(house.key(), Account_Id="acct_1"))
    assert isinstance(verdict, Refusal)
    assert verdict.code == "account_refused"


def test_the_question_after_an_account_can_be_answered_by_a_script() -> None:
    house = build(RULES)
    secret = house.key()
    house.guard.check(secret)
    for answer, expected in ((True, "let in"), (False, "account_refused")):
        inquiry = house.guard.decide(asking(secret, Account_Id="acct_1"))
        assert isinstance(inquiry, Generator)
        verdict = finish(inquiry, answer)
        assert (verdict.code if isinstance(verdict, Refusal) else "let in") == expected
    again = house.guard.decide(asking(secret, Account_Id="acct_1"))
    assert isinstance(again, Generator)
    asked = next(again)
    assert asked.question == OwnsAccount("plat", "acct_1")


def test_without_a_register_a_key_for_all_accounts_may_name_none() -> None:
    class Masters(GatePasses):
        def authenticate(self, credential: Credential, now: float, /) -> Principal:
            return Principal("gate_pass", "m", Grant("plat", "live", ALL, ALL, ALL), "m")

    store = open_store("memory://")
    guard = Guard(
        authenticators=[Masters(), AccountSessions(store)], policy=Policy(Rule("GET /v1/call_logs")), mode="live"
    )
    verdict = decided(guard, asking("gp_live_x", Account_Id="acct_1"))
    assert isinstance(verdict, Refusal)
    assert verdict.code == "account_refused"


@pytest.mark.parametrize("spelled", ["X-Tenant", "x_tenant", "X_Tenant", "x-TENANT"])
def test_a_header_that_names_the_account_is_compared_however_it_is_spelled(house: House, spelled: str) -> None:
    scope = http_scope("GET", "/v1/tenants/acct_1", [*bearer(house.session()).items(), (spelled, "acct_2")])
    verdict = decided(house.guard, request_of(scope))
    assert isinstance(verdict, Refusal)
    assert verdict.code == "account_mismatch"


def test_the_account_header_is_a_setting() -> None:
    house = build(RULES, account_header="DialStack-Account")
    secret = house.session()
    for name, code in (
        ("DialStack-Account", "account_mismatch"),
        ("dialstack_account", "account_mismatch"),
        ("Account-Id", ""),
    ):
        scope = http_scope("GET", "/v1/call_logs", [*bearer(secret).items(), (name, "acct_2")])
        verdict = decided(house.guard, request_of(scope))
        assert (verdict.code if isinstance(verdict, Refusal) else "") == code


# --- authenticators --------------------------------------------------------------------------------------------------


class Own:
    """A kind of one's own, by prefix; refuses or proves through an inquiry."""

    def __init__(
        self,
        prefix: str,
        kind: str = "own",
        mode: Any = "live",
        issuer: str | None = None,
        good_for: float | None = None,
    ) -> None:
        self.prefixes = (prefix,)
        self.kind = kind
        self.mode = mode
        self.asked: list[str] = []
        if issuer is not None:
            self.issuer = issuer
        if good_for is not None:
            self.good_for = good_for

    def kind_of(self, credential: Credential, /) -> str | None:
        return self.kind if credential.text.startswith(self.prefixes[0] + "_") else None

    def authenticate(self, credential: Credential, now: float, /) -> Any:
        self.asked.append(credential.text)
        if "bad" in credential.text:
            raise Refused(Refusal("credential_invalid", "own"))
        if "down" in credential.text:
            raise StoreUnavailable("own store", retry_after=2)
        return self._later(credential)

    def _later(self, credential: Credential) -> Any:
        yield from ()
        if "late" in credential.text:
            raise Refused(Refusal("key_revoked", "own"))
        if "gone" in credential.text:
            raise StoreUnavailable("own store")
        return Principal(self.kind, "me", Grant("plat", self.mode, frozenset({"acct_1"}), ALL, ALL), "own_1")


def test_what_an_authenticator_refuses_no_other_one_is_asked_about() -> None:
    one, other = Own("aa"), Own("bb")
    house = build(RULES, more=[one, other])
    for text, code in (
        ("aa_bad", "credential_invalid"),
        ("aa_down", "store_unavailable"),
        ("aa_late", "key_revoked"),
        ("aa_gone", "store_unavailable"),
    ):
        assert code_of(partial(house.guard.check, text)) == code
    assert other.asked == []
    assert house.guard.check("bb_x").kind == "own"
    assert one.asked == ["aa_bad", "aa_down", "aa_late", "aa_gone"]


def test_a_principal_of_the_other_mode_is_refused() -> None:
    house = build(RULES, more=[Own("aa", mode="test")])
    assert code_of(partial(house.guard.check, "aa_x")) == "credential_invalid"


def test_one_issuer_prefix_and_register_belong_to_one_authenticator() -> None:
    store = open_store("memory://")
    keys = ApiKeys(store, owns=SINGLE_PLATFORM)
    wrong: list[tuple[list[Any], str]] = [
        ([], "without one"),
        ([AccountSessions(store), AccountSessions(store)], "begin with cs_"),
        ([keys, Own("sk")], "begin with sk_"),
        ([Own("a", issuer="https://i"), Own("b", issuer="https://i")], "issuer 'https://i'"),
        (
            [keys, ApiKeys(store, owns=SINGLE_PLATFORM, secret_prefix="k", publishable_prefix="p")],
            "two authenticators have owns",
        ),
    ]
    for authenticators, words in wrong:
        with pytest.raises(ConfigurationError, match=words):
            Guard(authenticators=authenticators, policy=Policy(*[Rule("GET /")]), mode="live")


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("mode", "prod", 'mode="live"'),
        ("realm", 'a"b', "realm"),
        ("realm", "a\nb", "realm"),
        ("realm", "ä", "realm"),
        ("realm", "a\\", "realm"),
        ("recheck", 0, "recheck"),
        ("recheck", -1, "recheck"),
        ("recheck", float("nan"), "recheck"),
        ("lookups", 0, "lookups"),
        ("cache_size", 0, "cache_size"),
    ],
)
def test_settings_that_cannot_work_are_errors_that_name_them(setting: str, value: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        build(RULES, **{setting: value})


# --- the form of a request -------------------------------------------------------------------------------------------


def test_a_key_by_header_on_a_socket_is_a_backends(house: House) -> None:
    secret = house.key(accounts={"acct_1"})
    headers = {**bearer(secret), "Origin": "https://shop.example"}
    assert isinstance(decided(house.guard, request_of(socket_scope("/v1/events", headers))), Principal)
    paired = request_of(socket_scope("/v1/events", {"Origin": "https://shop.example"}, ["apikey", secret]))
    verdict = decided(house.guard, paired)
    assert isinstance(verdict, Refusal)
    assert verdict.code == "secret_key_in_browser"


def test_requests_and_what_they_present_show_no_credential(house: House) -> None:
    from guestpass.credentials import Credential
    from guestpass.requests import meanings_of_request, read
    from guestpass.tokens import read_token

    secret = house.session()
    for shown in (asking(secret), request_of(socket_scope("/v1/events", {}, ["client_secret", secret]))):
        assert secret not in repr(shown)
        assert secret not in repr(read(shown, meanings_of_request(b"account-id")))
    token = house.token()
    for one in (Credential(secret), Credential(token, "jwt", read_token(token))):
        assert one.text not in repr(one)
        assert one.text.rpartition(".")[2] not in repr(one)


def test_the_same_key_is_looked_up_by_its_digest_alone() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    house.minter()
    assert store.count(FindKey) == 1


def test_whoever_watches_a_principal_is_told_of_its_end(house: House) -> None:
    told: list[str] = []
    principals = [house.guard.check(house.session(account)) for account in ("acct_1", "acct_2")]
    stop = [
        house.guard.watch(principal, lambda principal=principal: told.append(principal.subject))  # type: ignore[misc]
        for principal in principals
    ]
    house.revocations.account("plat", "acct_1")
    assert told == ["acct_1"]
    stop[1]()
    house.revocations.account("plat", "acct_2")
    assert told == ["acct_1"]


def test_a_question_that_was_answered_is_not_asked_again() -> None:
    from guestpass.guard import _final

    with pytest.raises(TypeError, match="had been told of"):
        _final(OwnsAccount("plat", "acct_1"))


# --- revocations -----------------------------------------------------------------------------------------------------


def test_a_guard_without_a_store_or_with_several_says_what_to_write() -> None:
    stores = [open_store("memory://") for _ in range(2)]
    one, other = (AccountSessions(store, prefix=prefix) for store, prefix in zip(stores, ("cs", "ds"), strict=True))
    for authenticators in ([GatePasses()], [one, other]):
        guard = Guard(authenticators=authenticators, policy=Policy(Rule("GET /")), mode="live")
        with pytest.raises(ConfigurationError, match=r"write Revocations\(store\)"):
            _ = guard.revocations
