"""Tests for rrsd.roles.rra.letters: short, truthful, and nothing in them goes anywhere else."""

import email
import email.policy
from itertools import product
from typing import Any

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.addresses import parse_address, parse_domain
from rrsd.core.values.jobs import Blame, Job, State
from rrsd.core.values.notices import Kind, Missing, Notice, Party, Plight, Said
from rrsd.core.wire.mime_own import render_notice_message
from rrsd.roles.rra import letters
from rrsd.roles.rra.explain import explain
from tests.roles.rra.samples import NOW, job
from tests.roles.rra.test_telling import plight

HERE = parse_domain("bar.test")
RECIPIENT, SENDER = Party.RECIPIENT, Party.SENDER
ALL = list(product(Party, Kind))


def missing(filename: str = "a.bin", **changes: Any) -> Missing:
    """One that has not come."""
    base = job()
    return Missing(evolve(base, **({"state": State.EXPIRED, "evidence": "connect: refused"} | changes)), filename)


def letter(given: Plight, party: Party, kind: Kind) -> Notice:
    """The notice."""
    found = letters.letter(given, party, kind, lambda one: explain(one, None, NOW), HERE, NOW)
    assert found is not None
    return found


def rendered(notice: Notice) -> Any:
    """As a mail program reads it."""
    return email.message_from_bytes(render_notice_message(notice, HERE, NOW), policy=email.policy.default)


class Words(SynchronousTestCase):
    """What people read."""

    def test_every_kind_for_everybody(self) -> None:
        """Total, to the right address, with a key of its own, and fit to be sent."""
        keys = set()
        for party, kind in ALL:
            notice = letter(plight(examples=(missing(),)), party, kind)
            self.assertEqual(str(notice.recipient), "bob@bar.test" if party is RECIPIENT else "alice@foo.test")
            self.assertEqual(bool(notice.report), party is SENDER)
            self.assertEqual((notice.kind, notice.about, notice.message_id), (kind, 1, "1@foo.test"))
            self.assertNotIn("{", notice.text)
            rendered(notice)
            keys.add(notice.key)
        self.assertEqual(len(keys), 6)

    def test_begun_again(self) -> None:
        """What was pulled once more and lost once more is another notice, the same each time."""
        keys = [
            letter(plight(examples=(missing(job=number),), said=said), SENDER, Kind.FAILED).key
            for number, said in (
                (1, Said.NOTHING),
                (2, Said.NOTHING),
                (1, Said.BEGUN_AGAIN),
                (2, Said.BEGUN_AGAIN),
                (2, Said.BEGUN_AGAIN),
            )
        ]
        self.assertEqual([keys.index(each) for each in keys], [0, 0, 2, 3, 3])
        self.assertTrue(letter(plight(said=Said.BEGUN_AGAIN), RECIPIENT, Kind.FAILED).key.endswith(" 0"))

    def test_what_is_missing(self) -> None:
        """By name and size, with the explanation; the rest is counted."""
        sizes = (5, 2048, 3 << 20, 5 << 30)
        examples = tuple(missing("" if size == 5 else f"{size}.bin", size=size) for size in sizes)
        text = letter(
            plight(parts=30, missing=0, failed=20, cancelled=2, examples=examples), RECIPIENT, Kind.FAILED
        ).text
        for words in (
            "names 30 attachments", "22 of them", "- without a name (5 bytes)", "- 2048.bin (2.0 KiB)", "(3.0 MiB)",
            "(5.0 GiB)", "before its time was over", "connect: refused", "- and 18 more.",
        ):  # fmt: skip
            self.assertIn(words, text)
        late = letter(plight(parts=1, examples=(missing(),)), RECIPIENT, Kind.DELAYED).text
        self.assertIn("names 1 attachment.", late)
        self.assertNotIn("more.", late)
        self.assertIn(
            "without a subject", letter(plight(subject="", examples=(missing(),)), RECIPIENT, Kind.DELAYED).text
        )

    def test_lost_ones_beside_late_ones(self) -> None:
        """Both are counted among the rest."""
        given = plight(parts=9, missing=4, failed=3, cancelled=1, examples=(missing(),))
        self.assertIn("- and 7 more.", letter(given, RECIPIENT, Kind.DELAYED).text)

    def test_our_own_trouble_is_no_business_of_the_senders(self) -> None:
        """What our disk or token service said stays here, as does what our own people are to do."""
        for blame in (Blame.OURSELVES, Blame.ISSUER):
            given = plight(examples=(missing(blame=blame, state=State.NO_SPACE, evidence="/srv/store: full"),))
            self.assertIn("/srv/store", letter(given, RECIPIENT, Kind.DELAYED).text)
            notice = letter(given, SENDER, Kind.DELAYED)
            self.assertNotIn("/srv/store", notice.text + notice.report)
            self.assertIn("trouble of its own", notice.text)

    def test_commands_are_the_operators(self) -> None:
        """Who reads mail has none; what a user can do about it stays."""
        for state in (State.NEEDS_AUTH, State.EXPIRED, State.QUARANTINED, State.HELD):
            given = plight(examples=(missing(state=state),))
            for party in Party:
                self.assertNotIn("`", letter(given, party, Kind.FAILED).text)
        full = plight(examples=(missing(state=State.NO_SPACE, condition="space", blame=Blame.OURSELVES),))
        self.assertIn("Free disk space", letter(full, RECIPIENT, Kind.DELAYED).text)

    def test_address_that_the_sender_wrote(self) -> None:
        """And none that they did not; where that is not known they hear nothing."""
        press = parse_address("press@bar.test")
        notice = letter(plight(examples=(missing(granted=press),)), SENDER, Kind.FAILED)
        self.assertIn("to press@bar.test", notice.text)
        self.assertNotIn("bob", notice.text + notice.report)
        for examples in ((), (missing(granted=press), missing())):
            given = plight(examples=examples)
            self.assertIsNone(letters.letter(given, SENDER, Kind.FAILED, self.unasked, HERE, NOW))
        self.assertIn("1 of them", letter(plight(), RECIPIENT, Kind.DELAYED).text)

    def unasked(self, _: Job) -> Any:
        """Nobody explains what is not sent."""
        raise AssertionError

    @given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=900))
    def test_whatever_a_sender_or_a_peer_writes(self, name: str, subject: str, evidence: str) -> None:
        """Every notice can be sent, is short, and goes to one address."""
        given = plight(subject=subject, examples=(missing(name, evidence=evidence),) * 20)
        for party, kind in ALL:
            message = rendered(letter(given, party, kind))
            self.assertEqual([each.lower() for each in message].count("to"), 1)
            self.assertIsNone(message["Bcc"])
            self.assertLess(len(message.as_bytes()), 40_000)

    def test_boundary_in_a_name(self) -> None:
        """A name that would end the part does not: the text is encoded."""
        boundary = rendered(letter(plight(examples=(missing(),)), SENDER, Kind.FAILED)).get_boundary()
        message = rendered(letter(plight(examples=(missing(f"--{boundary}--"),)), SENDER, Kind.FAILED))
        self.assertEqual(len(list(message.iter_parts())), 3)
        self.assertIn(boundary, next(message.iter_parts()).get_content())


class Reports(SynchronousTestCase):
    """What programs read (RFC 3464)."""

    def fields(self, state: State, kind: Kind) -> Any:
        """Those of the recipient."""
        _, report, _ = rendered(letter(plight(examples=(missing(state=state),)), SENDER, kind)).iter_parts()
        return report.get_payload()[1]

    def test_status(self) -> None:
        """A class of its own for each cause, permanent only when it is over."""
        for state, kind, wanted in (
            (State.EXPIRED, Kind.FAILED, "5.4.7"),
            (State.FAILED, Kind.FAILED, "5.6.6"),
            (State.QUARANTINED, Kind.FAILED, "5.7.7"),
            (State.DEFERRED, Kind.DELAYED, "4.6.6"),
            (State.NEEDS_AUTH, Kind.AT_RISK, "4.7.1"),
            (State.NO_SPACE, Kind.DELAYED, "4.3.1"),
            (State.HELD, Kind.DELAYED, "4.7.0"),
        ):
            found = self.fields(state, kind)
            self.assertEqual(found["Status"], wanted)
            self.assertEqual(found["Action"], "failed" if kind is Kind.FAILED else "delayed")
            self.assertEqual(found["Will-Retry-Until"] is None, kind is Kind.FAILED)
            self.assertEqual(found["X-RRS-Class"], kind)
            self.assertIn(f"state={state}; blame=nobody", found["X-RRS-Attachment"])
