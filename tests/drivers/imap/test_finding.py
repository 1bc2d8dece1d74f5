"""Whether a mailbox has a message already: asked by the field that is on top of it."""

from datetime import timedelta
from typing import Any

from rrsd.core.refusals import Forbidden, Malformed, Unavailable
from rrsd.core.values.addresses import parse_address
from tests.drivers.imap.case import ImapCase
from tests.support.imapserver import BOB, Folder, Kept

NAME, VALUE = "RRS-Delivery", "qJ9Zk-1aX_uWbW2vQ0f0m8yqf3y4bq0c1m2n3o4p5q6"
BODY = b"From: alice@foo.test\r\nSubject: a\r\n\r\nx\r\n"
TOP = "Return-Path: <alice@foo.test>\r\nDelivered-To: {to}\r\nReceived: from x\r\n\tby y; now\r\n{name}: {value}\r\n"


class FindingCase(ImapCase):
    """A mailbox in 1970, when the clock of the memory internet begins."""

    def put(self, to: str = BOB, value: str = VALUE, folder: str = "INBOX", more: str = "", age: int = 0) -> Kept:
        """A message is there since so many days."""
        date = f'"{10 - age:02d}-Jan-1970 01:00:00 +0000"'
        top = more + TOP.format(to=to, name=NAME, value=value)
        return self.imap.put(top.encode() + BODY, set(), folder, date)

    def has(self, path: str = BOB, value: str = VALUE) -> bool:
        """Whether it is found on the tenth day."""
        found: bool = self.successResultOf(self.ask(path, value))
        return found

    def ask(self, path: str = BOB, value: str = VALUE) -> Any:
        """Begin to ask."""
        self.internet.clock.advance(
            max(0.0, timedelta(days=9, hours=2).total_seconds() - self.internet.clock.seconds())
        )
        return self.internet.run(self.boxes().has(parse_address(BOB), NAME, value, path))


class Finding(FindingCase):
    """One that is there, and others that are like it."""

    def test_there(self) -> None:
        """In whatever folder a script has put it; nothing is changed."""
        self.assertFalse(self.has())
        for folder in ("INBOX", "Lists"):
            self.serve()
            kept = self.put(folder=folder)
            self.assertTrue(self.has())
            self.assertEqual((kept.flags, self.imap.all()), (set(), [kept]))
            self.assertNotIn("SELECT", self.imap.verbs())

    def test_as_servers_write_it(self) -> None:
        """In angle brackets, in capitals, with more on top."""
        for to, more in ((f"<{BOB}>", ""), (BOB.upper(), ""), (BOB, "X-Sieve: a\r\n b\r\n")):
            self.serve()
            self.put(to, more=more)
            self.assertTrue(self.has(), (to, more))

    def test_another_address_of_theirs(self) -> None:
        """Each address has its own copy: none stands for another, and no end of one either."""
        self.put("bob+news@bar.test")
        self.put("b+bob@bar.test")
        self.assertFalse(self.has())
        self.assertTrue(self.has("bob+news@bar.test"))

    def test_another_message(self) -> None:
        """With another name, or with this one as part of another."""
        self.put(value=VALUE[:-1] + "7")
        self.put(value=f"{VALUE}x")
        self.assertFalse(self.has())

    def test_forged(self) -> None:
        """The sender has written the field, or the address: who delivers has put the right ones above."""
        self.put(value="other", more="")
        forged = f"{NAME}: other\r\n{NAME}: {VALUE}\r\nDelivered-To: {BOB}\r\n"
        self.imap.put(
            f"Delivered-To: carol@bar.test\r\n{forged}".encode() + BODY, set(), date='"10-Jan-1970 01:00:00 +0000"'
        )
        self.imap.put(
            f"{NAME}: {VALUE}\r\nDelivered-To: {BOB}\r\n".encode() + BODY, set(), date='"10-Jan-1970 01:00:00 +0000"'
        )
        self.assertFalse(self.has())

    def test_no_header(self) -> None:
        """Lines that are no fields, and too many of them."""
        self.put(more="no field\r\n")
        self.put(more="a: b\r\n" * 1001)
        self.assertFalse(self.has())

    def test_long_ago(self) -> None:
        """Who comes again does so within days; a mailbox of years is not read through."""
        self.put(age=3)
        self.assertFalse(self.has())
        self.put(age=2)
        self.assertTrue(self.has())

    def test_long_header(self) -> None:
        """Only what is on top is fetched."""
        kept = self.put()
        kept.raw = kept.raw.replace(b"From:", b"X: " + b"y" * 60_000 + b"\r\nFrom:")
        self.assertTrue(self.has())

    def test_expunged_meanwhile(self) -> None:
        """It was found and is gone."""
        self.put()
        self.imap.after = lambda verb, line: (
            self.imap.folders["INBOX"].messages.clear() if verb == "UID SEARCH" else None
        )
        self.assertFalse(self.has())


class Trouble(FindingCase):
    """Who cannot be asked has not said no."""

    def test_closed_folder(self) -> None:
        """Others are looked into."""
        self.imap.folders["Closed"] = Folder(refusal="[NOPERM] not yours")
        self.put(folder="Lists")
        self.assertTrue(self.has())

    def test_away(self) -> None:
        """The server leaves in the middle."""
        self.put()
        for cut in range(1, 6):
            self.imap.heard.clear()
            self.imap.cut = cut
            self.failureResultOf(self.ask(), Unavailable)

    def test_many_folders(self) -> None:
        """All of them together may take as long as one command; the inbox comes first."""
        self.imap.folders = {f"Old{number}": Folder() for number in range(3)} | {"INBOX": Folder()}

        def slowly(verb: str, line: bytes) -> None:
            if verb == "EXAMINE":
                self.internet.clock.advance(70)

        self.imap.after = slowly
        self.failureResultOf(self.ask(), Unavailable)
        self.assertEqual(self.imap.verbs().count("EXAMINE"), 2)
        self.put()
        self.assertTrue(self.has())

    def test_no_entry(self) -> None:
        """The master user may not."""
        self.password = "wrong"
        self.failureResultOf(self.ask(), Forbidden)

    def test_no_text(self) -> None:
        """What cannot be written in a command."""
        self.failureResultOf(self.ask(value="é"), Malformed)
