"""What is kept of a receipt, how a sender sees what became of a grant, and what clocks may end."""

from datetime import timedelta

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.proof.tokens import prove_receipt
from rrsd.core.refusals import Forbidden, Malformed, TooLarge, Unknown
from rrsd.core.wire.jose import parse_jws
from rrsd.roles.rs.flow.strangers import Caller
from rrsd.roles.rs.rules import Standing, message_name, standing
from rrsd.roles.rs.service import Collection
from rrsd.roles.rs.settings import Settings
from rrsd.roles.rs.steady import DOUBT, LEEWAY, Steady
from rrsd.runtime.loops import Nursery
from rrsd.runtime.timers import Timers
from tests.roles.rs.test_senders import SendersCase
from tests.roles.rs.world import BAR, FOO, StrangersCase
from tests.support.domains import Arrivals, clock_at, now, timers_of

ALICE = Caller(("Bearer alice",), None, "192.0.2.9")


class Evidence(StrangersCase):
    """The receipt itself is kept."""

    def acknowledge(self, *lines: str) -> None:
        self.run_now(self.flow.acknowledge(self.caller(), "\n".join(lines).encode()))

    def test_what_was_signed_can_be_shown(self) -> None:
        """The compact JWS as it came, the certificate that checks it, and how that was proved."""
        text = BAR.receipt(self.grant, FOO.origin)
        self.acknowledge(text)
        (kept,) = self.ledger.signed
        self.assertEqual((kept.receipt, kept.certificate), (text, BAR.certificate.der))
        self.assertTrue(kept.proof.startswith("webfinger tls"))
        receipt = prove_receipt(parse_jws(kept.receipt), BAR.certificate, FOO.origin, now())
        self.assertEqual((receipt.digest, receipt.subject), (self.grant.digest, self.grant.recipient))

    def test_each_grant_has_its_own(self) -> None:
        """One request, two messages, and a liar between them whose size is another."""
        second = self.granted("m2")
        lie = BAR.receipt(self.grant, FOO.origin, "r-0", size=1)
        texts = [BAR.receipt(self.grant, FOO.origin, "r-1"), BAR.receipt(second, FOO.origin, "r-2")]
        self.acknowledge(lie, *texts, lie)
        self.assertEqual([each.receipt for each in self.ledger.signed], texts)

    def test_told_again_is_not_kept_again(self) -> None:
        """The first counts."""
        self.acknowledge(BAR.receipt(self.grant, FOO.origin))
        self.acknowledge(BAR.receipt(self.grant, FOO.origin))
        self.assertEqual(len(self.ledger.signed), 1)

    def test_a_receipt_that_is_stuffed_fills_no_disk(self) -> None:
        """What is kept for a year has a bound."""
        stuffed = BAR.receipt(self.grant, FOO.origin, padding="x" * 4000)
        self.refuse_now(self.flow.acknowledge(self.caller(), stuffed.encode()), TooLarge)
        self.acknowledge(stuffed, BAR.receipt(self.grant, FOO.origin))
        self.assertEqual(len(self.ledger.signed), 1)

    def test_what_proves_nothing_is_not_kept(self) -> None:
        """Nothing of a refused receipt stays."""
        unknown = BAR.receipt(evolve(self.grant, message_id="m9"), FOO.origin)
        for text, refusal in (("x", Malformed), (unknown, Forbidden)):
            self.refuse_now(self.flow.acknowledge(self.caller(), text.encode()), refusal)
        self.assertEqual(self.ledger.signed, [])


class Looking(SendersCase):
    """alice asks for one of her messages."""

    def test_a_message_that_is_none_of_hers(self) -> None:
        """Neither its grants nor its receipts."""
        self.refuse_now(self.flow.message(ALICE, "other@foo.test"), Unknown)
        self.refuse_now(self.flow.receipts(ALICE, "other@foo.test"), Unknown)


class Names(SynchronousTestCase):
    """What a path calls a message."""

    def test_names(self) -> None:
        """As it is; and any, in base64url."""
        for text in ("1@foo.test", "<1@foo.test>", "b64:MUBmb28udGVzdA"):
            self.assertEqual(message_name(text), "1@foo.test")
        self.assertEqual(message_name("b64:YS9iJWNAZm9vLnRlc3Q"), "a/b%c@foo.test")

    def test_no_names(self) -> None:
        """Padding, other letters, no text."""
        for text in ("b64:MUBmb28udGVzdA==", "b64:a/b", "b64:_w"):
            self.assertRaises(Malformed, message_name, text)


class Standings(StrangersCase):
    """One word for each grant."""

    def test_words(self) -> None:
        """A signed copy outlives everything; what may still be downloaded again is downloaded."""
        later = now() + timedelta(days=8)
        signed, loaded = evolve(self.grant, receipted=now()), evolve(self.grant, downloaded=now())
        cases = [
            (self.grant, now(), Standing.WAITING),
            (self.grant, later, Standing.EXPIRED),
            (evolve(self.grant, withdrawn=True), now(), Standing.WITHDRAWN),
            (loaded, now(), Standing.DOWNLOADED),
            (loaded, later, Standing.DOWNLOADED),
            (evolve(loaded, withdrawn=True), now(), Standing.WITHDRAWN),
            (evolve(signed, withdrawn=True), later, Standing.KEPT),
        ]
        for grant, at, word in cases:
            self.assertEqual(standing(grant, at), word)


class Clocks(SynchronousTestCase):
    """What cannot be undone is not done because a clock jumped."""

    def setUp(self) -> None:
        """A clock, and what is added to it."""
        self.clock, self.ahead = clock_at(), 0.0
        self.steady = Steady(Timers(self.clock, lambda: self.clock.seconds() + self.ahead))
        self.assertEqual(self.steady.now(), now())

    def passed(self) -> timedelta:
        """How far its time is from the beginning."""
        return self.steady.now() - now()

    def test_r10_a_jump_ahead_is_not_believed_for_a_day(self) -> None:
        """A year ahead: time goes on as before; who is still there a day later is right."""
        self.ahead = 365 * 86400.0
        self.clock.advance(60)
        self.assertEqual(self.passed(), timedelta(minutes=1))
        self.clock.advance(DOUBT.total_seconds() - 61)
        self.assertLess(self.passed(), DOUBT)
        self.clock.advance(61)
        self.assertGreater(self.passed(), timedelta(days=365))
        self.clock.advance(60)
        self.assertGreater(self.passed(), timedelta(days=365))

    def test_small_steps_are_followed(self) -> None:
        """As time servers and sleeping hosts make them."""
        for _ in range(10):
            self.ahead += LEEWAY.total_seconds() - 1
            self.clock.advance(60)
            self.steady.now()
        self.assertAlmostEqual(self.passed().total_seconds(), 10 * 60 + self.ahead)

    def test_two_jumps_are_one_doubt(self) -> None:
        """The day counts from the first."""
        self.ahead = 7 * 86400.0
        self.steady.now()
        self.clock.advance(DOUBT.total_seconds() / 2)
        self.ahead = 700 * 86400.0
        self.assertLess(self.passed(), DOUBT)
        self.clock.advance(DOUBT.total_seconds() / 2)
        self.assertGreater(self.passed(), timedelta(days=700))


class Collected(StrangersCase):
    """The collection tells the store what the settings say."""

    def test_receipts_are_forgotten_and_bytes_kept_as_set(self) -> None:
        """`keep_receipts`, `keep_after_receipt`."""
        settings = Settings(
            origin=FOO.origin, keep_receipts=timedelta(days=30), keep_after_receipt=timedelta(hours=5)
        )  # fmt: skip
        uploads, timers = Arrivals(self.blobs), timers_of(self.clock)
        room = Collection(settings, self.blobs, uploads, timers, Nursery(), self.ledger)
        text = BAR.receipt(self.grant, FOO.origin)
        self.run_now(self.flow.acknowledge(self.caller(), text.encode()))
        self.run_now(room.collect())
        self.assertEqual((len(self.ledger.signed), self.blobs.keeps), (1, 5 * 3600.0))
        for _ in range(31 * 24 * 2):
            self.clock.advance(1800)
            self.run_now(room.collect())
        self.assertEqual(self.ledger.signed, [])
