"""The closed list of refusals."""

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core import refusals
from rrsd.core.refusals import ALL, Malformed, Refusal, TooMany, Unavailable


class RefusalTests(SynchronousTestCase):
    """What every refusal promises."""

    def test_list_is_closed(self) -> None:
        """`ALL` holds every refusal that the module defines, and nothing subclasses them further."""
        defined = {each for each in vars(refusals).values() if isinstance(each, type) and issubclass(each, Refusal)}
        self.assertEqual(defined - {Refusal}, set(ALL))
        self.assertTrue(all(each.__bases__ == (Refusal,) for each in ALL))

    def test_reasons_are_distinct_words(self) -> None:
        """Each refusal has a reason code of its own."""
        reasons = [each.reason for each in ALL]
        self.assertEqual(len(set(reasons)), len(ALL))
        self.assertTrue(all(reason.replace("_", "").isalpha() and reason.islower() for reason in reasons))

    def test_detail_is_optional(self) -> None:
        """A refusal reads as its reason, with the detail after it where there is one."""
        self.assertEqual(str(Malformed()), "malformed")
        self.assertEqual(str(Malformed("claim aud")), "malformed: claim aud")
        self.assertEqual(Malformed("claim aud").detail, "claim aud")

    def test_some_say_when_to_come_back(self) -> None:
        """`TooMany` and `Unavailable` carry seconds to wait."""
        self.assertEqual((TooMany().retry_after, TooMany("x", 9).retry_after), (1, 9))
        self.assertEqual((Unavailable().retry_after, Unavailable("x", 9).retry_after), (30, 9))
