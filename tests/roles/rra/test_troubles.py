"""No pull is ever lost: full disks, defects, stops, crashes, a dead STS."""

from datetime import timedelta

from attrs import evolve

from rrsd.core.refusals import NoSpace, TooMany, Unavailable, Unknown
from rrsd.core.values.addresses import parse_domain
from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import Blame, Breaker, Change, State
from rrsd.roles.rra import health, scheduler
from tests.roles.rra.peers import HOME, OTHER, STS, Body, served
from tests.roles.rra.samples import RS
from tests.roles.rra.scheduling import ARRIVED, DOWN, SchedulerCase, files


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
        self.desk.queue.trouble["take"] = NoSpace("disk")
        self.desk.accept(*files(3))
        self.desk.start()
        self.assertEqual(set(self.desk.states()), {State.NEW})
        del self.desk.queue.trouble["take"]
        self.desk.advance(40, 5)
        self.assertEqual(set(self.desk.states()), {State.RECEIPTED})

    def test_a_full_disk_keeps_no_daemon_with_leases_from_starting(self) -> None:
        """Whoever was killed while it pulled starts all the same, and takes up its leases when that can be written."""
        self.peers.rule("GET", RS, self.gate)
        self.desk.accept(b"one")
        self.desk.start()
        self.desk.crash()
        self.peers.rules.clear()
        self.desk.queue.trouble["recover"] = NoSpace("disk")
        self.desk.start()
        self.desk.advance(60, 5)
        self.assertEqual(self.desk.states(), [State.LEASED])
        del self.desk.queue.trouble["recover"]
        self.desk.advance(40, 5)
        self.assertEqual(self.desk.states(), [State.RECEIPTED])

    def test_r7_a_lease_that_was_said_to_fail_and_reached_the_disk(self) -> None:
        """Nobody works on it, so it goes back; what others work on meanwhile stays theirs."""
        self.peers.rule("GET", RS, self.gate)
        self.desk.accept(b"one")
        self.desk.start()
        self.desk.queue.after["take"] = Unavailable("store")
        self.desk.accept(b"two", name="m2")
        self.desk.advance(1)
        self.assertEqual(self.desk.states(), [State.LEASED, State.LEASED])
        del self.desk.queue.after["take"]
        self.desk.advance(40, 1)
        self.assertEqual(self.desk.events(1).count("restarted"), 0)
        self.assertEqual(self.desk.events(2).count("restarted"), 1)
        self.gate.all()
        self.desk.advance(40, 1)
        self.assertEqual(self.desk.states(), [State.RECEIPTED, State.RECEIPTED])

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
        self.assertEqual(self.desk.result(self.desk.scheduler.wishes.reclaim()), 0)
        self.assertEqual(self.desk.result(self.desk.scheduler.wishes.reclaim()), 1)
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
        self.assertFalse(set(self.desk.states()) - {State.NEW, State.READY})
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
        self.desk.directory.trouble[HOME] = Unknown("webfinger")
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
