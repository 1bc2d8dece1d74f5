"""The trail of mail on its way out: whatever the mail server hears, a line says who, for whom, what and why."""

from typing import Any

from rrsd.core.refusals import NoSpace, Unavailable
from rrsd.core.values.envelopes import Reply
from rrsd.core.values.settings import Size
from rrsd.drivers.store.sql.grants import Grants
from rrsd.drivers.store.sql.passages import Passages
from rrsd.roles.mail.settings import TooLarge
from tests.support.mailservers import HERE, Way
from tests.support.outgoing import FILM, HEADER, NEXT, OUT, OutCase, envelope_of, message, stuffed

OTHERS = HEADER.replace(b"alice@foo.test", b"eve@evil.test")


class Trail(OutCase):
    """Each decision, before its effect."""

    def said(self) -> list[tuple[str, str, str]]:
        """Outcome, recipients and refusal of each line since the last look."""
        lines = self.foo.trail.of("send")
        self.foo.trail.lines.clear()
        self.last: dict[str, Any] = lines[-1] if lines else {}
        return [(line["outcome"], line["subject"], line.get("refusal", "")) for line in lines]

    def test_message_that_passes(self) -> None:
        """Somebody else's message had no recipients in its line, and no line when the next server did not take it."""
        raw = message(FILM, header=OTHERS)
        begin = envelope_of("bob@bar.test", "dave@plain.test", sender="eve@evil.test")
        begin = begin.replace(b"XFORWARD ", b"XFORWARD ADDR=192.0.2.9 ")
        self.assertEqual(Way.to(self.world, OUT).say(begin + stuffed(raw))[-1], 250)
        self.assertEqual(self.said(), [("granted", "bob@bar.test, dave@plain.test", "")])
        self.assertEqual((self.last["who"], self.last["peer"]), ("eve@evil.test", "192.0.2.9"))
        for ident, code, outcome, refusal in (
            ("5A", 552, "refused", "forbidden"),
            ("5B", 452, "failed", "unavailable"),
        ):
            self.next.says = lambda _, code=code: [Reply(code, "5.3.4", ("too big",))]  # type: ignore[misc]
            self.assertEqual(self.send(raw, "bob@bar.test", ident=ident), code)
            self.assertEqual(self.said(), [("granted", "bob@bar.test", ""), (outcome, "bob@bar.test", refusal)])
            self.assertIn(f"the next mail server: {code}", self.last["evidence"])

    def test_full_disk(self) -> None:
        """The mail server heard 452, and nobody else heard of it."""
        self.foo.store._space._keep_free = 1 << 62
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 452)
        self.assertEqual(self.said(), [("failed", "bob@bar.test", "no_space")])
        self.assertEqual((self.last["who"], self.last["resource"]), ("alice@foo.test", "1@foo.test"))

    def test_discovery_is_down(self) -> None:
        """Who has to wait for their domain is named, and who does not."""
        self.elsewhere("plain.test")
        self.publish("bar.test")
        self.go_down("bar.test")
        self.assertEqual(self.later(message(FILM), "bob@bar.test", "dave@plain.test"), 451)
        self.assertEqual(self.said(), [("held", "bob@bar.test", "unavailable"), ("granted", "dave@plain.test", "")])

    def test_handed_on_before(self) -> None:
        """A retry of what has gone out is answered without sending, and its line says why."""
        for raw in (message(FILM), message(FILM, header=OTHERS)):
            self.assertEqual(self.send(raw, "bob@bar.test"), 250)
            self.said()
            self.assertEqual(self.send(raw, "bob@bar.test"), 250)
            self.assertEqual(self.said(), [("granted", "bob@bar.test", "")])
            self.assertEqual(self.last["evidence"], "handed on before")
        self.assertEqual(len(self.next.kept), 2)

    def test_on_its_way_already(self) -> None:
        """The second of two at the same time."""
        self.world.internet.silent.add(HERE)
        ways = [Way.to(self.world, OUT) for _ in range(2)]
        for way in ways:
            way.say(envelope_of("bob@bar.test") + stuffed(message(FILM)))
        said = self.said()
        self.assertEqual(said, [("granted", "bob@bar.test", ""), ("failed", "bob@bar.test", "unavailable")])
        self.assertIn("on its way already", self.last["evidence"])

    def test_trouble_of_our_own(self) -> None:
        """A ledger that cannot be read, a next server that is away, a client that leaves in the middle."""

        async def refuse(*_: object) -> None:
            raise Unavailable("ledger")

        with self.subTest("ledger"):
            undo = self.patch(Passages, "find", refuse)
            self.assertEqual(self.send(message(FILM), "bob@bar.test"), 451)
            self.assertEqual(self.said(), [("failed", "bob@bar.test", "unavailable")])
            undo.restore()
        with self.subTest("next server"):
            del self.world.internet.listeners[HERE, NEXT]
            self.assertEqual(self.send(message(FILM), "bob@bar.test"), 451)
            self.assertEqual(self.said()[-1], ("failed", "bob@bar.test", "unavailable"))
        with self.subTest("client"):
            way = Way.to(self.world, OUT)
            way.say(envelope_of("bob@bar.test") + stuffed(message(FILM))[:9000])
            way.cut()
            self.assertEqual(self.said(), [("failed", "bob@bar.test", "unavailable")])

    def test_grants_were_made_before_the_line(self) -> None:
        """The line first: without it nothing is granted, and trouble with the grants is another line."""
        self.foo.trail.broken = OSError(28, "full")
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 451)
        self.foo.trail.broken = None
        self.assertEqual(self.grants(), [])

        async def refuse(*_: object) -> None:
            raise NoSpace("grants")

        self.patch(Grants, "add", refuse)
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 452)
        self.assertEqual(self.said(), [("granted", "bob@bar.test", ""), ("failed", "bob@bar.test", "no_space")])

    def test_unforeseen_error_left_no_line(self) -> None:
        """The mail server comes again, and the trail has the reference of the log."""

        async def fail(*_: object) -> None:
            raise ValueError("hush-hush")

        self.patch(Passages, "find", fail)
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 451)
        self.foo.trail.broken = OSError(28, "full")
        self.assertEqual(self.send(message(FILM), "bob@bar.test"), 451)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
        (line,) = self.foo.trail.of("fault")
        self.assertEqual((line["outcome"], line["resource"]), ("failed", "smtp"))
        self.assertRegex(line["evidence"], r"^reference [0-9a-f]{12}$")

    def test_refusal_that_cannot_be_written_down(self) -> None:
        """It is for later: nobody gets a report of which there is no trace."""
        self.elsewhere("plain.test")
        self.told(most_mail=Size(5000), too_large=TooLarge.REFUSE)
        self.foo.trail.broken = OSError(28, "full")
        self.assertEqual(self.send(message(FILM), "dave@plain.test", size=15_000), 451)
        self.foo.trail.broken = None
        self.assertEqual(self.send(message(FILM), "dave@plain.test", size=15_000), 552)
        self.assertEqual(self.said(), [("refused", "dave@plain.test", "too_large")])
