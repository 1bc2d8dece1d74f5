"""What the tests with real mail servers share: the servers, started once, messages, and the count of what arrived."""

import functools
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from tests.support.mailhosts import SUBMISSION, MailHost, MailHosts
from tests.support.mailprograms import read, submit
from tests.support.pace import slowness

RECORD = "RRSD_MAIL_RECORD"
"""Names the file that tests write down in what they have shown."""

IMPATIENCE = 4.0
"""Seconds after which queues are asked to try everything again."""
FOO, BAR, OLD = "foo.test", "bar.test", "old.test"
ALICE, BOB, CAROL = "alice@foo.test", "bob@bar.test", "carol@bar.test"
LATE = "carol@old.test"
"""Her domain has no rrsd."""
HEADER = (
    "From: {sender}\r\nTo: {to}\r\nSubject: {word}\r\n"
    "Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{id}@{domain}>\r\n"
)


@functools.cache
def shared() -> MailHosts:
    """foo.test and bar.test with rrsd, old.test without, for as long as this process lives."""
    folder = Path(tempfile.mkdtemp(prefix="rrsd-"))
    hosts = MailHosts(folder, (FOO, BAR), plain=(OLD,))
    kept = Path("mail").absolute()
    from twisted.internet import reactor

    cast(Any, reactor).addSystemEventTrigger("before", "shutdown", ended, hosts, kept)
    hosts.start()
    return hosts


def ended(hosts: MailHosts, kept: Path) -> None:
    """The servers end and their folder goes; their logs stay in trial's."""
    hosts.stop()
    for path in hosts.logs():
        copy = kept / path.relative_to(hosts.folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    shutil.rmtree(hosts.folder, ignore_errors=True)


class MailCase(SynchronousTestCase):
    """Real servers. The subject of a test's messages has its name, its suite's too, so that what arrived can be told
    apart."""

    seconds = 120
    door = SUBMISSION
    """The service that messages are handed to."""
    is_impatient = True
    """Whether `settle` asks queues to try again."""

    @override
    def setUp(self) -> None:
        before = signal.signal(signal.SIGALRM, self._late)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        self.hosts = self.begin()
        signal.alarm(round(self.seconds * slowness()))
        self.addCleanup(signal.alarm, 0)
        self.foo, self.bar = self.hosts[FOO], self.hosts[BAR]
        self.word = "-".join(self.id().split(".")[-3:]).replace("_", "-")
        self._number = 0

    def begin(self) -> MailHosts:
        """The servers."""
        return shared()

    # --- messages

    def message(self, body: bytes, *, to: str = BOB, sender: str = ALICE, more: str = "") -> bytes:
        """A message of this test, its body as it is."""
        self._number += 1
        head = HEADER.format(
            sender=sender, to=to, word=f"{self.word} {self._number}", id=f"{self.word}.{self._number}",
            domain=sender.partition("@")[2],
        )  # fmt: skip
        return (head + more).encode() + b"\r\n" + body

    def send(self, message: bytes, *recipients: str, sender: str = ALICE, **more: str) -> None:
        """Submit it at foo.test."""
        submit(self.foo, sender, recipients or (BOB,), message, door=self.door, **more)

    # --- what arrived

    def until(self, what: str, holds: Callable[[], Any], seconds: float = 40.0) -> Any:
        """The first true answer; the test fails when none comes in time."""
        end = time.monotonic() + seconds * slowness()
        while time.monotonic() < end:
            found = holds()
            if found:
                return found
            time.sleep(0.1)
        return self.fail(f"not within {seconds:.0f} s: {what}; queues: {self.queues()}")

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    def queues(self) -> dict[str, list[dict[str, Any]]]:
        """What waits, domain by domain."""
        waiting: dict[str, list[dict[str, Any]]] = {name: host.queue() for name, host in self.hosts.hosts.items()}
        return {name: found for name, found in waiting.items() if found}

    def settle(self, seconds: float = 60.0) -> None:
        """Return when nothing waits anywhere: what has not arrived then is lost, and what came twice is there."""

        last = time.monotonic()

        def is_still() -> bool:
            nonlocal last
            # Between two hosts a message is in no queue that was looked at before it left.
            waiting = self.queues() or self.queues()
            if self.is_impatient and waiting and time.monotonic() - last > IMPATIENCE:
                # A queue manager that meets a file in the last moment of an attempt leaves it alone for minutes.
                last = time.monotonic()
                for name in waiting:
                    self.hosts[name].flush()
            return not waiting

        self.until("every queue is empty", is_still, seconds)

    def inbox(self, address: str, word: str = "") -> list[bytes]:
        """The messages of this test in a mailbox."""
        user, _, domain = address.partition("@")
        return read(self.hosts[domain], user, word or self.word)

    def require_arrived(
        self, expected: Mapping[str, Sequence[bytes]], what: str = "", *, at_least: bool = False
    ) -> dict[str, list[bytes]]:
        """Every mailbox has these messages, each once and identical to the byte below what servers put on top, and no
        others; the messages as they arrived, mailbox by mailbox. `at_least` allows some of them to have come twice."""
        self.settle()
        arrived = {address: self.inbox(address) for address in expected}
        for address, messages in expected.items():
            found = list(arrived[address])
            for message in messages:
                ended = [each for each in found if each.endswith(b"\n" + message)]
                is_right = len(ended) >= 1 if at_least else len(ended) == 1
                self.assertTrue(is_right, f"{address}, {len(ended)} times: {message[:200]!r}")
                found = [each for each in found if each not in ended]
            self.assertEqual(found, [], f"{address} has what nobody sent")
        self.did(what, sum(map(len, expected.values())), [each for some in arrived.values() for each in some])
        return arrived

    def did(self, what: str, sent: int, received: Sequence[bytes]) -> None:
        """Write down what was shown, if somebody wants to know."""
        self.note(what, sent, len(received), sum(map(len, received)))

    def note(self, what: str, sent: int, received: int, octets: int) -> None:
        """The same by numbers."""
        place = os.environ.get(RECORD)
        if place and what:
            line = {"what": what, "sent": sent, "received": received, "octets": octets}
            with Path(place).open("a") as file:
                file.write(json.dumps(line) + "\n")

    def host_of(self, address: str) -> MailHost:
        """The domain of an address."""
        return self.hosts[address.partition("@")[2]]

    def _late(self, *_: object) -> None:
        raise TimeoutError(f"the test takes longer than {self.seconds} s")
