"""The page of promises names tests that there are."""

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.architecture.tree import ROOT


class Page(SynchronousTestCase):
    """docs/operator/promises.rst."""

    def test_every_promise_names_a_test(self) -> None:
        """R1 to R10 are there, each with a test; every test that is named exists."""
        text = (ROOT / "docs" / "operator" / "promises.rst").read_text()
        promises = dict(re.findall(r"^(R\d+) .*\n((?:    .*\n)+)", text, re.MULTILINE))
        self.assertEqual(list(promises), [f"R{number}" for number in range(1, 11)])
        self.assertEqual([name for name, words in promises.items() if "``test" not in words], [])
        written = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
        named = set(re.findall(r"``(test_\w+)``", text))
        self.assertEqual([name for name in sorted(named) if f"def {name}(" not in written], [])
