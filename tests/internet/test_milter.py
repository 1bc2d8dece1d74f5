"""Placeholders at the door: the mail server asks by milter, over the memory internet, with real signatures."""

from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rrsd.config.settings import Settings
from rrsd.core.values.records import Verdict
from tests.support.dkims import Signer
from tests.support.mailservers import HERE, Sender, start_mail, with_mail
from tests.support.milters import Heard, conversation, negotiation
from tests.support.world import World

PORT = 8895
FILE = b"holiday" * 1000


def with_milter(settings: Settings) -> Settings:
    """Both filters and the milter."""
    settings = with_mail(settings)
    return evolve(settings, mail=evolve(settings.mail, milter=f"tcp:{PORT}:interface={HERE}"))


class Screened(SynchronousTestCase):
    """foo.test sends, the mail server of bar.test asks."""

    def setUp(self) -> None:
        """The milter listens."""
        self.world = World(Path(self.mktemp()))
        self.foo = self.world.domain("foo.test")
        self.bar = self.world.domain("bar.test", with_milter)
        start_mail(self.bar)
        self.signer = Signer()
        self.world.zones.publish(self.signer.name, "TXT", self.signer.record())
        self.sender, self.heard = Sender(), Heard()
        self.near: Any = self.world.internet.connect("127.0.0.9", HERE, PORT, self.sender)
        self.say(negotiation())

    def say(self, data: bytes) -> list[tuple[str, bytes]]:
        """What is answered to the bytes."""
        self.near.write(data)
        self.world.internet.pump()
        said = bytes(self.sender.said)
        self.sender.said.clear()
        return self.heard.take(said)

    def verdict(self, raw: bytes) -> str:
        """The last word about a message."""
        letter, data = self.say(conversation(raw))[-1]
        return letter if letter != "y" else data[:9].decode()

    def placeholder(self) -> bytes:
        """One that nobody has signed."""
        return self.foo.send(["bob@bar.test"], {"a.bin": FILE})

    def outcomes(self) -> list[tuple[str, str]]:
        """Every decision."""
        return [(line["outcome"], line.get("refusal", "")) for line in self.bar.trail.of("screen")]

    def test_signed(self) -> None:
        """It may come in; several on one connection."""
        for _ in range(2):
            self.assertEqual(self.verdict(self.signer.sign(self.placeholder())), "a")
        self.assertEqual(self.outcomes(), [("granted", "")] * 2)
        line = self.bar.trail.of("screen")[0]
        self.assertEqual((line["who"], line["subject"]), ("alice@foo.test", "alice@foo.test"))
        self.assertTrue(line["resource"].startswith("ni:///sha-256;"), line)

    def test_unsigned(self) -> None:
        """Refused while the client still waits: it is the client that tells its sender."""
        self.assertEqual(self.verdict(self.placeholder()), "550 5.7.1")
        self.assertEqual(self.verdict(Signer("evil.test").sign(self.placeholder())), "550 5.7.1")
        signed = self.signer.sign(self.placeholder())
        self.assertEqual(self.verdict(signed.replace(b"size=", b"size=1")), "550 5.7.1")
        self.assertEqual(self.outcomes(), [("refused", "unproven")] * 3)

    def test_malformed(self) -> None:
        """Signed or not."""
        raw = self.placeholder().replace(b"/.well-known/ni/sha-256/", b"/.well-known/ni/sha-256/x")
        self.assertEqual(self.verdict(self.signer.sign(raw)), "550 5.7.1")
        self.assertEqual(self.outcomes(), [("refused", "malformed")])

    def test_no_answer_from_dns(self) -> None:
        """For later, never a refusal."""
        self.world.zones.publish(self.signer.name, "TXT", verdict=Verdict.TEMPORARY)
        self.assertEqual(self.verdict(self.signer.sign(self.placeholder())), "451 4.7.1")
        self.assertEqual(self.outcomes(), [("failed", "unavailable")])

    def test_ordinary_mail(self) -> None:
        """Not looked at, or not judged; no line in the trail."""
        head = b"From: alice@foo.test\r\nContent-Type: %b\r\n\r\n"
        for raw in (head % b"text/plain" + b"x\r\n", head % b"multipart/mixed; boundary=b" + b"--b\r\n\r\nx\r\n--b--",
                    head % b"multipart/mixed; boundary=b" + b"x" * (2 << 20)):  # fmt: skip
            self.assertEqual(self.verdict(raw), "a")
        self.assertEqual(self.outcomes(), [])

    def test_no_verdict_in_time(self) -> None:
        """Postfix would give up after 300 seconds; we say that it may come again before that."""
        self.world.internet.silent.update(("127.0.0.1", "20.0.0.1"))
        judge: Any = next(iter(self._milter().open)).judge

        async def never(sender: str, raw: bytes) -> None:
            await Deferred()

        next(iter(self._milter().open)).judge = type("Stuck", (), {"judge": staticmethod(never)})()
        self.assertEqual(self.say(conversation(self.placeholder()))[-1][0], "c")
        self.world.advance(245, 5)
        [(letter, data)] = self.say(b"")
        self.assertEqual((letter, data[:3]), ("y", b"451"))
        self.assertIn("no verdict in time", self.bar.trail.of("fault")[0]["evidence"])
        next(iter(self._milter().open)).judge = judge
        self.assertEqual(self.verdict(self.placeholder()), "550 5.7.1")

    def test_defect(self) -> None:
        """Logged, and the message may come again."""

        async def broken(sender: str, raw: bytes) -> None:
            raise RuntimeError("defect")

        next(iter(self._milter().open)).judge = type("Broken", (), {"judge": staticmethod(broken)})()
        self.assertEqual(self.verdict(self.placeholder())[:3], "451")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        (line,) = self.bar.trail.of("fault")
        self.assertEqual((line["outcome"], line["resource"]), ("failed", "milter"))

    def test_hostile(self) -> None:
        """What is no milter conversation ends; an idle one ends after an hour; both alone."""
        self.say(b"GET / HTTP/1.1\r\n\r\n")
        self.assertTrue(self.sender.is_lost)
        idle = Sender()
        self.world.internet.connect("127.0.0.9", HERE, PORT, idle)
        self.world.advance(3700, 100)
        self.assertTrue(idle.is_lost)

    def test_leaves_before_the_verdict(self) -> None:
        """Nobody hears it then."""
        self.near.write(conversation(self.placeholder()))
        self.near.abortConnection()
        self.world.internet.pump()
        self.assertFalse(self._milter().open)

    def test_cut_at_every_byte(self) -> None:
        """Of negotiation and message: nothing is decided, and the next connection is served."""
        dialogue = negotiation() + conversation(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n")
        for length in range(len(dialogue)):
            near: Any = self.world.internet.connect("127.0.0.9", HERE, PORT, Sender())
            near.write(dialogue[:length])
            self.world.internet.pump()
            near.abortConnection()
            self.world.internet.pump()
        self.assertEqual(self.outcomes(), [])
        self.assertEqual(self.verdict(self.signer.sign(self.placeholder())), "a")

    def test_too_many(self) -> None:
        """Bounded like every listener; the daemon's end ends them."""
        most = self.bar.whole.means.settings.smtp.connections
        for _ in range(most - 1):
            self.assertIsNotNone(self.world.internet.connect("127.0.0.9", HERE, PORT, Sender()))
        self.assertIsNone(self.world.internet.connect("127.0.0.9", HERE, PORT, Sender()))
        self.world.result(self.bar.whole.mail.stop())
        self.world.internet.pump()
        self.assertFalse(self._milter().open)

    def _milter(self) -> Any:
        return self.world.internet.listeners[HERE, PORT]
