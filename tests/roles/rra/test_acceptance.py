"""Accepted means durable."""

from datetime import timedelta

from attrs import define, evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Forbidden, Malformed, NoSpace, TooLarge, Unavailable, Unknown
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.calls import Event
from rrsd.core.values.digests import digest_of
from rrsd.core.values.messages import Arrival, Message
from rrsd.core.values.settings import Size
from rrsd.core.wire.fields import ni_path
from tests.roles.rra.agents import Desk
from tests.roles.rra.mailboxes import FILM, NOTE, RAW
from tests.roles.rra.peers import BOB, Trail

CAROL = parse_address("carol@bar.test")


@define(eq=False)
class Filling:
    """A trail with room for some lines only."""

    trail: Trail
    room: int

    def record(self, event: Event) -> None:
        """Write it while there is room."""
        if not self.room:
            raise Unavailable("audit trail")
        self.room -= 1
        self.trail.record(event)


class Acceptances(SynchronousTestCase):
    """The local mail server hands a message over."""

    def setUp(self) -> None:
        """Bob and Carol are ours."""
        self.desk = Desk()
        self.addCleanup(self.desk.close)

    def accept(self, raw: bytes = RAW, *recipients: object) -> tuple[Message, ...]:
        """The messages that were new."""
        return self.desk.result(self.desk.acceptance.accept(raw, recipients or (BOB,)))  # type: ignore[arg-type]

    def test_a_message_and_its_pulls(self) -> None:
        """Parts with their pulls, due at once, until a tenth before the sender's end or ours."""
        (message,) = self.accept()
        self.assertEqual([part.digest for part in message.parts], [digest_of(FILM), digest_of(NOTE)])
        self.assertEqual({part.arrival for part in message.parts}, {Arrival.WAITING})
        job = self.desk.job(message.parts[0].job)
        now = self.desk.timers.now()
        self.assertEqual((job.due, job.deadline, job.sender.name), (now, now + timedelta(days=7), "foo.test"))
        self.assertTrue(self.desk.has(digest_of(RAW)))

    def test_delivering_twice_changes_nothing(self) -> None:
        """A mail server that did not hear our answer comes again; a new recipient is new all the same."""
        self.accept()
        self.assertEqual(self.accept(), ())
        self.assertEqual([message.recipient for message in self.accept(RAW, BOB, CAROL, CAROL)], [CAROL])
        self.assertEqual(len(self.desk.states()), 4)
        said = [event.evidence for event in self.desk.trail.of("accept")]
        self.assertEqual(said, ["new", "had it already", "had it already", "new"])

    def test_refusals_write_nothing(self) -> None:
        """Too large, unreadable, for nobody, or with one recipient that is not ours: nothing at all is kept."""
        self.desk.members.refused = {CAROL: Unknown("user"), parse_address("eve@bar.test"): Forbidden("suspended")}
        self.desk.acceptance.settings = evolve(self.desk.settings, most_message=Size(len(RAW)))
        cases = [
            (RAW + b"x", (BOB,), TooLarge),
            (b"\r\n", (BOB,), Malformed),
            (RAW, (), Malformed),
            (RAW, (BOB, CAROL), Unknown),
            (RAW, (parse_address("eve@bar.test"), BOB), Forbidden),
        ]
        for raw, recipients, refusal in cases:
            with self.subTest(refusal=refusal), self.assertRaises(refusal):
                self.desk.result(self.desk.acceptance.accept(raw, recipients))
        self.assertEqual((self.desk.states(), self.desk.has(digest_of(RAW))), ([], False))

    def test_a_full_disk_is_told(self) -> None:
        """NoSpace, so that the mail server keeps it and comes again."""
        self.desk.files.capacity = 0
        self.assertRaises(NoSpace, self.accept)

    def test_what_was_accepted_before_a_refusal_is_begun_at_once(self) -> None:
        """The first recipient's pulls need not wait until the second's are accepted too."""
        self.desk.start()
        self.desk.acceptance.audit = Filling(self.desk.trail, room=1)
        for data in (FILM, NOTE):
            self.desk.peers.content[ni_path(digest_of(data))] = data
        self.assertRaises(Unavailable, self.accept, RAW, BOB, CAROL)
        self.desk.advance(40)
        self.assertTrue(self.desk.has(digest_of(NOTE)))
        self.desk.acceptance.audit = self.desk.trail
        self.assertEqual([message.recipient for message in self.accept(RAW, BOB, CAROL)], [CAROL])

    def test_a_message_was_accepted_before_the_trail_said_so(self) -> None:
        """Without a line nothing is accepted, not even when the mail server hears of it."""
        self.desk.trail.refusal = Unavailable("audit trail")
        self.assertRaises(Unavailable, self.accept)
        self.desk.trail.refusal = None
        self.assertEqual(self.desk.states(), [])
        self.assertEqual(len(self.accept()), 1)

    def test_forged_author(self) -> None:
        """Nobody delivers to others what they did not write; to themselves they may bring anything."""
        for author, recipients in ((BOB, (BOB, CAROL)), (CAROL, (BOB,))):
            with self.assertRaises(Forbidden):
                self.desk.result(self.desk.acceptance.accept(RAW, recipients, author))
        self.assertEqual(len(self.desk.result(self.desk.acceptance.accept(RAW, (BOB,), BOB))), 1)
        alice = parse_address("alice@foo.test")
        self.assertEqual(len(self.desk.result(self.desk.acceptance.accept(RAW, (CAROL,), alice))), 1)

    def test_a_refused_delivery_leaves_a_line(self) -> None:
        """For whom it was, why, and how large; of many recipients the first ten."""
        many = [parse_address(f"u{number}@bar.test") for number in range(20)]
        self.desk.members.refused = {many[0]: Unknown("user")}
        with self.assertRaises(Unknown):
            self.desk.result(self.desk.acceptance.accept(RAW, many))
        (event,) = self.desk.trail.events
        self.assertEqual(
            (event.what, event.outcome, event.refusal, event.size), ("accept", "refused", "unknown", len(RAW))
        )
        self.assertEqual(event.subject, " ".join(str(each) for each in many[:10]))
