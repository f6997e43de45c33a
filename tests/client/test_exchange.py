"""One call: which answers are tried again, after how long, and what each of the others means."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.scripted import KEY
from guestpass.client import CODES, ClientError
from guestpass.client.exchange import Call, Outgoing, Reply, error_of, exchange, pause_after, read_problem, retry_after
from guestpass.client.settings import Settings
from guestpass.concurrency.coroutines import run_plain
from guestpass.refusals import CASES, FieldError, Refusal

UNREACHED = ClientError("NETWORK_ERROR", "no connection")


@dataclass
class Link:
    """Gives these outcomes, in order."""

    outcomes: list[Reply | ClientError]
    sent: list[Outgoing] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)

    async def send(self, outgoing: Outgoing, /) -> Reply:
        self.sent.append(outgoing)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, ClientError):
            raise outcome
        return outcome

    async def pause(self, seconds: float, /) -> None:
        self.pauses.append(seconds)


def reply(status: int, content: object = None, after: float | None = None) -> Reply:
    return Reply(status, json.dumps(content).encode(), 7.0, after)


def perform(link: Link, *, retries: int = 2, chance: Callable[[], float] = lambda: 1.0) -> object:
    settings = Settings.read("https://api.example/v", KEY, 10, retries, chance, {})
    return run_plain(exchange(Call("/v1/x", b"{}", lambda content, at: (content, at), {"X": "y"}), link, settings))


def test_a_request_says_what_it_is_and_carries_the_key_once() -> None:
    link = Link([reply(201, "made")])
    assert perform(link) == (b'"made"', 7.0)
    (sent,) = link.sent
    assert (sent.url, sent.body) == ("https://api.example/v/v1/x", b"{}")
    assert sent.headers == {
        "Authorization": f"Bearer {KEY}",
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "guestpass-client",
        "X": "y",
    }
    assert KEY not in repr(sent)


@pytest.mark.parametrize("first", [UNREACHED, reply(502), reply(503), reply(504), reply(429, after=0.0)])
def test_what_may_pass_is_tried_again_with_the_very_same_request(first: Reply | ClientError) -> None:
    link = Link([first, first, reply(200, "made")])
    assert perform(link) == (b'"made"', 7.0)
    assert link.pauses == [0.5, 1.0]
    assert link.sent[0] is link.sent[1] is link.sent[2]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 501, 505])
def test_what_would_fail_again_is_not(status: int) -> None:
    link = Link([reply(status)])
    with pytest.raises(ClientError) as raised:
        perform(link)
    assert raised.value.status == status
    assert (len(link.sent), link.pauses) == (1, [])


def test_it_gives_up_after_so_many_tries_with_the_last_problem() -> None:
    link = Link([UNREACHED, UNREACHED, reply(503, after=1.0)])
    with pytest.raises(ClientError) as raised:
        perform(link)
    assert (raised.value.code, raised.value.status, raised.value.retry_after) == ("UNAVAILABLE", 503, 1.0)
    link = Link([UNREACHED])
    with pytest.raises(ClientError):
        perform(link, retries=0)
    assert link.pauses == []


def test_retry_after_is_honoured_up_to_a_bound() -> None:
    link = Link([reply(503, after=3.0), reply(503, after=10.0), reply(200)])
    perform(link)
    assert link.pauses == [3.5, 11.0]
    link = Link([reply(503, after=10.5)])
    with pytest.raises(ClientError) as raised:
        perform(link)
    assert (raised.value.retry_after, link.pauses) == (10.5, [])


@given(st.integers(0, 10), st.floats(0, 1), st.none() | st.floats(0, 10))
def test_a_pause_has_a_bound_and_is_never_shorter_than_asked(failures: int, chance: float, asked: float | None) -> None:
    pause = pause_after(ClientError("UNAVAILABLE", "", retry_after=asked), failures, lambda: chance)
    assert pause is not None
    assert (asked or 0) <= pause <= (asked or 0) + min(0.5 * 2**failures, 8.0) * chance + 1e-9


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        (None, None, None),
        ("7", None, 7.0),
        ("0", None, 0.0),
        ("9" * 40, None, 999_999_999.0),
        ("-1", None, None),
        ("1.5", None, None),
        ("soon", None, None),
        ("٣", None, None),
        ("", None, None),
        # The server's own clock, wherever it stands.
        (formatdate(1_000_090, usegmt=True), formatdate(1_000_000, usegmt=True), 90.0),
        (formatdate(1_000_000, usegmt=True), formatdate(1_000_090, usegmt=True), 0.0),
        (formatdate(1_000_090, usegmt=True), None, None),
        (formatdate(1_000_090, usegmt=True), "today", None),
        ("Thu, 01 Jan 1970 00:00:00", formatdate(1_000_000, usegmt=True), None),
        ("Thu, 01 Jan 1970 00:00:00 +" + "9" * 20, formatdate(1_000_000, usegmt=True), None),
        ("Thu, " + "9" * 20 + " Jan 1970 00:00:00 GMT", formatdate(1_000_000, usegmt=True), None),
    ],
)
def test_retry_after(value: str | None, date: str | None, seconds: float | None) -> None:
    assert retry_after(value, date) == seconds


@given(st.text() | st.from_regex(r"[A-Za-z]{3}, \d+ [A-Z][a-z]{2} \d+ \d+:\d+:\d+ ([+-]\d{1,30}|GMT)"), st.text())
def test_retry_after_may_be_anything(value: str, date: str) -> None:
    for one in (value, date):
        seconds = retry_after(value, one)
        assert seconds is None or seconds >= 0


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (200, "INVALID_RESPONSE"), (204, "INVALID_RESPONSE"), (301, "INVALID_RESPONSE"), (307, "INVALID_RESPONSE"),
        (400, "VALIDATION_ERROR"), (422, "VALIDATION_ERROR"), (401, "UNAUTHORIZED"), (403, "FORBIDDEN"),
        (404, "NOT_FOUND"), (405, "INVALID_REQUEST"), (413, "INVALID_REQUEST"), (409, "CONFLICT"),
        (429, "RATE_LIMITED"), (500, "SERVER_ERROR"), (501, "SERVER_ERROR"), (502, "UNAVAILABLE"),
        (503, "UNAVAILABLE"), (504, "UNAVAILABLE"), (599, "SERVER_ERROR"),
    ],
)  # fmt: skip
def test_every_status_has_its_code(status: int, code: str) -> None:
    problem = error_of(reply(status), KEY)
    assert (problem.code, problem.status) == (code, status)
    # What to do next.
    assert re.search(r"base_url|Correct|Check|Use|Ask|Try", str(problem))


@pytest.mark.parametrize("code", CASES)
def test_every_refusal_of_the_api_is_read_in_full(code: str) -> None:
    refusal = Refusal(code, "API key", errors=(FieldError("expires_in", "an integer"),))
    problem = error_of(reply(refusal.status, refusal.problem()), KEY)
    assert problem.details == {
        "code": code,
        "detail": refusal.detail,
        "errors": ({"field": "expires_in", "reason": "an integer"},),
    }
    assert f" {code}. {refusal.detail.removesuffix('.')}. expires_in: an integer. " in str(problem)
    with pytest.raises(TypeError):
        problem.details["code"] = ""  # type: ignore[index]


@pytest.mark.parametrize(
    "content",
    [
        None, [], "text", 7, {"code": "Not A Code"}, {"code": 7, "detail": 7, "errors": 7}, {"code": "x" * 65},
        {"errors": "text"}, {"errors": {"field": "a"}},
    ],
)  # fmt: skip
def test_an_answer_that_is_no_problem_has_no_details(content: object) -> None:
    assert not read_problem(json.dumps(content).encode(), KEY)
    assert read_problem(b"<html>", KEY) == {}
    assert read_problem(b'{"errors": [7, {}, {"field": "a"}]}', KEY) == {"errors": ()}


def test_no_credential_comes_back_in_an_error() -> None:
    short = "sk_test_short"
    token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJlc2lnbmF0dXJl"
    echoed = f"you sent {short}, {token}, cs_live_{'0' * 39}\n\x1b[31m" + "long " * 200
    content = {"detail": echoed, "errors": [{"field": token, "reason": short}] * 50}
    problem = error_of(reply(400, content), short)
    for text in (str(problem), repr(problem), repr(problem.details)):
        assert not re.search(r"short|eyJ|0000|\x1b|\n", text)
    detail, errors = problem.details["detail"], problem.details["errors"]
    assert isinstance(detail, str)
    assert isinstance(errors, tuple)
    assert (len(detail), len(errors)) == (500, 20)


def test_junk_has_the_status_it_came_with() -> None:
    def read(content: bytes, at: float) -> object:
        raise ClientError("INVALID_RESPONSE", "junk")

    settings = Settings.read("https://api.example", KEY, environment={})
    with pytest.raises(ClientError) as raised:
        run_plain(exchange(Call("/", b"{}", read), Link([reply(201)]), settings))
    assert (raised.value.code, raised.value.status) == ("INVALID_RESPONSE", 201)


def test_the_documentation_has_every_code() -> None:
    text = (Path(__file__).parents[2] / "docs" / "clients.md").read_text()
    assert re.findall(r"^\| `([A-Z_]+)` \|", text, re.MULTILINE) == list(CODES)
