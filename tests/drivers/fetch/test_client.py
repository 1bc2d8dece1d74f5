"""The way out against servers that stall, lie, flood and vanish."""

import gc
from datetime import timedelta
from typing import Any

from attrs import define, field, frozen
from cryptography.x509.oid import NameOID
from twisted.internet.defer import CancelledError, Deferred

from rrsd.core.refusals import TooLarge, Unavailable
from rrsd.core.values.calls import Call
from rrsd.drivers.fetch.client import Outbound
from rrsd.drivers.fetch.endpoints import Network
from rrsd.drivers.fetch.guard import Guard
from rrsd.drivers.fetch.settings import Settings
from rrsd.drivers.tls.client import ClientTls
from rrsd.runtime.timers import Timers
from tests.drivers.fetch.case import HEAD, Case, saying
from tests.support.calling import Raw, get
from tests.support.certificates import client


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

    def test_silence(self) -> None:
        """Nobody answers: the connection is given up with the question, and nothing is left that fails unheard."""
        self.world.internet.silent.add("20.0.0.1")
        result = self.ask()
        self.world.internet.advance(10)
        self.assert_nobody(result, "no answer in time", True)
        self.world.internet.advance(20)
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_nobody(self) -> None:
        """No listener, somebody else's certificate: nobody is there; who answers nonsense, or late, is."""
        del self.world.internet.names.table["foo.test"]
        self.assert_nobody(self.ask(), "name does not resolve", False)
        self.world.internet.names.table["foo.test"] = ["20.0.0.1"]
        self.assert_nobody(self.ask(), "connection refused", True)
        self.world.serve_raw(self.foo, saying(b""), self.world.authority.server("evil.test"))
        self.assert_nobody(self.ask(), "tls", True)
        self.serve(saying(b"what?\r\n\r\n"))
        self.assert_nobody(self.ask(), "not HTTP", False)
        self.serve(saying(b""))
        result = self.ask()
        self.world.internet.advance(10)
        self.assert_nobody(result, "no answer in time", False)

    def assert_nobody(self, result: Deferred[Any], detail: str, is_nobody: bool) -> None:
        """The fact, and whether it says that nobody is there."""
        refusal = self.failureResultOf(result, Unavailable).value
        self.assertEqual((refusal.detail, refusal.is_nobody), (detail, is_nobody))

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
