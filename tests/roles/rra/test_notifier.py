"""Tests for rrsd.roles.rra.notifier: rounds, trouble, and many at once."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from attrs import define, evolve, field
from twisted.logger import capturedLogs

from rrsd.core.refusals import Forbidden, Malformed, NoSpace, Refusal, TooMany
from rrsd.core.values.addresses import parse_domain
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import State
from rrsd.core.values.notices import Notice, Plight, Said
from rrsd.roles.rra.explain import explain
from rrsd.roles.rra.notifier import AT_ONCE, LONGEST_SLEEP, Notifier
from rrsd.roles.rra.telling import Waits
from rrsd.runtime.awaits import deferred_of
from rrsd.runtime.bell import Bell
from rrsd.runtime.loops import Nursery
from rrsd.runtime.timers import Timers
from tests.roles.rra.samples import NOW, job
from tests.roles.rra.test_letters import missing
from tests.roles.rra.test_telling import plight
from tests.support.domains import FlowCase, Journal, clock_at, timers_of

HOUR = timedelta(hours=1)
BOTH = Said.RECIPIENT_FAILED | Said.SENDER_FAILED


@define(eq=False)
class Rows:
    """Messages that wait to be looked at, and what was said of them."""

    waiting: list[Plight] = field(factory=list)
    looked_at: list[tuple[int, Said, Instant | None]] = field(factory=list)
    next: Instant | None = None
    trouble: Refusal | None = None

    async def due(self, now: Instant, most: int) -> Sequence[Plight]:
        """The first of them."""
        if self.trouble is not None:
            raise self.trouble
        return self.waiting[:most]

    async def next_due(self) -> Instant | None:
        """As it was told."""
        return self.next

    async def looked(self, plight: Plight, said: Said, look: Instant | None) -> None:
        """It waits no more."""
        self.waiting.remove(plight)
        self.looked_at.append((plight.number, said, look))


@define(eq=False)
class Post:
    """Takes notices, or says why not; says what the mail server has told senders."""

    taken: list[Notice] = field(factory=list)
    trouble: Refusal | None = None
    told: bool | None = False

    async def send(self, notice: Notice) -> None:
        """Take it."""
        if self.trouble is not None:
            raise self.trouble
        self.taken.append(notice)

    async def bounced(self, plight: Plight) -> bool | None:
        """As it was told."""
        return self.told


class NotifierCase(FlowCase):
    """bar.test's."""

    def setUp(self) -> None:
        """Nothing waits."""
        self.clock, self.rows, self.post, self.journal = clock_at(NOW.timestamp()), Rows(), Post(), Journal()
        self.notifier = self.build(self.post)

    def build(self, post: Post | None) -> Notifier:
        """With an outbox, or none."""
        return Notifier(
            facts=self.rows, notices=post, bounces=self.post, waits=Waits(4 * HOUR, 24 * HOUR),
            explain=lambda each: explain(each, None, NOW), ours=parse_domain("bar.test"),
            timers=timers_of(self.clock), bell=Bell(self.clock), audit=self.journal,
        )  # fmt: skip

    def lost(self, number: int = 1, **changes: Any) -> Plight:
        """One that is lost."""
        values = {"number": number, "missing": 0, "failed": 2, "examples": (missing(),), "message": f"m{number}"}
        return plight(**(values | changes))

    def round(self) -> timedelta:
        """One of them."""
        return self.run_now(self.notifier.round())


class Rounds(NotifierCase):
    """What one does."""

    def test_both_are_told(self) -> None:
        """And it is remembered."""
        self.rows.waiting = [self.lost()]
        self.assertEqual(self.round(), LONGEST_SLEEP)
        self.assertEqual([str(each.recipient) for each in self.post.taken], ["bob@bar.test", "alice@foo.test"])
        self.assertEqual(self.rows.looked_at, [(1, BOTH, None)])

    def test_many(self) -> None:
        """A hundred at once, and the next at once after them."""
        self.rows.waiting = [self.lost(number) for number in range(AT_ONCE + 1)]
        self.assertEqual(self.round(), timedelta(0))
        self.rows.next = NOW + timedelta(seconds=7)
        self.assertEqual(self.round(), timedelta(seconds=7))
        self.rows.next = NOW - HOUR
        self.assertEqual(self.round(), timedelta(0))
        self.assertEqual(len(self.rows.looked_at), AT_ONCE + 1)

    def test_who_cannot_be_told(self) -> None:
        """Is not tried again; the trail says why."""
        for number, self.post.trouble in enumerate((Forbidden("no user"), TooMany("enough"), Malformed("text"))):
            self.rows.waiting = [self.lost(number)]
            self.round()
            self.assertEqual(self.rows.looked_at[-1], (number, BOTH, None))
            self.assertEqual(self.journal.events[-1].refusal, self.post.trouble.reason)

    def test_disk_is_full(self) -> None:
        """Nothing is remembered as said, and nobody behind it is looked at."""
        self.rows.waiting, self.post.trouble = [self.lost()], NoSpace("disk")
        self.refuse_now(self.notifier.round(), NoSpace)
        self.assertEqual((self.rows.looked_at, len(self.rows.waiting)), ([], 1))

    def test_mail_server_tells_the_sender(self) -> None:
        """While it may, we wait; when it has, we do not."""
        self.rows.waiting, self.post.told = [self.lost()], None
        self.round()
        self.assertEqual(self.rows.looked_at, [(1, Said.RECIPIENT_FAILED, NOW + timedelta(minutes=5))])
        self.rows.waiting, self.post.told = [self.lost(said=Said.RECIPIENT_FAILED)], True
        self.round()
        self.assertEqual((self.rows.looked_at[-1], len(self.post.taken)), ((1, BOTH, None), 1))

    def test_sender_of_whom_nothing_is_known(self) -> None:
        """No example is left to say which address they wrote."""
        self.rows.waiting = [self.lost(examples=())]
        self.round()
        self.assertEqual(([each.recipient.local for each in self.post.taken], self.journal.events), (["bob"], []))
        self.assertEqual(self.rows.looked_at, [(1, BOTH, None)])

    def test_after_a_start(self) -> None:
        """What became late while nobody ran is said a quarter of an hour after the start, if it is late then."""
        late = plight(received=NOW - 5 * HOUR, is_answerable=False)
        self.rows.waiting = [late]
        self.round()
        self.assertEqual(self.rows.looked_at, [(1, Said.NOTHING, NOW + timedelta(minutes=15))])
        self.clock.advance(900)
        self.rows.waiting = [late]
        self.round()
        self.assertEqual((self.rows.looked_at[-1], len(self.post.taken)), ((1, Said.RECIPIENT_DELAYED, None), 1))

    def test_r10_a_clock_that_jumps_forward_makes_nothing_late(self) -> None:
        """For an hour, in which it may come back or the pulls; what comes after the jump is judged by it."""
        wall = [NOW.timestamp()]
        self.notifier.timers = Timers(self.clock, lambda: wall[0])
        self.rows.waiting = [plight(is_answerable=False)]
        self.round()
        wall[0] += 86400
        self.rows.waiting = [plight(is_answerable=False), plight(number=2, received=NOW + timedelta(days=1))]
        self.round()
        self.assertEqual(self.post.taken, [])
        soon, four = NOW + timedelta(days=1) + HOUR, NOW + timedelta(days=1) + 4 * HOUR
        self.assertEqual(self.rows.looked_at[-2:], [(1, Said.NOTHING, soon), (2, Said.NOTHING, four)])

    def test_without_mail(self) -> None:
        """What would have been said is forgotten."""
        self.notifier = self.build(None)
        self.rows.waiting = [self.lost(), plight(number=2)]
        self.round()
        self.assertEqual(self.rows.looked_at, [(1, Said.NOTHING, None), (2, Said.NOTHING, None)])


class Loop(NotifierCase):
    """It goes on."""

    def run_for(self, seconds: float) -> None:
        """Let it work."""
        nursery = Nursery()
        nursery.spawn(self.notifier.run(), "notices")
        for _ in range(int(seconds)):
            self.clock.advance(1)
        self.successResultOf(deferred_of(nursery.stop()))

    def test_after_trouble(self) -> None:
        """It is said in the log, and tried again half a minute later."""
        self.rows.trouble = NoSpace("disk")
        with capturedLogs() as logs:
            self.run_for(10)
            self.rows.trouble = None
            self.rows.waiting = [self.lost()]
            self.run_for(40)
        self.assertEqual(sum("notices wait" in each["log_format"] for each in logs), 1)
        self.assertEqual(len(self.post.taken), 2)

    def test_without_mail_says_so_once(self) -> None:
        """At start."""
        self.notifier = self.build(None)
        with capturedLogs() as logs:
            self.run_for(200)
        self.assertEqual(sum("without [mail] outbound" in each["log_format"] for each in logs), 1)

    def test_rings_for_ends_and_dangers(self) -> None:
        """For nothing else."""
        self.notifier.bell = bell = Rung()
        for state in State:
            self.notifier.changed(evolve(job(), state=state, at_risk=None))
        self.assertEqual(bell.times, 5)
        self.notifier.changed(evolve(job(), at_risk=NOW))
        self.assertEqual(bell.times, 6)


@define(eq=False)
class Rung:
    """How often it was."""

    times: int = 0

    def ring(self) -> None:
        """Once more."""
        self.times += 1

    async def wait(self, delay: timedelta | None) -> None:
        """Nobody does."""
