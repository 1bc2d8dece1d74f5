"""The pictures in the documents are what their tables draw."""

import runpy
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.jobs import State
from rrsd.drivers.keys import walk
from rrsd.roles.identity.settings import Settings
from rrsd.roles.rra.rules import TABLE
from tests.architecture.tree import ROOT

DIAGRAMS = ROOT / "docs" / "diagrams"


class Diagrams(SynchronousTestCase):
    """`make diagrams` would change nothing."""

    def test_drawn_from_their_tables(self) -> None:
        """Each committed SVG is what its script draws now, and each picture has a script."""
        scripts = sorted(DIAGRAMS.glob("*.py"))
        self.assertEqual([path.stem for path in scripts], sorted(path.stem for path in DIAGRAMS.glob("*.svg")))
        for script in scripts:
            drawn = runpy.run_path(str(script))["draw"]()
            self.assertEqual(script.with_suffix(".svg").read_text(encoding="utf-8"), drawn, script.name)

    def test_the_methods_of_proof_are_those_of_the_settings(self) -> None:
        """The picture has the methods in the order in which they are asked unless an operator says otherwise."""
        methods = runpy.run_path(str(DIAGRAMS / "client_proof.py"))["METHODS"]
        self.assertEqual(tuple(row[0] for row in methods), Settings().methods)

    def test_the_life_of_a_pull_is_complete(self) -> None:
        """The picture has every state and every event of the table in it."""
        picture = ElementTree.parse(DIAGRAMS / "pull_states.svg")
        words = {element.text for element in picture.iter("{http://www.w3.org/2000/svg}text")}
        self.assertEqual({*(state.value for state in State), *(event for _, event in TABLE)} - words, set())

    def test_the_walk_of_the_client_key_is_complete(self) -> None:
        """The picture has every stage and every step of the table in it, with the keys of each stage."""
        picture = ElementTree.parse(DIAGRAMS / "client_key.svg")
        words = " ".join(element.text or "" for element in picture.iter("{http://www.w3.org/2000/svg}text"))
        for word in (*walk.Stage, *walk.Step, *walk.State):
            self.assertIn(word, words)
