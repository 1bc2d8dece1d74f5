"""Every decision that the code writes down is explained to the operator, and nothing else is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.calls import Event
from tests.architecture.tree import ROOT, module_of, parsed, sources

WRITERS = {
    "Event": 0,
    "decision": 0,
    "reading": 1,
    "_reading": 0,
    "note": 1,
    "turn_away": 0,
    "_decided": 0,
    "_record": 0,
    "begun": 0,
    "_save": 0,
}
"""What is called to write a line, and which of its arguments says `what`."""

PAGE = ROOT / "docs" / "operator" / "audit.rst"


class Events(SynchronousTestCase):
    """docs/operator/audit.rst and the calls."""

    def test_every_event_is_explained(self) -> None:
        """A new word in the trail needs its row in docs/operator/audit.rst, in the order of the alphabet."""
        written: dict[str, str] = {}
        for path in sources():
            written |= dict.fromkeys(_words(path), module_of(path))
        explained = _rows("events")
        self.assertEqual({what: where for what, where in written.items() if what not in explained}, {})
        self.assertEqual([what for what in explained if what not in written], [], "nothing writes these")
        self.assertEqual(explained, sorted(explained))

    def test_every_field_is_explained(self) -> None:
        """A field of an event stands in the first table."""
        fields = {field.name for field in attrs.fields(Event)}
        page = PAGE.read_text().partition(".. events")[0]
        self.assertEqual(set(re.findall(r"^``(\w+)``", page, re.MULTILINE)), fields | {"time"})


def _rows(mark: str) -> list[str]:
    table = PAGE.read_text().partition(f".. {mark}\n")[2].partition(f".. end of {mark}")[0]
    return [word for word in re.findall(r"^``(\w+)``", table, re.MULTILINE) if word != "what"]


def _words(path: Path) -> Iterator[str]:
    for one in ast.walk(parsed(path)):
        if not isinstance(one, ast.Call):
            continue
        name = one.func.attr if isinstance(one.func, ast.Attribute) else getattr(one.func, "id", "")
        at = WRITERS.get(name)
        given = one.args[at] if at is not None and len(one.args) > at else None
        given = next((each.value for each in one.keywords if at is not None and each.arg == "what"), given)
        if isinstance(given, ast.Constant) and isinstance(given.value, str):
            yield given.value
