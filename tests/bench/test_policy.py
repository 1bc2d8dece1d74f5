"""The measurement of policy measures what it says."""

from twisted.trial.unittest import SynchronousTestCase

from bench.figures import Sheet
from bench.policy import engine, exchange, measure, retrieval
from tests.support.domains import fits


class Measured(SynchronousTestCase):
    """The questions are those of the roles, and every policy is looked at."""

    def test_questions(self) -> None:
        """They have the schema's form, and a grant of their own each."""
        for asked in (retrieval(), exchange()):
            self.assertTrue(fits(asked))
        self.assertNotEqual(retrieval(1).resource.name, retrieval(2).resource.name)
        self.assertEqual(len(engine(20).policies.by_name), 22)

    def test_figures(self) -> None:
        """Each quantity, for the defaults alone and with twenty more."""
        sheet = Sheet({})
        measure(sheet, 3)
        self.assertEqual(len([each for each in sheet.figures if each.contestant == "defaults and 20"]), 4)
