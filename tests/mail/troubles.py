"""What else goes wrong while attachments are on their way: the sender's server, DNS, both mail servers. Counted from
outside."""

import contextlib
import re
import threading
from collections.abc import Iterator, Sequence

from typing_extensions import override

from tests.mail.attachments import MIB, TEXT
from tests.mail.case import BOB, CAROL, FOO
from tests.mail.fronts import Trouble
from tests.mail.letters import Attachment, after, digest_of, with_attachments
from tests.mail.pulling import TroubleCase, blob_of, restart
from tests.support.mailprograms import Mailbox

MANY = 6


class SenderInTrouble(TroubleCase):
    """The sender's server while the recipient's mail server holds the message."""

    def held_through(self, trouble: Trouble) -> None:
        """A message meets the trouble, is held, and arrives whole when it is over."""
        head, files = self.film()
        self.front.become(trouble)
        self.post(head, files)
        self.wait_held()
        self.pause(1.0)
        self.wait_held()
        self.front.become(Trouble.NONE)
        self.settle()
        self.arrived(head, files, f"sender's server in trouble while the message is held: {trouble.value}")

    def test_refused(self) -> None:
        """Nobody listens."""
        self.held_through(Trouble.REFUSED)

    def test_forbidden(self) -> None:
        """403 to everything, for longer than max_hold."""
        self.never_right(Trouble.FORBIDDEN)

    def test_wrong_certificate(self) -> None:
        """Somebody else answers."""
        self.held_through(Trouble.WRONG)

    def test_slow(self) -> None:
        """Bytes trickle and never come to an end."""
        self.held_through(Trouble.SLOW)

    def test_damaged(self) -> None:
        """Other bytes than were promised: they are never delivered; the placeholder comes as it is, once."""
        head, files = self.film()
        self.front.become(Trouble.REFUSED)
        self.post(head, files)
        self.wait_held()
        path = blob_of(self.sender, files[0])
        right = path.read_bytes()
        path.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
        self.front.become(Trouble.NONE)
        self.settle()
        self.require_placeholder("sender's server sends damaged bytes: the placeholder, once, no report")
        self.assertFalse(blob_of(self.recipient, files[0]).exists())

    def test_never(self) -> None:
        """Nobody listens, for longer than max_hold."""
        self.never_right(Trouble.REFUSED)

    def never_right(self, trouble: Trouble) -> None:
        """The placeholder comes once, with no report; the attachment is pulled all the same, later."""
        self.told(max_hold="3s")
        head, files = self.film()
        self.front.become(trouble)
        self.post(head, files)
        self.wait_held()
        self.settle()
        self.require_placeholder(f"the same beyond max_hold: {trouble.value}; the placeholder, once, no report")
        self.front.become(Trouble.NONE)
        blob = blob_of(self.recipient, files[0])
        if trouble is Trouble.REFUSED:
            self.until("the attachment is there", lambda: self.again() or blob.exists())
            self.assertEqual(blob.stat().st_size, files[0].size)


class NamesInTrouble(TroubleCase):
    """DNS where the message arrives."""

    def test_down(self) -> None:
        """Who wrote it cannot be proved: it waits, and arrives whole."""
        first = self.film()
        self.post(*first)
        self.settle()
        self.known = 1
        head, files = self.film()
        with self._without_resolver():
            self.post(head, files)
            self.wait_held()
            self.pause(1.0)
            self.wait_held()
        self.settle()
        self.arrived(head, files, "DNS down while a placeholder arrives")

    def test_bogus(self) -> None:
        """Somebody is at work on the sender's zone: nothing is pulled, and the message waits until it is right."""
        head, files = self.film()
        before = self.front.passed
        with self._with_wrong_anchor():
            self.post(head, files)
            self.wait_held()
            self.pause(1.0)
            self.wait_held()
            self.assertEqual(self.front.passed, before)
        self.settle()
        self.arrived(head, files, "the sender's zone is bogus while a placeholder arrives")

    @contextlib.contextmanager
    def _without_resolver(self) -> Iterator[None]:
        self.hosts.servers.stop("unbound")
        restart(self.recipient)
        try:
            yield
        finally:
            self.hosts.servers.start_resolver()

    @contextlib.contextmanager
    def _with_wrong_anchor(self) -> Iterator[None]:
        servers = self.hosts.servers
        right = servers.delegation(FOO)
        servers.set("test", "foo", 60, "DS", "1 13 2 " + "00" * 32)
        restart(self.recipient)
        try:
            yield
        finally:
            servers.set("test", "foo", 60, "DS", right)
            restart(self.recipient)


class MailServersInTrouble(TroubleCase):
    """Postfix, on both sides."""

    def test_restarts(self) -> None:
        """Both are stopped and started while attachments are taken out, sent, pulled and put back.

        A reply of one Postfix to the other that is lost makes a second queue file (RFC 1047), which is theirs: each
        mailbox has as many copies as bar.test's Postfix has accepted, and no other.
        """
        letters = [self.film() for _ in range(MANY)]
        posted: list[bytes] = []

        def work() -> None:
            for head, files in letters:
                self.post(head, files, BOB, CAROL)
                posted.append(head)

        for host in (self.foo, self.bar):
            self.addCleanup(host.wait_ready)
        sending = threading.Thread(target=work, daemon=True)
        sending.start()
        for host, count in ((self.bar, 2), (self.bar, 4), (self.foo, MANY)):
            self.until(f"{count} were handed in", lambda count=count: len(posted) >= count)  # type: ignore[misc]
            host.stop_postfix()
            self.pause(0.3)
            host.start_postfix()
        sending.join(30)
        self.settle(90)
        sizes = [size for head, files in letters for each in (BOB, CAROL) for size in self.copies(each, head, files)]
        self.assertEqual(len(self.reported()), self.reports)
        self.note("Postfix restarted on both sides while attachments flow", 2 * MANY, len(sizes), sum(sizes))

    def copies(self, address: str, head: bytes, files: Sequence[Attachment]) -> list[int]:
        """The sizes of those in the mailbox: as many as queue files were accepted, each whole."""
        accepted = self.accepted(self.host_of(address), head)
        self.assertGreaterEqual(accepted, 1)
        mark = head[: head.index(b"\r\n") + 2]
        with Mailbox(self.host_of(address), address.partition("@")[0]) as box:
            uids = box.find(head.split(b"Subject: ")[1].split(b"\r\n")[0].decode())
            found = [digest_of(after(box.pieces(uid), mark)) for uid in uids]
        self.assertEqual(found, accepted * [digest_of(with_attachments(head, TEXT, *files))])
        return [size for _, size in found]

    def test_stop_before_our_reply(self) -> None:
        """The sender's Postfix is stopped while its filter has the message: its own reply is lost, the message is not,
        and comes once."""
        letters = [self.film(12 * MIB) for _ in range(3)]
        self.addCleanup(self.foo.wait_ready)
        # What the two Postfixes do to each other is another test's.
        self.bar.stop_postfix()
        for pause, (head, files) in zip((0.0, 0.15, 0.3), letters, strict=True):
            self.post(head, files)
            self.pause(pause)
            self.foo.stop_postfix()
            self.foo.start_postfix()
            self.foo.wait_ready()
        self.bar.start_postfix()
        self.bar.wait_ready()
        self.settle(90)
        for head, files in letters:
            self.arrived(head, files, "")
        self.note("the sender's Postfix stopped while the filter has the message", 3, 3, 3 * letters[0][1][0].size)

    def test_spool_is_full(self) -> None:
        """The sender's mail server has no room for what the filter hands back: 452, and the message stays."""
        head, files = self.film()
        with self._reinjection("queue_minfree", "900000000000000"):
            self.post(head, files)
            self.until("it was told 452", lambda: "452" in str(self.foo.queue()))
            self.assertEqual(self.inbox(BOB), [])
        self.settle()
        self.arrived(head, files, "the spool of the sender's mail server is full when the filter hands back")

    @contextlib.contextmanager
    def _reinjection(self, parameter: str, value: str) -> Iterator[None]:
        """The sender's Postfix takes messages back with this parameter. It is started anew: after a reload a smtpd
        goes on as before for as long as its client stays, and the filter keeps its connections for a while."""
        name = f"127.0.0.1:{self.foo.ports['reinject']}/inet/{parameter}"
        self._restart_with("-P", f"{name}={value}")
        try:
            yield
        finally:
            self._restart_with("-PX", name)

    def _restart_with(self, *words: str) -> None:
        self.foo.stop_postfix()
        self.foo.postconf(*words)
        self.foo.start_postfix()
        self.foo.wait_ready()

    def test_one_recipient_is_refused(self) -> None:
        """When the filter hands back: the others have it, once, and the sender is told of this one alone."""
        access = self.foo.folder / "access"
        access.write_text(f"{CAROL} REJECT not her\n")
        head, files = self.film()
        with self._reinjection("smtpd_recipient_restrictions", f"check_recipient_access,texthash:{access},permit"):
            self.post(head, files, BOB, CAROL)
            self.settle()
        size = self.require_whole(BOB, head, files)
        self.assertEqual(self.inbox(CAROL), [])
        with Mailbox(self.foo, "alice") as box:
            (report,) = [box.message(uid) for uid in box.find("Undelivered")[self.reports :]]
        failed = re.findall(rb"Final-Recipient: rfc822; ?(\S+)", report)
        self.assertEqual(failed, [CAROL.encode()])
        self.assertIn(b"not her", report)
        self.note("one recipient refused when the filter hands back: the other has it, one report", 1, 1, size)

    def test_twice(self) -> None:
        """The same message handed in twice: two mails, both whole, and its bytes are pulled once."""
        head, files = self.film(4 * MIB)
        before = self.front.passed
        self.post(head, files)
        self.post(head, files)
        self.settle()
        mark = head[: head.index(b"\r\n") + 2]
        with Mailbox(self.bar, "bob") as box:
            found = [digest_of(after(box.pieces(uid), mark)) for uid in box.find(self.word)]
        self.assertEqual(found, 2 * [digest_of(with_attachments(head, TEXT, *files))])
        self.assertLess(self.front.passed - before, files[0].size * 3 // 2)
        self.note("the same message in two queue files: two mails, one pull", 2, 2, 2 * found[0][1])

    @override
    def reported(self) -> list[int]:
        """What alice has got from mail servers, once they answer."""
        self.foo.wait_ready()
        return super().reported()
