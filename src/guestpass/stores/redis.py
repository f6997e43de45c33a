"""A store in Redis or Valkey, through redis-py.

Knows when the server is asked, and that whatever goes wrong there is an outage. What is asked is written in
`guestpass.stores.redis_questions`, how it is reached in `guestpass.stores.redis_clients`, what the caller is told in
`guestpass.stores.redis_errors`.
"""

import secrets
from itertools import count
from typing import TypeVar, cast

import redis
from redis.exceptions import NoScriptError

from guestpass.errors import ConfigurationError, StoreUnavailable
from guestpass.inquiry import Question
from guestpass.stores import forks, redis_scripts, redis_server
from guestpass.stores.redis_clients import LoopClients, ThreadClient
from guestpass.stores.redis_errors import FOR_GOOD, FOREIGN, LEADS_ASTRAY, NotForUs, code_of, reason, unavailable
from guestpass.stores.redis_questions import QUESTIONS, Call, Steps
from guestpass.stores.redis_records import Reply, Unreadable
from guestpass.stores.redis_url import place
from guestpass.stores.traffic import Gate

T = TypeVar("T")

_requests = count()

# The connections of event loops that a child process inherits and must not close: it would take them out of what its
# parent's loop listens to.
_inherited: list[LoopClients] = []


class RedisStore:
    """Answers every question of `guestpass.records` from the server at a URL: Redis from 6.2 on, or Valkey.

    What it has answered is in the server's append-only file, as surely as the server's ``appendfsync`` makes it; a
    server without one is warned of. Any number of threads, event loops and processes may use one server; stores of
    different `prefix` keep apart. The prefix may also stand in the URL: ``redis://localhost/0?prefix=billing:``.

    `wait`, in seconds, bounds each wait: for a connection, and for the server. Where the server says nothing, that is
    known after twice that at most. Nothing is asked twice.

    Raises ConfigurationError for what cannot work, StoreUnavailable for a server that does not answer.
    """

    def __init__(self, url: str, *, wait: float = 1.0, prefix: str | None = None) -> None:
        if not 0 < wait <= 60:
            raise ConfigurationError(
                f"wait is the seconds that a question may wait, above 0 and up to 60, not {wait!r}"
            )
        self._place = place(url, prefix)
        self._prefix = "{" + self._place.prefix + "}"
        self._wait = wait
        self._over = ""
        self._begin()
        try:
            self._open()
        except BaseException:
            self._threads.close()
            raise
        forks.watch(self)

    def __repr__(self) -> str:
        return f"RedisStore({self._place.shown!r}, prefix={self._place.prefix!r})"

    def answer(self, question: Question[T], /) -> T:
        """The answer to `question`, once the server has kept what it changes.

        Raises StoreUnavailable where the server cannot be asked, TypeError for a question that is not of
        `guestpass.records`, ValueError for a record that cannot be kept: above all one whose id or digest is
        there already.
        """
        with self._gate:
            steps = self._steps(question)
            try:
                call = next(steps)
                while True:
                    call = steps.send(self._run(call))
            except StopIteration as end:
                return cast("T", end.value)
            except Unreadable:
                raise StoreUnavailable(f"the store did not answer: {FOREIGN}") from None

    async def answer_async(self, question: Question[T], /) -> T:
        """`answer` on asyncio, without a thread. Who is cancelled meanwhile does not know whether a change was made;
        it is made to its end, or not at all."""
        steps = self._steps(question)
        try:
            call = next(steps)
            while True:
                call = steps.send(await self._run_async(call))
        except StopIteration as end:
            return cast("T", end.value)
        except Unreadable:
            raise StoreUnavailable(f"the store did not answer: {FOREIGN}") from None

    def close(self) -> None:
        """Let the questions under way end, and close the connections. Closing twice is closing once.

        Event loops that are still running close theirs in a moment; `aclose` waits for it.
        """
        self._over = "the store is closed"
        self._gate.shut(4 * self._wait)
        self._threads.close()
        self._gate.open()
        self._loops.close()

    async def aclose(self) -> None:
        """`close`, from asyncio: at its end this loop's connections are closed."""
        self.close()
        await self._loops.aclose()

    def before_fork(self) -> None:
        """Nothing to do: no lock is held that the child will need."""

    def after_fork_in_parent(self) -> None:
        """Nothing to do."""

    def after_fork_in_child(self) -> None:
        """Go on with connections of one's own."""
        _inherited.append(self._loops)
        self._begin()

    def _begin(self) -> None:
        self._gate = Gate()
        self._threads = ThreadClient(self._place, self._wait)
        self._loops = LoopClients(self._place, self._wait)

    def _open(self) -> None:
        try:
            redis_server.look(self._threads)
            version = self._asked(Call(redis_scripts.OPEN, (secrets.token_hex(16),)))
        except redis.RedisError as problem:
            if code_of(problem) in FOR_GOOD:
                raise ConfigurationError(f"the Redis store cannot use this server: {reason(problem)}") from None
            raise unavailable(problem) from None
        if version != b"%d" % redis_scripts.VERSION:
            raise ConfigurationError(
                f"what the Redis store's server holds under this prefix was not written by this guestpass, which knows"
                f" version {redis_scripts.VERSION}: upgrade guestpass, or name another prefix"
            )

    def _run(self, call: Call) -> Reply:
        try:
            return self._asked(call)
        except redis.RedisError as problem:
            if code_of(problem) in LEADS_ASTRAY:
                self._threads.renew()
            raise unavailable(problem) from None

    async def _run_async(self, call: Call) -> Reply:
        try:
            return await self._asked_async(call)
        except redis.RedisError as problem:
            if code_of(problem) in LEADS_ASTRAY:
                self._loops.renew()
            raise unavailable(problem) from None

    def _asked(self, call: Call) -> Reply:
        tag = self._tag()
        try:
            reply = self._threads.run("EVALSHA", call.script.sha, 2, self._prefix, tag, *call.arguments)
        except NoScriptError:
            # A server that has not seen it, or has forgotten, has done nothing yet.
            reply = self._threads.run("EVAL", call.script.source, 2, self._prefix, tag, *call.arguments)
        return _for_us(reply, tag)

    async def _asked_async(self, call: Call) -> Reply:
        tag = self._tag()
        try:
            reply = await self._loops.run("EVALSHA", call.script.sha, 2, self._prefix, tag, *call.arguments)
        except NoScriptError:
            reply = await self._loops.run("EVAL", call.script.source, 2, self._prefix, tag, *call.arguments)
        return _for_us(reply, tag)

    def _tag(self) -> str:
        return f"{self._prefix}{next(_requests)}"

    def _steps(self, question: Question[T]) -> Steps[T]:
        if self._over:
            raise StoreUnavailable(self._over)
        kind = type(question)
        steps = QUESTIONS.get(kind)
        if steps is None:
            raise TypeError(f"{kind.__name__} is not a question that a store answers")
        return cast("Steps[T]", steps(question))


def _for_us(reply: Reply, tag: str) -> Reply:
    # Whoever breaks off between sending and reading, by an exception out of a signal, leaves its answer in the
    # connection for the next: who would be taken for somebody else.
    if not isinstance(reply, list) or len(reply) != 2 or reply[0] != tag.encode():
        raise NotForUs
    return reply[1]
