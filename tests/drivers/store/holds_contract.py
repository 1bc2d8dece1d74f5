"""The contract of placeholders that are held, and of the ledger of those that were delivered."""

from attrs import evolve
from twisted.logger import capturedLogs

from rrsd.core.refusals import Damaged
from rrsd.core.values.digests import digest_of
from rrsd.core.values.holds import Hold, Stand
from rrsd.drivers.store.sql.holds import KEPT
from tests.drivers.store.contract import StoreCase
from tests.drivers.store.samples import BOB, CAROL, NOW, later

HOLD = Hold(BOB, digest_of(b"raw"), "4A", "1@foo.test", "dkim", NOW, Stand.HELD)


class HoldsContract(StoreCase):
    """What the store promises about them."""

    def test_put_and_find(self) -> None:
        """By recipient, digest and queue, the newest word counts."""
        holds = self.store.holds
        self.assertIsNone(self.done(holds.find(BOB, HOLD.digest, "4A")))
        other = evolve(HOLD, queue="")
        for each in (evolve(HOLD, evidence=""), HOLD, other, evolve(HOLD, recipient=CAROL)):
            self.done(holds.put(each))
        self.assertEqual(self.done(holds.find(BOB, HOLD.digest, "4A")), HOLD)
        self.assertIsNone(self.done(holds.find(BOB, HOLD.digest, "5B")))
        self.assertIsNone(self.done(holds.find(BOB, digest_of(b"other"), "4A")))
        self.assertEqual(self.done(holds.of(BOB, HOLD.digest)), [other, HOLD])

    def test_standing(self) -> None:
        """Those that stand so, the oldest first."""
        holds = self.store.holds
        young = evolve(HOLD, stand=Stand.PLACEHOLDER, since=later(9))
        old = evolve(young, recipient=CAROL, since=later(3))
        for each in (HOLD, young, old):
            self.done(holds.put(each))
        self.assertEqual(self.done(holds.standing(Stand.PLACEHOLDER, 9)), [old, young])
        self.assertEqual(self.done(holds.standing(Stand.PLACEHOLDER, 1)), [old])

    def test_sweep(self) -> None:
        """What is long over is forgotten."""
        self.done(self.store.holds.put(HOLD))
        self.pass_seconds(KEPT + 1)
        for n in range(255):
            self.done(self.store.holds.put(evolve(HOLD, queue=str(n), since=self.now)))
        self.assertIsNone(self.done(self.store.holds.find(BOB, HOLD.digest, "4A")))
        self.assertIsNotNone(self.done(self.store.holds.find(BOB, HOLD.digest, "7")))

    def test_damaged(self) -> None:
        """A row that cannot be read is named."""
        self.done(self.store.holds.put(HOLD))
        spoilt = "UPDATE holds SET stand = 'x'"
        self.successResultOf(self.store._engine.write(lambda connection: connection.execute(spoilt).rowcount))
        self.refused(Damaged, self.store.holds.find(BOB, HOLD.digest, "4A"))

    def test_damaged_row_stopped_every_swap(self) -> None:
        """It is left out and named in the log; the others are found."""
        for queue in ("4A", "4B"):
            self.done(self.store.holds.put(evolve(HOLD, queue=queue, stand=Stand.PLACEHOLDER)))
        spoilt = "UPDATE holds SET since = 'x' WHERE queue = '4A'"
        self.successResultOf(self.store._engine.write(lambda connection: connection.execute(spoilt).rowcount))
        with capturedLogs() as logs:
            found = self.done(self.store.holds.standing(Stand.PLACEHOLDER, 9))
        self.assertEqual(([each.queue for each in found], len(logs)), (["4B"], 1))
