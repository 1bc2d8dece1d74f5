"""Delegation assertions: exchanged when needed, kept while they live."""

import json
from urllib.parse import parse_qs

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Forbidden, Malformed, Refusal, TooMany, Unavailable, Unproven
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.calls import Answer
from rrsd.core.values.digests import digest_of
from rrsd.roles.rra.delegations import MARGIN, MOST_KEPT
from rrsd.runtime.awaits import deferred_of
from tests.roles.rra.agents import Desk
from tests.roles.rra.peers import BOB, HOME, OTHER, STS, Key, issued
from tests.roles.rra.samples import RS

ANOTHER = evolve(Key().certificate, x5t=digest_of(b"another"))


class Exchanges(SynchronousTestCase):
    """The agent asks its domain's STS."""

    def setUp(self) -> None:
        """An STS that says yes."""
        self.desk = Desk()
        self.addCleanup(self.desk.close)
        self.peers, self.delegations = self.desk.peers, self.desk.delegations

    def of(self, token: str | None = None) -> str:
        """A delegation for bob at foo.test's resource server."""
        return self.desk.result(self.delegations.of(BOB, RS, token))

    def asked(self) -> list[dict[str, list[str]]]:
        """The forms that the STS got."""
        return [parse_qs(call.body.decode()) for call in self.peers.to("POST", STS)]

    def test_two_legged(self) -> None:
        """The agent's own impersonation assertion is the subject token."""
        self.assertEqual(self.of(), "delegation 1")
        (form,) = self.asked()
        self.assertEqual(form["subject_token_type"], ["urn:ietf:params:oauth:token-type:jwt"])
        self.assertEqual((form["resource"], form["client_id"]), ([str(RS)], ["_rra.bar.test"]))
        (claims,) = self.desk.key.signed
        self.assertEqual((claims["iss"], claims["sub"]), ("_rra.bar.test", "bob@bar.test"))

    def test_three_legged(self) -> None:
        """The user's own access token is."""
        self.of("the-users-token")
        (form,) = self.asked()
        self.assertEqual(form["subject_token"], ["the-users-token"])
        self.assertEqual(form["subject_token_type"], ["urn:ietf:params:oauth:token-type:access_token"])
        self.assertEqual(self.desk.key.signed, [])

    def test_it_is_kept_until_shortly_before_its_end(self) -> None:
        """One exchange serves all; another user, another server and a later time need another."""
        self.of()
        self.of("token")
        self.assertEqual(len(self.asked()), 1)
        self.desk.result(self.delegations.of(parse_address("BOB@bar.test"), RS))
        self.assertEqual(len(self.asked()), 1, "one mailbox, however it is written")
        self.desk.result(self.delegations.of(BOB, OTHER))
        self.desk.result(self.delegations.of(parse_address("carol@bar.test"), RS))
        self.assertEqual(len(self.asked()), 3)
        self.desk.advance(300 - MARGIN, 10)
        self.of()
        self.assertEqual(len(self.asked()), 4)

    def test_a_dropped_one_is_exchanged_anew(self) -> None:
        """The resource server did not take it."""
        self.of()
        self.delegations.drop(BOB, RS)
        self.assertEqual(self.of(), "delegation 2")

    def test_m04_it_is_used_with_the_certificate_that_it_is_bound_to(self) -> None:
        """Another certificate of the agent needs another delegation; the one before is not forgotten for its own."""
        self.of()
        first, self.desk.key.certificate = self.desk.key.certificate, ANOTHER
        self.assertEqual(self.of(), "delegation 2")
        self.desk.key.certificate = first
        self.assertEqual(self.of(), "delegation 1")

    def test_certificate_replaced_while_the_sts_thinks(self) -> None:
        """Whoever waited gets a delegation of the certificate that is presented now, never of the one before."""
        gate: Deferred[Answer] = Deferred()
        self.peers.always("POST", STS, gate)
        waiting = deferred_of(self.delegations.of(BOB, RS))
        self.desk.key.certificate = ANOTHER
        self.peers.always("POST", STS, issued("of the new one"))
        gate.callback(issued("of the old one"))
        self.assertEqual(self.successResultOf(waiting), "of the new one")
        self.assertEqual([claims["cnf"] for claims in self.desk.key.signed][1], {"x5t#S256": ANOTHER.x5t.b64})

    def test_one_that_is_too_short_is_not_kept(self) -> None:
        """A life within the margin is used once."""
        self.peers.always("POST", STS, issued(life=MARGIN))
        self.of()
        self.of()
        self.assertEqual(len(self.asked()), 2)

    def test_memory_is_bounded(self) -> None:
        """Whoever was not asked for longest is forgotten."""
        for number in range(MOST_KEPT + 5):
            self.delegations._kept.put(str(number), "text", 2_000_000_000.0)
        self.assertEqual(len(self.delegations._kept), MOST_KEPT)
        self.of()
        self.of()
        self.assertEqual(len(self.asked()), 1)

    def test_a_single_flight(self) -> None:
        """Who asks at the same time shares the answer, or the refusal."""
        for outcome in (issued(), Unavailable("sts")):
            self.setUp()
            gate: Deferred[Answer] = Deferred()
            self.peers.always("POST", STS, gate)
            waiting = [deferred_of(self.delegations.of(BOB, RS)) for _ in range(5)]
            self.assertEqual(len(self.asked()), 1)
            if isinstance(outcome, Answer):
                gate.callback(outcome)
                self.assertEqual({self.successResultOf(each) for each in waiting}, {"delegation"})
            else:
                gate.errback(outcome)
                for each in waiting:
                    self.failureResultOf(each, Unavailable)

    def test_each_error_of_the_sts(self) -> None:
        """Its own trouble is Unavailable or TooMany, its no is Forbidden, its nonsense is Malformed."""
        no = Answer(400, {}, json.dumps({"error": "invalid_target"}).encode())
        table: list[tuple[Answer, type[Refusal]]] = [
            (Answer(500, {}), Unavailable),
            (Answer(302, {"location": "https://evil.test"}), Unavailable),
            (Answer(204, {}), Unavailable),
            (no, Forbidden),
            (Answer(401, {}, b"not json"), Forbidden),
            (Answer(400, {}, b'{"error": "a b\\r\\nc"}'), Forbidden),
            (Answer(400, {}, b'{"error": 7}'), Forbidden),
            (Answer(200, {}, b"not json"), Malformed),
            (Answer(200, {}, b"{}"), Malformed),
            (issued(kind="urn:ietf:params:oauth:token-type:access_token"), Malformed),
            (issued(text=""), Malformed),
            (issued(text="\u00e9"), Malformed),
            *((issued(life=life), Malformed) for life in (0, -1, 3601, "300", True, None, 1.5)),
        ]
        for answer, refusal in table:
            with self.subTest(answer=answer):
                self.setUp()
                self.peers.always("POST", STS, answer)
                with self.assertRaises(refusal) as caught:
                    self.of()
                self.assertNotIn("\n", str(caught.exception))
        self.setUp()
        self.peers.always("POST", STS, no)
        with self.assertRaisesRegex(Forbidden, "400 invalid_target"):
            self.of()

    def test_429_says_when_to_come_back(self) -> None:
        """In seconds, within reason; five where it says nothing of use."""
        for text, seconds in (
            ("60", 60),
            ("9999999", 3600),
            ("", 5),
            ("Wed, 01 Jan 2020 00:00:00 GMT", 5),
            ("\u0665", 5),
        ):
            self.setUp()
            self.peers.always("POST", STS, Answer(429, {"retry-after": text}))
            with self.assertRaises(TooMany) as caught:
                self.of()
            self.assertEqual(caught.exception.retry_after, seconds)

    def test_no_introduction_of_our_own_domain(self) -> None:
        """What discovery refuses is refused."""
        self.desk.directory.trouble[HOME] = Unproven("metadata")
        self.assertRaises(Unproven, self.of)

    def test_a_certificate_without_a_name_impersonates_nobody(self) -> None:
        """There is no client to speak for."""
        self.desk.key.certificate = evolve(self.desk.key.certificate, client=None)
        self.assertRaises(Unavailable, self.of)
        self.assertEqual(self.desk.key.signed, [])
