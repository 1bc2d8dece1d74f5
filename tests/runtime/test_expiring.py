"""A bounded memory."""

from twisted.trial.unittest import SynchronousTestCase

from rrsd.runtime.expiring import Expiring


class Memory(SynchronousTestCase):
    """`Expiring`."""

    def setUp(self) -> None:
        self.memory: Expiring[str, int] = Expiring(2)

    def test_ends(self) -> None:
        """A value is there until its time, and no longer."""
        self.memory.put("a", 1, 10.0)
        self.assertEqual(self.memory.get("a", 9.9), 1)
        self.assertIsNone(self.memory.get("a", 10.0))
        self.assertEqual(len(self.memory), 0)

    def test_replaced(self) -> None:
        """A later value takes the place of an earlier one."""
        self.memory.put("a", 1, 10.0)
        self.memory.put("a", 2, 20.0)
        self.assertEqual((self.memory.get("a", 15.0), len(self.memory)), (2, 1))

    def test_full(self) -> None:
        """Where there is no room, the one longest unused goes."""
        self.memory.put("a", 1, 10.0)
        self.memory.put("b", 2, 10.0)
        self.memory.get("a", 0.0)
        self.memory.put("c", 3, 10.0)
        self.assertEqual([self.memory.get(key, 0.0) for key in "abc"], [1, None, 3])
