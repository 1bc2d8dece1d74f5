"""The life of signing keys."""

import json
from datetime import timedelta

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.proof import signatures
from rrsd.core.refusals import Damaged
from rrsd.core.values.instants import instant
from rrsd.core.values.tokens import Algorithm, Kind
from rrsd.core.wire import jose
from rrsd.drivers.keys import rotation
from rrsd.drivers.keys.rotation import State
from rrsd.drivers.keys.signer import Signer

NOW = instant(1_700_000_000)
GRACE = timedelta(days=1)


class RotationTests(SynchronousTestCase):
    """Rotating never takes away a key that somebody may still verify with."""

    def setUp(self) -> None:
        """One next and one active key."""
        self.next = rotation.generate(State.NEXT, NOW)
        self.active = rotation.generate(State.ACTIVE, NOW)
        self.keys = (self.next, self.active)

    def kids(self, state: State, keys: tuple[rotation.SigningKey, ...]) -> list[str]:
        """The key ids in one state."""
        return [key.kid for key in keys if key.state is state]

    def test_each_key_moves_one_step(self) -> None:
        """The next key signs, the active one retires, a new next one appears."""
        after = rotation.rotated(self.keys, NOW, GRACE)
        self.assertEqual(self.kids(State.ACTIVE, after), [self.next.kid])
        self.assertEqual(self.kids(State.RETIRED, after), [self.active.kid])
        self.assertEqual(len(self.kids(State.NEXT, after)), 1)

    def test_the_same_command_again_changes_nothing(self) -> None:
        """A second rotation within a minute is a repetition, also when the clock went back meanwhile."""
        once = rotation.rotated(self.keys, NOW, GRACE)
        self.assertEqual(rotation.rotated(once, NOW + timedelta(seconds=59), GRACE), once)
        self.assertEqual(rotation.rotated(once, NOW - timedelta(seconds=59), GRACE), once)
        self.assertNotEqual(rotation.rotated(once, NOW + timedelta(seconds=60), GRACE), once)

    def test_an_empty_ring_gets_a_key_to_sign_with(self) -> None:
        """Rotating nothing makes an active and a next key."""
        self.assertEqual([key.state for key in rotation.rotated((), NOW, GRACE)], [State.NEXT, State.ACTIVE])

    def test_j24_retired_key_after_its_grace_is_not_published(self) -> None:
        """A retired key is published for the grace and then neither published nor kept."""
        after = rotation.rotated(self.keys, NOW, GRACE)
        late = NOW + GRACE
        early = rotation.key_set(after, late - timedelta(seconds=1), GRACE)
        self.assertEqual({key.kid for key in early.keys}, {key.kid for key in after})
        self.assertNotIn(self.active.kid, {key.kid for key in rotation.key_set(after, late, GRACE).keys})
        self.assertNotIn(self.active.kid, {key.kid for key in rotation.rotated(after, late, GRACE)})

    def test_w06_no_private_members_are_published(self) -> None:
        """The published JWKs hold public members only."""
        for key in rotation.key_set(self.keys, NOW, GRACE).keys:
            self.assertEqual(set(key.jwk), {"kty", "crv", "x", "y"})

    def test_the_file_gives_back_what_was_written(self) -> None:
        """Keys survive the file with state, instant and private half."""
        read = rotation.parse(rotation.render(self.keys))
        self.assertEqual(read, self.keys)
        self.assertEqual([k.private.private_numbers() for k in read], [k.private.private_numbers() for k in self.keys])

    def test_rs256_keys(self) -> None:
        """An RSA key is published, signs, and survives the file like any other."""
        key = rotation.generate(State.ACTIVE, NOW, Algorithm.RS256)
        (published,) = rotation.key_set([key], NOW, GRACE).keys
        self.assertEqual((published.algorithm, set(published.jwk)), (Algorithm.RS256, {"kty", "n", "e"}))
        (read,) = rotation.parse(rotation.render([key]))
        signer = Signer()
        signer.use(read)
        jws = jose.parse_jws(signer.sign(Kind.ACCESS, {"sub": "bob@bar.test"}))
        self.assertEqual(jws.algorithm, Algorithm.RS256)
        signatures.verify(jws, rotation.key_set([key], NOW, GRACE))
        for changes in ({"p": "AQAB"}, {"d": "AQAB"}, {"n": "AQAB"}, {"kty": "oct"}, {"qi": None}):
            document = json.loads(rotation.render([key]))
            document["keys"][0]["jwk"].update(changes)
            self.assertRaises(Damaged, rotation.parse, json.dumps(document).encode())

    def test_when_it_is_due(self) -> None:
        """The active key counts, not how long the next one has waited; where none is active nothing is due."""
        every = timedelta(days=90)
        self.assertFalse(rotation.is_due(self.keys, NOW + every - timedelta(seconds=1), every))
        self.assertTrue(rotation.is_due(self.keys, NOW + every, every))
        self.assertFalse(rotation.is_due([self.next], NOW + every, every))

    def test_a_private_key_is_not_in_the_repr(self) -> None:
        """Neither the object nor its values tell the private half."""
        secret = json.loads(rotation.render([self.active]))["keys"][0]["jwk"]["d"]
        self.assertNotIn(secret, repr(self.active))
        self.assertNotIn("private", repr(self.active).lower())

    def damaged(self, **changes: object) -> bytes:
        """The file with one key whose JWK has been changed."""
        document = json.loads(rotation.render([self.active]))
        document["keys"][0]["jwk"].update(changes)
        return json.dumps(document).encode()

    def test_damage_is_refused(self) -> None:
        """Bytes that are no key file, foreign keys, mixed-up halves and wrong names are refused."""
        other = json.loads(rotation.render([self.next]))["keys"][0]["jwk"]
        cases = {
            "empty": b"",
            "not json": b"{",
            "no keys": b"{}",
            "a key is a number": b'{"keys":[1]}',
            "another curve": self.damaged(crv="P-384"),
            "private half of another key": self.damaged(d=other["d"]),
            "point not on the curve": self.damaged(x=other["x"]),
            "not base64": self.damaged(d="*" * 43),
            "name of another key": self.damaged(kid=other["kid"]),
            "unknown state": rotation.render([self.active]).replace(b'"active"', b'"asleep"'),
            "two active keys": rotation.render([self.active, rotation.generate(State.ACTIVE, NOW)]),
            "endless time": rotation.render([self.active]).replace(b"1700000000", b"9" * 30),
        }
        for name, data in cases.items():
            with self.subTest(name):
                self.assertRaises(Damaged, rotation.parse, data)
