"""The life of a resource, from the sender's upload to the collection of its bytes, over the store in memory."""

from datetime import timedelta

from rrsd.core.refusals import Forbidden, Unknown, Withdrawn
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.tokens import VerifiedAccess
from rrsd.core.wire.mime import parse_placeholder
from rrsd.drivers.store.memory import MemoryStore
from rrsd.roles.rs.flow.admission import Record
from rrsd.roles.rs.flow.permission import Permission
from rrsd.roles.rs.flow.proofs import Proofs
from rrsd.roles.rs.flow.senders import Senders
from rrsd.roles.rs.flow.strangers import Caller, Strangers, Wanted
from rrsd.roles.rs.service import Collection
from rrsd.roles.rs.settings import Settings
from rrsd.runtime.loops import Nursery
from tests.roles.rs.test_senders import Sessions
from tests.roles.rs.world import BAR, FOO, World
from tests.support.domains import POLICIES, FlowCase, Journal, Names, clock_at, now, timers_of

ALICE = Caller(("Bearer alice",), None, "192.0.2.9")


class Life(FlowCase):
    """alice sends to bob@bar.test."""

    def setUp(self) -> None:
        self.clock = clock_at()
        timers, settings = timers_of(self.clock), Settings(origin=FOO.origin)
        self.store = MemoryStore(timers.now)
        self.run_now(self.store.start())
        sessions, record = Sessions(), Record(Journal(), timers)
        sessions.known["alice"] = VerifiedAccess(
            FOO.issuer, FOO.address("alice"), "rrsctl", frozenset({"mail"}), now(), "j"
        )
        store = self.store
        self.senders = Senders(settings, FOO.domain, sessions, store.uploads, store.grants, timers, record, Names())
        proofs = Proofs(settings, World((FOO, BAR)), timers)
        self.strangers = Strangers(proofs, store.grants, store.blobs, timers, record, Permission(POLICIES, timers))
        self.collection = Collection(settings, store.blobs, store.uploads, timers, Nursery(), store.grants)

    def upload(self, data: bytes) -> Digest:
        upload = self.run_now(self.senders.begin(ALICE, {"size": len(data)}))
        if data:
            upload = self.run_now(self.senders.append(ALICE, upload.upload_id, 0, data))
        assert upload.digest is not None
        return upload.digest

    def send(self, digest: Digest) -> str:
        draft = {"to": ["bob@bar.test"], "attachments": [{"digest": digest.b64}]}
        return parse_placeholder(self.run_now(self.senders.send(ALICE, draft)).raw).message_id

    def bob(self) -> Caller:
        begins = int(self.clock.seconds())
        token = BAR.delegation(FOO.origin, iat=begins, nbf=begins, exp=begins + 300)
        return Caller((f"Bearer {token}",), BAR.certificate, "192.0.2.1")

    def retrieve(self, digest: Digest) -> bytes:
        return self.run_now(self.strangers.retrieve(self.bob(), Wanted(digest))).first

    def test_to_the_receipt(self) -> None:
        """Bytes stay until the recipient's domain keeps its own copy, and go then."""
        digest = self.upload(b"film")
        self.send(digest)
        self.clock.advance(timedelta(days=3).total_seconds())
        self.run_now(self.collection.collect())
        self.assertEqual(self.retrieve(digest), b"film")
        (grant,) = self.run_now(self.senders.sent(ALICE))
        begins = int(self.clock.seconds())
        receipt = BAR.receipt(grant, FOO.origin, iat=begins, nbf=begins, exp=begins + 300)
        self.assertEqual(self.run_now(self.strangers.acknowledge(self.bob(), receipt.encode())).fresh, 1)
        self.assertEqual(self.run_now(self.strangers.acknowledge(self.bob(), receipt.encode())).fresh, 0)
        self.run_now(self.collection.collect())
        self.refuse_now(self.strangers.retrieve(self.bob(), Wanted(digest)), Withdrawn)

    def test_withdrawn(self) -> None:
        """A withdrawn message is gone for its recipient, and its bytes go."""
        digest = self.upload(b"film")
        message_id = self.send(digest)
        self.assertEqual(self.run_now(self.senders.withdraw(ALICE, message_id)), 1)
        self.refuse_now(self.senders.withdraw(ALICE, message_id), Unknown)
        self.refuse_now(self.strangers.retrieve(self.bob(), Wanted(digest)), Withdrawn)
        self.clock.advance(timedelta(days=3).total_seconds())
        self.run_now(self.collection.collect())
        self.refuse_now(self.store.blobs.find(digest), Unknown)

    def test_empty(self) -> None:
        """A file of no bytes travels like any other."""
        digest = self.upload(b"")
        self.send(digest)
        self.assertEqual((digest, self.retrieve(digest)), (digest_of(b""), b""))

    def test_never_sent(self) -> None:
        """An upload that nobody was granted reaches nobody, and its bytes go with it."""
        digest = self.upload(b"film")
        self.refuse_now(self.strangers.retrieve(self.bob(), Wanted(digest)), Forbidden)
        self.clock.advance(timedelta(days=3).total_seconds())
        self.run_now(self.collection.collect())
        self.run_now(self.collection.collect())
        self.refuse_now(self.store.blobs.find(digest), Unknown)
