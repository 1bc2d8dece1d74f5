"""The outbox of receipts."""

import json
from datetime import timedelta
from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import NoSpace, Unavailable, Unknown
from rrsd.core.values.addresses import parse_address, parse_domain
from rrsd.core.values.calls import Answer, Call
from rrsd.core.values.jobs import State
from rrsd.roles.rra.explain import explain
from rrsd.roles.rra.outbox import MOST_REFUSED
from tests.roles.rra.agents import Desk
from tests.roles.rra.peers import OTHER, STS, Told, said
from tests.roles.rra.samples import RS
from tests.roles.rra.scheduling import files

DAY = 86400


class Outbox(SynchronousTestCase):
    """What is stored is told until it was heard."""

    def setUp(self) -> None:
        """A resource server that takes receipts."""
        self.desk = Desk()
        self.addCleanup(self.desk.close)
        self.peers = self.desk.peers

    def store(self, number: int = 3) -> None:
        """That many resources arrive."""
        self.desk.accept(*files(number))
        self.desk.start()
        self.desk.advance(1)

    def posts(self) -> list[Call]:
        """The requests with receipts."""
        return self.peers.to("POST", RS)

    def test_many_go_in_one_request(self) -> None:
        """One user's receipts at one server are one body, one line each."""
        self.desk.accept(*files(250))
        self.desk.start()
        self.desk.advance(3)
        self.assertEqual(set(self.desk.states()), {State.RECEIPTED})
        self.assertLessEqual(len(self.posts()), 5)
        lines = b"\n".join(call.body for call in self.posts()).split(b"\n")
        self.assertEqual(len(set(lines)), 250)
        self.assertTrue(all(call.target == "/rrs/receipts" for call in self.posts()))

    def test_users_and_servers_have_their_own(self) -> None:
        """Nobody's receipts go under another's delegation."""
        self.desk.accept(b"one")
        self.desk.accept(b"two", name="m2", recipient=parse_address("carol@bar.test"))
        self.desk.accept(b"three", name="m3", origin=OTHER)
        self.desk.start()
        self.desk.advance(2)
        self.assertEqual((len(self.posts()), len(self.peers.to("POST", OTHER))), (2, 1))
        self.assertEqual(len({dict(call.headers)["authorization"] for call in self.posts()}), 2)

    def test_partial_acceptance(self) -> None:
        """Those it names are done; the others are told again, under the same jti. What it makes up counts nothing."""

        def some(call: Call) -> Answer:
            jtis = [line.decode().rpartition(".")[2] for line in call.body.split(b"\n")]
            return Answer(200, {}, json.dumps({"accepted": [jtis[0], "made up", 7]}).encode())

        self.peers.rule("POST", RS, some)
        self.store(3)
        self.assertEqual(sorted(self.desk.states()), [State.RECEIPTED, State.STORED, State.STORED])
        first = self.desk.trail.of("receipt")[0]
        self.assertEqual((first.outcome, first.resource), ("failed", "1 of 3"))
        self.peers.rules.clear()
        self.desk.advance(40, 1)
        self.assertEqual(set(self.desk.states()), {State.RECEIPTED})
        told = [set(call.body.split(b"\n")) for call in self.posts()]
        self.assertTrue(told[1] < told[0])

    def test_answers_that_are_none(self) -> None:
        """Nonsense, redirects and refusals acknowledge nothing."""
        for answer in (Answer(200, {}, b"[]"), Answer(200, {}, b'{"accepted": {}}'), Answer(302, {}), Answer(403, {})):
            self.setUp()
            self.peers.always("POST", RS, answer)
            self.store(1)
            self.assertEqual(self.desk.state(1), State.STORED)

    def test_401_drops_the_delegation(self) -> None:
        """The next time there is a new one."""
        self.peers.always("POST", RS, said(401))
        self.store(1)
        self.peers.rules.clear()
        self.desk.advance(40, 1)
        self.assertEqual(self.desk.state(1), State.RECEIPTED)
        self.assertEqual(len(self.peers.to("POST", STS)), 2)

    def test_an_outage_backs_off_and_ends(self) -> None:
        """Ever more rarely, never less than four times a day, and it arrives."""
        self.peers.always("POST", RS, Unavailable("connect"))
        self.store(3)
        self.desk.advance(DAY, 30)
        self.assertTrue(5 < len(self.posts()) < 20, len(self.posts()))
        self.peers.rules.clear()
        self.desk.advance(7 * 3600, 30)
        self.assertEqual(set(self.desk.states()), {State.RECEIPTED})

    def test_r6_a_silent_server_is_waited_for_once_in_a_round(self) -> None:
        """Ten users' receipts at a dead server do not keep another server's waiting ten times."""
        self.peers.always("POST", RS, Unavailable("connect"))
        for number in range(10):
            recipient = parse_address(f"user{number}@bar.test")
            self.desk.accept(b"%d" % number, name=f"m{number}", recipient=recipient)
        self.desk.accept(b"other", name="mo", origin=OTHER)
        self.desk.start()
        self.desk.advance(1)
        self.assertLessEqual(len(self.posts()), 2)
        self.assertEqual(self.desk.state(11), State.RECEIPTED)

    def test_a_crash_between_post_and_commit_is_harmless(self) -> None:
        """The receipt goes out again with the same jti, and is taken as the same."""
        self.desk.queue.trouble["receipts_sent"] = CancelledError()
        self.store(1)
        self.flushLoggedErrors(CancelledError)
        self.assertEqual(self.desk.state(1), State.STORED)
        self.desk.crash()
        self.desk.start()
        self.desk.advance(2)
        self.assertEqual(self.desk.state(1), State.RECEIPTED)
        self.assertEqual(len({call.body for call in self.posts()}), 1)
        self.assertGreater(len(self.posts()), 1)

    def test_an_outbox_that_cannot_be_written_stops_nothing_for_good(self) -> None:
        """A refusal of the store is a pause."""
        self.desk.queue.trouble["receipts_sent"] = NoSpace("disk")
        self.store(1)
        self.desk.queue.trouble.clear()
        self.desk.advance(60, 1)
        self.assertEqual(self.desk.state(1), State.RECEIPTED)

    def test_a_certificate_without_a_name_signs_nothing(self) -> None:
        """The receipts wait for a better certificate."""
        self.desk.result(self.desk.delegations.of(parse_address("bob@bar.test"), RS))
        self.desk.key.certificate = evolve(self.desk.key.certificate, client=None)
        self.store(1)
        self.assertEqual((self.desk.state(1), self.posts()), (State.STORED, []))

    def test_idle(self) -> None:
        """Nothing due: a long sleep; something due later: until then."""
        self.assertEqual(self.desk.result(self.desk.receipts.round()), timedelta(minutes=5))
        self.peers.always("POST", RS, Unavailable("connect"))
        self.store(1)
        sleep = self.desk.result(self.desk.receipts.round())
        self.assertTrue(timedelta(seconds=1) <= sleep <= timedelta(seconds=30))


class Spoiled(SynchronousTestCase):
    """Peers, clocks and rows that are not as they should be."""

    def setUp(self) -> None:
        """Nothing arrives before a test says so."""
        self.desk = Desk()
        self.addCleanup(self.desk.close)
        self.peers = self.desk.peers

    def store(self, number: int = 1, **changes: Any) -> None:
        """That many resources arrive; their receipts are due."""
        self.desk.accept(*files(number), **changes)
        self.desk.start()
        self.desk.advance(1)

    def posts(self) -> list[Call]:
        """The requests with receipts."""
        return self.peers.to("POST", RS)

    def rows(self, statement: str) -> list[Any]:
        """What the database says."""
        return self.desk.result(
            self.desk.store._engine.read(lambda connection: connection.execute(statement).fetchall())
        )

    def test_one_line_that_spoils_a_request_keeps_nobody_waiting(self) -> None:
        """A strict server refuses a whole request for one line: each goes by itself then, and that one is given up."""
        jtis: list[str] = []

        def strict(call: Call) -> Told | None:
            lines = call.body.decode().split("\n")
            jtis.extend(line for line in lines if line not in jtis)
            return Answer(400, {}) if jtis[1] in lines else None

        self.peers.rule("POST", RS, strict)
        self.store(30)
        self.assertEqual(set(self.desk.states()), {State.STORED})
        self.desk.advance(40, 1)
        self.assertEqual(self.desk.states().count(State.RECEIPTED), 29)
        self.desk.advance(20 * DAY, 600)
        alone = [call for call in self.posts() if call.body.decode() == jtis[1]]
        self.assertLessEqual(len(alone), MOST_REFUSED)
        self.assertEqual(self.rows("SELECT count(*) FROM receipts WHERE due IS NULL"), [(1,)])

    def test_r5_a_server_that_never_takes_a_receipt_is_left_in_peace(self) -> None:
        """As one does that was put back from a backup and knows the grant no more; that is told, and can be undone."""
        self.peers.always("POST", RS, Answer(403, {}))
        self.store()
        self.desk.advance(6 * DAY, 600)
        self.assertIsNotNone(self.desk.result(self.desk.queue.next_receipt()))
        self.desk.advance(40 * DAY, 600)
        asked = len(self.posts())
        self.assertLessEqual(asked, MOST_REFUSED + 4)
        self.assertIsNone(self.desk.result(self.desk.queue.next_receipt()))
        job = self.desk.job(1)
        self.assertEqual((job.state, job.condition, job.evidence), (State.STORED, "receipt", "status 403"))
        self.assertIn("given up", self.desk.trail.of("receipt")[-1].resource)
        self.assertIn("did not take the receipt", explain(job, None, self.desk.timers.now()).sentence)
        self.peers.rules.clear()
        told = self.desk.result(self.desk.operations.act("retry-now", 1))
        self.assertEqual((told.state, told.condition), (State.STORED, ""))
        self.desk.advance(400, 1)
        self.assertEqual((self.desk.state(1), len({call.body for call in self.posts()})), (State.RECEIPTED, 1))
        self.assertEqual(self.desk.events(1)[-3:], ["unheard", "woken", "receipted"])

    def test_r5_a_server_that_is_gone_is_asked_for_a_month(self) -> None:
        """Three hours at most between, whatever waits there; then it is over for all of it."""
        self.peers.always("POST", RS, Unavailable("connect"))
        self.store(150)
        self.desk.advance(20 * DAY, 1800)
        self.assertEqual(self.rows("SELECT count(*) FROM receipts WHERE due IS NULL"), [(0,)])
        self.assertLessEqual(len(self.posts()), 20 * 8 + 12)
        self.desk.advance(20 * DAY, 1800)
        self.assertEqual(self.rows("SELECT count(*) FROM receipts WHERE due IS NULL"), [(150,)])

    def test_a_domain_that_is_gone_costs_nobody_anything(self) -> None:
        """Nobody speaks for it any more: there is nobody to ask, and that ends too."""
        self.peers.always("POST", RS, Unavailable("connect"))
        self.store()
        self.desk.directory.trouble[parse_domain("foo.test")] = Unknown("nobody introduces foo.test")
        asked = len(self.posts())
        self.desk.advance(30 * DAY, 1800)
        self.assertEqual((len(self.posts()), self.desk.job(1).condition), (asked, "receipt"))

    def test_a_suspended_recipient_keeps_no_other_waiting(self) -> None:
        """Our token service issues nothing for bob any more; carol's receipt goes."""
        carol = parse_address("carol@bar.test")
        self.peers.always("POST", RS, Unavailable("connect"))
        self.desk.accept(b"bob's")
        self.desk.accept(b"carol's", name="m2", recipient=carol)
        self.desk.start()
        self.desk.advance(400, 1)
        self.peers.rules.clear()
        self.peers.rule("POST", STS, lambda call: Answer(400, {}) if "bob" in self.key_said() else None)
        self.desk.advance(3600, 1)
        self.assertEqual(self.desk.states(), [State.STORED, State.RECEIPTED])
        self.desk.advance(30 * DAY, 1800)
        self.assertIn("our token service", self.desk.job(1).evidence)

    def key_said(self) -> str:
        """Whom the last impersonation was about."""
        return str([each for each in self.desk.key.signed if "resource" not in each][-1]["sub"])

    def test_our_own_outage_counts_against_nobody(self) -> None:
        """A month without our token service, and the receipts go when it is back."""
        self.peers.always("POST", RS, Unavailable("connect"))
        self.store()
        self.desk.advance(400, 1)
        self.peers.rules.clear()
        self.peers.always("POST", STS, Unavailable("connect"))
        self.desk.advance(60 * DAY, 3600)
        self.peers.rules.clear()
        self.desk.advance(120, 1)
        self.assertEqual(self.desk.state(1), State.RECEIPTED)

    def test_r6_a_silent_server_holds_up_no_other(self) -> None:
        """Hundreds of receipts at a server that lets every request wait for as long as we do, and one at a good one."""

        def silent(call: Call) -> Deferred[Told]:
            answer: Deferred[Told] = Deferred()
            self.desk.clock.callLater(10, answer.errback, Unavailable("no answer"))
            return answer

        self.peers.rule("POST", RS, silent)
        self.desk.accept(*files(500))
        self.desk.start()
        self.desk.advance(3)
        (other,) = self.desk.accept(b"other", name="mo", origin=OTHER, sender=parse_domain("other.test"))
        self.desk.advance(12)
        self.assertEqual(self.desk.state(other), State.RECEIPTED)
        self.desk.advance(60, 1)
        self.assertLessEqual(len(self.posts()), 4)

    def test_an_acknowledgement_that_got_lost(self) -> None:
        """The server took it, and the connection broke: it is told the same again."""
        took: list[bytes] = []

        def lost(call: Call) -> Told | None:
            took.append(call.body)
            return Unavailable("reset") if len(took) == 1 else None

        self.peers.rule("POST", RS, lost)
        self.store()
        self.desk.advance(40, 1)
        self.assertEqual((self.desk.state(1), len(took), len(set(took))), (State.RECEIPTED, 2, 1))

    def test_a_server_that_asks_for_time_gets_it(self) -> None:
        """503 with Retry-After, and one that asks for a year."""
        for asked, waits in (("7200", 7200), ("99999999999", DAY), ("0", 1), ("soon", 30)):
            self.setUp()
            self.peers.always("POST", RS, Answer(503, {"retry-after": asked}))
            self.store()
            due = self.desk.result(self.desk.queue.next_receipt())
            left = (due - self.desk.timers.now()).total_seconds()
            self.assertTrue(waits - 2 <= left <= waits, (asked, left))

    def test_r10_a_clock_that_ran_ahead_for_a_day(self) -> None:
        """Receipts were put off to next year; after the restart with the right time they go."""
        self.peers.always("POST", RS, Unavailable("connect"))
        self.store()
        future = self.desk.timers.now() + timedelta(days=365)
        (pending,) = self.desk.result(self.desk.queue.receipts_due(future, 9))
        later = evolve(pending, due=future)
        self.desk.result(self.desk.queue.receipts_deferred([later], "", self.desk.timers.now()))
        self.peers.rules.clear()
        self.desk.crash()
        self.desk.start()
        self.desk.advance(2)
        self.assertEqual(self.desk.state(1), State.RECEIPTED)

    def test_a_sign_of_life_is_reason_enough_to_tell(self) -> None:
        """The domain was away; its first word brings it its receipts. What it refused waits all the same."""
        self.peers.always("POST", RS, Unavailable("connect"))
        self.store(3)
        self.desk.advance(DAY, 60)
        self.peers.rules.clear()
        self.desk.contacts.heard(parse_domain("foo.test"))
        self.desk.advance(2)
        self.assertEqual(set(self.desk.states()), {State.RECEIPTED})

    def test_who_refused_is_not_asked_again_for_every_word(self) -> None:
        """A chatty domain that takes no receipts is asked as rarely as a silent one."""
        self.peers.always("POST", RS, Answer(403, {}))
        self.store()
        self.desk.advance(DAY, 60)
        asked = len(self.posts())
        for _ in range(60):
            self.desk.contacts.heard(parse_domain("foo.test"))
            self.desk.advance(10, 10)
        self.assertLessEqual(len(self.posts()) - asked, 1)

    def test_a_damaged_row_is_given_up_and_nothing_else(self) -> None:
        """The others of its request go; the operator is told."""
        self.peers.always("POST", RS, Unavailable("connect"))
        self.store(3)
        spoil = "UPDATE receipts SET origin = 'https://rs.foo.test:x' WHERE job = 2"
        self.desk.result(self.desk.store._engine.write(lambda connection: connection.execute(spoil).rowcount))
        self.peers.rules.clear()
        self.desk.advance(60, 1)
        self.assertEqual(self.desk.states(), [State.RECEIPTED, State.STORED, State.RECEIPTED])
        self.assertEqual(self.desk.job(2).condition, "receipt")
