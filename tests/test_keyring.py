"""The key ring across processes: two `KeyRing` objects on one store are two processes, and no token is ever refused."""

from collections.abc import Callable, Sequence
from functools import partial

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from guestpass import ApiKeys, ConfigurationError, Guard, KeyRing, KeysUnavailable, Rule, TokenSigner, open_store
from guestpass.inquiry import drive
from guestpass.keyring import MAX_AGE, PUBLISH_AHEAD
from guestpass.minting import MAX_LIFETIME
from guestpass.records import AddSigningKey, ListSigningKeys
from guestpass.signing_keys import ALGORITHMS, AsymmetricKey, KeyMaker, MakeSigningKey
from guestpass.stores import Store
from guestpass.tokens import check_signature
from support import AUDIENCE, ISSUER, START, WRAPPING_KEY, Clock, House, Recording, build, code_of, policy

RULES = [Rule("GET /")]


class Process:
    """One process: a ring, a signer and a guard of its own on the shared store."""

    def __init__(self, store: Store, clock: Clock, wrapping_key: str | Sequence[str] = WRAPPING_KEY) -> None:
        self.ring = KeyRing(store, wrapping_key=wrapping_key, algorithm="ES256", clock=clock)
        self.signer = TokenSigner(self.ring, issuer=ISSUER, audience=AUDIENCE, clock=clock)
        self.keys = ApiKeys(store, owns=lambda platform, account: True, clock=clock)
        self.guard = Guard(authenticators=[self.keys, self.signer], policy=policy(*RULES), mode="live", clock=clock)

    def sign(self, secret: str, seconds: int) -> str:
        return self.signer.sign(by=self.guard.check(secret), expires_in=seconds).jwt


def kids(ring: KeyRing) -> list[str]:
    """The kids that a ring publishes."""
    keys = ring.jwks("live")["keys"]
    assert isinstance(keys, list)
    return [key["kid"] for key in keys]


def kid_of(token: str) -> str:
    from guestpass.tokens import read_token

    kid = read_token(token).kid
    assert kid is not None
    return kid


def test_rotated_in_one_process_and_restarted_in_the_other_every_token_passes_in_both_at_every_step() -> None:
    clock, store = Clock(), open_store("memory://")
    one, other = Process(store, clock), Process(store, clock)
    secret = one.keys.create(platform="plat", mode="live").secret
    live: list[tuple[float, str]] = []
    signed_with: list[str] = []
    last_set: tuple[float, list[str]] = (0.0, [])
    rotated_at: dict[int, str] = {}
    for step in range(160):
        # Half an hour each: two days before, around and long after the rotation.
        clock.now = START + step * 1_800
        if step in (20, 70):
            rotated_at[step] = one.ring.rotate("live")
        if step in (21, 90):
            other = Process(store, clock)
        for process in (one, other):
            for lifetime in (60, MAX_LIFETIME):
                token = process.sign(secret, lifetime)
                signed_with.append(kid_of(token))
                live.append((clock.now + lifetime, token))
        live = [(end, token) for end, token in live if clock.now < end]
        published = kids(one.ring)
        for end, token in live[-12:] + live[:12]:
            for process in (one, other):
                assert process.guard.check(token).expires_at == end
            # Also for whoever checks against the published set, or one as old as its max-age.
            assert kid_of(token) in published
            check_signature(token, one.ring.jwks("live"), ["ES256"])
        last_set = (clock.now, published)
    assert len(dict.fromkeys(signed_with)) == 3
    assert list(dict.fromkeys(signed_with))[1:] == list(rotated_at.values())
    # Long after, the old ones are published no more.
    assert last_set[1] == [rotated_at[70]]


def test_a_new_key_signs_only_after_it_was_published_long_enough() -> None:
    clock, store = Clock(), open_store("memory://")
    one, other = Process(store, clock), Process(store, clock)
    secret = one.keys.create(platform="plat", mode="live").secret
    first = kid_of(one.sign(secret, 60))
    new = one.ring.rotate("live")
    assert new != first
    assert kids(one.ring) == [first, new]
    assert PUBLISH_AHEAD >= MAX_AGE + 300 - 1
    for seconds, expected in ((0.0, first), (PUBLISH_AHEAD - 1, first), (1.0, new)):
        clock.advance(seconds)
        assert {kid_of(process.sign(secret, 60)) for process in (one, other)} == {expected}


def test_a_set_fetched_a_moment_before_the_rotation_verifies_all_that_is_signed_while_it_is_kept() -> None:
    clock, store = Clock(), open_store("memory://")
    one = Process(store, clock)
    secret = one.keys.create(platform="plat", mode="live").secret
    one.sign(secret, 60)
    kept = one.ring.jwks("live")
    one.ring.rotate("live")
    for _ in range(MAX_AGE // 60):
        clock.advance(60)
        check_signature(one.sign(secret, 60), kept, ["ES256"])


def test_the_first_of_two_processes_to_make_a_key_wins_and_both_use_it() -> None:
    clock, memory = Clock(), open_store("memory://")
    slow = Recording(memory)
    one, other = Process(slow, clock), Process(memory, clock)
    secret = other.keys.create(platform="plat", mode="live").secret
    # Just before one keeps its first key, the other makes and keeps its own, and signs with it.
    early: list[str] = []
    slow.before[AddSigningKey] = lambda: early.append(other.sign(secret, 3_600))
    late = one.sign(secret, 3_600)
    assert kid_of(late) == kid_of(early[0])
    assert len(memory.answer(ListSigningKeys())) == 1
    for token in (late, early[0]):
        one.guard.check(token)
        other.guard.check(token)


def test_two_rotations_at_once_leave_keys_that_all_pass() -> None:
    clock, memory = Clock(), open_store("memory://")
    slow = Recording(memory)
    one, other = Process(slow, clock), Process(memory, clock)
    secret = other.keys.create(platform="plat", mode="live").secret
    other.sign(secret, 60)
    slow.before[AddSigningKey] = lambda: other.ring.rotate("live")
    answered = one.ring.rotate("live")
    assert answered in kids(other.ring)
    clock.advance(PUBLISH_AHEAD)
    tokens = [one.sign(secret, 60), other.sign(secret, 60)]
    for token in tokens:
        one.guard.check(token)
        other.guard.check(token)


def test_restarts_make_no_new_key() -> None:
    clock, store = Clock(), open_store("memory://")
    first = kids(Process(store, clock).ring)
    for _ in range(3):
        assert kids(Process(store, clock).ring) == first


def test_each_mode_signs_with_its_own_keys() -> None:
    house = build(RULES)
    test = build(RULES, mode="test", store=house.store, clock=house.clock, seed=1)
    token, other = house.token(), test.token()
    assert kid_of(token) != kid_of(other)
    assert code_of(lambda: test.guard.check(token)) == "credential_invalid"
    assert code_of(lambda: house.guard.check(other)) == "credential_invalid"
    assert not set(kids(house.ring)) & {key["kid"] for key in test.ring.jwks("test")["keys"]}  # type: ignore[attr-defined]


# --- distrust --------------------------------------------------------------------------------------------------------


def test_distrust_ends_a_keys_tokens_everywhere_within_a_second() -> None:
    clock, store = Clock(), open_store("memory://")
    one, other = Process(store, clock), Process(store, clock)
    secret = one.keys.create(platform="plat", mode="live").secret
    tokens = [process.sign(secret, MAX_LIFETIME) for process in (one, other)]
    for token in tokens:
        one.guard.check(token)
        other.guard.check(token)
    leaked = kid_of(tokens[0])
    one.ring.distrust(leaked)
    clock.advance(1)
    for token in tokens:
        for process in (one, other):
            assert code_of(partial(process.guard.check, token)) in (
                "token_revoked",
                "credential_invalid",
            )
    assert leaked not in kids(one.ring)
    assert leaked not in kids(other.ring)
    for process in (one, other):
        fresh = process.sign(secret, 60)
        assert kid_of(fresh) != leaked
        one.guard.check(fresh)
        other.guard.check(fresh)


def test_where_the_signing_key_is_distrusted_the_next_one_signs_at_once() -> None:
    clock, store = Clock(), open_store("memory://")
    one = Process(store, clock)
    secret = one.keys.create(platform="plat", mode="live").secret
    first = kid_of(one.sign(secret, 60))
    waiting = one.ring.rotate("live")
    assert kid_of(one.sign(secret, 60)) == first
    one.ring.distrust(first)
    assert kid_of(one.sign(secret, 60)) == waiting


def test_what_is_signed_with_a_distrusted_key_after_that_is_refused() -> None:
    house = build(RULES)
    record, private = drive(house.ring.signer("live"))
    house.ring.distrust(record.kid)
    house.clock.advance(3_600)
    forged = _forged(house, record.kid, private)
    assert code_of(lambda: house.guard.check(forged)) in ("token_revoked", "credential_invalid")


def _forged(house: House, kid: str, private: object) -> str:
    from guestpass.tokens import sign

    now = house.clock.now
    claims: dict[str, object] = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "s", "iat": int(now), "exp": int(now) + 600, "jti": "j",
        "platform": "plat", "mode": "live", "minted_by": "key_x", "minted_ms": int(now * 1000), "components": [],
        "roles": ["admin"],
    }  # fmt: skip
    return sign(claims, {"typ": "guestpass+jwt", "kid": kid}, private, "ES256")  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_rotation_and_distrust_do_not_hold_up_an_event_loop() -> None:
    house = build(RULES)
    by = await house.guard.check_async(house.key())
    first = kid_of((await house.signer.sign_async(by=by)).jwt)
    waiting = await house.ring.rotate_async("live")
    await house.ring.distrust_async(first)
    assert kid_of((await house.signer.sign_async(by=by)).jwt) == waiting


# --- wrapping --------------------------------------------------------------------------------------------------------


def test_another_wrapping_key_is_an_error_that_says_what_to_give() -> None:
    clock, store = Clock(), open_store("memory://")
    one = Process(store, clock)
    secret = one.keys.create(platform="plat", mode="live").secret
    token = one.sign(secret, 3_600)
    wrong = Process(store, clock, wrapping_key="another wrapping key, of 32 bytes and more")
    with pytest.raises(ConfigurationError, match=r"wrapping_key=\[new, old\]") as raised:
        wrong.sign(secret, 60)
    assert WRAPPING_KEY not in str(raised.value)
    assert "another wrapping key" not in str(raised.value)
    # Checking needs no private key.
    wrong.guard.check(token)


def test_wrapping_keys_rotate_too() -> None:
    clock, store = Clock(), open_store("memory://")
    old, new = KeyRing.new_wrapping_key(), KeyRing.new_wrapping_key()
    assert old != new
    one = Process(store, clock, wrapping_key=old)
    secret = one.keys.create(platform="plat", mode="live").secret
    first = kid_of(one.sign(secret, 60))
    both = Process(store, clock, wrapping_key=[new, old])
    assert kid_of(both.sign(secret, 60)) == first
    second = both.ring.rotate("live")
    clock.advance(PUBLISH_AHEAD)
    assert kid_of(Process(store, clock, wrapping_key=new).sign(secret, 60)) == second


def test_a_wrapped_key_passes_for_no_other() -> None:
    from dataclasses import replace

    clock, store = Clock(), open_store("memory://")
    one = Process(store, clock)
    one.ring.jwks("live")
    (record,) = store.answer(ListSigningKeys())
    moved = open_store("memory://")
    moved.answer(AddSigningKey(replace(record, mode="test")))
    with pytest.raises(ConfigurationError, match="wrapped"):
        drive(KeyRing(moved, wrapping_key=WRAPPING_KEY, algorithm="ES256", clock=clock).signer("test"))


def test_the_store_has_no_private_key_in_the_clear() -> None:
    clock, store = Clock(), open_store("memory://")
    ring = KeyRing(store, wrapping_key=WRAPPING_KEY, algorithm="ES256", clock=clock)
    _, private = drive(ring.signer("live"))
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    (record,) = store.answer(ListSigningKeys())
    secret = private.private_numbers().private_value.to_bytes(32, "big")
    assert secret not in record.wrapped
    assert set(record.jwk) == {"kty", "crv", "x", "y", "kid", "use", "alg"}


@pytest.mark.parametrize("key", ["", "short", b"x" * 31, [], ["x" * 40, "short"]])
def test_a_wrapping_key_is_long_enough(key: str | bytes | list[str]) -> None:
    with pytest.raises(ConfigurationError, match="at least 32 bytes"):
        KeyRing(open_store("memory://"), wrapping_key=key)


def test_a_ring_has_one_source_of_keys() -> None:
    store = open_store("memory://")
    with pytest.raises(ConfigurationError, match="wrapping_key"):
        KeyRing(store)
    with pytest.raises(ConfigurationError, match="wrapping_key"):
        KeyRing(store, wrapping_key=WRAPPING_KEY, pem={"live": [pem("ES256")]})
    with pytest.raises(ConfigurationError, match="RS256, ES256, EdDSA"):
        KeyRing(store, wrapping_key=WRAPPING_KEY, algorithm="HS256")


# --- algorithms and files --------------------------------------------------------------------------------------------


def pem(algorithm: str, password: bytes | None = None) -> bytes:
    """A new private key as a PEM file."""
    makers: dict[str, Callable[[], AsymmetricKey]] = {
        "RS256": lambda: rsa.generate_private_key(65537, 2048),
        "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate,
    }
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return makers[algorithm]().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_tokens_are_signed_with_every_algorithm(algorithm: str) -> None:
    house = build(RULES, algorithm=algorithm)
    token = house.token()
    assert house.guard.check(token).kind == "signed_token"
    check_signature(token, house.ring.jwks("live"), [algorithm])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_keys_come_from_pem_files_and_rotate_there(algorithm: str) -> None:
    clock, store = Clock(), open_store("memory://")
    old, new = pem(algorithm), pem(algorithm).decode()

    def house(files: Sequence[str | bytes]) -> tuple[Guard, TokenSigner, ApiKeys]:
        ring = KeyRing(store, pem={"live": files}, algorithm=algorithm, clock=clock)
        signer = TokenSigner(ring, issuer=ISSUER, audience=AUDIENCE, clock=clock)
        keys = ApiKeys(store, owns=lambda platform, account: True, clock=clock)
        guard = Guard(authenticators=[keys, signer], policy=policy(*RULES), mode="live", clock=clock)
        return guard, signer, keys

    guard, signer, keys = house([old])
    by = guard.check(keys.create(platform="plat", mode="live").secret)
    token = signer.sign(by=by).jwt
    # Published first, then signing, then the old one dropped.
    orders: list[list[str | bytes]] = [[old, new], [new, old]]
    for files in orders:
        later, later_signer, _ = house(files)
        later.check(token)
        later.check(later_signer.sign(by=by).jwt)
        assert len(kids(later_signer.ring)) == 2
    assert kid_of(house([new, old])[1].sign(by=by).jwt) != kid_of(token)
    assert code_of(lambda: house([new])[0].check(token)) == "credential_invalid"
    assert store.answer(ListSigningKeys()) == ()
    with pytest.raises(ConfigurationError, match="restart"):
        signer.ring.rotate("live")


def test_a_leaked_file_can_be_distrusted() -> None:
    clock, store = Clock(), open_store("memory://")
    ring = KeyRing(store, pem={"live": [pem("ES256"), pem("ES256")]}, algorithm="ES256", clock=clock)
    first = drive(ring.signer("live"))[0].kid
    ring.distrust(first)
    assert drive(ring.signer("live"))[0].kid != first
    assert first not in kids(ring)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "a list"),
        ("-----BEGIN", "a list"),
        (["no pem"], "number 1"),
        ([b"\xff\xfe"], "number 1"),
        ([pem("ES384")], "cannot sign with ES256"),
        ([pem("ES256"), pem("EdDSA")], "number 2 cannot sign"),
        ([pem("ES256", b"password")], "unencrypted"),
    ],
    ids=["none", "a lone text", "no PEM", "no text", "another curve", "another type", "encrypted"],
)
def test_a_file_that_is_no_signing_key_is_an_error_at_construction(files: Sequence[str | bytes], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        KeyRing(open_store("memory://"), pem={"live": files}, algorithm="ES256")


def test_a_public_key_or_a_certificate_is_no_signing_key() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(ConfigurationError, match="no unencrypted private key"):
        KeyRing(open_store("memory://"), pem={"live": [public]}, algorithm="ES256")


def test_a_private_key_of_a_type_that_signs_nothing_here_is_refused() -> None:
    from cryptography.hazmat.primitives.asymmetric import x25519

    exchange = x25519.X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ConfigurationError, match="no unencrypted private key"):
        KeyRing(open_store("memory://"), pem={"live": [exchange]}, algorithm="ES256")


def test_files_without_the_mode_that_is_signed_in_are_an_error_that_says_so() -> None:
    ring = KeyRing(open_store("memory://"), pem={"live": [pem("ES256")]}, algorithm="ES256")
    with pytest.raises(ConfigurationError, match="pem"):
        drive(ring.signer("test"))


def test_the_maker_of_keys_answers_nothing_else() -> None:
    assert isinstance(KeyMaker().answer(MakeSigningKey("EdDSA")), ed25519.Ed25519PrivateKey)
    with pytest.raises(TypeError, match="cannot answer"):
        KeyMaker().answer(ListSigningKeys())


# --- looking for keys ------------------------------------------------------------------------------------------------


def test_a_known_key_is_never_looked_for() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    tokens = [house.token() for _ in range(3)]
    looks = store.count(ListSigningKeys)
    for token in tokens:
        house.guard.check(token)
    assert store.count(ListSigningKeys) == looks


def test_tokens_with_unknown_keys_cause_few_looks_and_then_503() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    house.token()
    stranger = build(RULES, seed=7)
    strange = stranger.token()
    before = store.count(ListSigningKeys)
    head, payload, signature = strange.split(".")
    forged = [f"{head}.{payload}.{signature[:40]}{number:02d}{signature[42:]}" for number in range(20)]
    codes = [code_of(partial(house.guard.check, text)) for text in forged]
    assert codes[:5] == ["credential_invalid"] * 5
    assert set(codes[5:]) == {"keys_unavailable"}
    assert store.count(ListSigningKeys) - before == 5
    house.clock.advance(1)
    assert code_of(lambda: house.guard.check(strange)) == "credential_invalid"


def test_tokens_without_a_kid_are_refused_without_a_look() -> None:
    from guestpass.tokens import sign

    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    record, private = drive(house.ring.signer("live"))
    before = store.count(ListSigningKeys)
    for number in range(10):
        text = sign({"iss": ISSUER, "aud": AUDIENCE, "n": number}, {"typ": "guestpass+jwt"}, private, record.algorithm)
        assert code_of(partial(house.guard.check, text)) == "credential_invalid"
    assert store.count(ListSigningKeys) == before


def test_a_process_that_never_saw_the_ring_looks_once() -> None:
    store = Recording(open_store("memory://"))
    house = build(RULES, store=store)
    token = house.token()
    fresh = build(RULES, store=store, clock=house.clock)
    before = store.count(ListSigningKeys)
    assert fresh.guard.check(token).kind == "signed_token"
    assert store.count(ListSigningKeys) == before + 1


def test_where_no_key_can_be_had_nothing_is_signed() -> None:
    class Forgetful(Recording):
        def answer(self, question):  # type: ignore[no-untyped-def]
            return () if isinstance(question, ListSigningKeys) else super().answer(question)

    house = build(RULES, store=Forgetful(open_store("memory://")))
    with pytest.raises(KeysUnavailable, match="live"):
        house.token()


def test_of_many_who_ask_for_the_first_key_set_one_makes_the_key() -> None:
    house = build(RULES)
    first = house.ring.jwks_from("live")
    asked = next(first)
    while not isinstance(asked.question, MakeSigningKey):
        asked = first.send(asked.of.answer(asked.question))
    with pytest.raises(KeysUnavailable, match="being made"):
        house.ring.jwks("live")
    first.close()
    # Whoever gave up leaves the way free.
    assert len(kids(house.ring)) == 1


def test_a_key_of_the_store_is_no_key_of_the_files() -> None:
    store = open_store("memory://")
    KeyRing(store, wrapping_key=WRAPPING_KEY, algorithm="ES256").jwks("live")
    (record,) = store.answer(ListSigningKeys())
    ring = KeyRing(store, pem={"live": [pem("ES256")]}, algorithm="ES256")
    assert record.kid not in kids(ring)
    with pytest.raises(ConfigurationError, match="not among the files"):
        ring._unwrap(record)
