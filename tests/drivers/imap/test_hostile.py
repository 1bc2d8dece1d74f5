"""An IMAP server that misbehaves: it costs a bounded time and a bounded memory, and no message."""

from base64 import b64encode
from datetime import timedelta

from attrs import evolve

from rrsd.core.refusals import Forbidden, Unavailable
from rrsd.drivers.imap.client import MOST_BESIDE, MOST_WAITING
from rrsd.drivers.imap.responses import MOST_LITERALS, MOST_TEXT
from tests.drivers.imap.case import FLAGS, MOST, RAW, TRACE, ImapCase
from tests.support.imapserver import BOB, MASTER, PASSWORD

VERBS = (
    "AUTHENTICATE", "CAPABILITY", "LIST", "SELECT", "UID SEARCH", "UID FETCH", "APPEND", "NOOP", "UID STORE",
    "UID EXPUNGE",
)  # fmt: skip


class HostileCase(ImapCase):
    """The placeholder is there."""

    def setUp(self) -> None:
        """With short patience."""
        super().setUp()
        self.settings = evolve(self.settings, command=timedelta(seconds=60))
        self.begin()

    def begin(self) -> None:
        """A new mailbox."""
        self.serve().put(TRACE + RAW, FLAGS)

    def says(self, verb: str, said: bytes) -> None:
        """What the server says to the command, in place of everything."""
        self.imap.before = lambda each, _: said if each == verb else None

    def require_kept(self, verb: str) -> None:
        """The user has the message in one form or the other, and the next swap makes it one."""
        self.assertTrue(self.live(), verb)
        self.imap.before = lambda _, __: None
        self.assertEqual(self.swap(), 1, verb)
        self.assertEqual(len(self.imap.all()), 1, verb)


class Silent(HostileCase):
    """Whoever has to speak and does not."""

    def test_nobody_there(self) -> None:
        """Refused, and not answered at all."""
        del self.internet.listeners["127.0.0.1", 143]
        self.assertIn("cannot be reached", str(self.refusal()))
        self.internet.silent.add("127.0.0.1")
        self.assertIn("slow", str(self.refusal(wait=6, connect=timedelta(seconds=5))))

    def test_no_greeting(self) -> None:
        """Silence, goodbye, or something else than IMAP; who is let in unasked is not the user."""
        for greeting in (b"* BYE full\r\n", b"220 mx ESMTP\r\n", b"* PREAUTH hello\r\n", b"\r\n", b"* NO\r\n"):
            self.imap.greeting = greeting
            self.refusal()
        self.imap.greeting = b""
        self.assertIn("slow", str(self.refusal(wait=61)))

    def test_every_command(self) -> None:
        """The deadline is that of the command."""
        for verb in VERBS:
            self.begin()
            self.says(verb, b"")
            self.assertIn("slow", str(self.refusal(wait=61)), verb)
            self.require_kept(verb)

    def test_a_word_now_and_then(self) -> None:
        """It moves no deadline."""
        for verb in VERBS:
            self.begin()
            self.says(verb, b"* OK wait\r\n")
            result = self.start()
            for _ in range(7):
                self.internet.advance(10)
                for session in self.imap.sessions:
                    if not session.is_over:
                        session.say(b"* OK wait\r\n")
            self.assertIn("slow", str(self.failureResultOf(result, Unavailable).value), verb)

    def test_a_literal_that_does_not_end(self) -> None:
        """The same."""
        self.says("UID FETCH", b"* 1 FETCH (UID 1 BODY[] {1000}\r\nabc")
        self.assertIn("slow", str(self.refusal(wait=61)))

    def test_takes_no_message(self) -> None:
        """The socket stays full: given up, and nothing was added."""
        self.imap.before = self.stop_reading
        self.assertIn("slow", str(self.refusal(wait=200, block=timedelta(seconds=100))))
        self.require_kept("APPEND")

    def stop_reading(self, verb: str, _: bytes) -> bytes | None:
        """Nothing is read after the word that the message may come."""
        if verb != "APPEND":
            return None
        transport: object = self.imap.sessions[-1].transport
        transport.pauseProducing()  # type: ignore[attr-defined]
        return b"+ go on\r\n"


class Leaving(HostileCase):
    """Whoever goes."""

    def test_every_command(self) -> None:
        """BYE, and BYE in the end of the command, at each point."""
        for verb in VERBS:
            for said in (b"* BYE down\r\n", b"* bye\r\nTAG OK done\r\n", b"+ \r\n* BYE\r\n"):
                self.begin()
                self.says(verb, said)
                self.assertIn("goodbye", str(self.refusal()), verb)
                self.require_kept(verb)


class Talking(HostileCase):
    """Whoever says more than was asked."""

    def test_unasked(self) -> None:
        """What other clients of the mailbox do is told in between, before and after what was asked for; it is taken
        for nothing else."""
        for beside in (
            b"* 3 EXISTS\r\n* 1 RECENT\r\n* 2 EXPUNGE\r\n",
            b"* 1 FETCH (UID 1 FLAGS (\\Seen work $Label1))\r\n* 2 FETCH (FLAGS (\\Deleted))\r\n",
            b"* 9 FETCH (UID 99 FLAGS (\\Seen) BODY[] {3}\r\nabc RFC822.SIZE 3)\r\n* SEARCH\r\n* FLAGS (a b)\r\n",
            b"* OK [UIDNEXT 7] x\r\n* VANISHED 3\r\n* NO disk\r\n* x {2}\r\nab\r\n* LIST () NIL {1}\r\n\xff\r\n",
            b"* FETCH\r\n*\r\n\r\nr999 OK somebody else's\r\n* LIST broken\r\n* LIST () NIL {2}\r\n\r\n\r\n",
        ):
            self.begin()
            self.imap.beside = beside
            self.assertEqual(self.swap(), 1, beside)
            self.assertEqual(len(self.imap.all()), 1)

    def test_flags_before_the_body(self) -> None:
        """A change of flags that is told before the answer was once taken for the answer: the placeholder counted as
        gone, and was never swapped."""
        told = b"* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n"
        self.imap.before = self.tell(told)
        self.assertEqual(self.swap(), 1)
        self.assertEqual(len(self.imap.all()), 1)

    def tell(self, told: bytes):  # type: ignore[no-untyped-def]
        """Say that before every answer to FETCH."""

        def before(verb: str, _: bytes) -> None:
            if verb == "UID FETCH":
                self.imap.sessions[-1].say(told)

        return before

    def test_too_much(self) -> None:
        """Lines that do not end, responses without number, literals that are large, many or empty, folders by the
        million: the connection is broken before it costs memory."""
        name = b'* LIST () "/" "%s"\r\n' % (b"x" * 1000)
        for verb, said in (
            ("CAPABILITY", b"* CAPABILITY " + b"x" * (MOST_TEXT + 1)),
            ("CAPABILITY", b"* x\r\n" * (MOST_WAITING + 1)),
            ("LIST", name * (2 * (MOST + MOST_BESIDE) // len(name))),
            ("UID FETCH", b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % (2 * MOST)),
            ("UID FETCH", b"* 1 FETCH (UID 1 BODY[] {9999999999}\r\n"),
            ("UID FETCH", b"* 1 FETCH (" + b"x {0}\r\n" * (MOST_LITERALS + 2)),
            ("UID FETCH", (b"* 1 FETCH (UID 1 BODY[] {%d}\r\n" % (MOST // 2) + b"x" * (MOST // 2) + b")\r\n") * 20),
        ):  # fmt: skip
            self.begin()
            self.says(verb, said)
            self.assertIn("says too much", str(self.refusal()), said[:40])
            self.require_kept(verb)

    def test_too_much_in_time(self) -> None:
        """One response after the other, without an end, is bounded too."""
        self.says("NOOP", b"")
        result = self.start()
        for _ in range(MOST_WAITING + 1):
            self.imap.sessions[-1].say(b"* x\r\n")
            self.internet.pump()
        self.assertIn("says too much", str(self.failureResultOf(result, Unavailable).value))


class Lying(HostileCase):
    """Whoever says what is not so."""

    def test_answers_that_are_none(self) -> None:
        """Nothing that is not said in full is believed, and nothing goes for it."""
        for verb, said in (
            ("UID FETCH", b"TAG OK nothing\r\n"),
            ("UID FETCH", b"* 1 FETCH (UID 1 FLAGS (\\Seen) RFC822.SIZE x INTERNALDATE NIL)\r\nTAG OK\r\n"),
            ("UID FETCH", b'* 1 FETCH (UID 1 FLAGS () RFC822.SIZE 200 INTERNALDATE "x" BODY[] NIL)\r\nTAG OK\r\n'),
            ("UID FETCH", b"* 1 FETCH (UID 99999999999 FLAGS ())\r\n* 1 FETCH (UID 2 FLAGS ())\r\nTAG OK\r\n"),
            ("UID SEARCH", b"* SEARCH x 1.5 -1 99999999999\r\nTAG OK\r\n"),
            ("UID SEARCH", b"* SEARCH 7 7 8\r\nTAG OK\r\n"),
        ):
            self.begin()
            self.says(verb, said)
            self.assertEqual((self.swap(), self.uploads), (0, 0), said)
            self.require_kept(verb)

    def test_message_that_is_not_where_it_was_put(self) -> None:
        """A yes to APPEND without a message: the placeholder stays."""
        self.says("APPEND", b"TAG OK [APPENDUID 1 7] there\r\n")
        self.refusal(Forbidden)
        self.require_kept("APPEND")
        self.begin()
        self.imap.after = lambda verb, _: self.imap.folders["INBOX"].messages.pop() if verb == "APPEND" else None  # type: ignore[assignment]
        self.assertIn("not where it was put", str(self.refusal()))
        self.imap.after = lambda _, __: None
        self.require_kept("APPEND")

    def test_yes_without_effect(self) -> None:
        """What was removed and is still there is seen in the next look."""
        for verb in ("UID STORE", "UID EXPUNGE"):
            self.begin()
            self.says(verb, b"TAG OK done\r\n")
            result = self.start()
            self.assertIsNotNone(getattr(result, "result", None))
            result.addErrback(lambda failure: failure.trap(Unavailable) and None)
            self.require_kept(verb)


class Secrets(HostileCase):
    """The master user's password."""

    def test_repeated(self) -> None:
        """A server that repeats what it was told puts nothing into the refusal, which the trail has."""
        secret = b64encode(f"{BOB}\0{MASTER}\0wrong".encode()).decode()
        self.password = "wrong"
        refusal = str(self.refusal(Forbidden))
        self.assertIn("[AUTHENTICATIONFAILED]", refusal)
        for word in ("wrong", secret):
            self.assertNotIn(word, refusal)
        self.password = PASSWORD
        self.says("AUTHENTICATE", b"TAG BAD unknown\r\n")
        self.assertEqual(self.refusal(Forbidden).detail, "the IMAP server does not let the master user in")

    def test_no_password(self) -> None:
        """Nobody is called."""

        def missing() -> str:
            raise Unavailable("no file")

        boxes = self.boxes()
        boxes.password = missing
        self.patch(self, "boxes", lambda: boxes)
        self.assertEqual(self.refusal().detail, "no file")
        self.assertEqual(self.imap.sessions, [])
