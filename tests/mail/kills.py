"""kill -9 of the servers around rrsd while messages and attachments are on their way. Counted from outside."""

import contextlib
import imaplib
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from typing_extensions import override

from tests.mail.case import BAR
from tests.mail.streams import KILLS, KillCase
from tests.processes.houses import trail_of
from tests.support.killing import family
from tests.support.mailhosts import MailHost
from tests.support.mailprograms import Mailbox

DOVECOT = ("anvil", "auth", "config", "imap", "imap-login", "lmtp", "log", "stats")


class Kills(KillCase):
    """Whoever stands between two mailboxes."""

    def kill_postfix(self, host: MailHost, *busy: str) -> None:
        """Every process of it, while it has some of these."""
        master = int((host.folder / "spool" / "pid" / "master.pid").read_text())
        self.kill(master, "postlogd", *busy)
        host.start_postfix()
        host.wait_ready()

    def test_postfix_of_the_recipient(self) -> None:
        """What one of its smtpd had taken without saying so is sent again by the sender's Postfix (RFC 1047)."""
        for _ in self.kills():
            self.kill_postfix(self.bar, "master", "smtpd", "cleanup", "qmgr", "lmtp")
        self.require_counted("kill -9 of the recipient's Postfix", postfixes=self.killed["smtpd"])

    def test_postfix_of_the_sender(self) -> None:
        """What one of its smtp had sent without writing it down is sent again."""
        for _ in self.kills():
            self.kill_postfix(self.foo, "master", "smtpd", "cleanup", "qmgr", "smtp")
        self.require_counted("kill -9 of the sender's Postfix", postfixes=self.killed["smtp"])

    def test_opendkim(self) -> None:
        """Of both domains."""
        for _ in self.kills():
            for host in (self.foo, self.bar):
                for name in ("sign", "verify"):
                    self.kill(host.running.pid(f"dkim-{name}"), "", "opendkim")
                    host.running.stop(f"dkim-{name}")
                    host.start_dkim(name)
                host.wait_ready()
        self.require_counted("kill -9 of OpenDKIM in both domains")

    def test_unbound(self) -> None:
        """Signatures cannot be verified meanwhile."""
        servers = self.hosts.servers
        for _ in self.kills():
            self.kill(servers.pid("unbound"), "", "unbound")
            servers.stop("unbound")
            self.pause(0.5)
            servers.start_resolver()
        self.require_counted("kill -9 of Unbound")


class Mailboxes(KillCase):
    """Dovecot. It stores a message and then writes down that it has it: what it had when it died between the two, rrsd
    finds out by IMAP."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.before_kills = self.asked()

    def asked(self) -> int:
        """How often a mailbox had what it was to be given again."""
        return sum(line["evidence"] == "the mailbox has it" for line in trail_of(self.recipient, "deliver"))

    @override
    def require_counted(self, what: str, *, postfixes: int = 0, times: int = len(KILLS)) -> None:
        told = f"{what} ({self.asked() - self.before_kills} had been stored)"
        super().require_counted(told, postfixes=postfixes, times=times)

    def test_dovecot(self) -> None:
        """Every process of it at once."""
        for _ in self.kills():
            box = Mailbox(self.bar, "bob")
            self.kill_dovecot("dovecot", "lmtp", "imap")
            with contextlib.suppress(imaplib.IMAP4.error, OSError), box:
                box.find()
            self.revive()
        self.require_counted("kill -9 of the recipient's Dovecot")

    def test_dovecot_while_it_numbers(self) -> None:
        """It has the lock of a maildir, which stays: nobody waits for it afterwards."""
        for _ in self.kills():
            self.until("it has a lock", self.stop_with_lock)
            self.kill_dovecot()
            left = self.locks()
            self.revive()
            self.assertTrue(left)
            self.until("both mailboxes open", lambda: all(map(self.enter, ("bob", "carol"))), 10)
        self.require_counted("kill -9 of the recipient's Dovecot while it has a lock")

    def test_processes_of_dovecot(self) -> None:
        """One kind after another, while the others live. Who does not want to wait for a lock starts it all anew."""
        for name, _ in zip(DOVECOT, self.kills(range(2, 2 + len(DOVECOT))), strict=True):
            with self.programs():
                self.kill_some(name)
            if self.has_stale_lock():
                self.kill_dovecot()
                self.revive()
        told = "kill -9 of one kind of Dovecot's processes after another"
        self.require_counted(told, times=len(DOVECOT))

    # --- who dies

    def kill_dovecot(self, *busy: str) -> None:
        """All of it."""
        self.kill(self.bar.running.pid("dovecot"), "log", *busy)

    def kill_some(self, name: str) -> None:
        """The processes of that name."""
        found = self.until(f"{name} is there", lambda: self.called(name))
        signal_all(found, signal.SIGKILL)
        self.killed[name] += len(found)

    def called(self, name: str) -> list[int]:
        """The processes of that name."""
        return [each.pid for each in family(self.bar.running.pid("dovecot")) if each.name == name]

    def revive(self) -> None:
        """As the script of an administrator does it."""
        self.bar.revive_dovecot()
        self.bar.wait_ready()

    # --- locks

    def locks(self) -> dict[Path, int]:
        """Those of the maildirs, and the file that each is."""
        found = {}
        for user in ("bob", "carol"):
            path = self.bar.folder / "mail" / BAR / user / "Maildir" / "dovecot-uidlist.lock"
            with contextlib.suppress(FileNotFoundError):
                found[path] = path.stat().st_ino
        return found

    def has_stale_lock(self) -> bool:
        """Whether one stays: a living Dovecot has it for an instant."""
        before = self.locks()
        if before:
            self.pause(1.0)
        return bool(before.items() & self.locks().items())

    def stop_with_lock(self) -> bool:
        """Whether those who deliver stand still, and one of them has a lock. There is always something to deliver."""
        if len(self.sent) == self.many:
            self.hand_in(self.letter_of(1))
            self.many += 1
        deliver = self.called("lmtp")
        end = time.monotonic() + 0.1
        while not self.locks():
            if time.monotonic() > end:
                return False
        signal_all(deliver, signal.SIGSTOP)
        is_caught = self.has_stale_lock()
        if not is_caught:
            signal_all(deliver, signal.SIGCONT)
        return is_caught

    # --- who looks

    @contextlib.contextmanager
    def programs(self) -> Iterator[None]:
        """One has the mailbox open, another one has not said who it is; both may lose their connection."""
        box: Mailbox = self.until("bob can log in", lambda: self.enter("bob"))
        with socket.create_connection(("127.0.0.1", self.bar.ports["imap"])):
            yield
            with contextlib.suppress(imaplib.IMAP4.error, OSError), box:
                box.find()

    def enter(self, user: str) -> Mailbox | None:
        """The mailbox, unless Dovecot cannot open it now."""
        try:
            return Mailbox(self.bar, user)
        except (imaplib.IMAP4.error, OSError):
            return None


def signal_all(processes: list[int], number: signal.Signals) -> None:
    """Those that are still there."""
    for each in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, number)
