"""What is known of the recipients' domains when they cannot be asked: who waits, who does not, who cannot be undone."""

from collections.abc import Callable

from twisted.web.resource import Resource

from rrsd.core.values.records import Verdict
from rrsd.core.wire.mime import parse_placeholder
from rrsd.runtime.secure import SecureFactory
from rrsd.web.site import Site
from tests.support.outgoing import FILM, OutCase, message


class Asking(OutCase):
    """Whole and at once, later, or a placeholder all the same."""

    def is_placeholder(self) -> bool:
        """Whether the last one that left is one."""
        return self.kept()[1] != message(FILM) and len(parse_placeholder(self.kept()[1]).attachments) == 1

    def test_nobody(self) -> None:
        """No address, no listener, silence, somebody else's certificate, no issuer in DNS: whole, and at once."""
        internet, raw = self.world.internet, message(FILM)
        for name in ("refused.test", "silent.test", "elsewhere.test"):
            self.domain(name)
        self.go_down("refused.test")
        internet.silent.add(internet.hosts["silent.test"].address)
        internet.listen("elsewhere.test", 443, internet.listeners[internet.hosts["bar.test"].address, 443])
        for name in ("nowhere.test", "refused.test", "silent.test", "elsewhere.test"):
            self.assertEqual(self.later(raw, f"dave@{name}"), 250, name)
            self.assertEqual(self.kept(), ([f"dave@{name}"], raw))

    def test_nobody_is_remembered(self) -> None:
        """For minutes, so that not each message waits for silence; then whoever has come since is seen."""
        site = self.go_down("bar.test")
        self.assertEqual(self.later(message(FILM), "bob@bar.test", ident="1"), 250)
        self.world.internet.listen("bar.test", 443, site)
        self.assertEqual(self.send(message(FILM), "bob@bar.test", ident="2"), 250)
        self.assertFalse(self.is_placeholder())
        self.world.advance(600, 60)
        self.assertEqual(self.send(message(FILM), "bob@bar.test", ident="3"), 250)
        self.assertTrue(self.is_placeholder())

    def test_dns_cannot_tell(self) -> None:
        """That is waited for once, and not for each message."""
        self.world.zones.fake("nowhere.test", Verdict.TEMPORARY)
        self.assertEqual(self.later(message(FILM), "x@nowhere.test", ident="1"), 451)
        self.world.advance(1000, 100)
        self.assertEqual(self.later(message(FILM), "x@nowhere.test", ident="2"), 250)

    def test_named_in_dns(self) -> None:
        """A domain that names its issuer is waited for, whether or not somebody listens."""
        self.publish("bar.test")
        self.go_down("bar.test")
        self.assertEqual(self.later(message(FILM), "bob@bar.test"), 451)
        self.assertEqual(self.next.kept, [])

    def test_who_has_collected(self) -> None:
        """Whoever keeps us from asking changes nothing: bar.test gets placeholders for a week."""
        self.assertEqual(self.send(message(FILM), "bob@bar.test", ident="0"), 250)
        self.domain("evil.test")
        internet, zones = self.world.internet, self.world.zones
        place, evil = (internet.hosts[name].address for name in ("bar.test", "evil.test"))
        site = internet.listeners[place, 443]
        troubles: list[tuple[Callable[[], object], Callable[[], object]]] = [
            (lambda: self.go_down("bar.test"), lambda: internet.listen("bar.test", 443, site)),
            (lambda: internet.silent.add(place), internet.silent.clear),
            (lambda: zones.fake("_rrs.bar.test", Verdict.BOGUS), lambda: zones.fake("_rrs.bar.test", None)),
            (
                lambda: internet.listen("bar.test", 443, internet.listeners[evil, 443]),
                lambda: internet.listen("bar.test", 443, site),
            ),
        ]
        for number, (begin, end) in enumerate(troubles):
            self.world.advance(90_000, 3600)
            begin()
            self.assertEqual(self.later(message(FILM), "bob@bar.test", ident=f"{number + 1}"), 250)
            self.assertTrue(self.is_placeholder(), number)
            end()

    def test_not_for_ever(self) -> None:
        """A week without an answer, and it is a domain like others."""
        self.send(message(FILM), "bob@bar.test", ident="0")
        self.go_down("bar.test")
        self.world.advance(8 * 86_400, 3600)
        self.assertEqual(self.later(message(FILM), "bob@bar.test", ident="1"), 250)
        self.assertFalse(self.is_placeholder())

    def test_taken_back(self) -> None:
        """The domain itself may say that it collects no more, and what it says counts from then on."""
        self.send(message(FILM), "bob@bar.test", ident="0")
        whole = self.bar.whole.means
        self.world.advance(90_000, 3600)
        nothing = SecureFactory(whole.doors.server, Site(Resource(), whole.effects.reactor), whole.effects.reactor)
        self.world.internet.listen("bar.test", 443, nothing)
        self.assertEqual(self.later(message(FILM), "bob@bar.test", ident="1"), 250)
        self.assertFalse(self.is_placeholder())
        self.go_down("bar.test")
        self.world.advance(90_000, 3600)
        self.assertEqual(self.later(message(FILM), "bob@bar.test", ident="2"), 250)
        self.assertFalse(self.is_placeholder())
