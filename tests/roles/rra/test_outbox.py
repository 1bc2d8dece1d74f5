"""What an answer to receipts means, and when they are told again."""

from datetime import timedelta

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.addresses import parse_address, parse_domain
from rrsd.core.values.calls import Answer
from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import PendingReceipt
from rrsd.roles.rra.outbox import (
    AWAY_CAP,
    CAP,
    LEAST_AWAY,
    LEAST_REFUSED,
    MOST_AWAY,
    MOST_REFUSED,
    OURS_WAIT,
    Told,
    Verdict,
    again,
    told,
    until,
)
from tests.roles.rra.samples import NOW, RS

ONE = PendingReceipt(
    1, parse_domain("foo.test"), RS, parse_address("bob@bar.test"), digest_of(b"x"), 1, NOW, "1@foo.test", "j1"
)
TWO = evolve(ONE, job=2, jti="j2")


class Answers(SynchronousTestCase):
    """Every status a server may send."""

    def test_heard(self) -> None:
        """One receipt needs no list; of several, those that are named."""
        self.assertEqual(told(Answer(201, {}), [ONE]).heard, {"j1"})
        self.assertEqual(told(Answer(204, {}), [ONE]).heard, {"j1"})
        self.assertEqual(told(Answer(200, {}, b'{"accepted": ["j2", "x", 1]}'), [ONE, TWO]).heard, {"j2"})

    def test_an_acknowledgement_that_cannot_be_read_is_none(self) -> None:
        """Nor does it say that the server is away."""
        for body in (b"", b"[]", b'{"accepted": "j1"}', b"{", b'{"accepted": {"j1": 1}}'):
            how = told(Answer(200, {}, body), [ONE, TWO])
            self.assertEqual((how.heard, how.verdict, how.split), (frozenset(), Verdict.REFUSED, False))

    def test_refused_or_away(self) -> None:
        """Only what speaks of time or trouble is away; what may be one line's fault is split."""
        for status in (301, 401, 403, 404, 410, 451):
            self.assertEqual(told(Answer(status, {}), [ONE, TWO]).verdict, Verdict.REFUSED)
        for status in (408, 425, 429, 500, 502, 503, 507):
            self.assertEqual(told(Answer(status, {}), [ONE, TWO]).verdict, Verdict.AWAY)
        for status, split in ((400, True), (413, True), (422, True), (403, False)):
            self.assertEqual(told(Answer(status, {}), [ONE, TWO]).split, split)
        self.assertFalse(told(Answer(400, {}), [ONE]).split)


class Next(SynchronousTestCase):
    """When it is told again."""

    def test_refused(self) -> None:
        """Ever more rarely, and not for ever; the clock alone ends nothing, nor does the count alone."""
        refused = Told(Verdict.REFUSED, "no", split=True)
        first = again(ONE, refused, NOW)
        self.assertEqual((first.tries, first.refusals, first.is_alone), (1, 1, True))
        self.assertEqual(first.due, NOW + timedelta(seconds=30))
        often = evolve(ONE, tries=MOST_REFUSED - 1, refusals=MOST_REFUSED - 1)
        self.assertEqual(again(often, refused, NOW).due, NOW + CAP)
        self.assertIsNone(again(often, refused, NOW + LEAST_REFUSED).due)
        self.assertIsNotNone(again(ONE, refused, NOW + timedelta(days=400)).due)

    def test_away(self) -> None:
        """More patiently; what was refused before does not count against its hours."""
        away = Told(Verdict.AWAY, "gone")
        often = evolve(ONE, tries=MOST_AWAY - 1)
        self.assertEqual(again(often, away, NOW).due, NOW + AWAY_CAP)
        self.assertIsNone(again(often, away, NOW + LEAST_AWAY).due)
        after = again(evolve(ONE, tries=5, refusals=5), away, NOW)
        self.assertEqual((after.due, after.is_alone), (NOW + timedelta(seconds=30), False))
        self.assertEqual(until(ONE, away, NOW), NOW + timedelta(seconds=30))
        self.assertEqual(until(ONE, evolve(away, wait=CAP), NOW), NOW + CAP)

    def test_our_own_trouble_is_no_try(self) -> None:
        """It is over soon, or nothing else works either."""
        ours = Told(Verdict.OURS, "sts")
        self.assertEqual(again(ONE, ours, NOW), evolve(ONE, due=NOW + OURS_WAIT))
        self.assertEqual(until(ONE, ours, NOW), NOW + OURS_WAIT)

    def test_what_a_server_asks_for(self) -> None:
        """Between a second and a day; what is no number is nothing."""
        asked = {"0": 1, "90": 90, "9" * 300: 86400, "-1": None, "1.5": None, "": None, "٣": None}
        for text, seconds in asked.items():
            wait = told(Answer(429, {"retry-after": text}), [ONE]).wait
            self.assertEqual(wait, None if seconds is None else timedelta(seconds=seconds), text)
