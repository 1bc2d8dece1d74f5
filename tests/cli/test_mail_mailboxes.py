"""rrsctl mail check and setup, of mailboxes: who is let in, what is missing there, and the line that mends it."""

import contextlib
import os
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rrsd.cli.check import Finding
from rrsd.cli.init import Plan, first_values, make
from rrsd.cli.mail.lines import Around
from rrsd.cli.mail.mailboxes import look_into_mailboxes
from rrsd.cli.main import run
from rrsd.cli.session import clock
from rrsd.config.settings import parse_settings
from rrsd.core.values.addresses import parse_domain
from rrsd.core.values.instants import instant
from tests.cli.doubles import NOW, bench
from tests.support.imapserver import BOB, PASSWORD, Imap, Session

IN = "tcp:2425:interface=127.0.0.1"


class Wire:
    """The server's end of a socket, as a transport."""

    def __init__(self, line: socket.socket) -> None:
        self.write = line.sendall
        self.abortConnection = line.close


class Threaded:
    """The IMAP server of the memory internet, at a real port or path."""

    def __init__(self, imap: Imap, path: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.imap, self._tls = imap, tls
        if path:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.bind(path)
            self._socket.listen()
        else:
            self._socket = socket.create_server(("127.0.0.1", 0))
            self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Nobody listens there any more."""
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            with line, contextlib.suppress(OSError):
                self._talk(self._tls.wrap_socket(line, server_side=True) if self._tls else line)

    def _talk(self, line: socket.socket) -> None:
        session = Session(self.imap)
        session.makeConnection(Wire(line))
        while data := line.recv(65536):
            session.dataReceived(data)
        line.close()


class MailboxesCase(SynchronousTestCase):
    """A domain with mailboxes."""

    def setUp(self) -> None:
        """rrsd's password, and a server that takes it."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.plan = Plan(parse_domain("foo.test"), self.folder / "foo", authority=self.folder / "authority")
        self.password = self.folder / "password"
        self.password.touch(0o600)
        self.password.write_text(f"{PASSWORD}\n")
        self.imap = Imap()
        self.server = Threaded(self.imap)
        self.addCleanup(self.server.close)
        self.given = {("mail", "inbound"): IN, ("imap", "password"): str(self.password)}
        self.given["imap", "endpoint"] = f"tcp:127.0.0.1:{self.server.port}"

    def findings(self, *users: str, **imap: str) -> list[Finding]:
        """What is found, with these keys in [imap]."""
        given = self.given | {("imap", key): value for key, value in imap.items()}
        make(self.plan, instant(NOW), first_values(self.plan) | given)
        settings = parse_settings(self.plan.config.read_text())
        self.plan.config.unlink()
        return list(look_into_mailboxes(settings, Around(), lambda: users or (BOB,)))

    def found(self, *users: str, **imap: str) -> tuple[str, str]:
        """Level and text of the one finding."""
        (finding,) = self.findings(*users, **imap)
        self.assertNotIn(PASSWORD, finding.text)
        return finding.level, finding.text


class Check(MailboxesCase):
    """rrsctl mail check."""

    def test_all_is_well(self) -> None:
        """Over TCP and by a path, and nothing was changed or selected for writing."""
        path = str(self.folder / "imap")
        server = Threaded(self.imap, path)
        self.addCleanup(server.close)
        for endpoint in (self.given["imap", "endpoint"], f"unix:{path}"):
            level, text = self.found(endpoint=endpoint)
            self.assertEqual(level, "ok")
            self.assertIn(f"lets rrsd into the mailbox of {BOB}", text)
        self.assertLessEqual(set(self.imap.verbs()), {"CAPABILITY", "AUTHENTICATE", "EXAMINE", "LOGOUT"})

    def test_not_wanted(self) -> None:
        """Without an endpoint placeholders stay: said where mail comes in."""
        del self.given["imap", "endpoint"]
        level, text = self.found()
        self.assertEqual((level, text.partition(":")[2]), ("note", " write endpoint = tcp:127.0.0.1:143"))
        del self.given["mail", "inbound"]
        self.assertEqual(self.findings(), [])

    def test_nobody_listens(self) -> None:
        """Where it was looked for, and what Dovecot needs."""
        level, text = self.found(endpoint="tcp:127.0.0.1:9")
        self.assertEqual(level, "error")
        self.assertIn("protocols = imap lmtp", text)

    def test_not_imap(self) -> None:
        """Somebody else has the port."""
        self.imap.greeting = b"220 mx ESMTP\r\n"
        self.assertIn("protocols = imap lmtp", self.found()[1])

    def test_endpoint_that_cannot_be_read(self) -> None:
        """What to write."""
        self.assertIn("tcp:", self.found(endpoint="tls:imap.foo.test:993")[1])

    def test_no_password(self) -> None:
        """The file is not there, or others may read it."""
        self.password.chmod(0o644)
        self.assertIn("chmod 600", self.found()[1])
        self.password.unlink()
        self.assertIn("install -m 600", self.found()[1])

    def test_not_let_in(self) -> None:
        """What Dovecot has to be told; of the server's words only the code, for they may repeat the password."""
        self.password.write_text("wrong")
        level, text = self.found()
        self.assertEqual(level, "error")
        for words in ("[AUTHENTICATIONFAILED]", "passdb with master = yes", "/etc/dovecot/rrsd-master", "doveadm pw"):
            self.assertIn(words, text)
        self.assertNotIn("not with", text)
        self.imap.before = lambda verb, _: b"TAG NO never\r\n" if verb == "AUTHENTICATE" else None
        self.assertIn(f"the mailbox of {BOB}: ", self.found()[1])

    def test_no_user(self) -> None:
        """Whose mailbox to look into."""
        make(self.plan, instant(NOW), first_values(self.plan) | self.given)
        settings = parse_settings(self.plan.config.read_text())
        (finding,) = look_into_mailboxes(settings, Around(), lambda: ())
        self.assertIn("--mailbox", finding.text)

    def test_capabilities(self) -> None:
        """Each that is missing, with what mends it."""
        for offers, level, words in (
            ("IMAP4rev1 CONDSTORE AUTH=PLAIN", "error", "imap_capability"),
            ("IMAP4rev1 UIDPLUS AUTH=PLAIN", "note", "CONDSTORE"),
            ("IMAP4rev1 UIDPLUS CONDSTORE", "error", "auth_mechanisms = plain"),
            ("IMAP4rev1 UIDPLUS CONDSTORE LOGINDISABLED", "error", "login_trusted_networks"),
        ):
            self.imap.offers = offers
            found = [each for each in self.findings() if each.level != "ok"]
            self.assertEqual([(each.level, words in each.text) for each in found], [(level, True)], offers)

    def test_folders(self) -> None:
        """Those that the INI file names and nobody opens."""
        found = self.findings(folders="INBOX\n    Archive\n    ä")
        self.assertEqual([each.text.partition(" ")[0] for each in found], ["Archive", "ä"])
        self.assertEqual({each.level for each in found}, {"error"})

    def test_tls(self) -> None:
        """The password goes to who proves the name, and to nobody else."""
        # The system's own clock judges certificates.
        make(self.plan, instant(clock()), first_values(self.plan) | self.given)
        self.plan.config.unlink()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.plan.certificate, self.plan.key)
        server = Threaded(self.imap, tls=context)
        self.addCleanup(server.close)
        endpoint = f"tcp:127.0.0.1:{server.port}"
        self.assertEqual(self.found(endpoint=endpoint, tls="foo.test")[0], "ok")
        del self.imap.heard[:]
        level, text = self.found(endpoint=endpoint, tls="imap.foo.test")
        self.assertEqual((level, self.imap.heard), ("error", []))
        self.assertIn("imap.foo.test", text)

    def test_no_tls(self) -> None:
        """Nobody proves anything there; roots that are none."""
        self.assertIn("protocols = imap lmtp", self.found(tls="imap.foo.test")[1])
        self.given["tls", "roots"] = str(self.folder / "nowhere")
        self.assertIn("[tls] roots", self.found(tls="imap.foo.test")[1])


class Verb(MailboxesCase):
    """The commands."""

    def rrsctl(self, *words: str) -> tuple[int, Any]:
        """Its status and document."""
        make(self.plan, instant(NOW), first_values(self.plan) | self.given)
        made = bench(self.folder)
        status = run(["--config", str(self.plan.config), "--json", "mail", *words], made.session)
        self.plan.config.unlink()
        return status, made.document

    def test_check(self) -> None:
        """The mailbox that is named, without asking the daemon."""
        status, document = self.rrsctl("check", "--mailbox", BOB, "--postfix", "/nowhere")
        found = {each["about"]: each["level"] for each in document["findings"]}
        self.assertEqual((status, found["[imap] endpoint"]), (os.EX_UNAVAILABLE, "ok"))

    def test_check_without_a_daemon(self) -> None:
        """Who knows the users is away: that is said, and the rest is looked at."""
        status, document = self.rrsctl("check", "--postfix", "/nowhere")
        found = {each["about"]: each["level"] for each in document["findings"]}
        self.assertEqual((status, found["[imap] endpoint"]), (os.EX_UNAVAILABLE, "error"))
        self.assertIn("discovery of foo.test", found)

    def test_setup(self) -> None:
        """The master user, where [imap] wants one."""
        _, document = self.rrsctl("setup", "--masters", "/etc/masters")
        (line,) = [line for line in document["lines"] if line["name"] == "passdb"]
        self.assertIn("master = yes\n  args = /etc/masters\n", line["value"])
        self.assertIn("doveadm pw", line["why"])
        del self.given["imap", "endpoint"]
        _, document = self.rrsctl("setup")
        self.assertNotIn("passdb", [line["name"] for line in document["lines"]])
