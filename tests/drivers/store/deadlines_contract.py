"""The contract of the queue about the ends of jobs."""

from attrs import evolve

from rrsd.core.refusals import Conflict
from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import Change, Job, State
from rrsd.core.values.operations import Filter
from rrsd.drivers.store.sql import books
from tests.drivers.store.contract import StoreCase
from tests.drivers.store.samples import NOW, OTHER_RS, RS, job, later, with_due

A = digest_of(b"a")
DAY = 86400


class DeadlinesContract(StoreCase):
    """What the store promises about deadlines."""

    def put(self, given: Job, event: str, before: State) -> Job:
        """Write the change; the job as it is then."""
        self.done(self.store.queue.change([Change(given, event, NOW, before, "why")]))
        return self.done(self.store.queue.find(given.job))

    def test_an_extension_moves_the_end_alone(self) -> None:
        """Nothing of it becomes earlier, the job is not at risk any more, and everything else stays as it is."""
        (number,) = self.accepted(evolve(job(A), not_after=later(8 * DAY)))
        found = self.done(self.store.queue.find(number))
        at_risk = self.put(evolve(found, at_risk=later(5), retries=7), "at_risk", State.NEW)
        self.assertEqual(at_risk, evolve(found, at_risk=later(5)))
        longer = evolve(at_risk, deadline=later(9 * DAY), not_after=later(10 * DAY), at_risk=None, retries=7)
        self.assertEqual(self.put(longer, "extended", State.NEW), evolve(longer, retries=0))
        shorter = evolve(longer, deadline=later(DAY), not_after=None)
        self.assertEqual(self.put(shorter, "extended", State.NEW), evolve(longer, retries=0))
        events = [row.event for row in self.done(self.store.queue.history(number, 9))]
        self.assertEqual(events[-3:], ["at_risk", "extended", "extended"])

    def test_a_risk_is_seen_once(self) -> None:
        """It is remembered when it was first seen."""
        (number,) = self.accepted(job(A))
        found = self.done(self.store.queue.find(number))
        self.put(evolve(found, at_risk=later(5)), "at_risk", State.NEW)
        self.assertEqual(self.put(evolve(found, at_risk=later(9)), "at_risk", State.NEW).at_risk, later(5))

    def test_an_extension_is_fenced(self) -> None:
        """One that meets another state or another epoch changes nothing."""
        (number,) = self.accepted(job(A))
        found = self.done(self.store.queue.find(number))
        (lease,) = self.leased()
        for given, before in ((found, State.NEW), (found, State.LEASED)):
            for event in ("extended", "at_risk"):
                longer = evolve(given, deadline=later(9 * DAY), at_risk=NOW)
                self.refused(Conflict, self.store.queue.change([Change(longer, event, NOW, before)]))
        self.assertEqual(self.done(self.store.queue.find(number)), lease.job)

    def test_an_attempt_does_not_take_an_extension_back(self) -> None:
        """What was given while the job was leased is still there when its attempt has ended."""
        (number,) = self.accepted(job(A))
        (lease,) = self.leased()
        self.put(evolve(lease.job, deadline=later(9 * DAY)), "extended", State.LEASED)
        self.put(evolve(lease.job, state=State.READY, due=NOW), "returned", State.LEASED)
        self.assertEqual(self.done(self.store.queue.find(number)).deadline, later(9 * DAY))

    def test_release_moves_the_end(self) -> None:
        """Since when it is held, and what the release made of its deadline, are remembered."""
        (number,) = self.accepted(job(A))
        found = self.done(self.store.queue.find(number))
        held = self.put(evolve(found, state=State.HELD, due=None, held=later(3)), "held", State.NEW)
        self.assertEqual(held.held, later(3))
        free = evolve(held, state=State.READY, due=NOW, held=None, deadline=later(8 * DAY))
        self.assertEqual(self.put(free, "released", State.HELD), free)

    def test_rates(self) -> None:
        """The newest rates are remembered, oldest first; those of long ago are forgotten."""
        self.done(self.store.queue.save_rate(RS, 5.0, NOW))
        self.done(self.store.queue.save_rate(OTHER_RS, 7.0, later(1)))
        self.assertEqual(self.done(self.store.queue.rates(9)), [(str(RS), 5.0), (str(OTHER_RS), 7.0)])
        self.assertEqual(self.done(self.store.queue.rates(1)), [(str(OTHER_RS), 7.0)])
        self.done(self.store.queue.save_rate(RS, 6.0, later(200 * DAY)))
        self.assertEqual(self.done(self.store.queue.rates(9)), [(str(RS), 6.0)])

    def watched(self, at: float, most: int = 9) -> list[int]:
        """The jobs whose deadlines are looked at then."""
        return [each.job for each in self.done(self.store.queue.watch(later(at), most))]

    def test_first_looks(self) -> None:
        """After half of the life, or earlier where a MiB in two seconds would have to begin."""
        small, large = self.accepted(job(A), evolve(job(digest_of(b"b"), 1), size=200 << 30))
        self.assertEqual(self.watched(3.5 * DAY - 1), [large])
        self.assertEqual(self.watched(3.5 * DAY), [large, small])
        self.assertEqual(self.watched(3.5 * DAY, 1), [large])
        self.assertEqual(self.watched(7 * DAY - 400 * 1024 - 1), [])
        self.assertEqual(self.watched(7 * DAY - 400 * 1024), [large])

    def test_later_looks(self) -> None:
        """As it is said, until the deadline is moved; what is over or held is not looked at."""
        (number,) = self.accepted(job(A))
        self.done(self.store.queue.watched([(number, later(5 * DAY))]))
        self.assertEqual(self.watched(5 * DAY - 1), [])
        found = self.done(self.store.queue.find(number))
        longer = self.put(evolve(found, deadline=later(20 * DAY)), "extended", State.NEW)
        self.assertEqual((self.watched(10 * DAY - 1), self.watched(10 * DAY)), ([], [number]))
        (lease,) = self.leased()
        self.assertEqual(self.watched(10 * DAY), [number])
        self.put(evolve(lease.job, state=State.HELD, held=NOW), "held", State.LEASED)
        self.assertEqual(self.watched(90 * DAY), [])
        self.put(evolve(longer, epoch=1, state=State.EXPIRED, due=None), "x", State.HELD)
        self.assertEqual(self.watched(90 * DAY), [])

    def test_times_of_a_clock_that_was_ahead(self) -> None:
        """Jobs and destinations that would wait for longer than anybody is told to are due now."""
        far, near = self.accepted(with_due(job(A), 90 * DAY), with_due(job(digest_of(b"b"), 1), 60))
        self.done(self.store.queue.put_off([(RS, later(80 * DAY))]))
        self.assertEqual(self.done(self.store.queue.mend(later(2 * DAY), later(5), 9)), 1)
        self.assertEqual(self.done(self.store.queue.find(far)).due, later(5))
        self.assertEqual(self.done(self.store.queue.find(near)).due, later(60))
        self.assertEqual(self.done(self.store.queue.eligible(later(5), 9)), [RS])
        self.assertEqual(self.done(self.store.queue.mend(later(2 * DAY), later(5), 9)), 0)

    def test_looks_that_a_clock_has_put_off(self) -> None:
        """Every deadline is looked at anew, so many at a time, and each once."""
        numbers = self.accepted(*[job(digest_of(bytes([each])), each) for each in range(3)])
        self.done(self.store.queue.watched([(number, later(5 * DAY)) for number in numbers]))
        self.assertEqual(self.watched(5), [])
        found = [self.done(self.store.queue.watch_anew(later(5), 2)) for _ in range(3)]
        self.assertEqual(found, [2, 1, 0])
        self.assertEqual(sorted(self.watched(5)), sorted(numbers))

    def test_the_newest_time_that_was_written(self) -> None:
        """None without jobs; then that of the newest job, or of what happened to one since."""
        self.assertIsNone(self.done(self.store.queue.latest()))
        (number,) = self.accepted(job(A))
        self.assertEqual(self.done(self.store.queue.latest()), NOW)
        found = self.done(self.store.queue.find(number))
        change = Change(evolve(found, state=State.HELD, held=later(9)), "held", later(9), State.NEW)
        self.done(self.store.queue.change([change]))
        self.assertEqual(self.done(self.store.queue.latest()), later(9))

    def test_at_risk_are_those_that_may_still_be_lost(self) -> None:
        """By number, from an index of their own; what has arrived since is not among them."""
        first, second, third = self.accepted(*[job(digest_of(bytes([each])), each) for each in range(3)])
        for number in (first, third):
            found = self.done(self.store.queue.find(number))
            self.put(evolve(found, at_risk=later(5)), "at_risk", State.NEW)
        wanted = Filter(at_risk=True)
        page = self.done(self.store.books.chosen(wanted, 0, 9))
        self.assertEqual([each.job for each in page.jobs], [first, third])
        self.assertEqual(self.done(self.store.books.count(wanted)), 2)
        self.put(evolve(self.done(self.store.queue.find(first)), state=State.EXPIRED, due=None), "expired", State.NEW)
        self.assertEqual([each.job for each in self.done(self.store.books.chosen(wanted, 0, 9)).jobs], [third])
        of_state = Filter(state=State.NEW, at_risk=True)
        self.assertEqual([each.job for each in self.done(self.store.books.chosen(of_state, 0, 9)).jobs], [third])
        self.assertEqual(self.done(self.store.books.chosen(wanted, third, 9)).jobs, ())
        self.assertNotIn(second, [each.job for each in page.jobs])

    def test_counting_goes_step_by_step(self) -> None:
        """However long the queue is, each look at it is a short one."""
        self.accepted(*[job(digest_of(bytes([each])), each) for each in range(3)])
        for most in (1, 2, 3, 9):
            self.patch(books, "SCAN", most)
            for wanted, number in (
                (Filter(), 3),
                (Filter(state=State.NEW), 3),
                (Filter(state=State.HELD), 0),
                (Filter(sender="foo.test", origin=RS), 3),
                (Filter(sender="foo.test", origin=OTHER_RS), 0),
            ):
                self.assertEqual(self.done(self.store.books.count(wanted)), number)
