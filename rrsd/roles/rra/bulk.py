"""A verb for many jobs: the daemon says first how many, and does it when that was confirmed. In steps, each bounded."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import attrs
from attrs import define, evolve, field, frozen

from rrsd.core.refusals import Conflict, Damaged, Refusal, Unknown
from rrsd.core.values.calls import Event
from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import Job, State
from rrsd.core.values.operations import Filter
from rrsd.roles.rra import rules
from rrsd.roles.rra.acting import OPERATOR, Acts, Given
from rrsd.roles.rra.books import Books
from rrsd.roles.rra.ports import Audit, Timers
from rrsd.roles.rra.verbs import OF_A_JOB
from rrsd.runtime.awaits import deferred_of
from rrsd.runtime.expiring import Expiring

CONFIRM_WITHIN = timedelta(minutes=5)
AT_ONCE = 500
TOGETHER = 50
STEP = timedelta(seconds=10)
"""How long one request works; the answer says where to go on."""
MOST_TOKENS = 100


_AGAIN, _RECEIPT = "retry-now", "receipt"
"""The one verb that is also for what has arrived, where its receipt was given up."""


def changing(verb: str) -> frozenset[State]:
    """The states of jobs that the verb changes; in others it is refused, or finds its work done."""
    event = OF_A_JOB[verb]
    if event == "requeued":
        return rules.TERMINAL - rules.ARRIVED
    also = (State.NEW, State.READY) if verb == _AGAIN else ()
    return frozenset((*also, *(state for state, each in rules.TABLE if each == event)))


@frozen
class Order:
    """A verb, what it needs, and which jobs are meant: those that were `age` seconds old when it was asked."""

    verb: str
    wanted: Filter
    given: Given = field(factory=Given)
    age: int = 0

    @property
    def meaning(self) -> tuple[object, ...]:
        """What two orders have in common that are the same: of an age, and not of a moment."""
        return self.verb, evolve(self.wanted, older=None), self.given, self.age

    @property
    def parts(self) -> Iterator[Filter]:
        """Those of the jobs that the verb would change, no job in two of them."""
        states, condition = changing(self.verb), self.wanted.condition
        for state in sorted(states if self.wanted.state is None else states & {self.wanted.state}):
            yield evolve(self.wanted, state=state)
        if self.verb == _AGAIN and self.wanted.state in (None, State.STORED) and condition in ("", _RECEIPT):
            yield evolve(self.wanted, state=State.STORED, condition=_RECEIPT)

    def is_for(self, job: Job) -> bool:
        """Whether the verb would change the job."""
        return job.state in changing(self.verb) or (self.verb == _AGAIN and job.condition == _RECEIPT)

    @property
    def words(self) -> str:
        """As the trail has it."""
        meant = {name: value for name, value in attrs.asdict(self.wanted, recurse=False).items() if value}
        said = ", ".join(f"{name} {value}" for name, value in meant.items())
        return f"{self.verb} --all{f' ({said})' if said else ''}"


@frozen
class Asked:
    """How many jobs an order would change now, and the token that confirms it for `seconds`, after each
    step anew."""

    jobs: int
    token: str
    seconds: int


@frozen
class Step:
    """How many were changed, how many did not allow it or need it, and after which job to go on; None when that was
    all."""

    changed: int
    unchanged: int
    next: int | None


@define(eq=False, kw_only=True)
class Bulk:
    """Orders that wait for their confirmation, and the work."""

    acts: Acts
    books: Books
    timers: Timers
    audit: Audit
    _orders: Expiring[str, Order] = field(factory=lambda: Expiring(MOST_TOKENS), init=False)

    async def ask(self, order: Order) -> Asked:
        """How many the order would change; nothing happens yet."""
        jobs = 0
        for part in order.parts:
            jobs += await self.books.count(part)
        token = digest_of(f"{order} {jobs} {self.timers.monotonic()}".encode()).b64[:10]
        self._remember(token, order)
        return Asked(jobs, token, int(CONFIRM_WITHIN.total_seconds()))

    def _remember(self, token: str, order: Order) -> None:
        """For a while from now: a long order is one of many steps."""
        self._orders.put(token, order, self.timers.monotonic() + CONFIRM_WITHIN.total_seconds())

    async def carry_out(self, order: Order, token: str, after: int, who: str = OPERATOR) -> Step:
        """Work on the jobs after that one for a while. Jobs that are accepted meanwhile are meant too.

        Raises:
            Conflict: nobody was told how many this is about, or that and the last step were too long ago.
        """
        asked = self._orders.get(token, self.timers.monotonic())
        if asked is None or asked.meaning != order.meaning:
            raise Conflict("the token is not for this, or is older than five minutes: ask again without one")
        if not after:
            self.audit.record(Event("operate", "granted", who=who, resource="pulls", evidence=order.words))
        end, changed, unchanged = self.timers.monotonic() + STEP.total_seconds(), 0, 0
        while True:
            page = await self.books.chosen(asked.wanted, after, AT_ONCE)
            done = await self._each(asked, [job.job for job in page.jobs if asked.is_for(job)], who)
            changed, unchanged = changed + done, unchanged + len(page.jobs) - done
            if page.next is None or self.timers.monotonic() >= end:
                self._remember(token, asked)
                return Step(changed, unchanged, page.next)
            after = page.next

    async def _each(self, order: Order, jobs: Sequence[int], who: str) -> int:
        """Some at a time, so that they share commits."""
        done = 0
        for start in range(0, len(jobs), TOGETHER):
            acts = [deferred_of(self._one(order, number, who)) for number in jobs[start : start + TOGETHER]]
            ends = [await act for act in acts]
            for end in ends:
                if isinstance(end, Refusal):
                    raise end
            done += ends.count(True)
        return done

    async def _one(self, order: Order, number: int, who: str) -> bool | Refusal:
        """Whether it was changed; what ends the whole order is not raised before the others have ended."""
        try:
            return (await self.acts.acted(order.verb, number, who, order.given)).is_changed
        except (Conflict, Unknown, Damaged):
            return False
        except Refusal as refusal:
            return refusal
