"""The grammar of the INI file: sections, keys, continued values, and every error at once.

A line is a `[section]`, a `key = value`, a comment (`#` or `;` first), or empty. A line that begins with white space
continues the value above it. Values are kept as written: there is no interpolation and no comment after a value.
"""

import re
from collections.abc import Iterator, Mapping

from attrs import Factory, define, frozen

_SECTION = re.compile(r"\[\s*([^\[\]]+?)\s*\]\s*", re.ASCII)
_ENTRY = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)\s*=\s*(.*?)\s*", re.ASCII)


@frozen
class Mistake:
    """One error in the configuration: where it is, what is wrong there, and what would be right."""

    section: str
    key: str
    line: int
    wrong: str
    right: str

    def __str__(self) -> str:
        where = f"[{self.section}]" + (f" {self.key}" if self.key else "") if self.section else "file"
        line = f" (line {self.line})" if self.line else ""
        return f"{where}{line}: {self.wrong}; {self.right}"


class Misconfigured(Exception):
    """The configuration cannot be used; `errors` holds every `Mistake` in it, in the order of the file."""

    def __init__(self, errors: tuple[Mistake, ...]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = errors


@frozen
class Entry:
    """A value as written, lines of it joined by newlines, and the number of its first line."""

    text: str
    line: int


@frozen
class Section:
    """A section's name, the number of its line, and its entries by key."""

    name: str
    line: int
    entries: Mapping[str, Entry]


@define(eq=False)
class _Reading:
    """What has been read so far; `key` is the one that a continuation line belongs to."""

    sections: dict[str, tuple[int, dict[str, Entry]]] = Factory(dict)
    mistakes: list[Mistake] = Factory(list)
    section: str = ""
    key: str = ""

    def take(self, line: str, number: int) -> None:
        """Read one line."""
        if not line.strip() or line.lstrip()[0] in "#;":
            return
        if line[0].isspace():
            self._continue(line, number)
        elif match := _SECTION.fullmatch(line):
            self._open(match.group(1), number)
        elif match := _ENTRY.fullmatch(line):
            self._set(match.group(1), Entry(match.group(2), number))
        else:
            self.key = ""
            self._wrong("", number, "this line cannot be read", "write [section], key = value, or begin it with #")

    def _wrong(self, key: str, line: int, wrong: str, right: str) -> None:
        self.mistakes.append(Mistake(self.section, key, line, wrong, right))

    def _continue(self, line: str, number: int) -> None:
        if not self.key:
            self._wrong("", number, "this line continues nothing", "a key = value must come before it")
            return
        entries = self.sections[self.section][1]
        before = entries[self.key]
        entries[self.key] = Entry(f"{before.text}\n{line.strip()}".lstrip("\n"), before.line)

    def _open(self, name: str, number: int) -> None:
        self.section, self.key = name, ""
        if name in self.sections:
            self._wrong("", number, f"this section began on line {self.sections[name][0]} already", "keep one of them")
            return
        self.sections[name] = (number, {})

    def _set(self, key: str, entry: Entry) -> None:
        self.key = ""
        if not self.section:
            self._wrong(key, entry.line, f"{key} stands before any section", "put it under its [section]")
            return
        entries = self.sections[self.section][1]
        if key in entries:
            self._wrong(key, entry.line, f"was set on line {entries[key].line} already", "keep one of them")
            return
        entries[key] = entry
        self.key = key


def parse_ini(text: str) -> tuple[tuple[Section, ...], tuple[Mistake, ...]]:
    """The sections of `text` in order, and every line that is no part of one."""
    reading = _Reading()
    for number, line in _lines(text):
        reading.take(line, number)
    sections = tuple(Section(name, line, entries) for name, (line, entries) in reading.sections.items())
    return sections, tuple(reading.mistakes)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    return enumerate(text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n"), 1)
