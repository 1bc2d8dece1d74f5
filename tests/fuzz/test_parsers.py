"""Every parser, fuzzed: nothing but refusals comes out, what was read is what was said, and no input takes long.

`RRSD_FUZZ=20000 python -m twisted.trial tests.fuzz.test_parsers` looks longer, and elsewhere each time.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Refusal
from tests.core.wire.deeper import ALSO
from tests.core.wire.fuzzing import Parser
from tests.core.wire.parsers import TABLE, VALUES
from tests.support.pace import slowness

EXAMPLES = int(os.environ.get("RRSD_FUZZ", "0"))
PROFILE = settings(
    max_examples=EXAMPLES or 100, derandomize=not EXAMPLES, deadline=None, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
MOST_SECONDS = 1.0
"""Processor time for one input at its parser's cap, where nothing is slow; a quadratic parser takes minutes."""
REFUSED = object()


def outcome(parser: Parser, given_input: Any) -> Any:
    """What the parser makes of the input; anything but a refusal is raised."""
    try:
        return parser.call(given_input)
    except Refusal:
        return REFUSED


@contextmanager
def bounded(what: str, seconds: float) -> Iterator[None]:
    """The block has that much processor time; AssertionError if it takes more."""

    def late(*_: object) -> None:
        raise AssertionError(f"{what} takes more than {seconds} s")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


class Fuzz(SynchronousTestCase):
    """Each parser of the table."""

    def each(self, check: Callable[[Parser], None]) -> None:
        """The check, for all of them."""
        for parser in (*VALUES, *TABLE, *ALSO):
            try:
                check(parser)
            except Exception as error:
                error.add_note(f"parser {parser.name}")
                raise

    def test_samples_are_good(self) -> None:
        """The fuzzing begins at inputs that are taken."""
        self.each(self._require_taken)

    def _require_taken(self, parser: Parser) -> None:
        for sample in parser.samples:
            self.assertIsNot(outcome(parser, sample), REFUSED)

    def test_nothing_but_refusals(self) -> None:
        """Whatever comes, a parser answers or refuses; what it answers can be said again and means the same."""
        self.each(self._fuzz)

    def _fuzz(self, parser: Parser) -> None:
        @PROFILE
        @given(st.data())
        def run(data: st.DataObject) -> None:
            found = outcome(parser, data.draw(parser.inputs))
            if parser.again is not None and found is not REFUSED and found is not None:
                self.assertEqual(outcome(parser, parser.again(found)), found)

        run()

    def test_bounded_time(self) -> None:
        """The longest input of the worst kind takes no longer than its length asks for."""
        self.each(self._rush)

    def _rush(self, parser: Parser) -> None:
        most = MOST_SECONDS * slowness()
        for number, worst in enumerate(parser.worst()):
            with bounded(f"number {number} of the worst", most):
                outcome(parser, worst)
