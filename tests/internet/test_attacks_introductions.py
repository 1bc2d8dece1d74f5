"""F, D: domains that publish lies, traps and noise; foo.test asks them because a delegation of theirs came."""

import gzip
import json
from typing import Any

from attrs import define, field
from twisted.internet.protocol import Factory, Protocol
from typing_extensions import override

from rrsd.core.wire.jose import render_key_set
from rrsd.core.wire.webfinger import ISSUER_REL, PUBLIC_KEY_REL
from tests.support.attackers import AttackCase, Response
from tests.support.forgery import delegation, pair_of
from tests.support.world import MemoryDomain

WEBFINGER, METADATA, JWKS = "/.well-known/webfinger", "/.well-known/oauth-authorization-server", "/jwks"
JSON = "application/json"
FORGOTTEN = 61
"""Seconds after which nothing is remembered that came without max-age."""
Page = tuple[int, dict[str, str], bytes]


def page(document: Any, status: int = 200, kind: str = JSON, **headers: str) -> Page:
    """A page with a document, or with these bytes."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return status, {"Content-Type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}, body


@define(eq=False)
class Publisher(Factory):
    """Serves pages by path; the client's key is asked for under the same path as the issuer, told apart by `rel`."""

    pages: dict[str, Page]
    asked: list[str] = field(factory=list)

    def buildProtocol(self, addr: object) -> Protocol:  # noqa: N802 (Twisted's name)
        return _Line(self)


class _Line(Protocol):
    def __init__(self, publisher: Publisher) -> None:
        self.publisher, self.buffer = publisher, b""

    @override
    def dataReceived(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            self.answer(head.split(b" ")[1].decode())

    def answer(self, target: str) -> None:
        """Write the page of that path."""
        self.publisher.asked.append(target)
        path = target.partition("?")[0] + ("#key" if "public-key" in target else "")
        status, headers, body = self.publisher.pages.get(path, page({}, 404))
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items() if value)]
        if "Content-Length" not in headers:
            lines.append(f"Content-Length: {len(body)}")
        assert self.transport is not None
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        if headers.get("Connection") == "close":
            self.transport.loseConnection()


class IntroductionCase(AttackCase):
    """evil.test's delegation for its own eve is good only while everything that evil.test publishes is."""

    def setUp(self) -> None:
        """A domain whose documents are in our hands, and a grant for its user."""
        super().setUp()
        self.evil = self.world.domain("evil.test")
        self.evil.add_user("eve")
        self.foo.grant(self.DATA, "eve@evil.test", message_id="2@foo.test")

    def good(self, evil: MemoryDomain) -> dict[str, Page]:
        """What an honest evil.test would publish."""
        issuer = "https://evil.test"
        spki = pair_of(evil).certificate.spki.hex
        return {
            WEBFINGER: page({"subject": "acct:postmaster@evil.test", "links": [{"rel": ISSUER_REL, "href": issuer}]}),
            f"{WEBFINGER}#key": page({
                "subject": "acct:_rra@evil.test",
                "links": [{"rel": PUBLIC_KEY_REL, "properties": {"public-key/hash": spki}}],
            }),
            METADATA: page({
                "issuer": issuer, "jwks_uri": f"{issuer}/jwks", "token_endpoint": f"{issuer}/token",
                "protected_resources": [issuer],
            }),
            JWKS: page(render_key_set(evil.whole.means.doors.keyring.published())),
        }  # fmt: skip

    def publish(self) -> Publisher:
        """A publisher at evil.test."""
        publisher = Publisher(self.good(self.evil))
        self.world.hostile("evil.test", self.evil, publisher)
        return publisher

    def fetch(self) -> Response:
        """eve's delegation over evil.test's certificate."""
        self.foo.trail.lines.clear()
        token = delegation(self.evil, self.foo, "eve@evil.test").text()
        return self.agent_line(self.foo, self.evil).ask("GET", self.target, Authorization=f"Bearer {token}")

    def require(self, cases: dict[str, dict[str, Page]], *expected: tuple[int, str]) -> None:
        """Each case, published in place of what is good, is refused in one of the expected ways."""
        publisher = self.publish()
        self.assertEqual(self.fetch().status, 200, "the good documents are good")
        (address,) = self.world.internet.names.table["evil.test"] or [""]
        for name, pages in cases.items():
            with self.subTest(case=name):
                publisher.pages = {**self.good(self.evil), **pages}
                self.world.advance(FORGOTTEN, FORGOTTEN)
                calls = len(self.world.internet.connections)
                response = self.answered()
                self.assertIn((response.status, response.json().get("reason")), expected, name)
                (line,) = [each for each in self.foo.trail.lines if each["what"] == "retrieve"]
                self.assertEqual(line["refusal"], response.json()["reason"])
                new = {called for _, called, _ in self.world.internet.connections[calls:]}
                self.assertLessEqual(new, {address}, "nobody else was called")

    def answered(self) -> Response:
        """The response, at the latest after the deadlines of the questions."""
        self.foo.trail.lines.clear()
        token = delegation(self.evil, self.foo, "eve@evil.test").text()
        line = self.agent_line(self.foo, self.evil)
        line.send(f"GET {self.target} HTTP/1.1\r\nHost: foo.test\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        for _ in range(30):
            if line.received:
                break
            self.world.advance(1)
        return line.response()


class Introductions(IntroductionCase):
    """What is published is believed whole or not at all."""

    def test_f12_f13_webfinger(self) -> None:
        """The answer is about who was asked for, with exactly one issuer."""
        asked, link = "acct:postmaster@evil.test", {"rel": ISSUER_REL, "href": "https://evil.test"}
        documents: dict[str, Any] = {
            "another subject": {"subject": "acct:postmaster@bar.test", "links": [link]},
            "no subject": {"links": [link]}, "no links": {"subject": asked},
            "empty links": {"subject": asked, "links": []},
            "two links": {"subject": asked, "links": [link, {**link, "href": "https://bar.test"}]},
            "links of another rel": {"subject": asked, "links": [{**link, "rel": "x"}]},
            "no href": {"subject": asked, "links": [{"rel": ISSUER_REL}]},
            "links as object": {"subject": asked, "links": {"0": link}}, "array": [{"subject": asked, "links": [link]}],
            **{f"issuer {href!r}": {"subject": asked, "links": [{**link, "href": href}]} for href in (
                "http://evil.test", "https://evil.test/", "https://EVIL.test", "https://evil.test?x", "https://evil.test#x",
                "https://u@evil.test", "https://127.0.0.1", "https://2130706433", "https://localhost", "javascript:x",
                "",                 "https://evil.test:443", "//evil.test", "file:///etc/passwd", 7,
            )},
        }  # fmt: skip
        self.require({name: {WEBFINGER: page(each)} for name, each in documents.items()}, (401, "unproven"))

    def test_f11_d02_metadata(self) -> None:
        """The issuer's document is about that issuer, and its keys are on its own host."""
        good = json.loads(self.good(self.evil)[METADATA][2])
        changes: dict[str, dict[str, Any]] = {
            "another issuer": {"issuer": "https://bar.test"}, "issuer with slash": {"issuer": "https://evil.test/"},
            "no issuer": {"issuer": None}, "keys of another domain": {"jwks_uri": "https://bar.test/jwks"},
            "keys over http": {"jwks_uri": "http://evil.test/jwks"}, "keys at an address": {"jwks_uri": "https://10.0.0.1/jwks"},
            "no keys": {"jwks_uri": None}, "keys as list": {"jwks_uri": ["https://evil.test/jwks"]},
            "resources as text": {"protected_resources": "https://evil.test"},
        }  # fmt: skip
        cases = {name: {METADATA: page({**good, **change})} for name, change in changes.items()}
        self.require(cases, (401, "unproven"))

    def test_j21_j22_keys(self) -> None:
        """A key set without a good key for the token verifies nothing."""
        kid = delegation(self.evil, self.foo, "eve@evil.test").header["kid"]
        published = json.loads(self.good(self.evil)[JWKS][2])["keys"]
        (key,) = (each for each in published if each["kid"] == kid)
        sets: dict[str, Any] = {
            "none": [], "for encryption": [{**key, "use": "enc"}], "private": [{**key, "d": key["x"]}],
            "no verify": [{**key, "key_ops": ["sign"]}], "another curve": [{**key, "crv": "P-384"}],
            "off the curve": [{**key, "y": key["x"]}], "symmetric": [{"kty": "oct", "k": "AAAA", "kid": key["kid"]}],
            "two of one kid": [key, key], "another alg": [{**key, "alg": "RS256"}],
            "padded": [{**key, "x": key["x"] + "="}],
            "a hundred more": [{**key, "kid": str(number)} for number in range(101)], "text": "x", "null": [None],
        }  # fmt: skip
        self.require({name: {JWKS: page({"keys": entries})} for name, entries in sets.items()}, (401, "unproven"))

    def test_f09_noise(self) -> None:
        """Bodies, types and statuses that are no document."""
        good = self.good(self.evil)[METADATA][2]
        pages: dict[str, Page] = {
            "text/html": page(good, kind="text/html"), "no type": page(good, kind=""), "204": page(b"", 204),
            "10 MB": page(b"{" + b" " * 10_000_000 + b"}"), "not JSON": page(b"<html>"), "array": page([]),
            "empty": page(b""),
            "BOM": page(b"\xef\xbb\xbf" + good), "twice": page(good[:-1] + b', "issuer": "https://bar.test"}'),
            "deep": page(b'{"x":' * 5000), "NaN": page(good[:-1] + b', "x": NaN}'), "gzip": page(gzip.compress(good),
            Content_Encoding="gzip"), "UTF-16": page(good.decode().encode("utf-16")), "403": page(good, 403),
            "401": page(good, 401),
            "lying length": page(good, Content_Length="5"),
        }  # fmt: skip
        cases = {name: {METADATA: each} for name, each in pages.items()}
        self.require(cases, (401, "unproven"), (503, "unavailable"))

    def test_f06_redirects(self) -> None:
        """Metadata and keys are nowhere else; WebFinger is not where nobody proves a name, nor with ourselves."""
        elsewhere = ("https://bar.test/jwks", "http://127.0.0.1/", "https://evil.test/other")
        nowhere = (
            "http://evil.test/", "https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "//bar.test/", "",
            "https://foo.test/.well-known/webfinger", f"https://evil.test{WEBFINGER}", "gopher://evil.test/", "x",
        )  # fmt: skip
        cases = {
            f"{path} {status} {where}": {path: page(b"", status, Location=where)}
            for path, places in ((WEBFINGER, nowhere), (METADATA, elsewhere), (JWKS, elsewhere))
            for status in (301, 302, 303, 307, 308, 300)
            for where in places
        }
        self.require(cases, (401, "unproven"))

    def test_f06_f02_redirect_inside(self) -> None:
        """A host that WebFinger redirects to is called at a public address only."""
        self.world.internet.names.table["inside.test"] = ["10.0.0.1"]
        self.require({"inside": {WEBFINGER: page(b"", 302, Location="https://inside.test/x")}}, (401, "unproven"))

    def test_f06_redirect_that_is_followed(self) -> None:
        """WebFinger may be elsewhere; what is there counts as what the domain itself says."""
        publisher = self.publish()
        publisher.pages["/elsewhere"] = publisher.pages[WEBFINGER]
        publisher.pages[WEBFINGER] = page(b"", 307, Location="https://evil.test/elsewhere")
        self.assertEqual(self.fetch().status, 200)
        lie = {"subject": "acct:postmaster@bar.test", "links": [{"rel": ISSUER_REL, "href": "https://evil.test"}]}
        publisher.pages["/elsewhere"] = page(lie)
        self.world.advance(FORGOTTEN, FORGOTTEN)
        self.assertEqual(self.fetch().status, 401)

    def test_f14_no_downgrade(self) -> None:
        """Trouble is no absence: nothing else is asked then, and the caller may come back."""
        publisher = self.publish()
        for status in (500, 502, 503, 504, 429, 408):
            with self.subTest(status=status):
                publisher.pages[WEBFINGER] = page({}, status)
                publisher.asked.clear()
                self.world.advance(FORGOTTEN, FORGOTTEN)
                response = self.fetch()
                self.assertEqual((response.status, response.json()["reason"]), (503, "unavailable"))
                self.assertGreaterEqual(int(response.headers["retry-after"]), 1)
                self.assertEqual([target.partition("?")[0] for target in publisher.asked], [WEBFINGER])

    def test_f17_one_question_for_all(self) -> None:
        """Twenty that come at once cause one question of each kind."""
        publisher = self.publish()
        lines = [self.agent_line(self.foo, self.evil) for _ in range(20)]
        for line in lines:
            token = delegation(self.evil, self.foo, "eve@evil.test").text()
            head = f"GET {self.target} HTTP/1.1\r\nHost: foo.test\r\nAuthorization: Bearer {token}\r\n\r\n"
            line.wire.send(head.encode())
        self.world.internet.pump()
        self.assertEqual({line.response().status for line in lines}, {200})
        self.assertEqual(len(publisher.asked), 4)

    def test_f16_f09_hung(self) -> None:
        """A domain that never answers costs its caller a wait with an end, and nobody else anything."""
        self.world.internet.silent.add(self.world.internet.hosts["evil.test"].address)
        before = self.world.clock.seconds()
        response = self.answered()
        self.assertEqual((response.status, response.json()["reason"]), (503, "unavailable"))
        self.assertLessEqual(self.world.clock.seconds() - before, 6)
        self.assertEqual(self.agent_line(self.foo).ask("GET", "/jwks").status, 200)

    def test_o10_published_keys_are_final(self) -> None:
        """Where the client's domain publishes keys and ours is none of them, no other method helps."""
        link = {"rel": PUBLIC_KEY_REL, "properties": {"public-key/hash": "0" * 64}}
        documents = {
            "another key": {"subject": "acct:_rra@evil.test", "links": [link]},
            "another subject": {"subject": "acct:_rra@bar.test", "links": []},
        }
        cases = {name: {f"{WEBFINGER}#key": page(each)} for name, each in documents.items()}
        self.require(cases, (401, "unproven"))

    def test_f08_certificates(self) -> None:
        """A server that does not prove its name is not listened to, and not called in the clear either."""
        publisher = Publisher(self.good(self.evil))
        self.world.hostile("evil.test", self.bar, publisher)
        response = self.answered()
        self.assertEqual((response.status, response.json()["reason"]), (503, "unavailable"))
        self.assertEqual(publisher.asked, [])
        self.assertEqual({port for _, _, port in self.world.internet.connections}, {443})
