"""Room is set apart before a pull begins; what has none waits, costs nobody an attempt, and goes on by itself."""

from datetime import timedelta

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from rrsd.core.refusals import NoSpace, Unavailable
from rrsd.core.values.jobs import Blame, Job, Shortage, State
from rrsd.core.values.settings import Size
from rrsd.roles.rra.admission import LOOK_EVERY
from rrsd.roles.rra.room import lacking, words
from rrsd.roles.rra.rules import ROOM_CAP, SPACE_PROBE
from rrsd.roles.rra.settings import Settings
from tests.roles.rra.peers import BOB
from tests.roles.rra.samples import NOW, RS, job
from tests.roles.rra.scheduling import ARRIVED, SchedulerCase, files

GIB = 1 << 30


def short(**changes: object) -> Shortage:
    """A job of 2 GiB that finds 1 of 10."""
    sample = Shortage(job(state=State.READY, size=2 * GIB), "quota", 2 * GIB, GIB, 10 * GIB)
    return evolve(sample, **changes)  # type: ignore[arg-type]


class Rules(SynchronousTestCase):
    """What becomes of one job."""

    def test_waits_for_room_or_its_deadline(self) -> None:
        """Nothing polls for it; no attempt was made, and nobody else is blamed."""
        planned = lacking(short(), NOW, 0.5)
        after = planned.job
        self.assertEqual((planned.event, after.state, after.condition), ("no_space", State.NO_SPACE, "quota"))
        self.assertEqual((after.due, after.blame, after.attempts, after.retries),
                         (after.deadline, Blame.OURSELVES, 1, 0))  # fmt: skip

    def test_of_which_a_part_is_here_looks_by_itself_too(self) -> None:
        """It may fit where its whole size would not; ever more rarely, and never after its deadline."""
        after = lacking(short(needed=GIB), NOW, 1.0).job
        self.assertEqual((after.due, after.retries), (NOW + SPACE_PROBE, 1))
        self.assertEqual(lacking(short(needed=GIB, job=evolve(after, retries=9)), NOW, 1.0).job.due, NOW + ROOM_CAP)
        soon = evolve(after, deadline=NOW + timedelta(seconds=5))
        self.assertEqual(lacking(short(needed=GIB, job=soon), NOW, 1.0).job.due, soon.deadline)

    def test_expires_at_its_deadline_and_not_before(self) -> None:
        """Want of room fails no pull; time does."""
        for seconds, state in ((-1, State.NO_SPACE), (0, State.EXPIRED)):
            one = short()
            after = lacking(one, one.job.deadline + timedelta(seconds=seconds), 0.5).job
            self.assertIs(after.state, state)

    def test_words(self) -> None:
        """What there is too little of; what can never be is said at once."""
        for given, said in (
            (short(), "its 2048 MiB do not fit, 1024 MiB of the quota of 10 GiB are left"),
            (short(condition="space"), "its 2048 MiB do not fit, 1024 MiB are free"),
            (short(needed=11 * GIB), "its 11 GiB are more than the whole quota of 10 GiB"),
            (short(condition="space", needed=9, most=5, free=5), "its 9 bytes are more than the disk could ever hold"),
            (short(needed=9, free=10), "some of that is kept for one that has waited longer"),
            (short(condition="space", needed=1 << 60, most=0), "its 1048576 TiB are more"),
        ):
            self.assertIn(said, words(given))


class Quotas(SchedulerCase):
    """An agent whose users may hold 1000 bytes each."""

    settings = Settings(quota=Size(1000))

    def work(self, seconds: float = 2) -> None:
        """Let time pass."""
        self.desk.advance(seconds, min(seconds, 5))

    @override
    def setUp(self) -> None:
        super().setUp()
        self.desk.start()

    def one(self, number: int) -> Job:
        """One of the jobs."""
        return self.desk.job(number)

    def test_over_quota_waits_and_what_fits_goes_on(self) -> None:
        """Nobody is asked, nobody is blamed, no attempt is counted; one line of the trail says why."""
        self.desk.accept(bytes(900), b"x" * 200, b"y" * 90)
        self.work()
        self.assertEqual(self.desk.states(), [State.RECEIPTED, State.NO_SPACE, State.RECEIPTED])
        waits = self.one(2)
        self.assertEqual((waits.attempts, waits.condition, waits.blame), (0, "quota", Blame.OURSELVES))
        self.assertEqual(len(self.peers.to("GET", RS)), 2)
        (line,) = [each for each in self.desk.trail.of("pull") if each.outcome == "failed"]
        self.assertEqual((line.refusal, line.evidence), ("no_room", waits.evidence))
        self.assertEqual(self.desk.health.all(), ())

    def test_a_raised_quota_is_noticed(self) -> None:
        """Within seconds, without anybody asking."""
        self.desk.accept(bytes(2000))
        self.work()
        self.assertIn("more than the whole quota", self.one(1).evidence)
        self.desk.result(self.desk.store.queue.set_quota(BOB, 3000))
        self.work(LOOK_EVERY.total_seconds() + 1)
        self.assertIn(self.desk.state(1), ARRIVED)

    def test_it_expires_at_its_deadline(self) -> None:
        """Never before; the deadline is looked at by itself."""
        self.desk.accept(bytes(2000), deadline=self.desk.timers.now() + timedelta(hours=2))
        self.work()
        self.desk.advance(7000, 50)
        self.assertIs(self.desk.state(1), State.NO_SPACE)
        self.desk.advance(300, 10)
        self.assertIs(self.desk.state(1), State.EXPIRED)
        self.assertEqual(self.peers.to("GET", RS), [])

    def test_poison_over_quota_is_not_looked_at_again(self) -> None:
        """A thousand pulls for which there is no room keep nobody waiting, and cost nothing while they wait."""
        self.desk.accept(*[each * 200 for each in files(1000)])
        self.desk.accept(b"good", name="m2", recipient=evolve(BOB, local="carol"))
        self.work()
        self.assertIn(self.desk.state(1001), ARRIVED)
        self.work(60)
        before = self.desk.queue.asked["take"]
        self.work(3600)
        self.assertLess(self.desk.queue.asked["take"] - before, 10)
        self.assertEqual(len(self.desk.events(1)), 1)

    def test_what_cannot_be_put_aside_stays_in_the_queue(self) -> None:
        """The database refuses; when it does not, the pull waits for room."""
        self.desk.queue.trouble["change"] = NoSpace("disk")
        self.desk.accept(bytes(2000))
        self.work()
        self.assertIs(self.desk.state(1), State.NEW)
        del self.desk.queue.trouble["change"]
        self.work(60)
        self.assertIs(self.desk.state(1), State.NO_SPACE)

    def test_one_that_changes_meanwhile_is_left_alone(self) -> None:
        """Its operator holds it while it is put aside; the others are put aside all the same."""
        real = self.desk.store.queue.take

        async def take(*given: object) -> object:
            taken = await real(*given)  # type: ignore[arg-type]
            if self.desk.state(1) is State.NEW:
                self.desk.rewrite(1, state=State.HELD, due=None, condition="operator")
            return taken

        self.desk.queue.whole = _Queue(self.desk.store.queue, take)
        self.desk.accept(bytes(2000), bytes(3000))
        self.work()
        self.assertEqual(self.desk.states(), [State.HELD, State.NO_SPACE])

    def test_without_a_trail_there_is_a_pause(self) -> None:
        """Nothing is decided without a trace for long."""
        self.desk.trail.refusal = Unavailable("trail")
        self.desk.accept(bytes(2000))
        self.work()
        self.assertIsNotNone(self.desk.health.held_back(self.desk.timers.now()))

    def test_a_look_that_fails_is_made_again(self) -> None:
        """Where the store does not answer, nobody is woken; and later they are."""
        self.desk.accept(bytes(2000))
        self.work()
        self.desk.queue.trouble["make_room"] = Unavailable("store")
        self.desk.result(self.desk.store.queue.set_quota(BOB, 0))
        self.work(60)
        self.assertIs(self.desk.state(1), State.NO_SPACE)
        self.desk.queue.trouble.clear()
        self.work(60)
        self.assertIn(self.desk.state(1), ARRIVED)

    def test_the_self_check_says_who_was_miscounted(self) -> None:
        """Once, and corrects it."""
        self.desk.accept(b"one")
        self.work()
        engine = self.desk.store._engine

        async def spoil() -> None:
            await engine.write(lambda connection: connection.execute("UPDATE holders SET bytes = 900").close())

        self.desk.result(spoil())
        self.desk.advance(3700, 50)
        self.assertEqual(self.desk.result(self.desk.store.queue.holdings())[BOB.key].held, 3)


class _Queue:
    """A queue one of whose methods is another."""

    def __init__(self, queue: object, take: object) -> None:
        self.queue, self.take = queue, take

    def __getattr__(self, name: str) -> object:
        return getattr(self.queue, name)
