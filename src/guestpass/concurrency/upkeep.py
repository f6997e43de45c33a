"""The one owner of background work: one daemon thread in a process, and the jobs that it runs again and
again.

Knows when a job is due. Knows nothing of what jobs do. It holds their owners weakly, so an owner that
nobody else holds is collected and its jobs end. A job must not wait for the network: what takes long starts
a thread of its own.
"""

import logging
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from guestpass.concurrency.forking import begins_anew

log: Final = logging.getLogger("guestpass")

Work = Callable[[], object]


@dataclass(slots=True, eq=False)
class Job:
    """A job as `every` took it on; hand it to `cancel`. `due_at` is an instant of the upkeep's clock."""

    seconds: float
    due_at: float
    work: Callable[[], Work | None]


class Upkeep:
    """Runs jobs in one daemon thread, which the first `start` makes; a forked child makes its own.

    `clock` is in seconds and never goes back. Everything here may be called from any thread.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # Never changed, only exchanged, so that a round can go through it whatever other threads do meanwhile.
        self._jobs: tuple[Job, ...] = ()
        self._thread: threading.Thread | None = None
        begins_anew(self)

    def every(self, seconds: float, work: Work) -> Job:
        """Run `work` again and again, `seconds` apart, the first time after as many.

        A bound method does not keep its object alive: when that is collected, the job ends. Any other
        callable is kept until `cancel`. Takes on the job only; `start` makes the thread that runs it.
        """
        owner = getattr(work, "__self__", None)
        held: Callable[[], Work | None]
        held = (lambda: work) if owner is None else weakref.WeakMethod(work)
        job = Job(seconds, self._clock() + seconds, held)
        with self._lock:
            self._jobs = (*self._jobs, job)
        self._wake()
        return job

    def cancel(self, job: Job) -> None:
        """End a job. One that is running runs to its end; cancelling twice does nothing."""
        with self._lock:
            self._jobs = tuple(held for held in self._jobs if held is not job)

    def start(self) -> None:
        """Make the thread where there is none. Cheap to call often; where no thread can be had, it logs."""
        if self._thread is None and self._lock.acquire(blocking=False):
            try:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="guestpass-upkeep", daemon=True)
                    self._thread.start()
            except RuntimeError:
                log.warning("no thread for background work: what it feeds goes stale", exc_info=True)
            finally:
                # Looked at once: a thread that ends takes itself out.
                thread = self._thread
                if thread is not None and not thread.is_alive():
                    self._thread = None
                self._lock.release()

    def run_due(self, now: float) -> float:
        """Run what is due at `now`, and say how many seconds are left until the next job is (infinity: none).

        A job that raises is logged and stays. One that comes late is not made up for.
        """
        for job in self._jobs:
            if job.due_at > now or job not in self._jobs:
                continue
            job.due_at = now + job.seconds
            work = job.work()
            if work is None:
                self.cancel(job)
                continue
            try:
                work()
            except Exception:
                log.exception("a background job failed; it goes on in %s s", job.seconds)
            del work  # The thread must not keep an owner alive until the next round.
        return min((job.due_at - now for job in self._jobs), default=float("inf"))

    # Made at first use, so that gevent has patched by then; setdefault is atomic.
    @property
    def _lock(self) -> threading.Lock:
        return cast("threading.Lock", self.__dict__.setdefault("_made_lock", threading.Lock()))

    @property
    def _bell(self) -> threading.Event:
        return cast("threading.Event", self.__dict__.setdefault("_made_bell", threading.Event()))

    def _wake(self) -> None:
        if self._thread is not None:
            self._bell.set()

    def _run(self) -> None:
        bell = self._bell
        try:
            while True:
                left = self.run_due(self._clock())
                bell.wait(None if left == float("inf") else max(0.0, left))
                bell.clear()
        finally:
            # Whatever it was that ended it, such as a job that exits: the next `start` makes another.
            self._thread = None

    def after_fork(self) -> None:
        """In a forked child: the thread did not come along, and what it held is not held."""
        self._thread = None
        self.__dict__.pop("_made_lock", None)
        self.__dict__.pop("_made_bell", None)


UPKEEP: Final = Upkeep()
"""The process's own."""
