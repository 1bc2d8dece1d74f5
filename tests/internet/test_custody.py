"""alice looks after what she sent, and can show what she was signed; over TLS, between whole domains."""

import base64
import json
from typing import Any
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from rrsd.core.refusals import Unknown
from rrsd.core.values.digests import digest_of
from tests.internet.test_api import FILES, ApiCase


class Custody(ApiCase):
    """From the API of foo.test."""

    def mine(self, place: str = "/api/outgoing") -> Any:
        """What alice's program is told."""
        return self.user(self.foo, "alice").get(place).json()

    def test_from_waiting_to_kept(self) -> None:
        """Each attachment, by recipient; bob's domain signs, and whoever is no rrsd does not."""
        raw = self.sent(to=["bob@bar.test", "dave@else.test"])
        message = self.mine()["messages"][0]
        self.assertEqual({grant["state"] for grant in message["grants"]}, {"waiting"})
        self.bar.deliver(raw, "bob@bar.test")
        self.world.advance(2)
        message = self.mine()["messages"][0]
        states = {(grant["recipient"], grant["state"]) for grant in message["grants"]}
        self.assertEqual(states, {("bob@bar.test", "kept"), ("dave@else.test", "waiting")})
        self.assertEqual(len(message["grants"]), 2 * len(FILES))
        self.user(self.foo, "alice").get(f"/api/outgoing/{message['message_id']}", "DELETE")
        states = {(grant["recipient"], grant["state"]) for grant in self.mine()["messages"][0]["grants"]}
        self.assertEqual(states, {("bob@bar.test", "kept"), ("dave@else.test", "withdrawn")})

    def test_a_receipt_can_be_checked_by_anybody(self) -> None:
        """With nothing but what is exported, and what everybody has (RFC 7515 5.2, RFC 7518 3.4)."""
        self.arrived()
        message = self.mine()["messages"][0]
        place = f"/api/outgoing/{quote(message['message_id'], safe='')}/receipts"
        document = self.mine(place)
        self.assertEqual(len(document["receipts"]), len(FILES))
        for each in document["receipts"]:
            head, claims, signature = each["receipt"].split(".")
            key = x509.load_pem_x509_certificate(each["certificate"].encode()).public_key()
            assert isinstance(key, ec.EllipticCurvePublicKey)
            raw = decoded(signature)
            both = (int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
            key.verify(encode_dss_signature(*both), f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))
            said = json.loads(decoded(claims))
            self.assertEqual((said["sub"], said["aud"]), ("bob@bar.test", document["audience"]))
            self.assertEqual(said["resource"], f"ni:///sha-256;{each['digest']}")
            self.assertEqual(said["message_id"], message["message_id"])
            self.assertIn(each["digest"], [digest_of(data).b64 for data in FILES.values()])

    def test_a_message_with_an_odd_name(self) -> None:
        """As others' mail programs make them: no path can hold it."""
        self.foo.grant(b"x", "bob@bar.test", message_id="a/b%c@foo.test")
        named = base64.urlsafe_b64encode(b"a/b%c@foo.test").decode().rstrip("=")
        self.assertEqual(self.mine(f"/api/outgoing/b64:{named}")["message_id"], "a/b%c@foo.test")
        self.assertEqual(self.mine(f"/api/outgoing/b64:{named}/receipts")["receipts"], [])
        answer = self.user(self.foo, "alice").get(f"/api/outgoing/b64:{named}", "DELETE")
        self.assertEqual((answer.status, answer.json()), (200, {"withdrawn": 1}))

    def test_nobody_else_sees_it(self) -> None:
        """Neither another user of foo.test, nor bob, nor a stranger."""
        self.arrived()
        self.foo.add_user("eve")
        message = self.mine()["messages"][0]
        for place in (f"/api/outgoing/{message['message_id']}", f"/api/outgoing/{message['message_id']}/receipts"):
            self.assertEqual(self.user(self.foo, "eve").get(place).status, 404)
            self.assertIn(self.user(self.bar, "bob").get(place).status, (403, 404))
            self.assertEqual(self.line(self.foo).ask("GET", place).status, 401)

    def test_bytes_go_when_everybody_has_signed(self) -> None:
        """And what was signed stays."""
        self.arrived()
        digest = digest_of(FILES["a.bin"])
        self.world.result(self.foo.store.blobs.find(digest))
        self.world.advance(3 * 86400, 3600)
        self.world.result(self.foo.whole.serving.collection.collect())
        with self.assertRaises(Unknown):
            self.world.result(self.foo.store.blobs.find(digest))
        message = self.mine_later()[0]
        self.assertEqual({grant["state"] for grant in message["grants"]}, {"kept"})

    def mine_later(self) -> Any:
        """As `mine`; certificates of this world do not live so long, so without TLS."""
        from rrsd.roles.rs.resource.senders import show_messages

        grants = self.world.result(self.foo.store.grants.sent(self.foo.address("alice"), 99))
        return show_messages(grants, self.world.now)

    def test_a_clock_that_jumps_ends_no_grant_s_bytes(self) -> None:
        """foo.test's clock goes a year ahead: what nobody has fetched yet is still there for whoever puts it right."""
        self.sent(to=["bob@bar.test"])
        collection = self.foo.whole.serving.collection
        self.world.result(collection.collect())
        self.world.skews["foo.test"] = 365 * 86400.0
        self.world.advance(7200, 600)
        self.world.result(collection.collect())
        self.world.result(self.foo.store.blobs.find(digest_of(FILES["a.bin"])))


def decoded(text: str) -> bytes:
    """base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
