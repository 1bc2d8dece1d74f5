"""One very large attachment, through servers of its own: its cost in memory, on the disk and in time."""

import hashlib
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from typing_extensions import override

from rrsd.cli.output import size
from tests.mail.attachments import MIB, TEXT, AttachmentCase
from tests.mail.case import ALICE, BAR, BOB, FOO, ended
from tests.mail.letters import Attachment, after, digest_of, with_attachments
from tests.support.amounts import chosen
from tests.support.killing import family
from tests.support.mailhosts import MailHosts
from tests.support.mailprograms import Mailbox, submit

RESIDENT = 200 * 1000 * 1000
SETTLED = 2400.0


class Large(AttachmentCase):
    """From the sender's mail program to the recipient's. When it is over its servers go, with everything that they
    had on the disk."""

    seconds = 3600

    @override
    def begin(self) -> MailHosts:
        folder = Path(tempfile.mkdtemp(prefix="rrsd-"))
        hosts = MailHosts(folder, (FOO, BAR))
        self.addCleanup(ended, hosts, Path("mail", "large").absolute())
        hosts.start()
        return hosts

    @override
    def setUp(self) -> None:
        self.peaks: dict[str, int] = {}
        self.free, self.most = shutil.disk_usage(tempfile.gettempdir()).free, 0
        self.hashed = hashlib.sha256()
        super().setUp()

    def test_large(self) -> None:
        """No process of ours grows beyond 200 MB, whatever the size."""
        octets = chosen()
        head, files = self.letter(Attachment("film.mp4", octets, 9))
        end, began = threading.Event(), time.monotonic()
        watch = threading.Thread(target=self._watch, args=(end,), daemon=True)
        watch.start()
        try:
            submit(self.foo, ALICE, (BOB,), self._heard(with_attachments(head, TEXT, *files)))
            self.settle(SETTLED)
            arrived = self._arrived(head[: head.index(b"\r\n") + 2])
        finally:
            end.set()
            watch.join()
        self.assertEqual(arrived[0], self.hashed.hexdigest())
        told = ", ".join(f"{name} {peak // MIB} MiB" for name, peak in sorted(self.peaks.items()))
        what = f"{size(octets)} attached, {time.monotonic() - began:.0f} s; resident at most: {told}"
        self.note(f"{what}; {size(self.most)} of disk; {self.wire(self.bar)} octets by SMTP", 1, 1, arrived[1])
        self.assertEqual({name: peak for name, peak in self.peaks.items() if peak > RESIDENT}, {}, told)
        self.assertLess(self.wire(self.bar), 64 << 10)

    def _heard(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """The same, remembered by its digest."""
        for block in blocks:
            self.hashed.update(block)
            yield block

    def _arrived(self, mark: bytes) -> tuple[str, int]:
        """The digest and the octets of what is in the mailbox, once."""
        with Mailbox(self.bar, "bob") as box:
            (uid,) = box.find(self.word)
            return digest_of(after(box.pieces(uid), mark))

    def _watch(self, end: threading.Event) -> None:
        """What each process of ours has had resident at most, by its kernel, and all servers on the disk."""
        while not end.wait(1.0):
            for host in (self.foo, self.bar):
                assert host.daemon is not None
                for each in family(host.daemon.pid):
                    self._look(f"{host.name} {each.name}", each.pid)
            # Dovecot has unlinked one of its copies: only the disk knows of it.
            self.most = max(self.most, self.free - shutil.disk_usage(self.hosts.folder).free)

    def _look(self, name: str, pid: int) -> None:
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            return
        for line in lines:
            if line.startswith("VmHWM"):
                self.peaks[name] = max(self.peaks.get(name, 0), int(line.split()[1]) * 1024)
