"""The sender's resource server is down for longer than the recipient's domain holds a message: what becomes of it."""

import json
from collections.abc import Sequence

from typing_extensions import override

from tests.mail.attachments import MIB, AttachmentCase
from tests.mail.case import ALICE, BOB
from tests.mail.letters import Attachment
from tests.support.mailprograms import Mailbox, read

HELD = 2
"""Seconds for which bar.test holds a message."""
Letter = tuple[bytes, Sequence[Attachment]]


class ChainCase(AttachmentCase):
    """The placeholder is delivered after `max_hold`, and its attachments come later, or never."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.told(f"{HELD}s", "0s", "0s")
        self.addCleanup(self.told, "15min", "2s", "5s")
        self.begun = len(self.trail())

    def told(self, max_hold: str, linger: str, outage_kept: str) -> None:
        """bar.test begins anew with these. That foo.test could not be asked is not remembered here: what is retried
        within that time fails by what is remembered."""
        mail, identity = (("max_hold", max_hold), ("linger", linger)), (("outage_kept", outage_kept),)
        self.bar.tell(*(("mail", *each) for each in mail), *(("identity", *each) for each in identity))

    def trail(self) -> list[dict[str, str]]:
        """What bar.test has decided."""
        assert self.bar.daemon is not None
        return [json.loads(line) for line in self.bar.daemon.audit.read_text().splitlines()]

    def said(self, what: str) -> list[dict[str, str]]:
        """In this test, of one kind."""
        return [line for line in self.trail()[self.begun :] if line["what"] == what]

    def placeholders(self, count: int) -> list[Letter]:
        """So many messages stand in bob's mailbox as placeholders; foo.test is down since they left it."""
        foo = self.foo.daemon
        assert foo is not None
        letters = [self.letter(Attachment(f"film{number}.mp4", MIB + number, number)) for number in range(count)]
        self.bar.stop_postfix()
        try:
            for letter in letters:
                self.post(*letter)
            self.until("rrsd has handed them on", lambda: self.waiting_for_bar() == count)
            self.addCleanup(self.start_foo)
            foo.kill()
        finally:
            self.bar.start_postfix()
        self.bar.wait_ready()
        self.settle()
        found = read(self.bar, "bob", self.word)
        self.assertEqual([b"message/external-body" in each for each in found], [True] * count)
        self.assertEqual({len(each) < 8000 for each in found}, {True})
        return letters

    def waiting_for_bar(self) -> int:
        """Messages of foo's queue that have been through rrsd: they wait for bar.test."""
        return sum("lost connection with" in json.dumps(each) for each in self.foo.queue())

    def start_foo(self) -> None:
        """foo.test answers, if it did not."""
        foo = self.foo.daemon
        assert foo is not None
        if not foo.pid:
            foo.start()
            foo.wait_ready()

    def back(self) -> None:
        """foo.test answers again, and bar's operator does not wait for the next probe."""
        self.start_foo()
        self.retry()

    def retry(self) -> None:
        """rrsctl pulls retry-now: who was found away is asked again."""
        assert self.bar.daemon is not None
        local = self.bar.daemon.local()
        try:
            local.act_all("retry-now", {"all": True})
        finally:
            local.close()

    def flag(self) -> None:
        """bob reads and marks what he got."""
        with Mailbox(self.bar, "bob") as box:
            for uid in box.find(self.word):
                box.store(uid, r"(\Seen $Label1)")

    def require_complete(self, letters: Sequence[Letter], what: str) -> None:
        """Each stands there once and complete, attachment and all else as it was sent to the byte; the swap is in the
        trail as often; and nobody got any other mail for it."""
        self.until("all are swapped", lambda: len(self.outcomes()) == len(letters))
        octets = [self.require_whole(BOB, *letter) for letter in letters]
        self.assertEqual(self.outcomes(), ["granted"] * len(letters))
        self.assertEqual(self.queues(), {})
        self.assertEqual([each for each in read(self.foo, "alice") if self.word.encode() in each], [])
        with Mailbox(self.bar, "bob") as box:
            self.assertEqual({box.flags(uid) for uid in box.find(self.word)}, {self.flags})
        self.note(what, len(letters), len(octets), sum(octets))

    flags = frozenset({r"\Seen", "$Label1"})

    def outcomes(self) -> list[str]:
        """How swaps ended."""
        return [line["outcome"] for line in self.said("swap") if line["outcome"] != "failed"]


class Chain(ChainCase):
    """From the placeholder that is delivered after `max_hold` to the complete message."""

    def test_down_beyond_max_hold(self) -> None:
        """The placeholder, then the complete message in its place: one message, no bounce, and no word to the sender,
        who is told of no delay unless Postfix is told to (`delay_warning_time`)."""
        letters = self.placeholders(1)
        self.flag()
        self.assertEqual(self.said("swap"), [])
        self.back()
        self.require_complete(letters, "sender's resource server down beyond max_hold: placeholder, then swapped")
        self.assertEqual([line["outcome"] for line in self.said("deliver")][-1], "refused")
        self.assertEqual(self.said("notice"), [])

    def test_killed_between(self) -> None:
        """The recipients' daemon is killed before the sender is back, and again and again during pulls and swaps."""
        bar = self.bar.daemon
        assert bar is not None
        letters = self.placeholders(4)
        self.flag()
        bar.kill()
        bar.start()
        bar.wait_ready()
        self.back()
        for pause in (0.05, 0.15, 0.4):
            self.pause(pause)
            bar.kill()
            bar.start()
            bar.wait_ready()
            # Killed before it had heard of foo.test, it would ask again a minute later.
            self.retry()
        self.require_complete(letters, "recipient's rrsd killed four times between placeholder and swap")
        self.assertEqual({each for each in (ALICE,) if read(self.foo, "alice", self.word)}, set())
