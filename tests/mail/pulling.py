"""A domain that pulls through a front, and what tests of troubles count: each message once, whole to the byte or as it
left, and no report to anybody."""

import contextlib
import functools
import re
import threading
from collections.abc import Sequence
from pathlib import Path

from typing_extensions import override

from rrsd.cli.demo.daemons import Daemon
from rrsd.core.refusals import Refusal
from rrsd.core.values.digests import Digest
from tests.mail.attachments import MIB, AttachmentCase
from tests.mail.case import BAR, BOB, FOO
from tests.mail.fronts import Front, Trouble
from tests.mail.letters import Attachment
from tests.processes.houses import change, set_key
from tests.support.mailhosts import MailHost, MailHosts
from tests.support.mailprograms import Mailbox


@functools.cache
def front_of(hosts: MailHosts) -> Front:
    """What bar.test pulls through from now on; without trouble nobody notices."""
    sender, recipient = (_daemon(hosts[name].daemon) for name in (FOO, BAR))
    pairs = [(each.plan.certificate, each.plan.key) for each in (sender, recipient)]
    front = Front(sender.port, *pairs)
    change(recipient, f"{FOO} = 127.0.0.1 {sender.port}", f"{FOO} = 127.0.0.1 {front.port}")
    restart(recipient)
    return front


def restart(daemon: Daemon) -> None:
    """Stopped and started; ready."""
    daemon.stop()
    daemon.start()
    daemon.wait_ready()


class TroubleCase(AttachmentCase):
    """bar.test pulls from foo.test through a front."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.sender, self.recipient = _daemon(self.foo.daemon), _daemon(self.bar.daemon)
        self.front = front_of(self.hosts)
        self.addCleanup(self.front.become, Trouble.NONE)
        self.known = 0
        self.reports = len(self.reported())

    def told(self, **keys: str) -> None:
        """The recipient's daemon has these keys of [mail] until the test is over."""
        before = self.recipient.plan.config.read_text()
        self.addCleanup(restart, self.recipient)
        self.addCleanup(self.recipient.plan.config.write_text, before)
        for name, value in keys.items():
            set_key(self.recipient, "mail", name, value)
        restart(self.recipient)

    def reported(self) -> list[int]:
        """What alice has got from mail servers."""
        with Mailbox(self.foo, "alice") as box:
            return box.find("Undelivered")

    def film(self, size: int = 2 * MIB) -> tuple[bytes, Sequence[Attachment]]:
        """A message with an attachment that no other test has."""
        self._number += 1
        seed = sum(map(ord, self.word)) * 1000 + self._number
        return self.letter(Attachment("film.mp4", size, seed))

    def wait_held(self) -> None:
        """Return when bar.test's mail server keeps a message, because it was told 450."""

        def is_held() -> bool:
            waiting = self.bar.queue()
            return bool(waiting) and all("450" in str(each["recipients"]) for each in waiting)

        self.until("the message is held", is_held)
        self.assertEqual(len(self.inbox(BOB)), self.known)

    @override
    def settle(self, seconds: float = 60.0) -> None:
        """What waits is tried now, and again: when the next attempts would be is another test's."""
        ended = threading.Event()

        def press() -> None:
            while not ended.wait(1.0):
                self.again()

        pressing = threading.Thread(target=press, daemon=True)
        pressing.start()
        try:
            super().settle(seconds)
        finally:
            ended.set()
            pressing.join()

    def again(self) -> None:
        """Try every pull now."""
        local = self.recipient.local()
        try:
            with contextlib.suppress(Refusal):
                local.act_all("release", {"all": True})
                local.act_all("retry-now", {"all": True})
        finally:
            local.close()

    def require_placeholder(self, what: str) -> None:
        """The message stands in bob's mailbox once, as it left, and nobody was told of a failure."""
        (message,) = self.inbox(BOB)
        self.assertIn(b"message/external-body", message)
        self.assertEqual(len(self.reported()), self.reports)
        self.did(what, 1, [message])

    def arrived(self, head: bytes, files: Sequence[Attachment], what: str, *addresses: str) -> None:
        """The message stands in each mailbox once, whole, and nobody was told of a failure."""
        sizes = [self.require_whole(each, head, files) for each in addresses or (BOB,)]
        self.assertEqual(len(self.reported()), self.reports)
        self.note(what, len(sizes), len(sizes), sum(sizes))

    def accepted(self, host: MailHost, head: bytes) -> int:
        """How many queue files of its Postfix had this message, by its log."""
        log = host.log.read_text(errors="replace")
        name = head.split(b"Message-ID: <")[1].split(b">")[0].decode()
        begun = re.findall(rf"cleanup\[\d+\]: (\w+): message-id=<{re.escape(name)}>", log)
        return len({each for each in begun if re.search(rf"qmgr\[\d+\]: {each}: from=", log)})


def blob_of(daemon: Daemon, file: Attachment) -> Path:
    """Where the daemon keeps it."""
    digest = Digest(bytes.fromhex(file.sha256))
    return daemon.plan.folder / "data" / "blobs" / digest.hex[:2] / digest.b64


def _daemon(daemon: Daemon | None) -> Daemon:
    assert daemon is not None
    return daemon
