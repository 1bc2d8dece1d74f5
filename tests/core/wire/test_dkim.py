"""DKIM as it is written (RFC 6376 3.2, 3.5, 3.6.1; threats E-11, E-25)."""

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.core.wire.dkim import MOST_SIGNATURE, parse_key, parse_seal, parse_signature
from tests.core import signing
from tests.core.vectors.dkim import BRISBANE, TEST
from tests.support.dkims import record_of

GOOD = "v=1; a=rsa-sha256; d=Foo.test; s=S1; h=From : To:x; bh=YQ==; b=Y\t Q==; t=7;  "


class Signatures(SynchronousTestCase):
    """What the field says."""

    def test_read(self) -> None:
        """Names without case, blanks where they may be."""
        found = parse_signature(GOOD)
        self.assertEqual((found.name, found.agent), ("s1._domainkey.foo.test", "foo.test"))
        self.assertEqual(found.covered, {"from", "to", "x"})
        self.assertEqual((found.created, found.expires, found.is_partial), (7, None, False))
        self.assertTrue(parse_signature(f"{GOOD}l=").is_partial)

    def test_refused(self) -> None:
        """No tag list, a tag twice or missing, another version or way to keys, words that are none."""
        for old, new in (
            ("v=1; ", ""), ("v=1", "v=2"), ("bh=YQ==; ", ""), ("t=7", "d=x.test"), ("t=7", "q=http/x"), ("t=7", ";"),
            ("t=7", "t=x"), ("t=7", "7"), ("From", "Fr om"), ("t=7", "z=\x01"), ("t=7", "z=" + "x" * MOST_SIGNATURE),
        ):  # fmt: skip
            self.assertRaises(Malformed, parse_signature, GOOD.replace(old, new))

    def test_e25_names(self) -> None:
        """Selectors of one label, signers in A-labels, nothing that leads elsewhere."""
        for selector in ("a.b", "a..b", ".", "x" * 64, "a\0b", "", "a b", "-a", "ä"):
            self.assertRaises(Malformed, parse_signature, GOOD.replace("S1", selector))
        for domain in ("com", "_a.test", "bär.test", "a..test", "127.0.0.1", "a.test."):
            self.assertRaises(Malformed, parse_signature, GOOD.replace("Foo.test", domain))


class Seals(SynchronousTestCase):
    """What the fields of an ARC chain say (RFC 8617 4.1)."""

    def test_read(self) -> None:
        """A seal says how the chain was found, a signature what it covers."""
        found = parse_seal("i=2; a=rsa-sha256; cv=pass; d=Foo.test; s=S1; b=YQ==")
        self.assertEqual((found.instance, str(found.domain)), (2, "foo.test"))
        self.assertEqual(parse_seal("i=1; a=rsa-sha256; h=From; bh=YQ==; d=foo.test; s=s1; b=YQ==").instance, 1)

    def test_refused(self) -> None:
        """Too long, a tag missing, and one of the other's."""
        good = "i=2; a=rsa-sha256; cv=pass; d=foo.test; s=s1; b=YQ=="
        for text in (
            good + " " * MOST_SIGNATURE, good.replace(" s=s1;", ""), good.replace(" cv=pass;", ""), good + "; h=From",
            good.replace("cv=pass", "h=From"), good.replace("i=2", "i=51"),
        ):  # fmt: skip
            self.assertRaises(Malformed, parse_seal, text)


class Keys(SynchronousTestCase):
    """What the record says."""

    def test_read(self) -> None:
        """Both kinds; what is left out has its meaning."""
        self.assertEqual(parse_key(BRISBANE).bits, 256)
        found = parse_key(TEST.replace(b"v=DKIM1; ", b""))
        self.assertEqual((found.kind, found.bits, found.hashes, found.services), ("rsa", 1024, None, {"*"}))
        self.assertEqual(parse_key(b"v=DKIM1;h=sha1:sha256;" + TEST[8:]).hashes, {"sha1", "sha256"})

    def test_refused(self) -> None:
        """Revoked, of another version, not of its kind, not to be read."""
        elliptic = record_of(signing.rsa_key()).partition("p=")[0] + "p=" + signing_point()
        for data in (
            b"v=DKIM1; p=", b"p=%%", b"v=DKIM2; p=YQ==", b"k=rsa; v=DKIM1; p=YQ==", b"\xff", b"x" * 5000,
            BRISBANE.replace(b"ed25519", b"rsa"), TEST.replace(b"k=rsa", b"k=ed25519"), elliptic.encode(), b"",
        ):  # fmt: skip
            self.assertRaises(Malformed, parse_key, data)


def signing_point() -> str:
    """A public key that is neither RSA nor ed25519."""
    pem = signing.CERTIFICATE.key_pem.decode().splitlines()
    return "".join(line for line in pem if not line.startswith("-"))
