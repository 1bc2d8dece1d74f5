"""The operator's page about the queue has the table of verbs that the daemon has."""

from twisted.trial.unittest import SynchronousTestCase

from rrsd.roles.rra.standing import Obstacle
from rrsd.roles.rra.verbs import as_table
from tests.architecture.tree import ROOT

PAGE = ROOT / "docs" / "operator" / "pulls.rst"


class Page(SynchronousTestCase):
    """docs/operator/pulls.rst."""

    def test_the_table_is_that_of_the_daemon(self) -> None:
        """Print `as_table()` and put it between the marks."""
        table = PAGE.read_text().partition(".. verbs\n")[2].partition(".. end of verbs")[0]
        self.assertEqual(table.strip(), as_table())

    def test_every_obstacle_is_named(self) -> None:
        """What `explain` may say that a pull waits for is explained there."""
        page = PAGE.read_text()
        inner = (Obstacle.CONDITION, Obstacle.NOTHING)
        self.assertEqual([each for each in Obstacle if each not in inner and f"``{each}``" not in page], [])
