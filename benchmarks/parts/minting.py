"""Minting: a token signed beside its signature alone, a session kept beside the same insert alone."""

from collections.abc import Callable
from contextlib import ExitStack, closing
from itertools import count
from typing import Any

from benchmarks.applications import guarded
from benchmarks.databases import HOUR, NOW, digest, folder, insert, pool, postgres, redis_server, row, session
from benchmarks.driving import WALL, of_calls
from benchmarks.measuring import Rounds, measure
from benchmarks.results import Result, Table, Target
from benchmarks.scene import ACCOUNT, AUDIENCE, Scene, make_key
from benchmarks.settings import Settings
from guestpass import Guard, KeyRing, Principal, TokenSigner, open_store
from guestpass.stores import Store
from guestpass.stores.redis_records import session_text

TITLE = "sessions and tokens made"
SECONDS, TURN = 8.0, 0.005
ALGORITHMS = ("RS256", "ES256", "EdDSA")
OWN_ISSUER = "https://api.example.com/"
USER = "0f0b7f2e-6a5b-4a86-9f0a-1c2a3b4c5d6e"


def run(settings: Settings) -> Result:
    """Signatures in memory, then sessions on each store."""
    result = Result("minting", TITLE)
    seconds = settings.seconds(SECONDS)
    signing(result, seconds)
    with ExitStack() as stack:
        place = stack.enter_context(folder())
        url = f"sqlite:///{place}/guestpass.db"
        keeping(result, "SQLite", url, seconds)
        keeping(result, "PostgreSQL", stack.enter_context(postgres(place / "pg"))[0], seconds)
        redis = stack.enter_context(redis_server(place / "redis"))
        if redis is None:
            result.notes.append("No Redis: there is no redis-server here, nor a package that brings one.")
        else:
            keeping(result, "Redis", redis, seconds)
    result.notes.append(
        "A token is signed for one end user and account, with its minter's key looked at in memory. A session is "
        "acknowledged when it is on disk, and so is the insert: the same row, through the same driver and pool."
    )
    return result


def signing(result: Result, seconds: float) -> None:
    """`TokenSigner.sign` beside the signature of `cryptography` alone, over as many bytes."""
    rows: list[tuple[str, ...]] = []
    for algorithm in ALGORITHMS:
        store = open_store("memory://")
        ring = KeyRing(store, wrapping_key=KeyRing.new_wrapping_key(), algorithm=algorithm)
        signer = TokenSigner(ring, issuer=OWN_ISSUER, audience=AUDIENCE)
        guard = guarded.guard_of(Scene({"keys": []}, "", [], ""), store=store, more=[signer])
        by = minter(guard)
        token = signer.sign(by=by, id=USER, tenant_id=ACCOUNT).jwt
        sign = bare_signature(algorithm, token.rpartition(".")[0].encode())

        def signed(signer: TokenSigner = signer, by: Principal = by) -> object:
            return signer.sign(by=by, id=USER, tenant_id=ACCOUNT)

        rounds = measure({"bare": of_calls(sign), "guestpass": of_calls(signed)}, seconds, turn=TURN)
        rate = rounds.ratio("bare", "guestpass")
        rows.append((algorithm, rate.written(), rounds.of("bare").written(1), rounds.of("guestpass").written(1)))
        if algorithm == "RS256":
            result.targets.append(Target("a token signed, RS256, of the rate of its signature alone", 0.9, rate, "≥"))
    heads = ("", "of the bare rate", "signature alone, µs", "TokenSigner.sign, µs")
    result.tables.append(Table("Tokens signed", heads, rows))


def bare_signature(algorithm: str, data: bytes) -> Callable[[], object]:
    """Nothing but the call of `cryptography`."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding

    private, _ = make_key(algorithm)
    if algorithm == "RS256":
        scheme, hashed = padding.PKCS1v15(), hashes.SHA256()
        return lambda: private.sign(data, scheme, hashed)
    if algorithm == "ES256":
        ecdsa = ec.ECDSA(hashes.SHA256())
        return lambda: private.sign(data, ecdsa)
    return lambda: private.sign(data)


def keeping(result: Result, name: str, url: str, seconds: float) -> None:
    """`AccountSessions.create` beside the same insert."""
    with ExitStack() as stack:
        store: Store = stack.enter_context(closing(open_store(url, wait=30)))
        guard = guarded.guard_of(Scene({"keys": []}, "", [], ""), store=store)
        by, (_, sessions) = minter(guard), guarded.minters_of(guard)
        if url.startswith("unix:"):
            inserted = redis_insert(url)
        else:
            engine = stack.enter_context(pool(url))
            statement, numbers = insert(engine), count(10**9)

            def inserted() -> None:
                connection = engine.raw_connection()
                cursor = connection.cursor()
                cursor.execute(statement, row(next(numbers)))
                cursor.close()
                connection.close()

        turns = {
            "the same insert": of_calls(inserted, WALL),
            "AccountSessions.create": of_calls(lambda: sessions.create(by=by, account=ACCOUNT), WALL),
        }
        rounds = measure(turns, seconds, turn=TURN)
    rate = rounds.ratio("the same insert", "AccountSessions.create")
    result.targets.append(Target(f"a session made on {name}, of the rate of the same insert", 0.5, rate, "≥"))
    result.tables.append(per_second(name, rounds))


def redis_insert(url: str) -> Callable[[], object]:
    """The same three writes in one transaction, through redis-py's pool: what is found by secret, what is found by id,
    and when it ends."""
    import redis

    client: Any = redis.Redis.from_url(url, protocol=2)
    numbers, life, kept = count(10**9), int(72 * HOUR * 1000), session_text(session(0))

    def inserted() -> None:
        number = next(numbers)
        hashed = digest(number).hex()
        with client.pipeline(transaction=True) as together:
            together.set(f"bench:session:{hashed}", kept, px=life)
            together.set(f"bench:session-id:as_{number}", hashed, px=life)
            together.zadd("bench:sessions-ending", {f"as_{number}": NOW + HOUR})
            together.execute()

    return inserted


def minter(guard: Guard) -> Principal:
    """A secret key's principal."""
    keys, _ = guarded.minters_of(guard)
    return guard.check(keys.create(platform="plat", mode="live").secret)


def per_second(name: str, rounds: Rounds) -> Table:
    rows = [(what, rounds.of(what).written(0), f"{1e6 / rounds.of(what).middle:,.0f}") for what in rounds.times]
    return Table(f"Sessions made on {name}", ("", "µs", "per second"), rows)
