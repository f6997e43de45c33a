"""Rules and the policy: which rule a request finds, and what contradicts itself at construction."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestpass import ConfigurationError, Grant, Guard, Policy, Rule
from guestpass.policy import overlapping
from guestpass.rules import BASE_ROLE, WEBSOCKET, Place, needs
from support import COMPONENTS, ROLES, build, policy

VOCABULARY: dict[str, Any] = {"components": COMPONENTS, "roles": ROLES}

# --- bad rules -------------------------------------------------------------------------------------------------------

BAD_RULES: list[tuple[str, dict[str, Any], str]] = [
    ("/v1/x", {}, "write the method and the path"),
    ("GET", {}, "write the method and the path"),
    ("GET v1/x", {}, "write the method and the path"),
    ("", {}, "write the method and the path"),
    ("G3T /x", {}, "is not a method"),
    ("GET, /x", {}, "write the method|is not a method"),
    ("GET,,POST /x", {}, "is not a method"),
    ("GET /x//y", {}, "neither a literal"),
    ("GET /../x", {}, "neither a literal"),
    ("GET /./x", {}, "neither a literal"),
    ("GET /x%2fy", {}, "neither a literal"),
    ("GET /x;y", {}, "neither a literal"),
    ("GET /x\\y", {}, "neither a literal"),
    ("GET /x y", {}, "neither a literal"),
    ("GET /x\n", {}, "neither a literal"),
    ("GET /{a-b}", {}, "neither a literal"),
    ("GET /{a}.json", {}, "neither a literal"),
    ("GET /{1}", {}, "neither a literal"),
    ("GET /{rest...}/x", {}, "only be the last"),
    ("GET /{a}/{a}", {}, "twice"),
    ("GET /x", {"public": True}, "says why"),
    ("GET /x", {"public": True, "reason": ""}, "says why"),
    ("GET /x", {"public": True, "reason": "r", "component": "call_logs"}, "drop component"),
    ("GET /x", {"public": True, "reason": "r", "role": None}, "drop role"),
    ("GET /x", {"public": True, "reason": "r", "account": False}, "drop account"),
    ("GET /x", {"public": True, "reason": "r", "mints": True, "kinds": {"a"}}, "drop kinds, mints"),
    ("GET /x", {"reason": "r"}, "belong to public"),
    ("GET /x", {"optional": True}, "belong to public"),
    ("GET /x", {"feature": "transcripts"}, "needs component"),
    ("GET /x", {"encoded_slashes": True}, "encoded_slashes"),
    ("GET /x", {"kinds": "secret_key"}, "a set of kinds"),
    ("GET /x", {"kinds": ()}, "a set of kinds"),
    ("GET /x", {"account": "tenant"}, "path:NAME"),
    ("GET /x", {"account": "body:tenant"}, "path:NAME"),
    ("GET /x", {"account": "query:"}, "path:NAME"),
    ("GET /x", {"account": "path:tenant"}, "has no {tenant}"),
    ("GET /x", {"account": ()}, "names no place"),
    ("GET /x/{account...}", {}, "account"),
    ("GET /x/{tenant...}", {"account": "path:tenant"}, "tenant"),
]


@pytest.mark.parametrize(("pattern", "need", "words"), BAD_RULES)
def test_a_rule_that_contradicts_itself_is_an_error_that_names_it(
    pattern: str, need: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as raised:
        Rule(pattern, **need)
    assert repr(pattern) in str(raised.value)


BAD_POLICIES: list[tuple[list[Rule], dict[str, Any], str]] = [
    ([], {}, r"empty policy.*at the routes.*roles=\("),
    ([Rule("GET /x", component="call_log")], VOCABULARY, "did you mean 'call_logs'"),
    ([Rule("GET /x", component="zzz")], VOCABULARY, r"add it to Policy\(components"),
    ([Rule("GET /x", component="call_logs", feature="transcript")], VOCABULARY, "did you mean 'transcripts'"),
    ([Rule("GET /x", component="voicemails", feature="zzz")], VOCABULARY, "that component's features"),
    ([Rule("GET /x", role="admins")], VOCABULARY, "did you mean 'admin'"),
    ([Rule("GET /x", role="zzz")], {}, r"add it to Policy\(roles"),
    ([Rule("GET /x")], {"components": {"call_logs": "transcripts"}}, "tuple"),
    ([Rule("GET /x")], {"components": {"Call Logs": ()}}, "is not 1-64"),
    ([Rule("GET /x")], {"components": {"a": ("b/c",)}}, "is not 1-64"),
    ([Rule("GET /x")], {"roles": "admin"}, "tuple in order"),
    ([Rule("GET /x")], {"roles": ("Admin",)}, "is not 1-64"),
    ([Rule("GET /x")], {"roles": ("a", "b", "a")}, "twice"),
    ([Rule("GET /x"), Rule("GET /x")], {}, "same requests"),
    ([Rule("GET /x"), Rule("HEAD /x")], {}, "same requests"),
    ([Rule("GET /x"), Rule("* /x")], {}, "same requests"),
    ([Rule("GET,POST /x"), Rule("POST /x")], {}, "same requests"),
    ([Rule("WS /x"), Rule("WEBSOCKET /x")], {}, "same requests"),
    ([Rule("GET /{a}"), Rule("GET /{b}")], {}, "same requests"),
    ([Rule("GET /a/{x}"), Rule("GET /{y}/b")], {}, "same requests"),
    ([Rule("GET /a/{x...}"), Rule("GET /a/{y...}")], {}, "same requests"),
    ([Rule("GET /{a}/x/{b...}"), Rule("GET /y/{c}/{d...}")], {}, "same requests"),
]


@pytest.mark.parametrize(("rules", "vocabulary", "words"), BAD_POLICIES)
def test_a_policy_that_cannot_work_is_an_error_that_names_the_line(
    rules: list[Rule], vocabulary: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as raised:
        Policy(*rules, **vocabulary)
    for rule in rules[:2]:
        if "same requests" in words:
            assert repr(rule.pattern) in str(raised.value)


def test_rules_that_share_no_request_live_side_by_side() -> None:
    rules = [
        Rule("GET /x"), Rule("POST /x"), Rule("WEBSOCKET /x"), Rule("GET /x/"), Rule("GET /x/{a}"),
        Rule("GET /x/{a}/b"), Rule("GET /x/{rest...}"), Rule("GET /{a}"), Rule("GET /{rest...}"), Rule("GET /x/y"),
    ]  # fmt: skip
    made = Policy(*rules)
    for rule, path in (
        (rules[0], "/x"), (rules[3], "/x/"), (rules[4], "/x/1"), (rules[5], "/x/1/b"), (rules[6], "/x/1/c"),
        (rules[7], "/y"), (rules[8], "/y/1"), (rules[9], "/x/y"), (rules[6], "/x/1/b/c"),
    ):  # fmt: skip
        assert made.find("GET", path) is rule
        assert made.find("HEAD", path) is rule
    assert made.find("POST", "/x") is rules[1]
    assert made.find(WEBSOCKET, "/x") is rules[2]
    assert made.find("PUT", "/x") is None
    assert made.methods == {"GET", "POST"}


patterns = st.builds(
    lambda parts, rest: "GET /" + "/".join([*parts, *(["{r...}"] if rest else [])]),
    st.lists(st.sampled_from(("a", "b", "{}")), min_size=1, max_size=3),
    st.booleans(),
)


@given(st.lists(patterns, min_size=1, max_size=6), st.lists(st.sampled_from(("a", "b", "c")), min_size=1, max_size=4))
def test_the_heaviest_rule_that_fits_is_found(written: list[str], segments: list[str]) -> None:
    rules = [Rule(pattern) for pattern in dict.fromkeys(written)]
    try:
        made = Policy(*rules)
    except ConfigurationError:
        rivals = [(one, other) for one, other in overlapping(rules) if one.weight == other.weight]
        assert rivals
        return

    def fits(rule: Rule) -> bool:
        if len(rule.segments) > len(segments) or (len(rule.segments) == len(segments)) == rule.rest:
            return False
        return all(want in (None, have) for want, have in zip(rule.segments, segments, strict=False))

    fitting = [rule for rule in rules if fits(rule)]
    found = made.find("GET", "/" + "/".join(segments))
    assert found is (max(fitting, key=lambda rule: rule.weight) if fitting else None)


@given(st.lists(patterns, min_size=2, max_size=6, unique=True))
def test_overlapping_finds_exactly_the_pairs_that_overlap(written: list[str]) -> None:
    rules = [Rule(pattern) for pattern in written]
    expected = {
        (one.pattern, other.pattern)
        for place, one in enumerate(rules)
        for other in rules[place + 1 :]
        if one.overlaps(other)
    }
    assert {(one.pattern, other.pattern) for one, other in overlapping(rules)} == expected


def test_an_empty_parameter_is_no_parameter() -> None:
    made = Policy(Rule("GET /x/{a}"), Rule("GET /y/{rest...}"))
    assert made.find("GET", "/x/") is None
    assert made.find("GET", "/x") is None
    assert made.find("GET", "/y/") is not None
    assert made.find("GET", "/y") is None


# --- the vocabulary --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("roles", "base"),
    [
        (("external_entity", "agent"), "external_entity"),
        (("guest", "external_entity"), "external_entity"),
        (("guest", "host"), "guest"),
        ((), None),
    ],
)
def test_the_lowest_role_is_external_entity_or_the_first(roles: tuple[str, ...], base: str | None) -> None:
    made = Policy(Rule("GET /"), roles=roles)
    assert made.base_role == base
    assert made.role_of(Rule("GET /")) == base
    assert made.role_of(Rule("GET /", role=None)) is None


def test_a_rule_asks_the_lowest_role_unless_it_says_another() -> None:
    assert Rule("GET /").role is BASE_ROLE
    assert repr(BASE_ROLE) == "BASE_ROLE"
    made = policy(Rule("GET /"))
    assert made.role_of(Rule("GET /", role="admin")) == "admin"
    assert made.all_components() == {"call_logs", "call_logs/transcripts", "call_logs/export", "voicemails"}


def test_places_name_the_account() -> None:
    assert Rule("GET /{account}/x").places == (Place("path", "account"),)
    assert Rule("GET /{account}/x", account=False).places == ()
    assert Rule("GET /x").places == ()
    both = Rule("GET /{account}/{tenant}", account=["path:tenant", "query:Account", "header:X_Tenant"])
    # A parameter called account is compared wherever it stands.
    assert set(both.places) == {
        Place("path", "tenant"),
        Place("query", "Account"),
        Place("header", "x-tenant"),
        Place("path", "account"),
    }


def test_rules_that_ask_the_same_do_so_wherever_they_stand() -> None:
    one = Rule("GET /{account}/x", component="a")
    assert one.asks_the_same(Rule("POST /{account}/y", component="a"))
    assert not one.asks_the_same(Rule("GET /{account}/x", component="b"))
    assert not one.asks_the_same(Rule("GET /x/{account}", component="a"))


# --- adding rules ----------------------------------------------------------------------------------------------------


def test_rules_are_added_with_the_same_checks() -> None:
    made = policy(Rule("GET /x"))
    more = made.with_rules([Rule("GET /y", component="call_logs")])
    assert [rule.pattern for rule in more.rules] == ["GET /x", "GET /y"]
    assert made.find("GET", "/y") is None
    with pytest.raises(ConfigurationError, match="same requests"):
        made.with_rules([Rule("GET /x")])
    with pytest.raises(ConfigurationError, match="no component"):
        made.with_rules([Rule("GET /z", component="zzz")])


def test_routes_are_added_once_and_rules_before_them() -> None:
    made = policy(Rule("GET /x")).with_routes([])
    assert made.has_routes
    with pytest.raises(ConfigurationError, match="one application"):
        made.with_routes([])
    with pytest.raises(ConfigurationError, match="before the application starts"):
        made.with_rules([Rule("GET /y")])


def test_a_guard_reads_a_policy_with_no_rules_for_checking_alone() -> None:
    house = build(policy())
    assert house.guard.check(house.key()).kind == "secret_key"
    assert isinstance(house.guard, Guard)


def test_many_rules_are_checked_in_reasonable_time() -> None:
    rules = [Rule(f"GET /v1/things{number}/{{id}}/parts") for number in range(3_000)]
    made = Policy(*rules)
    assert made.find("GET", "/v1/things2999/7/parts") is rules[2_999]


def test_marks_take_the_keywords_of_a_rule() -> None:
    with pytest.raises(ConfigurationError):
        needs(kinds="secret_key")
    unchecked: Any = needs
    with pytest.raises(TypeError):
        unchecked(nonsense=True)
    assert needs(component="call_logs").rule("GET /x").component == "call_logs"


@pytest.mark.parametrize("name", ["call_logs/nothing", "nothing/*", "nothing", "*", "/", "", "call_logs/transcripts/x"])
def test_names_that_nobody_knows_are_worth_nothing(name: str) -> None:
    closed = policy(Rule("GET /")).close(Grant("plat", "live", components=frozenset({name}), roles=frozenset({name})))
    assert (closed.components, closed.roles) == (frozenset(), frozenset())
