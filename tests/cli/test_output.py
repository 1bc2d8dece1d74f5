"""What people and programs read."""

import json
from io import StringIO

from twisted.trial.unittest import SynchronousTestCase

from rrsd.cli.output import Console, bar, clean, duration, facts, parse_size, progress_line, size, table, when
from rrsd.core.refusals import Malformed


class Terminal(StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        """It is."""
        return True


class Words(SynchronousTestCase):
    """Numbers and times in words."""

    def test_sizes(self) -> None:
        """Bytes are said in the unit that fits."""
        self.assertEqual([size(n) for n in (0, 1023, 1024, 1 << 30)], ["0 B", "1023 B", "1.0 KiB", "1.0 GiB"])

    def test_parse_sizes(self) -> None:
        """Every usual way to write a size is understood."""
        for text in ("64MiB", "64 MB", "64m", "67108864"):
            self.assertEqual(parse_size(text), 64 << 20, text)

    def test_refuse_sizes(self) -> None:
        """Anything else is refused with an example."""
        for text in ("", "MiB", "-1", "1.5GiB", "ten", "½"):
            self.assertIn("64MiB", self.assertRaises(Malformed, parse_size, text).detail)

    def test_durations(self) -> None:
        """Seconds, minutes, hours."""
        said = [duration(n) for n in (0.04, 59, 125, 11400)]
        self.assertEqual(said, ["0.0 s", "59 s", "2 min 05 s", "3 h 10 min"])

    def test_when(self) -> None:
        """Instants are short; what is none is shown as it is."""
        self.assertEqual(when("2026-11-20T12:00:00+00:00"), "2026-11-20 12:00:00")
        self.assertEqual([when(None), when("soon\n")], ["-", "soon·"])

    def test_terminal_injection(self) -> None:
        """No text of a stranger moves the cursor, changes colours or the direction of writing."""
        self.assertEqual(clean("a\x1b[2Jb\r\n\u202egpj\u2028"), "a·[2Jb··\xb7gpj·")

    def test_table(self) -> None:
        """Columns line up, numbers to the right, and a stranger's newline makes no row."""
        text = table(("N", "NAME"), [(1, "a"), (10, "b\nc")])
        self.assertEqual(text, " N  NAME\n 1  a\n10  b·c")

    def test_facts(self) -> None:
        """Facts without a value are left out."""
        self.assertEqual(facts((("a", 1), ("long", "x"), ("none", None), ("empty", ""))), "a     1\nlong  x")

    def test_bar(self) -> None:
        """A bar is never longer than its room, and full when there is nothing to do."""
        self.assertEqual([bar(0, 4, 4), bar(1, 2, 4), bar(9, 2, 4), bar(0, 0, 4)], ["░░░░", "██░░", "████", "████"])

    def test_progress_line(self) -> None:
        """Speed and rest are said while there is a rest."""
        self.assertIn("50%  512 B of 1.0 KiB, 256 B/s, 2.0 s left", progress_line("film", 512, 1024, 256))
        self.assertNotIn("left", progress_line("film", 1024, 1024, 256))


class Consoles(SynchronousTestCase):
    """Tables for people, JSON for programs."""

    def test_result(self) -> None:
        """A result is text or a JSON document, never both."""
        out = StringIO()
        Console(out, StringIO()).result({"a": 1}, "one")
        self.assertEqual(out.getvalue(), "one\n")
        out = StringIO()
        Console(out, StringIO(), is_json=True).rows({"a": "ä"}, ("A",), [("x",)], "none")
        self.assertEqual(json.loads(out.getvalue()), {"a": "ä"})

    def test_empty_list(self) -> None:
        """A list without rows is a sentence."""
        out = StringIO()
        Console(out, StringIO()).rows([], ("A",), [], "nothing")
        self.assertEqual(out.getvalue(), "nothing\n")

    def test_notes(self) -> None:
        """Notes go beside the result and are left out for programs."""
        err, silent = StringIO(), StringIO()
        Console(StringIO(), err).note("so it is")
        Console(StringIO(), silent, is_json=True).note("so it is")
        self.assertEqual((err.getvalue(), silent.getvalue()), ("so it is\n", ""))

    def test_progress_on_a_terminal_only(self) -> None:
        """Progress is drawn over itself on a terminal, and not at all elsewhere."""
        for stream, is_shown in ((Terminal(), True), (StringIO(), False)):
            clock = iter(range(100))
            with Console(StringIO(), stream).progress("film", 10, lambda clock=clock: float(next(clock))) as line:  # type: ignore[misc]
                line.at(0)
                line.at(5)
            self.assertEqual("50%" in stream.getvalue(), is_shown)
            self.assertEqual(stream.getvalue().endswith("\r\x1b[K"), is_shown)

    def test_octets(self) -> None:
        """A message is written byte for byte."""
        out = StringIO(newline="")
        Console(out, StringIO()).octets(b"a\r\n\xff")
        self.assertEqual(out.getvalue().encode("utf-8", "surrogateescape"), b"a\r\n\xff")
