"""What was delivered as a placeholder goes to the mailboxes when it has arrived; over the memory internet."""

import email
import email.policy
from pathlib import Path

from attrs import evolve
from twisted.protocols.tls import TLSMemoryBIOFactory
from typing_extensions import override

from rrsd.config.settings import Settings
from rrsd.core.refusals import Malformed
from rrsd.core.values.holds import Stand
from rrsd.drivers.imap.settings import Settings as Imap
from rrsd.drivers.tls.reload import read_credential
from rrsd.drivers.tls.server import ServerTls
from tests.support.imapserver import BOB, DATE, PASSWORD, Sessions, serve_imap
from tests.support.incoming import FILE, MOST, WayInCase
from tests.support.mailservers import HERE, start_mail

TRACE = b"Return-Path: <alice@foo.test>\r\nDelivered-To: bob@bar.test\r\nReceived: from x\r\n\tby y; now\r\n"
FLAGS = {r"\Seen", "work"}


class SwapCase(WayInCase):
    """bar.test with the IMAP server of its mailboxes."""

    endpoint = f"tcp:{HERE}:143"

    @override
    def change(self, settings: Settings) -> Settings:
        """With its password in a file."""
        self.password = Path(self.mktemp())
        return evolve(super().change(settings), imap=Imap(endpoint=self.endpoint, password=str(self.password)))


class Away(SwapCase):
    """Which is down."""

    def test_tried_and_written_down(self) -> None:
        """No password, then no server: the row stays, and the trail says why each time and never the password."""
        raw = self.signed()
        listeners = dict(self.world.internet.listeners)
        self.take_away()
        self.assertEqual(self.deliver(raw), [450])
        self.world.advance(MOST.total_seconds())
        self.assertEqual(self.deliver(raw), [250])
        self.assertEqual((self.stand(raw), self.bar.trail.of("swap")), (Stand.PLACEHOLDER, []))
        self.world.internet.listeners.update(listeners)
        self.world.advance(3600)
        self.password.touch(0o600)
        self.password.write_text("of-the-master\n")
        self.world.advance(3600)
        said = [line["evidence"] for line in self.bar.trail.of("swap")]
        self.assertIn("there is no file", said[0])
        self.assertIn("cannot be reached", said[-1])
        self.assertNotIn("of-the-master", " ".join(said))
        self.assertEqual(self.stand(raw), Stand.PLACEHOLDER)


class MailboxCase(SwapCase):
    """The IMAP server is up, and foo.test comes back when everything has been delivered as placeholders."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.password.touch(0o600)
        self.password.write_text(f"{PASSWORD}\n")
        self.imap = serve_imap(self.world.internet)

    def placeholders(self, count: int) -> list[bytes]:
        """So many are in bob's mailbox, and what they stand for can be pulled now."""
        raws = [self.signed(self.foo.send([BOB], {"a.bin": FILE}, f"{n}@foo.test")) for n in range(count)]
        listeners = dict(self.world.internet.listeners)
        self.take_away()
        for raw in raws:
            self.assertEqual(self.deliver(raw), [450])
        self.world.advance(MOST.total_seconds(), 5)
        for raw in raws:
            self.assertEqual((self.deliver(raw), self.stand(raw)), ([250], Stand.PLACEHOLDER))
        self.assertEqual([each[1] for each in self.inbox.kept], raws)
        for _, message in self.inbox.kept:
            self.imap.put(TRACE + message, set(FLAGS))
        self.world.internet.listeners = {**listeners, **self.world.internet.listeners}
        return raws

    def until_swapped(self) -> None:
        """Let time pass, an hour at most."""
        for _ in range(720):
            self.world.advance(5, 1)
            if not self.world.result(self.bar.store.holds.standing(Stand.PLACEHOLDER, 1)):
                return

    def require_swapped(self, raws: list[bytes]) -> None:
        """Each is there once: what was kept to the byte, with the attachment in it, and what the placeholder had."""
        found = {}
        for each in self.imap.all():
            self.assertEqual((each.flags, each.date), (FLAGS, DATE))
            mark, rest = each.raw[: each.raw.index(TRACE)], each.raw[each.raw.index(TRACE) + len(TRACE) :]
            self.assertTrue(mark.startswith(b"Rrs-Completed: "))
            self.assertTrue(rest.startswith(b"Authentication-Results: bar.test;\r\n dkim=pass header.d=foo.test"))
            read = email.message_from_bytes(rest, policy=email.policy.default)
            (part,) = [part for part in read.walk() if part.get_filename() == "a.bin"]
            self.assertEqual(part.get_payload(decode=True), FILE)
            found[read["Message-ID"]] = rest
        self.assertEqual((len(found), len(self.imap.all())), (len(raws), len(raws)))
        for raw in raws:
            name = email.message_from_bytes(raw)["Message-ID"]
            head = raw[: raw.index(b"\r\n\r\n")]
            self.assertIn(head, found[name])
            self.assertEqual(self.stand(raw), Stand.SWAPPED)
        self.assertEqual([line for line in self.bar.trail.of("deliver") if line["outcome"] == "failed"], [])


class Completed(MailboxCase):
    """From the placeholder that was delivered to the complete message."""

    def test_after_the_sender_was_away(self) -> None:
        """One message, and one line in the trail when it is done."""
        raws = self.placeholders(2)
        self.until_swapped()
        self.require_swapped(raws)
        said = [(line["outcome"], line["subject"], line["evidence"]) for line in self.bar.trail.of("swap")]
        self.assertEqual(said, [("granted", BOB, "swapped 1")] * 2)
        self.world.advance(3600, 60)
        self.assertEqual(len(self.bar.trail.of("swap")), 2)

    def test_killed_at_each_step(self) -> None:
        """The daemon ends after each command of a swap, and everything begins anew: nothing is lost or doubled, and
        each row ends as what it is, also where only the row was missing."""
        raws = self.placeholders(28)
        self.imap.after = self.kill_later
        self.steps, self.begun_at, self.is_killed = 1, 0, False
        for _ in range(200):
            self.world.advance(5, 1)
            if self.is_killed:
                self.restart()
        self.require_swapped(raws)
        self.assertGreater(self.steps, 24)

    def kill_later(self, verb: str, _: bytes) -> None:
        """After one step more each time; the answer to it never comes."""
        if verb == "AUTHENTICATE":
            self.begun_at = len(self.imap.heard)
        done = len(self.imap.heard) - self.begun_at
        if done == self.steps:
            self.steps, self.is_killed = self.steps + 1, True
            self.imap.cut = 0

    def restart(self) -> None:
        """What was durable is there."""
        self.world.result(self.bar.whole.mail.work.stop())
        trail = self.bar.trail
        self.bar = self.world.restart("bar.test")
        self.bar.trail.lines[:0] = trail.lines
        start_mail(self.bar)
        self.imap.cut, self.is_killed = None, False

    def test_stays_while_the_mailbox_is_full(self) -> None:
        """Tried ever more seldom, the reason in the trail, and done when there is room."""
        raws = self.placeholders(1)
        self.imap.room = 5000
        self.world.advance(600, 5)
        self.assertEqual((self.stand(raws[0]), len(self.imap.all())), (Stand.PLACEHOLDER, 1))
        said = {line["evidence"] for line in self.bar.trail.of("swap")}
        self.assertEqual(said, {"the IMAP server: NO [OVERQUOTA] full"})
        self.imap.room = None
        self.until_swapped()
        self.require_swapped(raws)

    def test_deleted_by_the_user(self) -> None:
        """It does not come back, and is looked for no more."""
        raws = self.placeholders(1)
        self.imap.folders["INBOX"].messages.clear()
        self.until_swapped()
        self.assertEqual((self.stand(raws[0]), self.imap.all()), (Stand.PASSED, []))
        self.assertEqual(self.bar.trail.of("swap")[-1]["evidence"], "not in the mailbox any more")


class OverTls(MailboxCase):
    """The server of the mailboxes on another host, with a certificate."""

    endpoint = f"tcp:{HERE}:993"
    name = "bar.test"

    @override
    def change(self, settings: Settings) -> Settings:
        changed = super().change(settings)
        return evolve(changed, imap=evolve(changed.imap, tls=self.name))

    @override
    def setUp(self) -> None:
        super().setUp()
        credential = read_credential(str(self.bar.plan.certificate), str(self.bar.plan.key))
        # Ours is for HTTP, where the client speaks first.
        server = TLSMemoryBIOFactory(ServerTls(credential), False, Sessions(self.imap), self.world.clock)
        self.world.internet.listeners[HERE, 993] = server

    def test_swapped(self) -> None:
        """The password goes to who proves the name."""
        raws = self.placeholders(1)
        self.until_swapped()
        self.require_swapped(raws)


class OverTlsToSomebodyElse(OverTls):
    """Another name than that of the certificate."""

    name = "imap.bar.test"

    @override
    def test_swapped(self) -> None:
        """Nobody is told a password."""
        raws = self.placeholders(1)
        self.world.advance(600, 5)
        self.assertEqual((self.stand(raws[0]), self.imap.heard), (Stand.PLACEHOLDER, []))
        self.assertIn("the IMAP server closed the connection", self.bar.trail.of("swap")[-1]["evidence"])


class Endpoint(WayInCase):
    """Settings."""

    def test_mistake(self) -> None:
        """An endpoint that is none is said at the start."""
        imap = Imap(endpoint="nowhere:1")
        with self.assertRaises(Malformed):
            self.world.domain("baz.test", lambda settings: evolve(self.change(settings), imap=imap))
