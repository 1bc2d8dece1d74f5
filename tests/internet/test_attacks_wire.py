"""M-14: HTTP as smugglers and flooders speak it, at the public listener over TLS."""

from tests.support.attackers import AttackCase, Line

GET = b"GET /jwks HTTP/1.1\r\nHost: foo.test\r\n\r\n"
POST = b"POST /token HTTP/1.1"


def head(*lines: bytes, first: bytes = b"GET /jwks HTTP/1.1", body: bytes = b"") -> bytes:
    """A request with these further header lines."""
    return b"\r\n".join([first, b"Host: foo.test", *lines, b"", b""]) + body


CHUNKED = b"Transfer-Encoding: chunked"
LENGTHS = {
    "TE and CL": head(CHUNKED, b"Content-Length: 5", first=POST, body=b"0\r\n\r\n" + GET),
    "CL and TE": head(b"Content-Length: 5", CHUNKED, first=POST, body=b"0\r\n\r\n" + GET),
    "two CL": head(b"Content-Length: 0", b"Content-Length: 5", first=POST, body=GET),
    "CL twice": head(b"Content-Length: 5", b"Content-Length: 5", first=POST, body=b"12345" + GET),
    "CL list": head(b"Content-Length: 5, 5", first=POST, body=b"12345" + GET),
    **{
        f"CL {value!r}": head(b"Content-Length: " + value, first=POST, body=b"12345" + GET)
        for value in (b"+5", b"-1", b"0x5", b"5_0", b"", b"5 5", b"1e1", "²".encode(), b"5;5")
    },
    **{
        f"TE {value!r}": head(b"Transfer-Encoding: " + value, first=POST, body=b"0\r\n\r\n" + GET)
        for value in (
            b"identity",
            b"xchunked",
            b"gzip, chunked",
            b"chunked, chunked",
            b"chunked, identity",
            b"",
            b"\x0bchunked",
            b'"chunked"',
            b"chunked;q=1",
        )
    },
    "TE twice": head(CHUNKED, CHUNKED, first=POST, body=b"0\r\n\r\n" + GET),
    "TE with a space": head(b"Transfer-Encoding : chunked", first=POST, body=b"0\r\n\r\n" + GET),
    **{
        f"chunk {value!r}": head(CHUNKED, first=POST, body=value + b"\r\n12345\r\n0\r\n\r\n" + GET)
        for value in (b"+5", b"0x5", b"-1", b"5 5", b"", b"g", b"5_0", b"5\x00")
    },
    "chunk too long": head(CHUNKED, first=POST, body=b"5\r\n123456789\r\n0\r\n\r\n" + GET),
}
GRAMMAR = {
    "NUL in a value": head(b"X-A: a\0b"),
    "NUL in a name": head(b"X-\0A: b"),
    "CR in a value": head(b"X-A: a\rX-B: b"),
    "no colon": head(b"X-A"),
    "space before the colon": head(b"X-A : a"),
    "no name": head(b": a"),
    "HTTP/0.9": b"GET /jwks\r\n\r\n",
    "HTTP/1.2": b"GET /jwks HTTP/1.2\r\nHost: foo.test\r\n\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    "two spaces": b"GET  /jwks HTTP/1.1\r\nHost: foo.test\r\n\r\n",
    "tabs": b"GET\t/jwks\tHTTP/1.1\r\nHost: foo.test\r\n\r\n",
    "no method": b"G\xc3T /jwks HTTP/1.1\r\nHost: foo.test\r\n\r\n",
    "NUL in the target": b"GET /jw\0ks HTTP/1.1\r\nHost: foo.test\r\n\r\n",
    "noise": bytes(range(32)) * 10 + b"\r\n\r\n",
}
FLOODS = {
    "150 fields": head(*(b"X-%d: a" % number for number in range(150))),
    "a field of 20 kB": head(b"X-A: " + b"a" * 20000),
    "fields of 40 kB": head(*(b"X-%d: %b" % (number, b"a" * 1000) for number in range(40))),
    "a target of 17 kB": b"GET /" + b"a" * 17000 + b" HTTP/1.1\r\nHost: foo.test\r\n\r\n",
    "a line without an end": b"GET /" + b"a" * 200_000,
    "a chunk extension of 70 kB": head(CHUNKED, first=POST, body=b"5;" + b"a" * 70000),
    "a chunk size of 70 kB": head(CHUNKED, first=POST, body=b"0" * 70000),
    "trailers of 120 kB": head(CHUNKED, first=POST, body=b"0\r\n" + b"a: b\r\n" * 20000),
    "empty lines": b"\r\n" * 5000,
    "a body of 10^20": head(b"Content-Length: 99999999999999999999", first=POST),
    "a body of 1 GB": head(b"Content-Length: 1000000000", first=POST),
}


class Wire(AttackCase):
    """What two servers could read in two ways is refused, and the connection with it."""

    def require_closed(self, cases: dict[str, bytes], *statuses: int) -> None:
        """One refusal, no second answer, and the end of the connection."""
        for name, raw in cases.items():
            with self.subTest(case=name):
                line = self.line(self.foo)
                line.send(raw)
                self.assertIn([each.status for each in line.responses()], [[status] for status in statuses], name)
                self.assertTrue(line.closed, name)
        self.assertEqual(self.line(self.foo).ask("GET", "/jwks").status, 200, "others are served")
        self.assertEqual([line for line in self.foo.trail.lines if line["outcome"] == "granted"], [])

    def test_m14_lengths(self) -> None:
        """No request hides in the body of another."""
        self.require_closed(LENGTHS, 400)

    def test_m14_grammar(self) -> None:
        """What is not HTTP/1.1 by its grammar."""
        self.require_closed(GRAMMAR, 400)

    def test_m14_floods(self) -> None:
        """More than a request can be."""
        self.require_closed(FLOODS, 400, 413, 431)

    def test_m14_hosts(self) -> None:
        """A host that is missing, said twice or another one's changes nothing that is said about us (W-01)."""
        for name, raw in {
            "none": b"GET /jwks HTTP/1.1\r\n\r\n",
            "two": head(b"Host: evil.test"),
        }.items():
            with self.subTest(case=name):
                line = self.line(self.foo)
                line.send(raw)
                self.assertEqual(line.response().status, 400)
        for lines in ((b"X-Forwarded-Host: evil.test",), (b"Forwarded: host=evil.test",)):
            line = self.line(self.foo)
            line.send(head(*lines, first=b"GET /.well-known/oauth-authorization-server HTTP/1.1"))
            self.assertEqual(line.response().json()["issuer"], "https://foo.test")
        line = self.line(self.foo)
        line.send(b"GET /.well-known/oauth-authorization-server HTTP/1.1\r\nHost: evil.test\r\n\r\n")
        self.assertNotIn(b"evil.test", line.response().body)

    def test_m14_upgrades(self) -> None:
        """Nothing is switched to, tunnelled or echoed."""
        upgrade = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")
        line = self.line(self.foo)
        line.send(head(*upgrade))
        self.assertEqual(line.response().status, 200, "as if nothing had been asked")
        for method, statuses in (("CONNECT evil.test:443", (400, 404, 405)), ("TRACE /jwks", (405,))):
            line = self.line(self.foo)
            line.send(f"{method} HTTP/1.1\r\nHost: foo.test\r\nCookie: secret\r\n\r\n".encode())
            response = line.response()
            self.assertIn(response.status, statuses)
            self.assertNotIn(b"secret", response.body)

    def test_m14_plain_http(self) -> None:
        """HTTP at the TLS port ends at once."""
        line = Line.over(self.world, "foo.test", None)
        line.send(GET)
        self.assertTrue(line.closed)
        self.assertNotIn(b"HTTP/1.1 200", line.received)

    def test_m14_pipelining(self) -> None:
        """Requests that came together are answered each, in order."""
        line = self.line(self.foo)
        line.send(GET + head(first=b"GET /nothing HTTP/1.1") + GET)
        self.assertEqual([each.status for each in line.responses()], [200, 404, 200])

    def test_m13_slow_head(self) -> None:
        """A head that drips in has one minute in all."""
        line = self.line(self.foo)
        line.send(b"GET /jwks HTTP/1.1\r\n")
        for number in range(80):
            if line.closed:
                break
            line.send(b"X-%d: a\r\n" % number)
            self.world.advance(1)
        self.assertTrue(line.closed)
        self.assertLess(number, 65)

    def test_m13_slow_body(self) -> None:
        """A body of one byte a second is not waited for."""
        line = self.line(self.foo)
        line.send(head(b"Content-Length: 5000", first=POST))
        for _ in range(200):
            line.send(b"a")
            self.world.advance(1)
        self.assertTrue(line.closed)

    def test_s18_path_tricks(self) -> None:
        """A path that has two readings is no path; the same answer for all (S-18)."""
        for path in (
            "/.well-known/ni/sha-256/..%2f..%2fjwks", "/.well-known/ni/sha-256/../../../jwks", "//jwks", "/jwks%00",
            "/.well-known/ni/sha-256/%2e%2e/x", "/.well-known/ni/sha-256/%252e", "/api/../jwks", "/api/./messages",
            "/.well-known\\ni", "/api//messages", "/%6a%77ks%2f", "/jwks/", "/JWKS", "/.well-known/ni/sha-256/",
            "/.well-known/ni/sha-256/x", f"{self.target}/", f"{self.target}=",
            self.target.replace("sha-256", "SHA-256"),
            self.target.replace("sha-256", "md5"), f"{self.target[:-1]}%00", f"{self.target}%20", f"{self.target}?x=",
        ):  # fmt: skip
            with self.subTest(path=path):
                response = self.agent_line(self.foo).ask("GET", path)
                self.assertIn(response.status, (404, 401), path)
                self.assertNotIn(b"keys", response.body)
