"""Every threat of the list that this daemon can meet has a test named after it.

A test method says which cases it holds in its name: `test_j01_j02_…` is one for J-01 and J-02.
"""

import re
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from tests.architecture.tree import ROOT

_NAMED = re.compile(r"^    (?:async )?def test((?:_[a-z][0-9]{2})+)(?:_\w+)?\(", re.MULTILINE)

THREATS = {
    "J": "01 02 03 04 05 08 09 11 13 14 15 16 19 21 22 24",  # any JWT that comes in
    "M": "03 04 06 07 09 10 11 12 13 14",  # TLS and certificates
    "T": "02 03 04 05 07 09 10 11 12 13",  # the token endpoint
    "C": "01 03 04 05 07 09 11 13 15",  # client authentication
    "X": "02 06 08 11 12 14 15 18 19 20 22 23",  # token exchange
    "D": "01 02 03 05 07 09 10",  # subject, issuer and domain belong together
    "E": "02 03 05 06 07 10 11 12 25 26 27 28 30",  # DKIM of a placeholder, codes that are sent to an address
    "F": "01 02 03 04 06 08 09 11 12 13 14 16 17 18 19 20",  # outgoing requests
    "O": "03 04 05 06 07 09 10 11 12 13 14",  # client identifiers
    "S": "01 03 05 06 10 11 12 13 15 16 17 18 20 21 22",  # resource server and agent
    "I": "02 04 05 06 08 09 10 11 12",  # introspection and revocation
    "W": "01 02 03 04 05 06 07 08",  # what is published
    "Z": "01 02 03 04 05 06 07 08 09 10 11 12",  # operation
}
"""The cases by group. The other groups are about parts that are not built: UMA, DPoP, registration, SASL."""

NOT_APPLICABLE: dict[str, str] = {}
"""Cases without a test, each with the reason why it cannot occur here."""


def threats() -> set[str]:
    """Every case, as in J-01."""
    return {f"{group}-{number}" for group, numbers in THREATS.items() for number in numbers.split()}


def held() -> Iterator[tuple[str, str]]:
    """Each case that a test names, with the module that has the test."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for match in _NAMED.finditer(path.read_text(encoding="utf-8")):
            for name in match[1].removeprefix("_").split("_"):
                yield f"{name[0].upper()}-{name[1:]}", str(path.relative_to(ROOT))


class Threats(SynchronousTestCase):
    """The list, the tests and the exceptions."""

    def test_every_threat_has_a_test(self) -> None:
        """Each case is held by a test, or cannot occur for a reason that is said."""
        missing = threats() - {case for case, _ in held()} - NOT_APPLICABLE.keys()
        self.assertEqual(sorted(missing), [], "name a test after each, or say in NOT_APPLICABLE why there is none")

    def test_no_exception_without_need(self) -> None:
        """What a test holds is no exception, and every exception is a case."""
        self.assertEqual(sorted(NOT_APPLICABLE.keys() - threats()), [])
        self.assertEqual(sorted(NOT_APPLICABLE.keys() & {case for case, _ in held()}), [])

    def test_reasons_are_said(self) -> None:
        """An exception is a sentence."""
        for case, reason in NOT_APPLICABLE.items():
            self.assertRegex(reason, r"^[A-Z].{20,}\.$", case)
