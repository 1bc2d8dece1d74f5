"""Who has just shown to be alive, and what is woken for them."""

from datetime import timedelta

from rrsd.core.refusals import Unavailable
from rrsd.core.values.addresses import parse_address, parse_domain
from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import State
from rrsd.core.values.peers import parse_origin
from rrsd.core.wire.fields import ni_path
from rrsd.roles.rra.contacts import BURST, MOST_ORIGINS, MOST_WAITING, MOST_WOKEN, REFILL, Contact, Contacts
from tests.roles.rra.mailboxes import FILM, NOTE, RAW
from tests.roles.rra.peers import OTHER, said
from tests.roles.rra.samples import RS
from tests.roles.rra.scheduling import ARRIVED, DOWN, SchedulerCase, files

FOO = parse_domain("foo.test")
HOUR = 3600.0


class Turns(SchedulerCase):
    """The ear alone."""

    def setUp(self) -> None:
        """Nobody was heard."""
        super().setUp()
        self.contacts: Contacts = self.desk.contacts

    def test_one_turn_in_ten_seconds(self) -> None:
        """What comes too soon has its turn later, once, and is not lost."""
        self.assertIsNone(self.contacts.next())
        self.contacts.heard(FOO)
        self.assertEqual((self.contacts.next(), self.contacts.take()), (timedelta(), [Contact(FOO)]))
        self.contacts.heard(FOO)
        self.contacts.heard(FOO)
        self.assertEqual((self.contacts.next(), self.contacts.take()), (timedelta(seconds=10), []))
        self.desk.clock.advance(10)
        self.assertEqual((self.contacts.take(), self.contacts.take()), ([Contact(FOO)], []))

    def test_a_crowd_of_domains_takes_no_more_memory(self) -> None:
        """A thousand wait; the rest has its timers."""
        for number in range(MOST_WAITING + 50):
            self.contacts.heard(parse_domain(f"d{number}.test"))
        self.assertEqual((len(self.contacts._turns), len(self.contacts.take())), (MOST_WAITING, MOST_WAITING))
        self.contacts.heard(FOO)
        self.assertEqual(self.contacts.take(), [Contact(FOO)])

    def test_trust_changes_count_once_a_minute(self) -> None:
        """A key walk and a reload beside it are one change."""
        self.assertFalse(self.contacts.take_change())
        self.contacts.changed()
        self.contacts.changed()
        self.assertEqual((self.contacts.take_change(), self.contacts.take_change()), (True, False))
        self.contacts.changed()
        self.assertEqual((self.contacts.take_change(), self.contacts.next()), (False, timedelta(minutes=1)))
        self.desk.clock.advance(60)
        self.assertTrue(self.contacts.take_change())


class WakeUps(SchedulerCase):
    """The agent at work, and a server that was away."""

    def away(self, number: int = 1) -> None:
        """The server is away for an hour; its pulls wait."""
        self.peers.always("GET", RS, DOWN)
        self.desk.accept(*files(number))
        self.desk.start()
        self.desk.advance(HOUR, 30)
        self.peers.rules.clear()

    def gets(self) -> int:
        """How often the server was asked."""
        return len(self.peers.to("GET", RS))

    def test_g3_a_contact_brings_the_first_byte_within_ten_seconds(self) -> None:
        """And everything that waited follows it."""
        self.away(300)
        self.desk.contacts.heard(FOO)
        self.desk.advance(10)
        self.assertTrue({*self.desk.states()} <= {*ARRIVED}, self.desk.states())

    def test_another_domain_wakes_nothing(self) -> None:
        """Neither what waits for foo.test nor anything at all."""
        self.away()
        asked = self.gets()
        for name in ("bar.test", "evil.test", "oo.test"):
            self.desk.contacts.heard(parse_domain(name))
        self.desk.advance(20)
        self.assertEqual((self.gets(), self.desk.state(1)), (asked, State.DEFERRED))

    def test_a_contact_that_came_too_early_is_not_lost(self) -> None:
        """The server comes back just after its first word was tried in vain."""
        self.away()
        self.peers.always("GET", RS, DOWN)
        self.desk.contacts.heard(FOO)
        self.desk.advance(2)
        self.peers.rules.clear()
        self.desk.contacts.heard(FOO)
        self.desk.advance(10)
        self.assertIn(self.desk.state(1), ARRIVED)

    def test_r5_a_storm_of_contacts_is_a_probe_every_ten_seconds(self) -> None:
        """Whatever a hostile domain does to be noticed."""
        self.away(50)
        self.peers.always("GET", RS, DOWN)
        before = self.gets()
        for _ in range(600):
            self.desk.contacts.heard(FOO)
            self.desk.advance(0.1, 0.1)
        self.assertLessEqual(self.gets() - before, 7)

    def test_g9_who_never_stops_talking_is_no_news(self) -> None:
        """The domain fetches here every second of a day, and its own server stays dead: so many probes are enough."""
        self.away(50)
        self.peers.always("GET", RS, DOWN)
        before, day = self.gets(), 86_400
        for _ in range(day // 10):
            self.desk.contacts.heard(FOO)
            self.desk.advance(10, 10)
        self.assertLessEqual(self.gets() - before, 150 + BURST + day / REFILL.total_seconds())
        self.peers.rules.clear()
        self.desk.contacts.heard(FOO)
        self.desk.advance(REFILL.total_seconds(), 10)
        self.assertTrue({*self.desk.states()} <= {*ARRIVED})

    def test_what_asked_for_a_pause_is_taken_at_its_word(self) -> None:
        """A message of the domain is no reason to come before the time that its server named."""
        self.peers.always("GET", RS, said(429, retry_after="600"))
        self.desk.accept(b"x")
        self.desk.start()
        self.desk.advance(1)
        asked = self.gets()
        self.desk.contacts.heard(FOO)
        self.desk.advance(30)
        self.assertEqual(self.gets(), asked)

    def test_who_was_woken_just_now_by_somebody_else_comes_again(self) -> None:
        """An operator's probe that came too early does not eat the word of the domain itself."""
        self.away()
        self.peers.always("GET", RS, DOWN)
        self.desk.result(self.desk.scheduler.wake(RS))
        self.desk.advance(1)
        self.peers.rules.clear()
        self.desk.contacts.heard(FOO)
        self.desk.advance(11)
        self.assertIn(self.desk.state(1), ARRIVED)

    def test_ten_thousand_origins_of_one_domain_cost_a_bounded_part(self) -> None:
        """Eight of them are woken by one contact, and 64 pulls of each; the others have their timers."""
        waits = {"state": State.DEFERRED, "condition": "destination", "due": self.desk.timers.now() + timedelta(days=1)}
        origins = [parse_origin(f"https://rs{number}.foo.test") for number in range(200)]
        for number, origin in enumerate(origins):
            self.desk.accept(b"%d" % number, name=f"m{number}", origin=origin, **waits)
        self.desk.accept(*files(MOST_WOKEN + 40), name="many", origin=origins[0], **waits)
        self.desk.contacts.heard(FOO)
        self.desk.result(self.desk.waker.round())
        states = self.desk.states()
        self.assertEqual(states.count(State.READY), MOST_WOKEN + MOST_ORIGINS - 1)

    def test_the_look_for_origins_is_short(self) -> None:
        """It walks along one index, whatever else waits."""
        plans: list[str] = []

        def explain(connection: object) -> None:
            from rrsd.drivers.store.sql import contacts

            for statement, values in ((contacts._ORIGINS, ("a", "b", 8)), (contacts._JOBS, ("a", "b", "c", 9))):
                rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[attr-defined]
                plans.extend(row[3] for row in rows)

        self.desk.result(self.desk.store._engine.read(explain))
        searches = [plan for plan in plans if "jobs" in plan]
        self.assertEqual(len(searches), 3)
        self.assertTrue(all("SEARCH" in plan and "jobs_asleep" in plan for plan in searches), plans)

    def test_a_message_of_the_domain_is_a_contact(self) -> None:
        """Mail from foo.test says that foo.test is there; the second copy of it says nothing."""
        self.away()
        self.peers.content |= {ni_path(digest_of(data)): data for data in (FILM, NOTE)}
        bob = parse_address("bob@bar.test")
        self.desk.result(self.desk.acceptance.accept(RAW, [bob]))
        self.desk.advance(1)
        self.assertIn(self.desk.state(1), ARRIVED)
        self.desk.advance(20)
        self.assertIsNone(self.desk.contacts.next())
        self.desk.result(self.desk.acceptance.accept(RAW, [bob]))
        self.assertIsNone(self.desk.contacts.next())

    def test_what_a_user_brings_is_no_contact(self) -> None:
        """Anybody may write anything under From."""
        bob = parse_address("bob@bar.test")
        self.desk.result(self.desk.acceptance.accept(RAW, [bob], author=bob))
        self.assertIsNone(self.desk.contacts.next())

    def test_a_change_of_trust_wakes_who_was_refused(self) -> None:
        """And nobody else."""
        self.peers.always("GET", RS, said(403))
        self.desk.accept(b"x")
        self.desk.start()
        self.desk.advance(1)
        self.assertEqual(self.desk.state(1), State.NEEDS_AUTH)
        self.peers.rules.clear()
        self.desk.contacts.changed()
        self.desk.advance(1)
        self.assertIn(self.desk.state(1), ARRIVED)

    def test_a_server_that_took_a_receipt_is_there(self) -> None:
        """What waits there goes on; of the domain's other servers that says nothing."""
        self.peers.always("GET", RS, DOWN)
        self.peers.always("GET", OTHER, DOWN)
        self.desk.accept(*files(2))
        self.desk.accept(b"other", name="m2", origin=OTHER)
        self.desk.start()
        self.desk.advance(HOUR, 30)
        self.peers.rules.clear()
        self.desk.contacts.answered(FOO, RS)
        self.desk.advance(5)
        self.assertEqual([state in ARRIVED for state in self.desk.states()], [True, True, False])

    def test_a_store_that_cannot_be_read_is_a_pause(self) -> None:
        """The loop goes on; the timers are there anyway."""
        self.away()
        self.desk.queue.trouble["origins_of"] = Unavailable("store")
        self.desk.contacts.heard(FOO)
        self.desk.advance(5)
        self.desk.queue.trouble.clear()
        self.desk.advance(40)
        self.desk.contacts.heard(FOO)
        self.desk.advance(10)
        self.assertIn(self.desk.state(1), ARRIVED)
