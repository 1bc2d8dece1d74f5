"""Completed messages are sealed (RFC 8617), and dkimpy alone says that the seals hold."""

import os
from pathlib import Path

from attrs import evolve
from typing_extensions import override

from rrsd.config.settings import Settings
from rrsd.core.refusals import Malformed
from rrsd.core.values.records import Verdict
from tests.core import signing
from tests.internet.test_mail_swap import MailboxCase
from tests.support.chains import Sealer, verdict
from tests.support.incoming import WayInCase, changed

OURS = "s7._domainkey.bar.test"


class Sealed(WayInCase):
    """bar.test has `[mail] arc`; list.test forwards what alice@foo.test writes."""

    @override
    def setUp(self) -> None:
        self.own = Sealer("bar.test", "s7")
        self.forwarder = Sealer(key=signing.rsa_key(3072))
        super().setUp()
        self.zone = {OURS: self.own.record(), self.forwarder.name: self.forwarder.record()}
        self.world.zones.publish(self.forwarder.name, "TXT", self.forwarder.record())

    @override
    def change(self, settings: Settings) -> Settings:
        path = Path(self.mktemp())
        path.touch(0o600)
        path.write_bytes(self.own.pem)
        return changed(**self.mail, arc="s7", arc_key=str(path))(settings)

    def completed(self, raw: bytes) -> bytes:
        """The message in the mailbox."""
        self.assertEqual(self.deliver(raw), [450])
        self.world.advance(5)
        self.assertEqual(self.deliver(raw), [250])
        (kept,) = self.inbox.kept
        self.assertEqual(kept[0].sender.size, len(kept[1]))
        return kept[1]

    def test_first(self) -> None:
        """One set: what DKIM said of the placeholder, over the complete message."""
        raw = self.signed()
        message = self.completed(raw)
        self.assertEqual(verdict(message, self.zone), ("pass", 1))
        self.assertIn(
            b"ARC-Authentication-Results: i=1; bar.test;\r\n dkim=pass header.d=foo.test header.s=s1", message
        )
        self.assertEqual(verdict(message.replace(b"Subject:", b"Subject: not"), self.zone)[0], "fail")

    def test_large(self) -> None:
        """More than is hashed at once."""
        raw = self.signed(self.foo.send(["bob@bar.test"], {"a.bin": os.urandom(3 << 20)}))
        message = self.completed(raw)
        self.assertGreater(len(message), 4 << 20)
        self.assertEqual(verdict(message, self.zone), ("pass", 1))

    def test_forwarded(self) -> None:
        """A set of somebody else's below: ours is the second, and both hold."""
        raw = self.forwarder.seal(self.signed())
        message = self.completed(raw)
        self.assertEqual(verdict(message, self.zone), ("pass", 2))
        self.assertIn(b";\r\n arc=pass", message)

    def test_chain_that_is_none(self) -> None:
        """Nothing is added to half a set; the message is complete all the same."""
        raw = b"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=list.test; s=arc; b=YQ==\r\n" + self.signed()
        message = self.completed(raw)
        self.assertEqual(message.count(b"ARC-"), 1)
        self.assertIn(b"base64", message)

    def test_key_that_cannot_be_had(self) -> None:
        """Of whoever sealed before: the mail server keeps the message until it can be."""
        raw = self.forwarder.seal(self.signed())
        self.world.zones.publish(self.forwarder.name, "TXT", self.forwarder.record(), verdict=Verdict.TEMPORARY)
        for _ in range(2):
            self.assertEqual(self.deliver(raw)[0] // 100, 4)
            self.world.advance(60)
        self.assertEqual((self.inbox.kept, self.bar.trail.of("deliver")[-1]["outcome"]), ([], "held"))
        self.world.zones.publish(self.forwarder.name, "TXT", self.forwarder.record())
        self.assertEqual(self.deliver(raw), [250])
        self.assertEqual(verdict(self.inbox.kept[0][1], self.zone), ("pass", 2))


class SealedInTheMailbox(MailboxCase):
    """What is put in place of a placeholder that was delivered."""

    @override
    def change(self, settings: Settings) -> Settings:
        path = Path(self.mktemp())
        path.touch(0o600)
        path.write_bytes(Sealer().pem)
        settings = super().change(settings)
        return evolve(settings, mail=evolve(settings.mail, arc="s7", arc_key=str(path)))

    def test_swapped(self) -> None:
        """Is sealed as what is delivered complete, below what the mailbox's server put on top."""
        self.placeholders(1)
        self.until_swapped()
        (kept,) = self.imap.all()
        self.assertEqual(verdict(kept.raw, {OURS: Sealer().record()}), ("pass", 1))


class Mistakes(WayInCase):
    """Keys that are none are said at the start."""

    def test_key(self) -> None:
        """No file, one that others may read, no key at all, no name of one."""
        open_to_all, empty = Path(self.mktemp()), Path(self.mktemp())
        open_to_all.write_bytes(Sealer().pem)
        open_to_all.chmod(0o644)
        empty.touch(0o600)
        for number, path in enumerate((self.mktemp(), str(open_to_all), str(empty), None)):
            with self.assertRaises(Malformed) as caught:
                self.world.domain(f"baz{number}.test", changed(arc="s7", arc_key=path))
            self.assertIn("[mail] arc_key", caught.exception.detail)
