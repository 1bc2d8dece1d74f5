"""Messages that go out one after another while servers die, and the count of what has arrived."""

import re
import smtplib
import threading
from collections import Counter
from collections.abc import Iterable, Iterator

from typing_extensions import override

from tests.mail.attachments import MIB, TEXT
from tests.mail.case import BAR, BOB, CAROL, FOO
from tests.mail.failures import queues_of
from tests.mail.letters import with_attachments
from tests.mail.pulling import TroubleCase
from tests.support.killing import family, kill_family
from tests.support.mailprograms import Refused, submit

MANY = 12
KILLS = (3, 8)
"""After so many messages were handed in."""
BOXES = (BOB, CAROL)


class KillCase(TroubleCase):
    """Messages go out one after another, every third with an attachment, while servers die."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.sent: list[bytes] = []
        self.unsure: list[bytes] = []
        self.killed: Counter[str] = Counter()
        self.octets = 0
        self.many = MANY

    # --- what is sent

    def letter_of(self, number: int) -> bytes:
        """The text of one of them."""
        if number % 3:
            return self.message(b"%d.\r\n" % number + b"line\r\n" * (number * 400))
        head, files = self.film((1 + number // 3 % 4) * MIB)
        return b"".join(with_attachments(head, TEXT, *files))

    def stream(self) -> threading.Thread:
        """Hand in messages until `many` were taken, beside what the test does meanwhile."""

        def work() -> None:
            while len(self.sent) < self.many:
                self.hand_in(self.letter_of(len(self.sent)))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread

    def hand_in(self, message: bytes) -> None:
        """Submit it until it is taken, or until nobody can say whether it was."""
        while True:
            try:
                submit(self.foo, "alice@foo.test", BOXES, message)
            except (ConnectionRefusedError, Refused):
                self.pause(0.1)
            except (OSError, smtplib.SMTPException):
                self.unsure.append(message)
                return
            else:
                self.sent.append(message)
                return

    def kills(self, moments: Iterable[int] = KILLS) -> Iterator[None]:
        """The moments to kill in: when so many were handed in."""
        sending = self.stream()
        for count in moments:
            self.until(f"{count} were sent", lambda count=count: len(self.sent) >= count)  # type: ignore[misc]
            yield
        sending.join(60)
        self.assertEqual(len(self.sent), self.many)

    # --- who dies

    def kill(self, master: int, log: str, *busy: str) -> None:
        """A server, while it has processes with these names."""
        self.until(f"{busy} are at work", lambda: {each.name for each in family(master)} >= {*busy})
        self.killed.update(kill_family(master, log))

    # --- what has arrived

    def require_counted(self, what: str, *, postfixes: int = 0, times: int = len(KILLS)) -> None:
        """Every message is in both mailboxes, whole, and nobody was told of a failure. At most so many more copies are
        there because the two Postfixes made two queue files of a message."""
        self.settle(90)
        copies = {address: self.copies(address) for address in BOXES}
        self.assertEqual(len(self.reported()), self.reports)
        names = {each: Counter((queues_of(FOO, head), queues_of(BAR, head)) for head in copies[each]) for each in BOXES}
        twice = [each for box in names.values() for each, count in box.items() if count > 1]
        self.assertEqual(twice, [], "our LMTP proxy had it once")
        files = {bar for box in names.values() for _, (bar,) in box}
        self.assertEqual(len(files), sum(self.accepted(self.bar, each) for each in self.sent + self.unsure))
        for bar in files:
            had = sum((bar,) == name for box in names.values() for _, name in box)
            self.assertEqual(had, self.recipients(bar), f"{bar} is not with all its recipients")
        again = self.in_two_files({each for box in names.values() for each in box})
        self.assertLessEqual(again, postfixes, f"queue files that the two Postfixes made of one: {names}")
        told = f"{what}, {times} times" + (f" ({again} more by two queue files)" if postfixes else "")
        print(f"{told}; {len(self.unsure)} of which the sender did not hear; died: {dict(self.killed)}")
        taken = sum(self.accepted(self.foo, each) > 0 for each in self.unsure)
        self.note(told, 2 * (self.many + taken), sum(map(len, copies.values())), self.octets)

    def recipients(self, name: str) -> int:
        """How many recipients a queue file of the recipients' Postfix has."""
        found = re.search(rf"qmgr\[\d+\]: {name}: from=.* nrcpt=(\d+) ", self.bar.log.read_text())
        return int(found.group(1)) if found else 0

    def copies(self, address: str) -> list[bytes]:
        """The headers of what is in the mailbox: each is a message that was sent, to the byte, and none is missing."""
        found, heads = self.inbox(address), []
        for message in self.sent + self.unsure:
            ended = [each for each in found if each.endswith(b"\n" + message)]
            is_there = message in self.sent or self.accepted(self.foo, message) > 0
            self.assertEqual(bool(ended), is_there, f"{address}: {message[:200]!r}")
            on_top = [each[: len(each) - len(message)] for each in ended]
            self.assertLessEqual(len({queues_of(FOO, each)[-1] for each in on_top}), 1, "submitted once")
            self.octets += sum(map(len, ended))
            heads += on_top
            found = [each for each in found if each not in ended]
        self.assertEqual(found, [], f"{address} has what nobody sent")
        return heads

    def in_two_files(self, names: set[tuple[tuple[str, ...], tuple[str, ...]]]) -> int:
        """How many queue files the recipients' Postfix had beyond one for each message: one name in the sender's queue
        has several in theirs. Our filter handed nothing on twice."""
        files = Counter(foo for foo, _ in names)
        submitted = Counter(foo[-1] for foo in files)
        self.assertEqual([name for name, count in submitted.items() if count > 1], [], "handed on twice by our filter")
        return sum(files.values()) - len(files)
