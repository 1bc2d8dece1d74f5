"""A seed is one story, always: twice in one process, and in another one that hashes otherwise."""

import os
import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.simulate.runner import simulate

ROOT = Path(__file__).parents[2]
SEEDS = 12


class Replays(SynchronousTestCase):
    """What a failing seed is worth."""

    def test_the_same_seed_is_the_same_story(self) -> None:
        """Line for line."""
        for seed in (4, 10, 13):
            first, second = simulate(seed), simulate(seed)
            self.assertEqual(first.lines, second.lines)
            self.assertEqual(first.digest, second.digest)
            self.assertEqual(first.broken, "")

    def test_another_process_that_hashes_otherwise_tells_the_same(self) -> None:
        """Neither the order of a set nor a key that was made anew is in a story."""
        told = [self.digests(each) for each in ("1", "4711")]
        self.assertEqual(len(told[0]), SEEDS)
        self.assertEqual(told[0], told[1])

    @staticmethod
    def digests(salt: str) -> list[str]:
        """Of the first seeds, from a process of its own."""
        words = [sys.executable, "-m", "tests.simulate", "--seeds", str(SEEDS), "--processes", "1", "--digests"]
        environment = {**os.environ, "PYTHONHASHSEED": salt}
        run = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        return re.findall(r"^\d+ [0-9a-f]{24}$", run.stdout, re.MULTILINE)
