"""What every store promises, whatever it is made of. Each backend is one subclass."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Refusal
from rrsd.core.values.digests import digest_of
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Job, Lease
from rrsd.drivers.store.service import Store
from tests.drivers.store.samples import NOW, RS, job, later, message_of

T = TypeVar("T")


class StoreCase(SynchronousTestCase):
    """A started store whose every call ends at once, and a clock that the test moves."""

    def setUp(self) -> None:
        """Start the store."""
        self.now = NOW
        self.store = self.open()
        self.done(self.store.start())

    def open(self) -> Store:
        """A store; a backend says which."""
        raise NotImplementedError

    def clock(self) -> Instant:
        """What the store takes for now."""
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        """Let time pass."""
        self.now = later((self.now - NOW).total_seconds() + seconds)

    def done(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns; it must not wait."""
        result: T = self.successResultOf(Deferred.fromCoroutine(work))
        return result

    def refused(self, kind: type[Refusal], work: Coroutine[Any, Any, object]) -> Refusal:
        """What `work` refuses with."""
        refusal = self.failureResultOf(Deferred.fromCoroutine(work), kind).value
        assert isinstance(refusal, Refusal)
        return refusal

    def accepted(self, *jobs: Job, name: str = "m1") -> list[int]:
        """Accept a message with the jobs; their numbers."""
        message = self.done(self.store.queue.accept(message_of(*jobs, name=name), jobs))
        assert message is not None
        return [part.job for part in message.parts]

    def leased(self, most: int = 10) -> list[Lease]:
        """Lease from the usual origin, now."""
        return list(self.done(self.store.queue.lease(RS, most, self.now, frozenset())))

    def one_lease(self, data: bytes, size: int | None = None) -> Lease:
        """Accept a job for the data and lease it."""
        self.accepted(job(digest_of(data)), name=digest_of(data).b64)
        return self.leased()[0]
