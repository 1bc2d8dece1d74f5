"""The contract of what a sender's bytes wait for."""

from attrs import evolve

from rrsd.core.refusals import Unknown
from rrsd.core.values.addresses import Address
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.resources import Grant
from tests.drivers.store.contract import StoreCase
from tests.drivers.store.samples import ALICE, BOB, CAROL, custody, grant, later, upload


class CustodyContract(StoreCase):
    """Bytes stay until every recipient's domain has its own copy, or nobody may ask for them any more."""

    def collected(self, now: Instant, grace: float, keep: float = 0.0) -> list[Digest]:
        """What a collection removes; the files are as old as the clock of the backend says."""
        self.aged()
        return list(self.done(self.store.blobs.collect(now, grace, 10, keep)))

    def aged(self) -> None:
        """Files in memory are as old as the test's clock says."""

    async def removed(self, digest: Digest, now: Instant) -> bool:
        """Whether the second half of a collection removes what the first has chosen."""
        remove = self.store.blobs._removal(digest, now, 0.0, now.timestamp() - 3600)
        return await self.store._engine.write(remove)

    def granted(self, *recipients: Address) -> tuple[Digest, list[Grant]]:
        """One resource for all of them."""
        digest = self.done(self.store.blobs.put(b"for all")).digest
        grants = [evolve(grant(digest), recipient=recipient) for recipient in recipients]
        self.done(self.store.grants.add(grants))
        return digest, grants

    def test_bytes_stay_until_the_last_receipt(self) -> None:
        """One recipient's domain has its own copy: the others' is still here."""
        digest, (bobs, carols) = self.granted(BOB, CAROL)
        self.done(self.store.grants.receipted([custody(bobs)], later(10)))
        self.assertEqual(self.collected(later(90000), 3600), [])
        self.done(self.store.grants.receipted([custody(carols)], later(20)))
        self.assertEqual(self.collected(later(90000), 3600), [digest])

    def test_bytes_stay_after_the_last_receipt_where_that_is_wanted(self) -> None:
        """For a domain that loses its disk an hour after it had signed."""
        digest, (bobs,) = self.granted(BOB)
        self.done(self.store.grants.receipted([custody(bobs)], later(80000)))
        self.assertEqual(self.collected(later(90000), 3600, 86400.0), [])
        self.assertEqual(self.collected(later(80000 + 86400), 3600, 86400.0), [digest])

    def test_a_download_by_a_personal_link_is_no_receipt(self) -> None:
        """Whoever downloaded may come again, with another device, until the grant ends."""
        digest, (bobs,) = self.granted(BOB)
        self.done(self.store.grants.downloaded(bobs, later(10)))
        self.assertEqual(self.collected(later(6 * 86400), 3600), [])
        self.assertEqual(self.collected(later(7 * 86400), 3600), [digest])

    def test_bytes_go_when_the_last_that_waits_is_withdrawn_or_over(self) -> None:
        """One signed, one was withdrawn, one has expired: nobody may ask any more."""
        digest, (bobs, carols) = self.granted(BOB, CAROL)
        self.done(self.store.grants.receipted([custody(bobs)], later(10)))
        self.assertEqual(self.collected(later(6 * 86400), 3600), [])
        self.done(self.store.grants.withdraw(ALICE, carols.message_id))
        self.assertEqual(self.collected(later(6 * 86400), 3600), [digest])

    def test_a_grant_that_comes_while_the_collection_runs(self) -> None:
        """Its bytes were chosen to go: they stay; where they have gone, the grant is refused."""
        digest, (bobs,) = self.granted(BOB)
        self.done(self.store.grants.receipted([custody(bobs)], later(10)))
        self.aged()
        before, blobs = later(90000 - 3600).timestamp(), self.store.blobs
        chosen = [each for first in range(256) for each in blobs._candidates(first, before)]
        self.assertEqual(chosen, [digest])
        self.done(self.store.grants.add([grant(digest, "<m2@foo.test>")]))
        self.assertFalse(self.done(self.removed(digest, later(90000))))
        self.done(self.store.grants.receipted([custody(grant(digest, "<m2@foo.test>"))], later(11)))
        self.assertTrue(self.done(self.removed(digest, later(90000))))
        self.refused(Unknown, self.store.grants.add([grant(digest, "<m3@foo.test>")]))

    def test_an_upload_that_was_not_sent_yet_keeps_its_bytes(self) -> None:
        """Alice has sent the same film before, and everybody has it; her new upload of it is hers to send."""
        digest, (bobs,) = self.granted(BOB)
        self.done(self.store.uploads.begin(upload(7)))
        self.done(self.store.uploads.append(upload(7), b"for all"))
        self.done(self.store.grants.receipted([custody(bobs)], later(10)))
        self.assertEqual(self.collected(later(80000), 3600), [])
        self.done(self.store.grants.add([grant(digest, "<m2@foo.test>")]))
        self.assertEqual(self.collected(later(90000), 3600), [])
