"""Access tokens, impersonation assertions and receipts, proved."""

import contextlib
from datetime import timedelta
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.proof.tokens import (
    access_claims,
    impersonation_claims,
    prove_access,
    prove_impersonation,
    prove_receipt,
)
from rrsd.core.refusals import Expired, Malformed, Refusal, Unproven
from rrsd.core.values.digests import digest_of
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Certificate
from rrsd.core.values.resources import Receipt
from rrsd.core.values.tokens import ClaimedJws, Kind, VerifiedAccess, VerifiedImpersonation
from rrsd.core.wire.receipts import receipt_claims
from tests.core import signing
from tests.core.signing import BOB, CERTIFICATE, CLIENT, CLIENT_KEY, ISSUER, NOW, ORIGIN, OTHER_KEY, claimed, without

API = "https://api.bar.test"
RECEIPT = Receipt(CLIENT, BOB, digest_of(b"x"), 1, NOW - timedelta(days=1), "<1@foo.test>", "r1")
OTHER_KINDS = ("JWT", "logout+jwt", "token-introspection+jwt", "dpop+jwt", "AT+JWT")


def changed(claims: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The claims with changes; None takes one away."""
    return without(claims | changes, *(name for name, value in changes.items() if value is None))


class AccessTests(SynchronousTestCase):
    """Access tokens of our own domain's issuer."""

    def prove(self, now: Instant = NOW, **changes: Any) -> VerifiedAccess:
        """What a good token with these claims changed proves."""
        return self.prove_jws(claimed(Kind.ACCESS, changed(signing.access(), changes)), now)

    def prove_jws(self, jws: ClaimedJws, now: Instant = NOW) -> VerifiedAccess:
        """What this token proves."""
        return prove_access(jws, signing.key_set(), ISSUER, frozenset({API, "mail"}), now)

    def test_whole(self) -> None:
        """A good token proves user, client, scope and end; scope and cnf may be absent."""
        self.assertEqual(
            self.prove(scope="mail  api"),
            VerifiedAccess(ISSUER, BOB, "mail", frozenset({"mail", "api"}), NOW + timedelta(hours=1), "a1"),
        )
        self.assertEqual(self.prove(scope=None, nbf=None).scope, frozenset())
        self.assertEqual(self.prove(cnf={"x5t#S256": CERTIFICATE.x5t.b64}).confirmation, CERTIFICATE.x5t)

    def test_round_trip(self) -> None:
        """What is issued proves what it was issued for."""
        for scope, confirmation in ((frozenset({"a", "b"}), CERTIFICATE.x5t), (frozenset[str](), None)):
            access = VerifiedAccess(ISSUER, BOB, "mail", scope, NOW + timedelta(hours=1), "a1", confirmation)
            self.assertEqual(self.prove_jws(claimed(Kind.ACCESS, access_claims(access, API, NOW))), access)

    def test_j13_other_kinds(self) -> None:
        """A token of another kind is no access token."""
        for typ in (Kind.DELEGATION, Kind.IMPERSONATION, Kind.RECEIPT, *OTHER_KINDS):
            self.assertRaises(Unproven, self.prove_jws, claimed(typ, signing.access()))

    def test_j14_other_issuers(self) -> None:
        """iss that is missing, an array, or differs in anything is refused."""
        for iss in (None, "", [str(ISSUER)], f"{ISSUER}/", "https://STS.bar.test", "http://sts.bar.test", "https://a@sts.bar.test",
                    "https://sts.b\u0430r.test", "https://sts.bar.test:443"):  # fmt: skip
            self.assertRaises((Malformed, Unproven), self.prove, iss=iss)

    def test_j15_s05_other_audiences(self) -> None:
        """aud that is missing, an array (with a stranger or not), another, a prefix, or with a slash is refused."""
        for aud in (
            None,
            [],
            [API],
            [API, "https://evil.test"],
            "https://evil.test",
            API[:-1],
            API + "/",
            "",
            {"x": 1},
        ):
            self.assertRaises((Malformed, Unproven), self.prove, aud=aud)

    def test_j16_times(self) -> None:
        """A token that is over, from the future, or lives longer than a day is refused."""
        for now in (NOW - timedelta(minutes=1), NOW + timedelta(minutes=61)):
            self.assertRaises(Expired, self.prove, now)
        self.assertRaises(Unproven, self.prove, exp=signing.access()["iat"] + 86401)
        self.assertRaises(Malformed, self.prove, exp=None)

    def test_j19_no_jti(self) -> None:
        """A token without a jti is refused."""
        self.assertRaises(Malformed, self.prove, jti=None)

    def test_d03_subjects_that_are_none(self) -> None:
        """sub must be one address, client_id must be there, and scope must be text."""
        for changes in ({"sub": "bob"}, {"sub": None}, {"client_id": None}, {"scope": ["mail"]}, {"scope": ""}):
            self.assertRaises(Malformed, self.prove, **changes)

    def test_s06_s11_other_keys_and_bindings(self) -> None:
        """A token by another key is refused, and one that is bound in a way that nobody checks."""
        self.assertRaises(Unproven, self.prove_jws, claimed(Kind.ACCESS, signing.access(), OTHER_KEY))
        self.assertRaises(Malformed, self.prove, cnf={"jkt": CERTIFICATE.x5t.b64})


class ImpersonationTests(SynchronousTestCase):
    """Assertions of clients that ask in a user's name."""

    good = staticmethod(lambda: impersonation_claims(CLIENT, BOB, ISSUER, CERTIFICATE.x5t, NOW, "i1"))

    def prove(
        self, certificate: Certificate = CERTIFICATE, now: Instant = NOW, **changes: Any
    ) -> VerifiedImpersonation:
        """What a good assertion with these claims changed proves."""
        return prove_impersonation(
            claimed(Kind.IMPERSONATION, changed(self.good(), changes), CLIENT_KEY), certificate, ISSUER, now
        )

    def test_whole(self) -> None:
        """A good assertion proves client, user and certificate."""
        self.assertEqual(
            self.prove(), VerifiedImpersonation(CLIENT, BOB, CERTIFICATE.x5t, NOW + timedelta(seconds=60), "i1")
        )

    def test_x11_other_clients(self) -> None:
        """iss other than the certificate's client is refused, and a certificate that names none is."""
        for iss in ("_other.bar.test", "_RRA.bar.test", "bar.test", None):
            self.assertRaises((Malformed, Unproven), self.prove, iss=iss)
        nameless = evolve(CERTIFICATE, client=None)
        self.assertRaises(Unproven, self.prove, nameless)

    def test_x12_other_certificates(self) -> None:
        """cnf that is missing or of another certificate is refused, a re-issued one included."""
        self.assertRaises(Malformed, self.prove, cnf=None)
        self.assertRaises(Unproven, self.prove, cnf={"x5t#S256": digest_of(b"").b64})
        self.assertRaises(Unproven, self.prove, signing.certificate(serial=8))

    def test_x08_another_audience(self) -> None:
        """An assertion for another issuer is refused, and one for several."""
        for aud in ("https://sts.evil.test", f"{ISSUER}/token", [str(ISSUER)], None):
            self.assertRaises((Malformed, Unproven), self.prove, aud=aud)

    def test_m03_another_key(self) -> None:
        """An assertion that was signed by another key than the certificate's is refused."""
        jws = claimed(Kind.IMPERSONATION, self.good(), OTHER_KEY)
        self.assertRaises(Unproven, prove_impersonation, jws, CERTIFICATE, ISSUER, NOW)

    def test_j13_c09_other_kinds(self) -> None:
        """A token of another kind is no impersonation."""
        for typ in (Kind.ACCESS, Kind.DELEGATION, Kind.RECEIPT, "client-authentication+jwt", *OTHER_KINDS):
            jws = claimed(typ, self.good(), CLIENT_KEY)
            self.assertRaises(Unproven, prove_impersonation, jws, CERTIFICATE, ISSUER, NOW)

    def test_j16_times(self) -> None:
        """An assertion lives a minute and no longer."""
        for now in (NOW - timedelta(seconds=31), NOW + timedelta(seconds=90)):
            self.assertRaises(Expired, self.prove, now=now)
        self.assertRaises(Unproven, self.prove, exp=self.good()["iat"] + 61)

    def test_claims_that_are_none(self) -> None:
        """sub and jti must be there."""
        for name in ("sub", "jti", "iat", "exp"):
            self.assertRaises(Malformed, self.prove, **{name: None})


class ReceiptTests(SynchronousTestCase):
    """Receipts of clients that keep their own copy."""

    def prove(self, now: Instant = NOW, **changes: Any) -> Receipt:
        """What a good receipt with these claims changed proves."""
        claims = changed(receipt_claims(RECEIPT, ORIGIN, NOW), changes)
        return prove_receipt(claimed(Kind.RECEIPT, claims, CLIENT_KEY), CERTIFICATE, ORIGIN, now)

    def test_whole(self) -> None:
        """A good receipt proves what it says."""
        self.assertEqual(self.prove(), RECEIPT)

    def test_receipts_that_prove_nothing(self) -> None:
        """Another audience, client, time or a missing claim is refused."""
        for changes in (
            {"aud": "https://rs.evil.test"},
            {"aud": [str(ORIGIN)]},
            {"iss": "_x.bar.test"},
            {"resource": None},
        ):
            self.assertRaises((Malformed, Unproven), self.prove, **changes)
        self.assertRaises(Expired, self.prove, NOW + timedelta(seconds=330))
        self.assertRaises(Unproven, self.prove, exp=receipt_claims(RECEIPT, ORIGIN, NOW)["iat"] + 301)

    def test_m03_another_key_or_kind(self) -> None:
        """A receipt by another key, or another token as a receipt, is refused."""
        claims = receipt_claims(RECEIPT, ORIGIN, NOW)
        for jws in (claimed(Kind.RECEIPT, claims, OTHER_KEY), claimed(Kind.DELEGATION, claims, CLIENT_KEY)):
            self.assertRaises(Unproven, prove_receipt, jws, CERTIFICATE, ORIGIN, NOW)


class NoCrashTests(SynchronousTestCase):
    """Tokens with claims of any type."""

    def test_any_type_anywhere(self) -> None:
        """Whatever stands in a claim, a token is proved or refused with a name."""
        values: list[Any] = ["", "x", 0, -1, 2**70, 1.5, True, [], {}, [1], {"sub": 1}, "\U0001f600", "a" * 5000]
        for value in values:
            for name in (*signing.access(), "cnf"):
                with contextlib.suppress(Refusal):
                    self.assertEqual(AccessTests().prove(**{name: value}).issuer, ISSUER)
