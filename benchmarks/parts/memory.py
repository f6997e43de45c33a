"""Memory: of a million cached credentials, and of a million that were refused."""

import base64
import gc
import hashlib
import json
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple, TypeVar, cast

from benchmarks.applications import guarded
from benchmarks.driving import http_scope
from benchmarks.measuring import Spread
from benchmarks.results import Result, Table, Target
from benchmarks.scene import Scene, request_headers, staged
from benchmarks.settings import Settings
from guestpass import Guard, Principal, open_store
from guestpass.asgi import request_of
from guestpass.credentials import OpaqueForm
from guestpass.inquiry import Question, drive
from guestpass.records import FindSession
from guestpass.stores.rows import session_record

TITLE = "memory, of what is cached and of what was refused"
CACHED, REFUSED, FIRST = 1_000_000, 1_000_000, 10_000
LIMIT_EACH, LIMIT_GROWTH = 400, 2.0
"""Bytes of a cached credential; MiB that the process may grow by after the first refusals."""

T = TypeVar("T")


def run(settings: Settings) -> Result:
    """First what was refused: what has been cached leaves room in which a growth would not be seen."""
    result = Result("memory", TITLE)
    first, bad = settings.count(FIRST), settings.count(REFUSED)
    growth = refused(first, bad)
    many = settings.count(CACHED)
    each = Spread.of([cached(many)])
    result.targets += [
        Target(f"a cached credential, at {many:,}", LIMIT_EACH, each, unit="bytes", digits=0),
        Target(
            f"growth of the process from {first:,} to {bad:,} bad credentials",
            LIMIT_GROWTH,
            Spread.of([sum(growth.values())]),
            unit="MiB",
        ),
    ]
    rows = [(kind, f"{mebibytes:+.2f}") for kind, mebibytes in growth.items()]
    result.tables.append(Table(f"After {bad // len(growth):,} of each kind, since the first ones", ("", "MiB"), rows))
    result.notes.append(
        "Resident memory of the process. What is cached are client secrets of a thousand accounts and three sets of "
        "components, each read from a row as the SQL stores do and admitted by the guard; every id, digest and account "
        "is an object of its own, as a driver makes it."
    )
    return result


# What is cached


class Row(NamedTuple):
    """A row of sessions, as SQLAlchemy hands it on."""

    id: str
    digest: bytes
    platform: str
    mode: str
    account: str
    components: str
    roles: str
    expires_at: float
    minted_by: str
    minted_ms: int
    revoked_at: float | None
    ended_at: float | None


SETS = (["call_logs"], ["call_logs", "call_logs/transcripts"], ["call_logs", "call_logs/transcripts", "voicemails"])


class Rows:
    """A store that has a session for every secret that it is asked for, and remembers none."""

    def __init__(self) -> None:
        self._store = open_store("memory://")
        self._numbers = count()

    def answer(self, question: Question[T], /) -> T:
        if isinstance(question, FindSession):
            number = next(self._numbers)
            row = Row(
                f"as_{number:021}",
                bytes(question.digest),
                "".join(("pl", "at")),
                "".join(("li", "ve")),
                f"acct_{number % 1000:012}",
                json.dumps(SETS[number % 3]),
                json.dumps(["external_entity"]),
                4e9 + number,
                f"key_{number % 50:021}",
                1_900_000_000_000 + number,
                None,
                4e9 + number,
            )
            return cast("T", session_record(row))
        return self._store.answer(question)

    def close(self) -> None:
        self._store.close()


def cached(many: int) -> float:
    """Bytes of each of so many."""
    scene = Scene({"keys": []}, "", [], "")
    guard = guarded.guard_of(scene, store=Rows(), cache_size=many + FIRST)
    form = OpaqueForm("cs")
    ask = asking(guard, scene.path)
    # So that what is made once is not taken for a part of each; and every place of the table is there.
    for number in range(min(many, 2_000)):
        ask(form.issue("live", (2**100 + number).to_bytes))
    gc.collect()
    before = resident()
    for number in range(many):
        if not isinstance(ask(form.issue("live", number.to_bytes)), Principal):
            raise TypeError("a client secret was refused")
        progress("cached", number, many)
    gc.collect()
    return (resident() - before) / many


# What is refused


def refused(first: int, bad: int) -> dict[str, float]:
    """MiB by which the process grew between the first bad credentials and the last, by kind."""
    with staged(2) as scene:
        guard = guarded.guard_of(scene)
        ask = asking(guard, scene.path)
        kinds = {name: make(scene) for name, make in BAD.items()}
        for some in kinds.values():
            for _ in range(first // len(kinds)):
                ask(next(some))
        growth: dict[str, float] = {}
        each = bad // len(kinds)
        for name, some in kinds.items():
            gc.collect()
            before = resident()
            for _ in range(each):
                if isinstance(ask(next(some)), Principal):
                    raise TypeError(f"{name}: it was let in")
            gc.collect()
            growth[name] = (resident() - before) / 2**20
            print(f"  refused: {each:,}, {name}", file=sys.stderr, flush=True)  # noqa: T201
    return growth


def changed(scene: Scene, header: dict[str, object] | None = None, **claims: object) -> Iterator[str]:
    """Tokens that differ from a right one in these, and in their ids; the signature is the right one's."""
    head, payload, signature = scene.tokens[0].split(".")
    said = {**json.loads(decoded(head)), **(header or {})}, {**json.loads(decoded(payload)), **claims}
    for number in count():
        parts = (encoded({name: filled(value, number) for name, value in one.items()}) for one in said)
        yield ".".join((*parts, signature))


def filled(value: object, number: int) -> object:
    return value.replace("#", str(number)) if isinstance(value, str) else value


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "==")


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def mistyped(_: Scene) -> Iterator[str]:
    """Client secrets whose checksum is wrong."""
    for number in count():
        yield f"cs_live_{hashlib.sha256(str(number).encode()).hexdigest()[:39]}"


def unknown(_: Scene) -> Iterator[str]:
    """Client secrets of the right form that nobody was given."""
    form = OpaqueForm("cs")
    return (form.issue("live", number.to_bytes) for number in count())


BAD: dict[str, Callable[[Scene], Iterator[str]]] = {
    "a bad signature": lambda scene: changed(scene, jti="bad-#"),
    "an unknown kid": lambda scene: changed(scene, {"kid": "kid-#"}),
    "an unknown issuer": lambda scene: changed(scene, iss="https://elsewhere-#.example.com/"),
    "a header of its own": lambda scene: changed(scene, {"note": "#"}, jti="noted"),
    "no token at all": lambda _: (f"e{number}.e{number}.{number}" for number in count()),
    "a mistyped client secret": mistyped,
    "an unknown client secret": unknown,
}


def asking(guard: Guard, path: str) -> Callable[[str], object]:
    """The verdict on a request with a credential."""
    scope = http_scope(path)
    # The account of a credential is its own: none is named.
    rest = [entry for entry in request_headers("", "") if entry[0] not in (b"authorization", b"account-id")]

    def ask(credential: str) -> object:
        headers = [*rest, (b"authorization", f"Bearer {credential}".encode())]
        verdict = guard.decide(request_of({**scope, "headers": headers}))
        return drive(verdict) if isinstance(verdict, Generator) else verdict

    return ask


def progress(what: str, number: int, of: int) -> None:
    """A word at each tenth."""
    if number and number % max(1, of // 10) == 0:
        print(f"  {what}: {number:,} of {of:,}", file=sys.stderr, flush=True)  # noqa: T201


def resident() -> int:
    """Bytes of this process that are in memory."""
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    raise RuntimeError("resident memory is read from /proc/self/statm, which is not there: run this part on Linux")
