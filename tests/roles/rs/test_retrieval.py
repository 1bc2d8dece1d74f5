"""Retrieving and querying, over ports in memory (S)."""

from datetime import timedelta
from typing import Any

from attrs import evolve

from rrsd.core.refusals import (
    Damaged,
    Expired,
    Forbidden,
    Unknown,
    Unproven,
    Unsatisfiable,
    Withdrawn,
)
from rrsd.core.values.digests import digest_of
from rrsd.core.values.resources import CHUNK
from rrsd.core.wire.fields import Span, etag
from rrsd.roles.rs.flow.strangers import Caller
from tests.roles.rs.world import BAR, DATA, FOO, StrangersCase
from tests.support.domains import (
    Bytes,
    now,
)


class Retrieve(StrangersCase):
    """The bytes themselves."""

    def test_whole(self) -> None:
        """A grantee's agent gets every byte."""
        reading = self.get()
        self.assertEqual((reading.whole, reading.span), (True, Span(0, len(DATA))))
        self.assertEqual(self.run_now(self.body(reading)), DATA)

    def test_range(self) -> None:
        """One range is answered with exactly that."""
        reading = self.get(range="bytes=5000-14999")
        self.assertEqual((reading.whole, self.run_now(self.body(reading))), (False, DATA[5000:15000]))

    def test_several_ranges(self) -> None:
        """Several ranges are answered with the whole."""
        self.assertTrue(self.get(range="bytes=0-1,5-6").whole)

    def test_range_outside(self) -> None:
        """A range past the end is unsatisfiable."""
        self.refuse(Unsatisfiable, range=f"bytes={len(DATA)}-")

    def test_if_range(self) -> None:
        """A range counts only while the validator is the one of the bytes."""
        self.assertFalse(self.get(range="bytes=1-2", if_range=etag(self.digest)).whole)
        self.assertTrue(self.get(range="bytes=1-2", if_range='"sha-256:other"').whole)

    def test_if_none_match(self) -> None:
        """Who has the bytes already does not get them again."""
        reading = self.get(if_none_match=etag(self.digest))
        self.assertTrue(reading.unchanged)
        self.assertIsNone(reading.rest)
        self.assertFalse(self.get(if_none_match='"other"').unchanged)

    def test_head(self) -> None:
        """A request for the head reads no byte and selects no range."""
        reading = self.get(body=False, range="bytes=1-2")
        self.assertEqual((reading.whole, reading.first, reading.rest), (True, b"", None))

    def test_empty(self) -> None:
        """An empty resource is served as such."""
        self.digest = self.blobs.put(b"")
        self.granted(size=0)
        self.assertEqual(self.run_now(self.body(self.get())), b"")

    def test_collected(self) -> None:
        """Bytes that were collected are gone, not missing, for their grantee."""
        self.blobs.kept.clear()
        self.refuse(Withdrawn)
        self.refuse(Withdrawn, body=False)

    def test_damaged(self) -> None:
        """A disk that fails is our failure, in the audit trail too."""
        self.blobs.refusal = Damaged("disk")
        self.refuse(Damaged)
        self.assertEqual(self.journal.events[-1].outcome, "failed")

    def test_audit(self) -> None:
        """Each decision leaves one event that says who asked for what, and what was believed."""
        self.get()
        (event,) = self.journal.events
        self.assertEqual((event.what, event.outcome, event.who), ("retrieve", "granted", "_rra.bar.test"))
        self.assertEqual((event.subject, event.resource), ("bob@bar.test", self.digest.ni))
        self.assertEqual((event.evidence, event.peer), ("webfinger tls https://as.bar.test webfinger", "192.0.2.1"))

    def test_audit_holds_no_token(self) -> None:
        """No event holds a token, granted or refused (S-21)."""
        token = BAR.delegation(FOO.origin)
        self.get(self.caller(token))
        self.refuse(Forbidden, self.caller(token), digest=digest_of(b"other"))
        for part in token.split("."):
            self.assertNotIn(part, repr(self.journal.events))
        self.assertNotIn(token, repr(self.caller(token)))


class Policy(StrangersCase):
    """Which grant reaches whom."""

    def test_unknown_and_not_permitted_look_alike(self) -> None:
        """What does not exist and what was granted to others are refused alike."""
        unknown = self.refuse(Forbidden, digest=digest_of(b"nothing"))
        other = self.caller(BAR.delegation(FOO.origin, local="carol"))
        self.assertEqual(self.refuse(Forbidden, other).reason, unknown.reason)

    def test_ended_grants(self) -> None:
        """A withdrawn grant and one past its time are gone for their grantee, and unknown to others."""
        self.run_now(self.ledger.withdraw(FOO.address("alice"), "m1"))
        self.refuse(Withdrawn)
        self.refuse(Forbidden, self.caller(BAR.delegation(FOO.origin, local="carol")))

    def test_expired_grant(self) -> None:
        """After `not_after` the grant is over."""
        self.ledger.kept = [evolve(self.grant, not_after=now())]
        self.refuse(Withdrawn)

    def test_narrowed_delegation(self) -> None:
        """A delegation narrowed to a message reaches that message's grant only (S-12)."""
        details = [{"type": "rrs_message", "message_id": "m1"}]
        self.get(self.caller(BAR.delegation(FOO.origin, authorization_details=details)))
        details = [{"type": "rrs_message", "message_id": "m2"}]
        self.refuse(Forbidden, self.caller(BAR.delegation(FOO.origin, authorization_details=details)))

    def test_case_of_the_local_part(self) -> None:
        """Letters of the local part compare without case."""
        self.get(self.caller(BAR.delegation(FOO.origin, local="BOB")))


class Warm(StrangersCase):
    """What is remembered of a proved delegation."""

    def test_asked_once(self) -> None:
        """A delegation is proved once; grants are looked at every time."""
        caller = self.caller()
        self.get(caller)
        self.get(caller)
        self.assertEqual(len(self.world.asked), 3)
        self.run_now(self.ledger.withdraw(FOO.address("alice"), "m1"))
        self.refuse(Withdrawn, caller)

    def test_a_minute_at_most(self) -> None:
        """After a minute it is proved again, with what the world says then."""
        caller = self.caller()
        self.get(caller)
        self.clock.advance(59)
        self.get(caller)
        self.clock.advance(1)
        self.world.parties = (FOO,)
        self.refuse(Unproven, caller)

    def test_not_beyond_its_own_end(self) -> None:
        """A delegation that ends earlier is not believed longer."""
        begins = int(now().timestamp())
        caller = self.caller(BAR.delegation(FOO.origin, iat=begins - 260, nbf=begins - 260, exp=begins + 10))
        self.get(caller)
        self.clock.advance(41)
        self.refuse(Expired, caller)

    def test_not_beyond_the_clients_proof(self) -> None:
        """Nor is a client whose proof of ownership ends earlier."""
        self.world.proof_life = timedelta(seconds=5)
        caller = self.caller()
        self.get(caller)
        self.clock.advance(5)
        self.get(caller)
        self.assertEqual(len(self.world.asked), 6)


class Chunks(StrangersCase):
    """Chunk lists."""

    def chunks(self, caller: Caller | None = None) -> Any:
        return self.flow.chunks(caller or self.caller(), self.digest)

    def test_list(self) -> None:
        """A grantee's agent gets the digests of the parts."""
        blob = self.run_now(self.chunks())
        self.assertEqual((blob.size, len(blob.chunks)), (len(DATA), -(-len(DATA) // CHUNK)))
        self.assertEqual(self.journal.events[-1].what, "query")

    def test_same_authorization(self) -> None:
        """Others get nothing, and collected is gone."""
        self.refuse_now(self.chunks(self.caller(BAR.delegation(FOO.origin, local="carol"))), Forbidden)
        self.blobs.kept.clear()
        self.refuse_now(self.chunks(), Withdrawn)

    def test_no_list(self) -> None:
        """A resource whose parts were never hashed has no list."""
        blobs = self.blobs

        class Unhashed(Bytes):
            async def find(self, digest: Any) -> Any:
                return evolve(await blobs.find(digest), chunks=())

        self.flow.blobs = Unhashed()
        self.refuse_now(self.chunks(), Unknown)
