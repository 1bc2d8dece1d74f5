"""Commands and replies of SMTP, line by line."""

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed, TooLarge, Unsupported
from rrsd.core.values.envelopes import Body, Envelope, ForwardPath, Notify, Reply, Return, ReversePath
from rrsd.core.wire import smtp

EVERYTHING = dict.fromkeys(("SIZE", "8BITMIME", "SMTPUTF8", "DSN", "BINARYMIME"), "")


class Commands(SynchronousTestCase):
    """What a client says."""

    def test_commands(self) -> None:
        """The verb in capitals, the rest as it came."""
        self.assertEqual(smtp.parse_command(b"mail FROM:<a@b.test> "), smtp.Command("MAIL", "FROM:<a@b.test>"))
        self.assertEqual(smtp.parse_command(b"QUIT"), smtp.Command("QUIT", ""))
        for bad in (b"", b" QUIT", b"GET / HTTP/1.1\x00", b"QU1T", b"A" * 17, b"NOOP \xff", b"NOOP \t", b"NOOP \x7f"):
            self.assertRaises(Malformed, smtp.parse_command, bad)
        self.assertRaises(TooLarge, smtp.parse_command, b"NOOP " + b"x" * smtp.MOST_LINE)

    def test_senders(self) -> None:
        """Nobody, somebody, and every parameter."""
        self.assertEqual(smtp.parse_mail("FROM:<>"), ReversePath(""))
        self.assertEqual(smtp.parse_mail("from: <alice@foo.test> AUTH=<>"), ReversePath("alice@foo.test"))
        every = 'FROM:<"a b"@foo.test> SIZE=10 BODY=8bitmime SMTPUTF8 RET=hdrs ENVID=a+2Bb'
        self.assertEqual(
            smtp.parse_mail(every),
            ReversePath('"a b"@foo.test', 10, Body.EIGHT_BIT, True, Return.HEADERS, "a+2Bb"),
        )
        self.assertEqual(smtp.parse_mail("FROM:<@x.test,@y.test:a@foo.test>").path, "a@foo.test")
        self.assertEqual(smtp.parse_mail("FROM:<ä@foo.test> SMTPUTF8").path, "ä@foo.test")
        self.assertEqual(smtp.parse_mail("FROM:<a@[IPv6:2001:db8::1]>").path, "a@[IPv6:2001:db8::1]")

    def test_bad_senders(self) -> None:
        """Anything with two readings."""
        for bad in ("", "FROM", "FROM:a@b.test", "FROM:<a@b.test", "FROM:<a>", "FROM:<a b@c.test>", "FROM:<<a@b.test>>",
                    "FROM:<a@b.test>SIZE=1", "FROM:<a@b.test> SIZE=1 SIZE=1", "FROM:<a@b.test> SIZE=x",
                    "FROM:<a@b.test> SIZE=", "FROM:<a@b.test> SMTPUTF8=1", "FROM:<a@b.test> BODY=9BIT",
                    "FROM:<a@b.test> ENVID=a+0", "FROM:<a@b.test> =1", "FROM:<ä@b.test>", "FROM:<a@b.test>\x00",
                    "FROM:<postmaster>", "FROM:<a@b..test>", "FROM:<a@b.test> SIZE=9999999999999999",
                    f"FROM:<{'a' * 1100}@b.test>"):  # fmt: skip
            with self.assertRaises(Malformed, msg=bad):
                smtp.parse_mail(bad)
        self.assertRaises(Unsupported, smtp.parse_mail, "FROM:<a@b.test> HOLDFOR=5")

    def test_recipients(self) -> None:
        """With and without delivery reports."""
        self.assertEqual(smtp.parse_rcpt("TO:<Postmaster>", is_utf8=False), ForwardPath("Postmaster"))
        found = smtp.parse_rcpt("TO:<bob@bar.test> NOTIFY=SUCCESS,delay ORCPT=rfc822;bob@bar.test", is_utf8=False)
        wanted = frozenset({Notify.SUCCESS, Notify.DELAY})
        self.assertEqual(found, ForwardPath("bob@bar.test", wanted, "rfc822;bob@bar.test"))
        for bad in ("TO:<>", "TO:<bob@bar.test> NOTIFY=NEVER,DELAY", "TO:<bob@bar.test> NOTIFY=DELAY,DELAY",
                    "TO:<bob@bar.test> NOTIFY=", "TO:<bob@bar.test> ORCPT=bob", "TO:<bób@bar.test>"):  # fmt: skip
            with self.assertRaises(Malformed, msg=bad):
                smtp.parse_rcpt(bad, is_utf8=False)
        self.assertEqual(smtp.parse_rcpt("TO:<bób@bar.test>", is_utf8=True).path, "bób@bar.test")

    def test_xtext(self) -> None:
        """Both directions, UTF-8 included."""
        for text in ("", "a+b=c", "bób", "a b"):
            self.assertEqual(smtp.decode_xtext(smtp.encode_xtext(text)), text)
        for bad in ("+", "+0", "+zz", "a=b", "+00", "+0A", "+FF"):
            self.assertRaises(Malformed, smtp.decode_xtext, bad)

    def test_xforward(self) -> None:
        """What the first hop was; what is not known is left out."""
        found = smtp.parse_xforward("NAME=mx.foo.test ident=4A+2BB addr=[UNAVAILABLE]")
        self.assertEqual(found, {"NAME": "mx.foo.test", "IDENT": "4A+B"})
        for bad in ("NAME", "=x", "NAME=a NAME=b", "NAME=+0A"):
            self.assertRaises(Malformed, smtp.parse_xforward, bad)

    def test_chunks(self) -> None:
        """BDAT announces bytes."""
        self.assertEqual(smtp.parse_chunk("86 last"), smtp.Chunk(86, True))
        self.assertEqual(smtp.parse_chunk("0"), smtp.Chunk(0, False))
        for bad in ("", "x", "-1", "1 LAST LAST", "1  LAST"):
            self.assertRaises(Malformed, smtp.parse_chunk, bad)


class Answers(SynchronousTestCase):
    """What a server says."""

    def test_round_trip(self) -> None:
        """Replies as they go over the wire, in any blocks."""
        for reply in (
            Reply(250),
            Reply(250, "2.1.0", ("ok",)),
            Reply(421, "4.3.2", ("a", "", "c")),
            Reply(354, "", ("é",)),
        ):
            for size in (1, 3, 1000):
                wire, replies, found = smtp.render_reply(reply), smtp.Replies(), []
                for at in range(0, len(wire), size):
                    found += replies.take(wire[at : at + size])
                self.assertEqual(found, [reply])

    def test_nothing_is_injected(self) -> None:
        """Controls in a text that came from somewhere else end no line."""
        self.assertEqual(smtp.render_reply(Reply(550, "5.1.1", ("a\r\n250 ok",))), b"550 5.1.1 a??250 ok\r\n")
        self.assertEqual(smtp.render_reply(Reply(250, "", ())), b"250 \r\n")

    def test_statuses(self) -> None:
        """An enhanced status is one only where all lines and the code agree."""
        replies = smtp.Replies()
        (reply,) = replies.take(b"250-2.1.0 a\r\n250 b\r\n")
        self.assertEqual(reply, Reply(250, "", ("2.1.0 a", "b")))
        self.assertEqual(replies.take(b"550 2.0.0 a\n"), [Reply(550, "", ("2.0.0 a",))])
        self.assertEqual(replies.take(b"250\r\n250 2.0.0\r\n"), [Reply(250), Reply(250, "2.0.0", ("",))])

    def test_bad_replies(self) -> None:
        """A server that talks nonsense, or for ever."""
        for bad in (b"hello\r\n", b"199 a\r\n", b"600 a\r\n", b"250-a\r\n251 b\r\n", b"250_a\r\n", b"\r\n"):
            self.assertRaises(Malformed, smtp.Replies().take, bad)
        self.assertRaises(TooLarge, smtp.Replies().take, b"250 " + b"x" * 9000)
        self.assertRaises(TooLarge, smtp.Replies().take, b"250 " + b"x" * 9000 + b"\n")
        self.assertRaises(TooLarge, smtp.Replies().take, b"250-a\r\n" * 200)
        self.assertRaises(Malformed, smtp.join_reply, [])

    def test_kinds(self) -> None:
        """Yes, later, no."""
        self.assertEqual([Reply(code).is_good for code in (250, 354, 450, 550)], [True, True, False, False])
        self.assertEqual([Reply(code).is_temporary for code in (250, 450, 550)], [False, True, False])

    def test_extensions(self) -> None:
        """Keywords and parameters after the server's name."""
        reply = Reply(250, "", ("mx.bar.test", "SIZE 1000", "pipelining", "", "AUTH PLAIN LOGIN"))
        self.assertEqual(smtp.extensions_of(reply), {"SIZE": "1000", "PIPELINING": "", "AUTH": "PLAIN LOGIN"})


class Orders(SynchronousTestCase):
    """What goes to the next server is what it can take."""

    SENDER = ReversePath("a@foo.test", 10, Body.EIGHT_BIT, True, Return.FULL, "id")
    RECIPIENT = ForwardPath("b@bar.test", frozenset({Notify.DELAY, Notify.FAILURE}), "rfc822;b@bar.test")

    def test_everything(self) -> None:
        """Rendered and parsed, it is the same."""
        line = smtp.render_mail(self.SENDER, EVERYTHING)
        self.assertEqual(smtp.parse_mail(smtp.parse_command(line[:-2]).argument), self.SENDER)
        line = smtp.render_rcpt(self.RECIPIENT, EVERYTHING)
        self.assertEqual(smtp.parse_rcpt(smtp.parse_command(line[:-2]).argument, is_utf8=False), self.RECIPIENT)
        binary = ReversePath("a@foo.test", body=Body.BINARY)
        self.assertIn(b"BODY=BINARYMIME", smtp.render_mail(binary, EVERYTHING))

    def test_mailboxes_keep_octets(self) -> None:
        """Only an address in UTF-8 needs a server of mailboxes that knows SMTPUTF8."""
        plain = Envelope("x", self.SENDER, (self.RECIPIENT,))
        self.assertEqual(smtp.for_mailboxes(plain, EVERYTHING), plain)
        self.assertEqual(smtp.for_mailboxes(plain, {}).sender, evolve(self.SENDER, is_utf8=False))
        for other in (evolve(plain, sender=ReversePath("\xe4@foo.test", is_utf8=True)),
                      evolve(plain, recipients=(ForwardPath("\xe4@bar.test"),))):  # fmt: skip
            self.assertEqual(smtp.for_mailboxes(other, {}), other)

    def test_nothing_offered(self) -> None:
        """Parameters stay away, and what cannot be said without them is refused."""
        plain = ReversePath("a@foo.test", 10, Body.EIGHT_BIT, False, Return.FULL, "id")
        self.assertEqual(smtp.render_mail(plain, {}), b"MAIL FROM:<a@foo.test>\r\n")
        self.assertEqual(smtp.render_rcpt(self.RECIPIENT, {}), b"RCPT TO:<b@bar.test>\r\n")
        self.assertEqual(smtp.render_mail(ReversePath(""), EVERYTHING), b"MAIL FROM:<>\r\n")
        self.assertEqual(smtp.render_rcpt(ForwardPath("b@bar.test"), EVERYTHING), b"RCPT TO:<b@bar.test>\r\n")
        self.assertRaises(Unsupported, smtp.render_mail, self.SENDER, {})
        self.assertRaises(Unsupported, smtp.render_mail, ReversePath("", body=Body.BINARY), {})
