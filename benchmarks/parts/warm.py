"""ASGI in process, with a token that was seen before: what a guard costs nearly every request."""

from benchmarks.comparing import EACH, compared
from benchmarks.contenders import ASGI, ASGI_PEERS
from benchmarks.results import Result, Target
from benchmarks.scene import staged
from benchmarks.settings import Settings

TITLE = "ASGI in process, a token seen before"
SECONDS = 30.0


def run(settings: Settings) -> Result:
    """One request after another, each with the same token."""
    with staged(2) as scene:
        rounds, table, versions = compared(EACH, (*ASGI, *ASGI_PEERS), scene, settings.seconds(SECONDS))
    return Result(
        "warm",
        TITLE,
        targets=[
            Target(
                "warm, over the bare ASGI application, × the floor",
                1.6,
                rounds.ratio_over("guestpass", "floor", "bare ASGI"),
            ),
            Target("warm, over the bare ASGI application", 3, rounds.over("guestpass", "bare ASGI"), unit="µs"),
            Target(
                "warm, on Starlette, × bare Starlette", 1.4, rounds.ratio("guestpass on Starlette", "bare Starlette")
            ),
        ],
        tables=[table],
        notes=[
            "200 rules, an RS256 token of 850 characters, ten headers. The floor hashes the whole credential, looks "
            "for a second header, finds the rule, looks at the end and compares the account. Nobody but the floor and "
            "guestpass remembers a token."
        ],
        versions=versions,
    )
