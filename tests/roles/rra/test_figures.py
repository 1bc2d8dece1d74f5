"""The figures of the scheduler, written out: a test that reads them from the code shows nothing about them."""

from datetime import timedelta

from twisted.trial.unittest import SynchronousTestCase

from rrsd.drivers.store.sql import room
from rrsd.roles.rra import breakers, fairness, rules
from rrsd.roles.rra.settings import Settings


class Figures(SynchronousTestCase):
    """As the design of the scheduler has them."""

    def test_ageing_of_a_month_and_a_probe_in_three_days(self) -> None:
        """A class higher for each half hour of waiting; where the resource server says no, it is asked four times a
        day."""
        self.assertEqual(fairness.AGEING, timedelta(minutes=30))
        self.assertEqual(room.AGEING, 30 * 60)
        self.assertEqual(rules.AUTH_PROBE, timedelta(hours=6))

    def test_pulls(self) -> None:
        """30 s doubled up to an hour; what is not published yet has an hour; room is looked for each minute."""
        self.assertEqual((rules.JOB_FIRST, rules.JOB_CAP), (timedelta(seconds=30), timedelta(minutes=60)))
        self.assertEqual((rules.PUBLISH_RACE, rules.SPACE_PROBE), (timedelta(hours=1), timedelta(minutes=1)))
        self.assertEqual((rules.MOST_CLEAN_RESTARTS, rules.LEAST_WAIT), (1, timedelta(seconds=1)))

    def test_destinations_and_issuer(self) -> None:
        """A minute doubled up to 15 minutes for a day, to an hour for a week, to six hours then; the issuer 5 s to 5
        minutes; woken once in 10 s."""
        self.assertEqual((breakers.CONNECTION_FAILURES, breakers.COHORTS), (5, 3))
        self.assertEqual(breakers.PROBE_FIRST, timedelta(seconds=60))
        for since, cap in (
            (timedelta(hours=23), timedelta(minutes=15)), (timedelta(days=6), timedelta(hours=1)),
            (timedelta(days=8), timedelta(hours=6)),
        ):  # fmt: skip
            self.assertEqual(breakers.probe_cap(since), cap)
        self.assertEqual((breakers.ISSUER_FIRST, breakers.ISSUER_CAP), (timedelta(seconds=5), timedelta(minutes=5)))
        self.assertEqual(breakers.WAKE_INTERVAL, timedelta(seconds=10))
        self.assertEqual((breakers.LEAST_RETRY_AFTER, breakers.MOST_RETRY_AFTER), (1, 24 * 3600))

    def test_slots(self) -> None:
        """256 at once, 16 of a destination, 8 for a recipient; classes 8 : 4 : 1; small is 8 MiB; seven days."""
        settings = Settings()
        self.assertEqual(
            (settings.active, settings.active_per_destination, settings.active_per_recipient), (256, 16, 8)
        )
        self.assertEqual((fairness.SMALL, settings.lifetime), (8 << 20, timedelta(days=7)))
