"""What grows, and what it costs that it has grown: issuers, rules, sessions, and a cache that is full."""

from dataclasses import replace
from itertools import count

from benchmarks.applications import bare, guarded
from benchmarks.databases import digest as unpresentable
from benchmarks.databases import fill, folder
from benchmarks.driving import of_calls, of_wsgi, start_response, wsgi_environ
from benchmarks.measuring import Rounds, Turn, measure
from benchmarks.results import Result, Table, Target
from benchmarks.scene import ACCOUNT, Scene, request_headers, staged
from benchmarks.settings import Settings
from guestpass import Credential, Grant, Guard, Principal, open_store
from guestpass.credentials import OpaqueForm, digest
from guestpass.wsgi import GuardMiddleware

TITLE = "more issuers, rules and sessions"
SECONDS = 8.0
FLAT = 1.2
"""The largest costs at most so many times what the smallest does."""
ISSUERS = (1, 8, 64)
RULES = (1, 200, 10_000)
SESSIONS = (1_000, 1_000_000)
PLACES = (1_000, 100_000)
PRESENTED = 500
TOKENS = 200


def run(settings: Settings) -> Result:
    """Requests through the WSGI door, where least is done beside."""
    result, seconds = Result("growth", TITLE), settings.seconds(SECONDS)
    with staged(settings.count(TOKENS, least=20)) as scene:
        cold = replace(scene, cold=True)
        grown(result, "issuers, a known token", {f"{n:,}": with_issuers(scene, n) for n in ISSUERS}, seconds)
        grown(result, "issuers, an unknown token", {f"{n:,}": with_issuers(cold, n) for n in ISSUERS}, seconds)
        grown(result, "rules, a known token", {f"{n:,}": requests(replace(scene, rules=n)) for n in RULES}, seconds)
    few, many = SESSIONS[0], settings.count(SESSIONS[1], least=10_000)
    with folder() as place:
        grown(
            result,
            "sessions on SQLite, each looked up",
            {f"{n:,}": with_sessions(f"sqlite:///{place}/{n}.db", n) for n in (few, many)},
            seconds,
        )
    places = PLACES[0], settings.count(PLACES[1], least=10_000)
    grown(result, "places of a cache that is full", {f"{n:,}": with_full_cache(n) for n in places}, seconds)
    result.notes.append(
        f"Flat: the largest costs at most {FLAT} times what the smallest does. A cache that is full gives a place up "
        "for each credential that it did not know."
    )
    return result


def grown(result: Result, what: str, turns: dict[str, Turn], seconds: float) -> None:
    """One table, from the smallest to the largest."""
    rounds: Rounds = measure(turns, seconds)
    smallest, *_, largest = turns
    result.targets.append(Target(f"{what}: {largest}, × {smallest}", FLAT, rounds.ratio(largest, smallest)))
    rows = [(name, rounds.ratio(name, smallest).written(), rounds.of(name).written()) for name in turns]
    result.tables.append(Table(what, ("", f"× {smallest}", "µs"), rows))


def requests(scene: Scene, guard: Guard | None = None) -> Turn:
    """Requests of the scene through the WSGI door."""
    door = GuardMiddleware(bare.wsgi(scene), guard or guarded.guard_of(scene))
    return of_wsgi(door, scene.path, scene.requests)


def with_issuers(scene: Scene, count_: int) -> Turn:
    """Of so many issuers, the last one's tokens."""
    others = [guarded.issuer_of(scene, f"https://login-{number}.example.com/") for number in range(count_ - 1)]
    return requests(scene, guarded.guard_of(scene, more=others))


def with_sessions(url: str, count_: int) -> Turn:
    """So many sessions in a store, of which some, all over it, are presented."""
    form, every = OpaqueForm("cs"), count_ // PRESENTED
    secrets = {n: form.issue("live", n.to_bytes) for n in range(0, count_, every)}
    open_store(url).close()
    fill(url, range(count_), secret=lambda n: digest(secrets[n]) if n in secrets else unpresentable(n))
    scene = Scene({"keys": []}, "", [], "", cold=True)
    # It is closed with the process: who measures comes later.
    guard = guarded.guard_of(scene, store=open_store(url))
    asked = [request_headers(f"Bearer {secret}", f"acct_{n % 1000:012}") for n, secret in secrets.items()]
    return of_wsgi(GuardMiddleware(bare.wsgi(scene), guard), scene.path, asked)


class Passes:
    """A kind of one's own whose text says everything: ``gp_live_<number>``."""

    prefixes = ("gp",)
    good_for = 86_400.0

    def kind_of(self, credential: Credential, /) -> str | None:
        return "gate_pass" if credential.text.startswith("gp_live_") else None

    def authenticate(self, credential: Credential, now: float, /) -> Principal:
        components, roles = frozenset({"call_logs"}), frozenset({"external_entity"})
        grant = Grant("plat", "live", frozenset({ACCOUNT}), components, roles, now + 86_400)
        return Principal(kind="gate_pass", subject="gate", grant=grant, credential_id=credential.text[8:])


def with_full_cache(places: int) -> Turn:
    """Every request with a credential that was never seen, once all places are taken."""
    scene = Scene({"keys": []}, "", [], "")
    guard = guarded.guard_of(scene, more=[Passes()], cache_size=places)
    door, numbers = GuardMiddleware(bare.wsgi(scene), guard), count()
    environ = wsgi_environ(scene.path, request_headers("", ACCOUNT))

    def one() -> None:
        for _ in door({**environ, "HTTP_AUTHORIZATION": f"Bearer gp_live_{next(numbers)}"}, start_response):
            pass

    for _ in range(places):
        one()
    return of_calls(one)
