"""Which pull runs when, and that none is ever lost."""

from collections.abc import Awaitable
from datetime import timedelta

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Conflict, NoSpace, TooMany, Unavailable
from rrsd.core.values.addresses import parse_address, parse_domain
from rrsd.core.values.calls import Call
from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import Blame, Breaker, Change, Priority, State
from rrsd.core.values.peers import parse_origin
from rrsd.roles.rra import health, scheduler
from rrsd.roles.rra.settings import Settings
from tests.roles.rra.agents import HOME, OTHER, STS, Body, Desk, Told, said, served
from tests.roles.rra.samples import RS

DOWN = Unavailable("connect: refused")
ARRIVED = (State.STORED, State.RECEIPTED)


def files(number: int, start: int = 0) -> list[bytes]:
    """As many different small resources."""
    return [b"resource %d" % each for each in range(start, start + number)]


class Gate:
    """A resource server that lets each request wait until the test lets it go on."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.waiting: list[tuple[Call, Deferred[Told]]] = []
        self.most = 0

    def __call__(self, call: Call) -> Awaitable[Told]:
        answer: Deferred[Told] = Deferred()
        self.waiting.append((call, answer))
        self.most = max(self.most, len(self.waiting))
        return answer

    def let_go(self, number: int = 1) -> None:
        """Answer the oldest requests well."""
        for _ in range(number):
            call, answer = self.waiting.pop(0)
            answer.callback(served(self.desk.peers.content[call.target]))

    def all(self) -> None:
        """Answer until nobody asks any more."""
        while self.waiting:
            self.let_go()


class SchedulerCase(SynchronousTestCase):
    """An agent at work."""

    settings = Settings(active_per_destination=4)

    def setUp(self) -> None:
        """Nothing is due yet."""
        self.desk = Desk(self.settings)
        self.addCleanup(self.desk.close)
        self.peers = self.desk.peers
        self.gate = Gate(self.desk)

    def flush(self) -> None:
        """Forget reports that the test has provoked."""
        self.flushLoggedErrors()


class Lanes(SchedulerCase):
    """One destination's runners."""

    def test_everything_that_is_due_arrives(self) -> None:
        """More jobs than slots and than one lease takes, all of them at once."""
        self.desk.accept(*files(100))
        self.desk.start()
        self.desk.advance(2)
        self.assertEqual(set(self.desk.states()), {State.RECEIPTED})
        self.assertLessEqual(len(self.peers.to("POST", STS)), 1)

    def test_a_destination_never_has_more_than_its_limit(self) -> None:
        """Four at once, whatever waits and whoever rings."""
        self.peers.rule("GET", RS, self.gate)
        self.desk.accept(*files(60))
        self.desk.start()
        while self.gate.waiting:
            self.desk.bell.ring()
            self.desk.advance(0.5)
            self.gate.let_go()
        self.assertEqual(self.gate.most, 4)
        self.assertTrue(all(state in ARRIVED for state in self.desk.states()))

    def test_a_lane_that_empties_while_more_is_leased_stays_one_lane(self) -> None:
        """Leases that come late belong to the lane whose runners are counted."""
        self.peers.rule("GET", RS, self.gate)
        self.desk.accept(*files(2))
        self.desk.start()
        more = self.desk.queue.gates["lease"] = Deferred()
        self.desk.accept(*files(20, 2), name="m2")
        self.desk.advance(1)
        self.gate.all()
        del self.desk.queue.gates["lease"]
        more.callback(None)
        self.desk.bell.ring()
        self.desk.advance(1)
        self.assertEqual(len(self.gate.waiting), 4)
        self.gate.all()
        self.desk.advance(1)
        self.gate.all()
        self.assertTrue(all(state in ARRIVED for state in self.desk.states()))

    def test_a_breaker_that_opens_mid_lane_gives_the_leases_back(self) -> None:
        """After the fifth failure nothing of the destination is leased any more."""
        self.peers.always("GET", RS, DOWN)
        self.desk.accept(*files(30))
        self.desk.start()
        self.assertNotIn(State.LEASED, self.desk.states())
        self.assertLessEqual(len(self.peers.to("GET", RS)), 8)
        self.assertIn("returned", self.desk.events(30))

    def test_a_recovered_destination_wakes_all_who_wait_for_it(self) -> None:
        """The probe's success wakes the others, even when somebody asked for the probe a second ago."""
        self.peers.always("GET", RS, DOWN)
        self.desk.accept(*files(30))
        self.desk.start()
        self.peers.rules.clear()
        self.desk.result(self.desk.operations.act("retry-now", 1))
        self.desk.advance(3)
        self.assertTrue(all(state in ARRIVED for state in self.desk.states()), self.desk.states())

    def test_a_recovered_destination_gets_its_slots_back(self) -> None:
        """1, 2, 4: the leases that wait are taken up by more runners as the limit grows."""
        ill = Breaker(str(RS), failures=5, opened=self.desk.timers.now(), not_before=self.desk.timers.now(), limit=1)
        self.desk.result(self.desk.store.queue.save_breaker("destination", ill))
        self.peers.rule("GET", RS, self.gate)
        self.desk.accept(*files(40))
        self.desk.start()
        running = []
        for _ in range(4):
            running.append(len(self.gate.waiting))
            self.gate.let_go()
            self.desk.advance(0.1)
        self.assertEqual(running, [1, 1, 2, 4])

    def test_a_destination_earns_its_slots(self) -> None:
        """It begins with four; each success doubles them up to the limit, and what it earned is kept."""
        self.desk.close()
        self.desk = Desk(Settings(active_per_destination=16))
        self.addCleanup(self.desk.close)
        self.gate = Gate(self.desk)
        self.desk.peers.rule("GET", RS, self.gate)
        self.desk.accept(*files(60))
        self.desk.start()
        running = []
        for _ in range(4):
            running.append(len(self.gate.waiting))
            self.gate.let_go()
            self.desk.advance(0.1)
        self.assertEqual(running, [4, 8, 16, 16])
        self.assertEqual(self.desk.health.all(), ())

    def test_jobs_of_one_digest_never_run_together(self) -> None:
        """Two recipients of one resource: the second proves its right when the first has it."""
        self.peers.rule("GET", RS, self.gate)
        self.desk.accept(b"same")
        self.desk.accept(b"same", name="m2", recipient=parse_address("carol@bar.test"))
        self.desk.start()
        self.assertEqual(len(self.gate.waiting), 1)
        self.gate.let_go()
        self.desk.advance(2)
        self.assertEqual((len(self.peers.to("GET", RS)), len(self.peers.to("HEAD", RS))), (1, 1))
        self.assertEqual(set(self.desk.states()), {State.RECEIPTED})


class Priorities(SchedulerCase):
    """Who goes first."""

    settings = Settings(active_per_destination=1)

    def order(self) -> list[str]:
        """The order in which resources were asked for."""
        return [self.peers.content[call.target].decode() for call in self.peers.to("GET", RS)]

    def test_interactive_goes_first(self) -> None:
        """A job that somebody waits for is leased before older ones."""
        self.desk.accept(*files(3))
        self.desk.accept(b"urgent", name="m2", priority=Priority.INTERACTIVE)
        self.desk.start()
        self.assertEqual(self.order()[0], "urgent")

    def test_a_hurried_job_overtakes_what_was_leased_ahead(self) -> None:
        """It waits for the running transfer, not for the thirty behind it."""
        self.peers.rule("GET", RS, self.gate)
        self.desk.accept(*files(60))
        self.desk.start()
        self.desk.result(self.desk.operations.hurry(60, None))
        self.gate.let_go()
        self.desk.advance(0.1)
        self.assertEqual(self.order()[1], "resource 59")

    def test_a_hurried_job_that_is_leased_ahead_is_the_next(self) -> None:
        """It moves to the front of its lane."""
        self.peers.rule("GET", RS, self.gate)
        self.desk.accept(*files(20))
        self.desk.start()
        self.assertEqual(self.desk.state(20), State.LEASED)
        self.desk.result(self.desk.operations.hurry(20, None))
        self.gate.let_go()
        self.desk.advance(0.1)
        self.assertEqual(self.order()[1], "resource 19")

    def test_a_hurried_job_that_runs_changes_nothing(self) -> None:
        """Who runs already cannot go any sooner, and nobody has to go back for it."""
        self.peers.rule("GET", RS, self.gate)
        self.desk.accept(*files(5))
        self.desk.start()
        self.desk.result(self.desk.operations.hurry(1, None))
        self.gate.let_go()
        self.desk.advance(0.1)
        self.assertEqual(self.order(), ["resource 0", "resource 1"])
        self.assertNotIn("returned", self.desk.events(3))


class Isolation(SchedulerCase):
    """One party's trouble is not another's (R6)."""

    settings = Settings(active=4, active_per_destination=4)

    def test_a_full_house_starves_nobody(self) -> None:
        """With fewer slots than destinations' appetites, every destination has its turn."""
        rooms = [parse_origin(f"https://rs{number}.foo.test") for number in range(6)]
        self.desk.directory.listed.update(rooms)
        for number, origin in enumerate(rooms):
            self.peers.rule("GET", origin, self.gate)
            self.desk.accept(*files(100, number * 1000), name=f"m{number}", origin=origin)
        self.desk.start()
        for _ in range(200):
            self.gate.let_go()
            self.desk.advance(0.01)
        asked = {call.peer.origin for call in self.peers.calls if call.method == "GET"}
        self.assertEqual((asked, self.gate.most), (set(rooms), 4))

    def test_what_does_not_fit_holds_nobody_back(self) -> None:
        """A resource that is larger than the free space waits; small ones go on as if it were not there."""
        self.desk.files.capacity = 10_000_000
        self.desk.accept(b"huge", size=1 << 39)
        self.desk.accept(*files(5), name="m2")
        self.desk.start()
        self.desk.advance(2)
        self.assertEqual(self.desk.states(), [State.NO_SPACE] + [State.RECEIPTED] * 5)
        self.assertEqual(self.desk.job(1).blame, Blame.OURSELVES)
        self.assertIsNone(self.desk.health.held_back(self.desk.timers.now()))

    def test_1001_poison_jobs_do_not_keep_a_good_one_waiting(self) -> None:
        """What is refused for good is asked once and does not come back."""
        self.peers.rule("GET", RS, lambda call: None if b"good" in self.peers.content[call.target] else said(410))
        self.desk.accept(*files(1001))
        self.desk.accept(b"good", name="m2")
        self.desk.start()
        self.desk.advance(5)
        self.assertIn(self.desk.state(1002), ARRIVED)
        self.desk.advance(600, 20)
        self.assertEqual(len(self.peers.to("GET", RS)), 1002)


class Ourselves(SchedulerCase):
    """This host's own troubles are charged to nobody else."""

    def test_a_disk_that_fails_pauses_everything_and_recovers(self) -> None:
        """No destination is blamed, nothing new starts for a while, and all arrives when there is space."""
        self.peers.rule("GET", RS, self.gate)
        self.desk.accept(*[each * 200_000 for each in files(3)])
        self.desk.start()
        self.peers.rules.clear()
        self.desk.files.fails = True
        self.gate.all()
        self.assertEqual(set(self.desk.states()), {State.NO_SPACE})
        self.assertIsNotNone(self.desk.health.held_back(self.desk.timers.now()))
        self.assertEqual(self.desk.health.all(), ())
        self.desk.accept(b"small", name="m2")
        self.desk.advance(10)
        self.assertEqual(self.desk.state(4), State.NEW)
        self.desk.files.fails = False
        self.desk.advance(120, 5)
        self.assertTrue(all(state in ARRIVED for state in self.desk.states()), self.desk.states())

    def test_a_queue_that_cannot_be_read_stops_nothing_for_good(self) -> None:
        """A refusal in a round is a pause, not the end of the loop."""
        self.desk.queue.trouble["lease"] = NoSpace("disk")
        self.desk.accept(*files(3))
        self.desk.start()
        self.assertEqual(set(self.desk.states()), {State.NEW})
        del self.desk.queue.trouble["lease"]
        self.desk.advance(40, 5)
        self.assertEqual(set(self.desk.states()), {State.RECEIPTED})

    def test_an_end_that_cannot_be_written_is_written_later(self) -> None:
        """The lease does not stay without a runner."""
        self.desk.queue.trouble["change"] = NoSpace("disk")
        self.desk.accept(*files(3))
        self.desk.start()
        self.assertEqual(set(self.desk.states()), {State.LEASED})
        del self.desk.queue.trouble["change"]
        self.desk.advance(60, 1)
        self.assertEqual(set(self.desk.states()), {State.RECEIPTED})

    def test_a_fenced_attempt_changes_nothing(self) -> None:
        """Where another epoch has taken over, the end of this attempt is void."""
        self.peers.rule("GET", RS, self.gate)
        self.desk.accept(b"one")
        self.desk.start()
        leased = self.desk.job(1)
        now = self.desk.timers.now()
        taken = Change(evolve(leased, state=State.HELD, condition="operator"), "held", now, State.LEASED)
        self.desk.result(self.desk.store.queue.change([taken]))
        self.gate.let_go()
        self.desk.advance(1)
        self.assertEqual((self.desk.state(1), self.desk.trail.of("pull")), (State.HELD, []))

    def test_an_unexpected_exception_is_our_own_and_the_job_is_deferred(self) -> None:
        """The log has it, the job is tried again, the lane goes on."""
        self.peers.always("GET", RS, ZeroDivisionError("a defect"))
        self.desk.accept(*files(6))
        self.desk.start()
        self.desk.advance(1)
        self.assertEqual(set(self.desk.states()), {State.DEFERRED})
        self.assertEqual((self.desk.job(1).blame, self.desk.health.all()), (Blame.OURSELVES, ()))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 6)
        self.peers.rules.clear()
        self.desk.advance(60, 5)
        self.assertEqual(set(self.desk.states()), {State.RECEIPTED})

    def test_breakers_that_cannot_be_saved_cost_no_job(self) -> None:
        """The job's end is written all the same."""
        for trouble in (NoSpace("disk"), Unavailable("store")):
            with self.subTest(trouble=trouble):
                self.setUp()
                self.desk.queue.trouble["save_breaker"] = trouble
                self.peers.always("GET", RS, DOWN)
                self.desk.accept(*files(3))
                self.desk.start()
                self.desk.advance(40, 5)
                self.assertNotIn(State.LEASED, self.desk.states())

    def test_a_wake_up_that_cannot_be_written_costs_no_job(self) -> None:
        """The others come at their own time."""
        self.peers.always("GET", RS, DOWN)
        self.desk.accept(*files(10))
        self.desk.start()
        self.peers.rules.clear()
        self.desk.queue.trouble["wake"] = NoSpace("disk")
        self.desk.advance(300, 5)
        self.assertEqual(set(self.desk.states()), {State.RECEIPTED})

    def test_z08_without_an_audit_trail_nothing_new_begins(self) -> None:
        """The attempt that could not be recorded is kept; then there is a pause."""
        self.peers.rule("GET", RS, self.gate)
        self.desk.accept(b"one")
        self.desk.start()
        self.desk.trail.refusal = Unavailable("audit trail")
        self.gate.let_go()
        self.assertIn(self.desk.state(1), ARRIVED)
        self.assertIsNotNone(self.desk.health.held_back(self.desk.timers.now()))

    def test_leases_that_cannot_be_given_back_as_one_are_given_back_one_by_one(self) -> None:
        """One job that was fenced off does not keep the others leased."""
        self.peers.rule("GET", RS, self.gate)
        self.desk.accept(*files(10))
        self.desk.start()
        now = self.desk.timers.now()
        fenced = Change(evolve(self.desk.job(7), state=State.HELD, condition="operator"), "held", now, State.LEASED)
        self.desk.result(self.desk.store.queue.change([fenced]))
        self.desk.health.pause()
        self.gate.all()
        self.assertEqual(set(self.desk.states()[4:]), {State.READY, State.HELD})


class Stops(SchedulerCase):
    """Ends and beginnings."""

    def test_a_stop_mid_transfer_returns_the_lease(self) -> None:
        """The job is ready for the next start, its bytes are kept, nobody is blamed."""
        data = b"x" * 3_000_000
        self.peers.always("GET", RS, served(data, still=1_000_000))
        self.desk.accept(data)
        self.desk.start()
        self.desk.stop()
        self.assertEqual((self.desk.state(1), self.desk.job(1).blame), (State.READY, Blame.NOBODY))
        self.assertEqual(len(self.desk.nursery), 0)
        self.assertEqual(self.desk.result(self.desk.store.queue.fetch(RS, digest_of(data))).offset, 1_000_000)

    def test_r4_after_a_crash_a_transfer_goes_on_where_it_was(self) -> None:
        """What was leased is ready again, with its checkpoints, and the rest alone is asked for."""
        data = b"y" * 20_000_000
        self.peers.always("GET", RS, served(data, still=12_000_000))
        self.desk.accept(data)
        self.desk.start()
        self.desk.crash()
        self.assertEqual(self.desk.state(1), State.LEASED)
        self.peers.rules.clear()
        rest = Body(206, {**served(data).headers, "content-range": f"bytes 12000000-{len(data) - 1}/{len(data)}"})
        rest.body = data[12_000_000:]
        self.peers.always("GET", RS, rest)
        self.desk.start()
        self.desk.advance(2)
        self.assertIn(self.desk.state(1), ARRIVED, self.desk.job(1).evidence)
        self.assertIn(("range", "bytes=12000000-"), self.peers.calls[-2].headers)
        self.assertIn("restarted", self.desk.events(1))

    def test_breakers_outlive_a_restart(self) -> None:
        """A dead destination is not hammered by every start."""
        self.peers.always("GET", RS, DOWN)
        self.desk.accept(*files(10))
        self.desk.start()
        before = len(self.peers.to("GET", RS))
        self.desk.crash()
        self.desk.start()
        self.assertEqual(len(self.peers.to("GET", RS)), before)

    def test_a_stop_while_nothing_can_be_written_ends(self) -> None:
        """The next start recovers what this one could not write."""
        self.peers.rule("GET", RS, self.gate)
        self.desk.accept(b"one")
        self.desk.start()
        self.desk.queue.trouble["change"] = NoSpace("disk")
        self.desk.stop()
        self.assertEqual((len(self.desk.nursery), self.desk.state(1)), (0, State.LEASED))

    def test_a_stop_ends_the_loop(self) -> None:
        """After a stop, no round begins."""
        self.desk.scheduler.stop()
        self.assertIsNone(self.desk.result(self.desk.scheduler.run()))

    def test_a_stop_leaves_what_was_leased_ahead_to_the_next_start(self) -> None:
        """Nothing is begun while stopping."""
        self.peers.rule("GET", RS, self.gate)
        self.desk.accept(*files(10))
        self.desk.start()
        self.desk.stop()
        self.assertEqual(len(self.gate.waiting), 4)
        self.desk.nursery = type(self.desk.nursery)()
        self.peers.rules.clear()
        self.desk.assemble()
        self.desk.start()
        self.desk.advance(2)
        self.assertEqual(set(self.desk.states()), {State.RECEIPTED})

    def test_r7_a_lease_that_nobody_works_on_is_given_back(self) -> None:
        """Found in two looks in a row it is ready again; what runs, and what was just leased, is left alone."""
        self.peers.rule("GET", RS, self.gate)
        self.desk.accept(b"one")
        self.desk.accept(b"two", name="m2", origin=OTHER)
        self.desk.start()
        self.desk.result(self.desk.store.queue.lease(OTHER, 1, self.desk.timers.now(), frozenset()))
        self.desk.accept(b"three", name="m3", due=self.desk.timers.now() + timedelta(days=1))
        self.desk.rewrite(3, state=State.LEASED, due=None)
        self.assertEqual(self.desk.result(self.desk.scheduler.reclaim()), 0)
        self.assertEqual(self.desk.result(self.desk.scheduler.reclaim()), 1)
        self.assertEqual(self.desk.state(1), State.LEASED)
        self.assertEqual(self.desk.state(3), State.READY)


class Issuers(SchedulerCase):
    """Our own STS is everybody's."""

    def test_a_dead_sts_holds_everything_back_and_recovers(self) -> None:
        """One failure is enough; no destination and no job is charged; it is probed one by one."""
        self.peers.always("POST", STS, DOWN)
        self.desk.accept(*files(20))
        self.desk.accept(*files(20, 100), name="m2", origin=OTHER)
        self.desk.start()
        asked = len(self.peers.to("POST", STS))
        self.assertLessEqual(asked, 2)
        self.assertEqual(set(self.desk.states()), {State.NEW, State.READY})
        self.assertEqual([each.name for each in self.desk.health.all()], ["sts"])
        self.desk.advance(60, 1)
        self.assertLess(len(self.peers.to("POST", STS)), asked + 6)
        self.peers.rules.clear()
        self.desk.advance(120, 1)
        self.assertEqual(set(self.desk.states()), {State.RECEIPTED})
        self.assertEqual(self.desk.health.all(), ())

    def test_probes_of_the_sts_do_not_wait_for_long_transfers(self) -> None:
        """A transfer of hours that began before does not keep anybody waiting."""
        data = b"z" * 2_000_000
        long = served(data, still=1_000_000)
        self.peers.always("GET", OTHER, long)
        self.desk.accept(data, origin=OTHER)
        self.desk.start()
        self.peers.always("POST", STS, TooMany(retry_after=9))
        self.desk.accept(*files(3), name="m2")
        self.desk.advance(1)
        self.assertEqual(self.desk.state(2), State.READY)
        self.peers.rules.clear()
        self.desk.advance(30, 1)
        self.assertEqual(self.desk.states()[1:], [State.RECEIPTED] * 3)
        long.go_on()
        self.desk.advance(1)
        self.assertIn(self.desk.state(1), ARRIVED)

    def test_our_own_missing_introduction_fails_no_job(self) -> None:
        """It is the issuer's trouble, for days if need be."""
        self.desk.directory.trouble[HOME] = Conflict("a defect")
        self.desk.directory.trouble[HOME] = Unavailable("webfinger")
        self.desk.accept(*files(3))
        self.desk.start()
        self.desk.advance(7200, 60)
        self.assertTrue(set(self.desk.states()) <= {State.NEW, State.READY})

    def test_a_breaker_of_the_issuer_outlives_a_restart(self) -> None:
        """A start asks a dead STS no sooner than it would have been asked."""
        self.peers.always("POST", STS, DOWN)
        self.desk.accept(b"one")
        self.desk.start()
        asked = len(self.peers.to("POST", STS))
        self.desk.crash()
        self.desk.start()
        self.assertEqual(len(self.peers.to("POST", STS)), asked)

    def test_r10_a_clock_that_was_set_back_does_not_hold_everything_back(self) -> None:
        """A wait of the issuer's is never longer than its cap."""
        now = self.desk.timers.now()
        self.desk.result(self.desk.store.queue.save_breaker("issuer", Breaker("sts", 1, not_before=now + timedelta(1))))
        self.desk.accept(b"one")
        self.desk.start()
        self.desk.advance(1)
        self.assertIn(self.desk.state(1), ARRIVED)


class Wakes(SchedulerCase):
    """Wake-ups bypass timers, and are rare."""

    def test_a_destination_is_woken_once_in_ten_seconds(self) -> None:
        """However often somebody asks; afterwards once more."""
        self.peers.always("GET", RS, DOWN)
        self.desk.accept(*files(10))
        self.desk.start()
        before = len(self.peers.to("GET", RS))
        for _ in range(20):
            self.desk.result(self.desk.scheduler.wake(RS))
            self.desk.advance(0.1)
        self.assertEqual(len(self.peers.to("GET", RS)), before + 1)
        self.desk.advance(10)
        self.desk.result(self.desk.scheduler.wake(RS))
        self.desk.advance(0.1)
        self.assertEqual(len(self.peers.to("GET", RS)), before + 2)

    def test_waking_who_is_well_wakes_its_jobs(self) -> None:
        """Jobs that wait for the destination are ready, and their number is known."""
        self.peers.always("GET", RS, said(503))
        self.desk.accept(*files(2))
        self.desk.start()
        self.peers.rules.clear()
        self.assertEqual(self.desk.result(self.desk.scheduler.wake(RS)), 2)
        self.desk.advance(1)
        self.assertTrue(all(state in ARRIVED for state in self.desk.states()))

    def test_a_retry_after_of_a_day_is_kept(self) -> None:
        """Nothing goes there for a day, and then everything does."""
        self.peers.always("GET", RS, said(429, retry_after="86400"))
        self.desk.accept(*files(20))
        self.desk.start()
        asked = len(self.peers.to("GET", RS))
        self.assertLessEqual(asked, 4)
        self.peers.rules.clear()
        self.desk.advance(86_000, 100)
        self.assertEqual(len(self.peers.to("GET", RS)), asked)
        self.desk.advance(10_000, 100)
        self.assertTrue(all(state in ARRIVED for state in self.desk.states()))

    def test_the_loop_sleeps_when_there_is_nothing_to_do(self) -> None:
        """An idle agent looks a few times an hour, and does not spin."""
        self.desk.start()
        before = self.desk.queue.asked["due_origins"]
        self.desk.advance(3600, 10)
        self.assertLessEqual(self.desk.queue.asked["due_origins"] - before, 13)


class Bounds(SchedulerCase):
    """Memory does not grow with what strangers write into messages."""

    def test_destinations_in_trouble_are_bounded_and_healthy_ones_forgotten(self) -> None:
        """Ten thousand dead names are remembered, no more; a name that is well is not remembered at all."""
        now = self.desk.timers.now()
        for number in range(health.MOST_BREAKERS + 50):
            name = Breaker(f"https://d{number}.test", failures=1)
            self.desk.health._remember(name, now)
        self.assertEqual(len(self.desk.health.all()), health.MOST_BREAKERS)
        self.peers.rule("GET", RS, lambda _: None)
        self.desk.accept(*files(3))
        self.desk.start()
        self.assertIsNone(self.desk.health.of(RS))

    def test_lanes_that_are_empty_are_forgotten(self) -> None:
        """The scheduler keeps nothing of a destination without work."""
        self.desk.accept(*files(3))
        self.desk.start()
        self.desk.advance(1)
        self.desk.bell.ring()
        self.desk.advance(1)
        self.assertEqual(self.desk.scheduler._lanes, {})
        self.assertEqual(self.desk.scheduler._running, 0)

    def test_a_saved_limit_beyond_the_configured_one_is_not_used(self) -> None:
        """An operator who lowers the limit means it."""
        saved = Breaker(str(RS), failures=1, limit=64)
        self.desk.result(self.desk.store.queue.save_breaker("destination", saved))
        self.peers.rule("GET", RS, self.gate)
        self.desk.accept(*files(20))
        self.desk.start()
        self.assertEqual(len(self.gate.waiting), 4)


class Stranger(SchedulerCase):
    """Introductions."""

    def test_a_domain_that_cannot_be_reached_is_asked_again(self) -> None:
        """Its jobs wait; nothing is fetched from anybody."""
        self.desk.directory.trouble[parse_domain("foo.test")] = Unavailable("webfinger")
        self.desk.accept(b"one")
        self.desk.start()
        self.assertEqual((self.desk.state(1), self.peers.calls), (State.DEFERRED, []))

    def test_the_constants_fit_together(self) -> None:
        """A pause is shorter than the longest sleep, so that nobody oversleeps it."""
        self.assertLess(health.PAUSE, scheduler.LONGEST_SLEEP)
