"""No parser escapes the fuzzer."""

import importlib
import inspect
import re

from twisted.trial.unittest import SynchronousTestCase

from tests.architecture.tree import PACKAGE, module_of
from tests.core.wire.parsers import TABLE, VALUES

_READS = re.compile(r"(?:parse|split|read|load|decode)(?:_|$)")
_WHERE = {
    "wire": TABLE,
    "values": VALUES,
}


def readers(folder: str) -> set[str]:
    """Every public function of the package whose name says that it reads."""
    found = set()
    for path in sorted((PACKAGE / "core" / folder).glob("*.py")):
        module = importlib.import_module(module_of(path))
        for name, each in inspect.getmembers(module, callable):
            # A cache around a function hides that it is one.
            if inspect.isfunction(inspect.unwrap(each)) and each.__module__ == module.__name__ and _READS.match(name):
                found.add(f"{path.stem}.{name}")
    return found


class Fuzzed(SynchronousTestCase):
    """`tests.core.wire.parsers` and the package name the same functions."""

    def test_every_parser_is_fuzzed(self) -> None:
        """Each `parse_…`, `split_…`, `read_…`, `load_…`, `decode…` of core/wire and core/values has its entry."""
        for folder, table in _WHERE.items():
            self.assertEqual(
                readers(folder), {parser.name for parser in table}, f"tests/core/wire/parsers.py, {folder}"
            )
