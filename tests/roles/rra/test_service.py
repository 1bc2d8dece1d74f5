"""The agent's loops, what it tells, and what it looks after."""

from datetime import timedelta

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Unavailable
from rrsd.core.values.jobs import State
from rrsd.core.values.resources import Checkpoint
from rrsd.roles.rra import leftovers
from rrsd.roles.rra.feed import MOST_NEWS, News
from rrsd.runtime.awaits import deferred_of
from tests.roles.rra.agents import Desk
from tests.roles.rra.peers import BOB, Body, served
from tests.roles.rra.samples import RS
from tests.roles.rra.scheduling import files

Z = b"z" * 2_000_000


class Loops(SynchronousTestCase):
    """What runs from start to stop."""

    def setUp(self) -> None:
        """An agent at rest."""
        self.desk = Desk()
        self.addCleanup(self.desk.close)

    def test_start_and_stop(self) -> None:
        """Eleven loops and a greeting; after the stop none is left, and no timer of theirs."""
        self.desk.start()
        self.assertEqual(len(self.desk.nursery), 12)
        self.desk.stop()
        self.assertEqual((len(self.desk.nursery), self.desk.clock.getDelayedCalls()), (0, []))

    def test_the_sweep_keeps_the_file_of_a_pull_that_moves_meanwhile(self) -> None:
        """A pull is woken while the sweep asks what is still wanted: its bytes are not taken for leftovers."""
        self.desk.accept(*files(3), state=State.NO_SPACE, attempts=1, due=None, condition="space")
        self.patch(leftovers, "AT_ONCE", 1)
        begun = self.desk.store.queue.begun

        async def slow(after: int, most: int) -> object:
            self.desk.rewrite(after % 3 + 1, state=State.READY, due=self.desk.timers.now())
            return await begun(after, most)

        self.desk.queue.whole = _Moving(self.desk.store.queue, slow)
        live = self.desk.result(leftovers.partials(self.desk.queue))
        self.assertEqual(len(live), 3)

    def test_a_loop_that_ends_unexpectedly_begins_again(self) -> None:
        """A defect is in the log once, and the queue goes on a little later."""
        self.desk.queue.trouble["eligible"] = ZeroDivisionError("a defect")
        self.desk.accept(*files(3))
        self.desk.start()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.desk.queue.trouble.clear()
        self.desk.advance(40, 1)
        self.assertEqual(set(self.desk.states()), {State.RECEIPTED})
        self.desk.stop()
        self.assertEqual(len(self.desk.nursery), 0)

    def test_a_start_after_a_crash_says_so(self) -> None:
        """What was leased goes on where it was."""
        self.desk.peers.always("GET", RS, served(Z, still=1000))
        self.desk.accept(Z)
        self.desk.start()
        self.desk.crash()
        self.desk.start()
        self.assertEqual(self.desk.events(1).count("restarted"), 1)

    def test_r7_the_self_check_runs_at_start_and_hourly(self) -> None:
        """A job that waits for nothing runs, and everybody hears that it had to be helped."""
        self.desk.accept(*files(3), due=self.desk.timers.now() + timedelta(days=1))
        self.desk.rewrite(1, state=State.READY, due=None)
        self.desk.start()
        self.desk.advance(1)
        self.assertEqual(self.desk.state(1), State.RECEIPTED)
        self.desk.rewrite(2, state=State.READY, due=None)
        self.desk.advance(3500, 60)
        self.assertEqual(self.desk.state(2), State.READY)
        self.desk.advance(240, 60)
        self.assertEqual(self.desk.state(2), State.RECEIPTED)
        self.assertEqual([line.resource for line in self.desk.trail.of("check")], ["pull 1", "pull 2"])

    def test_r7_the_self_check_gives_lost_leases_back(self) -> None:
        """Within two hours, a job that is leased and nobody's is somebody's again."""
        self.desk.accept(b"one", due=self.desk.timers.now() + timedelta(days=3))
        self.desk.start()
        self.desk.rewrite(1, state=State.LEASED, due=None)
        self.desk.advance(7300, 60)
        self.assertEqual(self.desk.state(1), State.RECEIPTED)

    def test_files_of_transfers_that_were_given_up_are_removed(self) -> None:
        """Those that a pull may continue stay."""
        self.desk.peers.always("GET", RS, served(Z, still=1_000_000))
        self.desk.accept(Z)
        self.desk.start()
        self.desk.result(self.desk.operations.act("cancel", 1))
        self.desk.advance(1)
        partials = [name for name in self.desk.files.nodes if "/partial/" in name]
        self.assertEqual(len(partials), 1)
        kept = Z + b"kept"
        self.desk.peers.rules.clear()
        self.desk.peers.always("GET", RS, served(kept, still=1_000_000))
        self.desk.accept(kept, name="m2")
        self.desk.advance(1)
        self.desk.result(self.desk.operations.act("hold", 2))
        self.desk.advance(86_400, 100)
        left = [name for name in self.desk.files.nodes if "/partial/" in name]
        self.assertEqual(len(left), 1)
        self.assertNotEqual(left, partials)


class Newspaper(SynchronousTestCase):
    """News for those who watch."""

    def setUp(self) -> None:
        """Bob listens."""
        self.desk = Desk()
        self.addCleanup(self.desk.close)
        self.news: list[News] = []
        self.reading = self.listen(self.news)

    def listen(self, into: list[News]) -> Deferred[None]:
        """Somebody listens to bob's news."""

        async def read() -> None:
            async for news in self.desk.feed.subscribe(BOB):
                into.append(news)

        return deferred_of(read())

    def test_a_transfer_is_told_as_it_goes(self) -> None:
        """Its beginning, its progress, its end."""
        self.desk.peers.always("GET", RS, body := served(Z, still=1_000_000))
        self.desk.accept(Z)
        self.desk.start()
        self.desk.advance(1)
        body.go_on()
        self.desk.advance(1)
        told = [(news["state"], news["done"]) for news in self.news]
        self.assertEqual((told[0], told[-1]), (("arriving", 0), ("stored", len(Z))))
        self.assertIn(("arriving", 1_000_000), told)

    def test_what_was_cancelled_was_told_as_arriving(self) -> None:
        """While its attempt unwinds: the last news of it is its end."""
        body = served(Z, still=1_000_000)

        async def stay() -> None:
            body.aborted = True

        self.desk.peers.always("GET", RS, body)
        self.desk.accept(Z)
        self.desk.start()
        self.patch(Body, "abort", lambda _: stay())
        self.desk.result(self.desk.operations.act("cancel", 1))
        self.desk.advance(3)
        self.assertEqual((self.news[-1]["state"], len(self.desk.transfers.all())), ("cancelled", 1))

    def test_a_listener_who_leaves_is_forgotten(self) -> None:
        """Nothing is kept for nobody."""
        self.assertTrue(self.desk.feed.listened(BOB))
        second = self.listen([])
        self.reading.cancel()
        self.assertTrue(self.desk.feed.listened(BOB))
        second.cancel()
        self.assertFalse(self.desk.feed.listened(BOB))
        self.failureResultOf(self.reading)
        self.failureResultOf(second)
        self.desk.accept(b"one")
        self.desk.start()
        self.assertEqual(self.news, [])

    def test_a_slow_listener_loses_the_oldest_news(self) -> None:
        """Memory is bounded for each."""
        gate: Deferred[None] = Deferred()
        news: list[News] = []

        async def read() -> None:
            async for each in self.desk.feed.subscribe(BOB):
                news.append(each)
                await gate

        reading = deferred_of(read())
        for number in range(MOST_NEWS * 2):
            self.desk.feed.tell(BOB, {"number": number})
        gate.callback(None)
        self.assertEqual((len(news), news[-1]["number"]), (MOST_NEWS + 1, MOST_NEWS * 2 - 1))
        reading.cancel()
        self.failureResultOf(reading)


class Following(SynchronousTestCase):
    """Reading what is still arriving."""

    def setUp(self) -> None:
        """A transfer that stands still half-way."""
        self.desk = Desk()
        self.addCleanup(self.desk.close)
        self.body = served(Z, still=1_000_000)
        self.desk.peers.always("GET", RS, self.body)
        self.desk.accept(Z)
        self.desk.start()
        (self.transfer,) = self.desk.transfers.all()

    def test_advanced(self) -> None:
        """At once for what is written, later for what is not, and at the end whether it came."""
        self.assertTrue(self.desk.result(self.transfer.advanced(999_999)))
        waiting = deferred_of(self.transfer.advanced(1_500_000))
        self.desk.advance(1)
        self.assertNoResult(waiting)
        self.assertEqual((self.transfer.done, self.transfer.size), (1_000_000, len(Z)))
        self.body.go_on()
        self.desk.advance(1)
        self.assertTrue(self.successResultOf(waiting))
        self.assertEqual(self.transfer.done, len(Z))

    def test_advanced_no_more(self) -> None:
        """An attempt that breaks brings nothing further."""
        waiting = deferred_of(self.transfer.advanced(1_500_000))
        self.desk.result(self.body.abort())
        self.desk.advance(1)
        self.assertFalse(self.successResultOf(waiting))

    def test_a_transfer_without_a_file_shows_what_is_durable(self) -> None:
        """Before the first byte of an attempt, the checkpoints count."""
        self.desk.stop()
        lease = self.transfer.lease
        self.desk.result(
            self.desk.store.queue.checkpoint(lease, '"x"', Checkpoint(7, lease.job.digest))
        )  # the epoch is the same until the next lease
        (again,) = self.desk.result(self.desk.store.queue.lease(RS, 1, self.desk.timers.now(), frozenset()))
        self.assertEqual(self.desk.transfers.begin(again).done, again.fetch.offset)

    def test_an_attempt_that_is_cut_before_it_begins(self) -> None:
        """Under its own epoch alone; the one that runs under another goes on."""
        lease = self.transfer.lease
        later = evolve(lease.job, epoch=lease.job.epoch + 1)
        self.desk.result(self.desk.transfers.cut(later))
        self.assertFalse(self.transfer.interrupted)
        self.assertTrue(self.desk.transfers.begin(evolve(lease, job=later)).interrupted)
        last = evolve(lease.job, epoch=lease.job.epoch + 2)
        self.assertFalse(self.desk.transfers.begin(evolve(lease, job=last)).interrupted)
        self.transfer.interrupted = True
        self.assertRaises(Unavailable, self.transfer.require_wanted)


class _Moving:
    """A queue in which something happens whenever somebody asks what was begun."""

    def __init__(self, queue: object, begun: object) -> None:
        self.queue, self.begun = queue, begun

    def __getattr__(self, name: str) -> object:
        return getattr(self.queue, name)
