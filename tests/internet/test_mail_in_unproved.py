"""Placeholders on their way in that are not proved, or cannot be now."""

from rrsd.core.values.holds import Stand
from rrsd.core.values.records import Verdict
from tests.support.dkims import SIGNED, Signer
from tests.support.incoming import FILE, WayInCase


class Doubt(WayInCase):
    """What is not proved is delivered as it is, and nobody is asked for anything."""

    def test_unsigned(self) -> None:
        """No signature at all."""
        raw = self.foo.send(["bob@bar.test"], {"a.bin": FILE})
        self.assertEqual(self.deliver(raw), [250])
        self.assert_as_it_was(raw, "no DKIM signature")

    def test_other_domain(self) -> None:
        """evil.test signs for alice@foo.test, with everything in order otherwise (E-02)."""
        evil = Signer("evil.test")
        self.world.zones.publish(evil.name, "TXT", evil.record())
        raw = self.signed(signer=evil)
        self.deliver(raw)
        self.assert_as_it_was(raw, "not the domain of the author")

    def test_forged_author(self) -> None:
        """From was changed after signing, or From was not signed (E-05)."""
        raw = self.signed().replace(b"From: alice@foo.test", b"From: carol@foo.test")
        self.deliver(raw)
        self.assert_as_it_was(raw, "does not fit")

    def test_part_of_the_body(self) -> None:
        """l= lets anybody append parts (E-03)."""
        raw = self.signed(length=True)
        self.deliver(raw)
        self.assert_as_it_was(raw, "l=")

    def test_unsigned_type(self) -> None:
        """Who may change Content-Type may change what is a part."""
        raw = self.signed(include_headers=[each for each in SIGNED if each != b"content-type"])
        self.deliver(raw)
        self.assert_as_it_was(raw, "content-type")

    def test_forged_results(self) -> None:
        """Results that came along prove nothing, whoever's name they bear."""
        plain = self.foo.send(["bob@bar.test"], {"a.bin": FILE})
        raw = b"Authentication-Results: bar.test; dkim=pass header.d=foo.test\r\n" + plain
        self.deliver(raw)
        self.assert_as_it_was(raw, "no DKIM signature")

    def test_results_in_our_name_are_taken_out(self) -> None:
        """Of a completed message, under our name in any form, and those of nobody; others stay."""
        false = (
            b'Authentication-Results: "BAR.test"; spf=pass\r\n',
            b"Authentication-Results:\r\n (x) bar.test 1; dkim=pass\r\n",
            b"Authentication-Results: (\r\n",
        )
        true = b"Authentication-Results: mx.bar.test; dkim=pass header.d=bar.test\r\n"
        raw = false[0] + true + false[1] + false[2] + self.signed()
        self.deliver(raw)
        self.world.advance(5)
        self.world.internet.segment = 50
        self.assertEqual(self.deliver(raw), [250])
        message = self.inbox.kept[0][1]
        self.assertEqual(message.count(b"Authentication-Results"), 2)
        self.assertIn(true + b"Received", message)

    def test_e28_bare_line_ends(self) -> None:
        """Where lines end is not for guessing: refused at the door, and nothing is handed on."""
        raw = self.signed()
        for spoilt in (raw.replace(b"hello", b"hel\nlo"), raw.replace(b"hello", b"hel\rlo")):
            self.assertEqual(self.deliver(spoilt), [554])
        self.assertEqual((self.inbox.kept, self.bar.jobs()), ([], []))

    def test_dns_is_down(self) -> None:
        """Later, until it has waited long enough; then as it is."""
        raw = self.signed()
        self.world.zones.fake(self.signer.name, Verdict.TEMPORARY)
        self.assertEqual(self.deliver(raw), [450])
        self.world.advance(60, 5)
        self.assertEqual(self.deliver(raw), [450])
        self.assertEqual(self.lines()[-1], ("held", "bob@bar.test", "unavailable"))
        self.world.advance(900, 30)
        self.assertEqual(self.deliver(raw), [250])
        self.assertEqual((self.inbox.kept[0][1], self.stand(raw)), (raw, Stand.PASSED))

    def test_dns_comes_back(self) -> None:
        """The retry goes on as if nothing had been."""
        self.comes_after(Verdict.TEMPORARY)

    def test_dns_is_right_again(self) -> None:
        """Nobody is called while it is bogus, and the message waits."""
        self.comes_after(Verdict.BOGUS)

    def comes_after(self, verdict: Verdict) -> None:
        """The message is held while the key is so, and comes when that is over."""
        raw = self.signed()
        self.world.zones.fake(self.signer.name, verdict)
        self.assertEqual((self.deliver(raw), self.bar.jobs()), ([450], []))
        self.world.zones.fake(self.signer.name, None)
        self.world.advance(120, 5)
        self.assertEqual(self.deliver(raw), [450])
        self.world.advance(5)
        self.assertEqual(self.deliver(raw), [250])
        self.assertIn(b"dkim=pass", self.inbox.kept[0][1])

    def test_hostile_service(self) -> None:
        """A genuine message of foo.test names a server that foo.test does not list: nobody calls it."""
        evil = self.world.domain("evil.test")
        raw = self.foo.placeholder(["bob@bar.test"], {"a.bin": FILE}, origin=str(evil.settings.rs.origin))
        asked = len(evil.trail.lines)
        self.assertEqual(self.deliver(self.signed(raw)), [450])
        self.world.advance(900, 5)
        self.assertEqual(self.deliver(self.signed(raw)), [250])
        self.assertEqual(len(evil.trail.lines), asked)
        self.assertEqual(self.inbox.kept[0][1], self.signed(raw))
