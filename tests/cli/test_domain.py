"""rrsctl init and check: a domain from nothing, and what is wrong with one."""

import os
import socket
import stat
from datetime import timedelta
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rrsd.cli.demo.daemons import free_ports
from rrsd.cli.init import Plan, first_values, make
from rrsd.cli.main import run
from rrsd.config.settings import parse_settings
from rrsd.core.values.addresses import parse_client_identifier, parse_domain
from rrsd.core.values.instants import instant
from rrsd.drivers.keys.certificates import self_signed_client
from rrsd.drivers.keys.service import Keyring
from rrsd.drivers.keys.settings import Settings as KeySettings
from rrsd.drivers.keys.walk import Step
from tests.cli.doubles import NOW, Bench, bench


class Case(SynchronousTestCase):
    """A folder for a domain."""

    def setUp(self) -> None:
        """Make the folder."""
        self.root = Path(self.mktemp()).absolute()
        self.folder = self.root / "foo"

    def rrsctl(self, *words: str, now: float = NOW) -> tuple[int, Bench]:
        """Run one command line."""
        made = bench(self.root)
        made.session.now = lambda: now
        return run(words, made.session), made

    def init(self, *more: str) -> tuple[int, Bench]:
        """Make foo.test on a port that is free."""
        (port,) = free_ports(1)
        words = ("init", "foo.test", "--folder", str(self.folder), "--port", str(port), *more)
        return self.rrsctl(*words)

    def check(self, now: float = NOW) -> tuple[int, str]:
        """Check it; what was found."""
        status, made = self.rrsctl("--config", str(self.folder / "rrsd.ini"), "check", now=now)
        return status, made.out.getvalue() + made.err.getvalue()


class Init(Case):
    """rrsctl init."""

    def test_complete(self) -> None:
        """The first INI file is right, the private files are their owner's, and the next steps are said."""
        status, made = self.init("--development")
        self.assertEqual(status, 0, made.err.getvalue())
        settings = parse_settings((self.folder / "rrsd.ini").read_text())
        self.assertEqual(str(settings.domain.name), "foo.test")
        for name in ("keys/client.key", "keys/signing.json", "tls/privkey.pem", "authority/ca.key"):
            self.assertEqual(stat.S_IMODE((self.folder / name).stat().st_mode), 0o600, name)
        self.assertIn("twistd -n rrsd --config", made.out.getvalue())

    def test_every_first_value_is_a_key(self) -> None:
        """No first value is written for a key that does not exist: all of them stand in the file."""
        plan = Plan(parse_domain("foo.test"), self.folder, authority=self.root / "authority")
        make(plan, instant(NOW), first_values(plan))
        text = plan.config.read_text()
        for (section, key), value in first_values(plan).items():
            self.assertIn(f"\n{key} = {value}\n", text, section)

    def test_idempotent(self) -> None:
        """A second time changes nothing."""
        self.init("--development")
        before = {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}
        status, made = self.init("--development")
        after = {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}
        self.assertEqual((status, before == after), (0, True))
        self.assertIn("nothing", made.out.getvalue())

    def test_completes_what_is_there(self) -> None:
        """What is missing is made, what is there stays."""
        self.init("--development")
        (self.folder / "rrsd.ini").write_text("mine\n")
        (self.folder / "keys" / "signing.json").unlink()
        client = (self.folder / "keys" / "client.pem").read_bytes()
        self.assertEqual(self.init("--development")[0], 0)
        self.assertEqual((self.folder / "rrsd.ini").read_text(), "mine\n")
        self.assertEqual((self.folder / "keys" / "client.pem").read_bytes(), client)
        self.assertTrue((self.folder / "keys" / "signing.json").exists())

    def test_keys_that_others_may_read(self) -> None:
        """A key that others may read is not accepted."""
        self.init()
        (self.folder / "keys" / "client.key").chmod(0o644)
        self.assertEqual(self.init()[0], os.EX_NOPERM)

    def test_no_place(self) -> None:
        """A folder that cannot be made is named."""
        self.root.mkdir(parents=True)
        self.folder.write_text("a file")
        status, made = self.init()
        self.assertNotEqual(status, 0)
        self.assertIn("foo", made.err.getvalue())


class Check(Case):
    """rrsctl check."""

    def test_good(self) -> None:
        """A fresh domain has nothing wrong with it."""
        self.init("--development")
        status, text = self.check(now=NOW + 60)
        self.assertEqual(status, 0, text)
        self.assertIn("it is not running", text)

    def test_all_errors_at_once(self) -> None:
        """Every error of the INI file is reported, with what would be right."""
        self.init("--development")
        (self.folder / "rrsd.ini").write_text("[domain]\nnmae = foo.test\nissuer = http://foo.test\n[nonsense]\n")
        status, text = self.check()
        self.assertEqual(status, os.EX_CONFIG)
        for word in ("nmae", "issuer", "nonsense"):
            self.assertIn(word, text)

    def test_mail_that_the_daemon_does_not_start_with(self) -> None:
        """Endpoints, commands and the key of seals are read as the daemon reads them, all at once."""
        self.init("--development")
        config = self.folder / "rrsd.ini"
        wrong = (
            "outbound = garbage", "inbound = tcp", "outbound_next = tcp:host", "inbound_next = smtp:host:24",
            'flush = "postqueue -i {id}', "arc = arc1",
        )  # fmt: skip
        more = "\n[mail]\n" + "".join(f"{line}\n" for line in wrong)
        before = config.read_text()
        config.write_text(before.replace("\n[mail]\n", more).replace("\n[imap]\n", "\n[imap]\nendpoint = x\n"))
        status, text = self.check(now=NOW + 60)
        self.assertEqual(status, os.EX_UNAVAILABLE)
        for key in ("outbound", "inbound", "outbound_next", "inbound_next", "flush", "arc_key"):
            self.assertRegex(text, rf"error  \[mail\] {key} .* the daemon does not start with it")
        self.assertIn("[imap] endpoint", text)
        good = "\n[mail]\noutbound = systemd:domain=INET:index=1\ninbound = /run/rrsd/lmtp\n"
        config.write_text(before.replace("\n[mail]\n", good))
        self.assertNotIn("does not start", self.check(now=NOW + 60)[1])

    def test_clients_of_the_token_service(self) -> None:
        """Each client of the settings is tried as the daemon would register it, and its files are read."""
        self.init("--development")
        config, good = self.folder / "rrsd.ini", self.folder / "good.pem"
        name = parse_client_identifier("_rra.partner.test")
        good.write_bytes(self_signed_client(name, instant(NOW)).certificate_pem)
        config.write_text(
            config.read_text()
            + f"\n[sts.client.{name}]\ncertificate = {good}\n"
            + f"[sts.client._other.partner.test]\ncertificate = {good}\n"
            + "[sts.client._lost.partner.test]\nauth = tls_client_auth\nca = /nowhere/ca.pem\nsan_dns = a.test\n"
            + "[sts.client._two.partner.test]\nauth = private_key_jwt\njwks_uri = https://partner.test/jwks\n"
            + f"certificate = {good}\n"
        )
        status, text = self.check(now=NOW + 60)
        self.assertEqual(status, os.EX_UNAVAILABLE)
        for words in ("needs certificates with its own OU and CN", "/nowhere/ca.pem: No such file",
                      "certificates is nothing that a client with private_key_jwt has"):  # fmt: skip
            self.assertIn(words, text)
        self.assertIn("self_signed_tls_client_auth", text)

    def test_missing(self) -> None:
        """Missing keys and certificates are errors that say what to do."""
        self.init()
        (self.folder / "keys" / "client.key").unlink()
        status, text = self.check()
        self.assertEqual(status, os.EX_UNAVAILABLE)
        self.assertIn("rrsctl init", text)
        self.assertIn("server certificate", text)

    def test_a_client_key_on_its_way(self) -> None:
        """A walk that was begun and not ended is a note."""
        self.init("--development")
        self.assertNotIn("client key", self.check(now=NOW + 60)[1])
        keyring = Keyring(KeySettings(path=str(self.folder / "keys")), lambda: instant(NOW))
        keyring.take_step(Step.PUBLISH)
        status, text = self.check(now=NOW + 60)
        self.assertEqual(status, 0, text)
        self.assertRegex(text, "client key .*the next one is published since 2027-01-15: rrsctl keys list")

    def test_ends(self) -> None:
        """A certificate that ends soon is a note, one that has ended an error."""
        self.init("--development")
        year = timedelta(days=365).total_seconds()
        self.assertEqual(self.check(NOW + year - 86400)[0], 0)
        self.assertIn("renew it soon", self.check(NOW + year - 86400)[1])
        self.assertEqual(self.check(NOW + year + 86400)[0], os.EX_UNAVAILABLE)

    def test_wrong_name_and_key(self) -> None:
        """A certificate of other names, with another key that everyone may read, is found out."""
        self.init("--development")
        other = Plan(parse_domain("bar.test"), self.root / "bar", authority=self.folder / "authority")
        make(other, instant(NOW), first_values(other))
        (self.folder / "tls" / "fullchain.pem").write_bytes(other.certificate.read_bytes())
        (self.folder / "tls" / "privkey.pem").chmod(0o644)
        status, text = self.check()
        self.assertEqual(status, os.EX_UNAVAILABLE)
        for words in ("does not name foo.test", "do not belong together", "chmod 600"):
            self.assertIn(words, text)

    def test_port_taken(self) -> None:
        """A port that somebody else listens on is an error."""
        self.init("--development")
        settings = parse_settings((self.folder / "rrsd.ini").read_text())
        with socket.create_server(("", int(settings.front.listen[0].split(":")[1]))):
            status, text = self.check()
        self.assertEqual((status, "free the port" in text), (os.EX_UNAVAILABLE, True))

    def test_no_file(self) -> None:
        """An INI file that is not there is named."""
        self.assertEqual(self.check()[0], os.EX_DATAERR)
