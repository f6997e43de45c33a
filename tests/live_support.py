"""A live connection without a server: whom the guard let in, what the client sends, and all that is sent to it."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import anyio

from guestpass.asgi_types import Message
from guestpass.explaining.tracing import Decides
from guestpass.grants import Grant
from guestpass.guard import Guard
from guestpass.live.life import Life
from guestpass.policy import Policy
from guestpass.principal import Principal
from guestpass.proving import Proof
from guestpass.refusals import Refusal
from guestpass.requests import Request
from guestpass.rules import Rule
from support import build

START = 1_000_000.0
ENDED = Refusal("session_revoked", "session")


def someone(expires_at: float = START + 3600, account: str = "acct_1", minted_by: str = "key_1") -> Principal:
    """The principal of a session."""
    grant = Grant("acme", "live", frozenset({account}), expires_at=expires_at)
    return Principal("account_session", account, grant, "as_1", issuer=minted_by, minted_by=minted_by)


@dataclass
class Connection:
    """One connection. The guard's clock shows `instants`, one after another and then the last.

    `verdict` is what the guard says when it is asked again, `asked` what it was asked for.
    """

    instants: list[float] = field(default_factory=lambda: [START])
    verdict: Proof = field(default_factory=someone)
    asked: list[Request] = field(default_factory=list[Request])
    incoming: deque[Message] = field(default_factory=deque[Message])
    sent: list[Message] = field(default_factory=list[Message])
    guard: Guard = field(init=False)

    def __post_init__(self) -> None:
        house = build(Policy(Rule("WEBSOCKET /v1/events")))
        self.guard = Guard(
            authenticators=house.guard.authenticators, policy=house.guard.policy, mode="live", clock=self.clock
        )
        self._came, self._looked = anyio.Event(), anyio.Event()
        self._waiting: list[tuple[Callable[[Message], bool], anyio.Event]] = []

    def clock(self) -> float:
        return self.instants.pop(0) if len(self.instants) > 1 else self.instants[0]

    def life(self, principal: Principal | None = None, request: Request | None = None) -> Life:
        """The life of this connection."""
        presented = request or Request("GET", "/v1/events", "/v1/events", None, b"", [])
        return Life(self.guard, principal or someone(), presented, self.decide)

    async def decide(self, guard: Decides, request: Request) -> Proof:
        self.asked.append(request)
        self._looked.set()
        await anyio.lowlevel.checkpoint()
        return self.verdict

    async def until_asked(self, times: int) -> None:
        """Wait until the guard has been asked again so many times more."""
        wanted = len(self.asked) + times
        while len(self.asked) < wanted:
            self._looked = anyio.Event()
            await self._looked.wait()

    def end_it(self) -> None:
        """Have the credential end, and everybody be told."""
        self.verdict = ENDED
        self.guard.forget(lambda principal: principal.minted_by == "key_1")

    def come(self, message: Message) -> None:
        """Have the client send a message."""
        self.incoming.append(message)
        self._came.set()

    async def receive(self) -> Message:
        while not self.incoming:
            self._came = anyio.Event()
            await self._came.wait()
        return self.incoming.popleft()

    async def send(self, message: Message) -> None:
        # As servers do, which so refuse what is not bytes, and messages that they do not know.
        bytes(message.get("body", b""))
        if not message["type"].startswith(("http.", "websocket.")):
            raise RuntimeError(message["type"])
        self.sent.append(message)
        for wanted, event in self._waiting:
            if wanted(message):
                event.set()
        await anyio.lowlevel.checkpoint()

    async def until(self, wanted: Callable[[Message], bool]) -> Message:
        """The first message that is `wanted`, which may be sent yet."""
        event = anyio.Event()
        self._waiting.append((wanted, event))
        if not any(map(wanted, self.sent)):
            await event.wait()
        return next(filter(wanted, self.sent))

    async def until_sent(self, kind: str) -> Message:
        """The first message of a type."""
        return await self.until(lambda message: message["type"] == kind)

    def watched(self) -> int:
        """How many connections the guard would tell of something."""
        return len(self.guard._watchers)
