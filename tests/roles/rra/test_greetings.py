"""Telling others that this domain is here again."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Unavailable, Unknown
from rrsd.core.values.addresses import parse_address, parse_domain
from rrsd.core.values.calls import Answer, Call
from rrsd.core.values.resources import Grant
from rrsd.roles.rra.greetings import PACE, PATH, SETTLE
from tests.roles.rra.agents import Desk
from tests.roles.rra.peers import STS, Told
from tests.roles.rra.samples import RS as PEER

ALICE = parse_address("alice@bar.test")


class Greetings(SynchronousTestCase):
    """bar.test was away, and has granted things."""

    def setUp(self) -> None:
        """Its daemon has not started yet; every domain that answers has the same resource server."""
        self.desk = Desk()
        self.addCleanup(self.desk.close)
        self.desk.directory.listed = {PEER}

    def granted(self, *recipients: str, **changes: Any) -> None:
        """alice granted something to them."""
        digest = self.desk.result(self.desk.store.blobs.put(b"granted")).digest
        until = self.desk.timers.now() + timedelta(days=1)
        grants = [Grant("1@bar.test", digest, 7, ALICE, parse_address(each), until) for each in recipients]
        self.desk.result(self.desk.store.grants.add([evolve(each, **changes) for each in grants]))

    def greeted(self) -> list[Call]:
        """The greetings that went out a minute after the start."""
        self.desk.start()
        self.desk.advance(60)
        return [call for call in self.desk.peers.calls if call.target == PATH]

    def test_each_domain_once(self) -> None:
        """However many of its users wait, and not our own."""
        self.granted("bob@foo.test", "carol@foo.test", "dave@else.test", "eve@bar.test")
        calls = self.greeted()
        self.assertEqual([(call.method, call.body) for call in calls], [("POST", b"")] * 2)
        self.assertTrue(all(dict(call.headers)["authorization"].startswith("Bearer ") for call in calls))
        self.desk.advance(3600, 60)
        self.assertEqual(len([call for call in self.desk.peers.calls if call.target == PATH]), 2)
        self.assertEqual([each.subject for each in self.desk.trail.of("greet")], [str(ALICE)] * 2)

    def test_nobody_waits(self) -> None:
        """What was withdrawn, has arrived, was downloaded or is over is no reason."""
        now = self.desk.timers.now()
        self.granted("a@one.test", withdrawn=True)
        self.granted("a@two.test", receipted=now)
        self.granted("a@three.test", downloaded=now)
        self.granted("a@four.test", not_after=now)
        self.assertEqual(self.greeted(), [])

    def test_one_that_fails_keeps_nobody_waiting(self) -> None:
        """A domain that is nobody's, one that is silent, one without a server, and our own token service."""
        self.granted("a@gone.test", "a@mute.test", "a@well.test")
        self.desk.directory.trouble[parse_domain("gone.test")] = Unknown("nobody")
        answers: Iterator[Told] = iter([Unavailable("connect"), Answer(204, {})])
        self.desk.peers.rule("POST", PEER, lambda _: next(answers))
        self.assertEqual(len(self.greeted()), 2)
        outcomes = [(each.outcome, each.evidence) for each in self.desk.trail.of("greet")]
        self.assertEqual([outcome for outcome, _ in outcomes], ["failed", "failed", "granted"])

    def test_a_domain_without_a_server(self) -> None:
        """Its users have links."""
        self.granted("a@else.test")
        self.desk.directory.listed = set()
        self.assertEqual((self.greeted(), self.desk.trail.of("greet")), ([], []))

    def test_our_token_service_is_down(self) -> None:
        """Nothing is repeated: others have their timers."""
        self.granted("a@else.test")
        self.desk.peers.always("POST", STS, Unavailable("connect"))
        self.assertEqual(self.greeted(), [])

    def test_a_trail_that_cannot_be_written_ends_it(self) -> None:
        """Nothing is done that leaves no trace."""
        self.granted(*(f"a@d{number}.test" for number in range(5)))
        self.desk.trail.refusal = Unavailable("audit trail")
        self.assertLessEqual(len(self.greeted()), 1)

    def test_a_thousand_are_paced(self) -> None:
        """Ten a second."""
        self.granted(*(f"a@d{number}.test" for number in range(40)))
        self.desk.start()
        self.desk.advance(SETTLE.total_seconds() + 20 * PACE.total_seconds(), 0.05)
        sent = [call for call in self.desk.peers.calls if call.target == PATH]
        self.assertTrue(15 <= len(sent) <= 25, len(sent))
