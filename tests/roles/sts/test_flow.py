"""Token exchanges over real signatures, each attack by its name."""

from datetime import timedelta

from rrsd.core.proof.delegation import require_plausible
from rrsd.core.proof.tokens import impersonation_claims
from rrsd.core.refusals import (
    Malformed,
    TooMany,
    Unavailable,
    UnknownClient,
    UnsupportedGrant,
    WrongScope,
    WrongTarget,
)
from rrsd.core.values.addresses import parse_client_identifier
from rrsd.core.values.instants import seconds
from rrsd.core.values.peers import parse_origin
from rrsd.core.values.tokens import Kind
from rrsd.core.wire.exchange import GRANT_TYPE, SubjectType
from tests.roles.sts.case import API, BOB, ISSUER, OTHER, PAIR, RS, STRANGER, ExchangeCase, signed
from tests.support.issuer import START


class TwoLeggedTests(ExchangeCase):
    """The agent names the user by itself."""

    def test_the_answer_is_a_delegation_that_the_resource_server_can_take(self) -> None:
        """The delegation is for the resource server, about bob, by the agent, bound to its certificate."""
        claimed = self.exchanged(self.form(self.assertion()))
        require_plausible(claimed, parse_origin(RS), PAIR.certificate, self.time.now())
        self.assertEqual((claimed.issuer, claimed.subject), (ISSUER, BOB))
        self.assertIsNone(claimed.message_ids)

    def test_x22_issued_token_is_bound_to_the_caller(self) -> None:
        """The issued token has the caller's certificate in `cnf`, the caller in `act` and `client_id`."""
        claimed = self.exchanged(self.form(self.assertion()))
        self.assertEqual(claimed.confirmation, PAIR.certificate.x5t)
        self.assertEqual(str(claimed.actor), "_rra.bar.test")

    def test_the_trail_has_the_decision(self) -> None:
        """A granted exchange is one event that names client, user, peer and target, and holds no token."""
        assertion = self.assertion()
        issued = self.exchanged(self.form(assertion))
        (event,) = self.trail.events
        self.assertEqual((event.what, event.outcome, event.who), ("delegate", "granted", "_rra.bar.test"))
        self.assertEqual((event.subject, event.peer, event.resource), (str(BOB), "192.0.2.1", RS))
        self.assertEqual(event.claims["sub"], str(BOB))
        for token in (assertion, issued.jws.text):
            for piece in token.split("."):
                self.assertNotIn(piece, repr(event))

    def test_z08_audit_sink_down(self) -> None:
        """When the trail takes nothing, nothing is issued."""

        class Broken:
            def record(self, event: object) -> None:
                raise Unavailable("audit")

        self.admission.audit = Broken()
        self.refuse_now(self.flow.exchange(self.form(self.assertion()), PAIR.certificate, ""), Unavailable)

    def test_authorization_details_narrow(self) -> None:
        """Named messages end up in the delegation, and nothing else does."""
        details = '[{"type":"rrs_message","message_id":"<1@foo.test>"}]'
        claimed = self.exchanged(self.form(self.assertion(), authorization_details=details))
        self.assertEqual(claimed.message_ids, frozenset({"<1@foo.test>"}))
        for bad in ("[]", "{}", '[{"type":"all"}]', "nonsense"):
            with self.subTest(bad):
                self.refused(self.form(self.assertion(jti=bad.encode().hex() or "x"), authorization_details=bad))

    def test_x23_lifetime_is_capped(self) -> None:
        """The delegation ends with the subject token."""
        claimed = self.exchanged(self.form(self.assertion()))
        self.assertEqual(claimed.expires, START + timedelta(seconds=60))
        self.time.at += timedelta(seconds=45)
        self.assertEqual(
            self.exchanged(self.form(self.assertion(iat=seconds(START), nbf=seconds(START), exp=seconds(START) + 60,
                                                    jti="jti-2"))).expires,
            START + timedelta(seconds=60),
        )  # fmt: skip

    def test_j16_assertion_is_over(self) -> None:
        """An assertion in its last tolerated seconds, or beyond them, buys nothing."""
        text = self.assertion()
        for late in (60, 89, 91, 3600):
            with self.subTest(late):
                self.time.at = START + timedelta(seconds=late)
                self.refused(self.form(text))

    def test_x11_other_client_or_foreign_user(self) -> None:
        """An assertion of another client, or for a user outside the client's domains, is refused."""
        self.refused(self.form(self.assertion(iss="_rra.evil.test")))
        self.refused(self.form(self.assertion(sub="alice@foo.test")))
        self.refused(self.form(self.assertion(STRANGER)))

    def test_x11_client_that_may_not_impersonate(self) -> None:
        """A registered client without a list of domains names nobody."""
        form = self.form(self.assertion(STRANGER), client_id="_rra.evil.test", resource="https://rs.evil.test")
        self.refused(form, Malformed, STRANGER.certificate)

    def test_x12_cnf_missing_or_of_another_certificate(self) -> None:
        """The assertion must be bound to the certificate of the connection."""
        self.refused(self.form(self.assertion(cnf=None)))
        self.refused(self.form(self.assertion(cnf={"x5t#S256": OTHER.certificate.x5t.b64})))

    def test_j04_signature_of_another_key(self) -> None:
        """An assertion that claims everything right and is signed by another key is refused."""
        client = parse_client_identifier("_rra.bar.test")
        claims = impersonation_claims(client, BOB, ISSUER, PAIR.certificate.x5t, START, "jti-1")
        self.refused(self.form(signed(OTHER, claims)))

    def test_j13_typ_of_another_kind(self) -> None:
        """Tokens of other kinds are no impersonation assertion, and it is no access token."""
        client = parse_client_identifier("_rra.bar.test")
        claims = impersonation_claims(client, BOB, ISSUER, PAIR.certificate.x5t, START, "jti-1")
        for typ in (Kind.ACCESS, Kind.DELEGATION, Kind.RECEIPT, "JWT", "client-authentication+jwt"):
            with self.subTest(typ):
                self.refused(self.form(signed(PAIR, claims, typ)))
        self.refused(self.form(self.assertion(), SubjectType.ACCESS_TOKEN))
        self.refused(self.form(self.access()))

    def test_j15_audience_is_not_this_issuer(self) -> None:
        """Only this issuer, as one string, is the audience; the token endpoint's URL is not."""
        for aud in ("https://id.foo.test", f"{ISSUER}/token", f"{ISSUER}/", [str(ISSUER)], None):
            with self.subTest(str(aud)):
                self.refused(self.form(self.assertion(aud=aud)))

    def test_j19_assertion_replayed(self) -> None:
        """An assertion is taken once; its memory outlives it."""
        text = self.assertion()
        self.exchanged(self.form(text))
        self.refused(self.form(text))
        (until,) = self.replays.seen.values()
        self.assertGreater(until, START + timedelta(seconds=90))

    def test_j19_jti_missing_or_huge(self) -> None:
        """An assertion without a usable jti is refused."""
        for jti in (None, "", "x" * 10_000):
            with self.subTest(repr(jti)[:10]):
                self.refused(self.form(self.assertion(jti=jti)))

    def test_z03_replay_memory_is_down(self) -> None:
        """When the memory of what was used cannot be asked, the check is not skipped."""

        class Down:
            async def first_use(self, issuer: str, jti: str, expires: object) -> bool:
                raise Unavailable("store")

        self.flow.replays = Down()
        self.refused(self.form(self.assertion()), Unavailable)

    def test_z06_signing_key_missing(self) -> None:
        """Without a signing key nothing is issued."""
        self.desk.signer.use(None)
        self.refused(self.form(self.assertion()), Unavailable)

    def test_x19_subject_suspended_or_gone(self) -> None:
        """A suspended and an unknown user are refused alike."""
        said = {
            self.refused(self.form(self.assertion(sub=sub, jti=sub))).reason
            for sub in ("carol@bar.test", "dave@bar.test")
        }
        self.assertEqual(said, {"malformed"})


class ThreeLeggedTests(ExchangeCase):
    """The user's access token says in whose name the agent asks."""

    def test_the_access_token_becomes_a_delegation(self) -> None:
        """A user's token for the domain's API is exchanged, for 300 seconds at most."""
        claimed = self.exchanged(self.form(self.access(), SubjectType.ACCESS_TOKEN))
        self.assertEqual((claimed.subject, claimed.expires - claimed.issued), (BOB, timedelta(seconds=300)))
        self.assertEqual(self.trail.last.evidence, "access token")

    def test_x23_lifetime_is_capped(self) -> None:
        """The delegation does not outlive the access token."""
        text = self.access(exp=seconds(START) + 100)
        self.time.at += timedelta(seconds=40)
        claimed = self.exchanged(self.form(text, SubjectType.ACCESS_TOKEN))
        self.assertEqual(claimed.expires, START + timedelta(seconds=100))

    def test_x08_audience_is_another_service(self) -> None:
        """A good token of the issuer for a service that is not on the client's list is refused."""
        for aud in ("https://other.bar.test", "https://rs.foo.test", [API]):
            with self.subTest(str(aud)):
                self.refused(self.form(self.access(aud=aud), SubjectType.ACCESS_TOKEN))

    def test_x14_may_act_without_actor_token(self) -> None:
        """A token that says who may act is good for that one only, and what is issued says the same."""
        wrong: object
        for wrong in ({"sub": "_rra.evil.test"}, {"sub": "bob@bar.test"}, {}, None, "_rra.bar.test", {"sub": []},
                      {"sub": "_rra.bar.test", "iss": "https://id.foo.test"}, {"client_id": "_rra.bar.test"},
                      {"sub": "_rra.bar.test", "role": "admin"}):  # fmt: skip
            with self.subTest(str(wrong)):
                self.refused(self.form(self.access(may_act=wrong), SubjectType.ACCESS_TOKEN))
        for right in ({"sub": "_rra.bar.test"}, {"sub": "_rra.bar.test", "iss": str(ISSUER)}):
            claimed = self.exchanged(self.form(self.access(may_act=right), SubjectType.ACCESS_TOKEN))
            self.assertEqual(claimed.jws.claims["may_act"], right)

    def test_x15_the_chain_stays(self) -> None:
        """Whoever acted before stays below the client, as it was; only the client is the actor."""
        before = {"sub": "_web.bar.test", "iss": str(ISSUER), "act": {"sub": "_app.bar.test"}}
        claimed = self.exchanged(self.form(self.access(act=before), SubjectType.ACCESS_TOKEN))
        self.assertEqual(claimed.jws.claims["act"], {"sub": "_rra.bar.test", "act": before})
        self.assertEqual(str(claimed.actor), "_rra.bar.test")

    def test_x15_chains_that_are_none(self) -> None:
        """A chain that is too long, or names what identifies nobody, is refused and not shortened."""
        long: dict[str, object] = {"sub": "a"}
        for _ in range(3):
            long = {"sub": "b", "act": long}
        endless: dict[str, object] = {"sub": "a"}
        for _ in range(40):
            endless = {"sub": "b", "act": endless}
        wrong: object
        for wrong in (long, endless, {}, None, [], {"sub": ""}, {"sub": "a", "exp": 1}, {"sub": "a", "act": {}}):
            with self.subTest(str(wrong)[:40]):
                self.refused(self.form(self.access(act=wrong), SubjectType.ACCESS_TOKEN))

    def test_a_token_that_does_not_permit_mail(self) -> None:
        """A login for something else does not become a delegation that retrieves mail."""
        for scope in ("openid email", "mails", None):
            self.refused(self.form(self.access(**{"scope": scope} if scope else {"scope": "x"}),
                                   SubjectType.ACCESS_TOKEN))  # fmt: skip

    def test_x20_bound_token_by_a_client_that_is_not_its_recipient(self) -> None:
        """A token bound to another certificate is refused unless its audience is on the client's list."""
        bound = {"cnf": {"x5t#S256": OTHER.certificate.x5t.b64}}
        self.refused(self.form(self.access(aud="https://other.bar.test", **bound), SubjectType.ACCESS_TOKEN))
        claimed = self.exchanged(self.form(self.access(**bound), SubjectType.ACCESS_TOKEN))
        self.assertEqual(claimed.confirmation, PAIR.certificate.x5t)

    def test_x19_subject_suspended(self) -> None:
        """A suspended user's token that still lives buys nothing."""
        self.refused(self.form(self.access(sub="carol@bar.test"), SubjectType.ACCESS_TOKEN))

    def test_j16_access_token_is_over(self) -> None:
        """An expired access token is refused as an invalid request (RFC 8693 2.2.2)."""
        text = self.access()
        self.time.at += timedelta(seconds=700)
        self.refused(self.form(text, SubjectType.ACCESS_TOKEN))


class RequestTests(ExchangeCase):
    """Client and request, before any subject."""

    def test_c01_no_client_id(self) -> None:
        """Mutual TLS without client_id is no client authentication."""
        self.refused(self.form(self.assertion(), client_id=None), UnknownClient)

    def test_c03_no_certificate(self) -> None:
        """Without a certificate the client proved nothing, whatever else it sends."""
        self.refused(self.form(self.assertion()), UnknownClient, None)
        self.refused(self.form(self.assertion(), client_secret="guess"), UnknownClient, None)

    def test_m03_another_certificate_with_the_same_subject(self) -> None:
        """The subject of a self-signed certificate proves nothing."""
        self.refused(self.form(self.assertion(OTHER)), UnknownClient, OTHER.certificate)

    def test_m06_expired_self_signed_certificate(self) -> None:
        """A registered certificate is good until it is taken off the list, whatever date it has."""
        self.time.at = PAIR.certificate.not_after + timedelta(days=1)
        self.exchanged(self.form(self.assertion()))

    def test_the_token_endpoint_finds_the_exchange(self) -> None:
        """The role offers one grant type."""
        self.assertEqual(list(self.flow.grants), [GRANT_TYPE])

    def test_m10_second_request_with_another_client_id(self) -> None:
        """The client is proved for each request: a connection's certificate serves its own client only."""
        self.exchanged(self.form(self.assertion()))
        self.refused(self.form(self.assertion(jti="jti-2"), client_id="_rra.evil.test"), UnknownClient)

    def test_t13_unknown_client_and_wrong_certificate_look_the_same(self) -> None:
        """Whether a client is registered cannot be found out."""
        wrong = self.refused(self.form(self.assertion()), UnknownClient, STRANGER.certificate)
        unknown = self.refused(self.form(self.assertion(), client_id="_rra.none.test"), UnknownClient)
        self.assertEqual((type(wrong), wrong.reason), (type(unknown), unknown.reason))

    def test_t07_grant_of_another_endpoint(self) -> None:
        """Another grant type is not served here."""
        self.refused(self.form(self.assertion(), grant_type="client_credentials"), UnsupportedGrant)

    def test_t12_wrong_attempts(self) -> None:
        """An address that is refused too often has to wait; clients that prove themselves do not."""
        self.failures.most = 3
        for _ in range(3):
            self.refused(self.form(self.assertion()), UnknownClient, None)
        limited = self.refuse_now(self.flow.exchange(self.form(self.assertion()), None, "192.0.2.1"), TooMany)
        self.assertEqual(limited.retry_after, 7)
        self.exchanged(self.form(self.assertion()))

    def test_t12_client_that_asks_too_often(self) -> None:
        """A client has its own limit, and it is not counted as a refused attempt."""
        self.requests.most = 1
        self.exchanged(self.form(self.assertion()))
        self.assertEqual(self.refused(self.form(self.assertion(jti="jti-2")), TooMany).retry_after, 7)
        self.assertEqual((self.requests.taken, self.failures.taken), ({"_rra.bar.test": 2}, {}))

    def test_x02_subject_token_empty(self) -> None:
        """An empty subject token is an error, never another grant."""
        self.refused(self.form(""))
        self.refused(self.form("", SubjectType.JWT, **{"subject_token[]": self.assertion()}))

    def test_x06_targets(self) -> None:
        """Only one https origin is a target."""
        for target in ("/relative", f"{RS}/#f", "https://u@rs.foo.test", "http://rs.foo.test", f"{RS}/", "urn:x"):
            with self.subTest(target):
                self.refused(self.form(self.assertion(), resource=target), WrongTarget)
        self.refused(self.form(self.assertion(), resource=[f"https://rs{n}.foo.test" for n in range(50)]), WrongTarget)
        self.refused(self.form(self.assertion(), audience="https://other.foo.test"), WrongTarget)

    def test_x18_target_of_another_client(self) -> None:
        """A client that may ask for A does not get B."""
        form = self.form(self.assertion(STRANGER), client_id="_rra.evil.test")
        self.refused(form, WrongTarget, STRANGER.certificate)

    def test_actor_tokens_are_refused_not_ignored(self) -> None:
        """An actor token, whole or half, is an error."""
        actor = {"actor_token": self.assertion(), "actor_token_type": str(SubjectType.JWT)}
        self.refused(self.form(self.assertion(), SubjectType.JWT, **actor))
        self.refused(self.form(self.assertion(), actor_token="x"))

    def test_scope_is_refused_not_ignored(self) -> None:
        """A delegation has no scope."""
        self.refused(self.form(self.assertion(), scope="everything"), WrongScope)

    def test_what_nobody_proved_is_cut_in_the_trail(self) -> None:
        """A huge client_id does not fill the trail."""
        self.refused(self.form(self.assertion(), client_id="x" * 5000), UnknownClient)
        self.assertEqual(len(self.trail.last.who), 320)
