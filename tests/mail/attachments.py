"""Attachments leave as placeholders, are pulled, and stand in the mailbox as they were: to the byte."""

from collections.abc import Sequence

from typing_extensions import override

from tests.mail.case import ALICE, BOB, CAROL, LATE, OLD, MailCase
from tests.mail.letters import Attachment, after, digest_of, lines_of, with_attachments
from tests.processes.houses import trail_of
from tests.support.mailhosts import MailHost
from tests.support.mailprograms import Mailbox, submit

MIB = 1 << 20
TEXT = b"Look.\r\n.\r\n..\r\nYours, Alice\r\n"


class AttachmentCase(MailCase):
    """Messages with attachments from alice@foo.test."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.before = {name: host.wire.sent for name, host in self.hosts.hosts.items()}

    def letter(self, *attachments: Attachment, to: str = BOB) -> tuple[bytes, Sequence[Attachment]]:
        """Header fields of a new message, and what is attached."""
        return self.message(b"", to=to)[:-2], attachments

    def post(self, head: bytes, attachments: Sequence[Attachment], *recipients: str) -> None:
        """Submit it in pieces."""
        submit(self.foo, ALICE, recipients or (BOB,), with_attachments(head, TEXT, *attachments), door=self.door)

    def wire(self, host: MailHost) -> int:
        """Octets that its mail server was sent by others in this test."""
        return host.wire.sent - self.before[host.name]

    def require_whole(self, address: str, head: bytes, attachments: Sequence[Attachment]) -> int:
        """Exactly one message, which is what was sent to the byte; its octets."""
        user, _, domain = address.partition("@")
        with Mailbox(self.hosts[domain], user) as box:
            (uid,) = box.find(head.split(b"Subject: ")[1].split(b"\r\n")[0].decode())
            found = digest_of(after(box.pieces(uid), head[: head.index(b"\r\n") + 2]))
        self.assertEqual(found, digest_of(with_attachments(head, TEXT, *attachments)), address)
        return found[1]


class Attachments(AttachmentCase):
    """From the sender's mail program to the recipient's."""

    def test_placeholder_pull_message(self) -> None:
        """One attachment of 5 MiB: a placeholder on the wire, the message in the mailbox."""
        head, files = self.letter(Attachment("film.mp4", 5 * MIB))
        self.post(head, files)
        self.settle()
        size = self.require_whole(BOB, head, files)
        self.assertLess(self.wire(self.bar), 64 << 10)
        self.count(f"placeholder ({self.wire(self.bar)} octets by SMTP), pull, completed message", 1, size)

    def test_several_attachments(self) -> None:
        """Two that are taken out, one that is too small."""
        head, files = self.letter(
            Attachment("film.mp4", 3 * MIB, 2), Attachment("note.bin", 999, 3), Attachment("sound.mp3", 2 * MIB + 1, 4)
        )
        self.post(head, files)
        self.settle()
        self.count("three attachments, one below the threshold", 1, self.require_whole(BOB, head, files))

    def test_parts_of_any_shape(self) -> None:
        """Lines of another length, an empty line behind, the encoding's field in any place and spelling: what arrives
        is what was sent, to the byte."""
        field, rest = "Content-Transfer-Encoding: base64\r\n", 'Content-Type: video/mp4; name="film.mp4"\r\n'
        parts = [
            f"{field}{rest}\r\n".encode() + lines_of(2 * MIB, 20),
            f"{rest}{field}X-Attachment-Id: f_1\r\n\r\n".encode() + lines_of(2 * MIB, 21, 72) + b"\r\n",
            f"{rest}{field.lower()}\r\n".encode() + lines_of(2 * MIB, 22, 64) + b"\r\n\r\n",
        ]
        body = b"--s\r\n\r\n" + TEXT + b"".join(b"--s\r\n" + part for part in parts) + b"--s--\r\n"
        message = self.message(body, more="MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=s\r\n")
        self.send(message)
        self.require_arrived({BOB: [message]}, "three attachments that were written in unusual ways")
        self.assertLess(self.wire(self.bar), 64 << 10)

    def test_sender(self) -> None:
        """A Sender of the author's domain is signed, and the placeholder proved; with one of another domain no
        placeholder would be, and the message goes out whole."""
        kind = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=s\r\n"
        part = b"Content-Type: video/mp4; name=a.mp4\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        body = b"--s\r\n" + part + lines_of(2 * MIB, 23) + b"--s--\r\n"
        messages = []
        for sender in ("bob@foo.test", "eve@evil.test"):
            messages.append(self.message(body, more=f"Sender: {sender}\r\n{kind}"))
            self.send(messages[-1])
            self.settle()
            (self.assertLess if len(messages) == 1 else self.assertGreater)(self.wire(self.bar), 2 * MIB)
        self.require_arrived({BOB: messages}, "a Sender of the author's domain, and one of another")

    def test_two_domains(self) -> None:
        """bar.test collects attachments, old.test gets them by mail, and at once; a blind copy is nobody's business."""
        head, files = self.letter(Attachment("film.mp4", 4 * MIB, 5), to=f"{BOB}, {LATE}")
        self.post(head, files, BOB, LATE, CAROL)
        self.settle()
        sizes = [self.require_whole(each, head, files) for each in (BOB, CAROL, LATE)]
        self.assertLess(self.wire(self.bar), 64 << 10)
        self.assertGreater(self.wire(self.hosts[OLD]), 4 * MIB)
        for address in (BOB, LATE):
            (message,) = self.inbox(address)
            self.assertNotIn(CAROL.encode(), message)
        assert self.foo.daemon is not None
        name = head.split(b"Message-ID: <")[1].split(b">")[0].decode()
        sent = [line["outcome"] for line in trail_of(self.foo.daemon, "send") if line.get("resource") == name]
        self.assertEqual(set(sent), {"granted"}, "nobody waited for a domain that has no web server")
        self.count("two domains, one without rrsd, and a blind copy", 3, sum(sizes))

    def test_list(self) -> None:
        """A list at the recipients' domain is no user of rrsd; its members are."""
        self.addCleanup(self.foo.alias)
        self.foo.alias(team=f"{BOB},{CAROL},bob@foo.test")
        head, files = self.letter(Attachment("film.mp4", 2 * MIB, 6), to="team@foo.test")
        self.post(head, files, "team@foo.test")
        self.settle()
        sizes = [self.require_whole(each, head, files) for each in (BOB, CAROL, "bob@foo.test")]
        self.count("a list of the sender's domain, members in two domains", 3, sum(sizes))

    def test_extension(self) -> None:
        """To bob+news, and to bob as well: each copy complete, Dovecot finds bob's mailbox."""
        news = "bob+news@bar.test"
        head, files = self.letter(Attachment("film.mp4", 2 * MIB, 10), to=news)
        self.post(head, files, news)
        self.settle()
        sizes = [self.require_whole(BOB, head, files)]
        (message,) = self.inbox(BOB)
        self.assertIn(f"Delivered-To: {news}".encode(), message)
        head, files = self.letter(Attachment("film.mp4", 2 * MIB, 11), to=f"{BOB}, {news}")
        self.post(head, files, BOB, news)
        self.settle()
        both = self.inbox(BOB, head.split(b"Subject: ")[1].split(b"\r\n")[0].decode())
        whole = b"".join(with_attachments(head, TEXT, *files))
        self.assertEqual([each.endswith(whole) for each in both], [True, True])
        self.count("an address with an extension, alone and beside its user's", 3, sum(map(len, both)) + sizes[0])

    def test_alias(self) -> None:
        """postmaster is bob, and all are bob and carol, says the recipients' mail server before rrsd is asked: what was
        granted to postmaster and to all is pulled in their names. The list is a blind copy."""
        self.addCleanup(self.bar.alias)
        self.bar.alias(postmaster=BOB, all=f"{BOB},{CAROL}")
        head, files = self.letter(Attachment("film.mp4", 2 * MIB, 12), to="postmaster@bar.test")
        self.post(head, files, "postmaster@bar.test")
        self.settle()
        sizes = [self.require_whole(BOB, head, files)]
        head, files = self.letter(Attachment("film.mp4", 2 * MIB, 13))
        self.post(head, files, "all@bar.test")
        self.settle()
        sizes += [self.require_whole(each, head, files) for each in (BOB, CAROL)]
        self.assertLess(self.wire(self.bar), 64 << 10)
        self.count("an alias of the recipients' domain, and a list of theirs", 3, sum(sizes))

    def test_signed(self) -> None:
        """S/MIME: what is signed is opaque, whatever its size."""
        inner = b"".join(with_attachments(b"", TEXT, Attachment("film.mp4", 2 * MIB, 7)))
        body = (
            b"--s\r\n" + inner + b"\r\n--s\r\nContent-Type: application/pkcs7-signature\r\n"
            b"Content-Transfer-Encoding: base64\r\n\r\nMIIB\r\n--s--\r\n"
        )
        kind = 'multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary=s'
        message = self.message(body, more=f"MIME-Version: 1.0\r\nContent-Type: {kind}\r\n")
        self.send(message)
        self.require_arrived({BOB: [message]}, "S/MIME: a signed message with 2 MiB in it is untouched")

    def test_unknown_recipient(self) -> None:
        """The sender gets a report; nobody pulls."""
        head, files = self.letter(Attachment("film.mp4", 2 * MIB, 8), to="nobody@bar.test")
        self.post(head, files, "nobody@bar.test")
        self.settle()
        reports = [each for each in self.inbox(ALICE, "Undelivered") if self.word.encode() in each]
        self.assertEqual(len(reports), 1)
        self.assertIn(b"Action: failed", reports[0])
        self.did("an attachment to nobody: one report to the sender", 1, reports)

    def count(self, what: str, sent: int, octets: int) -> None:
        """Write down what was shown."""
        self.note(what, sent, sent, octets)
