"""rrsctl identity: records to publish, and what others have published."""

import os
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.cli.identity import records_of
from rrsd.cli.init import Plan, first_values, make
from rrsd.cli.main import run
from rrsd.config.settings import parse_settings
from rrsd.core.values.addresses import parse_client_identifier, parse_domain
from rrsd.core.values.digests import digest_of
from rrsd.core.values.instants import instant
from rrsd.core.values.records import Text
from rrsd.core.wire.texts import parse_client_keys, parse_issuer_text
from rrsd.drivers.keys.service import Keyring
from tests.cli.administrators import Case
from tests.cli.doubles import NOW, Bench, bench, refusal, reply

LOOK: dict[str, Any] = {
    "method": "dane", "place": "TLSA _rra.bar.test", "state": "published", "seen": ["3 1 1 aa"], "strength": "dnssec",
    "why": "a certificate that these match is believed", "refusal": "", "decides": True,
}  # fmt: skip
REPORT = {
    "name": "_rra.bar.test", "kind": "client", "believed": True, "refusal": "",
    "sentence": "_rra.bar.test is believed",
    "methods": [LOOK, {**LOOK, "method": "webfinger", "state": "absent", "seen": [], "strength": "", "decides": False}],
}  # fmt: skip


class Records(SynchronousTestCase):
    """rrsctl identity records."""

    def setUp(self) -> None:
        """A domain that rrsctl init made."""
        self.folder = Path(self.mktemp())
        self.plan = Plan(parse_domain("foo.test"), self.folder, authority=self.folder / "authority")
        make(self.plan, instant(NOW), first_values(self.plan))
        self.settings = parse_settings(self.plan.config.read_text())
        keyring = Keyring(self.settings.keys, lambda: instant(NOW))
        keyring.reload()
        self.spki = keyring.agent.certificate.spki

    def rrsctl(self, *words: str) -> tuple[int, Bench]:
        """Run one command line."""
        made = bench(self.folder)
        return run(["--config", str(self.plan.config), *words], made.session), made

    def test_zone_file(self) -> None:
        """One line for each record, absolute names, quoted texts."""
        status, made = self.rrsctl("identity", "records")
        self.assertEqual(status, 0)
        lines = made.out.getvalue().splitlines()
        self.assertIn(f"_rra.foo.test. 3600 IN TLSA 3 1 1 {self.spki.hex}", lines)
        self.assertIn(f'_rra.foo.test. 3600 IN TXT "v=DANCE1; h=sha256; p={self.spki.hex}"', lines)
        self.assertIn(f'_rrs.foo.test. 3600 IN TXT "v=rrs1; iss={self.settings.domain.issuer}"', lines)
        comments = [line for line in lines if line.startswith(";")]
        self.assertTrue(any("webfinger?resource=acct%3A_rra%40foo.test" in line for line in comments), comments)
        self.assertTrue(any(self.spki.hex in line for line in comments), comments)

    def test_json(self) -> None:
        """The same for a program; what it prints is what is read."""
        document = self.rrsctl("--json", "identity", "records")[1].document
        texts = {each["name"]: [Text(each["data"].encode())] for each in document["records"] if each["type"] == "TXT"}
        self.assertEqual(parse_client_keys(texts["_rra.foo.test"]), (self.spki,))
        self.assertEqual(parse_issuer_text(texts["_rrs.foo.test"]), self.settings.domain.issuer)
        self.assertEqual(document["webfinger"]["document"]["subject"], "acct:_rra@foo.test")

    def test_o13_two_keys(self) -> None:
        """While keys follow one another: a TLSA record each, one TXT record with both, both in WebFinger."""
        old = digest_of(b"old")
        client = parse_client_identifier("_agent.foo.test")
        settings = evolve(self.settings, rra=evolve(self.settings.rra, client=client))
        document = records_of(settings, (self.spki, old))
        tlsa = [each["data"] for each in document["records"] if each["type"] == "TLSA"]
        self.assertEqual(tlsa, [f"3 1 1 {self.spki.hex}", f"3 1 1 {old.hex}"])
        (text,) = [each for each in document["records"] if each["name"] == "_agent.foo.test" and each["type"] == "TXT"]
        self.assertEqual(parse_client_keys([Text(text["data"].encode())]), (self.spki, old))
        self.assertEqual(len(document["webfinger"]["document"]["links"]), 2)

    def test_nothing_to_publish(self) -> None:
        """Without a certificate the line says which command makes one; without an INI file, where to name it."""
        for name in ("client.key", "client.pem"):
            (Path(self.settings.keys.path) / name).unlink()
        status, made = self.rrsctl("identity", "records")
        self.assertNotEqual(status, 0)
        self.assertIn("rrsctl init", made.err.getvalue())
        self.plan.config.write_text("[nonsense]\n")
        self.assertIn("rrsctl check", self.rrsctl("identity", "records")[1].err.getvalue())
        self.plan.config.unlink()
        self.assertIn("--config", self.rrsctl("identity", "records")[1].err.getvalue())


class Verify(Case):
    """rrsctl identity verify."""

    def test_believed(self) -> None:
        """A table of the methods, where they looked, what is there, and the sentence."""
        self.table.on("POST", "/identity/verify", reply(REPORT))
        status, made = self.rrsctl("identity", "verify", "_rra.bar.test")
        text = made.out.getvalue()
        self.assertEqual((status, self.table.asked[-1].body), (0, b'{"name": "_rra.bar.test"}'))
        for piece in ("*+", "dane", "dnssec", "TLSA _rra.bar.test", "3 1 1 aa", "webfinger", "nothing", "is believed"):
            self.assertIn(piece, text)
        self.assertEqual(text.count("*+"), 1)

    def test_statuses(self) -> None:
        """The exit status says what the report says."""
        for reason, expected in (
            ("unproven", os.EX_NOPERM), ("unavailable", os.EX_TEMPFAIL), ("unknown", os.EX_NOUSER),
        ):  # fmt: skip
            self.table.on("POST", "/identity/verify", reply({**REPORT, "believed": False, "refusal": reason}))
            self.assertEqual(self.rrsctl("identity", "verify", "bar.test")[0], expected)

    def test_json(self) -> None:
        """The report as the daemon gave it."""
        self.table.on("POST", "/identity/verify", reply(REPORT))
        self.assertEqual(self.rrsctl("identity", "verify", "_rra.bar.test", is_json=True)[1].document, REPORT)

    def test_hostile_text(self) -> None:
        """What strangers publish cannot drive a terminal."""
        look = {**LOOK, "seen": ["\x1b[2J\n\u202e"], "why": "\x1b]0;x\x07"}
        self.table.on("POST", "/identity/verify", reply({**REPORT, "methods": [look], "sentence": "\x1b[31m"}))
        text = self.rrsctl("identity", "verify", "_rra.bar.test")[1].out.getvalue()
        self.assertNotIn("\x1b", text)
        self.assertNotIn("\u202e", text)

    def test_no_name(self) -> None:
        """What is no name is refused by the daemon."""
        self.table.on("POST", "/identity/verify", refusal("malformed", 400))
        self.assertEqual(self.rrsctl("identity", "verify", "x")[0], os.EX_DATAERR)
