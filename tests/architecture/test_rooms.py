"""Folders, services, sections and tables say the same thing."""

import attrs
from twisted.trial.unittest import SynchronousTestCase

from rrsd.config.settings import Settings
from rrsd.core.refusals import ALL
from rrsd.core.values.jobs import State
from rrsd.web.refusals import TABLE
from tests.architecture.tree import ROOT, rooms_in


class Tree(SynchronousTestCase):
    """The service tree is the folder tree."""

    def test_services_are_folders(self) -> None:
        """Every room under roles/ and drivers/ is a service of that name, and there is no other but the front."""
        from rrsd.app.tree import ROOMS

        self.assertEqual(set(ROOMS), rooms_in("roles") | rooms_in("drivers") | {"front"})
        self.assertEqual(len(ROOMS), len(set(ROOMS)))

    def test_front_opens_last(self) -> None:
        """Nobody is let in before everything behind the door is ready; drivers start before the roles that use them."""
        from rrsd.app.tree import ROOMS

        self.assertEqual(ROOMS[-1], "front")
        drivers = max(ROOMS.index(name) for name in rooms_in("drivers"))
        roles = min(ROOMS.index(name) for name in rooms_in("roles"))
        self.assertLess(drivers, roles)

    def test_sections_are_folders(self) -> None:
        """Every room has its section in the INI file, named as its folder."""
        sections = {field.name for field in attrs.fields(Settings)}
        self.assertEqual(sections - {"domain", "front", "log", "audit"}, rooms_in("roles") | rooms_in("drivers"))


class Tables(SynchronousTestCase):
    """Each table about refusals speaks of all of them and of nothing else."""

    def test_http(self) -> None:
        """Every refusal has a status and an OAuth error."""
        self.assertEqual(set(TABLE), set(ALL))

    def test_exits(self) -> None:
        """Every refusal has an exit status and a line of advice."""
        from rrsd.cli.exits import ADVICE, EXITS

        self.assertEqual(set(EXITS), set(ALL))
        self.assertEqual(set(ADVICE), set(ALL))

    def test_replies(self) -> None:
        """Every refusal has its reply in SMTP."""
        from rrsd.roles.mail.replies import TABLE as REPLIES

        self.assertEqual(set(REPLIES), set(ALL))

    def test_outcomes(self) -> None:
        """Every refusal means something to a pull job."""
        from rrsd.roles.rra.rules import OUTCOMES

        self.assertEqual(set(OUTCOMES), set(ALL))

    def test_reasons_are_distinct(self) -> None:
        """No two refusals are told by the same word."""
        reasons = [refusal.reason for refusal in ALL]
        self.assertEqual(len(reasons), len(set(reasons)))


class Troubles(SynchronousTestCase):
    """The operator's page of troubles leaves nobody alone."""

    def test_every_word_is_explained(self) -> None:
        """Each reason of a refusal, with its status, and each state of a pull has its row."""
        page = (ROOT / "docs" / "operator" / "troubles.rst").read_text()
        rows = {tuple(line.split()[:2]) for line in page.splitlines() if line.startswith("``")}
        self.assertEqual({(f"``{each.reason}``", str(TABLE[each].status)) for each in ALL} - rows, set())
        words = {first for first, *_ in rows}
        self.assertEqual({f"``{state}``" for state in State} - words, set())
