"""How the agent shares its slots out."""

from rrsd.core.values.addresses import parse_address
from rrsd.core.values.jobs import State
from rrsd.core.values.peers import parse_origin
from rrsd.roles.rra import picker
from rrsd.roles.rra.scheduler import TOO_SLOW
from rrsd.roles.rra.settings import Settings
from tests.roles.rra.agents import Desk
from tests.roles.rra.peers import OTHER
from tests.roles.rra.samples import RS
from tests.roles.rra.scheduling import ARRIVED, DOWN, Gate, SchedulerCase, files

CAROL = parse_address("carol@bar.test")


class Sharing(SchedulerCase):
    """Recipients, destinations, the slow and the dead (scheduler semantics 5.5, 5.6)."""

    def setUp(self) -> None:
        """A small house."""
        super().setUp()
        self.anew(Settings(active=8, active_per_destination=8))

    def anew(self, settings: Settings) -> None:
        """Another agent."""
        self.desk.close()
        self.desk = Desk(settings)
        self.addCleanup(self.desk.close)
        self.peers, self.gate = self.desk.peers, Gate(self.desk)
        self.peers.rule("GET", RS, self.gate)

    def run_on(self, steps: int) -> None:
        """Answer that many, one after the other."""
        for _ in range(steps):
            if self.gate.waiting:
                self.gate.let_go()
            self.desk.advance(0.01)

    def test_a_recipient_has_eight_at_once(self) -> None:
        """The rest of the house is for others."""
        self.anew(Settings())
        for number in range(4):
            origin = parse_origin(f"https://rs{number}.foo.test")
            self.desk.directory.listed.add(origin)
            self.peers.rule("GET", origin, self.gate)
            self.desk.accept(*files(10, number * 100), name=f"m{number}", origin=origin)
        self.desk.start()
        self.assertEqual(len(self.gate.waiting), 4)  # one each before they have delivered anything
        self.run_on(20)
        self.assertEqual(len(self.gate.waiting), 8)
        self.desk.accept(*files(3, 900), name="carol", recipient=CAROL, origin=origin)
        self.desk.advance(0.1)
        self.assertGreater(len(self.gate.waiting), 8)
        self.run_on(80)
        self.desk.advance(2)
        self.assertTrue(all(state in ARRIVED for state in self.desk.states()))

    def test_a_destination_has_the_house_alone_and_half_of_it_beside_others(self) -> None:
        """It earns all slots while nobody else waits; when somebody does, half of them become free."""
        self.desk.accept(*files(300))
        self.desk.start()
        self.run_on(60)
        self.assertEqual(len(self.gate.waiting), 8)
        self.peers.rule("GET", OTHER, self.gate)
        self.desk.accept(*files(100, 500), name="m2", origin=OTHER, recipient=CAROL)
        self.desk.advance(0.1)
        self.run_on(60)
        by_origin = [call.peer.origin for call, _ in self.gate.waiting]
        self.assertEqual((by_origin.count(RS), by_origin.count(OTHER)), (4, 4))

    def test_the_dead_leave_half_of_the_house_to_who_delivers(self) -> None:
        """Ten destinations that never answer take four slots; the other four go on with one that does."""
        self.desk.accept(*files(300))
        self.desk.start()
        self.run_on(10)
        silent = Gate(self.desk)
        for number in range(10):
            origin = parse_origin(f"https://dead{number}.test")
            self.desk.directory.listed.add(origin)
            self.peers.rule("GET", origin, silent)
            recipient = parse_address(f"u{number}@bar.test")
            self.desk.accept(*files(20, 1000 * (number + 1)), name=f"d{number}", origin=origin, recipient=recipient)
        before = len(self.peers.to("GET", RS))
        self.run_on(50)
        self.assertEqual((len(silent.waiting), len(self.gate.waiting)), (4, 4))
        self.assertGreaterEqual(len(self.peers.to("GET", RS)), before + 40)

    def test_whoever_was_put_aside_has_a_turn(self) -> None:
        """Two hundred destinations of which nothing is known wait for four slots: each is served."""
        for number in range(200):
            origin = parse_origin(f"https://new{number}.test")
            self.desk.directory.listed.add(origin)
            self.desk.accept(b"%d" % number, name=f"m{number}", origin=origin)
        self.desk.start()
        self.desk.advance(5, 0.1)
        self.assertTrue(all(state in ARRIVED for state in self.desk.states()))

    def test_who_drips_goes_on_beside_the_others(self) -> None:
        """After five minutes two slow transfers have a lane of their own; the third and fourth wait their turn with
        what they have, nobody is charged, and in the end all arrive."""
        self.desk.accept(*files(6))
        self.desk.start()
        self.assertEqual(len(self.gate.waiting), 4)
        self.desk.advance(400, 10)
        house = self.desk.scheduler.house
        self.assertEqual((house.slow, house.slow_at(RS), house.taken), (2, 2, 2))
        self.gate.let_go(4)
        self.desk.advance(1)
        self.assertEqual(sorted(self.desk.states())[:2], sorted([State.LEASED, State.LEASED]))
        cut = [self.desk.job(number) for number in range(1, 7) if "returned" in self.desk.events(number)]
        self.assertEqual([each.evidence for each in cut if each.state is State.READY], [])
        self.assertIn(TOO_SLOW, [each.evidence for each in cut])
        while self.gate.waiting:
            self.run_on(1)
        self.desk.advance(2)
        self.assertTrue(all(state in ARRIVED for state in self.desk.states()), self.desk.states())
        self.assertEqual((house.slow, house.taken), (0, 0))

    def test_a_queue_longer_than_memory_is_shared_out_all_the_same(self) -> None:
        """With room for a handful in memory, forty destinations are all served, and all of it arrives."""
        origins = [parse_origin(f"https://rs{number}.foo.test") for number in range(40)]
        self.desk.directory.listed.update(origins)
        for number, origin in enumerate(origins):
            self.desk.accept(*files(30, number * 100), name=f"m{number}", origin=origin)
        self.patch_memory(100)
        self.desk.start()
        self.assertLessEqual(len(self.desk.scheduler.picker.fair), 100 + 64 * 4)
        self.desk.advance(60, 0.1)
        states = [
            each.state
            for after in (0, 500, 1000)
            for each in self.desk.result(self.desk.store.queue.jobs(None, None, after, 500))
        ]
        self.assertEqual(len(states), 1200)
        self.assertTrue(all(state in ARRIVED for state in states))

    def patch_memory(self, most: int) -> None:
        """Let the picker know so many jobs."""
        self.patch(picker, "SHARES", ((most // 4, 32), (most // 2, 8), (most, 4)))

    def test_a_dead_destination_costs_one_row_and_one_probe_at_a_time(self) -> None:
        """G9: whatever waits behind it, at most 150 probes on the first day, the smallest first."""
        self.peers.rules.clear()
        self.peers.always("GET", RS, DOWN)
        self.desk.accept(*[each * 100 for each in files(40)])
        self.desk.accept(b"tiny", name="m2")
        self.desk.start()
        before = len(self.peers.to("GET", RS))
        self.desk.advance(86_400, 30)
        asked = self.peers.to("GET", RS)
        self.assertLessEqual(len(asked), 150)
        self.assertGreater(len(asked), 90)
        self.assertEqual(self.peers.content[asked[before].target], b"tiny")

    def test_a_job_that_was_taken_away_meanwhile_costs_no_slot(self) -> None:
        """What an operator cancels between pick and lease is not leased, and its seat is free again."""
        numbers = self.desk.accept(*files(2))
        chooser, now = self.desk.scheduler.picker, self.desk.timers.now()
        self.desk.result(chooser.refill(now))
        picks = chooser.picks(8, now)
        self.desk.rewrite(numbers[0], state=State.CANCELLED, due=None)
        self.desk.result(self.desk.scheduler._start(picks, now))
        self.assertEqual((len(picks), len(self.gate.waiting), self.desk.scheduler.house.taken), (2, 1, 1))
        self.assertEqual(self.desk.state(numbers[1]), State.LEASED)
