"""One attempt: what is asked for, what is kept, what it comes to."""

from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Conflict, Damaged, TooLarge, Unavailable, Unproven
from rrsd.core.values.addresses import parse_address, parse_domain
from rrsd.core.values.calls import Answer
from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import Lease, State
from rrsd.core.values.peers import Origin
from rrsd.core.values.settings import Size
from rrsd.roles.rra.rules import Outcome, Result
from tests.roles.rra.agents import Desk
from tests.roles.rra.peers import OTHER, STS, Body, Told, said, served
from tests.roles.rra.samples import RS
from tests.roles.rra.scheduling import ARRIVED

DATA = bytes(range(256)) * 20_000
HALF = len(DATA) // 2


def rest(start: int, data: bytes = DATA) -> Body:
    """The rest of the resource."""
    where = f"bytes {start}-{len(data) - 1}/{len(data)}"
    return Body(206, {**served(data).headers, "content-length": "", "content-range": where}, data[start:])


class Attempts(SynchronousTestCase):
    """An attempt for a lease."""

    def setUp(self) -> None:
        """A good world."""
        self.desk = Desk()
        self.addCleanup(self.desk.close)
        self.peers = self.desk.peers

    def lease(self) -> Lease:
        """The next job, leased by hand."""
        (lease,) = self.desk.result(self.desk.store.queue.lease(RS, 1, self.desk.timers.now(), frozenset()))
        return lease

    def attempt(self, lease: Lease | None = None) -> Result:
        """What the attempt comes to."""
        return self.desk.result(self.desk.puller.attempt(lease or self.lease()))

    def pull(self, data: bytes = DATA, **changes: Any) -> Result:
        """Accept a job for these bytes and attempt it once."""
        self.desk.accept(data, **changes)
        return self.attempt()

    def stale(self, method: str, times: int) -> None:
        """The delegation is not taken so many times."""
        no = [said(401) for _ in range(times)]
        self.peers.rule(method, RS, lambda _: no.pop() if no else None)

    def test_a_good_attempt(self) -> None:
        """The bytes have their final name, and everybody who took part is known to answer."""
        result = self.pull()
        self.assertEqual(result.outcome, Outcome.STORED)
        self.assertTrue(result.authorized and result.reached)
        self.assertTrue(self.desk.has(digest_of(DATA)))
        self.assertEqual(self.desk.transfers.all(), ())

    def test_nothing_of_length_zero_is_a_resource_too(self) -> None:
        """The empty resource has a digest like any other."""
        self.assertEqual(self.pull(b"").outcome, Outcome.STORED)

    def test_larger_than_the_policy(self) -> None:
        """Refused before anybody is asked."""
        self.desk.puller.settings = evolve(self.desk.settings, most_resource=Size(10))
        result = self.pull()
        self.assertEqual((result.outcome, self.peers.calls), (Outcome.REFUSED, []))
        self.assertFalse(result.reached or result.authorized)

    def test_a_server_that_the_sender_does_not_list(self) -> None:
        """No request goes there."""
        self.desk.directory.listed = {OTHER}
        self.assertEqual((self.pull().outcome, self.peers.calls), (Outcome.STRANGER, []))

    def test_an_introduction_that_proves_nothing(self) -> None:
        """Nor here."""
        self.desk.directory.trouble[parse_domain("foo.test")] = Unproven("metadata")
        self.assertEqual(self.pull().outcome, Outcome.STRANGER)

    def test_bytes_that_are_here_are_confirmed_not_fetched(self) -> None:
        """The recipient's own right is proved by HEAD."""
        self.desk.result(self.desk.store.blobs.put(DATA))
        self.assertEqual(self.pull().outcome, Outcome.STORED)
        self.assertEqual((len(self.peers.to("HEAD", RS)), len(self.peers.to("GET", RS))), (1, 0))

    def test_bytes_that_are_here_are_not_handed_out_without_a_right(self) -> None:
        """403 to the HEAD is no, whoever else had the bytes."""
        self.desk.result(self.desk.store.blobs.put(DATA))
        self.peers.always("HEAD", RS, said(403))
        self.assertEqual(self.pull().outcome, Outcome.NOT_PERMITTED)

    def test_bytes_of_another_size_are_not_the_ones(self) -> None:
        """A message that lies about the size gets no blob by its digest."""
        self.desk.result(self.desk.store.blobs.put(DATA))
        self.assertEqual(self.pull(size=7).outcome, Outcome.MISMATCH)

    def test_401_exchanges_anew_once(self) -> None:
        """For the transfer and for the confirmation; a second 401 stands."""
        for method in ("GET", "HEAD"):
            for times, outcome in ((1, Outcome.STORED), (2, Outcome.NOT_AUTHORIZED)):
                with self.subTest(method=method, times=times):
                    self.setUp()
                    if method == "HEAD":
                        self.desk.result(self.desk.store.blobs.put(DATA))
                    self.stale(method, times)
                    self.assertEqual(self.pull().outcome, outcome)
                    self.assertEqual(len(self.peers.to("POST", STS)), 2)

    def begun(self) -> None:
        """A transfer that broke half-way, its bytes durable."""
        self.peers.always("GET", RS, served(DATA, still=HALF))
        self.desk.accept(DATA)
        self.desk.start()
        body = self.peers.rules[0](self.peers.to("GET", RS)[0])
        assert isinstance(body, Body)
        self.desk.result(body.abort())
        self.assertEqual(self.desk.result(self.desk.store.queue.fetch(RS, digest_of(DATA))).offset, HALF)
        self.desk.stop()
        self.peers.rules.clear()
        self.desk.rewrite(1, state=State.READY, due=self.desk.timers.now())

    def test_a_resumed_attempt(self) -> None:
        """Only the rest is asked for."""
        self.begun()
        self.peers.always("GET", RS, rest(HALF))
        result = self.attempt()
        self.assertEqual((result.outcome, self.desk.has(digest_of(DATA))), (Outcome.STORED, True), result.evidence)

    def test_a_resumed_attempt_that_must_begin_anew(self) -> None:
        """200 to a range request: from byte 0, in the same attempt; whoever follows is told."""
        self.begun()
        self.assertEqual(self.attempt().outcome, Outcome.STORED)
        self.assertEqual(len(self.peers.to("GET", RS)), 3)

    def test_a_server_that_never_lets_one_resume_or_begin(self) -> None:
        """416 to the rest and to the whole is a server's own trouble."""
        self.begun()
        self.peers.always("GET", RS, said(416))
        self.assertNotEqual(self.attempt().outcome, Outcome.STORED)

    def test_bytes_without_a_validator_are_not_continued(self) -> None:
        """They are forgotten before the request."""
        self.begun()
        lease = self.lease()
        fetch = evolve(lease.fetch, validator="")
        self.assertEqual(self.attempt(Lease(lease.job, fetch)).outcome, Outcome.STORED)
        self.assertNotIn("range", dict(self.peers.calls[-1].headers))

    def test_a_partial_file_that_went_bad_is_cut_back(self) -> None:
        """Bytes whose prefix digest does not hold are fetched again, and the checkpoints beyond are dropped."""
        self.begun()
        for name, node in self.desk.files.nodes.items():
            if "partial" in name:
                node.data[0] ^= 1
        self.assertEqual(self.attempt().outcome, Outcome.STORED)
        self.assertNotIn("range", dict(self.peers.calls[-1].headers))

    def complete(self) -> None:
        """All bytes are durable, and the daemon ended before they got their name."""
        self.peers.always("GET", RS, body := served(DATA, still=len(DATA)))
        self.desk.accept(DATA)
        self.desk.start()
        self.desk.result(body.abort())
        self.desk.stop()
        self.peers.rules.clear()
        self.desk.rewrite(1, state=State.READY, due=self.desk.timers.now())

    def test_a_transfer_that_was_complete_is_confirmed(self) -> None:
        """There is no rest to ask for; the right is proved by HEAD."""
        self.complete()
        before = len(self.peers.to("GET", RS))
        self.assertEqual(self.attempt().outcome, Outcome.STORED)
        self.assertEqual((len(self.peers.to("GET", RS)), len(self.peers.to("HEAD", RS))), (before, 1))

    def test_a_transfer_that_was_complete_is_not_confirmed(self) -> None:
        """Without the right there is no copy."""
        self.complete()
        self.peers.always("HEAD", RS, said(410))
        self.assertEqual((self.attempt().outcome, self.desk.has(digest_of(DATA))), (Outcome.REFUSED, False))

    def test_other_bytes_are_discarded(self) -> None:
        """Nothing of them stays, under any name."""
        self.peers.always("GET", RS, Body(200, served(DATA).headers, bytes(len(DATA))))
        result = self.pull()
        self.assertEqual(result.outcome, Outcome.MISMATCH)
        self.assertFalse([name for name in self.desk.files.nodes if "partial/" in name])

    def test_a_body_of_another_length_than_announced(self) -> None:
        """Fewer bytes than the head said are a broken body."""
        self.peers.always("GET", RS, Body(200, served(DATA).headers, DATA[:-1]))
        self.assertEqual(self.pull().outcome, Outcome.BROKEN)

    def test_what_does_not_fit_is_no_trouble_of_anybody_else(self) -> None:
        """NO_ROOM, before a byte is asked for."""
        self.desk.files.capacity = 1000
        self.assertEqual((self.pull().outcome, self.peers.calls), (Outcome.NO_ROOM, []))

    def test_refusals_become_results_by_their_phase(self) -> None:
        """Whatever is refused is an outcome, and never an exception."""
        table: list[tuple[str, Origin, Told, Outcome]] = [
            ("POST", STS, Unavailable("down"), Outcome.ISSUER_DOWN),
            ("POST", STS, Answer(400, {}), Outcome.NOT_PERMITTED),
            ("GET", RS, Unavailable("connect"), Outcome.UNREACHABLE),
            ("GET", RS, TooLarge("body"), Outcome.MISMATCH),
            ("GET", RS, Conflict("epoch"), Outcome.OURSELVES),
            ("GET", RS, Damaged("x"), Outcome.MISMATCH),
            ("GET", RS, said(429, retry_after="7"), Outcome.PUSHED_BACK),
        ]
        for method, origin, told, outcome in table:
            with self.subTest(told=told):
                self.setUp()
                self.peers.always(method, origin, told)
                self.assertEqual(self.pull().outcome, outcome)

    def test_two_recipients_prove_their_rights_apart(self) -> None:
        """One has it; the other may not, and is told nothing but that."""
        self.peers.rule("HEAD", RS, lambda _: said(403))
        self.desk.accept(DATA)
        self.desk.accept(DATA, name="m2", recipient=parse_address("carol@bar.test"))
        self.desk.start()
        self.desk.advance(2)
        self.assertEqual((self.desk.state(1) in ARRIVED, self.desk.state(2)), (True, State.NEEDS_AUTH))
