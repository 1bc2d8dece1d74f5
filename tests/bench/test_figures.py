"""Figures, ratios and the page that is made of them."""

import json
from pathlib import Path

from docutils.core import publish_string  # type: ignore[import-untyped]
from twisted.trial.unittest import SynchronousTestCase

from bench import replays
from bench.figures import Sheet, ratio
from bench.load import read_requests, write_requests
from bench.page import render


def measured() -> Sheet:
    """A sheet of two contestants."""
    sheet = Sheet({"processor": "of some kind", "curl": ""})
    for mine, reference in ((2.0, 1.0), (4.0, 3.0), (3.0, 2.5)):
        sheet.add("one resource", "rrsd", {"time": (mine, "s")})
        sheet.add("one resource", "reference", {"time": (reference, "s"), "exchanges": (1, "")})
    sheet.judge("one resource: fast", "fast", True)
    return sheet


class Figures(SynchronousTestCase):
    """What is said of the runs is what the runs were."""

    def test_ratio(self) -> None:
        """A ratio is said of the medians and of the minima."""
        sheet = measured()
        times = [sheet.find("one resource", who, "time") for who in ("reference", "rrsd")]
        self.assertEqual(ratio(*times), (2.5 / 3.0, 1.0 / 2.0))
        self.assertIsNone(ratio(times[0], None))

    def test_lines(self) -> None:
        """Every line is one JSON document, and every run is in one of them."""
        documents = [json.loads(line) for line in measured().lines()]
        self.assertEqual(documents[1]["runs"], [2.0, 4.0, 3.0])
        self.assertEqual(documents[-1], {"goal": "one resource: fast", "found": "fast", "met": True})

    def test_page(self) -> None:
        """The page is reStructuredText without a warning."""
        html = publish_string(render(measured()), writer="html5", settings_overrides={"halt_level": 2})
        self.assertIn(b"of some kind", html)

    def test_requests(self) -> None:
        """What the load generator reads is what was written for it."""
        path = Path(self.mktemp())
        write_requests(path, [b"one", b"", b"three"])
        self.assertEqual(read_requests(str(path)), [b"one", b"", b"three"])


class Memories(SynchronousTestCase):
    """The benchmark of the replay memory runs."""

    def test_replays(self) -> None:
        """Small: every size is measured, and both goals are judged."""
        self.patch(replays, "SIZES", (10, 100))
        said: list[str] = []
        sheet = replays.main(None, said.append, uses=5)
        self.assertEqual(len(sheet.verdicts), 2)
        self.assertIsNotNone(sheet.find(replays.NAME, replays.RRSD, "processor time at 100"))
        self.assertIn("insert time flat", "".join(said))
