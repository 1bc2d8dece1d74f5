"""The way out against servers that stall, lie, flood and vanish."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from attrs import define, field, frozen
from cryptography.x509.oid import NameOID
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import NoSpace, TooLarge, Unavailable
from rrsd.core.values.calls import Call
from rrsd.drivers.fetch.client import Outbound
from rrsd.drivers.fetch.endpoints import Network
from rrsd.drivers.fetch.guard import Guard
from rrsd.drivers.fetch.settings import Settings
from rrsd.drivers.tls.client import ClientTls
from rrsd.runtime.timers import Timers
from tests.support.calling import Basket, Raw, World, get
from tests.support.certificates import client

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


def saying(data: bytes, close: bool = False) -> Callable[[Raw], None]:
    """A server that always says the same."""

    def respond(raw: Raw) -> None:
        raw.transport.write(data)
        if close:
            raw.transport.loseConnection()

    return respond


class Case(SynchronousTestCase):
    """Two hosts; foo.test says what the test wants."""

    def setUp(self) -> None:
        self.world = World()
        self.bar = self.world.internet.host("bar.test", "20.0.0.2")
        self.foo = self.world.internet.host("foo.test", "20.0.0.1")
        self.outbound = self.world.outbound(self.bar)

    def serve(self, respond: Callable[[Raw], None]) -> list[Raw]:
        """Let foo.test respond so."""
        self.made = self.world.serve_raw(self.foo, respond)
        return self.made

    def ask(self, call: Call | None = None, **given: Any) -> Deferred[Any]:
        """A question, pumped."""
        return self.world.internet.run(self.outbound.ask(call or get("foo.test"), **given))

    def fetch(self, target: str = "/") -> Any:
        """An answer's head."""
        return self.successResultOf(self.world.internet.run(self.outbound.fetch(get("foo.test", target))))

    def assert_unavailable(self, result: Deferred[Any], detail: str) -> None:
        """The fact that it came to."""
        self.assertEqual(self.failureResultOf(result, Unavailable).value.detail, detail)


class Asking(Case):
    """Small answers, whole."""

    def test_request(self) -> None:
        """A request says what it was told, asks for no coding, and nothing more."""
        made = self.serve(saying(HEAD % 2 + b"ok"))
        call = Call(get("foo.test").peer, "POST", "/token?a=b", (("X-A", "1"), ("X-A", "2")), b"body")
        answer = self.successResultOf(self.ask(call))
        self.assertEqual((answer.status, answer.body, answer.headers["content-length"]), (200, b"ok", "2"))
        lines = made[0].received.split(b"\r\n")
        self.assertEqual(lines[0], b"POST /token?a=b HTTP/1.1")
        self.assertEqual(lines[-1], b"body")
        expected = [b"Accept-Encoding: identity", b"Content-Length: 4", b"Host: foo.test", b"X-A: 1", b"X-A: 2"]
        self.assertEqual(sorted(lines[1:-2]), expected)

    def test_header_fields(self) -> None:
        """Header fields come by lower-case name, repeated ones joined."""
        self.serve(saying(b"HTTP/1.1 404 No\r\nA-B: 1\r\na-b: 2\r\nContent-Length: 0\r\n\r\n"))
        answer = self.successResultOf(self.ask())
        self.assertEqual((answer.status, answer.headers["a-b"]), (404, "1, 2"))

    def test_head(self) -> None:
        """The length that a HEAD tells is kept although no body comes."""
        self.serve(saying(HEAD % 12345))
        answer = self.successResultOf(self.ask(get("foo.test", "/", "HEAD")))
        self.assertEqual((answer.body, answer.headers["content-length"]), (b"", "12345"))

    def test_redirect_is_not_followed(self) -> None:
        """F-06: a redirect is an answer like others; nobody else is called."""
        self.serve(saying(b"HTTP/1.1 302 Go\r\nLocation: https://evil.test/\r\nContent-Length: 0\r\n\r\n"))
        self.assertEqual(self.successResultOf(self.ask()).status, 302)
        self.assertEqual(len(self.world.internet.connections), 1)

    def test_cookie_is_not_kept(self) -> None:
        """A cookie does not come back."""
        made = self.serve(saying(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"))
        self.successResultOf(self.ask())
        self.successResultOf(self.ask())
        self.assertNotIn(b"ookie", made[0].received)

    def test_ten_megabytes(self) -> None:
        """F-09: a body that is announced too large is not read; the connection is aborted."""
        made = self.serve(saying(HEAD % 10_000_000 + bytes(100_000)))
        self.failureResultOf(self.ask(), TooLarge)
        self.assertTrue(made[0].lost)

    def test_chunks_without_end(self) -> None:
        """F-09, F-20: nor one that comes in chunks."""
        chunked = (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"1000;x=y\r\n" + bytes(4096) + b"\r\n") * 20
        )
        made = self.serve(saying(chunked))
        self.failureResultOf(self.ask(), TooLarge)
        self.assertTrue(made[0].lost)

    def test_chunks(self) -> None:
        """A small chunked answer is fine."""
        self.serve(saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"))
        self.assertEqual(self.successResultOf(self.ask()).body, b"ok")

    def test_endless_chunk_extension(self) -> None:
        """F-20: a chunk extension without end."""
        self.serve(saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;" + b"x" * 100_000))
        self.assert_unavailable(self.ask(), "body broke off")

    def test_length_unknown(self) -> None:
        """F-20: a body that ends with the connection may be anything."""
        self.serve(saying(b"HTTP/1.0 200 OK\r\n\r\nsome", close=True))
        self.assert_unavailable(self.ask(), "length unknown")

    def test_gzip(self) -> None:
        """F-09: a coded body was not asked for and is not unpacked."""
        made = self.serve(saying(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nbomb"))
        self.assert_unavailable(self.ask(), "content is encoded")
        self.assertEqual(len(made), 1)

    def test_slow_drip(self) -> None:
        """F-09: an answer that drips in is given up after ten seconds."""
        made = self.serve(saying(HEAD % 1000))
        result = self.ask()
        for _ in range(10):
            made[0].transport.write(b"x")
            self.world.internet.advance(1)
        self.assert_unavailable(result, "no answer in time")
        self.assertTrue(made[0].lost)

    def test_own_deadline(self) -> None:
        """A caller may have less patience."""
        self.serve(lambda raw: None)
        result = self.ask(within=timedelta(seconds=2))
        self.world.internet.advance(2)
        self.assert_unavailable(result, "no answer in time")

    def test_endless_headers(self) -> None:
        """F-09: header fields without end."""
        made = self.serve(saying(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 50_000))
        self.assert_unavailable(self.ask(), "connection lost")
        self.assertTrue(made[0].lost)

    def test_endless_line(self) -> None:
        """F-09: one header field without end."""
        self.serve(saying(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000))
        self.assert_unavailable(self.ask(), "connection lost")

    def test_not_http(self) -> None:
        """An answer that is not HTTP, or of two lengths, or in a coding that does not exist."""
        two_lengths = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
        no_such_coding = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"
        for text in (b"220 mail\r\n\r\n", b"GET\r\n\r\n", two_lengths, no_such_coding):
            self.serve(saying(text))
            self.assert_unavailable(self.ask(), "not HTTP")

    def test_closed_without_answer(self) -> None:
        """A server that hangs up says nothing about us."""
        self.serve(saying(b"", close=True))
        self.assert_unavailable(self.ask(), "connection lost")

    def test_handshake_that_never_ends(self) -> None:
        """A TLS handshake that stands still is given up after 15 seconds."""
        from twisted.internet.protocol import Factory, Protocol

        self.world.internet.listen("foo.test", 443, Factory.forProtocol(Protocol))
        result = self.world.internet.run(self.outbound.fetch(get("foo.test")))
        self.world.internet.advance(15)
        self.assert_unavailable(result, "tls handshake timed out")

    def test_caller_gives_up(self) -> None:
        """A cancelled question closes its connection."""
        made = self.serve(lambda raw: None)
        result = self.ask()
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.world.internet.pump()
        self.assertTrue(made[0].lost)


class Keeping(Case):
    """Connections are kept, and never when something went wrong on them."""

    def test_kept(self) -> None:
        """The second call uses the connection of the first."""
        self.serve(saying(HEAD % 2 + b"ok"))
        for _ in range(3):
            self.successResultOf(self.ask())
        self.assertEqual(len(self.world.internet.connections), 1)

    def test_not_kept_for_long(self) -> None:
        """A connection that nobody uses is closed after half a minute."""
        made = self.serve(saying(HEAD % 2 + b"ok"))
        self.successResultOf(self.ask())
        self.world.internet.advance(31)
        self.assertTrue(made[0].lost)

    def test_stop(self) -> None:
        """Stopping closes what is kept."""
        made = self.serve(saying(HEAD % 2 + b"ok"))
        self.successResultOf(self.ask())
        self.successResultOf(self.world.internet.run(self.outbound.stop()))
        self.assertTrue(made[0].lost)

    def test_aborted_is_never_used_again(self) -> None:
        """A body given up takes its connection with it."""
        made = self.serve(saying(HEAD % 1000 + b"ok"))
        reply = self.fetch()
        self.successResultOf(self.world.internet.run(reply.abort()))
        self.assertTrue(made[0].lost)
        self.fetch()
        self.assertEqual(len(self.world.internet.connections), 2)

    def test_abort_after_the_end_spares_the_connection(self) -> None:
        """Giving up a body that was complete already does not hurt whoever has the connection now."""
        self.serve(saying(b"HTTP/1.1 204 fine\r\n\r\n"))
        reply = self.fetch()
        self.successResultOf(self.ask())
        self.successResultOf(self.world.internet.run(reply.abort()))
        self.successResultOf(self.ask())
        self.assertEqual(len(self.world.internet.connections), 1)

    def test_closed_meanwhile(self) -> None:
        """A kept connection that the server closes in that moment costs a GET nothing; a POST is not repeated."""

        def once(raw: Raw) -> None:
            if raw.heads == 1:
                raw.transport.write(HEAD % 2 + b"ok")
            else:
                raw.transport.abortConnection()

        self.serve(once)
        self.successResultOf(self.ask())
        self.assertEqual(self.successResultOf(self.ask()).body, b"ok")
        self.assertEqual(len(self.world.internet.connections), 2)
        self.assert_unavailable(self.ask(get("foo.test", "/", "POST", b"x")), "connection lost")

    def test_of_another_certificate(self) -> None:
        """After the client certificate was replaced no call uses a connection that shows the one before."""
        self.serve(saying(HEAD % 2 + b"ok"))
        outbound, tls = self.presenting("first")
        self.successResultOf(self.world.internet.run(outbound.ask(get("foo.test"))))
        tls.replace(client("second", "bar.test").credential)
        for _ in range(2):
            self.successResultOf(self.world.internet.run(outbound.ask(get("foo.test"))))
        self.assertEqual(len(self.world.internet.connections), 2)
        self.assertEqual([shown(raw) for raw in self.made], ["first", "second"])

    def test_replaced_while_the_name_is_looked_up(self) -> None:
        """A call shows the certificate of the moment in which it was made: its token may be bound to that one."""
        self.serve(saying(HEAD % 2 + b"ok"))
        tls = ClientTls(roots_pem=self.world.authority.pem, credential=client("first", "bar.test").credential)
        timers, names = Timers(self.world.clock), Slow()
        outbound = Outbound(Network(self.bar.reactor, timers, names, Guard(), tls.creator_for), Settings())
        answer = self.world.internet.run(outbound.ask(get("foo.test")))
        tls.replace(client("second", "bar.test").credential)
        names.found.callback([Place("20.0.0.1", 443)])
        self.world.internet.pump()
        self.assertEqual(self.successResultOf(answer).status, 200)
        self.assertEqual([shown(raw) for raw in self.made], ["first"])

    def presenting(self, unit: str) -> tuple[Outbound, ClientTls]:
        """A way out with the client certificate of `unit`, and what replaces it."""
        tls = ClientTls(roots_pem=self.world.authority.pem, credential=client(unit, "bar.test").credential)
        return self.world.outbound_over(self.bar, tls), tls


@frozen
class Place:
    """Where a name leads to, as the operator's host table says."""

    address: str
    port: int
    configured: bool = True


@define(eq=False)
class Slow:
    """Name resolution that takes its time."""

    found: Deferred[list[Place]] = field(factory=Deferred)

    async def lookup(self, host: str, port: int) -> list[Place]:
        return await self.found


def shown(raw: Raw) -> str:
    """The OU of the client certificate at the other end of the connection."""
    certificate = raw.transport.getPeerCertificate()
    return str(certificate.to_cryptography().subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)[0].value)


class Pouring(Case):
    """Large bodies go into a sink."""

    def pour(self, sink: Any, most: int = 10_000_000) -> Deferred[int]:
        """The pouring of one body, pumped."""
        return self.world.internet.run(self.fetch().pour(sink, most))

    def test_blocks(self) -> None:
        """A body arrives whole, in few large blocks."""
        body = bytes(range(256)) * 16384
        self.serve(saying(HEAD % len(body) + body))
        basket = Basket()
        self.assertEqual(self.successResultOf(self.pour(basket)), len(body))
        self.assertEqual(basket.data, body)
        self.assertTrue(all(len(piece) >= 131072 for piece in basket.pieces[:-1]))

    def test_pause(self) -> None:
        """A sink that pauses stops the server; when it goes on, so does the body."""
        body = bytes(4 << 20)
        made = self.serve(saying(HEAD % len(body) + body))
        gates: list[Deferred[None]] = []

        def pause() -> Deferred[None]:
            gates.append(Deferred())
            return gates[-1]

        basket = Basket(pause)
        result = self.pour(basket)
        self.assertEqual(len(basket.pieces), 1)
        self.assertGreater(len(made[0].transport.transport.out), 1 << 20)
        self.world.internet.advance(600, 60)
        self.assertNoResult(result)
        for number in range(200):
            if number < len(gates):
                gates[number].callback(None)
                self.world.internet.pump()
        self.assertEqual(self.successResultOf(result), len(body))
        self.assertEqual(basket.data, body)

    def test_sink_refuses(self) -> None:
        """What the sink refuses passes through, and the connection is aborted."""
        made = self.serve(saying(HEAD % 1_000_000 + bytes(500_000)))

        class Full:
            def write(self, data: bytes) -> None:
                raise NoSpace

        self.failureResultOf(self.pour(Full()), NoSpace)
        self.assertTrue(made[0].lost)

    def test_sink_refuses_later(self) -> None:
        """So does what it refuses while it pauses."""
        made = self.serve(saying(HEAD % 1_000_000 + bytes(500_000)))
        gate: Deferred[None] = Deferred()
        result = self.pour(Basket(lambda: gate))
        gate.errback(NoSpace())
        self.failureResultOf(result, NoSpace)
        self.world.internet.pump()
        self.assertTrue(made[0].lost)

    def test_sink_refuses_the_last_block(self) -> None:
        """And what it refuses at the very end, when the connection serves somebody else already."""
        self.serve(saying(HEAD % 5 + b"bytes"))

        class Full:
            def write(self, data: bytes) -> None:
                raise NoSpace

        self.failureResultOf(self.pour(Full()), NoSpace)
        self.fetch()
        self.assertEqual(len(self.world.internet.connections), 1)

    def test_too_large(self) -> None:
        """A body beyond the most is cut off, announced or not."""
        self.serve(saying(HEAD % 1001 + bytes(1001)))
        self.failureResultOf(self.pour(Basket(), 1000), TooLarge)

    def test_shorter_than_announced(self) -> None:
        """A body that stops short never counts as complete, and what came is handed over."""
        self.serve(saying(HEAD % 1000 + bytes(999), close=True))
        basket = Basket()
        self.assert_unavailable(self.pour(basket), "body broke off")
        self.assertEqual(len(basket.data), 999)

    def test_link_breaks(self) -> None:
        """A link that dies in the middle is a body that broke off."""
        made = self.serve(saying(HEAD % 1000 + bytes(100)))
        result = self.pour(Basket())
        made[0].transport.transport.cut()
        self.world.internet.pump()
        self.assert_unavailable(result, "body broke off")

    def test_stands_still(self) -> None:
        """A body that stands still for a minute is given up."""
        made = self.serve(saying(HEAD % 1000 + bytes(100)))
        result = self.pour(Basket())
        self.world.internet.advance(59)
        self.assertNoResult(result)
        self.world.internet.advance(2)
        self.assert_unavailable(result, "body stands still")
        self.assertTrue(made[0].lost)

    def test_drip(self) -> None:
        """A body that drips on without progress is given up after two minutes, one that makes progress is not."""
        made = self.serve(saying(HEAD % 100_000_000))
        drip, steady = self.pour(Basket(), 1 << 30), self.pour(Basket(), 1 << 30)
        for _ in range(13):
            made[0].transport.write(bytes(100))
            made[1].transport.write(bytes(10_000))
            self.world.internet.advance(10)
        self.assert_unavailable(drip, "body stands still")
        self.assertNoResult(steady)
        steady.cancel()
        self.failureResultOf(steady, CancelledError)

    def test_given_up(self) -> None:
        """A pouring that is cancelled aborts the connection, paused or not."""
        made = self.serve(saying(HEAD % 1_000_000 + bytes(500_000)))
        gate: Deferred[None] = Deferred()
        result = self.pour(Basket(lambda: gate))
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.world.internet.pump()
        self.assertTrue(made[0].lost)
