"""What a stranger sent is bounded, on one line, and never a credential."""

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestpass.quoting import LONGEST, PIECE, Veil, instant, quoted, without_credentials

SECRET = "sk_live_4Zq1XAm2VYbT9hQe7dLwK0SFv4vhoeLwt9dIDrCKTWabc"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"


@pytest.mark.parametrize("around", ["{}", "x_{}", "/v1/{}/logs", "a b {}", "{}\n", "iss={}"])
@pytest.mark.parametrize("secret", [SECRET, JWT, SECRET.replace("sk", "mykey2")])
def test_what_has_the_form_of_a_credential_is_cut_short(around: str, secret: str) -> None:
    for shown in (quoted(around.format(secret)), without_credentials(around.format(secret))):
        assert secret[9:] not in shown
        assert "…" in shown or "\\u2026" in shown


@given(st.text())
def test_what_is_quoted_is_short_and_on_one_line(text: str) -> None:
    shown = quoted(text)
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) <= (LONGEST + 1) * 10 + 2


@given(st.text(max_size=60), st.text(min_size=1, max_size=60), st.text(max_size=20))
def test_no_piece_of_what_was_presented_is_left(before: str, presented: str, after: str) -> None:
    veil = Veil([presented])
    shown = veil(before + presented + after)
    for start in range(len(presented) - PIECE + 1):
        assert presented[start : start + PIECE] not in shown
    assert presented not in repr(veil) or len(presented) < PIECE


def test_a_veil_leaves_alone_what_is_no_part_of_it() -> None:
    veil = Veil([f"Bearer {SECRET}", "client_secret"])
    assert veil("acct_01h2xcejqtf2nbrexx3vqjhp41") == "acct_01h2xcejqtf2nbrexx3vqjhp41"
    assert veil(f"before {SECRET[8:30]} after") == "before … after"
    assert veil("a client_secret") == "a …"


def test_an_instant_is_written_as_a_date() -> None:
    assert instant(1_900_000_000.7) == "2030-03-17T17:46:40Z"
    assert instant(math.inf) == instant(-1e300) == "no date"


@pytest.mark.parametrize(
    "text", ["a" * 65_536, "a_" * 30_000, "a_live_" * 9_000, "eyJ" * 20_000, "sk_live_" + "A" * 60_000]
)
def test_a_long_text_takes_no_long_time(text: str) -> None:
    began = time.process_time()
    quoted(text)
    without_credentials(text)
    assert time.process_time() - began < 1


@pytest.mark.parametrize("place", range(LONGEST + 2))
def test_a_credential_that_the_cut_goes_through_is_not_shown(place: int) -> None:
    shown = quoted("-" * place + SECRET)
    assert SECRET[8:12] not in shown
