"""W: what everybody may read, under every name that a caller can give it."""

from collections.abc import Iterator
from typing import Any

from attrs import evolve

from rrsd.config.settings import Settings
from rrsd.core.values.peers import parse_issuer
from rrsd.core.wire.webfinger import ISSUER_REL
from tests.support.attackers import AttackCase, Line
from tests.support.world import MemoryDomain

DOCUMENTS = (
    "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/jwks", "/api/openapi.json",
    "/.well-known/oauth-protected-resource", "/.well-known/webfinger?resource=acct:alice%40foo.test",
    "/.well-known/webfinger?resource=acct:_rra%40foo.test",
)  # fmt: skip
HOSTS = (
    "evil.test",
    "foo.test.evil.test",
    "foo.test:8443",
    "foo.test@evil.test",
    "127.0.0.1",
    "FOO.TEST",
    "foo.test.",
    "x",
)
FORWARDED = (
    "X-Forwarded-Host: evil.test", "X-Forwarded-Proto: http", "X-Forwarded-Port: 8443",
    "X-Forwarded-Server: evil.test",
    "X-Original-Host: evil.test", "X-Host: evil.test", "Forwarded: host=evil.test;proto=http",
    "X-Original-URL: /evil.test", "X-Rewrite-URL: /evil.test", "X-Forwarded-Prefix: /evil.test",
    "Via: 1.1 evil.test", "Origin: https://evil.test",
    "Referer: https://evil.test/", "X-HTTP-Host-Override: evil.test",
)  # fmt: skip


def nodes(document: Any) -> Iterator[Any]:
    """Every value in the document, however deep."""
    yield document
    for inner in document.values() if isinstance(document, dict) else document if isinstance(document, list) else ():
        yield from nodes(inner)


def abroad(settings: Settings) -> Settings:
    """The domain's users log in at somebody else's."""
    return evolve(settings, idp=evolve(settings.idp, issuer=parse_issuer("https://login.elsewhere.test")))


class Published(AttackCase):
    """foo.test has an issuer of its own; abroad.test uses another."""

    def domains(self) -> list[MemoryDomain]:
        """Both kinds."""
        return [self.foo, self.world.domain("abroad.test", abroad)]

    def documents(self, domain: MemoryDomain) -> Iterator[tuple[str, Any]]:
        """Each published document of the domain."""
        for path in DOCUMENTS:
            response = self.line(domain).ask("GET", path.replace("foo.test", domain.name))
            self.assertEqual(response.status, 200, path)
            yield path, response.json()

    def send(self, *lines: str) -> Any:
        """The response to these very header lines."""
        line = self.line(self.foo)
        line.send("\r\n".join([*lines, "", ""]).encode())
        return line.response()

    def test_w01_other_hosts(self) -> None:
        """Whatever name the request is for, the documents are those of the issuer that was configured."""
        for path, good in self.documents(self.foo):
            for host in HOSTS:
                with self.subTest(path=path, host=host):
                    response = self.send(f"GET {path} HTTP/1.1", f"Host: {host}")
                    self.assertIn(response.status, (200, 400, 404))
                    self.assertNotIn("evil", str(response))
                    if response.status == 200:
                        self.assertEqual(response.json(), good)

    def test_w01_forwarded(self) -> None:
        """No header of a proxy changes a document; there is no proxy."""
        for path, good in self.documents(self.foo):
            for header in FORWARDED:
                with self.subTest(path=path, header=header):
                    response = self.send(f"GET {path} HTTP/1.1", "Host: foo.test", header)
                    self.assertEqual((response.status, response.json()), (200, good))
                    self.assertNotIn("evil", str(response))

    def test_w01_targets(self) -> None:
        """A request target with a host in it names nobody else's documents."""
        for target in (
            "https://evil.test/jwks",
            "http://evil.test/jwks",
            "//evil.test/jwks",
            "https://evil.test",
            "*",
            "evil.test:443",
        ):
            with self.subTest(target=target):
                response = self.send(f"GET {target} HTTP/1.1", "Host: foo.test")
                self.assertNotIn("evil", str(response))
                self.assertIn(response.status, (200, 400, 404, 405))

    def test_w01_challenges_and_redirects(self) -> None:
        """Neither a challenge nor the way to the login page says what the Host field said."""
        for target in (
            self.target,
            "/api/messages",
            "/authorize?client_id=rrsctl&redirect_uri=https%3A%2F%2Fevil.test",
        ):
            response = self.send(f"GET {target} HTTP/1.1", "Host: evil.test", "X-Forwarded-Host: evil.test")
            self.assertNotIn("evil", str(response), target)

    def test_w02_w03_w04_members(self) -> None:
        """No member is empty, no algorithm is none or a shared secret's, no address is without TLS."""
        for domain in self.domains():
            for path, document in self.documents(domain):
                with self.subTest(domain=domain.name, path=path):
                    if "openapi" not in path:
                        self.assertFalse([node for node in nodes(document) if node in ([], {}, "", None)])
                    texts = {node for node in nodes(document) if isinstance(node, str)} - {ISSUER_REL}
                    self.assertFalse([text for text in texts if text.startswith("http:")])
                    self.assertFalse({"HS256", "HS384", "HS512", "plain", "password", "implicit"} & texts)
                    listed = {name: value for name, value in document.items() if name.endswith("_alg_values_supported")}
                    self.assertFalse([name for name, value in listed.items() if "none" in value])

    def test_w04_in_the_clear(self) -> None:
        """Who speaks HTTP without TLS gets no document, and not even a redirect."""
        for path in DOCUMENTS:
            line = Line.over(self.world, "foo.test", None)
            line.send(f"GET {path} HTTP/1.1\r\nHost: foo.test\r\n\r\n".encode())
            self.assertTrue(line.closed)
            self.assertNotIn(b"HTTP/", line.received)

    def test_w06_no_private_members(self) -> None:
        """Nothing of a private key is in any document, before and after a rotation."""
        secret = {"d", "p", "q", "dp", "dq", "qi", "k", "oth"}
        for _ in range(3):
            for domain in self.domains() if "abroad.test" not in self.world.domains else [self.foo]:
                for path, document in self.documents(domain):
                    self.assertFalse(
                        [node for node in nodes(document) if isinstance(node, dict) and secret & node.keys()], path
                    )
                    self.assertNotIn("PRIVATE", str(document))
            self.assertTrue(self.foo.whole.means.doors.keyring.rotate())
            self.world.advance(60, 60)

    def test_w07_methods(self) -> None:
        """What is only read takes GET and HEAD, and says so; an override in a header is none."""
        for path in DOCUMENTS:
            for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get", "X"):
                with self.subTest(path=path, method=method):
                    response = self.line(self.foo).ask(method, path)
                    self.assertEqual(response.status, 405 if method.isupper() else 400)
                    self.assertEqual(response.headers["cache-control"], "no-store")
                    if method.isupper():
                        self.assertLessEqual({"GET", "HEAD"}, {*response.headers["allow"].split(", ")})
            head = self.line(self.foo).ask("HEAD", path)
            self.assertEqual((head.status, head.body), (200, b""))
            for header in ("X_HTTP_Method_Override", "X_HTTP_Method", "X_Method_Override"):
                self.assertEqual(self.line(self.foo).ask("GET", path, b"", **{header: "DELETE"}).status, 200)

    def test_w08_origins(self) -> None:
        """Every site's script may read what is public, without credentials; nothing else is open to any."""
        for path in DOCUMENTS:
            response = self.line(self.foo).ask("GET", path, Origin="https://evil.test")
            self.assertEqual(response.headers["access-control-allow-origin"], "*")
            self.assertNotIn("access-control-allow-credentials", response.headers)
        for path in ("/token", self.target, "/api/messages", "/api/uploads", "/authorize", "/revoke", "/rrs/receipts"):
            for method in ("GET", "POST", "OPTIONS"):
                response = self.line(self.foo).ask(
                    method, path, Origin="https://evil.test", Access_Control_Request_Method="POST"
                )
                self.assertFalse([name for name in response.headers if name.startswith("access-control-")], path)

    def test_w08_nobody_is_counted(self) -> None:
        """Whoever exists, is suspended, never was, or would be odd: the answers differ in the name alone."""
        self.foo.add_user("sleeper", suspended=True)
        answers = set()
        for user in ("alice", "sleeper", "nobody", "postmaster", "a" * 64):
            response = self.line(self.foo).ask("GET", f"/.well-known/webfinger?resource=acct:{user}%40foo.test")
            kept = {name: value for name, value in response.headers.items() if name not in ("date", "content-length")}
            answers.add((response.status, str(kept), response.body.replace(user.encode(), b"")))
        self.assertEqual(len(answers), 1)
        for odd in (
            "acct:",
            "acct:@foo.test",
            "acct:alice@",
            "mailto:alice@foo.test",
            "https://foo.test/alice",
            "alice@foo.test",
            "x",
        ):
            response = self.line(self.foo).ask("GET", f"/.well-known/webfinger?resource={odd.replace('@', '%40')}")
            self.assertIn(response.status, (400, 404), odd)
            self.assertNotIn(b"alice", response.body)
