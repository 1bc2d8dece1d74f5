"""The trail of mail on its way in: the line comes before the message goes on, and whatever is not done has one too."""

from typing import Any

from rrsd.core.refusals import Unavailable
from rrsd.core.values.envelopes import Envelope, Reply
from rrsd.drivers.store.sql.holds import Holds
from tests.support.incoming import FILE, WayInCase
from tests.support.mailservers import HERE

PLAIN = b"From: a@foo.test\r\n\r\nhello\r\n"


class Trail(WayInCase):
    """Each decision, before its effect."""

    def arrived(self) -> bytes:
        """A placeholder of which everything is here."""
        raw = self.signed()
        self.assertEqual(self.deliver(raw), [450])
        self.world.advance(5)
        self.bar.trail.lines.clear()
        return raw

    def test_delivered_before_the_line(self) -> None:
        """Without it nothing goes on, and the retry delivers."""
        raw = self.arrived()
        self.bar.trail.broken = OSError(28, "full")
        self.assertEqual((self.deliver(raw), self.inbox.kept), ([451], []))
        self.bar.trail.broken = None
        self.assertEqual((self.deliver(raw), len(self.inbox.kept)), ([250], 1))
        self.assertEqual(self.lines(), [("granted", "bob@bar.test", "")])

    def test_room_for_one_line(self) -> None:
        """Who has a line gets the message, who has none does not."""
        raw = self.foo.send(["bob@bar.test"], {"a.bin": FILE})
        placeholders: Any = self.bar.whole.mail.factories[-1].buildProtocol(None)
        flow = placeholders.receiver.placeholders
        flow.audit = Filling(flow.audit)
        self.assertEqual(self.deliver(raw, "bob@bar.test", "carol@bar.test"), [451, 451])
        self.assertEqual([each.path for each in self.inbox.kept[0][0].recipients], ["bob@bar.test"])
        flow.audit = flow.audit.audit
        self.assertEqual(self.deliver(raw, "bob@bar.test", "carol@bar.test"), [250, 250])
        self.assertEqual([each.path for each in self.inbox.kept[1][0].recipients], ["carol@bar.test"])

    def test_not_taken(self) -> None:
        """What the next server says of it is the second line, with a reason."""
        raw = self.arrived()
        for code, refusal in ((452, "unavailable"), (552, "forbidden")):
            self.inbox.says = lambda _, code=code: [Reply(code, "", ("full",))]  # type: ignore[misc]
            self.assertEqual(self.deliver(raw), [code])
            self.assertEqual(self.lines(), [("granted", "bob@bar.test", ""), ("failed", "bob@bar.test", refusal)])
            self.assertEqual(self.bar.trail.lines[-1]["evidence"], f"the next mail server: {code} full")
            self.bar.trail.lines.clear()
        del self.world.internet.listeners[HERE, 2426]
        self.assertEqual(self.deliver(raw), [451])
        self.assertEqual(self.lines(), [("granted", "bob@bar.test", ""), ("held", "bob@bar.test", "unavailable")])

    def test_message_that_passes(self) -> None:
        """Other mail leaves a line only when we have to turn it away."""
        self.assertEqual(self.deliver(PLAIN), [250])
        self.assertEqual(self.lines(), [])
        self.world.advance(10)
        del self.world.internet.listeners[HERE, 2426]
        self.assertEqual(self.deliver(PLAIN, "bob@bar.test", "carol@bar.test"), [451, 451])
        self.assertEqual(
            self.lines(), [("failed", "bob@bar.test", "unavailable"), ("failed", "carol@bar.test", "unavailable")]
        )
        self.assertEqual({line["who"] for line in self.bar.trail.of("deliver")}, {"alice@foo.test"})
        self.bar.trail.broken = OSError(28, "full")
        self.assertEqual(self.deliver(PLAIN), [451])

    def test_unforeseen_error_left_no_line(self) -> None:
        """The mail server comes again, and the trail has the reference of the log."""

        async def fail(*_: object) -> None:
            raise ValueError("hush-hush")

        self.patch(Holds, "find", fail)
        self.assertEqual(self.deliver(self.signed()), [451])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        (line,) = self.bar.trail.of("fault")
        self.assertEqual((line["outcome"], line["resource"]), ("failed", "lmtp"))

    def test_two_at_once(self) -> None:
        """Who is told to come again because the same message is on its way stands in the trail."""
        codes: list[list[int]] = []

        def meanwhile(_: Envelope) -> list[Reply]:
            if not codes:
                codes.append([])
                codes[0] = self.deliver(PLAIN)
            return [Reply(250)]

        self.inbox.says = meanwhile
        self.assertEqual(self.deliver(PLAIN), [250])
        self.assertEqual(codes, [[450]])
        self.assertEqual(self.lines(), [("held", "bob@bar.test", "")])


class Filling:
    """A trail with room for one line about a delivery."""

    def __init__(self, audit: Any) -> None:
        self.audit, self.is_full = audit, False

    def record(self, event: Any) -> None:
        """The first."""
        if self.is_full:
            raise Unavailable("audit trail")
        self.is_full = True
        self.audit.record(event)
