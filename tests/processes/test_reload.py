"""SIGHUP: new connections see the new certificate, a transfer that runs goes on over the old one; policies change."""

import os
import signal
import ssl
from pathlib import Path

from rrsd.cli.session import clock
from rrsd.core.values.instants import instant
from rrsd.drivers.keys import files
from rrsd.drivers.keys.certificates import DevelopmentAuthority
from tests.processes.houses import MIB, HouseCase, set_key


class Reload(HouseCase):
    """The sending domain's certificate is renewed while the recipient's domain pulls."""

    def test_running_transfer(self) -> None:
        """The transfer finishes in one attempt with the right digest; meanwhile others see the new certificate."""
        self.start()
        self.settle("bob@bar.test")
        message, (film,) = self.send(self.settle("alice@foo.test"), 48 * MIB)
        before = self._served()
        self.gate.most = 20 * MIB
        (number,) = self.deliver(message)
        self.until("the transfer is in its middle", lambda: self.gate.is_holding)
        self._renew()
        self._hang_up()
        self.until("another certificate is served", lambda: self._served() != before)
        self.assertEqual(self.job(number)["state"], "leased")
        self.gate.open()
        done = self.await_state(number, "receipted")
        self.assertEqual((done["attempts"], self.fetched(number)), (1, film.size))
        self.require_kept(film)

    def test_bad_certificate_changes_nothing(self) -> None:
        """What cannot be used is named in one line; the old certificate is served on."""
        self.start(self.foo)
        before = self._served()
        self.foo.plan.certificate.write_text("no certificate")
        self._hang_up()
        said = self.until("it complains", lambda: [line for line in self._log() if "everything is as it was" in line])
        self.assertEqual(len(said), 1)
        self.assertIn(str(self.foo.plan.certificate), said[0])
        self.assertEqual(self._served(), before)
        self.foo.plan.certificate.unlink()
        self._renew()
        self._hang_up()
        self.until("the good one is served", lambda: self._served() != before)

    def test_policies(self) -> None:
        """New policies decide from SIGHUP on; a file with an error is named in one line, and the old ones hold."""
        own = self.root / "policy.cedar"
        self._write(own, "")
        set_key(self.foo, "policy", "path", str(own))
        self.start(self.foo)
        question = ("policy", "explain", "--client", "_rra.foo.test", "--target", "https://rs.bar.test", "--user")
        asked = (*question, "alice@foo.test")
        self.assertEqual(self.rrsctl(self.foo, *asked)[0], 0)
        self._write(own, '@id("never") forbid (principal is Client, action, resource is Server);')
        self._hang_up()
        self.until("the new one decides", lambda: self.rrsctl(self.foo, *asked)[0] == os.EX_NOPERM)
        self._write(own, "permit;\nforbid;")
        self._hang_up()
        said = self.until("it complains", lambda: [line for line in self._log() if "everything is as it was" in line])
        self.assertEqual(len(said), 1)
        self.assertIn(f"{own} line 1", said[0])
        self.assertEqual(self.rrsctl(self.foo, *asked)[0], os.EX_NOPERM)
        self.assertEqual(self.rrsctl(self.foo, "check")[0], os.EX_UNAVAILABLE)

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o644)

    def _renew(self) -> None:
        plan = self.foo.plan
        assert plan.authority is not None
        authority = DevelopmentAuthority(
            files.read_public(plan.authority / "ca.pem"), (plan.authority / "ca.key").read_bytes()
        )
        certificate, key = authority.issue([str(plan.domain)], instant(clock()))
        files.replace(plan.certificate, certificate, files.PUBLIC)
        files.replace(plan.key, key)
        self.secrets.add(key.decode().splitlines()[1])

    def _hang_up(self) -> None:
        os.kill(self.foo.pid, signal.SIGHUP)

    def _served(self) -> str:
        return ssl.get_server_certificate(("127.0.0.1", self.foo.port), timeout=5)

    def _log(self) -> list[str]:
        return self.foo.log.read_text().splitlines()
