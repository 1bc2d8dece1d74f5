"""The daemon's disk is full, at the sender's and at the recipient's, and has space again: each message once, whole."""

import shutil
import subprocess
from pathlib import Path

from rrsd.cli.demo.daemons import Daemon
from tests.mail.attachments import MIB
from tests.mail.case import BOB
from tests.mail.pulling import TroubleCase, blob_of
from tests.processes.houses import set_key

DISK = 24 * MIB


class FullDisks(TroubleCase):
    """A daemon's data, spool and database are on a file system of their own, for one test."""

    def move(self, daemon: Daemon) -> None:
        """Its data are on a small disk until the test is over, without the bytes of other tests' messages."""
        data = daemon.plan.folder / "data"
        kept = daemon.plan.folder / "kept"
        before = daemon.plan.config.read_text()
        daemon.stop()
        shutil.copytree(data, kept, ignore=shutil.ignore_patterns("blobs", "*.sock"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK},mode=0700", "rrsd-test", str(data)], check=True)
        self.addCleanup(self.move_back, daemon, before)
        shutil.copytree(kept, data, dirs_exist_ok=True)
        shutil.rmtree(kept)
        set_key(daemon, "store", "keep_free", "1MiB")
        daemon.start()
        daemon.wait_ready()

    def move_back(self, daemon: Daemon, config: str) -> None:
        """As if the test had not been."""
        daemon.stop()
        lines = (daemon.plan.folder / "data" / "audit.jsonl").read_bytes()
        subprocess.run(["umount", "--lazy", str(daemon.plan.folder / "data")], check=True)
        daemon.audit.write_bytes(lines)
        daemon.plan.config.write_text(config)
        daemon.start()
        daemon.wait_ready()

    def fill(self, daemon: Daemon, left: int) -> Path:
        """A file that leaves so many bytes, or none."""
        folder = daemon.plan.folder / "data"
        filler = folder / "filler"
        free = shutil.disk_usage(folder).free
        with filler.open("wb", buffering=0) as file:
            try:
                for _ in range(max(0, free - left) // 4096):
                    file.write(bytes(4096))
                while not left:
                    file.write(bytes(512))
            except OSError:
                pass
        return filler

    def test_sender(self) -> None:
        """While the attachment comes in: the sender's mail server keeps the message."""
        self.move(self.sender)
        filler = self.fill(self.sender, 3 * MIB)
        head, files = self.film(6 * MIB)
        self.post(head, files)
        self.until("it was told 452", lambda: "452" in str(self.foo.queue()))
        self.assertEqual((self.inbox(BOB), self.bar.queue()), ([], []))
        filler.unlink()
        self.settle()
        self.arrived(head, files, "the sender's disk is full while an attachment comes in")

    def test_recipient_pulls(self) -> None:
        """While it is pulled: the recipient's mail server keeps the placeholder."""
        self.move(self.recipient)
        filler = self.fill(self.recipient, 4 * MIB)
        head, files = self.film(6 * MIB)
        self.post(head, files)
        self.wait_held()
        self.pause(1.0)
        self.wait_held()
        filler.unlink()
        self.settle()
        self.arrived(head, files, "the recipient's disk is full while an attachment is pulled")

    def test_recipient_delivers(self) -> None:
        """When it is put together: nothing can be written down, nothing comes twice."""
        self.move(self.recipient)
        head, files = self.film(3 * MIB)
        self.bar.running.stop("dovecot")
        self.post(head, files)
        self.until("it was pulled", blob_of(self.recipient, files[0]).exists)
        self.until("the mailboxes are missed", lambda: self.bar.queue())
        filler = self.fill(self.recipient, 0)
        self.bar.start_dovecot()
        self.pause(3.0)
        filler.unlink()
        self.settle()
        self.arrived(head, files, "the recipient's disk is full during the delivery")
