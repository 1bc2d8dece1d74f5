"""Delegations that are not believed (J, M, D, S)."""

from attrs import evolve

from rrsd.core.refusals import (
    Expired,
    Malformed,
    TooMany,
    Unauthenticated,
    Unavailable,
    Unproven,
)
from rrsd.core.values.tokens import Kind
from rrsd.core.wire import base64url, strictjson
from rrsd.roles.rs.flow.strangers import Caller
from tests.roles.rs.world import BAR, EVIL, FOO, StrangersCase
from tests.support.domains import (
    Key,
    Party,
    certificate,
    now,
)


class Delegations(StrangersCase):
    """What is not believed; no stranger is asked before everything that needs none has passed (F-01)."""

    def test_no_token(self) -> None:
        """Without a credential there is a challenge (S-01)."""
        self.refuse(Unauthenticated, Caller((), BAR.certificate, ""))

    def test_scheme(self) -> None:
        """The scheme's case does not matter; two tokens and other schemes do (S-03)."""
        token = BAR.delegation(FOO.origin)
        self.get(Caller((f"bEaReR {token}",), BAR.certificate, ""))
        for fields in ((f"Bearer {token}", f"Bearer {token}"), (f"DPoP {token}",), ("Bearer ä",)):
            self.refuse(Malformed, Caller(fields, BAR.certificate, ""))

    def test_garbage(self) -> None:
        """What is no token proves nothing, whatever its size."""
        for token in ("x", "a.b.c", "." * 5, "A" * 20000):
            self.refuse(Unproven, self.caller(token))
        self.assertEqual(self.world.asked, [])

    def test_no_certificate(self) -> None:
        """A stolen delegation is worth nothing without the certificate."""
        self.refuse_token(shown=None)

    def test_another_certificate_with_the_same_subject(self) -> None:
        """A self-made certificate with the agent's name is another certificate (M-03)."""
        self.refuse_token(shown=certificate("_rra.bar.test", Key("thief")))

    def test_reissued_certificate_of_the_same_key(self) -> None:
        """The binding is to the certificate, not to its key (M-04)."""
        self.refuse_token(shown=certificate("_rra.bar.test", BAR.agent_key, 2))

    def test_another_connection_is_checked_again(self) -> None:
        """A delegation that was proved on one connection is not believed on another (M-10)."""
        caller = self.caller()
        self.get(caller)
        self.refuse(Unproven, evolve(caller, certificate=certificate("_rra.bar.test", Key("thief"))))
        self.refuse(Unproven, evolve(caller, certificate=None))

    def test_another_audience(self) -> None:
        """A delegation for another resource server, for several, or for a look-alike is refused (S-05, J-15)."""
        for audience in ("https://rs.evil.test", "https://rs.foo.test:8443", ["https://rs.foo.test"], ""):
            self.refuse_token(aud=audience)
        for audience in ("https://rs.foo.test/", "http://rs.foo.test", "https://rs.foo.test.evil.test"):
            self.refuse_token(aud=audience)

    def test_times(self) -> None:
        """Old, early and endless delegations are refused (J-16)."""
        begins = int(now().timestamp())
        self.refuse_token(Expired, iat=begins - 400, nbf=begins - 400, exp=begins - 100)
        self.refuse_token(Expired, iat=begins + 100, nbf=begins + 100, exp=begins + 200)
        self.refuse_token(exp=begins + 100000)
        for value in ("123", 1.5, -1, True, None):
            self.refuse_token(exp=value)

    def test_confirmation(self) -> None:
        """Other confirmation methods and other spellings are refused (S-10, S-11)."""
        x5t = BAR.certificate.x5t
        for cnf in (
            None, {}, {"x5t#S256": f"{x5t.b64}="}, {"x5t#S256": x5t.hex}, {"x5t": x5t.b64}, {"jkt": x5t.b64},
            {"x5t#S256": x5t.b64, "jkt": x5t.b64},
        ):  # fmt: skip
            self.refuse_token(cnf=cnf)

    def test_actor(self) -> None:
        """The actor is the certificate's subject, of the domain of the user (O-11, D-10)."""
        self.refuse_token(act={"sub": "_rra.evil.test"}, client_id="_rra.evil.test")
        self.refuse_token(act=None)
        self.refuse_token(sub="bob@evil.test")

    def test_token_of_another_kind(self) -> None:
        """An access token or a receipt is no delegation (J-13)."""
        for typ in (Kind.ACCESS, Kind.RECEIPT, Kind.IMPERSONATION, "JWT"):
            self.refuse_token(typ=typ)

    def test_subjects_that_are_none(self) -> None:
        """A subject is one plain address (D-03)."""
        for sub in (
            "bob@bar.test@evil.test",
            '"bob@bar.test"@evil.test',
            "bob@bar.test ",
            "bob@",
            "bar.test",
            "x" * 400,
        ):
            self.refuse_token(sub=sub)

    def test_issuer_of_another_domain(self) -> None:
        """Another domain's issuer cannot speak for the user (D-01, S-06)."""
        claims = {"iss": "https://as.evil.test"}
        self.refuse(Unproven, self.caller(BAR.delegation(FOO.origin, **claims)))
        self.assertEqual(self.world.asked, ["introduce bar.test"])

    def test_issuer_look_alikes(self) -> None:
        """The issuer is compared code point by code point (D-02, J-14)."""
        for issuer in ("https://as.bar.test.evil.test", "https://as.bar.test:8443", "https://as.bar.test/a"):
            self.refuse(Unproven, self.caller(BAR.delegation(FOO.origin, iss=issuer)))

    def test_key_of_another_issuer(self) -> None:
        """A signature by another key proves nothing, under its own kid or the issuer's (J-09, S-06)."""
        forger = Party("bar.test")
        forger.agent_key = BAR.agent_key
        self.refuse(Unproven, self.caller(forger.delegation(FOO.origin)))
        forger.key.kid = "another"
        self.refuse(Unproven, self.caller(forger.delegation(FOO.origin)))
        self.assertNotIn("client", self.world.asked)

    def test_changed_token(self) -> None:
        """One changed character of claims or signature proves nothing (J-04)."""
        head, claims, signature = BAR.delegation(FOO.origin).split(".")
        other = BAR.delegation(FOO.origin, local="carol").split(".")[1]
        self.refuse(Unproven, self.caller(f"{head}.{other}.{signature}"))
        self.refuse(Unproven, self.caller(f"{head}.{claims}.{'A' * 86}"))
        self.refuse(Unproven, self.caller(f"{head}.{claims}."))

    def test_domain_that_introduces_nobody(self) -> None:
        """A user of a domain that publishes nothing proves nothing."""
        self.world.parties = (FOO,)
        self.refuse(Unproven)

    def test_outage(self) -> None:
        """While strangers cannot be asked nobody is believed, and the failure says when to come back."""
        self.world.refusal = Unavailable("network", 7)
        self.assertEqual(self.refuse(Unavailable).retry_after, 7)
        self.assertEqual(self.journal.events[-1].outcome, "failed")

    def test_proof_for_another_client(self) -> None:
        """The proof of ownership names the actor."""
        self.world.client = "_other"
        self.refuse(Unproven)

    def test_keys_of_the_attacker(self) -> None:
        """A key that comes with the token, and algorithms that need none, are refused unasked (J-01, J-02, J-11)."""
        claims = BAR.delegation(FOO.origin).split(".")[1]
        for header in (
            {"alg": "none"}, {"alg": "nOnE"}, {"alg": "HS256"}, {"alg": "ES256", "jku": "https://as.evil.test/jwks"},
            {"alg": "ES256", "jwk": dict(EVIL.key.public.jwk)}, {"alg": "ES256", "x5c": ["AA=="]},
            {"alg": "ES256", "crit": ["b64"], "b64": False},
        ):  # fmt: skip
            head = base64url.encode(strictjson.render({"typ": "rrs-delegation+jwt", **header}))
            for signature in ("", "A" * 86):
                self.refuse(Unproven, self.caller(f"{head}.{claims}.{signature}"))
        self.assertEqual(self.world.asked, [])

    def test_aimed_at_others(self) -> None:
        """Who makes us ask strangers in vain is stopped before the next question, for a minute (F-01)."""
        token = BAR.delegation(FOO.origin, iss="https://as.evil.test")
        for _ in range(60):
            self.refuse(Unproven, self.caller(token))
        asked = len(self.world.asked)
        self.assertEqual(self.refuse(TooMany, self.caller(token)).retry_after, 60)
        self.assertEqual(len(self.world.asked), asked)
        self.get(evolve(self.caller(), peer="192.0.2.2"))
        self.clock.advance(60)
        self.refuse(Unproven, self.caller(token))

    def test_proofs_cost_no_budget(self) -> None:
        """Delegations that are good may be as many as they like."""
        for number in range(100):
            self.get(self.caller(BAR.delegation(FOO.origin, jti=f"jti-{number}")))
