"""What rrsctl mail says of hosts that it has set up."""

import json
import os
import subprocess
import sys
from typing import Any

from rrsd.cli.demo.daemons import Daemon
from tests.mail.arrival import MIXED, attached
from tests.mail.case import BOB, MailCase
from tests.processes.houses import set_key
from tests.support.chains import Sealer, verdict
from tests.support.mailhosts import HASTY, SELECTOR, MailHost
from tests.support.running import run


class Check(MailCase):
    """rrsctl mail check, of Postfix, Dovecot and a daemon that run."""

    def checked(self, host: MailHost | None = None) -> dict[str, Any]:
        """The findings about foo.test, or another."""
        host = host or self.foo
        daemon, ports = host.daemon, host.ports
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
            f"--submission=127.0.0.1:{ports[HASTY]}/inet", f"--signer=inet:127.0.0.1:{ports['sign']}",
            f"--verifier=inet:127.0.0.1:{ports['verify']}", f"--postfix={host.etc}", f"--selector={SELECTOR}",
            f"--dovecot={host.folder / 'dovecot.conf'}",
            f"--masters={host.folder / 'masters'}",
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

    def test_service_behind_a_hash(self) -> None:
        """A master.cf without submission: the script says so and changes nothing, and check says the same."""
        daemon = self.foo.daemon
        assert daemon is not None
        command = [sys.executable, "-m", "rrsd.cli.main", "--config", str(daemon.plan.config)]
        script, before = run(*command, "mail", "setup", "--commands"), self.foo.etc / "master.cf"
        text = before.read_text()
        around = os.environ | {"MAIL_CONFIG": str(self.foo.etc)}
        done = subprocess.run(["sh"], input=script, env=around, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, before.read_text()), (os.EX_UNAVAILABLE, text))
        self.assertIn("master.cf has no service submission/inet: ", done.stderr)
        said = json.loads(run(*command, "--json", "mail", "check", f"--postfix={self.foo.etc}", may_fail=True))
        (error,) = [each for each in said["findings"] if each["about"].startswith("master.cf submission/inet")]
        self.assertEqual(error["level"], "error")
        self.assertIn("take the # off", error["text"])
        self.note("rrsctl mail setup changes nothing of a Postfix without submission, and says so", 0, 0, 0)

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

    def test_seals(self) -> None:
        """With `[mail] arc` a completed message is sealed, by the key whose record setup prints and check looks for."""
        seal, daemon = Sealer("bar.test", "arc1"), self.bar.daemon
        assert daemon is not None
        path = daemon.plan.folder / "keys" / "arc.pem"
        path.touch(0o600)
        path.write_bytes(seal.pem)
        set_key(daemon, "mail", "arc_key", str(path))
        self.addCleanup(self._restart, daemon, "")
        self._restart(daemon, "arc1")
        (line,) = [each for each in self.bar.printed_lines() if each["file"] == "DNS"]
        (missing,) = [each for each in self.checked(self.bar)["findings"] if each["about"] == "ARC key"]
        self.hosts.servers.set("bar.test", "arc1._domainkey", 60, "TXT", line["value"])
        (there,) = [each for each in self.checked(self.bar)["findings"] if each["about"] == "ARC key"]
        self.assertEqual((missing["level"], there["level"]), ("error", "ok"))
        self.send(self.message(attached(os.urandom(2_000_000)), more=MIXED))
        self.settle()
        (message,) = self.inbox(BOB)
        self.assertEqual(verdict(message, {seal.name: seal.record()}), ("pass", 1))
        self.did("a completed message sealed by ARC; dkimpy finds that it holds", 1, [message])

    def _restart(self, daemon: Daemon, selector: str) -> None:
        daemon.stop()
        text = daemon.plan.config.read_text()
        if selector:
            set_key(daemon, "mail", "arc", selector)
        else:
            daemon.plan.config.write_text(
                text.replace("\narc = ", "\n#arc = ").replace("\narc_key = ", "\n#arc_key = ")
            )
        daemon.start()
        daemon.wait_ready()
        self.bar.wait_ready()
