"""F-09, F-19, F-20: answers that bend HTTP itself, and an environment that wants to be in between."""

import os
from collections.abc import Callable

from attrs import define, field
from twisted.internet.protocol import Factory, Protocol
from typing_extensions import override

from tests.internet.test_attacks_introductions import METADATA, IntroductionCase, Page
from tests.support.attackers import Response

FAILED = ((401, "unproven"), (503, "unavailable"))
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
FILES = {"SSL_CERT_FILE": "/nowhere", "REQUESTS_CA_BUNDLE": "/nowhere", "CURL_CA_BUNDLE": "/nowhere", "NO_PROXY": "*"}
Write = Callable[[bytes], bytes]
"""Makes the whole answer, head and body, of the good document."""


@define(eq=False)
class Bender(Factory):
    """Serves pages by path, but for the metadata, which comes as `bend` writes it; then it closes where it `ends`."""

    pages: dict[str, Page]
    bend: Write
    ends: bool = False
    served: int = field(default=0)

    def buildProtocol(self, addr: object) -> Protocol:  # noqa: N802 (Twisted's name)
        return _Bent(self)


class _Bent(Protocol):
    def __init__(self, bender: Bender) -> None:
        self.bender, self.buffer = bender, b""

    @override
    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            target = head.split(b" ")[1].decode()
            path = target.partition("?")[0]
            status, headers, body = self.bender.pages.get(path + ("#key" * ("public-key" in target)), (404, {}, b""))
            if path == METADATA:
                self.transport.write(self.bender.bend(body))
                if self.bender.ends:
                    self.transport.loseConnection()
                continue
            lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
            self.transport.write("\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body)


def head(*lines: str, version: str = "1.1") -> bytes:
    """The head of an answer with a document."""
    return "\r\n".join([f"HTTP/{version} 200 OK", "Content-Type: application/json", *lines, "", ""]).encode()


def chunks(body: bytes, extension: bytes = b"", trailer: bytes = b"") -> bytes:
    """The body in two chunks."""
    half = len(body) // 2
    parts = (body[:half], body[half:], b"")
    framed = [b"%x%b\r\n%b" % (len(part), extension, part + b"\r\n" if part else trailer) for part in parts]
    return head("Transfer-Encoding: chunked") + b"".join(framed) + b"\r\n"


class Answers(IntroductionCase):
    """evil.test writes every document as it should be, but for one."""

    def served(self, bend: Write, *, ends: bool = False) -> Response:
        """What eve's delegation gets while evil.test writes its metadata like that."""
        self.world.hostile("evil.test", self.evil, Bender(self.good(self.evil), bend, ends))
        self.world.advance(61, 61)
        calls = len(self.world.internet.connections)
        response = self.answered()
        self.assertLess(len(self.world.internet.connections) - calls, 6)
        return response

    def test_f20_bodies_that_end_somehow(self) -> None:
        """A body in chunks ends with the last; extensions and trailers mean nothing."""
        good: dict[str, Write] = {
            "chunks": chunks,
            # RFC 9112 6.3: chunks go before a length; here nobody stands in between who could see it otherwise.
            "length and chunks": lambda body: chunks(body).replace(b"Transfer", b"Content-Length: 2\r\nTransfer", 1),
            "extensions": lambda body: chunks(body, b';a=b;c="d"'),
            "trailers": lambda body: chunks(body, b"", b"X-A: b\r\n"),
            "a 100 before": lambda body: b"HTTP/1.1 100 Continue\r\n\r\n" + chunks(body),
        }
        for name, bend in good.items():
            with self.subTest(case=name):
                self.assertEqual(self.served(bend).status, 200, name)

    def test_f20_bodies_that_never_end(self) -> None:
        """A body that goes on, or whose frame does, is given up within the deadline and the cap."""
        bad: dict[str, tuple[Write, bool]] = {
            "HTTP/1.0 that closes": (lambda body: head(version="1.0") + body, True),
            "HTTP/1.1 that closes": (lambda body: head("Connection: close") + body, True),
            "HTTP/1.0 that stays open": (lambda body: head(version="1.0") + body, False),
            "no end in sight": (lambda body: head("Connection: close") + body + b" " * 200_000, False),
            "a chunk that never ends": (lambda body: head("Transfer-Encoding: chunked") + b"ffffff\r\n" + body, False),
            "an endless extension": (lambda body: chunks(body, b";" + b"a" * 500_000), False),
            "an endless size": (lambda body: head("Transfer-Encoding: chunked") + b"0" * 500_000, False),
            "endless trailers": (lambda body: chunks(body, b"", b"X-A: b\r\n" * 50_000), False),
            "endless heads": (lambda _: b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 50_000, False),
            "one endless field": (lambda _: b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 500_000, False),
            "only 100s": (lambda _: b"HTTP/1.1 100 Continue\r\n\r\n" * 5000, False),
            "cut off": (lambda body: head(f"Content-Length: {len(body)}") + body[:-5], True),
            "cut off in a chunk": (lambda body: chunks(body)[:-20], True),
            "nothing": (lambda _: b"", True),
            "silence": (lambda _: b"", False),
        }
        for name, (bend, ends) in bad.items():
            with self.subTest(case=name):
                response = self.served(bend, ends=ends)
                self.assertIn((response.status, response.json().get("reason")), FAILED, name)

    def test_f20_frames_with_two_readings(self) -> None:
        """An answer that two clients would read differently is none."""
        bad: dict[str, Write] = {
            "two lengths": lambda body: head(f"Content-Length: {len(body)}", "Content-Length: 2") + body,
            "a negative length": lambda body: head("Content-Length: -1") + body,
            "a length in words": lambda body: head("Content-Length: all") + body,
            "no HTTP": lambda body: body,
            "another status line": lambda body: head(f"Content-Length: {len(body)}").replace(b" 200 ", b" 2x0 ") + body,
            "a negative chunk": lambda body: head("Transfer-Encoding: chunked") + b"-5\r\n" + body,
            "a chunk of no size": lambda body: head("Transfer-Encoding: chunked") + b"x\r\n" + body,
        }
        for name, bend in bad.items():
            with self.subTest(case=name):
                response = self.served(bend)
                self.assertIn((response.status, response.json().get("reason")), FAILED, name)
        self.flushLoggedErrors()

    def test_f19_the_environment_is_not_asked(self) -> None:
        """Proxies and authorities that environment variables name are nobody's."""
        before = dict(os.environ)
        self.addCleanup(os.environ.update, before)
        for name in (*PROXIES, *FILES):
            self.addCleanup(os.environ.pop, name, None)
            os.environ[name] = FILES.get(name, "http://proxy.evil.test:3128")
        self.publish()
        self.assertEqual(self.fetch().status, 200)
        called = {(address, port) for _, address, port in self.world.internet.connections}
        self.assertLessEqual({port for _, port in called}, {443, 53})
        self.assertNotIn("proxy.evil.test", self.world.internet.names.asked)
