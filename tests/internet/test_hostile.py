"""Resource servers that lie, break, dawdle or mix things up: each row is a defect that shipped somewhere."""

import gzip
from collections.abc import Callable
from pathlib import Path

from attrs import define, field, frozen
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Unknown
from rrsd.core.values.digests import digest_of
from rrsd.core.values.jobs import Blame, Job, State
from rrsd.core.wire.fields import etag, render_repr_digest
from tests.support.world import World, with_rs

SIZE = 4 * 1024 * 1024
BODY = bytes(range(256)) * (SIZE // 256)
OTHER = bytes(reversed(range(256))) * (SIZE // 256)
HALF = 2 * 1024 * 1024
"""Where bodies break: what came before is durable when the attempt has ended."""
REST = f"bytes={HALF}-"
ETAG = etag(digest_of(BODY))


@frozen
class Answer:
    """What the server writes for one request: a head, a body, and how the connection goes on."""

    status: str = "200 OK"
    headers: tuple[str, ...] = ()
    body: bytes = field(default=b"", repr=False)
    end: str = "keep"  # keep, close (with close_notify), cut (without), hang

    def head(self) -> bytes:
        """The head as bytes."""
        return "\r\n".join([f"HTTP/1.1 {self.status}", *self.headers, "", ""]).encode("latin-1")


def whole(body: bytes = BODY, **changes: str) -> Answer:
    """A good answer with everything, changed as asked; a header set to "" is left out."""
    fields = {"content_length": str(len(body)), "etag": ETAG, "accept_ranges": "bytes", **changes}
    lines = tuple(f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value)
    return Answer(headers=lines, body=body)


def rest(start: int, stop: int = SIZE, total: str = str(SIZE), body: bytes | None = None, **changes: str) -> Answer:
    """A partial answer that says start-stop/total."""
    data = BODY[start:stop] if body is None else body
    good = whole(data, content_range=f"bytes {start}-{stop - 1}/{total}", **changes)
    return Answer("206 Partial Content", good.headers, good.body)


def broken(answer: Answer, at: int, end: str = "cut") -> Answer:
    """The answer, broken off after `at` bytes of its body."""
    return Answer(answer.status, answer.headers, answer.body[:at], end)


def status(line: str, *headers: str) -> Answer:
    """An answer without a body."""
    return Answer(line, ("content-length: 0", *headers))


Script = list[Answer | Callable[[str], Answer]]


@define(eq=False)
class Hostile(Factory):
    """Answers request after request by a script, the last answer again and again; remembers what was asked."""

    noisy = False  # its script would be in the log, bodies and all

    script: Script
    heads: list[str] = field(factory=list)

    def buildProtocol(self, addr: object) -> Protocol:  # noqa: N802 (Twisted's name)
        return _Connection(self)

    def next(self, head: str) -> Answer:
        """The answer to the request."""
        self.heads.append(head)
        chosen = self.script[min(len(self.heads), len(self.script)) - 1]
        return chosen if isinstance(chosen, Answer) else chosen(head)

    def ranges(self) -> list[str]:
        """The Range field of each GET, "" where there was none."""
        gets = [head for head in self.heads if head.startswith("GET ")]
        lines = [dict(line.partition(": ")[::2] for line in head.lower().split("\r\n")) for head in gets]
        return [each.get("range", "") for each in lines]


class _Connection(Protocol):
    def __init__(self, hostile: Hostile) -> None:
        self.hostile, self.data = hostile, b""

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 (Twisted's name)
        self.data += data
        while b"\r\n\r\n" in self.data:
            head, _, self.data = self.data.partition(b"\r\n\r\n")
            answer = self.hostile.next(head.decode("latin-1"))
            assert self.transport is not None
            self.transport.write(answer.head() + answer.body)
            if answer.end == "close":
                self.transport.loseConnection()
            if answer.end == "cut":
                self.cut()

    def cut(self) -> None:
        """Let what was written arrive, then drop the connection without a TLS farewell."""
        below = self.transport.transport  # type: ignore[union-attr]
        below.loseConnection()


class HostileCase(SynchronousTestCase):
    """One pull from a scripted server."""

    def setUp(self) -> None:
        """foo.test's issuer lists rs.foo.test; who answers there is up to each test."""
        self.world = World(Path(self.mktemp()))
        self.foo = self.world.domain("foo.test", with_rs("rs.foo.test"))
        self.bar = self.world.domain("bar.test")
        self.bar.add_user("bob")

    def pull(self, *script: Answer | Callable[[str], Answer], data: bytes = BODY, size: int | None = None) -> Hostile:
        """Deliver a message that promises `data`, and let a few seconds pass."""
        hostile = Hostile(list(script))
        self.world.hostile("rs.foo.test", self.foo, hostile)
        raw = self.foo.placeholder(["bob@bar.test"], {"f": data}, size=size)
        self.bar.deliver(raw, "bob@bar.test")
        self.world.advance(1)
        return hostile

    def job(self) -> Job:
        """The one pull."""
        return self.bar.job(1)

    def assert_kept(self, data: bytes = BODY) -> None:
        """The pull is done and its bytes are right."""
        self.assertIn(self.job().state, (State.STORED, State.RECEIPTED), self.job().evidence)
        self.assertEqual(self.bar.content(digest_of(data)), data)

    def assert_nothing_kept(self, data: bytes = BODY) -> None:
        """Nothing has the final name."""
        self.assertRaises(Unknown, self.bar.content, digest_of(data))


class HostileServers(HostileCase):
    """What a server can do wrong."""

    # --- what works

    def test_a_good_server(self) -> None:
        """One request, everything right."""
        self.assertEqual(self.pull(whole()).ranges(), [""])
        self.assert_kept()

    def test_every_request_declines_content_codings(self) -> None:
        """Accept-Encoding: identity, always."""
        hostile = self.pull(whole())
        self.assertIn("accept-encoding: identity", hostile.heads[0].lower())

    def test_r4_a_cut_resumes_at_the_durable_offset(self) -> None:
        """After a break half-way only the rest is asked for, under the validator."""
        hostile = self.pull(broken(whole(), HALF), lambda _: rest(HALF))
        self.world.advance(40)
        self.assertEqual(hostile.ranges(), ["", REST])
        self.assertIn(f"if-range: {ETAG}".lower(), hostile.heads[1].lower())
        self.assert_kept()

    def test_13_an_empty_resource(self) -> None:
        """Nothing is a resource too."""
        self.pull(whole(b"", etag=etag(digest_of(b""))), data=b"")
        self.assert_kept(b"")

    # --- resume, as servers get it wrong (scheduler semantics 4.3)

    def resume(self, second: Answer, *more: Answer) -> Hostile:
        """A break half-way, then the script goes on."""
        hostile = self.pull(broken(whole(), HALF), second, *more)
        self.world.advance(120)
        return hostile

    def test_01_200_and_the_full_body_to_a_range_request(self) -> None:
        """The body is not appended: the pull begins anew in the same attempt."""
        self.assertEqual(self.resume(whole(), whole()).ranges()[:3], ["", REST, ""])
        self.assert_kept()

    def test_02_a_content_coding_that_was_not_asked_for(self) -> None:
        """A gzip body is nobody's resource; it is charged to the destination and tried again later."""
        packed = gzip.compress(BODY[:100_000])
        self.pull(whole(packed, content_encoding="gzip"))
        self.assertEqual((self.job().state, self.job().blame), (State.DEFERRED, Blame.DESTINATION))
        self.assert_nothing_kept()

    def test_03_206_that_starts_before_the_offset(self) -> None:
        """Content-Range is believed, not the request: the pull begins anew."""
        hostile = self.resume(rest(4 << 20), whole())
        self.assertEqual(hostile.ranges()[2], "")
        self.assert_kept()

    def test_04_206_with_another_slice_of_equal_length(self) -> None:
        """A slice that is as long as the missing rest and is not it."""
        self.resume(rest(0, SIZE - HALF), whole())
        self.assert_kept()

    def test_05_200_with_a_content_range(self) -> None:
        """A slice in a 200 is not taken for the whole."""
        self.pull(whole(BODY[:HALF], content_range=f"bytes 0-{HALF - 1}/{SIZE}", content_length=str(SIZE)))
        self.assertEqual(self.job().state, State.DEFERRED)
        self.assert_nothing_kept()

    def test_06_a_server_that_ignores_if_range(self) -> None:
        """206 under another validator: other bytes would be glued together."""
        hostile = self.resume(rest(HALF, etag='"another"'), whole())
        self.assertEqual(hostile.ranges()[2], "")
        self.assert_kept()

    def test_07_a_weak_validator_is_never_resumed_under(self) -> None:
        """Without a strong ETag the pull begins at byte 0 again."""
        hostile = self.pull(broken(whole(etag='W/"x"'), HALF), whole())
        self.world.advance(40)
        self.assertEqual(hostile.ranges(), ["", ""])
        self.assert_kept()

    def test_08_the_size_changed_between_attempts(self) -> None:
        """Another total is another resource."""
        self.resume(rest(HALF, total=str(SIZE + 1)), whole())
        self.assert_kept()

    def test_09_a_body_that_is_shorter_than_announced(self) -> None:
        """A truncated body with a proper TLS farewell is kept as far as it is durable, and not stored."""
        self.pull(broken(whole(), HALF, "close"))
        self.assertEqual((self.job().state, self.job().blame), (State.DEFERRED, Blame.DESTINATION))
        self.assert_nothing_kept()

    def test_10_a_body_without_a_length(self) -> None:
        """The end of the connection is not the end of a body."""
        self.pull(Answer(headers=(f"etag: {ETAG}",), body=BODY, end="close"))
        self.assertNotIn(self.job().state, (State.STORED, State.RECEIPTED))
        self.assert_nothing_kept()

    def test_11_416_to_a_resumed_request(self) -> None:
        """The offset is not satisfiable, so it is given up."""
        self.resume(status("416 Range Not Satisfiable", f"content-range: bytes */{SIZE}"), whole())
        self.assert_kept()

    def test_12_multipart_byteranges(self) -> None:
        """A 206 without a Content-Range of its own is no rest."""
        odd = Answer("206 Partial Content", ("content-type: multipart/byteranges; boundary=x", "content-length: 0"))
        self.resume(odd, whole())
        self.assert_kept()

    def test_14_lengths_that_lie(self) -> None:
        """Longer or shorter than the message says: refused before the body, and after a second time for good."""
        for length in (SIZE - 1, SIZE + 1):
            with self.subTest(length=length):
                self.setUp()
                self.pull(whole(BODY[:1000], content_length=str(length)))
                self.world.advance(5)
                self.assertEqual(self.job().state, State.QUARANTINED)
                self.assert_nothing_kept()

    def test_15_a_drip_of_one_byte_every_59_seconds(self) -> None:
        """Idle time alone would never end it; the watchdog for progress does."""
        self.pull(Answer(headers=whole().headers, body=b"x", end="hang"))
        self.world.advance(130, 10)
        self.assertEqual((self.job().blame, self.job().evidence[:5]), (Blame.DESTINATION, "body:"))
        self.assert_nothing_kept()

    def test_16_a_redirect_is_not_followed(self) -> None:
        """Neither the assertion nor the certificate goes to another origin."""
        self.world.domain("evil.test", start=False)
        self.pull(status("302 Found", "location: https://evil.test/x"))
        self.assertEqual(self.job().state, State.DEFERRED)
        self.assertNotIn("evil.test", self.world.internet.names.asked)

    def test_17_206_with_an_unknown_total(self) -> None:
        """`*` says nothing about what the rest is the rest of."""
        self.resume(rest(HALF, total="*"), whole())
        self.assert_kept()

    def test_18_retry_after(self) -> None:
        """Seconds, dates, absurdities: the destination is left alone that long, within reason; no attempt is burned."""
        for value, least, most in (("120", 120, 133), ("Wed, 01 Jan 2020 00:00:00 GMT", 1, 2), ("9" * 30, 3600, 95041)):
            for line in ("429 Too Many Requests", "503 Service Unavailable"):
                with self.subTest(value=value, line=line):
                    self.setUp()
                    self.pull(status(line, f"retry-after: {value}"))
                    job = self.job()
                    self.assertEqual((job.state, job.retries), (State.DEFERRED, 0))
                    assert job.due is not None
                    waits = (job.due - self.world.now).total_seconds() + 1
                    self.assertTrue(least <= waits <= most + 1, waits)

    def test_19_a_cut_without_a_tls_farewell(self) -> None:
        """A body that ends with the connection is whole only when every announced byte came."""
        self.pull(broken(whole(), SIZE - 1))
        self.assertEqual(self.job().state, State.DEFERRED)
        self.assert_nothing_kept()

    def test_20_right_digest_wrong_length_in_the_message(self) -> None:
        """The size in the message is a hard cap, whatever the server has."""
        self.pull(whole(), size=SIZE - 1)
        self.world.advance(5)
        self.assertEqual(self.job().state, State.QUARANTINED)

    # --- other bytes (S-17)

    def test_s17_other_bytes_are_fetched_once_more_and_then_quarantined(self) -> None:
        """The second mismatch is final, and nothing was ever stored."""
        hostile = self.pull(whole(OTHER))
        self.world.advance(5)
        self.assertEqual((self.job().state, len(hostile.heads)), (State.QUARANTINED, 2))
        self.assertEqual(hostile.ranges(), ["", ""])
        self.assert_nothing_kept()

    def test_s17_wrong_bytes_and_then_the_right_ones(self) -> None:
        """One clean re-fetch mends a passing defect."""
        self.pull(whole(OTHER), whole())
        self.world.advance(5)
        self.assert_kept()

    def test_s17_a_repr_digest_of_other_bytes(self) -> None:
        """A server that says itself that these are others is believed before the body."""
        self.pull(whole(repr_digest=render_repr_digest(digest_of(OTHER))))
        self.world.advance(5)
        self.assertEqual(self.job().state, State.QUARANTINED)

    def test_s17_digests_that_contradict_each_other(self) -> None:
        """Two values for one algorithm prove nothing."""
        both = f"{render_repr_digest(digest_of(BODY))}, {render_repr_digest(digest_of(OTHER))}"
        self.pull(whole(repr_digest=both))
        self.world.advance(5)
        self.assertNotIn(self.job().state, (State.STORED, State.RECEIPTED))

    # --- statuses

    def test_statuses(self) -> None:
        """Each status has its consequence and its culprit."""
        table = {
            "401 Unauthorized": (State.NEEDS_AUTH, Blame.JOB),
            "403 Forbidden": (State.NEEDS_AUTH, Blame.JOB),
            "404 Not Found": (State.DEFERRED, Blame.JOB),
            "410 Gone": (State.FAILED, Blame.JOB),
            "451 Unavailable For Legal Reasons": (State.FAILED, Blame.JOB),
            "400 Bad Request": (State.FAILED, Blame.JOB),
            "500 Internal Server Error": (State.DEFERRED, Blame.DESTINATION),
            "502 Bad Gateway": (State.DEFERRED, Blame.DESTINATION),
            "503 Service Unavailable": (State.DEFERRED, Blame.DESTINATION),
            "206 Partial Content": (State.DEFERRED, Blame.DESTINATION),
            "204 No Content": (State.DEFERRED, Blame.DESTINATION),
        }
        for line, (state, blame) in table.items():
            with self.subTest(line=line):
                self.setUp()
                self.pull(status(line))
                self.assertEqual((self.job().state, self.job().blame), (state, blame))

    def test_401_drops_the_delegation_and_exchanges_once_more(self) -> None:
        """A stale delegation is replaced within the attempt; a second 401 is the answer."""
        hostile = self.pull(status("401 Unauthorized"), whole())
        self.assert_kept()
        self.assertEqual((len(hostile.ranges()), len(self.bar.trail.of("impersonate"))), (2, 2))

    # --- dead and silent peers

    def test_nobody_listens(self) -> None:
        """Connection refused is the destination's."""
        self.world.internet.host("rs.foo.test", "20.0.1.99")
        raw = self.foo.placeholder(["bob@bar.test"], {"f": BODY})
        self.bar.deliver(raw, "bob@bar.test")
        self.world.advance(1)
        self.assertEqual((self.job().state, self.job().blame), (State.DEFERRED, Blame.DESTINATION))

    def test_a_peer_that_never_answers(self) -> None:
        """The head of an answer has its time, and the slot is free afterwards."""
        self.pull(Answer("", (), b"", "hang"))
        self.world.advance(65, 5)
        self.assertEqual((self.job().state, self.job().blame), (State.DEFERRED, Blame.DESTINATION))

    def test_g9_many_jobs_to_a_dead_destination_cost_few_connections(self) -> None:
        """Fifty jobs share the probes of one breaker."""
        self.world.internet.host("rs.foo.test", "20.0.1.99")
        files = {f"f{n}": b"%d" % n for n in range(50)}
        self.bar.deliver(self.foo.placeholder(["bob@bar.test"], files), "bob@bar.test")
        self.world.advance(600, 5)
        tried = [each for each in self.world.internet.connections if each[1] == "20.0.1.99"]
        self.assertLess(len(tried), 25)
        self.assertTrue(all(job.state in (State.NEW, State.DEFERRED, State.READY) for job in self.bar.jobs()))

    def test_recovery_after_an_outage(self) -> None:
        """When the destination is back, everything arrives, soon after the next probe."""
        self.world.internet.host("rs.foo.test", "20.0.1.99")
        files = {f"f{n}": b"%d" % n for n in range(20)}
        self.bar.deliver(self.foo.send(["bob@bar.test"], files), "bob@bar.test")
        self.world.advance(300, 5)
        self.world.internet.hosts["rs.foo.test"].reactor = self.foo.whole.means.effects.reactor
        self.world.internet.names.table["rs.foo.test"] = ["20.0.0.1"]
        self.world.advance(960, 5)
        self.assertEqual({job.state for job in self.bar.jobs()}, {State.RECEIPTED})
