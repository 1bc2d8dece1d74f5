"""Receipts, over ports in memory."""

from attrs import evolve

from rrsd.core.refusals import (
    Expired,
    Forbidden,
    Refusal,
    Unauthenticated,
    Unproven,
)
from rrsd.roles.rs.flow.strangers import Accepted, Caller
from tests.roles.rs.world import BAR, EVIL, FOO, StrangersCase
from tests.support.domains import (
    Party,
    now,
)


class Acknowledge(StrangersCase):
    """Receipts."""

    def acknowledge(self, *lines: str, caller: Caller | None = None) -> Accepted:
        return self.run_now(self.flow.acknowledge(caller or self.caller(), "\n".join(lines).encode()))

    def refuse_receipt(self, refusal: type[Refusal], line: str, caller: Caller | None = None) -> None:
        self.refuse_now(self.flow.acknowledge(caller or self.caller(), line.encode()), refusal)
        self.assertIsNone(self.ledger.kept[0].receipted)

    def test_single(self) -> None:
        """A receipt marks its grant."""
        accepted = self.acknowledge(BAR.receipt(self.grant, FOO.origin))
        self.assertEqual((accepted.jtis, accepted.fresh, accepted.single), (("r-1",), 1, True))
        self.assertEqual(self.ledger.kept[0].receipted, now())

    def test_again(self) -> None:
        """The same receipt again changes nothing (idempotent)."""
        receipt = BAR.receipt(self.grant, FOO.origin)
        self.acknowledge(receipt)
        self.clock.advance(10)
        accepted = self.acknowledge(receipt)
        self.assertEqual((accepted.jtis, accepted.fresh), (("r-1",), 0))
        self.assertEqual(self.ledger.kept[0].receipted, now())

    def test_after_withdrawal(self) -> None:
        """A receipt for an ended grant is believed too: the copy is there."""
        self.ledger.kept = [evolve(self.grant, withdrawn=True)]
        self.assertEqual(self.acknowledge(BAR.receipt(self.grant, FOO.origin)).fresh, 1)

    def test_several(self) -> None:
        """Of several receipts the valid ones are believed, whatever the others are."""
        second = self.granted("m2")
        unknown = evolve(self.grant, message_id="m3")
        accepted = self.acknowledge(
            BAR.receipt(self.grant, FOO.origin, "r-1"),
            "garbage",
            BAR.receipt(self.grant, EVIL.origin, "r-2"),
            BAR.receipt(unknown, FOO.origin, "r-3"),
            BAR.receipt(second, FOO.origin, "r-4"),
        )
        self.assertEqual((accepted.jtis, accepted.fresh, accepted.single), (("r-1", "r-4"), 2, False))
        self.assertEqual(self.journal.events[-1].resource, "2 of 5 receipts")

    def test_several_and_none_is_valid(self) -> None:
        """A batch of nonsense is answered with an empty list."""
        self.assertEqual(self.acknowledge("x", "y").jtis, ())

    def test_no_grant(self) -> None:
        """A receipt for what was never granted is refused like anything unknown."""
        self.refuse_receipt(Forbidden, BAR.receipt(evolve(self.grant, message_id="m9"), FOO.origin))

    def test_wrong_size(self) -> None:
        """A receipt for other bytes is about no grant (S-17)."""
        self.refuse_receipt(Forbidden, BAR.receipt(self.grant, FOO.origin, size=1))

    def test_another_users_receipt(self) -> None:
        """The delegation names the same user."""
        carol = self.caller(BAR.delegation(FOO.origin, local="carol"))
        self.refuse_receipt(Unproven, BAR.receipt(self.grant, FOO.origin), carol)

    def test_signed_by_another_key(self) -> None:
        """The certificate's key signs the receipt."""
        thief = Party("bar.test")
        self.refuse_receipt(Unproven, thief.receipt(self.grant, FOO.origin))

    def test_delegation_as_receipt(self) -> None:
        """A delegation is no receipt (J-13)."""
        self.refuse_receipt(Unproven, BAR.delegation(FOO.origin))

    def test_needs_a_delegation(self) -> None:
        """A receipt without a delegation is nothing."""
        self.refuse_receipt(Unauthenticated, "x", Caller((), BAR.certificate, ""))

    def test_old_receipt(self) -> None:
        """A receipt that was signed long ago is refused."""
        begins = int(now().timestamp())
        self.refuse_receipt(
            Expired, BAR.receipt(self.grant, FOO.origin, iat=begins - 900, nbf=begins - 900, exp=begins - 600)
        )
