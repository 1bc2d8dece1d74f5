"""Tests for bench.queue: small queues, the same goals where they do not depend on the machine."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.figures import Sheet
from bench.queue import Amounts, Isolation, Politeness, Scale

SMALL = Amounts(jobs=4000, destinations=200, dead=40, drips=5, poison=1000, minutes=3, behind_dead=300, limited=300)


class Queues(SynchronousTestCase):
    """What a healthy sender, a server and the memory notice of a long queue."""

    def test_others_trouble_is_not_a_healthy_senders(self) -> None:
        """Dead, dripping and poisonous senders change the p99 from acceptance to start by a tenth at most."""
        sheet = Sheet({})
        contest = Isolation(sheet, SMALL)
        contest.run()
        contest.judge()
        self.assertEqual([each.goal for each in sheet.verdicts if not each.is_met], [])
        self.assertEqual(len(sheet.verdicts), 1)

    def test_who_is_limited_or_dead_is_left_in_peace(self) -> None:
        """At most one in twenty attempts beyond what a server bears; 150 probes a day, whatever waits behind."""
        sheet = Sheet({})
        contest = Politeness(sheet, SMALL)
        contest.run()
        contest.judge()
        self.assertEqual([each.goal for each in sheet.verdicts if not each.is_met], [])
        self.assertEqual(len(sheet.verdicts), 2)

    def test_a_long_queue_starts(self) -> None:
        """Everything is measured; what depends on the machine is not judged here."""
        folder = Path(self.mktemp())
        os.mkdir(folder)
        sheet = Sheet({})
        contest = Scale(folder, sheet, SMALL)
        contest.run()
        contest.judge()
        self.assertEqual(len(sheet.verdicts), 6)
        found = sheet.find(Scale.NAME, "rrsd", "jobs known in memory, at most")
        assert found is not None
        self.assertLessEqual(found.most, 20_000)
