"""The contract of users, logins, replays and grants."""

from attrs import evolve

from rrsd.core.refusals import NotGranted, Replayed, Unknown
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.clients import ClientRow
from rrsd.core.values.digests import digest_of
from rrsd.core.values.logins import Code, RefreshGrant, User
from tests.drivers.store.contract import StoreCase
from tests.drivers.store.samples import ALICE, BOB, CAROL, NOW, custody, grant, later


def code(key: str) -> Code:
    """A code of alice."""
    return Code(key, "app", "https://foo.test/cb", "challenge", ALICE, "mail", "n", NOW, later(60))


def link(key: str, family: str = "f") -> RefreshGrant:
    """A refresh token of alice."""
    return RefreshGrant(key, family, "app", ALICE, "mail", NOW, later(3600))


class PeopleContract(StoreCase):
    """What the store promises about people and what they may do."""

    def test_users(self) -> None:
        """A user is found by address without regard to case, replaced by saving, and gone after removal."""
        alice, bob = User(ALICE, "phc", False, NOW), User(BOB, "phc2", True, NOW)
        for user in (bob, evolve(alice, password="old"), alice):
            self.done(self.store.users.save(user))
        self.assertEqual(self.done(self.store.users.find(parse_address("Alice@foo.test"))), alice)
        self.assertEqual(self.done(self.store.users.all()), [alice, bob])
        self.done(self.store.users.remove(ALICE))
        self.done(self.store.users.remove(ALICE))
        self.refused(Unknown, self.store.users.find(ALICE))

    def test_changed_users(self) -> None:
        """A user who was read is not believed to be as they were once they have changed, by whichever spelling."""
        alice = User(ALICE, "phc", False, NOW)
        self.done(self.store.users.save(alice))
        for changed in (evolve(alice, suspended=True), evolve(alice, password="new")):
            self.done(self.store.users.find(ALICE))
            self.done(self.store.users.save(changed))
            self.assertEqual(self.done(self.store.users.find(parse_address("Alice@foo.test"))), changed)
        self.done(self.store.users.remove(parse_address("ALICE@foo.test")))
        self.refused(Unknown, self.store.users.find(ALICE))

    def test_code_once(self) -> None:
        """A code is taken once; again is a replay, another one was never granted."""
        self.done(self.store.logins.add_code(code("k")))
        self.assertEqual(self.done(self.store.logins.take_code("k")), code("k"))
        self.refused(Replayed, self.store.logins.take_code("k"))
        self.refused(NotGranted, self.store.logins.take_code("other"))

    def test_refresh_chain(self) -> None:
        """A refresh token that is used twice ends its whole family, links added later included."""
        for key in ("r1", "r2"):
            self.done(self.store.logins.add_refresh(link(key)))
        self.done(self.store.logins.add_refresh(link("other", "g")))
        self.assertEqual(self.done(self.store.logins.take_refresh("r1")), link("r1"))
        self.refused(Replayed, self.store.logins.take_refresh("r1"))
        self.done(self.store.logins.add_refresh(link("r3")))
        self.refused(NotGranted, self.store.logins.take_refresh("r2"))
        self.refused(NotGranted, self.store.logins.take_refresh("r3"))
        self.refused(NotGranted, self.store.logins.take_refresh("nothing"))
        self.assertEqual(self.done(self.store.logins.take_refresh("other")), link("other", "g"))

    def test_revoked_family(self) -> None:
        """A revoked family grants nothing any more."""
        self.done(self.store.logins.add_refresh(link("r1")))
        self.done(self.store.logins.revoke_family("f"))
        self.refused(NotGranted, self.store.logins.take_refresh("r1"))

    def test_logins_sweep(self) -> None:
        """What has expired is dropped, the rest stays."""
        self.done(self.store.logins.add_code(code("k")))
        self.done(self.store.logins.add_refresh(link("r")))
        self.done(self.store.logins.sweep(later(61)))
        self.refused(NotGranted, self.store.logins.take_code("k"))
        self.done(self.store.logins.take_refresh("r"))

    def test_first_use(self) -> None:
        """The first use of an identifier is the only first one, per issuer."""
        first_use = self.store.replays.first_use
        self.assertTrue(self.done(first_use("a", "1", later(60))))
        self.assertFalse(self.done(first_use("a", "1", later(60))))
        self.assertTrue(self.done(first_use("b", "1", later(60))))
        self.assertTrue(self.done(first_use("a1", "", later(60))))

    def test_replays_are_swept(self) -> None:
        """The memory of identifiers does not grow for ever, and forgets none that has not expired."""
        for n in range(999):
            self.done(self.store.replays.first_use("a", str(n), later(60 if n else 99999)))
        self.pass_seconds(7200)
        self.done(self.store.replays.first_use("a", "x", later(99999)))
        self.assertTrue(self.done(self.store.replays.first_use("a", "1", later(99999))))
        self.assertFalse(self.done(self.store.replays.first_use("a", "0", later(99999))))

    def test_clients(self) -> None:
        """Clients are kept as they were added, replaced and forgotten."""
        first = ClientRow("_a.test", {"auth": "private_key_jwt", "jwks": {"keys": [1]}}, False, NOW)
        self.done(self.store.clients.save(ClientRow("_b.test", {}, True, NOW)))
        self.done(self.store.clients.save(first))
        self.done(self.store.clients.save(evolve(first, disabled=True)))
        kept = self.done(self.store.clients.all())
        self.assertEqual(kept, [evolve(first, disabled=True), ClientRow("_b.test", {}, True, NOW)])
        self.done(self.store.clients.remove("_a.test"))
        self.done(self.store.clients.remove("_a.test"))
        self.assertEqual([each.name for each in self.done(self.store.clients.all())], ["_b.test"])

    def test_revocations(self) -> None:
        """A name is revoked from the moment that it was, and longest where it was said twice."""
        revocations = self.store.revocations
        self.assertFalse(self.done(revocations.is_revoked("a", "b")))
        self.done(revocations.revoke("b", later(60)))
        self.done(revocations.revoke("b", later(30)))
        self.assertTrue(self.done(revocations.is_revoked("a", "b")))
        self.assertFalse(self.done(revocations.is_revoked("a")))

    def test_revocations_are_swept(self) -> None:
        """What could not be taken any more is forgotten, the rest stays."""
        revocations = self.store.revocations
        self.done(revocations.revoke("long", later(99999)))
        for n in range(254):
            self.done(revocations.revoke(f"short {n}", later(60)))
        self.pass_seconds(7200)
        self.done(revocations.revoke("new", later(99999)))
        self.assertFalse(self.done(revocations.is_revoked("short 1")))
        self.assertTrue(self.done(revocations.is_revoked("long")))
        self.assertTrue(self.done(revocations.is_revoked("new")))

    def test_grants(self) -> None:
        """A grant is found by resource and recipient, and stays as it was first given."""
        digest = self.done(self.store.blobs.put(b"abc")).digest
        given = grant(digest)
        self.done(self.store.grants.add([given, grant(digest, "<m2@foo.test>")]))
        self.done(self.store.grants.add([evolve(given, filename="other")]))
        self.assertEqual(self.done(self.store.grants.naming(digest, BOB)), [given, grant(digest, "<m2@foo.test>")])
        self.assertEqual(self.done(self.store.grants.naming(digest, CAROL)), [])
        self.assertEqual(self.done(self.store.grants.naming(digest_of(b"?"), BOB)), [])
        self.assertEqual(self.done(self.store.grants.sent(ALICE, 1)), [grant(digest, "<m2@foo.test>")])

    def test_grant_needs_a_blob(self) -> None:
        """Grants of which one names a missing blob are refused all together."""
        digest = self.done(self.store.blobs.put(b"abc")).digest
        self.refused(Unknown, self.store.grants.add([grant(digest), grant(digest_of(b"?"))]))
        self.assertEqual(self.done(self.store.grants.sent(ALICE, 9)), [])

    def test_receipt_once(self) -> None:
        """The first receipt of a grant counts."""
        digest = self.done(self.store.blobs.put(b"abc")).digest
        self.done(self.store.grants.add([grant(digest)]))
        self.done(self.store.grants.receipted([custody(grant(digest), "first")], later(5)))
        self.done(self.store.grants.receipted([custody(grant(digest), "second")], later(6)))
        (found,) = self.done(self.store.grants.of(BOB, [digest, digest]))
        self.assertEqual(found.receipted, later(5))
        (kept,) = self.done(self.store.grants.custody(ALICE, found.message_id))
        self.assertEqual((kept.grant, kept.receipt), (found, "first"))

    def test_custody(self) -> None:
        """What was signed is the sender's to see, with the certificate, until it was kept long enough."""
        digest = self.done(self.store.blobs.put(b"abc")).digest
        several = [grant(digest), grant(digest, "<m2@foo.test>"), grant(digest, "<m3@foo.test>")]
        self.done(self.store.grants.add(several))
        for number, each in enumerate(several):
            signed = custody(each, f"receipt {number}", b"other" if number else b"der")
            self.done(self.store.grants.receipted([signed, signed], later(number)))
        self.assertEqual(self.done(self.store.grants.custody(BOB, "<m2@foo.test>")), [])
        (second,) = self.done(self.store.grants.custody(ALICE, "<m2@foo.test>"))
        self.assertEqual((second.receipt, second.certificate, second.proof), ("receipt 1", b"other", "webfinger tls"))
        self.assertEqual(self.done(self.store.grants.forget_custody(later(0), 9)), 0)
        self.assertEqual(self.done(self.store.grants.forget_custody(later(2), 1)), 1)
        self.assertEqual(self.done(self.store.grants.custody(ALICE, "<m1@foo.test>")), [])
        self.assertEqual(self.done(self.store.grants.forget_custody(later(9), 9)), 2)
        signers = self.done(self.store._engine.read(lambda c: c.execute("SELECT count(*) FROM signers").fetchone()))
        self.assertEqual(signers, (0,))
        given = self.done(self.store.grants.message(ALICE, "<m2@foo.test>"))
        self.assertEqual([each.receipted for each in given], [later(1)])
        self.assertEqual(self.done(self.store.grants.message(BOB, "<m2@foo.test>")), [])

    def test_signed_for_what_was_never_granted(self) -> None:
        """It is about nothing, and nothing is kept of it."""
        digest = self.done(self.store.blobs.put(b"abc")).digest
        self.done(self.store.grants.receipted([custody(grant(digest))], NOW))
        self.assertEqual(self.done(self.store.grants.custody(ALICE, "<m1@foo.test>")), [])

    def test_withdraw(self) -> None:
        """A sender withdraws the grants of a message once; another sender's message stays."""
        digest = self.done(self.store.blobs.put(b"abc")).digest
        self.done(self.store.grants.add([grant(digest)]))
        self.assertEqual(self.done(self.store.grants.withdraw(CAROL, "<m1@foo.test>")), 0)
        self.assertEqual(self.done(self.store.grants.withdraw(ALICE, "<m1@foo.test>")), 1)
        self.assertEqual(self.done(self.store.grants.withdraw(ALICE, "<m1@foo.test>")), 0)
        self.assertTrue(self.done(self.store.grants.naming(digest, BOB))[0].withdrawn)
