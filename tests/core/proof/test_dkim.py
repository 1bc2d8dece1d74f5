"""Who wrote a message (RFC 6376 6.1, RFC 8463 A; threats E-02 to E-28)."""

from datetime import timedelta
from time import process_time

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.proof import dkim
from rrsd.core.proof.dkim import Policy, key_names, may_be_proved, prove_author
from rrsd.core.refusals import Malformed, Refusal, TooLarge, Unavailable, Unproven
from rrsd.core.values.authors import VerifiedAuthor
from rrsd.core.values.instants import instant
from rrsd.core.values.peers import Strength
from rrsd.core.values.records import Host, Record, Records, Text, Verdict
from tests.core import signing
from tests.core.vectors.dkim import BRISBANE, MESSAGE, SIGNED_AT, TEST
from tests.support.dkims import SIGNED, Signer
from tests.support.pace import slowness

RAW = (
    b"From: Alice <alice@foo.test>\r\nTo: bob@bar.test\r\nSubject: files\r\nDate: Fri, 20 Nov 2026 08:30:00 +0000\r\n"
    b"Message-ID: <1@foo.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
)
NOW = signing.NOW
SECURE, INSECURE, BOGUS, TEMPORARY = Verdict.SECURE, Verdict.INSECURE, Verdict.BOGUS, Verdict.TEMPORARY


def records(*data: Record, verdict: Verdict = SECURE) -> Records:
    """An answer."""
    return Records(verdict, timedelta(minutes=5), data, "why")


class Case(SynchronousTestCase):
    """alice@foo.test writes, and foo.test signs."""

    def setUp(self) -> None:
        """A signer with an RSA key of 2048 bits."""
        self.signer = Signer()
        self.policy = Policy()
        self.zone = {self.signer.name: records(Text(self.signer.record().encode()))}

    def prove(self, raw: bytes) -> VerifiedAuthor:
        """The verdict, with the names asked first."""
        names = key_names(raw, NOW, self.policy)
        return prove_author(raw, {name: self.zone.get(name, records()) for name in names}, NOW, self.policy)

    def refused(self, raw: bytes, kind: type[Refusal] = Unproven) -> str:
        """Why not."""
        return str(self.assertRaises(kind, self.prove, raw).detail)


class Vectors(SynchronousTestCase):
    """RFC 8463 appendix A, with both keys."""

    def test_each_key(self) -> None:
        """ed25519, and RSA where 1024 bits are enough."""
        now, policy = instant(SIGNED_AT + 10), Policy(least_bits=1024)
        first, second = key_names(MESSAGE, now, policy)
        keys = {first: records(Text(BRISBANE)), second: records(Text(TEST))}
        for gone, selector in ((second, "brisbane"), (first, "test")):
            author = prove_author(MESSAGE, {**keys, gone: records()}, now, policy)
            self.assertEqual(author.evidence, f"dkim football.example.com {selector} dnssec")
            self.assertEqual(str(author.address), "joe@football.example.com")
        self.assertRaises(Unproven, prove_author, MESSAGE, {**keys, first: records()}, now, Policy())
        changed = MESSAGE.replace(b"hungry", b"thirsty")
        self.assertRaises(Unproven, prove_author, changed, keys, now, policy)


class Good(Case):
    """What is believed."""

    def test_signed(self) -> None:
        """By the author's own domain, whatever was added on the way."""
        raw = b"Received: from x\r\nAuthentication-Results: x; none\r\n" + self.signer.sign(RAW)
        author = self.prove(raw)
        self.assertEqual((str(author.address), author.strength), ("alice@foo.test", Strength.DNSSEC))

    def test_to_whom(self) -> None:
        """To and Cc count where they are signed, and there once; nobody may add one."""
        raw = self.signer.sign(RAW)
        self.assertTrue(self.prove(raw).is_addressed)
        for added in (b"To: carol@bar.test\r\n", b"Cc: carol@bar.test\r\n"):
            self.assertFalse(self.prove(added + raw).is_addressed)
        with_cc = RAW.replace(b"Subject", b"Cc: carol@bar.test\r\nSubject")
        self.assertFalse(self.prove(self.signer.sign(with_cc)).is_addressed)
        self.assertTrue(self.prove(self.signer.sign(with_cc, include_headers=[*SIGNED, b"cc"])).is_addressed)
        unsigned = [each for each in SIGNED if each != b"to"]
        self.assertFalse(self.prove(self.signer.sign(RAW, include_headers=unsigned)).is_addressed)

    def test_ed25519(self) -> None:
        """The other algorithm (RFC 8463)."""
        self.signer = Signer(selector="ed", key=signing.ED_KEY)
        self.zone[self.signer.name] = records(Text(self.signer.record().encode()))
        self.assertEqual(self.prove(self.signer.sign(RAW)).selector, "ed")

    def test_e26_unauthenticated_dns(self) -> None:
        """Is named in the evidence, and refused where the operator says so (E-26)."""
        self.zone[self.signer.name] = records(Text(self.signer.record().encode()), verdict=INSECURE)
        raw = self.signer.sign(RAW)
        self.assertEqual(self.prove(raw).strength, Strength.WEAK)
        self.policy = Policy(needs_dnssec=True)
        self.assertIn("DNSSEC", self.refused(raw))

    def test_parent_by_setting(self) -> None:
        """foo.test may sign for a domain below it only where the operator says so (E-02)."""
        raw = self.signer.sign(RAW.replace(b"alice@foo.test", b"alice@sales.foo.test"))
        self.assertIn("not the domain", self.refused(raw))
        self.policy = Policy(may_be_parent=True)
        self.assertEqual(str(self.prove(raw).address), "alice@sales.foo.test")

    def test_e27_any_of_the_first(self) -> None:
        """A signature that proves nothing does not stand in the way of one that does; three are tried."""
        good = self.signer.sign(RAW)
        other = Signer("evil.test").sign(RAW)[: -len(RAW)]
        dead = Signer(selector="dead").sign(RAW)[: -len(RAW)]
        self.prove(other * 5 + dead * 2 + good)
        self.refused(dead * 3 + good)
        self.assertEqual(key_names(dead * 3 + good, NOW, self.policy), ("dead._domainkey.foo.test",))
        self.refused(other * 20 + good)


class Bad(Case):
    """What the engine would believe and we do not."""

    def test_e02_alignment(self) -> None:
        """Signed by another domain, by a parent of it, or below it (E-02)."""
        for domain in ("evil.test", "sub.foo.test"):
            self.assertIn("not the domain", self.refused(Signer(domain).sign(RAW)))
        self.assertEqual(self.refused(RAW), "no DKIM signature")

    def test_e03_part_of_the_body(self) -> None:
        """l= is refused, even when it covers everything (E-03)."""
        raw = self.signer.sign(RAW, length=True)
        self.assertIn("l=", self.refused(raw))
        self.assertIn("l=", self.refused(raw + b"and more\r\n"))

    def test_changed(self) -> None:
        """A body or a field that is not what was signed."""
        raw = self.signer.sign(RAW)
        self.assertIn("does not fit", self.refused(raw.replace(b"hello", b"jello")))
        self.assertIn("does not fit", self.refused(raw.replace(b"alice@foo.test", b"carol@foo.test")))

    def test_e05_twice(self) -> None:
        """A field that says who wrote what, a second time in any form (E-05)."""
        raw = self.signer.sign(RAW)
        for line in (b"From: eve@foo.test", b"fRoM : eve@foo.test", b"From:\r\n eve@foo.test", b"Content-Type: a/b"):
            self.assertIn("twice", self.refused(line + b"\r\n" + raw))
            self.assertIn("twice", self.refused(raw.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n\r\n", 1)))

    def test_e06_authors(self) -> None:
        """From has to be one address (E-06)."""
        for author in (b"alice@foo.test, eve@evil.test", b"g: alice@foo.test;", b"alice@foo.test <eve@evil.test>", b""):
            self.refused(self.signer.sign(RAW.replace(b"Alice <alice@foo.test>", author)), Malformed)

    def test_bare_fields(self) -> None:
        """What says how the body is read is signed, From too, however h= is written."""
        bare = self.signer.sign(RAW, include_headers=[each for each in SIGNED if each != b"content-type"])
        self.assertIn("content-type", self.refused(bare))
        raw = self.signer.sign(RAW)
        self.assertIn("from", self.refused(raw.replace(b"h=from : ", b"h=")))
        self.assertIn("list", self.refused(raw.replace(b"h=from", b"h=fr om")))
        self.assertIn("sender", self.refused(b"Sender: carol@foo.test\r\n" + raw))

    def test_e07_sender(self) -> None:
        """Who sent it in the author's place is of the same domain; Reply-To and Resent-From say nothing."""
        sender = b"Sender: carol@foo.test\r\nReply-To: eve@evil.test\r\nResent-From: eve@evil.test\r\n" + RAW
        good = self.signer.sign(sender, include_headers=[*SIGNED, b"sender"])
        self.assertEqual(str(self.prove(good).address), "alice@foo.test")
        self.assertIn("another domain", self.refused(self.signer.sign(b"Sender: eve@evil.test\r\n" + RAW)))

    def test_may_be_proved(self) -> None:
        """Whether it is worth while to sign at all can be seen in the header."""
        author = b"From: alice@foo.test\r\n"
        for more, can in (
            (b"", True), (b"Sender: carol@foo.test\r\n", True), (b"Sender: eve@evil.test\r\n", False),
            (b"Sender: a@foo.test, b@foo.test\r\n", False), (b"Subject: a\r\n" * 2, False), (b"no field\r\n", False),
            (b"A: b\r\n" * 1000, False),
        ):  # fmt: skip
            self.assertIs(may_be_proved(author + more), can, more[:40])

    def test_e10_algorithms(self) -> None:
        """SHA-1 proves nothing, and a key is for its own algorithm (E-10)."""
        raw = self.signer.sign(RAW)
        self.assertIn("rsa-sha1", self.refused(raw.replace(b"rsa-sha256", b"rsa-sha1")))
        self.assertIn("another algorithm", self.refused(raw.replace(b"rsa-sha256", b"ed25519-sha256")))

    def test_e12_times(self) -> None:
        """Over, or not yet (E-12)."""
        raw, at = self.signer.sign(RAW), int(NOW.timestamp())
        self.assertIn("expired", self.refused(raw.replace(b"a=rsa", f"x={at}; a=rsa".encode())))
        self.assertIn("future", self.refused(raw.replace(b" t=", f" t={at + 3600}; z=".encode())))
        self.assertIn("time", self.refused(raw.replace(b" t=", b" t=-")))

    def test_agent(self) -> None:
        """i= lies in d=."""
        raw = self.signer.sign(RAW)
        self.assertIn("i=", self.refused(raw.replace(b"i=@foo.test", b"i=@evil.test")))

    def test_engine_is_asked_for_another_name(self) -> None:
        """What was not looked up is not believed."""
        raw = self.signer.sign(RAW)
        candidate = dkim._candidates(raw, NOW, self.policy)[1][0]
        other = Signer(selector="other").sign(RAW)
        self.assertFalse(dkim._is_valid(other, candidate, self.signer.record().encode(), self.policy))

    def test_size(self) -> None:
        """More than can be a placeholder is not read."""
        self.patch(dkim, "MOST_BYTES", 10)
        self.refused(RAW, TooLarge)


class Blanks(Case):
    """White space, which canonical forms are about."""

    def test_forms(self) -> None:
        """Every form of each half; what may change on the way may change, and nothing else."""
        raw = RAW + b"a \t b  \r\n\t\r\n  \r\n c\r\n\r\n \r\n"
        for header in (b"simple", b"relaxed"):
            for body in (b"simple", b"relaxed"):
                signed = self.signer.sign(raw, canonicalize=(header, body))
                self.prove(signed)
                changed = signed.replace(b"a \t b  \r\n", b"a b\r\n")
                self.prove(changed) if body == b"relaxed" else self.refused(changed)
                self.refused(signed.replace(b"a \t b", b"ab"))

    def test_costly_body(self) -> None:
        """Long runs of blanks cost no more than anything else: without preparation these took seconds."""
        raw = RAW + (b" " * 990 + b"x\r\n") * 4000
        signed = self.signer.sign(RAW, canonicalize=(b"relaxed", b"relaxed")).replace(RAW, raw)
        begun = process_time()
        self.refused(signed)
        self.assertLess(process_time() - begun, slowness())

    def test_costly_signature(self) -> None:
        """A signature as long as this is none."""
        for fill in (b" " * 4096, b"\r\n " * 2000):
            self.assertIn("too long", self.refused(self.signer.sign(RAW).replace(b" b=", b" b=" + fill)))


class Keys(Case):
    """What keys have to be."""

    def answer(self, *data: str, verdict: Verdict = SECURE) -> str:
        """Why the message is refused when DNS says that."""
        self.zone[self.signer.name] = records(*(Text(each.encode()) for each in data), verdict=verdict)
        return self.refused(self.signer.sign(RAW))

    def test_e11_records(self) -> None:
        """One usable record, for mail, in force (E-11)."""
        good = self.signer.record()
        for more, reason in (("t=y", "tested"), ("s=tlsrpt", "mail"), ("h=sha1", "algorithm")):
            self.assertIn(reason, self.answer(self.signer.record(more)))
        self.assertIn("2 key records", self.answer(good, good))
        self.assertIn("0 key records", self.answer())
        self.assertIn("revoked", self.answer("v=DKIM1; k=rsa; p="))
        self.assertIn("version", self.answer(good.replace("DKIM1", "DKIM2")))
        self.assertIn("too long", self.answer(self.signer.record("n=" + "x" * 4096)))
        self.zone[self.signer.name] = records(Host("20.0.0.1"))
        self.assertIn("0 key records", self.refused(self.signer.sign(RAW)))

    def test_e11_strict_key(self) -> None:
        """t=s: i= is the domain itself."""
        self.zone[self.signer.name] = records(Text(self.signer.record("t=s").encode()))
        self.prove(self.signer.sign(RAW))
        self.assertIn("t=s", self.refused(self.signer.sign(RAW, identity=b"@mail.foo.test")))

    def test_lengths(self) -> None:
        """RSA of 1024 bits by setting only, of 512 never (RFC 8301)."""
        self.signer = Signer(key=signing.rsa_key(1024))
        self.assertIn("1024 bits", self.answer(self.signer.record()))
        self.policy = Policy(least_bits=1024)
        self.prove(self.signer.sign(RAW))

    def test_bogus(self) -> None:
        """A bogus key proves nothing, and is for later: it may be right then."""
        self.zone[self.signer.name] = records(Text(self.signer.record().encode()), verdict=BOGUS)
        self.refused(self.signer.sign(RAW), Unavailable)

    def test_trouble(self) -> None:
        """What cannot be asked now is for later, unless another signature proves it."""
        self.zone[self.signer.name] = records(verdict=TEMPORARY)
        raw = self.signer.sign(RAW)
        self.refused(raw, Unavailable)
        other = Signer(selector="s2")
        self.zone[other.name] = records(Text(other.record().encode()))
        self.assertEqual(self.prove(raw[: -len(RAW)] + other.sign(RAW)).selector, "s2")
