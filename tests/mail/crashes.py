"""kill -9 in the moment between the next server's yes and ours, and at any other: every message arrives once, whole."""

import os
import shutil
import signal
import threading

from tests.mail.attachments import MIB, TEXT, AttachmentCase
from tests.mail.case import BAR, BOB, CAROL, LATE
from tests.mail.letters import Attachment, after, digest_of, with_attachments
from tests.processes.houses import set_key
from tests.support.mailhosts import MailHost
from tests.support.mailprograms import Mailbox
from tests.support.withholding import Part, Withholder

MANY = 4
NEWS, DAVE = "bob+news@bar.test", "dave@bar.test"


class CrashCase(AttachmentCase):
    """Daemons that die."""

    def between(self, host: MailHost, key: str, port: str) -> Withholder:
        """What stands between the host's rrsd and the next server from now on."""
        way = Withholder(host.ports[port])
        self.addCleanup(way.close)
        self.addCleanup(self._tell, host, key, host.ports[port])
        self._tell(host, key, way.port)
        return way

    def _tell(self, host: MailHost, key: str, port: int) -> None:
        assert host.daemon is not None
        set_key(host.daemon, "mail", key, f"tcp:127.0.0.1:{port}")
        host.daemon.stop()
        self.revive(host)

    def kill(self, host: MailHost) -> None:
        """kill -9."""
        assert host.daemon is not None
        host.daemon.kill()

    def revive(self, host: MailHost) -> None:
        """It is there again."""
        assert host.daemon is not None
        host.daemon.start()
        host.daemon.wait_ready()

    def held(self, way: Withholder, count: int) -> None:
        """Return when so many messages wait in the moment that is meant."""
        self.until(f"{count} messages are at their end", lambda: way.held >= count)

    def attachment(self, number: int) -> Attachment:
        """The file of one of them."""
        return Attachment(f"film{number}.mp4", 2 * MIB, 100 + number)

    def film(self, number: int, *recipients: str) -> bytes:
        """Send a message with an attachment; its header fields."""
        head, files = self.letter(self.attachment(number))
        self.post(head, files, *recipients)
        return head

    def plain(self, *recipients: str) -> bytes:
        """Send a small message."""
        message = self.message(b"Look.\r\n")
        self.send(message, *recipients)
        return message

    def die_before_the_end(self, host: MailHost, way: Withholder, what: str) -> None:
        """The host's rrsd dies with two messages that the next server has but for their end."""
        way.withhold(Part.END, 2)
        first, second = self.plain(BOB), self.film(1, DAVE)
        self.held(way, 2)
        self.kill(host)
        way.relent()
        self.revive(host)
        self.require_once(what, (BOB, first, ()), (DAVE, second, (self.attachment(1),)))

    def lose_connections(self, way: Withholder, what: str) -> None:
        """One before the next server has the end, one after its yes."""
        sent = []
        for part in Part:
            way.withhold(part, 1)
            sent.append(self.plain(BOB))
            self.held(way, 1)
            way.cut()
        self.require_once(what, *((BOB, each, ()) for each in sent))

    def copies(self, address: str, head: bytes, *files: Attachment) -> tuple[int, int]:
        """How often a message has arrived, and its octets; each copy is what was sent to the byte."""
        sent = digest_of(with_attachments(head, TEXT, *files)) if files else digest_of([head])
        user, _, domain = address.partition("@")
        with Mailbox(self.hosts[domain], user) as box:
            uids = box.find(head.split(b"Subject: ")[1].split(b"\r\n")[0].decode())
            for uid in uids:
                self.assertEqual(digest_of(after(box.pieces(uid), head[: head.index(b"\r\n") + 2])), sent)
        return len(uids), sent[1]

    def require_once(self, what: str, *sent: tuple[str, bytes, tuple[Attachment, ...]]) -> None:
        """Each is in its mailbox exactly once."""
        self.settle(90)
        found = [self.copies(address, head, *files) for address, head, files in sent]
        self.assertEqual([count for count, _ in found], [1] * len(sent), what)
        self.note(what, len(sent), sum(count for count, _ in found), sum(octets for _, octets in found))


class WayOut(CrashCase):
    """Between rrsd of foo.test and the Postfix that signs."""

    def test_it_has_the_message(self) -> None:
        """It has said yes, and rrsd dies: its log knows."""
        way = self.between(self.foo, "outbound_next", "reinject")
        way.withhold(Part.REPLY, 2)
        first, second = self.plain(BOB, CAROL), self.film(1, LATE)
        self.held(way, 2)
        self.kill(self.foo)
        way.relent()
        self.revive(self.foo)
        what = "kill -9 of the sender's rrsd between Postfix's 250 and its own"
        self.require_once(what, (BOB, first, ()), (CAROL, first, ()), (LATE, second, (self.attachment(1),)))

    def test_it_has_it_not(self) -> None:
        """The end never reached it: it goes out again."""
        way = self.between(self.foo, "outbound_next", "reinject")
        self.die_before_the_end(self.foo, way, "kill -9 of the sender's rrsd before Postfix had the end")

    def test_connection_is_lost(self) -> None:
        """Nobody dies: what was taken is done, what was not goes again."""
        way = self.between(self.foo, "outbound_next", "reinject")
        self.lose_connections(way, "the connection to Postfix lost before and after its 250")

    def test_signer_is_slow(self) -> None:
        """rrsd dies while Postfix waits for the signature: nobody knows before it has come."""
        signer = self.foo.running.pid("dkim-sign")
        self.addCleanup(os.kill, signer, signal.SIGCONT)
        sent = self.plain(BOB)
        while not self.is_at_its_end():
            self.pause(0.001)
        os.kill(signer, signal.SIGSTOP)
        self.pause(0.5)
        self.kill(self.foo)
        self.revive(self.foo)
        self.pause(3)
        os.kill(signer, signal.SIGCONT)
        self.require_once("kill -9 of the sender's rrsd while the signer is slow", (BOB, sent, ()))

    def is_at_its_end(self) -> bool:
        """Whether Postfix has opened a queue file at the re-injection that it has not kept."""
        log = self.foo.log.read_text()
        last = [line for line in log.splitlines() if "orig_queue_id=" in line][-1:]
        name = last[0].split("]: ")[1].split(":")[0] if last else ""
        return bool(name) and f"{name}: from=" not in log


class WayIn(CrashCase):
    """Between rrsd of bar.test and Dovecot, which has one message for a mailbox at a time."""

    def test_it_has_the_message(self) -> None:
        """It has said yes, and rrsd dies: Dovecot knows it again, for each recipient."""
        way = self.between(self.bar, "inbound_next", "lmtp")
        way.withhold(Part.REPLY, 2)
        first, second = self.plain(BOB, NEWS, CAROL), self.film(1, DAVE)
        self.held(way, 2)
        self.kill(self.bar)
        way.relent()
        self.revive(self.bar)
        self.settle(90)
        self.assertEqual(self.copies(BOB, first)[0], 2, "bob and bob+news")
        self.require_once(
            "kill -9 of the recipient's rrsd between Dovecot's 250 and its own",
            (CAROL, first, ()), (DAVE, second, (self.attachment(1),)),
        )  # fmt: skip

    def test_no_home(self) -> None:
        """A user's first message makes the home folder. Dovecot has looked for its memory there before, and says so;
        it remembers this message all the same."""
        home = self.bar.folder / "mail" / BAR / "dave"
        shutil.rmtree(home, ignore_errors=True)
        way = self.between(self.bar, "inbound_next", "lmtp")
        sent = []
        for _ in range(2):
            way.withhold(Part.REPLY, 1)
            sent.append(self.plain(DAVE))
            self.held(way, 1)
            self.assertTrue(home.exists())
            self.kill(self.bar)
            way.relent()
            self.revive(self.bar)
            self.settle(90)
        self.assertEqual([self.copies(DAVE, each)[0] for each in sent], [1, 1])
        self.assertIn(f"{home}/.dovecot.lda-dupes) failed: No such file", (self.bar.folder / "dovecot.log").read_text())
        self.note("the same for a user without a home folder", 2, 2, 0)

    def test_own_script(self) -> None:
        """The same where the user has a script of their own, which files the message elsewhere."""
        home = self.bar.folder / "mail" / BAR / "dave"
        home.mkdir(parents=True, exist_ok=True)
        script = home / ".dovecot.sieve"
        script.write_text('require ["fileinto", "mailbox"];\nfileinto :create "Lists";\n')
        for each in (home.parent, home, script):
            os.chown(each, 65534, 65534)
        self.addCleanup(script.unlink)
        way = self.between(self.bar, "inbound_next", "lmtp")
        way.withhold(Part.REPLY, 1)
        self.plain(DAVE)
        self.held(way, 1)
        self.kill(self.bar)
        way.relent()
        self.revive(self.bar)
        self.settle(90)
        with Mailbox(self.bar, "dave", "Lists") as box:
            self.assertEqual(len(box.find(self.word)), 1)
        self.assertEqual(self.inbox(DAVE), [])
        self.note("the same into a folder, by a script of the user's own", 1, 1, 0)

    def test_it_has_it_not(self) -> None:
        """The end never reached it: it goes in again."""
        way = self.between(self.bar, "inbound_next", "lmtp")
        self.die_before_the_end(self.bar, way, "kill -9 of the recipient's rrsd before Dovecot had the end")

    def test_connection_is_lost(self) -> None:
        """Nobody dies."""
        way = self.between(self.bar, "inbound_next", "lmtp")
        self.lose_connections(way, "the connection to Dovecot lost before and after its 250")


class Anywhere(CrashCase):
    """Messages with attachments, and a daemon that dies twice meanwhile."""

    def sent_while_dying(self, host: MailHost) -> list[bytes]:
        """The header fields of what was sent."""
        heads: list[bytes] = []

        def work() -> None:
            for number in range(MANY):
                heads.append(self.film(number, BOB))

        sending = threading.Thread(target=work, daemon=True)
        sending.start()
        for pause in (0.3, 0.8):
            self.pause(pause)
            self.kill(host)
            self.revive(host)
        sending.join(60)
        self.assertEqual(len(heads), MANY)
        return heads

    def test_sender(self) -> None:
        """The daemon that takes attachments out and serves them."""
        heads = self.sent_while_dying(self.foo)
        sent = [(BOB, head, (self.attachment(number),)) for number, head in enumerate(heads)]
        self.require_once("kill -9 of the serving rrsd at any moment, twice", *sent)

    def test_recipient(self) -> None:
        """The daemon that pulls."""
        heads = self.sent_while_dying(self.bar)
        sent = [(BOB, head, (self.attachment(number),)) for number, head in enumerate(heads)]
        self.require_once("kill -9 of the pulling rrsd at any moment, twice", *sent)
