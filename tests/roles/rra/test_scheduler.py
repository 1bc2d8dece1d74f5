"""Which pull runs when: lanes, priorities, wake-ups, bounds."""

from twisted.internet.defer import Deferred

from rrsd.core.values.addresses import parse_address
from rrsd.core.values.jobs import Blame, Breaker, Priority, State
from rrsd.core.values.peers import parse_origin
from rrsd.roles.rra import health
from rrsd.roles.rra.settings import Settings
from tests.roles.rra.agents import Desk
from tests.roles.rra.peers import STS, said
from tests.roles.rra.samples import RS
from tests.roles.rra.scheduling import ARRIVED, DOWN, Gate, SchedulerCase, files


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
        more = self.desk.queue.gates["take"] = Deferred()
        self.desk.accept(*files(20, 2), name="m2")
        self.desk.advance(1)
        self.gate.all()
        del self.desk.queue.gates["take"]
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
        """It begins with four; as many good pulls as it has earn one more, and what it earned is kept."""
        self.desk.close()
        self.desk = Desk(Settings(active_per_destination=16, active_per_recipient=16))
        self.addCleanup(self.desk.close)
        self.gate = Gate(self.desk)
        self.desk.peers.rule("GET", RS, self.gate)
        self.desk.accept(*files(150))
        self.desk.start()
        running = []
        for _ in range(120):
            running.append(len(self.gate.waiting))
            self.gate.let_go()
            self.desk.advance(0.1)
        self.assertEqual((running[:4], running[4:9], running[9], max(running)), ([4] * 4, [5] * 5, 6, 16))
        self.assertEqual(self.desk.health.ill(), ())

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
        before = self.desk.queue.asked["eligible"]
        self.desk.advance(3600, 10)
        self.assertLessEqual(self.desk.queue.asked["eligible"] - before, 13)


class Bounds(SchedulerCase):
    """Memory does not grow with what strangers write into messages."""

    def test_destinations_in_trouble_are_bounded_and_healthy_ones_forgotten(self) -> None:
        """Ten thousand dead names are remembered, no more; a name that is well is not remembered at all."""
        now = self.desk.timers.now()
        for number in range(health.MOST_BREAKERS + 50):
            name = Breaker(f"https://d{number}.test", failures=1)
            self.desk.health._remember(name, now)
        self.assertEqual(len(self.desk.health.ill()), health.MOST_BREAKERS)
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
        self.assertEqual(self.desk.scheduler.house.taken, 0)

    def test_a_saved_limit_beyond_the_configured_one_is_not_used(self) -> None:
        """An operator who lowers the limit means it."""
        saved = Breaker(str(RS), failures=1, limit=64)
        self.desk.result(self.desk.store.queue.save_breaker("destination", saved))
        self.peers.rule("GET", RS, self.gate)
        self.desk.accept(*files(20))
        self.desk.start()
        self.assertEqual(len(self.gate.waiting), 4)
