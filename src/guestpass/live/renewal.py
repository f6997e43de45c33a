"""A fresh credential on an open socket: who stays needs no new connection.

A client sends it as a text message, before the old one ends, and goes on for as long as the new one lasts:

    {"guestpass": {"credential": "cs_live_…"}}

It has to prove the same identity, and to open this very socket, judged as the handshake was. The application never sees
the message. The client is answered ``{"guestpass": {"renewed": true, "expires_at": …, "expires_in": …}}``, or
``{"guestpass": {"refused": code, "detail": …}}`` and stays with the credential that it has; at the third in a row that
is no good, the socket is closed. What has not exactly this form is the application's.

Messages are read ahead of the application, since one that only sends would otherwise never come upon a renewal. A few
are kept for it; while those are not taken, no more are read.
"""

import json
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeAlias, cast

import anyio

from guestpass.asgi_types import Message, Receive
from guestpass.authorize import noun
from guestpass.credentials import MAX_CREDENTIAL, PROTOCOLS
from guestpass.live.life import Life
from guestpass.principal import Principal
from guestpass.refusals import Refusal
from guestpass.requests import Request, canonical
from guestpass.strict_json import decode_object

Shown: TypeAlias = Callable[[Principal], None]
"""Shows the application whom it has to do with."""

AHEAD: Final = 8
"""Messages that are kept for an application that does not take them."""

ATTEMPTS: Final = 3
"""Wrong credentials in a row that close the socket."""

_BEGINNING: Final = '{"guestpass"'
_LONGEST: Final = MAX_CREDENTIAL + 64


class Renewals:
    """Reads the messages of one socket, and takes the renewals out.

    `answer` sends a text to the client, `renewed` shows the application its new principal.
    """

    def __init__(self, life: Life, receive: Receive, answer: Callable[[str], Awaitable[None]], renewed: Shown) -> None:
        self._life = life
        self._receive = receive
        self._answer = answer
        self._renewed = renewed
        self._kept: deque[Message] = deque()
        self._came, self._room, self._wanted = anyio.Event(), anyio.Event(), anyio.Event()
        self._open = self._ended = False
        self._problem: Exception | None = None
        self._refused = 0

    def accepted(self) -> None:
        """The application has accepted the socket: from now on there is something to read, and somebody to answer."""
        self._open = True
        self._wanted.set()

    async def receive(self) -> Message:
        """The next message for the application."""
        while not self._kept:
            if self._problem is not None:
                raise self._problem
            if self._ended:
                return await self._receive()
            # Also before it accepts, where it waits for a disconnect.
            self._wanted.set()
            if self._came.is_set():
                self._came = anyio.Event()
            await self._came.wait()
        self._room.set()
        return self._kept.popleft()

    async def read_ahead(self) -> None:
        """Read messages until the client is gone."""
        try:
            while not self._ended:
                await self._read_one()
        except Exception as problem:  # noqa: BLE001 - the server's, for the application
            self._problem = problem
            self._came.set()

    async def _read_one(self) -> None:
        message = await self._receive()
        credential = credential_in(message) if self._open else None
        if credential is not None:
            await self._renew(credential)
            return
        self._kept.append(message)
        self._ended = message["type"] == "websocket.disconnect"
        self._came.set()
        if not self._open:
            # A server need not expect to be asked again before the socket is accepted.
            self._wanted = anyio.Event()
            await self._wanted.wait()
        while len(self._kept) >= AHEAD:
            self._room = anyio.Event()
            await self._room.wait()

    async def _renew(self, credential: str) -> None:
        life = self._life
        request = _presenting(credential, life.request)
        proof = await life.decide(request)
        if life.over:
            return
        if isinstance(proof, Principal) and proof.identity == life.principal.identity:
            life.renew(proof, request)
            self._renewed(proof)
            self._refused = 0
            await self._say({"renewed": True, **life.lasts()})
            return
        refusal = _another(proof, life.principal) if isinstance(proof, Principal) else proof
        await self._say({"refused": refusal.code, "detail": refusal.detail})
        # Where nobody could tell, nobody was wrong.
        self._refused += refusal.status < 500
        if self._refused >= ATTEMPTS:
            life.end(refusal.code)

    async def _say(self, said: dict[str, object]) -> None:
        # Who is gone already is told so by the next message.
        with suppress(OSError):
            await self._answer(json.dumps({"guestpass": said}, separators=(",", ":")))


def credential_in(message: Message) -> str | None:
    """The fresh credential that a message presents, None where it is one of the application's."""
    text = message.get("text")
    if not isinstance(text, str) or not text.startswith(_BEGINNING) or len(text) > _LONGEST:
        return None
    try:
        said = decode_object(text.encode(), max_depth=2)
    except ValueError:
        return None
    asked = said["guestpass"] if len(said) == 1 else None
    if not isinstance(asked, dict) or len(cast("dict[str, object]", asked)) != 1:
        return None
    credential = cast("dict[str, object]", asked).get("credential")
    return credential if isinstance(credential, str) else None


def _presenting(credential: str, request: Request) -> Request:
    """`request` with another credential, come by the same way."""
    if any(name in PROTOCOLS for name in request.subprotocols):
        before = [None, *request.subprotocols]
        offered = [
            credential if last in PROTOCOLS else name for name, last in zip(request.subprotocols, before, strict=False)
        ]
        return replace(request, subprotocols=offered)
    headers = [entry for entry in request.headers if canonical(entry[0]) != b"authorization"]
    # What no header holds is no credential either.
    return replace(request, headers=[*headers, (b"authorization", b"Bearer " + credential.encode("utf-8", "replace"))])


def _another(principal: Principal, on_socket: Principal) -> Refusal:
    """Why a credential that is good in itself is not for this socket."""
    code = "credential_invalid" if principal.account == on_socket.account else "account_mismatch"
    return Refusal(code, noun(principal.kind), "It is not of the identity that this socket was opened by.")
