"""Delegation assertions, proved."""

from datetime import timedelta
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.proof.delegation import prove_delegation, require_plausible
from rrsd.core.refusals import Expired, Unproven
from rrsd.core.values.addresses import parse_domain
from rrsd.core.values.digests import digest_of
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Certificate, parse_issuer, parse_origin
from rrsd.core.values.tokens import ClaimedDelegation, Kind, VerifiedDelegation
from rrsd.core.wire.delegation import parse_delegation
from tests.core import signing
from tests.core.signing import BAR, BOB, CERTIFICATE, CLIENT, ISSUER, NOW, ORIGIN, OTHER_KEY, claimed, delegation


def parse(key: signing.Private = signing.ISSUER_KEY, **changes: Any) -> ClaimedDelegation:
    """A good delegation with these claims changed."""
    return parse_delegation(claimed(Kind.DELEGATION, delegation() | changes, key))


def look(claim: ClaimedDelegation, certificate: Certificate | None = CERTIFICATE, now: Instant = NOW) -> None:
    """Whether it is plausible here and now."""
    require_plausible(claim, ORIGIN, certificate, now)


class PlausibleTests(SynchronousTestCase):
    """What can be seen without a signature."""

    def test_good(self) -> None:
        """A good delegation over its own connection is plausible."""
        look(parse())

    def test_s05_another_resource_server(self) -> None:
        """An audience that is another origin, or ours on another port, is refused."""
        for aud in ("https://rs.evil.test", "https://rs.foo.test:8443"):
            self.assertRaises(Unproven, look, parse(aud=aud))

    def test_j16_times(self) -> None:
        """A delegation that is over, from the future, or lives more than five minutes is refused."""
        for now in (NOW - timedelta(seconds=31), NOW + timedelta(seconds=330)):
            self.assertRaises(Expired, look, parse(), now=now)
        self.assertRaises(Unproven, look, parse(exp=delegation()["iat"] + 301))
        self.assertRaises(Expired, look, parse(nbf=delegation()["iat"] + 31))

    def test_m04_the_same_key_issued_again(self) -> None:
        """A re-issued certificate of the same key is another certificate."""
        self.assertRaises(Unproven, look, parse(), signing.certificate(serial=8))

    def test_m09_no_certificate(self) -> None:
        """A connection without a certificate carries no bound token."""
        self.assertRaises(Unproven, look, parse(), None)

    def test_x20_stolen_delegation(self) -> None:
        """A delegation that is bound to another certificate is refused."""
        self.assertRaises(Unproven, look, parse(), signing.certificate(OTHER_KEY))
        self.assertRaises(Unproven, look, parse(cnf={"x5t#S256": digest_of(b"").b64}))

    def test_o11_name_of_another_client(self) -> None:
        """act.sub other than the certificate's own name is refused, and a nameless certificate is."""
        other = signing.certificate(subject=signing.client_name("_other"))
        self.assertRaises(Unproven, look, parse(cnf={"x5t#S256": other.x5t.b64}), other)
        self.assertRaises(Unproven, look, parse(), evolve(CERTIFICATE, client=None))

    def test_d10_actor_of_another_domain(self) -> None:
        """An actor whose domain is not the subject's is refused."""
        self.assertRaises(Unproven, look, parse(sub="bob@evil.test"))
        self.assertRaises(Unproven, look, parse(sub="bob@sub.bar.test"))

    def test_d10_pairs(self) -> None:
        """An actor of another domain is plausible where exactly this client and this domain are listed."""
        evil, sub = parse_domain("evil.test"), parse_domain("sub.bar.test")
        claim = parse(sub="bob@evil.test")
        require_plausible(claim, ORIGIN, CERTIFICATE, NOW, {(CLIENT, evil)})
        for pairs in ({(CLIENT, sub)}, {(evolve(CLIENT, unit="_other"), evil)}, {(evolve(CLIENT, domain=evil), evil)}):
            self.assertRaises(Unproven, require_plausible, claim, ORIGIN, CERTIFICATE, NOW, pairs)


class ProveTests(SynchronousTestCase):
    """What the issuer's signature adds."""

    def test_good(self) -> None:
        """A good delegation by the domain's own issuer is proved in full."""
        self.assertEqual(
            prove_delegation(parse(), BAR, signing.key_set()),
            VerifiedDelegation(ISSUER, ORIGIN, BOB, CLIENT, CERTIFICATE.x5t, NOW + timedelta(seconds=300), "d1", None),
        )

    def test_d01_issuer_of_another_domain(self) -> None:
        """An issuer that the subject's domain does not name is refused, look-alikes included."""
        for iss in ("https://as.evil.test", "https://sts.bar.test.evil.test", "https://evil.test/sts.bar.test",
                    "https://sts.bar.test:8443", "https://sts.bar.test/x"):  # fmt: skip
            self.assertRaises(Unproven, prove_delegation, parse(iss=iss), BAR, signing.key_set())
        other = evolve(BAR, issuer=parse_issuer("https://sts.evil.test"))
        self.assertRaises(Unproven, prove_delegation, parse(), other, signing.key_set())

    def test_d01_introduction_of_another_domain(self) -> None:
        """An introduction proves only its own domain's users."""
        other = evolve(
            BAR, domain=parse_domain("evil.test"), protected_resources=(parse_origin("https://rs.evil.test"),)
        )
        self.assertRaises(Unproven, prove_delegation, parse(), other, signing.key_set())

    def test_s06_another_key(self) -> None:
        """A signature by a key that is not the issuer's is refused."""
        self.assertRaises(Unproven, prove_delegation, parse(OTHER_KEY), BAR, signing.key_set())
