"""What a guard tells of to whoever observes it: decisions, what bears on security, and how key sets fare.

Plain values. None holds a credential, and none holds anything that a stranger sent but in bounds and on one line: paths
stand there as the pattern of their rule.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Source: TypeAlias = Literal["none", "cache", "check", "look-up"]
"""Where a verdict on a credential came from: there was nothing to look at; the guard knew it; it was checked with what
was at hand; somebody outside was asked."""

SECURITY: Final = frozenset({
    "secret_key_in_browser", "escalation_denied", "account_mismatch", "key_revoked", "session_revoked", "token_revoked",
})  # fmt: skip
"""The codes of refusals that somebody may want to know of: a key is out, somebody tries what is not theirs, or goes on
with what was ended."""


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision on a request, or on a live connection whose credential has ended.

    - `method`: the HTTP method, ``WEBSOCKET`` for a handshake, ``_OTHER`` for one that nobody has heard of.
    - `rule`: the pattern of the rule that it was judged by, None where there is none.
    - `kind`, `platform`, `account`, `credential_id`: whose credential it was, as far as that was proved; `kind` by its
      form, otherwise. None where it is not known.
    - `code`, `status`: those of the refusal; None and 200 where the request is let in.
    - `because`: what exactly was wrong, for the operator alone.
    - `source`: where the verdict on the credential came from.
    - `seconds`: how long it took, with all that was asked for.
    """

    method: str
    rule: str | None
    kind: str | None
    platform: str | None
    account: str | None
    credential_id: str | None
    code: str | None
    status: int
    because: str
    source: Source
    seconds: float

    @property
    def allowed(self) -> bool:
        """Whether the request is let in."""
        return self.code is None


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """A refusal that somebody may want to know of; `code` is one of `SECURITY`.

    Beside the decision where a request was refused; alone where a backend's call in process was, which asked for more
    than its key has (``escalation_denied``): then `rule` is None. The other fields are those of `Decided`.
    """

    code: str
    rule: str | None
    kind: str | None
    platform: str | None
    account: str | None
    credential_id: str | None
    because: str


@dataclass(frozen=True, slots=True)
class KeySetEvent:
    """How the key set of an issuer fares.

    `name` is ``fetched``, ``fetch_failed``, or ``budget_spent``: tokens with unknown keys are refused unlooked-at
    (503), since there were too many; told at most twice a minute. `seconds` is how long the fetch took, `age` how old
    the keys are that serve, both None where there are none.
    """

    name: Literal["fetched", "fetch_failed", "budget_spent"]
    issuer: str
    seconds: float | None = None
    age: float | None = None
    because: str = ""


Event: TypeAlias = Decided | SecurityEvent | KeySetEvent

Tell: TypeAlias = Callable[[Event], object]
"""Is told of an event, in the thread or on the event loop of the request; it must not wait for anything."""
