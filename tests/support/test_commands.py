"""The commands of the mail suites and of the demo say what they are, before they start anything."""

import contextlib
from collections.abc import Callable, Sequence
from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from tests.mail.__main__ import suites_of
from tests.maildemo.__main__ import main


class Commands(SynchronousTestCase):
    """Arguments."""

    def told(self, run: Callable[[list[str]], object], *words: str) -> tuple[object, str]:
        """The exit status, and what was said."""
        said = StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = self.assertRaises(SystemExit, run, list(words)).code
        return status, " ".join(said.getvalue().split())

    def test_help_ran_a_suite_of_that_name(self) -> None:
        """What there is, and what the environment changes."""
        for run, word in ((suites_of, "crashes"), (main, "--if-installed")):
            status, said = self.told(run, "--help")
            self.assertEqual(status, 0)
            self.assertIn(word, said)

    def test_unknown_suite_was_a_traceback(self) -> None:
        """It is a sentence with those that there are."""
        for run, word in ((suites_of, "there is no suite 'nothing': say one of arrival, "), (main, "unrecognized")):
            status, said = self.told(run, "nothing")
            self.assertEqual(status, 2)
            self.assertIn(word, said)

    def test_suites(self) -> None:
        """One, one test of it, or all."""
        for words in ([], ["setup"], ["setup.Setup.test_seals", "large"]):
            found: Sequence[str] = suites_of(words)
            self.assertEqual(found, words)
