"""M-14, T-10, S-18: good requests with a few octets changed, over TLS: no fault, no hanging, others are served.

`RRSD_FUZZ=20000 python -m twisted.trial tests.internet.test_attacks_mutations` looks longer, and elsewhere each time.
"""

import os
from urllib.parse import urlencode

from hypothesis import HealthCheck, given, settings
from typing_extensions import override

from rrsd.core.wire.fields import chunks_path
from tests.core.wire import mutations
from tests.support.attackers import FORM, AttackCase
from tests.support.forgery import access, delegation, exchange_form, impersonation, receipt

EXAMPLES = int(os.environ.get("RRSD_FUZZ", "0"))
PROFILE = settings(
    max_examples=EXAMPLES or 400, derandomize=not EXAMPLES, deadline=None, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


class Mutations(AttackCase):
    """foo.test hears almost what it should."""

    @override
    def setUp(self) -> None:
        super().setUp()
        bearer = f"Authorization: Bearer {delegation(self.bar, self.foo).text()}"
        own = f"Authorization: Bearer {access(self.foo, 'alice@foo.test').text()}"
        form = urlencode(exchange_form(self.foo, self.foo, impersonation(self.foo, "alice@foo.test").text()))
        told = receipt(self.bar, self.foo, self.DATA).text()
        self.samples = [
            self.request("GET", self.target, bearer, "Range: bytes=5-9", 'If-None-Match: "x"'),
            self.request("HEAD", chunks_path(self.digest), bearer),
            self.request("POST", "/rrs/receipts", bearer, "Content-Type: application/jose", body=told),
            self.request("POST", "/token", f"Content-Type: {FORM}", body=form),
            self.request("POST", "/introspect", f"Content-Type: {FORM}", body="client_id=_rra.foo.test&token=a.b.c"),
            self.request("GET", "/.well-known/webfinger?resource=acct%3Aalice%40foo.test&rel=public-key"),
            self.request("GET", "/api/messages?most=5&before=2026-11-20T08:30:00%2B00:00", own),
            self.request("POST", "/api/uploads", own, "Content-Type: application/json", body='{"size": 5}'),
            self.request("POST", "/api/outgoing", own, "Content-Type: application/json", body='{"to": ["b@bar.test"]}'),
            self.request("POST", "/api/messages?recipient=alice%40foo.test", own, "Content-Type: message/rfc822",
                         body="From: alice@foo.test\r\nMessage-ID: <1@foo.test>\r\n\r\nx\r\n"),
            self.request("GET", "/authorize?response_type=code&client_id=rrsctl&redirect_uri=http%3A%2F%2F127.0.0.1%3A5"
                                "&code_challenge=" + "a" * 43 + "&code_challenge_method=S256&scope=mail&state=x"),
        ]  # fmt: skip

    def request(self, method: str, target: str, *lines: str, body: str = "") -> bytes:
        """A good request as it goes over the wire."""
        head = [f"{method} {target} HTTP/1.1", "Host: foo.test", *lines]
        head += [f"Content-Length: {len(body)}"] if body else []
        return "\r\n".join([*head, "", body]).encode()

    def test_m14_samples_are_good(self) -> None:
        """The changes begin at requests that are understood."""
        for sample in self.samples:
            line = self.agent_line(self.foo)
            line.send(sample)
            self.assertIn(line.responses()[0].status, (200, 201, 206, 302, 400, 401, 403), sample)

    def test_m14_t10_s18_changed_octets(self) -> None:
        """Whatever is changed, the answer is one of the table's, or the connection ends."""

        @PROFILE
        @given(mutations.octets(self.samples))
        def run(raw: bytes) -> None:
            line = self.agent_line(self.foo)
            line.send(raw)
            statuses = [response.status for response in line.responses()]
            line.close()
            self.assertFalse([status for status in statuses if status >= 500], statuses)

        run()
        faults = [failure.getTraceback() for failure in self.flushLoggedErrors()]
        self.assertEqual(faults, [], "".join(faults[:1]))
        self.assertEqual(self.line(self.foo).ask("GET", "/jwks").status, 200)

    def test_header_that_is_not_utf8(self) -> None:
        """Octets that are no text in a field that is read, or in another, are refused like any other grammar."""
        fields = ("Content-Type", "Authorization", "Range", "If-None-Match", "If-Range", "Prefer", "Accept", "X-Other",
                  "Upload-Offset", "Content-Encoding", "Cookie", "Origin", "User-Agent")  # fmt: skip
        for sample in self.samples:
            for name in fields:
                line = self.agent_line(self.foo)
                line.send(sample.replace(b"\r\n", b"\r\n" + name.encode() + b": x\xff\x80\r\n", 1))
                statuses = [response.status for response in line.responses()]
                self.assertEqual(statuses[:1], [400], (sample[:30], name))
        self.assertEqual(self.flushLoggedErrors(), [])
        text = self.samples[5].replace(b"\r\n", "\r\nUser-Agent: Jürgen\r\n".encode(), 1)
        line = self.agent_line(self.foo)
        line.send(text)
        self.assertEqual(line.response().status, 200)

    def test_host_that_is_none(self) -> None:
        """A Host field that names no host is refused before any route sees it."""
        good, _, rest = self.samples[5].partition(b"Host: foo.test")
        bad = ("", "a" * 64, "a..b", ".", "..", "a b", "a/b", "a@b", "\x01", "ü.test", "xn--\u0130", "a:b", "[::1")
        worse = ("a" * 300, "a,b", "%00", "foo.test#", "foo.test?", "foo.test:999999", "-" * 64, "a." * 200)
        for host in bad + worse:
            line = self.agent_line(self.foo)
            line.send(good + b"Host: " + host.encode() + rest)
            self.assertEqual([response.status for response in line.responses()], [400], host)
        for host in ("foo.test", "FOO.test.", "foo.test:443", "[::1]:8443", "127.0.0.1", "_x.foo.test", "foo.test:"):
            line = self.agent_line(self.foo)
            line.send(good + b"Host: " + host.encode() + rest)
            self.assertEqual([response.status for response in line.responses()], [200], host)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_s18_path_that_is_not_utf8(self) -> None:
        """Octets in a path that are no text once they are decoded: there is no such path, and no fault either."""
        for path in (
            "/api/uploads/%ff",
            "/api/messages/%c3%28/raw",
            "/jwks%80",
            "/%ed%a0%80",
            "/api/outgoing/a%FEb",
            "/%f",
        ):
            for method in ("GET", "POST", "DELETE"):
                response = self.agent_line(self.foo).ask(method, path)
                self.assertIn(response.status, (401, 404, 405), path)
        self.assertEqual(self.flushLoggedErrors(), [])
