"""The site is hard on those who are hard on it."""

from datetime import timedelta
from typing import Any, ClassVar

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Forbidden
from rrsd.web import streams
from rrsd.web.bodies import read
from rrsd.web.router import Router, answer
from rrsd.web.site import Limits
from tests.web.browsing import Browser, Page

MOST = 1000
LIMITS = Limits(most_body=MOST, most_bodies=1500, most_connections=5, most_per_address=3)


@define(eq=False)
class Echo:
    """Tells how long the body was, and streams on demand."""

    seen: list[int] = field(factory=list)
    blocks: list[Deferred[bytes]] = field(factory=list)
    asked: int = 0
    closed: bool = False
    routes: ClassVar[Router] = Router()

    @routes.route("/", methods=["GET", "POST"])
    def count(self, request: Any) -> bytes:
        """Count."""
        self.seen.append(len(read(request, 1 << 20)))
        return answer(request, {"size": self.seen[-1]})

    @routes.route("/stream")
    async def stream(self, request: Any) -> None:
        """Stream ten blocks."""
        request.setHeader("content-length", "1000")
        await streams.send(request, self.produced())

    @routes.route("/refuse", methods=["POST"])
    def refuse(self, request: Any) -> None:
        """Refuse without reading."""
        raise Forbidden

    async def produced(self) -> Any:
        """Ten blocks of a hundred."""
        try:
            for _ in range(10):
                self.asked += 1
                yield bytes(100)
        finally:
            self.closed = True


class Bodies(SynchronousTestCase):
    """Request bodies are capped before anybody reads them."""

    def setUp(self) -> None:
        self.echo = Echo()
        self.browser = Browser(self.echo, LIMITS)

    def test_limits(self) -> None:
        """n - 1 and n pass, n + 1 is refused with 413."""
        for size, status in ((MOST - 1, 200), (MOST, 200), (MOST + 1, 413)):
            self.assertEqual(self.browser.send("POST", "/", (), bytes(size)).status, status)
        self.assertEqual(self.echo.seen, [MOST - 1, MOST])
        self.assertEqual(self.browser.site.buffered, 0)

    def test_announced_too_large(self) -> None:
        """An announced body that is too large is refused before its first byte, whole JSON and all."""
        page = self.browser.raw(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n")
        self.assertEqual((page.status, page.document["reason"]), (413, "too_large"))
        self.assertEqual(page.header("connection"), "close")
        self.assertTrue(page.transport.disconnecting)

    def test_chunked_without_end(self) -> None:
        """A chunked body is counted as it comes."""
        page = self.browser.raw(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(11):
            page.channel.dataReceived(b"64\r\n" + bytes(100) + b"\r\n")
        page.refresh()
        self.assertEqual(page.status, 413)
        self.assertEqual(self.echo.seen, [])
        self.assertEqual(self.browser.site.buffered, 0)

    def test_upload_goes_on_after_refusal(self) -> None:
        """A client that keeps sending after the refusal is cut off after a while."""
        page = self.browser.raw(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999\r\n\r\n")
        for _ in range(40):
            page.channel.dataReceived(bytes(32768))
        self.assertTrue(page.cut)

    def test_refused_body_that_ends(self) -> None:
        """A client that sends the refused body to its end gets one answer, not two."""
        page = self.browser.send("POST", "/", (), bytes(MOST + 1))
        self.assertEqual(page.transport.value().count(b"HTTP/1.1"), 1)

    def test_all_bodies_together(self) -> None:
        """Many bodies at once are bounded as a whole."""
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
        first = self.browser.raw(head + bytes(900))
        second = self.browser.raw(head)
        self.assertEqual((second.status, second.header("retry-after")), (503, "30"))
        first.channel.dataReceived(bytes(100))
        self.assertEqual(self.browser.send("POST", "/", (), bytes(1000)).status, 200)

    def test_gone_client_gives_its_share_back(self) -> None:
        """A client that leaves in the middle of its body frees what it held."""
        page = self.browser.raw(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + bytes(900))
        self.assertEqual(self.browser.site.buffered, 900)
        page.leave()
        self.assertEqual(self.browser.site.buffered, 0)
        self.assertEqual(self.browser.site.connections, 0)


class Smuggling(SynchronousTestCase):
    """M-14: what two readers could read differently is refused, and the connection closed."""

    def setUp(self) -> None:
        self.echo = Echo()
        self.browser = Browser(self.echo, LIMITS)

    def assert_refused(self, data: bytes) -> None:
        """400 and the end of the connection; nothing reaches a handler."""
        page = self.browser.raw(data)
        self.assertEqual(page.status, 400)
        self.assertTrue(page.transport.disconnecting)
        self.assertEqual(self.echo.seen, [])

    def test_te_and_cl(self) -> None:
        """M-14: Transfer-Encoding with Content-Length."""
        self.assert_refused(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        )

    def test_two_lengths(self) -> None:
        """M-14: two Content-Length fields."""
        self.assert_refused(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef")

    def test_odd_length(self) -> None:
        """M-14: a Content-Length with a sign."""
        self.assert_refused(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nabcde")

    def test_bare_line_feed(self) -> None:
        """M-14: a line feed alone does not end a field."""
        self.assert_refused(b"POST / HTTP/1.1\r\nHost: a\nTransfer-Encoding: chunked\r\n\r\n")

    def test_space_before_colon(self) -> None:
        """M-14: a field name with a space in it."""
        self.assert_refused(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nabcde")

    def test_hosts(self) -> None:
        """M-14: no Host, or two."""
        self.assertEqual(self.browser.raw(b"GET / HTTP/1.1\r\n\r\n").status, 400)
        self.assertEqual(self.browser.raw(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").status, 400)

    def test_too_many_fields(self) -> None:
        """A head has a hundred fields at most, and 16 KiB."""
        self.assert_refused(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 101 + b"\r\n")
        self.assert_refused(b"GET / HTTP/1.1\r\nHost: a\r\n" + (b"A: " + b"b" * 8000 + b"\r\n") * 3 + b"\r\n")

    def test_bytes_after_the_request(self) -> None:
        """Pipelined requests are answered one after the other, never mixed."""
        page = self.browser.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
        self.assertEqual(page.transport.value().count(b'{"size":0}'), 2)


class Patience(SynchronousTestCase):
    """M-13: slow clients hold a connection for a bounded time."""

    def setUp(self) -> None:
        self.echo = Echo()
        limits = Limits(idle=timedelta(seconds=60), stall=timedelta(seconds=300))
        self.browser = Browser(self.echo, limits)

    def test_slowloris_head(self) -> None:
        """M-13: a head that drips in does not keep the connection beyond the idle time."""
        page = self.browser.raw(b"GET / HTTP/1.1\r\n")
        for number in range(60):
            self.browser.clock.advance(1)
            page.channel.dataReceived(b"A%d: b\r\n" % number)
        self.assertTrue(page.transport.disconnecting)

    def test_slowloris_body(self) -> None:
        """M-13: a body that drips in does not either; one that makes progress does."""
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
        slow, steady = self.browser.raw(head), self.browser.raw(head)
        for _ in range(30):
            self.browser.clock.advance(3)
            slow.channel.dataReceived(b"x")
            steady.channel.dataReceived(bytes(4096))
        self.assertTrue(slow.transport.disconnecting)
        self.assertFalse(steady.transport.disconnecting)

    def test_idle_keep_alive(self) -> None:
        """A kept connection is closed after the idle time, and aborted when even that does not help."""
        page = self.browser.get("/")
        self.browser.clock.advance(60)
        self.assertTrue(page.transport.disconnecting)
        self.browser.clock.advance(15)
        self.assertTrue(page.cut)

    def test_reader_that_does_not_read(self) -> None:
        """M-13: a client that stops reading its answer is cut off; the blocks are not produced meanwhile."""
        page = self.paused()
        self.assertEqual(self.echo.asked, 1)
        self.browser.clock.advance(299)
        self.assertFalse(page.cut)
        self.browser.clock.advance(1)
        self.assertTrue(page.cut)

    def test_reader_that_reads_again(self) -> None:
        """A client that pauses and goes on gets everything."""
        page = self.paused()
        page.transport.producer.resumeProducing()
        page.refresh()
        self.assertEqual(len(page.body), 1000)
        self.assertTrue(self.echo.closed)
        self.browser.clock.advance(59)
        self.assertFalse(page.cut)

    def test_client_leaves_in_mid_stream(self) -> None:
        """A client that leaves stops the production, which gets to clean up."""
        page = self.paused()
        page.leave()
        self.assertTrue(self.echo.closed)
        self.assertEqual(self.echo.asked, 1)

    def paused(self) -> Page:
        """A stream whose client stops reading after the first block."""
        channel, transport = self.browser.connect()
        write = transport.write

        def full(data: bytes) -> None:
            write(data)
            if len(transport.value()) > 100 and self.echo.asked == 1:
                channel.pauseProducing()

        transport.write = full  # type: ignore[method-assign]
        channel.dataReceived(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        return Page(channel, transport)


class Crowds(SynchronousTestCase):
    """Connections are counted."""

    def test_per_address_and_in_all(self) -> None:
        """M-13: one address gets its share of connections and no more, and gets it again when one ends."""
        browser = Browser(Echo(), LIMITS)
        channels = [browser.connect()[0] for _ in range(4)]
        self.assertIsNone(channels[3])
        self.assertEqual(browser.site.connections, 3)
        from twisted.internet.protocol import connectionDone

        channels[0].connectionLost(connectionDone)
        self.assertIsNotNone(browser.connect()[0])

    def test_expectation(self) -> None:
        """A client that waits for 100 Continue gets it, unless the body is too large anyway."""
        browser = Browser(Echo(), LIMITS)
        head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
        self.assertEqual(browser.raw(head % 10).status, 100)
        page = browser.raw(head % 100_000)
        self.assertEqual(page.status, 413)
