"""What our own users may do, over ports in memory."""

from datetime import timedelta
from typing import Any

from attrs import evolve

from rrsd.core.refusals import (
    Conflict,
    Expired,
    Forbidden,
    Malformed,
    Refusal,
    TooLarge,
    Unauthenticated,
    Unknown,
    Unproven,
)
from rrsd.core.values.addresses import Domain
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.peers import Certificate, ClientProof, Introduction, Issuer
from rrsd.core.values.tokens import KeySet, VerifiedAccess
from rrsd.core.wire.mime import parse_placeholder
from rrsd.roles.rs.flow.admission import Record
from rrsd.roles.rs.flow.senders import Senders, Sent
from rrsd.roles.rs.flow.strangers import Caller
from rrsd.roles.rs.settings import Settings
from tests.support.domains import Arrivals, Bytes, FlowCase, Journal, Ledger, Names, Party, clock_at, now, timers_of

FOO = Party("foo.test")


class Sessions:
    """Our users by their tokens; strangers are not asked about."""

    def __init__(self) -> None:
        self.known: dict[str, VerifiedAccess | Refusal] = {}

    async def prove_user(self, text: str) -> VerifiedAccess:
        found = self.known[text]
        if isinstance(found, Refusal):
            raise found
        return found

    async def introduce(self, domain: Domain) -> Introduction:
        raise Unproven()

    async def keys_of(self, introduction: Introduction, kid: str) -> KeySet:
        raise Unproven()

    async def prove_client(self, certificate: Certificate, issuer: Issuer) -> ClientProof:
        raise Unproven()


class SendersCase(FlowCase):
    """alice and carol of foo.test are logged in."""

    def setUp(self) -> None:
        self.sessions, self.journal, self.blobs = Sessions(), Journal(), Bytes()
        self.ledger, self.uploads = Ledger(), Arrivals(self.blobs)
        for local in ("alice", "carol"):
            access = VerifiedAccess(FOO.issuer, FOO.address(local), "rrsctl", frozenset({"mail"}), now(), "j")
            self.sessions.known[local] = access
        timers = timers_of(clock_at())
        settings = Settings(origin=FOO.origin)
        record = Record(self.journal, timers)
        self.flow = Senders(settings, FOO.domain, self.sessions, self.uploads, self.ledger, timers, record, Names())

    def caller(self, local: str = "alice") -> Caller:
        return Caller((f"Bearer {local}",), None, "192.0.2.1")

    def stored(self, data: bytes, local: str = "alice") -> Digest:
        upload = self.run_now(self.flow.begin(self.caller(local), {"size": len(data)}))
        if data:
            upload = self.run_now(self.flow.append(self.caller(local), upload.upload_id, 0, data))
        assert upload.digest is not None
        return upload.digest

    def send(self, **members: Any) -> Sent:
        return self.run_now(self.flow.send(self.caller(), {"to": ["bob@bar.test"], **members}))


class Upload(SendersCase):
    """Resources on their way in."""

    def test_in_pieces(self) -> None:
        """Bytes arrive in pieces, and the last brings the digest."""
        upload = self.run_now(self.flow.begin(self.caller(), {"size": 6}))
        self.assertEqual((upload.offset, upload.expires), (0, now() + timedelta(days=2)))
        upload = self.run_now(self.flow.append(self.caller(), upload.upload_id, 0, b"abc"))
        self.assertEqual((upload.offset, upload.digest), (3, None))
        self.assertEqual(self.run_now(self.flow.look(self.caller(), upload.upload_id)).offset, 3)
        upload = self.run_now(self.flow.append(self.caller(), upload.upload_id, 3, b"def"))
        self.assertEqual(upload.digest, digest_of(b"abcdef"))
        self.assertEqual(self.journal.events[-1].resource, digest_of(b"abcdef").ni)

    def test_empty(self) -> None:
        """A resource of no bytes is complete at once."""
        self.assertEqual(self.stored(b""), digest_of(b""))

    def test_wrong_offset(self) -> None:
        """Bytes for another place than where the upload stands are refused, and so are more than announced."""
        upload = self.run_now(self.flow.begin(self.caller(), {"size": 3}))
        self.refuse_now(self.flow.append(self.caller(), upload.upload_id, 1, b"b"), Conflict)
        self.refuse_now(self.flow.append(self.caller(), upload.upload_id, 0, b"abcd"), TooLarge)
        self.run_now(self.flow.append(self.caller(), upload.upload_id, 0, b"abc"))
        self.refuse_now(self.flow.append(self.caller(), upload.upload_id, 3, b""), Conflict)

    def test_of_another_user(self) -> None:
        """Another user's upload is unknown."""
        upload = self.run_now(self.flow.begin(self.caller(), {"size": 3}))
        carol = self.caller("carol")
        self.refuse_now(self.flow.look(carol, upload.upload_id), Unknown)
        self.refuse_now(self.flow.append(carol, upload.upload_id, 0, b"abc"), Unknown)
        self.refuse_now(self.flow.cancel(carol, upload.upload_id), Unknown)

    def test_cancel(self) -> None:
        """A cancelled upload is gone."""
        upload = self.run_now(self.flow.begin(self.caller(), {"size": 3}))
        self.run_now(self.flow.cancel(self.caller(), upload.upload_id))
        self.refuse_now(self.flow.look(self.caller(), upload.upload_id), Unknown)

    def test_too_large(self) -> None:
        """More than a user may upload is refused before a byte comes."""
        self.refuse_now(self.flow.begin(self.caller(), {"size": 2**60}), TooLarge)


class Tokens(SendersCase):
    """Who is let in."""

    def refuse(self, refusal: type[Refusal], caller: Caller | None = None) -> None:
        self.refuse_now(self.flow.sent(caller or self.caller()), refusal)
        self.assertEqual(self.journal.events[-1].refusal, refusal.reason)

    def test_no_token(self) -> None:
        """Without a token there is a challenge."""
        self.refuse(Unauthenticated, Caller((), None, ""))

    def test_bad_token(self) -> None:
        """What is no token, an old one, or one for something else does not let in."""
        for given, refusal in ((Malformed(), Unproven), (TooLarge(), Unproven), (Expired(), Expired)):
            self.sessions.known["alice"] = given
            self.refuse(refusal)

    def test_scope(self) -> None:
        """A token without the scope for mail does not let in."""
        access = self.sessions.known["alice"]
        assert isinstance(access, VerifiedAccess)
        self.sessions.known["alice"] = evolve(access, scope=frozenset({"openid"}))
        self.refuse(Forbidden)


class Send(SendersCase):
    """Messages on their way out."""

    def test_placeholder(self) -> None:
        """The sender's program gets a message whose attachments point here."""
        digest = self.stored(b"film")
        attachment = {"digest": digest.b64, "media_type": "video/mp4", "filename": "holiday.mp4"}
        sent = self.send(subject="Holiday", text="Look.", attachments=[attachment], days=3)
        message = parse_placeholder(sent.raw)
        self.assertEqual((str(message.sender), message.subject), ("alice@foo.test", "Holiday"))
        self.assertEqual(message.message_id, sent.message_id)
        (found,) = message.attachments
        self.assertEqual((found.digest, found.size, found.origin), (digest, 4, FOO.origin))
        self.assertEqual((found.media_type, found.filename), ("video/mp4", "holiday.mp4"))
        self.assertEqual(found.expires, now() + timedelta(days=3))

    def test_grants(self) -> None:
        """Every envelope recipient gets a grant until the end that the message states."""
        digest = self.stored(b"film")
        sent = self.send(cc=["c@baz.test"], bcc=["d@baz.test"], attachments=[{"digest": digest.b64}], days=3)
        self.assertEqual(
            [str(grant.recipient) for grant in self.ledger.kept], ["bob@bar.test", "c@baz.test", "d@baz.test"]
        )
        self.assertEqual({grant.message_id for grant in self.ledger.kept}, {sent.message_id})
        self.assertEqual({grant.not_after for grant in self.ledger.kept}, {now() + timedelta(days=3)})

    def test_bcc_is_never_shown(self) -> None:
        """The message names those in To and Cc only."""
        raw = self.send(cc=["c@baz.test"], bcc=["d@baz.test"], text="x").raw
        self.assertIn(b"c@baz.test", raw)
        self.assertNotIn(b"d@baz.test", raw)

    def test_without_attachments(self) -> None:
        """A message without attachments needs no grant."""
        self.assertEqual(parse_placeholder(self.send(text="x").raw).attachments, ())
        self.assertEqual(self.ledger.kept, [])

    def test_somebody_elses_resource(self) -> None:
        """A digest that a user merely knows cannot be sent, which would be a grant to oneself."""
        digest = self.stored(b"secret", "carol")
        draft = {"to": ["alice@foo.test"], "attachments": [{"digest": digest.b64}]}
        self.refuse_now(self.flow.send(self.caller(), draft), Forbidden)
        self.assertEqual(self.ledger.kept, [])

    def test_no_grants_without_a_message(self) -> None:
        """A draft that cannot become a message grants nothing."""
        digest = self.stored(b"film")
        attachment = {"digest": digest.b64, "media_type": "video/mp4" + "x" * 300}
        self.refuse_now(self.flow.send(self.caller(), {"to": ["bob@bar.test"], "attachments": [attachment]}), Malformed)
        self.assertEqual(self.ledger.kept, [])

    def test_sent(self) -> None:
        """A sender sees the own grants, newest first, and nobody else's."""
        digest = self.stored(b"film")
        first, second = (self.send(attachments=[{"digest": digest.b64}]).message_id for _ in range(2))
        seen = self.run_now(self.flow.sent(self.caller()))
        self.assertEqual([grant.message_id for grant in seen], [second, first])
        self.assertEqual(self.run_now(self.flow.sent(self.caller("carol"))), [])

    def test_withdraw(self) -> None:
        """A sender ends the own grants, and nobody else's."""
        digest = self.stored(b"film")
        message_id = self.send(attachments=[{"digest": digest.b64}]).message_id
        self.refuse_now(self.flow.withdraw(self.caller("carol"), message_id), Unknown)
        self.assertEqual(self.run_now(self.flow.withdraw(self.caller(), message_id)), 1)
        self.assertTrue(self.ledger.kept[0].withdrawn)
