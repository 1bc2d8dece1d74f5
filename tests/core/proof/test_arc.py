"""Chains that came and seals that are added (RFC 8617); dkimpy alone says whether they hold."""

from datetime import timedelta

import dkim
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.proof import arc
from rrsd.core.proof.arc import BROKEN, NO_CHAIN, Chain, Validation, chain_names, judge_chain, seal_message
from rrsd.core.proof.dkim import MOST_BYTES
from rrsd.core.refusals import Malformed, TooLarge, Unavailable
from rrsd.core.values.addresses import parse_domain
from rrsd.core.values.instants import instant
from rrsd.core.values.records import Records, Text, Verdict
from rrsd.core.wire.dkim_body import RelaxedBody
from rrsd.core.wire.mime_fields import parse_fields
from tests.core import signing
from tests.support.chains import Sealer, verdict
from tests.support.dkims import Signer, record_of

RAW = (
    b"From: Alice <alice@foo.test>\r\nTo: bob@bar.test\r\nSubject: files\r\nDate: Fri, 20 Nov 2026 08:30:00 +0000\r\n"
    b"Message-ID: <1@foo.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nhello  there \r\n\r\n"
)
NOW = instant(1)
"""Long ago: the engine looks at the real clock."""
OURS = parse_domain("bar.test")
RESULTS = "bar.test; dkim=pass header.d=foo.test header.s=s1"


def answer(text: str | bytes, verdict: Verdict = Verdict.SECURE) -> Records:
    """One TXT record."""
    data = text if isinstance(text, bytes) else text.encode()
    return Records(verdict, timedelta(minutes=5), (Text(data),) if data else (), "why")


class ArcCase(SynchronousTestCase):
    """bar.test seals; list.test and other.test may have done so before."""

    def setUp(self) -> None:
        """Keys, and who publishes them."""
        self.list, self.other, signer = Sealer(), Sealer("other.test", "s9", signing.rsa_key(3072)), Signer()
        pem = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.key = arc.read_sealing_key(OURS, "s1", pem)
        self.signed = signer.sign(RAW)
        self.zone = {each.name: each.record() for each in (self.list, self.other)} | {self.key.name: self.key.record}

    def judged(self, raw: bytes) -> Chain:
        """The chain of a message, its keys asked for first."""
        return judge_chain(raw, {name: answer(self.zone.get(name, "")) for name in chain_names(raw)})

    def sealed(self, raw: bytes, chain: Chain, body: bytes | None = None) -> bytes:
        """Our set on top, of another body than it came with if one is given."""
        _, end = parse_fields(raw, 0, len(raw))
        body = raw[end:] if body is None else body
        hashed = RelaxedBody()
        hashed.feed(body)
        return seal_message(raw[:end], hashed.digest(), RESULTS, chain, self.key, NOW) + raw[:end] + body


class Seals(ArcCase):
    """What is added."""

    def test_first(self) -> None:
        """A message without a chain gets one of one set, that holds."""
        message = self.sealed(self.signed, NO_CHAIN)
        self.assertEqual(verdict(message, self.zone), ("pass", 1))
        self.assertIn(b"ARC-Authentication-Results: i=1; " + RESULTS.encode() + b"\r\n", message)
        self.assertIn(b"cv=none", message)

    def test_changed_afterwards(self) -> None:
        """A changed body, a changed field and an added one are seen."""
        message = self.sealed(self.signed, NO_CHAIN)
        for old, new in (
            (b"hello", b"jello"),
            (b"Subject: f", b"Subject: F"),
            (b"Subject: f", b"Cc: eve@evil.test\r\nSubject: f"),
        ):
            self.assertEqual(verdict(message.replace(old, new), self.zone)[0], "fail")

    def test_body_that_was_completed(self) -> None:
        """The seal is about the new body, the results about the message as it came."""
        body = b"--b\r\n" + b"QUJD\r\n" * 1000 + b"--b--\r\n"
        self.assertEqual(verdict(self.sealed(self.signed, NO_CHAIN, body), self.zone), ("pass", 1))

    def test_upstream(self) -> None:
        """After two sets of others ours is the third; all three hold, though the body is another one now."""
        raw = self.list.seal(self.signed)
        raw = self.other.seal(raw, "dkim=pass; arc=pass")
        chain = self.judged(raw)
        self.assertEqual(chain, Chain(2, Validation.PASS))
        message = self.sealed(raw, chain, b"another body\r\n")
        self.assertEqual(verdict(message, self.zone), ("pass", 3))
        self.assertIn(b"ARC-Authentication-Results: i=3; " + RESULTS.encode() + b";\r\n arc=pass\r\n", message)
        self.assertEqual(self.judged(message), Chain(3, Validation.PASS))

    def test_upstream_that_does_not_hold(self) -> None:
        """Our set says so, stands for itself, and ends the chain."""
        raw = self.list.seal(self.signed).replace(b"hello", b"jello")
        chain = self.judged(raw)
        self.assertEqual(chain, Chain(1, Validation.FAIL))
        message = self.sealed(raw, chain)
        self.assertIn(b"cv=fail", message)
        self.assertEqual(verdict(message, self.zone)[0], None)
        self.assertEqual(self.judged(message), BROKEN)
        self.assertEqual(self.sealed(message, BROKEN), message)

    def test_header_that_is_none(self) -> None:
        """What cannot be read is not sealed."""
        self.assertRaises(Malformed, seal_message, b"x\r\n\r\n", bytes(32), RESULTS, NO_CHAIN, self.key, NOW)


class Keys(ArcCase):
    """Ours."""

    def test_not_for_this(self) -> None:
        """Keys that are too short, of another kind, or not there; selectors that are none."""
        short = Sealer(key=signing.rsa_key(1024)).pem
        elliptic = signing.CLIENT_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        for pem, selector in (
            (short, "s1"),
            (elliptic, "s1"),
            (b"x", "s1"),
            (self.list.pem, "a.b"),
            (self.list.pem, ""),
        ):
            self.assertRaises(Malformed, arc.read_sealing_key, OURS, selector, pem)

    def test_shown(self) -> None:
        """Not in any text."""
        self.assertNotIn("private", repr(self.key))


class Chains(ArcCase):
    """What came."""

    def test_none(self) -> None:
        """No set, no chain, and no question."""
        self.assertEqual((chain_names(self.signed), self.judged(self.signed)), ((), NO_CHAIN))

    def test_one(self) -> None:
        """A chain of one holds, whatever was put on top afterwards, and not with another's key."""
        raw = b"Received: from x\r\n" + self.list.seal(self.signed)
        self.assertEqual(self.judged(raw), Chain(1, Validation.PASS))
        self.zone[self.list.name] = self.other.record()
        self.assertEqual(self.judged(raw), Chain(1, Validation.FAIL))

    def test_keys_that_are_none(self) -> None:
        """No record, two, one that is bogus, weak, revoked or of another kind: it does not hold."""
        raw = self.list.seal(self.signed)
        weak, bad = Sealer(key=signing.rsa_key(1024)), answer(self.list.record(), Verdict.BOGUS)
        ed25519, other = record_of(signing.ED_KEY), self.list.record().replace("k=rsa", "k=rsa; h=sha1")
        for found in (answer(""), bad, answer(weak.record()), answer(ed25519), answer(other), answer("v=DKIM1; p=")):
            self.assertEqual(judge_chain(raw, {self.list.name: found}), Chain(1, Validation.FAIL))

    def test_keys_that_cannot_be_had(self) -> None:
        """Now: nothing is said of the chain."""
        raw = self.list.seal(self.signed)
        away = {self.list.name: answer("", Verdict.TEMPORARY)}
        self.assertRaises(Unavailable, judge_chain, raw, away)

    def test_no_chain(self) -> None:
        """Sets that are incomplete, doubled, not in a row, without a number, too many, too long, or sign too little:
        nobody is asked."""
        raw = self.list.seal(self.signed)
        seal = raw[: raw.index(b"ARC-Message")]
        for broken in (
            raw[len(seal) :],
            seal + raw,
            raw.replace(b"i=1", b"i=2"),
            raw.replace(b"i=1", b"i=51"),
            raw.replace(b"ARC-Authentication-Results: i=1", b"ARC-Authentication-Results: one"),
            raw.replace(b"cv=none", b"cv=pass"),
            raw.replace(b"rsa-sha256", b"rsa-sha1"),
            raw.replace(b"c=relaxed/relaxed", b"c=relaxed/simple"),
            raw.replace(b"c=relaxed/relaxed", b"l=1"),
            raw.replace(b"h=from", b"h=form"),
            raw.replace(b"h=from", b"h=arc-seal : from"),
            raw.replace(b"ARC-Seal: ", b"ARC-Seal: " + b" " * 5000),
            b"".join(b"ARC-Authentication-Results: i=%d; x\r\n" % n for n in range(1, 12)) + RAW,
        ):
            self.assertNotEqual(broken, raw)
            self.assertEqual((chain_names(broken), self.judged(broken)), ((), BROKEN), broken[:300])

    def test_too_large(self) -> None:
        """More than is kept in memory is not looked at."""
        self.assertRaises(TooLarge, chain_names, RAW + b"x" * MOST_BYTES)

    def test_engine_that_stumbles(self) -> None:
        """Is not a yes."""
        raw = self.list.seal(self.signed)
        self.patch(dkim, "ARC", None)
        self.assertEqual(self.judged(raw), Chain(1, Validation.FAIL))
