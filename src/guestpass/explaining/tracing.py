"""What the pipeline comes across on its way to one verdict, noted by the pipeline itself.

`Guard` runs its own `decide` on a copy of itself whose parts note in a `Trace` what they are handed and what they
answer. So a trace tells of the decision that was taken, and there is no second pipeline that could differ. Knows
nothing of what is made of a trace: `guestpass.explaining.explanation` shows it to people, `guestpass.observing` makes
events of it.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Final, Protocol

from guestpass.authenticators import Authenticator
from guestpass.credentials import Credential
from guestpass.inquiry import Inquiry
from guestpass.principal import Principal, Remembered
from guestpass.proving import Finds, Proof, Recalls, Verdict
from guestpass.requests import Presented, Rehearsed, Request


class Decides(Protocol):
    """Decides on requests, as `guestpass.Guard` does."""

    def decide(self, request: Request) -> Verdict: ...


@dataclass(slots=True)
class Trace:
    """One decision. Everything is None, or False, until the pipeline has come so far.

    `presented` is what the headers said, `credential` the one that was looked at closer, `authenticator` and `kind`
    whose it is. `proof` is what came of it. `asked` says that it had to be asked for outside, `recalled` is whom the
    guard knew it for from before, `overridden` says that the verdict is on the principal of `Guard.override`.

    Where `rehearsing`, the decision is taken only to be looked at, and leaves nothing behind.
    """

    rehearsing: bool = False
    presented: Presented | None = None
    credential: Credential | None = field(default=None, repr=False)
    authenticator: Authenticator | None = field(default=None, repr=False)
    kind: str | None = None
    proof: Proof | None = None
    asked: bool = False
    recalled: Principal | None = None
    overridden: bool = False

    @property
    def cached(self) -> bool:
        """Whether the guard knew it from before."""
        return isinstance(self.proof, Principal) and self.credential is None and not self.overridden

    def recalling(self, memory: Recalls) -> Recalls:
        """`memory`, noting who is recalled."""
        return _Recalling(self, memory)

    def finding(self, authenticators: Finds) -> Finds:
        """`authenticators`, noting who is found."""
        return _Finding(self, authenticators)

    def identifying(self, identify: Callable[[Presented], Verdict]) -> Callable[[Presented], Verdict]:
        """`identify`, noting what it is handed and what it answers."""

        def noting(presented: Presented) -> Verdict:
            self.presented = presented
            verdict = identify(_rehearsed(presented) if self.rehearsing else presented)
            if isinstance(verdict, Generator):
                self.asked = True
                return self._later(verdict)
            return self._noted(verdict)

        return noting

    def _later(self, inquiry: Inquiry[Proof]) -> Inquiry[Proof]:
        return self._noted((yield from inquiry))

    def _noted(self, proof: Proof) -> Proof:
        # What is remembered of a principal is written to it: to another one, where nothing is to stay.
        self.proof = proof.but() if self.rehearsing and isinstance(proof, Remembered) else proof
        return self.proof


class _Recalling:
    def __init__(self, trace: Trace, memory: Recalls) -> None:
        self._trace: Final = trace
        self._memory: Final = memory
        self.knew: Final = memory.knew

    @property
    def generation(self) -> int:
        return self._memory.generation

    def get(self, key: bytes) -> Remembered | None:
        known, trace = self._memory.get(key), self._trace
        if known is not None and trace.rehearsing:
            known = Remembered(known, known.standing, known.until, known.versions)
        trace.recalled = known or trace.recalled
        return known


class _Finding:
    def __init__(self, trace: Trace, authenticators: Finds) -> None:
        self._trace: Final = trace
        self._authenticators: Final = authenticators

    def whose(self, credential: Credential, /) -> tuple[Authenticator, str] | None:
        trace, found = self._trace, self._authenticators.whose(credential)
        trace.credential = credential
        trace.authenticator, trace.kind = found or (None, None)
        return found


def _rehearsed(presented: Presented) -> Rehearsed:
    return Rehearsed(
        presented.authorization,
        presented.accounts,
        presented.pair,
        presented.origin,
        presented.in_browser,
        presented.preflight,
    )
