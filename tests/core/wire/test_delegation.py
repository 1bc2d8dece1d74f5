"""Delegation assertions, parsed."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.core.values.tokens import ClaimedDelegation, Kind
from rrsd.core.wire.delegation import MOST_MESSAGES, delegation_claims, parse_delegation, parse_message_ids
from tests.core.signing import BOB, CERTIFICATE, CLIENT, ISSUER, NOW, ORIGIN, claimed, delegation, without

MESSAGE_IDS = st.frozensets(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=9), min_size=1
)


def parse(**changes: Any) -> ClaimedDelegation:
    """A good delegation with these claims changed; None takes one away."""
    claims = without(delegation() | changes, *(name for name, value in changes.items() if value is None))
    return parse_delegation(claimed(Kind.DELEGATION, claims))


class DelegationTests(SynchronousTestCase):
    """What a delegation claims."""

    @settings(derandomize=True, max_examples=30)
    @given(st.none() | MESSAGE_IDS)
    def test_round_trip(self, message_ids: frozenset[str] | None) -> None:
        """What is rendered parses into the same facts."""
        end = NOW + timedelta(seconds=300)
        claims = delegation_claims(ISSUER, ORIGIN, BOB, CLIENT, CERTIFICATE.x5t, NOW, end, "j", message_ids)
        found = parse_delegation(claimed(Kind.DELEGATION, claims))
        self.assertEqual((found.issuer, found.audience, found.subject, found.actor), (ISSUER, ORIGIN, BOB, CLIENT))
        self.assertEqual((found.confirmation, found.issued, found.expires), (CERTIFICATE.x5t, NOW, end))
        self.assertEqual((found.jti, found.message_ids, found.jws.claims), ("j", message_ids, claims))

    def test_x22_always_bound(self) -> None:
        """A delegation that is issued always has a cnf and an act."""
        claims = delegation_claims(ISSUER, ORIGIN, BOB, CLIENT, CERTIFICATE.x5t, NOW, NOW, "j", None)
        self.assertEqual((claims["cnf"], claims["act"]), ({"x5t#S256": CERTIFICATE.x5t.b64}, {"sub": str(CLIENT)}))

    def test_j13_other_kinds(self) -> None:
        """A token of another kind is no delegation."""
        for typ in (Kind.ACCESS, Kind.IMPERSONATION, Kind.RECEIPT, "JWT", "logout+jwt", "RRS-delegation+jwt"):
            self.assertRaises(Malformed, parse_delegation, claimed(typ, delegation()))

    def test_claims_that_must_be_there(self) -> None:
        """Every claim but nbf and authorization_details is required."""
        self.assertEqual(parse(nbf=None).issued, NOW)
        for name in ("iss", "aud", "sub", "client_id", "act", "cnf", "iat", "exp", "jti"):
            self.assertRaises(Malformed, parse, **{name: None})

    def test_j14_issuers_that_are_none(self) -> None:
        """iss as an array, with a trailing slash, of other case, over http, or with a user is refused."""
        for iss in (
            [str(ISSUER)], "https://sts.bar.test/", "https://STS.bar.test", "http://sts.bar.test",
            "https://a@sts.bar.test",
            "https://sts.b\u00e0r.test", "https://sts.ba\u0300r.test", "sts.bar.test",
        ):  # fmt: skip
            self.assertRaises(Malformed, parse, iss=iss)

    def test_j15_audiences_that_are_none(self) -> None:
        """aud as an array, with a path or a trailing slash is refused."""
        for aud in ([], [str(ORIGIN)], [str(ORIGIN), "https://x.test"], f"{ORIGIN}/", f"{ORIGIN}/x", "rs.foo.test", ""):
            self.assertRaises(Malformed, parse, aud=aud)

    def test_d03_subjects_that_are_none(self) -> None:
        """sub must be one address."""
        for sub in (
            "bob@bar.com@evil.com",
            "bob@bar.com\0.evil.com",
            "bob@bar.test ",
            "alice.baz.com",
            "@bar.test",
            ["x"],
        ):
            self.assertRaises(Malformed, parse, sub=sub)

    def test_actors(self) -> None:
        """The actor is one canonical client identifier, the same in client_id; earlier actors are history."""
        self.assertEqual(parse(act={"sub": str(CLIENT), "act": {"sub": "_old.bar.test"}}).actor, CLIENT)
        for act in ("_rra.bar.test", {}, {"sub": "_other.bar.test"}, {"act": {"sub": str(CLIENT)}}, [str(CLIENT)]):
            self.assertRaises(Malformed, parse, act=act)
        self.assertRaises(Malformed, parse, act={"sub": "_RRA.bar.test"}, client_id="_RRA.bar.test")
        self.assertRaises(Malformed, parse, act={"sub": "bob@bar.test"}, client_id="bob@bar.test")

    def test_s12_narrowing_that_is_not_understood(self) -> None:
        """authorization_details of another type or form refuse the whole, they never widen it."""
        good = {"type": "rrs_message", "message_id": "<1@foo.test>"}
        self.assertEqual(parse_message_ids([good, good]), {"<1@foo.test>"})
        cases: tuple[Any, ...] = (
            [], {}, "x", [good, {"type": "other"}], [good | {"more": 1}], [{"type": "rrs_message"}],
            [good | {"message_id": ""}],
            [good | {"message_id": "a\nb"}], [good | {"message_id": "a" * 999}], [good | {"message_id": 5}], [5],
            [good] * (MOST_MESSAGES + 1),
        )  # fmt: skip
        for details in cases:
            self.assertRaises(Malformed, parse, authorization_details=details)
