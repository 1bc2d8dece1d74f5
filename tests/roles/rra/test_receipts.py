"""The outbox of receipts."""

import json
from datetime import timedelta

from attrs import evolve
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import NoSpace, Unavailable
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.calls import Answer, Call
from rrsd.core.values.jobs import State
from tests.roles.rra.agents import Desk
from tests.roles.rra.peers import OTHER, STS, said
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
