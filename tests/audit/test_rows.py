"""What a table says of a rule, in words."""

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from audit.gaps import read
from audit.houses import COMPONENTS, a_guard
from guestpass import Policy, Rule
from guestpass.asgi import GuardMiddleware
from guestpass.audit import audit
from guestpass.audit.rows import describe

POLICY = Policy(components=COMPONENTS, roles=("external_entity", "admin"))


@pytest.mark.parametrize(
    ("need", "said"),
    [
        ({}, "account; role external_entity"),
        ({"account": False, "role": None}, "a credential"),
        ({"role": "admin", "account": "query:id"}, "account (query id); role admin"),
        ({"component": "call_logs", "feature": "transcripts", "role": None}, "account; call_logs/transcripts"),
        (
            {"kinds": {"secret_key", "ours"}, "mints": True, "account": False, "role": None},
            "kinds ours, secret_key; mints",
        ),
        ({"public": True, "reason": "probes have none"}, "public: probes have none"),
    ],
)
def test_a_rule_in_words(need: Any, said: str) -> None:
    assert describe(POLICY, Rule("GET /x", **need)) == said


def test_a_row_for_each_rule_of_a_route() -> None:
    route = Route("/x", read, methods=["GET", "POST", "DELETE"])
    rules = [Rule("GET,POST /x", account=False, role=None)]
    seen = audit(GuardMiddleware(Starlette(routes=[route]), a_guard(*rules)))
    assert [(row.shown, row.needs) for row in seen.rows] == [
        ("DELETE /x", "nobody gets in"),
        ("GET,POST /x", "a credential"),
    ]
    assert [(finding.code, finding.route) for finding in seen.findings] == [("route_uncovered", "DELETE /x")]


def test_without_a_guard_a_row_says_so() -> None:
    seen = audit(Starlette(routes=[Route("/x", read)]))
    assert [(row.shown, row.needs) for row in seen.rows] == [("GET /x", "no guard")]
