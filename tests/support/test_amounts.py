"""How large the large attachment is."""

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from tests.support.amounts import COPIES, RESERVE, WANTED, amount

ENOUGH = WANTED * COPIES + RESERVE


class Amounts(SynchronousTestCase):
    """By free disk, unless somebody asks."""

    def test_enough(self) -> None:
        """What the issue asks for, quietly."""
        found = amount(ENOUGH, "", "/tmp")
        self.assertEqual(found.octets, WANTED)
        self.assertNotIn("ONLY", found.told)
        self.assertIn("RRSD_MAIL_SIZE", found.told)

    def test_one_octet_short(self) -> None:
        """The largest that fits, in whole MiB, and it is said why."""
        found = amount(ENOUGH - 1, "", "/tmp")
        self.assertEqual(found.octets, WANTED - (1 << 20))
        for each in ("ONLY 5.0 GiB, NOT 5.0 GiB", "27.0 GiB free in /tmp", "27.0 GiB needed", "TMPDIR"):
            self.assertIn(each, found.told)

    def test_ci_passed_with_less_than_the_issue_asks_for(self) -> None:
        """There it is a failure that says what to do, unless somebody asked for it."""
        with self.assertRaisesRegex(AssertionError, "ONLY .* NOT 5.0 GiB: .*RRSD_MAIL_SIZE=200MiB"):
            amount(ENOUGH - 1, "", "/tmp", is_ci=True)
        self.assertEqual(amount(ENOUGH - 1, "200MiB", "/tmp", is_ci=True).octets, 200 << 20)
        self.assertEqual(amount(ENOUGH, "", "/tmp", is_ci=True).octets, WANTED)

    def test_hardly_any(self) -> None:
        """Nothing is shown by a few octets."""
        for free in (0, RESERVE, RESERVE + COPIES * (16 << 20) - 1):
            with self.assertRaisesRegex(AssertionError, "TMPDIR"):
                amount(free, "", "/tmp")

    def test_asked(self) -> None:
        """As people write sizes; what does not fit is refused."""
        for asked, octets in (("200MiB", 200 << 20), ("5GiB", WANTED), ("1G", 1 << 30), ("5368709120", WANTED)):
            self.assertEqual(amount(ENOUGH, asked, "/tmp").octets, octets)
        with self.assertRaisesRegex(AssertionError, "6GiB: .* needed"):
            amount(ENOUGH, "6GiB", "/tmp")
        with self.assertRaises(Malformed):
            amount(ENOUGH, "much", "/tmp")
