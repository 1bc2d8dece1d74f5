"""rrsctl mail setup and check: what others have in Postfix stays, and who is asked there answers."""

import base64
import os
import socket
import subprocess

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rrsd.cli.mail.check import key_flaws
from rrsd.cli.mail.filters import spoken_with
from rrsd.cli.mail.lines import MAIN, Around, Line
from rrsd.cli.mail.postconf import compared
from rrsd.config.settings import parse_settings
from tests.cli import test_mail
from tests.cli.milters import Milter
from tests.cli.test_mail import IN, OUT


def _public(bits: int) -> bytes:
    """The public half of a new RSA key in DER."""
    key = rsa.generate_private_key(65537, bits).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class Setup(test_mail.MailCase):
    """What is printed."""

    def test_service_without_its_type(self) -> None:
        """What Postfix would have choked on half-way is completed, or refused before anything is printed."""
        _, made = self.rrsctl("--json", "mail", "setup", "--submission", "smtps", outbound=OUT)
        names = [line["name"] for line in made.document["lines"]]
        self.assertIn("smtps/inet/content_filter", names)
        for option, bad, right in (
            ("--submission", "a/b/c", "submission/inet"), ("--submission", "submission/", "submission/inet"),
            ("--submission", "x y", "submission/inet"), ("--signer", "127.0.0.1:8891", "inet:127.0.0.1:8891"),
            ("--verifier", "inet:localhost:99999", "inet:127.0.0.1:8891"), ("--signer", "", "unix:/run"),
        ):  # fmt: skip
            self.plan.config.unlink()
            status, made = self.rrsctl("mail", "setup", "--commands", option, bad, outbound=OUT)
            self.assertEqual((status, made.out.getvalue()), (os.EX_USAGE, ""), bad)
            self.assertIn(right, made.err.getvalue())

    def test_spam_filter_was_taken_out(self) -> None:
        """The script adds our milters to those of main.cf, once; another delimiter there is not overwritten."""
        _, made = self.rrsctl("mail", "setup", "--commands", inbound=IN, milter="tcp:8895:interface=127.0.0.1")
        programs = self.folder / "programs"
        programs.mkdir()
        state = programs.resolve() / "main.cf"
        for name, text in (
            ("postconf", f'case "$1" in -e) echo "$2" >>{state} ;; -M) echo there ;;\n'
             f'-h|-xh) sed -n "s/^$2=//p" {state} | tail -n 1 ;; esac\n'),
            ("postfix", ""),
        ):  # fmt: skip
            (programs / name).write_text(f"#!/bin/sh\n{text}")
            (programs / name).chmod(0o755)
        around = {"PATH": f"{programs.resolve()}:/usr/bin:/bin"}
        ours = "inet:127.0.0.1:8891, inet:[127.0.0.1]:8895"
        for before, after, status in (
            ("smtpd_milters=inet:spam:1\n", f"inet:spam:1, {ours}", 0),
            ("", ours, 0),
            (f"smtpd_milters={ours}, inet:spam:1\n", f"{ours}, inet:spam:1", 0),
            ("smtpd_milters={ inet:127.0.0.1:8891, timeout=3s }\nrecipient_delimiter=+\n",
             "{ inet:127.0.0.1:8891, timeout=3s }, inet:[127.0.0.1]:8895", 0),
            ("smtpd_milters=inet:spam:1\nrecipient_delimiter=-\n", "inet:spam:1", os.EX_UNAVAILABLE),
        ):  # fmt: skip
            state.write_text(before)
            done = subprocess.run(
                ["sh"], input=made.out.getvalue(), env=around, capture_output=True, text=True, check=False
            )
            self.assertEqual(done.returncode, status, done.stderr)
            lists = [line for line in state.read_text().splitlines() if line.startswith("smtpd_milters=")]
            self.assertEqual(lists[-1], f"smtpd_milters={after}")
            self.assertEqual("recipient_delimiter is -: write it into [mail]" in done.stderr, bool(status))
            self.assertEqual(state.read_text() == before, bool(status))

    def test_signer_that_is_not_configured_yet(self) -> None:
        """The lines of opendkim.conf are not the whole file, and that is said."""
        text = self.rrsctl("mail", "setup", outbound=OUT)[1].out.getvalue()
        self.assertIn("are still to be written", text.partition("##### opendkim.conf\n")[2])


class Check(test_mail.CheckCase):
    """What runs."""

    def test_dead_milter_was_not_noticed(self) -> None:
        """Without OpenDKIM or our own milter all mail waits: each is spoken with, and those of main.cf too."""
        self.milter.close()
        other = Milter()
        self.addCleanup(other.close)
        self.around = Around(signer=other.name, verifier=self.milter.name)
        self.assertEqual(list(self.errors()), ["OpenDKIM --verifier"])
        deaf = Milter(b"220 mx.test ESMTP\r\n")
        self.addCleanup(deaf.close)
        self.around = Around(signer=other.name, verifier=deaf.name)
        self.assertIn("something else than a milter", self.errors()["OpenDKIM --verifier"])
        self.around = Around(signer=other.name, verifier=other.name)
        self.plan.config.unlink()
        settings = parse_settings(self.settings_text(milter=f"tcp:{self.milter.port}:interface=127.0.0.1"))
        postconf = self.postconf({"non_smtpd_milters": f"{{ {self.milter.name}, timeout=3s }} unix:spam/none"})
        for given in (None, postconf):
            found = {each.about: each for each in spoken_with(settings, self.around, given)}
            self.assertEqual(found["[mail] milter"].level, "error")
            self.assertIn("the daemon is not running", found["[mail] milter"].text)
            self.assertEqual(found["OpenDKIM --signer"].level, "ok")
        self.assertIn("/var/spool/postfix/spam/none: ", found["main.cf non_smtpd_milters"].text)

    def test_milter_behind_a_file(self) -> None:
        """As Postfix sees it: below its queue."""
        place = self.folder / "spool" / "opendkim.sock"
        place.parent.mkdir(parents=True)
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(os.path.relpath(place))
        listening.listen()
        self.addCleanup(Milter(listening=listening).close)
        settings = parse_settings(self.settings_text())
        around = Around(signer="unix:/opendkim.sock", verifier="unix:/opendkim.sock")
        postconf = self.postconf({"queue_directory": os.path.relpath(place.parent)})
        (found,) = spoken_with(settings, around, postconf)
        self.assertEqual((found.level, found.about), ("ok", "OpenDKIM --signer"))

    def test_key_that_peers_refuse_was_called_good(self) -> None:
        """Published is not enough: what the other side asks of a key is looked at."""
        good, short = (
            f"v=DKIM1; k=rsa; p={base64.b64encode(each).decode()}" for each in (_public(bits) for bits in (2048, 1024))
        )
        for record, words in (
            (good, ""), (good.replace("k=rsa", "k=rsa; h=sha256:sha1; s=email; t=s"), ""),
            (short, "1024 bits, and 2048"), ("v=DKIM1; p=", "revoked"), ("v=DKIM1; p=AAAA", "cannot be read"),
            (good.replace("k=rsa", "k=rsa; h=sha1"), "h= lacks sha256"),
            (good.replace("k=rsa", "k=rsa; t=y:s"), "t=y"),
            (good.replace("k=rsa", "k=rsa; s=tlsrpt"), "not for mail"),
        ):  # fmt: skip
            flaws = key_flaws(record)
            self.assertEqual(len(flaws), bool(words), record)
            self.assertIn(words, "".join(flaws))

    def test_mend_took_out_a_spam_filter(self) -> None:
        """What mends a list keeps what is in it; of another delimiter both ways are said."""
        lines = [
            Line(MAIN, "smtpd_milters", "inet:a:1, inet:b:2", "x"), Line(MAIN, "recipient_delimiter", "+", "x"),
        ]  # fmt: skip
        known = {"mail_version": "3", "smtpd_milters": "inet:spam:1, inet:a:1", "recipient_delimiter": "-"}
        milters, delimiter = compared(self.postconf(known), lines)
        self.assertTrue(milters.text.endswith(": postconf -e 'smtpd_milters=inet:spam:1, inet:a:1, inet:b:2'"))
        self.assertIn("write recipient_delimiter = - into [mail]", delimiter.text)
        milters, _ = compared(self.postconf({"mail_version": "3"}), lines)
        self.assertTrue(milters.text.endswith(": postconf -e 'smtpd_milters=inet:a:1, inet:b:2'"), milters.text)
