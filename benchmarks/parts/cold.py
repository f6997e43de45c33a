"""ASGI in process, each request with a token that is not known: the signature is checked each time."""

from dataclasses import replace

from benchmarks.comparing import EACH, compared
from benchmarks.contenders import ASGI, ASGI_PEERS
from benchmarks.results import Result, Target
from benchmarks.scene import staged
from benchmarks.settings import Settings

TITLE = "ASGI in process, a token never seen"
SECONDS = 30.0
TOKENS = 500


def run(settings: Settings) -> Result:
    """Tokens in turn, for caches that have one place."""
    with staged(settings.count(TOKENS, least=20)) as scene:
        cold = replace(scene, cold=True)
        rounds, table, versions = compared(EACH, (*ASGI, *ASGI_PEERS), cold, settings.seconds(SECONDS))
    return Result(
        "cold",
        TITLE,
        targets=[
            Target(
                "cold, over the bare ASGI application, × the floor",
                1.25,
                rounds.ratio_over("guestpass", "floor", "bare ASGI"),
            ),
        ],
        tables=[table],
        notes=[
            "The floor takes the token apart, has `cryptography` check its signature, reads its JSON and looks at "
            "issuer, audience and end. The key set is there; nothing is fetched."
        ],
        versions=versions,
    )
