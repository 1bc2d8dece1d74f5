"""The grammar of the INI file."""

from twisted.trial.unittest import SynchronousTestCase

from rrsd.config.ini import Entry, Section, parse_ini


class Grammar(SynchronousTestCase):
    """What a line may be."""

    def test_sections_and_entries(self) -> None:
        """Sections come in order, values without the space around them."""
        sections, mistakes = parse_ini("# first\n[one]\nname =  a = b  \n; other\n\n[ two ]\nname=\n")
        self.assertEqual(mistakes, ())
        one = Section("one", 2, {"name": Entry("a = b", 3)})
        self.assertEqual(sections, (one, Section("two", 6, {"name": Entry("", 7)})))

    def test_continued_value(self) -> None:
        """An indented line continues the value above; comments and empty lines between do not end it."""
        sections, mistakes = parse_ini("[one]\nlist =\n  a\n  # not this\n\n\tb\n")
        self.assertEqual(mistakes, ())
        self.assertEqual(sections[0].entries["list"], Entry("a\nb", 2))

    def test_windows_lines_and_byte_order_mark(self) -> None:
        """Files from other systems are read."""
        sections, mistakes = parse_ini("\ufeff[one]\r\nname = x\r\n")
        self.assertEqual(mistakes, ())
        self.assertEqual(sections[0].entries["name"].text, "x")

    def test_no_interpolation(self) -> None:
        """A percent sign is a percent sign, and a # inside a value stays."""
        sections, _ = parse_ini("[one]\nname = %(x)s # y\n")
        self.assertEqual(sections[0].entries["name"].text, "%(x)s # y")


class Mistakes(SynchronousTestCase):
    """What cannot be read, all of it at once, with the number of its line."""

    def test_every_unreadable_line_is_reported(self) -> None:
        """One bad line does not hide the next."""
        text = "early = 1\n[one]\nnonsense\n  goes on\na = 1\na = 2\n  more\n[one]\n[broken\n"
        _, mistakes = parse_ini(text)
        self.assertEqual([mistake.line for mistake in mistakes], [1, 3, 4, 6, 7, 8, 9])

    def test_duplicate_key_names_both_lines(self) -> None:
        """A key that is set twice is an error, never a silent choice."""
        _, (mistake,) = parse_ini("[one]\na = 1\na = 2\n")
        self.assertEqual(str(mistake), "[one] a (line 3): was set on line 2 already; keep one of them")

    def test_duplicate_section_names_both_lines(self) -> None:
        """A section that begins twice is an error."""
        _, (mistake,) = parse_ini("[one]\n[one]\n")
        self.assertIn("line 1", mistake.wrong)

    def test_mistake_outside_any_section(self) -> None:
        """Where there is no section the file itself is named."""
        _, (mistake,) = parse_ini("a = 1\n")
        self.assertTrue(str(mistake).startswith("file (line 1): "))
