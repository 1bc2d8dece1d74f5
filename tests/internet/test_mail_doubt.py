"""The moment between the next server's yes and ours (RFC 1047), on the way out: nothing lost, nothing doubled."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from typing_extensions import override

from rrsd.core.refusals import NoSpace
from rrsd.core.values.envelopes import Envelope, Fate, Offer, Reply
from rrsd.drivers.store.sql.passages import Passages
from tests.support.mailservers import KEPT, Post, Way, start_mail
from tests.support.outgoing import FILM, HEADER, OUT, OutCase, envelope_of, message, stuffed
from tests.support.world import MemoryDomain

BOB, CAROL, DAVE = "bob@bar.test", "carol@bar.test", "dave@plain.test"
PLAIN = HEADER.replace(b"multipart/mixed", b"text/plain") + b"\r\nLook.\r\n"
STRANGER = PLAIN.replace(b"alice@foo.test", b"eve@evil.test")
LATER = Reply(451, "4.3.0", ("later",))


@define(eq=False)
class Log:
    """Knows what the next server has kept, under which name; `fate` is what it says whatever it knows."""

    post: Post
    fate: Fate | None = None
    asked: list[str] = field(factory=list)

    async def fate_of(self, offer: Offer) -> Fate:
        """As the mail server's log says."""
        self.asked.append(offer.delivery)
        kept = {envelope.forwarded.get("IDENT") for envelope, _ in self.post.kept}
        return self.fate or (Fate.TAKEN if offer.delivery in kept else Fate.NOT_TAKEN)


class DoubtCase(OutCase):
    """foo.test's filter, and a next server that can be asked."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.elsewhere("plain.test")
        self.log = Log(self.next)
        self.unasked = self.outbound().dispatch.ledger.doubts
        self.ask(self.log)

    def ask(self, log: Log) -> None:
        """Who is asked from now on."""
        self.outbound().dispatch.ledger.doubts = log

    def cut(self, port: int) -> None:
        """Every connection to the port is lost."""
        for wire in tuple(self.world.internet.wires):
            if wire.getHost().port == port:
                wire.cut()

    def kill(self) -> None:
        """kill -9 of the daemon, which begins again with what was durable."""
        self.cut(OUT)
        self.cut(10026)
        self.foo.store.passages._soon.clear()
        self.foo = self.world.restart("foo.test")
        start_mail(self.foo)
        self.ask(self.log)

    def copies(self) -> list[str]:
        """Every recipient that was handed something, as often as that happened."""
        return sorted(each.path for envelope, _ in self.next.kept for each in envelope.recipients)

    def evidence(self) -> list[str]:
        """What the trail says of doubts."""
        return [line["evidence"] for line in self.foo.trail.of("send") if "may have" in line["evidence"]]

    def once(self, step: Any, reply: Reply = KEPT) -> None:
        """`step` happens in the moment before the next server answers for the first time."""

        def says(_: Envelope) -> Sequence[Reply]:
            self.next.says = lambda _: [KEPT]
            step()
            return [reply]

        self.next.says = says


class Killed(DoubtCase):
    """The daemon dies when the next server has said yes, or a moment before."""

    def test_after_its_yes(self) -> None:
        """A message with attachments, a small one, and a stranger's: each is there once, and the retry hears yes."""
        for number, raw in enumerate((message(FILM), PLAIN, STRANGER, PLAIN.replace(b"L", b"l\r\n" * 900_000, 1))):
            self.next.kept.clear()
            self.once(self.kill)
            ident = f"4A{number}"
            self.send_broken(raw, BOB, ident=ident)
            self.assertEqual(self.send(raw, BOB, ident=ident), 250)
            self.assertEqual(self.copies(), [BOB])
            self.assertEqual(len(self.log.asked), number + 1)
            self.assertEqual(self.send(raw, BOB, ident=ident), 250)
            self.assertEqual((self.copies(), len(self.log.asked)), ([BOB], number + 1))
            self.assertTrue(self.log.asked[-1].startswith(f"{ident}-"))

    def test_before_its_yes(self) -> None:
        """It has not got it: the retry sends it."""
        for number, raw in enumerate((message(FILM), PLAIN, STRANGER)):
            self.next.kept.clear()
            self.once(self.kill, LATER)
            self.send_broken(raw, BOB, ident=str(number))
            self.assertEqual(self.send(raw, BOB, ident=str(number)), 250)
            self.assertEqual((self.copies(), self.next.kept[0][1] == raw), ([BOB], raw != message(FILM)))
        self.assertEqual(len(self.log.asked), 3)

    def test_in_the_second_group(self) -> None:
        """The first is known to have it; the second is asked about, whichever way it was."""
        for ident, (reply, count) in enumerate(((KEPT, 2), (LATER, 1))):
            self.next.kept.clear()
            said = iter((lambda: None, self.kill))
            replies = iter((KEPT, reply))

            def says(_: Envelope, said: Any = said, replies: Any = replies) -> Sequence[Reply]:
                next(said, lambda: None)()
                return [next(replies, KEPT)]

            self.next.says = says
            self.send_broken(message(FILM), BOB, DAVE, ident=str(ident))
            self.assertEqual(len(self.copies()), count)
            self.assertEqual(self.send(message(FILM), BOB, DAVE, ident=str(ident)), 250)
            self.assertEqual(self.copies(), [BOB, DAVE])

    def test_after_our_yes(self) -> None:
        """What was to be written soon was not: should the mail server come again, there is somebody to ask."""
        self.assertEqual(self.send(PLAIN, BOB), 250)
        self.kill()
        self.assertEqual(self.send(PLAIN, BOB), 250)
        self.assertEqual((self.copies(), len(self.log.asked)), ([BOB], 1))

    def test_what_was_to_be_written_soon_is_written_with_the_next(self) -> None:
        """One commit for each message: that one is done goes to the disk with the next one's offer, or at the end."""
        for ident in ("1", "2"):
            self.assertEqual(self.send(PLAIN, BOB, ident=ident), 250)
        self.kill()
        self.assertEqual(self.send(PLAIN, BOB, ident="1"), 250)
        self.assertEqual((self.copies(), self.log.asked), ([BOB, BOB], []))
        self.world.result(self.foo.store.passages.flush())
        self.kill()
        self.assertEqual(self.send(PLAIN, BOB, ident="1"), 250)
        self.assertEqual((self.copies(), self.log.asked), ([BOB, BOB], []))

    def send_broken(self, raw: bytes, *recipients: str, ident: str) -> None:
        """The mail server's client hears nothing at the end."""
        way = Way.to(self.world, OUT)
        said = way.say(envelope_of(*recipients, ident=ident) + stuffed(raw))
        self.assertEqual((said[-1:], way.sender.is_lost), ([354], True))


class Lost(DoubtCase):
    """A connection is lost after the end of the message."""

    def test_next_server_had_taken_it(self) -> None:
        """Later, and then yes."""
        for number, raw in enumerate((message(FILM), PLAIN, STRANGER)):
            self.next.kept.clear()
            self.once(lambda: self.cut(10026))
            self.assertEqual(self.send(raw, BOB, ident=str(number)), 451)
            self.assertEqual(self.send(raw, BOB, ident=str(number)), 250)
            self.assertEqual(self.copies(), [BOB])
        self.assertIn(": taken", self.evidence()[-1])

    def test_next_server_had_not(self) -> None:
        """It is sent again, and known under another name."""
        self.once(lambda: self.cut(10026), LATER)
        self.assertEqual(self.send(STRANGER, BOB), 451)
        self.world.advance(5)
        self.assertEqual(self.send(STRANGER, BOB), 250)
        self.assertEqual(self.copies(), [BOB])
        self.assertNotEqual(self.next.kept[0][0].forwarded["IDENT"], self.log.asked[0])

    def test_nobody_can_tell(self) -> None:
        """It waits, others do not; after the patience it is sent again, and the trail says so."""
        self.once(lambda: self.cut(10026))
        self.assertEqual(self.send(STRANGER, BOB), 451)
        self.log.fate = Fate.UNKNOWN
        self.assertEqual(self.send(STRANGER, BOB), 451)
        self.assertEqual(self.send(STRANGER, BOB, CAROL), 451)
        self.assertEqual(self.copies(), [BOB, CAROL])
        self.world.advance(14 * 60, 60)
        self.assertEqual(self.send(STRANGER, BOB), 451)
        self.assertEqual((self.copies(), ": unknown" in self.evidence()[-1]), ([BOB, CAROL], True))
        self.world.advance(60, 60)
        self.assertEqual(self.send(STRANGER, BOB), 250)
        self.assertEqual(self.copies(), [BOB, BOB, CAROL])
        self.assertTrue(self.evidence()[-1].endswith("sent again"))

    def test_nobody_can_tell_of_one_with_attachments(self) -> None:
        """The same; and a daemon that was away for long does not hurry when it is back."""
        self.once(lambda: self.cut(10026))
        self.assertEqual(self.send(message(FILM), BOB), 451)
        self.world.advance(3600, 600)
        self.kill()
        self.log.fate = Fate.UNKNOWN
        self.assertEqual(self.send(message(FILM), BOB), 451)
        self.log.fate = None
        self.assertEqual((self.send(message(FILM), BOB), self.copies()), (250, [BOB]))

    def test_nobody_to_ask(self) -> None:
        """Without a log that is read, what is in doubt is sent again: a double beats a loss."""
        self.outbound().dispatch.ledger.doubts = self.unasked
        self.once(lambda: self.cut(10026))
        self.assertEqual(self.send(STRANGER, BOB), 451)
        self.assertEqual(self.send(STRANGER, BOB), 250)
        self.assertEqual(self.copies(), [BOB, BOB])

    def test_before_the_end(self) -> None:
        """What breaks off before the end is in no doubt."""
        self.world.internet.segment = 100
        way = Way.to(self.world, OUT)
        way.say(envelope_of(BOB) + stuffed(STRANGER)[:-3])
        way.cut()
        self.assertEqual(self.next.broken, 1)
        self.assertEqual((self.send(STRANGER, BOB), self.log.asked), (250, []))

    def test_client_is_lost_meanwhile(self) -> None:
        """The next server takes its time, and the mail server does not wait: its retry is too early, the next one finds
        that everything is done."""
        for number, raw in enumerate((message(FILM), PLAIN, STRANGER)):
            self.next.kept.clear()
            self.next.slow = slow = Deferred[None]()
            way = Way.to(self.world, OUT)
            way.say(envelope_of(BOB, ident=str(number)) + stuffed(raw))
            way.cut()
            self.next.slow = None
            self.assertEqual(self.send(raw, BOB, ident=str(number)), 451)
            slow.callback(None)
            self.world.internet.pump()
            self.assertEqual(self.send(raw, BOB, ident=str(number)), 250)
            self.assertEqual((self.copies(), self.log.asked), ([BOB], []))

    def test_two_parts_of_the_recipients(self) -> None:
        """A message with many recipients comes in parts, at the same time: neither waits for the other."""
        self.next.slow = slow = Deferred[None]()
        first = Way.to(self.world, OUT)
        first.say(envelope_of(BOB) + stuffed(STRANGER))
        self.next.slow = None
        self.assertEqual(self.send(STRANGER, CAROL), 250)
        slow.callback(None)
        self.world.internet.pump()
        self.assertEqual((first.heard()[-1], self.copies()), (250, [BOB, CAROL]))


class Remembered(DoubtCase):
    """What the ledger is told."""

    def test_a_no_is_no_doubt(self) -> None:
        """A message that was refused is offered again without a question."""
        for code in (451, 552):
            self.next.says = lambda _, code=code: [Reply(code)]  # type: ignore[misc]
            self.assertEqual(self.send(STRANGER, BOB), code)
        self.next.says = lambda _: [KEPT]
        self.assertEqual((self.send(STRANGER, BOB), self.log.asked), (250, []))

    def test_full_disk(self) -> None:
        """What cannot be written down does not get its end."""

        async def refuse(*_: object) -> None:
            raise NoSpace("ledger")

        self.patch(Passages, "offer", refuse)
        for raw in (STRANGER, PLAIN, message(FILM)):
            self.assertEqual(self.send(raw, BOB), 452)
        self.assertEqual((self.next.kept, self.next.broken), ([], 3))

    def test_without_a_name(self) -> None:
        """Where the mail server has no name for a message, two that look the same are two."""
        for raw in (STRANGER, PLAIN, b"\r\nx\r\n"):
            self.next.kept.clear()
            for _ in range(2):
                way = Way.to(self.world, OUT)
                begin = envelope_of(BOB).replace(b"XFORWARD IDENT=4A\r\n", b"")
                self.assertEqual(way.say(begin + stuffed(raw))[-1], 250)
            self.assertEqual(self.copies(), [BOB, BOB])

    def test_two_messages_of_a_stranger(self) -> None:
        """Another name in the queue, another header or another sender is another message; the division into blocks is
        nothing."""
        self.assertEqual(self.send(STRANGER, BOB), 250)
        self.assertEqual(self.send(STRANGER, BOB, ident="4B"), 250)
        self.assertEqual(self.send(STRANGER.replace(b"holiday", b"Holiday"), BOB), 250)
        way = Way.to(self.world, OUT)
        self.assertEqual(way.say(envelope_of(BOB, sender="") + stuffed(STRANGER))[-1], 250)
        self.assertEqual(len(self.next.kept), 4)
        for segment in (7, 300):
            self.world.internet.segment = segment
            self.assertEqual(self.send(STRANGER, BOB), 250)
        self.assertEqual(len(self.next.kept), 4)

    def test_long_header(self) -> None:
        """A header that is too long to be looked at is known by its beginning, one without an end by all of it."""
        for raw in (b"X: " + b"y" * 300_000 + b"\r\n\r\nx\r\n", b"Subject: x\r\n"):
            self.next.kept.clear()
            for segment in (65536, 4000):
                self.world.internet.segment = segment
                self.assertEqual(self.send(raw, BOB), 250)
            self.assertEqual(len(self.next.kept), 1)

    def test_patience(self) -> None:
        """It is what the settings say."""
        self.assertEqual(self.outbound().dispatch.ledger.patience, timedelta(minutes=15))


class Asked(DoubtCase):
    """The log of a Postfix, named in the settings."""

    @override
    def domain(self, name: str, **changes: Any) -> MemoryDomain:
        """foo.test reads it."""
        self.file = self.world.folder / "mail.log"
        self.file.touch()
        return super().domain(name, next_log=str(self.file), next_queue="postqueue -c there -j", **changes)

    @override
    def ask(self, log: Log) -> None:
        """It is asked by itself."""

    def test_log_and_queue(self) -> None:
        """What the log says is taken up is there, what it says was left is asked for, and nobody hurries."""
        for number, (line, queue, copies) in enumerate((
            ("qmgr[2]: 5A: from=<a@b>, size=1, nrcpt=1 (queue active)", b"", 1),
            ("smtpd[1]: disconnect from here", b'{"queue_id": "5A"}', 1),
            ("smtpd[1]: disconnect from here", b"", 2),
        )):  # fmt: skip
            self.next.kept.clear()
            self.world.said = queue
            self.once(self.kill)
            way = Way.to(self.world, OUT)
            way.say(envelope_of(BOB, ident=str(number)) + stuffed(STRANGER))
            name = self.next.kept[0][0].forwarded["IDENT"]
            self.file.write_text(f"x p/smtpd[1]: 5A: client=here, orig_queue_id={name}\nx p/{line}\n")
            way = Way.to(self.world, OUT)
            way.say(envelope_of(BOB, ident=str(number)) + stuffed(STRANGER))
            self.world.advance(4)
            self.assertEqual((way.heard(), self.copies()), ([250], [BOB] * copies))
        self.assertEqual(set(self.world.commands), {("postqueue", "-c", "there", "-j")})
