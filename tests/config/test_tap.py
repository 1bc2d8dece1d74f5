"""What twistd says when rrsd cannot be started."""

import os
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rrsd.tap import DEFAULT_CONFIG, Options, read_settings
from tests.config.test_settings import LEAST


class CommandLine(SynchronousTestCase):
    """The options."""

    def test_default(self) -> None:
        """Without a word the file is the one in /etc."""
        options = Options()
        options.parseOptions([])
        self.assertEqual(options["config"], DEFAULT_CONFIG)

    def test_config(self) -> None:
        """The file can be named, in short as well."""
        for words in (["--config", "x.ini"], ["-c", "x.ini"]):
            options = Options()
            options.parseOptions(words)
            self.assertEqual(options["config"], "x.ini")


class Reading(SynchronousTestCase):
    """The file."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.said = StringIO()

    def refused(self) -> list[str]:
        """The lines that are said when the file is read; the process ends with the status for configuration."""
        ended = self.assertRaises(SystemExit, read_settings, str(self.path), self.said)
        self.assertEqual(ended.code, os.EX_CONFIG)
        return self.said.getvalue().splitlines()

    def test_good(self) -> None:
        """A good file says nothing."""
        self.path.write_text(LEAST)
        self.assertEqual(read_settings(str(self.path), self.said).domain.name.name, "foo.test")
        self.assertEqual(self.said.getvalue(), "")

    def test_missing(self) -> None:
        """A missing file is one line that says what to do."""
        (line,) = self.refused()
        self.assertIn("rrsctl init", line)

    def test_not_text(self) -> None:
        """Bytes that are no UTF-8 are one line."""
        self.path.write_bytes(b"[domain]\nname = \xff\n")
        (line,) = self.refused()
        self.assertIn("UTF-8", line)

    def test_mistakes(self) -> None:
        """Each mistake is a line that begins with the file's name."""
        self.path.write_text(LEAST + "[rra]\nactiv = 1\nlifetime = 1\n")
        lines = self.refused()
        self.assertEqual(len(lines), 2)
        self.assertTrue(all(line.startswith(f"{self.path}: [rra] ") for line in lines))
