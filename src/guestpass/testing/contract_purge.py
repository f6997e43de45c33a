"""A store's contract: dropping what has ended."""

import math

from guestpass.records import (
    AddCutoff,
    AddSession,
    Ending,
    FindCutoff,
    FindSession,
    FindSessionById,
    Purge,
    RevokeSession,
)
from guestpass.stores import Store
from guestpass.testing.samples import HOUR, NEVER, NOW, NOW_MS, asked, session


class PurgeContract:
    """A purge takes what has ended, no more of it than it was told, and nothing else."""

    def test_the_purge_drops_what_has_ended(self, store: Store) -> None:
        for name, ends in (("past", NOW - 2), ("edge", NOW), ("live", NOW + HOUR), ("endless", math.inf)):
            store.answer(AddSession(session(name, expires_at=ends), asked(name, expires_at=ends)))
            store.answer(AddCutoff(Ending(name, NOW_MS, ends)))
        store.answer(AddSession(session("revoked", expires_at=math.inf)))
        store.answer(RevokeSession("as_revoked", NOW - 1))
        store.answer(AddSession(session("revoked late", expires_at=NOW - 2)))
        store.answer(RevokeSession("as_revoked late", NOW + 5))
        assert store.answer(Purge(NOW, NOW)) == 6
        assert store.answer(Purge(NOW, NOW)) == 0
        for name in ("past", "revoked", "revoked late"):
            assert store.answer(FindSession(session(name).digest)) is None
            assert store.answer(FindSessionById(f"as_{name}")) is None
        for name in ("edge", "live", "endless"):
            assert store.answer(FindSessionById(f"as_{name}")) is not None
            assert store.answer(FindCutoff((name,))) == NOW_MS
        assert store.answer(FindCutoff(("past", "session:as_revoked late"))) is None
        assert store.answer(FindCutoff(("session:as_revoked",))) is not None

    def test_the_purge_has_an_instant_for_each(self, store: Store) -> None:
        store.answer(AddSession(session("a", expires_at=NOW), asked(expires_at=NOW)))
        assert store.answer(Purge(NOW + 1, NOW - 1)) == 1
        assert store.answer(FindSessionById("as_a")) is not None
        assert store.answer(Purge(NOW + 1, NOW + 1)) == 1

    def test_the_purge_stops_at_its_limit_of_each(self, store: Store) -> None:
        for number in range(5):
            store.answer(AddSession(session(str(number), expires_at=NOW + number), asked(str(number))))
            store.answer(AddCutoff(Ending(str(number), NOW_MS, NOW)))
        went = [store.answer(Purge(NOW + 2 * HOUR, NOW + 2 * HOUR, limit=2)) for _ in range(4)]
        assert went == [6, 6, 3, 0]

    def test_what_is_purged_may_be_kept_anew(self, store: Store) -> None:
        for _ in range(3):
            store.answer(AddSession(session(), asked()))
            store.answer(RevokeSession("as_s", NOW))
            store.answer(AddCutoff(Ending("x", NOW_MS, NOW)))
            assert store.answer(Purge(NOW + 2 * HOUR, NOW + 1)) == 4
            assert store.answer(Purge(math.inf, math.inf)) == 0

    def test_what_has_no_end_is_never_purged(self, store: Store) -> None:
        store.answer(AddSession(session(expires_at=math.inf), asked(expires_at=math.inf)))
        store.answer(AddCutoff(Ending("x", NOW_MS, math.inf)))
        assert store.answer(Purge(math.inf, math.inf)) == 0
        assert store.answer(Purge(NEVER, NEVER)) == 0
