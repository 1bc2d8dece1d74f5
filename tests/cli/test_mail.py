"""rrsctl mail: the lines for mail servers."""

import os
import socket
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rrsd.cli.check import Finding
from rrsd.cli.init import Plan, first_values, make
from rrsd.cli.mail.check import look
from rrsd.cli.mail.lines import MAIN, MASTER, Around, Line, lines_of
from rrsd.cli.mail.places import Place, is_exposed, listener, server
from rrsd.cli.mail.postconf import Postconf, compared, fits, routed
from rrsd.cli.main import run
from rrsd.config.settings import parse_settings
from rrsd.core.proof.dkim import ADDRESSED, COVERED
from rrsd.core.refusals import Malformed, Unavailable
from rrsd.core.values.addresses import parse_domain
from rrsd.core.values.instants import instant
from tests.cli.doubles import NOW, Bench, bench
from tests.cli.milters import Milter

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

    def test_open_to_other_hosts(self) -> None:
        """Twisted listens at every address unless one is named."""
        for bad in ("tcp:25", "tcp6:25", "tcp:25:interface=192.0.2.1", "tcp:25:interface=mx", "tcp:25:interface="):
            self.assertTrue(is_exposed(bad), bad)
        for good in (OUT, "tcp6:25:interface=\\:\\:1", "tcp:25:interface=localhost", "unix:/run/x", "x"):
            self.assertFalse(is_exposed(good), good)

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
        names = ("main.cf", "master.cf", "dovecot.conf", "rrsd.ini", "rrsd.sieve", "opendkim.conf")
        self.assertEqual(files, [f"##### {name}" for name in names])
        for line in ("next_log = /var/log/mail.log", "  sieve_before = /etc/dovecot/rrsd.sieve", "    discard;"):
            self.assertIn(line, lines)
        self.assertEqual(lines.count("rrsdout unix - - n - 10 smtp"), 1)

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

    def test_all_that_is_demanded_is_signed(self) -> None:
        """A message with a Sender lost its attachment: the signature that we ask for did not cover that field."""
        document = self.rrsctl("--json", "mail", "setup", outbound=OUT, inbound=IN)[1]
        lines = {line["name"]: line["value"].lower().split(",") for line in document.document["lines"]}
        for name in ("SignHeaders", "OversignHeaders"):
            self.assertEqual([each for each in (*COVERED, *ADDRESSED) if each not in lines[name]], [])

    def test_script(self) -> None:
        """Services come before their parameters."""
        _, made = self.rrsctl("mail", "setup", "--commands", outbound=OUT, inbound=IN)
        text = made.out.getvalue()
        self.assertLess(text.index("postconf -M 'rrsdout/unix="), text.index("postconf -P 'rrsdout/unix/"))
        self.assertTrue(text.startswith("set -e\n"))

    def test_service_behind_a_hash(self) -> None:
        """Debian's master.cf has no submission: the script says so and ends before it changes anything."""
        _, made = self.rrsctl("mail", "setup", "--commands", outbound=OUT, inbound=IN)
        programs = self.folder / "programs"
        programs.mkdir()
        # As postconf does: what is not there gets a warning, no output, and 0.
        for name, text in (
            ("postconf", f'[ "$1" = -h ] && exit\necho "$*" >>{programs}/said\n'
             'case "$1 $2" in "-M pickup/unix"|"$THERE") echo there ;; *) echo warning: unmatched >&2 ;; esac\n'),
            ("postfix", ""),
        ):  # fmt: skip
            (programs / name).write_text(f"#!/bin/sh\n{text}")
            (programs / name).chmod(0o755)
        for there, status in (("", os.EX_UNAVAILABLE), ("-M submission/inet", 0)):
            around = {"PATH": f"{programs.resolve()}:/usr/bin:/bin", "THERE": there}
            done = subprocess.run(
                ["sh"], input=made.out.getvalue(), env=around, capture_output=True, text=True, check=False
            )
            self.assertEqual(done.returncode, status, done.stderr)
            self.assertEqual("master.cf has no service submission/inet: " in done.stderr, bool(status))
            self.assertNotIn("no service pickup", done.stderr)
            changes = [each for each in (programs / "said").read_text().splitlines() if "=" in each]
            self.assertEqual(bool(changes), not status)

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


class Server:
    """A mail server that greets, announces and is told goodbye."""

    def __init__(self, *offers: str, greeting: str = "220 mx.test") -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        said = ["mx.test", *offers]
        marks = ["-"] * (len(said) - 1) + [" "]
        self._hello = "".join(f"250{mark}{each}\r\n" for mark, each in zip(marks, said, strict=True)).encode()
        self._greeting = greeting.encode() + b"\r\n"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Nobody listens there any more."""
        if self._socket.fileno() >= 0:
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    def _serve(self) -> None:
        try:
            while True:
                talk, _ = self._socket.accept()
                with talk:
                    talk.sendall(self._greeting)
                    while line := talk.recv(1000):
                        is_end = line.startswith(b"QUIT")
                        talk.sendall(b"221 bye\r\n" if is_end else self._hello)
                        if is_end:
                            break
        except OSError:
            return


class CheckCase(MailCase):
    """The servers that rrsctl mail check looks at."""

    def setUp(self) -> None:
        """Four servers that announce everything."""
        super().setUp()
        every = ("PIPELINING", "8BITMIME", "DSN", "SMTPUTF8", "XFORWARD NAME ADDR IDENT")
        self.servers = {name: Server(*every) for name in ("outbound", "outbound_next", "inbound", "inbound_next")}
        self.milter = Milter()
        self.around = Around(signer=self.milter.name, verifier=self.milter.name)
        self.addCleanup(self.milter.close)
        for each in self.servers.values():
            self.addCleanup(each.close)

    def believed(self, _: str) -> Mapping[str, Any]:
        """What discovery says of us."""
        return {"believed": True, "sentence": "foo.test is believed"}

    def findings(self, verify: Any = None) -> list[Finding]:
        """What is found, with no Postfix on this host."""
        return look(parse_settings(self.settings_text()), self.around, verify or self.believed, None)

    def settings_text(self, **changes: str) -> str:
        """An INI file that names the servers."""
        ports = {name: each.port for name, each in self.servers.items()}
        given = {
            "outbound": f"tcp:{ports['outbound']}:interface=127.0.0.1",
            "inbound": f"tcp:{ports['inbound']}:interface=127.0.0.1",
            **{name: f"tcp:127.0.0.1:{ports[name]}" for name in ("outbound_next", "inbound_next")},
            **changes,
        }
        mail = {("mail", key): value for key, value in given.items()}
        make(self.plan, instant(NOW), first_values(self.plan) | mail)
        return self.plan.config.read_text()

    def errors(self, **more: Any) -> Mapping[str, str]:
        """What is wrong."""
        return {each.about: each.text for each in self.findings(**more) if each.level == "error"}

    def postconf(self, said: Mapping[str, str]) -> Postconf:
        """A program that knows these parameters."""
        script = self.folder / "postconf"
        self.folder.mkdir(exist_ok=True)
        known = "".join(
            f"{name}) echo '{value.replace('$myhostname', 'foo.test')}' ;;\n" for name, value in said.items()
        )
        script.write_text(f'#!/bin/sh\ncase "$2" in\n{known}*) echo ;;\nesac\n')
        script.chmod(0o755)
        return Postconf(str(script))


class Check(CheckCase):
    """rrsctl mail check."""

    def test_all_is_well(self) -> None:
        """Everybody answers and announces what is needed."""
        self.assertEqual(self.errors(), {})

    def test_nobody_listens(self) -> None:
        """Which listener it is, and where."""
        self.servers["inbound_next"].close()
        self.assertEqual(list(self.errors()), ["[mail] inbound_next"])

    def test_no_xforward(self) -> None:
        """A retry could not be told from a second message."""
        self.servers["outbound_next"] = bare = Server("PIPELINING", "8BITMIME", "DSN", "SMTPUTF8")
        self.addCleanup(bare.close)
        self.assertIn("smtpd_authorized_xforward_hosts", self.errors()["[mail] outbound_next"])

    def test_open_filter(self) -> None:
        """A filter without an interface is an open relay."""
        settings = parse_settings(self.settings_text(outbound=f"tcp:{self.servers['outbound'].port}"))
        (found,) = [each for each in look(settings, Around(), self.believed, None) if "open to" in each.text]
        self.assertEqual((found.level, found.about), ("error", "[mail] outbound"))
        self.assertIn("interface=127.0.0.1", found.text)

    def test_no_mail_server(self) -> None:
        """Somebody else has the port."""
        self.servers["inbound"] = other = Server(greeting="554 no")
        self.addCleanup(other.close)
        self.assertIn("[mail] inbound", self.errors())

    def test_discovery(self) -> None:
        """Nobody believes that it is us, or the daemon cannot be asked."""
        errors = self.errors(verify=lambda _: {"believed": False, "sentence": "nothing is published"})
        self.assertIn("rrsctl identity records", errors["discovery of foo.test"])

        def away(_: str) -> Mapping[str, Any]:
            raise Unavailable("no daemon")

        self.assertIn("start the daemon", self.errors(verify=away)["discovery of foo.test"])

    def test_postfix(self) -> None:
        """What stands there is compared, and what mends it is said."""
        script = self.folder / "postconf"
        self.folder.mkdir(exist_ok=True)
        script.write_text('#!/bin/sh\n[ "$2" = a/unix ] && echo "a unix - - n - 9 smtp" || echo no\n')
        script.chmod(0o755)
        lines = [
            Line(MASTER, "a/unix", "a unix - - n - 4 smtp", "x"), Line(MAIN, "smtpd_forbid_bare_newline", "yes", "x"),
            Line("dovecot.conf", "protocols", "imap", "x"),
        ]  # fmt: skip
        (found,) = compared(Postconf(str(script)), lines)
        self.assertEqual((found.level, found.about), ("error", "main.cf smtpd_forbid_bare_newline"))
        self.assertIn("postconf -e 'smtpd_forbid_bare_newline=yes'", found.text)
        (well,) = compared(Postconf(str(script)), lines[:1])
        self.assertEqual(well.level, "ok")
        (gone,) = compared(Postconf(str(self.folder / "nothing")), lines)
        self.assertIn("run it by hand", gone.text)

    def test_service_behind_a_hash(self) -> None:
        """What postconf could not change is no advice: the service comes first."""
        lines, services = lines_of(parse_settings(self.settings_text()), Around()), ("submission/inet", "pickup/unix")
        script = self.folder / "postconf"
        for there, away in (services, services[::-1]):
            known = (
                f'case "$2" in mail_version|{there}) echo there ;; *) echo "postconf: warning: unmatched" >&2 ;; esac'
            )
            script.write_text(f"#!/bin/sh\n{known}\n")
            script.chmod(0o755)
            found = {each.about: each for each in compared(Postconf(str(script)), lines)}
            self.assertEqual([name for name in found if name.startswith(f"master.cf {away}")], [f"master.cf {away}"])
            self.assertEqual(found[f"master.cf {away}"].level, "error")
            self.assertIn("take the # off", found[f"master.cf {away}"].text)
            self.assertIn(f"master.cf {there}/content_filter", found)
            self.assertEqual([name for name in found if name.endswith("proxy_filter")], [], "none is there")
            self.assertNotIn(f"master.cf {there}", found)

    def test_mail_that_goes_past_us(self) -> None:
        """virtual_transport is said rightly, and the domain takes another one."""
        lines = [Line(MAIN, "virtual_transport", "rrsdin:inet:[::1]:24", "x")]
        ours = "virtual_mailbox_domains"
        for said, about in (
            ({"mydestination": "localhost, foo.test"}, "main.cf mydestination"),
            ({"mydestination": "foo.test", "local_transport": "local:"}, "main.cf mydestination"),
            ({"mydestination": "localhost", ours: "bar.test"}, f"main.cf {ours}"),
            ({"mydestination": "foo.test", "mailbox_transport": "rrsdin:inet:[::1]:24"}, ""),
            ({"mydestination": "localhost", ours: "bar.test, foo.test"}, ""),
            ({"mydestination": "localhost", ours: "hash:/etc/postfix/domains"}, ""),
            ({"mydestination": "/etc/postfix/names", ours: "bar.test"}, ""),
            ({"relay_domains": "foo.test"}, ""),
            ({"mydestination": "foo.test", "transport_maps": "hash:/etc/postfix/transport"}, ""),
        ):
            found = list(routed(self.postconf(said), "foo.test", lines))
            self.assertEqual([each.about for each in found], [about] * bool(about), said)
        self.assertEqual(list(routed(self.postconf({"mydestination": "foo.test"}), "foo.test", [])), [])

    def test_lists(self) -> None:
        """More milters than ours may stand there, and commas may be blanks."""
        milters = Line(MAIN, "smtpd_milters", "inet:a:1", "x")
        self.assertTrue(fits(milters, "inet:b:2, inet:a:1"))
        self.assertFalse(fits(milters, ""))
        self.assertTrue(fits(Line(MAIN, "mynetworks", "a,b", "x"), "a b"))
        self.assertFalse(fits(Line(MASTER, "a/unix", "a unix - - n - 4 smtp", "x"), "a unix"))

    def test_verb(self) -> None:
        """The exit status and the document."""
        for each in self.servers.values():
            each.close()
        words = ("mail", "check", "--postfix", "/nowhere")
        status, made = self.rrsctl("--json", *words, inbound="tcp:9:interface=127.0.0.1")
        self.assertEqual((status, made.document["ok"]), (os.EX_UNAVAILABLE, False))
