"""Who is next among all that could run."""

from collections import Counter
from datetime import timedelta

from attrs import evolve
from hypothesis import given
from hypothesis.strategies import integers, lists, sampled_from, tuples
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import Candidate, Priority
from rrsd.core.values.peers import Origin, parse_origin
from rrsd.roles.rra.fairness import AGEING, SMALL, Fair, Gate, rank_of
from tests.roles.rra.samples import NOW

MIB = 1 << 20
INTERACTIVE, NORMAL, BULK = Priority
HERE, THERE = parse_origin("https://rs.foo.test"), parse_origin("https://rs.other.test")
PLAIN = Candidate(1, HERE, "bob", digest_of(b"x"), MIB, NORMAL, NOW, NOW + timedelta(days=7))


def many(number: int, first: int = 1, **changes: object) -> list[Candidate]:
    """As many candidates, alike but for their numbers."""
    return [evolve(PLAIN, job=first + each, **changes) for each in range(number)]  # type: ignore[arg-type]


def open_to_all(_: Candidate) -> Gate | None:
    """Nothing is shut."""
    return None


class Order(SynchronousTestCase):
    """Class, recipient, destination; bytes are what is shared out."""

    def setUp(self) -> None:
        """Nobody waits."""
        self.fair = Fair()

    def bytes_of(self, taken: int, by: str) -> Counter[object]:
        """How many MiB each got of so many that were taken."""
        found: Counter[object] = Counter()
        for _ in range(taken):
            one = self.fair.take(open_to_all)
            assert one is not None
            found[getattr(one, by)] += one.size // MIB
        return found

    def test_classes_share_8_to_4_to_1(self) -> None:
        """Nobody starves, and nobody waits behind bulk."""
        for rank, priority in enumerate(Priority):
            self.fair.add(many(200, 1000 * (rank + 1), priority=priority), NOW)
        self.assertEqual(self.bytes_of(130, "priority"), {INTERACTIVE: 80, NORMAL: 40, BULK: 10})

    def test_what_could_not_run_costs_nobody_their_share(self) -> None:
        """Whoever's resource of a terabyte has no room is as next as before; ageing meanwhile changes nothing."""
        self.fair.add([evolve(PLAIN, size=1 << 40), *many(10, 2)], NOW)
        self.fair.add(many(20, 100, recipient="carol"), NOW)
        huge = self.fair.take(open_to_all)
        assert huge is not None
        self.fair.refund(huge, NOW)
        self.assertEqual(self.bytes_of(10, "recipient"), {"bob": 5, "carol": 5})
        self.fair.age(NOW)
        self.fair.refund(evolve(huge, recipient="dave"), NOW)
        self.fair.refund(evolve(huge, origin=THERE), NOW)
        self.assertEqual(self.bytes_of(10, "recipient"), {"bob": 5, "carol": 5})

    def test_interactive_comes_at_once(self) -> None:
        """However much others had and whatever they are owed, who waits at a screen is next."""
        self.fair.add(many(100), NOW)
        self.bytes_of(50, "job")
        self.fair.add(many(1, 500, priority=INTERACTIVE), NOW)
        self.assertEqual(self.bytes_of(1, "job"), {500: 1})

    def test_recipients_share_bytes_and_not_jobs(self) -> None:
        """A film counts as much as its bytes: carol's hundred photographs go on beside bob's films."""
        self.fair.add(many(50, 1, size=100 * MIB), NOW)
        self.fair.add(many(2000, 1000, recipient="carol", size=MIB), NOW)
        shares = self.bytes_of(505, "recipient")
        self.assertAlmostEqual(shares["bob"], shares["carol"], delta=100)

    def test_one_recipients_many_senders_share(self) -> None:
        """A sender with a thousand messages does not keep another's one waiting."""
        self.fair.add(many(1000), NOW)
        self.fair.add(many(1, 5000, origin=THERE), NOW)
        self.assertEqual(self.bytes_of(2, "origin")[THERE], 1)

    def test_who_was_away_is_owed_nothing(self) -> None:
        """A recipient who comes back after the others had a gigabyte shares from now on."""
        self.fair.add(many(2000), NOW)
        self.bytes_of(1000, "job")
        self.fair.add(many(1000, 5000, recipient="carol"), NOW)
        shares = self.bytes_of(100, "recipient")
        self.assertAlmostEqual(shares["bob"], shares["carol"], delta=2)

    def test_a_request_costs_something_too(self) -> None:
        """Empty resources are not for nothing: 64 KiB each."""
        self.fair.add(many(100, 1, size=0), NOW)
        self.fair.add(many(100, 500, recipient="carol", size=65_536), NOW)
        taken = Counter(one.recipient for one in (self.fair.take(open_to_all) for _ in range(40)) if one)
        self.assertEqual(taken, {"bob": 20, "carol": 20})

    def test_waiting_ages(self) -> None:
        """One class better for each half hour, and never better than the best."""
        bulk = evolve(PLAIN, priority=BULK)
        ranks = [rank_of(bulk, NOW + AGEING * half) for half in (0, 1, 2, 9)]
        self.assertEqual(ranks, [2, 1, 0, 0])
        self.assertEqual(rank_of(bulk, NOW - timedelta(days=1)), 2)
        self.fair.add(many(5, 1), NOW)
        self.fair.add(many(1, 9, priority=BULK, due=NOW - 2 * AGEING), NOW - 2 * AGEING)
        self.fair.age(NOW)
        self.assertEqual(self.bytes_of(1, "job"), {9: 1})


class Gates(SynchronousTestCase):
    """What cannot run now is put aside."""

    def setUp(self) -> None:
        """One who waits at each of two destinations."""
        self.fair = Fair()
        self.fair.add(many(2), NOW)
        self.fair.add(many(1, 5, origin=THERE), NOW)
        self.asked = 0

    def shut_here(self, each: Candidate) -> Gate | None:
        """HERE is full."""
        self.asked += 1
        return "here" if each.origin == HERE else None

    def test_others_go_on_and_nobody_asks_twice(self) -> None:
        """The other destination is served; what is put aside is not looked at until its gate opens."""
        for _ in range(5):
            self.fair.take(self.shut_here)
        self.assertEqual((self.asked, len(self.fair)), (2, 2))
        self.fair.add(many(1, 9), NOW)
        self.assertIsNone(self.fair.take(open_to_all))
        self.fair.open("here")
        self.assertEqual([one.job for one in (self.fair.take(open_to_all) for _ in range(3)) if one], [1, 2, 9])

    def test_few_come_back_at_once(self) -> None:
        """A gate at which thousands wait opens for some of them."""
        for number in range(10):
            self.fair.add(many(1, 100 + number, recipient=str(number)), NOW)
        while self.fair.take(self.shut_here):
            pass
        self.fair.open("here", 3)
        self.fair.open("there")
        self.asked = 0
        self.assertIsNone(self.fair.take(self.shut_here))
        self.assertEqual(self.asked, 3)

    def test_one_destination_is_let_out(self) -> None:
        """A gate that is none any more for one destination stays shut for the others."""
        self.assertIsNone(self.fair.take(lambda each: "here"))
        self.fair.release("here", THERE)
        self.fair.release("nowhere", THERE)
        taken = [one.job for one in (self.fair.take(open_to_all) for _ in range(3)) if one]
        self.assertEqual((taken, self.fair.gates), ([5], ("here",)))
        self.fair.release("here", HERE)
        self.assertEqual(self.fair.gates, ())

    def test_the_line_at_a_gate_keeps_its_order(self) -> None:
        """Who was let look and found it shut again stands where it stood; who was served goes to the end."""
        self.fair.drop(HERE)
        self.fair.drop(THERE)
        for number in range(6):
            self.fair.add(many(2, 100 + 10 * number, recipient=str(number)), NOW)
        self.fair.take(lambda each: "house")
        served = []
        for _ in range(8):
            self.fair.open("house", 3)
            one = self.fair.take(open_to_all)
            assert one is not None
            served.append(one.recipient)
            self.fair.take(lambda each: "house")
        self.assertEqual(served, ["0", "1", "2", "3", "4", "5", "0", "1"])

    def test_what_is_dropped_is_gone(self) -> None:
        """It is on disk, and may come again."""
        self.fair.drop(HERE)
        self.assertEqual((len(self.fair), self.fair.count(HERE), self.fair.destinations), (1, 0, 1))
        self.fair.drop(HERE)
        self.fair.add(many(1), NOW)
        self.assertEqual(self.fair.known(HERE), {1})
        self.assertEqual({one.job for one in (self.fair.take(open_to_all) for _ in range(3)) if one}, {1, 5})

    def test_large_and_small_do_not_wait_for_each_other(self) -> None:
        """Where large ones are shut out, the small one behind them goes."""
        self.fair.drop(HERE)
        self.fair.drop(THERE)
        self.fair.add(many(3, 1, size=SMALL + 1), NOW)
        self.fair.add(many(1, 9), NOW)
        found = self.fair.take(lambda each: "large" if each.size > SMALL else None)
        self.assertEqual(found and found.job, 9)

    def test_again(self) -> None:
        """One that is here already is there once, as it is now."""
        self.fair.add(many(1, 1, priority=INTERACTIVE), NOW)
        taken = [one for one in (self.fair.take(open_to_all) for _ in range(9)) if one]
        self.assertEqual(sorted(one.job for one in taken), [1, 2, 5])
        self.assertEqual(taken[0].priority, INTERACTIVE)

    @given(
        lists(
            tuples(
                integers(0, 4), sampled_from([HERE, THERE]), sampled_from(["bob", "carol"]), integers(0, 20 * MIB),
                sampled_from(list(Priority)),
            ),
            max_size=60,
        )
    )  # fmt: skip
    def test_everything_is_taken_once(self, moves: list[tuple[int, Origin, str, int, Priority]]) -> None:
        """Whatever is added, put aside, opened, aged and dropped: what is left comes out once, and nothing else."""
        fair, here, gone = Fair(), dict[int, Candidate](), list[int]()
        for number, (move, origin, recipient, size, priority) in enumerate(moves):
            if move < 3:
                one = evolve(
                    PLAIN,
                    job=number,
                    origin=origin,
                    recipient=recipient,
                    size=size,
                    priority=priority,
                )
                fair.add([one], NOW)
                here[number] = one
            elif move == 3:
                found = fair.take(lambda each: "shut" if each.recipient == "bob" else None)
                gone += [found.job] if found else []
            else:
                fair.open("shut", 1)
                fair.age(NOW + AGEING)
        fair.open("shut", 1000)
        while one := fair.take(open_to_all):  # type: ignore[assignment]
            gone.append(one.job)
        self.assertEqual(sorted(gone), sorted(here))
        self.assertEqual((len(fair), fair.destinations), (0, 0))
