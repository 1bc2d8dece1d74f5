"""What rrsctl mail says of hosts that it has set up."""

import json
import sys
from typing import Any

from tests.mail.case import MailCase
from tests.support.mailhosts import SELECTOR
from tests.support.running import run


class Check(MailCase):
    """rrsctl mail check, of Postfix, Dovecot and a daemon that run."""

    def checked(self) -> dict[str, Any]:
        """The findings about foo.test."""
        daemon, ports = self.foo.daemon, self.foo.ports
        assert daemon is not None
        command = [
            sys.executable,
            "-m",
            "rrsd.cli.main",
            "--config",
            str(daemon.plan.config),
            "--json",
            "mail",
            "check",
        ]
        options = [
            f"--submission=127.0.0.1:{ports['submission']}/inet", f"--signer=inet:127.0.0.1:{ports['sign']}",
            f"--verifier=inet:127.0.0.1:{ports['verify']}", f"--postfix={self.foo.etc}", f"--selector={SELECTOR}",
            f"--dovecot={self.foo.folder / 'dovecot.conf'}",
            f"--masters={self.foo.folder / 'masters'}",
        ]  # fmt: skip
        found: dict[str, Any] = json.loads(run(*command, *options, may_fail=True))
        return found

    def test_all_is_well(self) -> None:
        """Nothing is missing of what was set up."""
        found = self.checked()
        self.assertEqual([each for each in found["findings"] if each["level"] != "ok"], [])
        self.note(f"rrsctl mail check finds nothing missing ({len(found['findings'])} findings)", 0, 0, 0)

    def test_something_is_missing(self) -> None:
        """A parameter and a server: each with what mends it, and mended by it."""
        self.addCleanup(self.foo.wait_ready)
        self.addCleanup(self.foo.start_dovecot)
        self.foo.postconf("-P", "rrsdin/unix/lmtp_send_xforward_command=no")
        self.foo.running.stop("dovecot")
        errors = [each for each in self.checked()["findings"] if each["level"] == "error"]
        places = {each["about"]: each["text"] for each in errors}
        dovecot = {"[mail] inbound_next", "[imap] endpoint"}
        self.assertEqual(set(places), dovecot | {"master.cf rrsdin/unix/lmtp_send_xforward_command"})
        _, _, command = places["master.cf rrsdin/unix/lmtp_send_xforward_command"].partition("postconf -P ")
        self.foo.postconf("-P", command.strip("'"))
        errors = [each["about"] for each in self.checked()["findings"] if each["level"] == "error"]
        self.assertEqual(set(errors), dovecot)
        self.note("rrsctl mail check names what is missing, and its line mends it", 0, 0, 0)

    def test_master_user_is_missing(self) -> None:
        """Nobody swaps anything then; the line that is named mends it."""
        masters = self.foo.folder / "masters"
        line = masters.read_text()
        self.addCleanup(masters.write_text, line)
        masters.write_text("")
        (error,) = [each for each in self.checked()["findings"] if each["level"] == "error"]
        self.assertEqual(error["about"], "[imap] endpoint")
        self.assertIn(str(masters), error["text"])
        masters.write_text(line)
        self.assertEqual([each for each in self.checked()["findings"] if each["level"] == "error"], [])
        self.note("rrsctl mail check misses the master user of the mailboxes", 0, 0, 0)
