"""Attachments that are late and then lost: who hears of it, once, through real mail servers."""

import email
import email.policy
import sqlite3
from collections.abc import Sequence

from typing_extensions import override

from tests.mail.case import ALICE
from tests.mail.chain import ChainCase
from tests.support.mailprograms import read

LATE, LOST = "Attachments are delayed", "will not arrive"


class Notices(ChainCase):
    """bob hears after four seconds instead of four hours."""

    seconds = 240

    @override
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.bar.tell, ("rra", "notify_recipient_after", "4h"))
        self.bar.tell(("rra", "notify_recipient_after", "4s"))

    def about(self, messages: Sequence[bytes]) -> list[bytes]:
        """Those about a message of this test."""
        return [each for each in messages if self.word.encode() in each.partition(b"\r\n\r\n")[0]]

    def withdraw(self) -> None:
        """Every grant of foo.test is withdrawn while it is down."""
        assert self.foo.daemon is not None
        with sqlite3.connect(self.foo.daemon.plan.folder / "data" / "rrsd.sqlite") as rows:
            rows.execute("UPDATE grants SET withdrawn = 1")

    def test_late_and_then_lost(self) -> None:
        """bob hears that it is late; when it is lost, he and alice hear of it, she by a report; nobody hears twice,
        although the daemon is killed in between."""
        self.placeholders(1)
        (late,) = self.until("bob hears that it is late", lambda: self.about(read(self.bar, "bob", LATE)))
        self.assertIn(b"Auto-Submitted: auto-generated", late)
        self.withdraw()
        self.back()
        (lost,) = self.until("alice hears that it is lost", lambda: self.about(read(self.foo, "alice", LOST)))
        self.until("bob hears that it is lost", lambda: self.about(read(self.bar, "bob", LOST)))
        message = email.message_from_bytes(lost, policy=email.policy.default)
        self.assertEqual(message.get_content_type(), "multipart/report")
        self.assertIn("<>", str(message["Return-Path"]))
        self.assertIn("dkim=pass", str(message["Authentication-Results"]))
        report = lost.decode("latin-1")
        for field in ("Final-Recipient: rfc822; bob@bar.test", "Action: failed", "Status: 5.6.6", f"To: {ALICE}"):
            self.assertIn(f"{field}\r\n", report)
        assert self.bar.daemon is not None
        self.bar.daemon.kill()
        self.bar.daemon.start()
        self.bar.daemon.wait_ready()
        self.pause(3.0)
        self.settle()
        counts = [len(self.about(read(self.bar, "bob", each))) for each in (LATE, LOST)]
        counts.append(len(self.about(read(self.foo, "alice", "Attachments"))))
        self.assertEqual(counts, [1, 1, 1])
        said = [(line["outcome"], line["subject"]) for line in self.said("notice")]
        self.assertEqual(sorted(said), [("granted", ALICE), ("granted", "bob@bar.test"), ("granted", "bob@bar.test")])
        self.did("late, then withdrawn: one word to bob, one more to both", 1, [late, lost])
