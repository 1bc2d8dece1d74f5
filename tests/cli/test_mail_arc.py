"""rrsctl mail: the key that completed messages are sealed with."""

import os

from rrsd.app.sealing import sealing_key
from rrsd.cli.mail.check import look
from rrsd.cli.mail.lines import Around
from rrsd.config.settings import parse_settings
from tests.cli.test_mail import IN, MailCase
from tests.support.chains import Sealer


class Sealing(MailCase):
    """`[mail] arc`."""

    def key(self) -> str:
        """A file with one."""
        self.folder.mkdir(exist_ok=True)
        path = self.folder / "arc.pem"
        path.touch(0o600)
        path.write_bytes(Sealer().pem)
        return str(path)

    def test_record(self) -> None:
        """What to publish, in strings that a TXT record can have."""
        status, made = self.rrsctl("--json", "mail", "setup", inbound=IN, arc="arc1", arc_key=self.key())
        self.assertEqual(status, 0)
        (line,) = [each for each in made.document["lines"] if each["file"] == "DNS"]
        self.assertEqual(line["name"], "arc1._domainkey.foo.test. TXT")
        self.assertEqual(line["value"].replace('" "', "").strip('"'), Sealer().record())
        self.assertLess(max(map(len, line["value"].split('"'))), 256)

    def test_no_key(self) -> None:
        """Says how to make one."""
        status, made = self.rrsctl("mail", "setup", inbound=IN, arc="arc1", arc_key=str(self.folder / "none"))
        self.assertEqual(status, os.EX_DATAERR)
        self.assertIn("openssl genrsa", made.err.getvalue())

    def test_not_looked_at(self) -> None:
        """Without a resolver nobody knows what is published."""
        self.rrsctl("mail", "setup", inbound=IN, arc="arc1", arc_key=self.key())
        settings = parse_settings(self.plan.config.read_text())
        self.assertIsNotNone(sealing_key(settings))
        found = look(settings, Around(), lambda _: {"believed": True, "sentence": "x"}, None)
        self.assertEqual([each.level for each in found if each.about == "ARC key"], ["note"])
