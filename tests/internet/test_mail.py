"""Mail through the two filters, byte for byte, over the memory internet."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.envelopes import Notify, Reply, Return
from tests.support.mailservers import Post, Way, serve, start_mail, with_mail
from tests.support.world import World

OUT, IN = 10025, 2425
BEGIN = b"EHLO foo.test\r\nMAIL FROM:<alice@foo.test>\r\nRCPT TO:<bob@bar.test>\r\nDATA\r\n"
TWO = b"LHLO foo.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<bob@bar.test>\r\nRCPT TO:<carol@bar.test>\r\nDATA\r\n"
BODY = b"Subject: x\r\n\r\n" + b"..dots\r\n.\x00\xff\r\n" * 30_000


def stuffed(message: bytes) -> bytes:
    """As it goes over the wire."""
    return message.replace(b"\r\n.", b"\r\n..") + b".\r\n"


class MailCase(SynchronousTestCase):
    """foo.test between two mail servers."""

    out: Post
    inbox: Post

    def setUp(self) -> None:
        """Everything listens."""
        self.world = World(Path(self.mktemp()))
        self.foo = self.world.domain("foo.test", with_mail)
        start_mail(self.foo)
        self.out = serve(self.world, 10026, has_dsn=True)
        self.inbox = serve(self.world, 2426, is_lmtp=True)

    def way(self, port: int) -> Way:
        """A connection after its greeting."""
        way = Way.to(self.world, port)
        self.assertEqual(way.heard(), [220])
        return way


class Passage(MailCase):
    """What nobody has to touch arrives as it left."""

    def test_both_ways(self) -> None:
        """Every byte, in blocks of any size, several messages on one connection."""
        for port, begin, post in ((OUT, BEGIN, self.out), (IN, BEGIN.replace(b"EHLO", b"LHLO"), self.inbox)):
            way, greeted = self.way(port), [250]
            for segment in (65536, 1000, 17):
                self.world.internet.segment = segment
                body = BODY if segment > 17 else BODY[: BODY.index(b"\r\n", 2000) + 2]
                self.assertEqual(way.say(begin + stuffed(body)), [*greeted, 250, 250, 354, 250])
                self.assertEqual(post.kept[-1][1], body)
                begin = begin[begin.index(b"MAIL") :]
                greeted = []

    def test_envelope(self) -> None:
        """DSN, SIZE and what the first hop was travel along."""
        way = self.way(OUT)
        way.say(b"EHLO foo.test\r\nXFORWARD IDENT=4A ADDR=20.0.0.9\r\n")
        way.say(b"MAIL FROM:<alice@foo.test> SIZE=99 RET=HDRS ENVID=7\r\n")
        way.say(b"RCPT TO:<bob@bar.test> NOTIFY=DELAY\r\nDATA\r\n.\r\n")
        envelope = self.out.kept[0][0]
        sender = envelope.sender
        self.assertEqual((sender.ret, sender.envelope_id, sender.size), (Return.HEADERS, "7", 99))
        self.assertEqual(envelope.recipients[0].notify, {Notify.DELAY})
        self.assertEqual(envelope.forwarded, {"IDENT": "4A", "ADDR": "20.0.0.9"})

    def test_replies_for_each_recipient(self) -> None:
        """LMTP's own feature is handed through."""
        self.inbox.says = lambda _: [Reply(250, "2.0.0", ("kept",)), Reply(452, "4.2.2", ("full",))]
        self.assertEqual(self.way(IN).say(TWO + b"x\r\n.\r\n")[-2:], [250, 452])

    def test_one_reply_for_all(self) -> None:
        """On the way out the reply of the next server is ours."""
        for code in (250, 451, 552):
            self.out.says = lambda _, code=code: [Reply(code)]  # type: ignore[misc]
            self.assertEqual(self.way(OUT).say(BEGIN + b"x\r\n.\r\n")[-1], code)

    def test_next_server_is_down(self) -> None:
        """The mail server keeps the message: 451, never a bounce, and the connection goes on."""
        del self.world.internet.listeners["127.0.0.1", 10026]
        del self.world.internet.listeners["127.0.0.1", 2426]
        way = self.way(OUT)
        self.assertEqual(way.say(BEGIN + stuffed(BODY))[-1], 451)
        self.assertEqual(way.say(b"NOOP\r\n"), [250])
        self.assertEqual(self.way(IN).say(TWO + stuffed(BODY))[-2:], [451, 451])

    def test_client_leaves_in_the_middle(self) -> None:
        """The next server never sees an end that nobody sent."""
        way = self.way(OUT)
        way.say(BEGIN + BODY)
        way.cut()
        self.assertEqual((self.out.begun, self.out.broken, self.out.kept), (1, 1, []))

    def test_next_server_leaves_in_the_middle(self) -> None:
        """Nobody knows what became of it: come again."""

        def leave(_: object) -> list[Reply]:
            for wire in self.world.internet.wires:
                if wire.getHost().port == 10026:
                    wire.cut()
            return [Reply(250)]

        self.out.says = leave
        self.assertEqual(self.way(OUT).say(BEGIN + b"x\r\n.\r\n")[-1], 451)

    def test_next_server_is_silent(self) -> None:
        """Every wait has an end."""
        self.world.internet.silent.add("127.0.0.1")
        way = self.way(OUT)
        self.assertEqual(way.say(BEGIN + b"x\r\n.\r\n"), [250, 250, 250, 354])
        self.world.advance(40)
        self.assertEqual(way.heard(), [451])

    def test_smuggled_end(self) -> None:
        """Refused for good, and nothing of it is handed on."""
        way = self.way(OUT)
        self.assertEqual(way.say(BEGIN + b"x\n.\r\nMAIL FROM:<evil@foo.test>\r\n.\r\n")[-1], 554)
        self.assertEqual((self.out.kept, way.sender.is_lost), ([], True))

    def test_slow_client(self) -> None:
        """A client that says nothing is told goodbye."""
        way = self.way(OUT)
        self.world.advance(400, 10)
        self.assertEqual((way.heard(), way.sender.is_lost), ([421], True))

    def test_stop(self) -> None:
        """Who is in the middle keeps the message."""
        way = self.way(OUT)
        way.say(BEGIN + b"half")
        self.world.result(self.foo.whole.mail.stop())
        self.world.internet.pump()
        self.assertEqual((way.heard(), self.out.kept), ([421], []))
