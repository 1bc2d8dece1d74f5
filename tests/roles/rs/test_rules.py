"""Who may have what, and what a sender may ask for."""

from datetime import timedelta
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import (
    Damaged,
    Forbidden,
    Malformed,
    NoSpace,
    TooLarge,
    Unavailable,
    Unproven,
)
from rrsd.core.values.digests import digest_of
from rrsd.core.values.resources import Blob, Grant, Receipt
from rrsd.core.values.settings import Size
from rrsd.core.values.tokens import VerifiedAccess, VerifiedDelegation
from rrsd.roles.rs import rules
from rrsd.roles.rs.settings import Settings
from tests.support.domains import Key, Party, certificate, now

FOO, BAR = Party("foo.test"), Party("bar.test")
SETTINGS = Settings(origin=FOO.origin, most_recipients=3, most_attachments=3, most_text=Size(10))
BYTES = digest_of(b"bytes")
GRANT = Grant("m1", BYTES, 5, FOO.address("alice"), BAR.address("bob"), now() + timedelta(days=1))


class Receipts(SynchronousTestCase):
    """What a requester's word is about."""

    def receipt(self, **changes: Any) -> Receipt:
        made = Receipt(BAR.client, BAR.address("bob"), BYTES, 5, now(), "m1", "r1")
        return evolve(made, **changes)

    def delegation(self, message_ids: frozenset[str] | None = None) -> VerifiedDelegation:
        x5t = BAR.certificate.x5t
        return VerifiedDelegation(BAR.issuer, FOO.origin, BAR.address("bob"), BAR.client, x5t, now(), "j", message_ids)

    def test_same(self) -> None:
        """A receipt speaks for the same user and client as the delegation, about messages within it."""
        rules.require_same(self.receipt(), self.delegation())
        rules.require_same(self.receipt(), self.delegation(frozenset({"m1"})))

    def test_for_another(self) -> None:
        """Another user's or client's receipt, and one outside the narrowed delegation, are refused (S-13)."""
        for receipt in (self.receipt(subject=BAR.address("carol")), self.receipt(client=FOO.client)):
            self.assertRaises(Unproven, rules.require_same, receipt, self.delegation())
        self.assertRaises(Unproven, rules.require_same, self.receipt(), self.delegation(frozenset({"m2"})))

    def test_acknowledged(self) -> None:
        """Grants are marked once; a receipt without a grant or of another size is about nothing."""
        done = evolve(GRANT, message_id="m2", receipted=now())
        receipts = [
            self.receipt(), self.receipt(message_id="m2", jti="r2"), self.receipt(message_id="m3", jti="r3"),
            self.receipt(size=6, jti="r4"),
        ]  # fmt: skip
        marked, accepted = rules.acknowledged([GRANT, done], receipts)
        self.assertEqual((marked, [receipt.jti for receipt in accepted]), ([GRANT], ["r1", "r2"]))

    def test_lines(self) -> None:
        """One receipt per line, however lines end."""
        self.assertEqual(rules.split_receipts(b"a.b.c"), ["a.b.c"])
        self.assertEqual(rules.split_receipts(b"a\r\nb\n\nc\n"), ["a", "b", "c"])

    def test_no_lines(self) -> None:
        """Nothing, and what is not ASCII, is malformed."""
        self.assertRaises(Malformed, rules.split_receipts, b"\n \n")
        self.assertRaises(Malformed, rules.split_receipts, "ä".encode())

    def test_most_lines(self) -> None:
        """500 receipts are fine, 501 are too many."""
        self.assertEqual(len(rules.split_receipts(b"a\n" * 500)), 500)
        self.assertRaises(TooLarge, rules.split_receipts, b"a\n" * 501)


class Senders(SynchronousTestCase):
    """Which of our users may send."""

    def access(self, **changes: Any) -> VerifiedAccess:
        made = VerifiedAccess(FOO.issuer, FOO.address("alice"), "rrsctl", frozenset({"mail"}), now(), "j")
        return evolve(made, **changes)

    def test_sender(self) -> None:
        """A user of this domain with a token for mail may."""
        self.assertEqual(rules.require_sender(self.access(), None, FOO.domain), FOO.address("alice"))

    def test_other_domain(self) -> None:
        """An external provider's users of other domains are not ours."""
        self.assertRaises(Forbidden, rules.require_sender, self.access(subject=BAR.address("bob")), None, FOO.domain)

    def test_other_scope(self) -> None:
        """A token for something else does not send mail."""
        self.assertRaises(Forbidden, rules.require_sender, self.access(scope=frozenset({"openid"})), None, FOO.domain)

    def test_bound_token(self) -> None:
        """A bound token is good over its certificate only, also for a re-issued one of the same key (M-04)."""
        key = Key("laptop")
        bound = certificate("_cli.foo.test", key)
        access = self.access(confirmation=bound.x5t)
        rules.require_sender(access, bound, FOO.domain)
        self.assertRaises(Unproven, rules.require_sender, access, None, FOO.domain)
        self.assertRaises(Unproven, rules.require_sender, access, certificate("_cli.foo.test", key, 2), FOO.domain)

    def test_outcomes(self) -> None:
        """Our own trouble is a failure in the audit trail, everything else a refusal."""
        self.assertEqual([rules.outcome_of(each()) for each in (Unavailable, NoSpace, Damaged)], ["failed"] * 3)
        self.assertEqual(rules.outcome_of(Forbidden()), "refused")

    def test_offset(self) -> None:
        """Upload-Offset is one plain number."""
        self.assertEqual((rules.require_offset("0"), rules.require_offset("8388608")), (0, 8388608))
        for text in (None, "", "-1", "+1", "01", "1.0", "1, 2", "0x1", "9" * 19):
            self.assertRaises(Malformed, rules.require_offset, text)


class Uploads(SynchronousTestCase):
    """What may be uploaded."""

    def test_size(self) -> None:
        """A size up to the limit, zero included."""
        most = Settings(origin=FOO.origin, most_upload=Size(100))
        self.assertEqual(rules.parse_size({"size": 0}, most), 0)
        self.assertEqual(rules.parse_size({"size": 100, "media_type": "video/mp4", "filename": "a"}, most), 100)
        self.assertRaises(TooLarge, rules.parse_size, {"size": 101}, most)

    def test_no_size(self) -> None:
        """Anything else is malformed."""
        documents: list[dict[str, Any]] = [
            {}, {"size": -1}, {"size": True}, {"size": 1.0}, {"size": "1"}, {"size": 1, "owner": "x"},
            {"size": 1, "media_type": "x"}, {"size": 1, "filename": "a/b"},
        ]  # fmt: skip
        for document in documents:
            self.assertRaises(Malformed, rules.parse_size, document, SETTINGS)


class Drafts(SynchronousTestCase):
    """What a sender's program may ask for."""

    def parse(self, **members: Any) -> rules.Draft:
        return rules.parse_draft({"to": ["bob@bar.test"], **members}, SETTINGS)

    def refuse(self, refusal: type[Exception], **members: Any) -> None:
        self.assertRaises(refusal, self.parse, **members)

    def test_full(self) -> None:
        """Every member arrives."""
        attachment = {"digest": BYTES.b64, "media_type": "Video/MP4", "filename": "holiday.mp4"}
        draft = self.parse(
            cc=["c@bar.test"], bcc=["d@baz.test"], subject="Süd", text="a\nb\t", attachments=[attachment], days=3
        )
        self.assertEqual([str(each) for each in draft.envelope], ["bob@bar.test", "c@bar.test", "d@baz.test"])
        self.assertEqual(draft.attachments, (rules.Wish(BYTES, "video/mp4", "holiday.mp4"),))
        self.assertEqual((draft.subject, draft.text, draft.life), ("Süd", "a\nb\t", timedelta(days=3)))

    def test_least(self) -> None:
        """One recipient is enough, in any field, and the lifetime is the configured one."""
        draft = rules.parse_draft({"bcc": ["d@baz.test"]}, SETTINGS)
        self.assertEqual((draft.to, draft.life, draft.attachments), ((), SETTINGS.lifetime, ()))
        self.refuse(Malformed, to=[])

    def test_one_recipient_twice(self) -> None:
        """Naming somebody twice, in whatever case, is naming them once."""
        draft = self.parse(to=["bob@bar.test", "BOB@bar.test"], cc=["Bob@BAR.test"])
        self.assertEqual(len(draft.envelope), 1)

    def test_bad_members(self) -> None:
        """Members that are not what they should be are malformed."""
        self.refuse(Malformed, sender="eve@evil.test")
        self.refuse(Malformed, to="bob@bar.test")
        self.refuse(Malformed, to=[1])
        self.refuse(Malformed, to=["bob"])
        self.refuse(Malformed, subject=1)
        self.refuse(Malformed, text=None)
        self.refuse(Malformed, text="\x00")
        self.refuse(Malformed, attachments={})
        self.refuse(Malformed, attachments=["x"])
        self.refuse(Malformed, attachments=[{}])
        self.refuse(Malformed, attachments=[{"digest": BYTES.b64 + "="}])
        self.refuse(Malformed, attachments=[{"digest": BYTES.b64, "size": 3}])

    def test_header_injection(self) -> None:
        """Line breaks and controls in a subject or file name are refused."""
        for text in ("a\r\nBcc: eve@evil.test", "a\nb", "a\x00", "a\x85b", "a\u2028b"):
            self.refuse(Malformed, subject=text)
            self.refuse(Malformed, attachments=[{"digest": BYTES.b64, "filename": text}])

    def test_filenames(self) -> None:
        """A file name names no folder."""
        for name in ("a/b", "a\\b", "..", ".", "x" * 256):
            self.refuse(Malformed, attachments=[{"digest": BYTES.b64, "filename": name}])

    def test_media_types(self) -> None:
        """A media type is one; composite ones travel as octets."""
        self.assertEqual(rules.parse_media_type("message/rfc822"), rules.OCTETS)
        self.assertEqual(rules.parse_media_type("multipart/mixed"), rules.OCTETS)
        for value in (1, "", "text", "text/plain; charset=x", "text/pl ain", "/x", "te\nxt/plain"):
            self.assertRaises(Malformed, rules.parse_media_type, value)

    def test_days(self) -> None:
        """The lifetime is whole days up to the longest."""
        self.assertEqual(self.parse(days=90).life, timedelta(days=90))
        for days in (0, 91, -1, True, "3", 1.5):
            self.refuse(Malformed, days=days)

    def test_limits(self) -> None:
        """Recipients, attachments and text are limited: at the limit fine, beyond it too large."""
        people = [f"u{number}@bar.test" for number in range(4)]
        files = [{"digest": BYTES.b64}] * 4
        self.parse(to=people[:3], attachments=files[:3], text="x" * 10)
        self.refuse(TooLarge, to=people)
        self.refuse(TooLarge, attachments=files)
        self.refuse(TooLarge, text="ä" * 6)

    def test_recipients_times_attachments(self) -> None:
        """The number of grants is limited."""
        wide = Settings(origin=FOO.origin)
        document = {"to": [f"u{n}@bar.test" for n in range(400)], "attachments": [{"digest": BYTES.b64}] * 251}
        self.assertRaises(TooLarge, rules.parse_draft, document, wide)

    def test_owned(self) -> None:
        """Knowing a digest gives no right to send it: only what the sender uploaded goes out."""
        draft = self.parse(attachments=[{"digest": BYTES.b64}])
        self.assertEqual(rules.require_owned(draft, [Blob(BYTES, 5)])[BYTES].size, 5)
        self.assertRaises(Forbidden, rules.require_owned, draft, [])

    def test_grants(self) -> None:
        """Every envelope recipient gets one grant per resource, also where it is attached twice."""
        twice = [{"digest": BYTES.b64, "filename": "a"}, {"digest": BYTES.b64, "filename": "b"}]
        draft = self.parse(bcc=["d@baz.test"], attachments=twice)
        grants = rules.plan_grants(draft, {BYTES: Blob(BYTES, 5)}, FOO.address("alice"), "m", now())
        self.assertEqual([str(grant.recipient) for grant in grants], ["bob@bar.test", "d@baz.test"])
        self.assertEqual((grants[0].size, grants[0].filename, grants[0].message_id), (5, "b", "m"))
