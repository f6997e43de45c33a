"""Which rule a request is for: among few and many, the first and the last, beside one look-up in a dictionary."""

from collections.abc import Callable
from functools import partial

from benchmarks.driving import of_calls
from benchmarks.measuring import measure
from benchmarks.results import Result, Table, Target
from benchmarks.settings import Settings
from guestpass import Policy, Rule

TITLE = "which rule a request is for"
SECONDS = 15.0
FEW, MANY = 200, 10_000
COMPONENTS = {"call_logs": ()}


def run(settings: Settings) -> Result:
    """Rules of four forms, as an API has them, in 200 and in 10,000."""
    few, many = policy_of(FEW), policy_of(MANY)
    table = {("v1", "accounts", f"reports_{number}"): number for number in range(FEW)}
    parameter, last = f"/v1/accounts/acct_1/reports_{FEW // 2}", rest(FEW)

    def one_look_up(path: str) -> int | None:
        segments = path[1:].split("/")
        return table.get((segments[0], segments[1], segments[3]))

    calls: dict[str, Callable[[], object]] = {
        "one dictionary, on the split path": partial(one_look_up, parameter),
        "a plain path": partial(few.match, "GET", f"/v1/reports_{FEW // 2}/daily"),
        "a path with {account}": partial(few.match, "GET", parameter),
        "the lightest form, looked at last": partial(few.match, "GET", last),
        "no rule": partial(few.match, "GET", "/v1/accounts/acct_1/nothing"),
        "a plain path, 10,000 rules": partial(many.match, "GET", f"/v1/reports_{MANY // 2}/daily"),
        "a path with {account}, 10,000 rules": partial(many.match, "GET", f"/v1/accounts/acct_1/reports_{MANY // 2}"),
        "the lightest form, 10,000 rules": partial(many.match, "GET", rest(MANY)),
        "the middle one of one form": partial(uniform().match, "GET", f"/v1/accounts/acct_1/reports_{FEW // 2}"),
        "the last one of one form": partial(uniform().match, "GET", f"/v1/accounts/acct_1/reports_{FEW - 1}"),
    }
    for name, call in calls.items():
        if (call() is None) != (name == "no rule"):
            raise ValueError(f"{name}: no rule, or one where there is none")
    rounds = measure({name: of_calls(call) for name, call in calls.items()}, settings.seconds(SECONDS))
    base, given = "one dictionary, on the split path", "a path with {account}"
    return Result(
        "policy",
        TITLE,
        targets=[
            Target("a rule among 200, × one dictionary look-up", 2, rounds.ratio(given, base)),
            Target("a rule among 10,000, × among 200", 1.2, rounds.ratio(f"{given}, 10,000 rules", given)),
            Target(
                "the last rule, × the middle one",
                1.3,
                rounds.ratio("the last one of one form", "the middle one of one form"),
            ),
            Target(
                "the form that is looked at last, × the middle one",
                1.3,
                rounds.ratio("the lightest form, looked at last", given),
            ),
        ],
        tables=[
            Table(
                "`Policy.match`, which a guard asks",
                ("", "× one dictionary", "µs"),
                [(name, rounds.ratio(name, base).written(), rounds.of(name).written()) for name in calls],
            )
        ],
        notes=[
            "Half of the rules have plain paths; the others have an account, an account and an item, or a rest of any "
            "length, which is looked at last of all forms. The dictionary stands in a function that splits the path."
        ],
    )


def policy_of(count: int) -> Policy:
    """As many rules, of four forms."""
    plain = [Rule(f"GET /v1/reports_{number}/daily", component="call_logs") for number in range(count // 2)]
    plain.append(Rule(f"GET /v1/reports_{count // 2}/daily", component="call_logs"))
    by_account = range(count // 4, count // 4 + count // 4 + 1)
    account = [Rule(f"GET /v1/accounts/{{account}}/reports_{n}", component="call_logs") for n in by_account]
    items = [Rule(f"GET /v1/accounts/{{account}}/items_{n}/{{item}}", component="call_logs") for n in range(count // 8)]
    files = [Rule(f"GET /v1/files_{n}/{{path...}}", component="call_logs") for n in range(count // 8 - 2)]
    return Policy(*plain, *account, *items, *files, components=COMPONENTS)


def rest(count: int) -> str:
    """A path of the last rule of `policy_of`."""
    return f"/v1/files_{count // 8 - 3}/2026/11/summary.pdf"


def uniform() -> Policy:
    """200 rules of one form."""
    rules = [Rule(f"GET /v1/accounts/{{account}}/reports_{n}", component="call_logs") for n in range(FEW)]
    return Policy(*rules, components=COMPONENTS)
