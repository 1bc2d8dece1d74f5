"""Tests for rrsd.roles.rra.telling: who hears what, and when somebody looks next."""

from datetime import timedelta
from itertools import product
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.addresses import parse_address
from rrsd.core.values.notices import Kind, Party, Plight, Said
from rrsd.roles.rra import telling
from rrsd.roles.rra.telling import BITS, Waits
from tests.roles.rra.samples import NOW

HOUR = timedelta(hours=1)
WAITS = Waits(4 * HOUR, 24 * HOUR)
TROUBLES: tuple[dict[str, Any], ...] = ({}, {"at_risk": NOW}, {"missing": 0, "failed": 2})
RECIPIENT, SENDER = Party.RECIPIENT, Party.SENDER


def plight(**changes: Any) -> Plight:
    """One of two is missing."""
    values: dict[str, Any] = {
        "number": 1, "message": "m", "recipient": parse_address("bob@bar.test"),
        "sender": parse_address("alice@foo.test"), "message_id": "1@foo.test", "subject": "Holiday", "received": NOW,
        "is_answerable": True, "said": Said.NOTHING, "facts": 0, "parts": 2, "missing": 1, "failed": 0, "cancelled": 0,
        "at_risk": None, "until": NOW + 24 * 7 * HOUR,
    }  # fmt: skip
    return Plight(**(values | changes))


class Saying(SynchronousTestCase):
    """What has to be said."""

    def said(self, hours: float, waits: Waits = WAITS, **changes: Any) -> list[tuple[Party, Kind]]:
        """After so many hours."""
        return list(telling.to_say(plight(**changes), waits, NOW + hours * HOUR))

    def test_late(self) -> None:
        """Each in their time, and once."""
        self.assertEqual(self.said(3.99), [])
        self.assertEqual(self.said(4), [(RECIPIENT, Kind.DELAYED)])
        self.assertEqual(self.said(24, said=Said.RECIPIENT_DELAYED), [(SENDER, Kind.DELAYED)])
        self.assertEqual(self.said(24, said=Said.RECIPIENT_DELAYED | Said.SENDER_DELAYED), [])
        self.assertEqual(self.said(24, missing=0), [])

    def test_at_risk(self) -> None:
        """Ten minutes later, sooner when there is little time; lateness is said before it, and never after."""
        both = [(RECIPIENT, Kind.AT_RISK), (SENDER, Kind.AT_RISK)]
        self.assertEqual(self.said(0.16, at_risk=NOW), [])
        self.assertEqual(self.said(1 / 6, at_risk=NOW), both)
        self.assertEqual(self.said(0.1, at_risk=NOW, until=NOW + 0.4 * HOUR), both)
        self.assertEqual(self.said(0, at_risk=NOW, until=NOW - HOUR), both)
        self.assertEqual(self.said(30, at_risk=NOW, said=Said.RECIPIENT_DELAYED), both)
        told = Said.RECIPIENT_AT_RISK | Said.SENDER_AT_RISK
        self.assertEqual(self.said(30, at_risk=NOW, said=told), [])
        self.assertEqual(self.said(30, said=told), [])

    def test_lost(self) -> None:
        """When nothing is on its way any more; what the operator cancelled is no failure."""
        both = [(RECIPIENT, Kind.FAILED), (SENDER, Kind.FAILED)]
        self.assertEqual(self.said(0, missing=1, failed=1), [])
        self.assertEqual(self.said(0, missing=0, failed=1, cancelled=1), both)
        self.assertEqual(self.said(0, missing=0, cancelled=2), [])
        self.assertEqual(self.said(0, missing=0, failed=2, said=Said.RECIPIENT_FAILED), both[1:])

    def test_senders_that_nothing_proves(self) -> None:
        """They never hear anything."""
        for changes in TROUBLES:
            found = self.said(99, is_answerable=False, **changes)
            self.assertEqual([party for party, _ in found], [RECIPIENT])

    def test_fair(self) -> None:
        """What became late while we were away is not called late at once; lost is lost."""
        fair = NOW + 30 * HOUR
        given = [plight(), plight(at_risk=NOW), plight(missing=0, failed=1)]
        kinds = [[kind for _, kind in telling.to_say(each, WAITS, fair - HOUR, fair)] for each in given]
        self.assertEqual(kinds, [[], [Kind.AT_RISK] * 2, [Kind.FAILED] * 2])
        self.assertEqual(telling.next_look(plight(), WAITS, fair - HOUR, fair), fair)
        self.assertEqual(len(list(telling.to_say(plight(), WAITS, fair, fair))), 2)

    def test_switched_off(self) -> None:
        """Nothing of any kind."""
        for changes in TROUBLES:
            self.assertEqual([party for party, _ in self.said(99, Waits(timedelta(), HOUR), **changes)], [SENDER])
            self.assertEqual(self.said(99, Waits(timedelta(), timedelta()), **changes), [])

    def test_bits(self) -> None:
        """One for each."""
        self.assertEqual(set(BITS), set(product(Party, Kind)))
        self.assertEqual(sorted(BITS.values()), [1 << number for number in range(6)])
        self.assertNotIn(Said.BEGUN_AGAIN, BITS.values())


class Looking(SynchronousTestCase):
    """When somebody looks next."""

    def look(self, hours: float, waits: Waits = WAITS, **changes: Any) -> float | None:
        """How many hours after it came."""
        found = telling.next_look(plight(**changes), waits, NOW + hours * HOUR)
        return None if found is None else (found - NOW) / HOUR

    def test_times(self) -> None:
        """At the next time at which something may have to be said."""
        self.assertEqual([self.look(hours) for hours in (0, 4, 23, 24)], [4, 24, 24, None])
        self.assertEqual(self.look(0, is_answerable=False), 4)
        self.assertIsNone(self.look(5, is_answerable=False))
        self.assertIsNone(self.look(0, missing=0))
        self.assertAlmostEqual(self.look(0, at_risk=NOW) or 0, 1 / 6)
        self.assertEqual(self.look(0, at_risk=NOW, said=Said.RECIPIENT_AT_RISK | Said.SENDER_AT_RISK), None)
        self.assertEqual(self.look(0, said=Said.RECIPIENT_AT_RISK), 24)
        self.assertEqual(self.look(0, Waits(timedelta(), 5 * HOUR)), 5)

    def test_first(self) -> None:
        """Known when it is accepted."""
        for waits, is_answerable, wanted in (
            (WAITS, True, 4),
            (Waits(30 * HOUR, HOUR), True, 1),
            (Waits(30 * HOUR, HOUR), False, 30),
            (Waits(timedelta(), HOUR), False, None),
        ):
            first = telling.first_look(NOW, waits, is_answerable=is_answerable)
            self.assertEqual(first, None if wanted is None else NOW + wanted * HOUR)
