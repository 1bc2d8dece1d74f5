"""rrsctl mail: the lines for mail servers."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rrsd.cli.init import Plan, first_values, make
from rrsd.cli.mail.places import Place, listener, server
from rrsd.cli.main import run
from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import parse_domain
from rrsd.core.values.instants import instant
from tests.cli.doubles import NOW, Bench, bench

OUT, IN = "tcp:10025:interface=127.0.0.1", "tcp:2425:interface=127.0.0.1"


class Places(SynchronousTestCase):
    """Endpoints of Twisted in the words of mail servers."""

    def test_read(self) -> None:
        """Addresses, names of options, unix sockets."""
        self.assertEqual(listener(OUT), Place("127.0.0.1", 10025))
        self.assertEqual(listener("tcp:2425"), Place("127.0.0.1", 2425))
        self.assertEqual(listener("tcp6:2425:interface=\\:\\:1"), Place("::1", 2425))
        self.assertEqual(listener("unix:/run/x"), Place(path="/run/x"))
        self.assertEqual(server("tcp:127.0.0.1:24"), Place("127.0.0.1", 24))
        self.assertEqual(server("tcp:host=mx.test:port=24:timeout=3"), Place("mx.test", 24))
        self.assertEqual(server("unix:path=/run/x"), Place(path="/run/x"))

    def test_unreadable(self) -> None:
        """What no mail server could be told is refused."""
        for bad in ("", "tcp", "tcp:x", "unix", "ssl:24"):
            self.assertRaises(Malformed, listener, bad)
        for bad in ("", "tcp:host", "tcp:host:x", "unix:", "tls:host:24"):
            self.assertRaises(Malformed, server, bad)

    def test_said(self) -> None:
        """As Postfix and Twisted write them."""
        six = Place("::1", 24)
        self.assertEqual((six.nexthop, six.service, six.client), ("[::1]:24", "[::1]:24", "tcp:\\:\\:1:24"))
        self.assertEqual(Place("127.0.0.1", 24).service, "127.0.0.1:24")
        self.assertEqual((Place(path="/x").lmtp, Place(path="/x").client), ("unix:/x", "unix:/x"))


class MailCase(SynchronousTestCase):
    """A domain that rrsctl init made."""

    def setUp(self) -> None:
        """Its INI file."""
        self.folder = Path(self.mktemp())
        self.plan = Plan(parse_domain("foo.test"), self.folder, authority=self.folder / "authority")

    def rrsctl(self, *words: str, **mail: str) -> tuple[int, Bench]:
        """Run one command line on a configuration with these keys in [mail]."""
        given = {("mail", key): value for key, value in mail.items()}
        make(self.plan, instant(NOW), first_values(self.plan) | given)
        made = bench(self.folder)
        return run(["--config", str(self.plan.config), *words], made.session), made


class Setup(MailCase):
    """rrsctl mail setup."""

    def test_lines(self) -> None:
        """Each with its reason above it, by file and service."""
        status, made = self.rrsctl("mail", "setup", outbound=OUT, inbound=IN)
        self.assertEqual(status, 0)
        lines = made.out.getvalue().splitlines()
        for line in (
            "smtpd_forbid_bare_newline = yes", "virtual_transport = rrsdin:inet:[127.0.0.1]:2425",
            "  -o content_filter=rrsdout:[127.0.0.1]:10025", "127.0.0.1:10026 inet n - n - - smtpd",
            "  -o smtpd_milters=inet:127.0.0.1:8891", "  -o lmtp_send_xforward_command=yes",
            "  unix_listener /run/dovecot/lmtp {", "RemoveARFrom foo.test,mx.foo.test",
        ):  # fmt: skip
            self.assertIn(line, lines)
        files = [line for line in lines if line.startswith("#####")]
        self.assertEqual(files, [f"##### {name}" for name in ("main.cf", "master.cf", "dovecot.conf", "opendkim.conf")])
        self.assertEqual(lines.count("rrsdout unix - - n - 4 smtp"), 1)

    def test_json(self) -> None:
        """For programs: what it is, why, and how postconf writes it."""
        document = self.rrsctl("--json", "mail", "setup", "--submission", "smtps/inet", outbound=OUT, inbound=IN)[1]
        lines = {line["name"]: line for line in document.document["lines"]}
        self.assertEqual(lines["smtps/inet/content_filter"]["value"], "rrsdout:[127.0.0.1]:10025")
        self.assertNotIn("submission/inet/content_filter", lines)
        self.assertEqual(
            [lines[name]["command"].split(" '")[0] for name in ("virtual_transport", "rrsdin/unix", "SignHeaders")],
            ["postconf -e", "postconf -M", ""],
        )
        self.assertEqual(lines["rrsdin/unix/lmtp_send_xforward_command"]["command"][:11], "postconf -P")
        self.assertEqual([name for name, line in lines.items() if not line["why"]], [])
        signed = set(lines["SignHeaders"]["value"].split(","))
        self.assertLessEqual(set(lines["OversignHeaders"]["value"].split(",")), signed)

    def test_script(self) -> None:
        """Services come before their parameters."""
        _, made = self.rrsctl("mail", "setup", "--commands", outbound=OUT, inbound=IN)
        text = made.out.getvalue()
        self.assertLess(text.index("postconf -M 'rrsdout/unix="), text.index("postconf -P 'rrsdout/unix/"))
        self.assertTrue(text.startswith("set -e\n"))

    def test_one_way(self) -> None:
        """A host that only sends needs no LMTP, one that only receives no filter."""
        _, made = self.rrsctl("mail", "setup", outbound=OUT)
        self.assertNotIn("rrsdin", made.out.getvalue())

    def test_milter(self) -> None:
        """Ours stands behind the verifier."""
        _, made = self.rrsctl("mail", "setup", inbound=IN, milter="tcp:8895:interface=127.0.0.1")
        self.assertIn("smtpd_milters = inet:127.0.0.1:8891, inet:[127.0.0.1]:8895", made.out.getvalue())

    def test_lmtp_by_tcp(self) -> None:
        """Dovecot listens where the INI file says."""
        _, made = self.rrsctl("mail", "setup", inbound=IN, inbound_next="tcp:127.0.0.1:24")
        self.assertIn("    port = 24\n", made.out.getvalue())
        self.assertNotIn("rrsdout", made.out.getvalue())

    def test_no_listener(self) -> None:
        """The sentence says what to write."""
        status, made = self.rrsctl("mail", "setup")
        self.assertEqual(status, os.EX_DATAERR)
        self.assertIn("outbound = tcp:10025", made.err.getvalue())

    def test_postfix_cannot(self) -> None:
        """No content filter behind a unix socket."""
        for mail in ({"outbound": "unix:/run/x"}, {"outbound": OUT, "outbound_next": "unix:/run/x"}):
            self.assertEqual(MailCase.rrsctl(self, "mail", "setup", **mail)[0], os.EX_DATAERR)
            self.plan.config.unlink()
