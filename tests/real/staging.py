"""The test's end of `stage`: it moves the clock of a server at work, and asks what is left behind there."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from guestpass.tokens import sign
from real.programs import WAIT
from real.serving import Serving, serving
from real.stage import AUDIENCE, ISSUER

_PRIVATE: Final = ec.generate_private_key(ec.SECP256R1())
_JWKS: Final = {
    "keys": [{**jwt.get_algorithm_by_name("ES256").to_jwk(_PRIVATE.public_key(), as_dict=True), "kid": "outside"}]
}

Counts = dict[str, int]

NEAR: Final = 0.3
"""Seconds before the end, for sockets that are opened while the clock stands. The server waits as long by its own time,
looks at this clock, and waits again: so it notices soon that the clock goes on."""


@dataclass(frozen=True)
class Stage(Serving):
    """The stage under a server at work."""

    @property
    def now(self) -> float:
        """What its clock says, in Unix seconds."""
        return float(self._control("clock"))

    def stop_clock(self, at: float) -> None:
        """It is `at` from now on. Who waits for an instant notices when it would have come: see `NEAR`."""
        self._control(f"set_clock?at={at!r}")

    def start_clock(self, at: float) -> None:
        """It is `at` now, and goes on from there."""
        self._control(f"set_clock?at={at!r}&runs=1")

    def counts(self) -> Counts:
        """How much there is of everything that a connection could leave behind."""
        counts: Counts = self._control("counts")
        return counts

    def settle(self, settled: Callable[[Counts], bool]) -> Counts:
        """The counts, once they are as they should be; fails where that does not come."""
        end = time.monotonic() + WAIT
        while not settled(now := self.counts()):
            assert time.monotonic() < end, now
        return now

    def nothing_left(self, before: Counts) -> Counts:
        """The counts, once there is no more of anything but memory and idle threads than `before`."""
        names = ("watched", "tasks", "files")
        return self.settle(lambda now: all(now[name] <= before[name] for name in names))

    def nobody_watched(self) -> Counts:
        """The counts, once the guard looks after no socket, whatever the server still has to do for one."""
        return self.settle(lambda now: now["watched"] == 0)

    def at_rest(self, before: Counts) -> Counts:
        """The counts, once there is no more than `before` and nothing is being cleared away any more."""
        last = self.nothing_left(before)

        def as_before(now: Counts) -> bool:
            nonlocal last
            last, then = now, last
            return abs(now["objects"] - then["objects"]) < 10

        return self.settle(as_before)

    def identity_token(self, account: str, lasts: int = 60) -> str:
        """A token of the outside issuer."""
        now = int(self.now)
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + lasts, "account": account}
        return sign(claims, {"kid": "outside"}, _PRIVATE, "ES256")

    def credentials(self, account: str = "acct_1", lasts: int = 60) -> dict[str, tuple[str, str]]:
        """A credential of every kind that may open a socket by the name of the pair it comes in; also whom it names."""
        return {
            "client_secret": (self.mint(account, expires_in=lasts)["client_secret"], "account_session"),
            "jwt": (self.sign(account, expiresIn=lasts), "signed_token"),
            "token": (self.identity_token(account, lasts), "identity_token"),
            "apikey": (self.secret_key, "secret_key"),
        }

    def _control(self, action: str) -> Any:
        status, said = self.ask(f"/control/{action}")
        assert status == 200, said
        return said


@contextmanager
def staged(server: str, **settings: Any) -> Iterator[Stage]:
    """The stage under a server, until the block ends."""
    with serving(server, "stage", jwks=_JWKS, **settings) as house:
        yield Stage(**asdict(house))
