"""The walk of the client key: publish, use, withdraw."""

import json
from datetime import timedelta
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Conflict, Damaged
from rrsd.core.values.addresses import parse_client_identifier
from rrsd.core.values.instants import instant
from rrsd.drivers.keys import walk
from rrsd.drivers.keys.certificates import KeyPair, self_signed_client
from rrsd.drivers.keys.walk import ClientKey, Stage, State, Step, Waits

NOW = instant(1_700_000_000)
CLIENT = parse_client_identifier("_rra.bar.test")
PAIR = self_signed_client(CLIENT, NOW)
WAITS = Waits(timedelta(hours=1), timedelta(days=1))
ROUND = (Step.PUBLISH, Step.USE, Step.WITHDRAW)


def make() -> KeyPair:
    """Another pair."""
    return self_signed_client(CLIENT, NOW)


def walked(*steps: Step) -> tuple[ClientKey, ...]:
    """The keys after these steps."""
    keys = walk.first(PAIR)
    for step in steps:
        keys = walk.walked(keys, step, NOW, make)
    return keys


class Walks(SynchronousTestCase):
    """One key follows another, and at each moment one is presented."""

    def test_round(self) -> None:
        """The next key is beside the current one, then before the old one, then alone."""
        states = [[key.state for key in walked(*ROUND[:length])] for length in range(4)]
        self.assertEqual(
            states,
            [[State.CURRENT], [State.CURRENT, State.NEXT], [State.CURRENT, State.OLD], [State.CURRENT]],
        )
        before, published = walked(), walked(Step.PUBLISH)
        self.assertEqual([key.pair for key in published][:1], [key.pair for key in before])
        used = walk.walked(published, Step.USE, NOW, make)
        self.assertEqual([key.pair for key in used], [published[1].pair, published[0].pair])
        self.assertEqual(walk.walked(used, Step.WITHDRAW, NOW, make)[0].pair, published[1].pair)

    def test_the_same_command_again_changes_nothing(self) -> None:
        """In every stage, the command that led there can be given again."""
        for length in range(4):
            keys = walked(*ROUND[:length])
            last = ROUND[length - 1]
            self.assertEqual(walk.walked(keys, last, NOW + timedelta(days=9), make), keys)

    def test_a_command_out_of_turn(self) -> None:
        """The refusal names the command that comes first; the table knows every other case."""
        out_of_turn = {(stage, step) for stage in Stage for step in Step} - set(walk.TABLE)
        self.assertEqual(
            out_of_turn,
            {(Stage.SETTLED, Step.USE), (Stage.PUBLISHED, Step.WITHDRAW), (Stage.SWITCHED, Step.PUBLISH)},
        )
        for length, step in enumerate((Step.USE, Step.WITHDRAW, Step.PUBLISH)):
            refusal = self.assertRaises(Conflict, walk.walked, walked(*ROUND[:length]), step, NOW, make)
            self.assertIn(f"run: rrsctl keys client {ROUND[length]}", refusal.detail)

    def test_too_early(self) -> None:
        """`use` waits for what others remember, `withdraw` for what is still in use; each says until when."""
        for steps, step, wait in (
            (ROUND[:1], Step.USE, WAITS.published),
            (ROUND[:2], Step.WITHDRAW, WAITS.grace),
        ):
            keys, ready = walked(*steps), NOW + wait
            early = ready - timedelta(seconds=1)
            refusal = self.assertRaises(Conflict, walk.require_due, keys, step, early, WAITS)
            self.assertIn(f"wait until {ready:%Y-%m-%d %H:%M:%S} UTC, or say --force", refusal.detail)
            walk.require_due(keys, step, ready, WAITS)
            self.assertEqual(walk.due(keys, WAITS), ready)

    def test_z04_a_clock_that_went_back(self) -> None:
        """It makes one wait longer, never shorter."""
        self.assertRaises(Conflict, walk.require_due, walked(Step.PUBLISH), Step.USE, NOW - timedelta(hours=1), WAITS)

    def test_nothing_to_wait_for(self) -> None:
        """A first step, and a repeated one, are never too early."""
        walk.require_due(walked(), Step.PUBLISH, NOW, WAITS)
        walk.require_due(walked(Step.PUBLISH), Step.PUBLISH, NOW, WAITS)
        walk.require_due(walked(*ROUND[:2]), Step.USE, NOW, WAITS)
        self.assertIsNone(walk.due(walked(), WAITS))


class Files(SynchronousTestCase):
    """The file of client keys."""

    def damaged(self, *keys: ClientKey, **changes: Any) -> bytes:
        """The file with one member of its last key changed."""
        document = json.loads(walk.render(keys))
        document["keys"][-1].update(changes)
        return json.dumps(document).encode()

    def test_it_gives_back_what_was_written(self) -> None:
        """In every stage."""
        for length in range(4):
            keys = walked(*ROUND[:length])
            self.assertEqual(walk.parse(walk.render(keys)), keys)

    def test_damage_is_refused(self) -> None:
        """Bytes that are no such file, foreign keys, and states that no walk leads to."""
        (key,) = walked()
        following, old = (evolve(key, state=state) for state in (State.NEXT, State.OLD))
        other = make()
        cases = {
            "empty": b"",
            "no keys": b"{}",
            "a key is a number": b'{"keys":[1]}',
            "nobody": walk.render([]),
            "only a next one": walk.render([following]),
            "two current ones": walk.render([key, key]),
            "three": walk.render([key, following, old]),
            "unknown state": self.damaged(key, state="asleep"),
            "no certificate": self.damaged(key, certificate="none"),
            "key of another": self.damaged(key, key=other.key_pem.decode()),
            "a certificate that is a number": self.damaged(key, certificate=1),
            "endless time": self.damaged(key, since=10**40),
        }
        for name, data in cases.items():
            with self.subTest(name):
                self.assertRaises(Damaged, walk.parse, data)

    def test_a_private_key_is_not_in_the_repr(self) -> None:
        """A key that is logged by mistake tells nothing."""
        self.assertNotIn("PRIVATE", repr(walked(Step.PUBLISH)))
