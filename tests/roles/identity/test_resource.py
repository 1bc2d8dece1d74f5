"""What anybody may read about this domain, over HTTP (W)."""

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.addresses import Domain
from rrsd.core.values.digests import Digest
from rrsd.core.values.peers import Certificate, Url, parse_issuer
from rrsd.core.wire.metadata import IssuerMetadata, parse_issuer_metadata, parse_resource_metadata
from rrsd.core.wire.webfinger import ISSUER_REL
from rrsd.roles.identity.home import Home
from rrsd.roles.identity.publication import Publication
from rrsd.roles.identity.resource import IdentityPages
from rrsd.roles.identity.settings import Settings
from tests.support.callers import Caller, Response
from tests.support.domains import Key, Party, certificate

METADATA = "/.well-known/oauth-authorization-server"
FINGER = "/.well-known/webfinger"


class Agent:
    """The holder of client certificates, or of none."""

    def __init__(self, *certificates: Certificate) -> None:
        self.certificates = certificates

    def published(self) -> tuple[Digest, ...]:
        return tuple(certificate.spki for certificate in self.certificates)


class Published(SynchronousTestCase):
    """The public documents."""

    def setUp(self) -> None:
        self.home = Party("foo.test")
        self.pages = self.publish(self.home.metadata)

    def publish(self, metadata: IssuerMetadata, agent: Agent | None = None) -> Caller:
        home = Home(
            domain=self.home.domain,
            metadata=metadata,
            resource=self.home.origin,
            client=self.home.client,
            access_issuer=metadata.issuer,
            audiences=frozenset({str(self.home.origin)}),
            more={"scopes_supported": ["openid", "mail"]},
        )
        publication = Publication(Settings(), home, self.home, agent or Agent(self.home.certificate))
        return Caller(IdentityPages(publication).routes)

    def get(self, target: str, **headers: str) -> Response:
        return self.pages.ask("GET", target, b"", **headers)

    def finger(self, query: str) -> Response:
        return self.get(f"{FINGER}?{query}")

    def test_metadata(self) -> None:
        """Peers read from the metadata what we mean, and roles add members."""
        seen = self.get(METADATA)
        self.assertEqual(parse_issuer_metadata(seen.json()), self.home.metadata)
        self.assertEqual(seen.json()["scopes_supported"], ["openid", "mail"])
        self.assertEqual(seen.headers["cache-control"], "public, max-age=3600")
        self.assertEqual(seen.headers["content-type"], "application/json")

    def test_metadata_of_an_issuer_with_a_path(self) -> None:
        """The well-known part stands between host and path (RFC 8414 3.1)."""
        issuer = parse_issuer("https://foo.test/a/b")
        host = issuer.origin
        self.pages = self.publish(IssuerMetadata(issuer, Url(host, "/jwks"), Url(host, "/token")))
        self.assertEqual(self.get(f"{METADATA}/a/b").json()["issuer"], "https://foo.test/a/b")
        self.assertEqual(self.get(METADATA).status, 404)
        self.assertEqual(self.get(f"{METADATA}/a").status, 404)

    def test_metadata_ignores_the_host_header(self) -> None:
        """Another Host or X-Forwarded-Host does not change what is published (W-01)."""
        seen = self.get(METADATA, X_Forwarded_Host="evil.test")
        self.assertEqual(seen.json()["issuer"], "https://as.foo.test")

    def test_keys_have_no_private_half(self) -> None:
        """The key set holds public members only (W-06)."""
        seen = self.get("/jwks")
        self.assertEqual(set(seen.json()["keys"][0]), {"kty", "crv", "x", "y", "kid", "alg", "use"})
        self.assertEqual(seen.headers["content-type"], "application/jwk-set+json")

    def test_resource_metadata(self) -> None:
        """The resource server names the issuer that names it (RFC 9728 4)."""
        seen = self.get("/.well-known/oauth-protected-resource").json()
        self.assertEqual(parse_resource_metadata(seen).authorization_servers, (self.home.issuer,))
        self.assertEqual(seen["resource"], "https://rs.foo.test")
        self.assertIs(seen["tls_client_certificate_bound_access_tokens"], True)

    def test_other_methods(self) -> None:
        """Only GET and HEAD are answered (W-07)."""
        for path in (METADATA, "/jwks", FINGER, "/.well-known/oauth-protected-resource"):
            for method in ("POST", "PUT", "DELETE", "PATCH"):
                self.assertEqual(self.pages.ask(method, path).status, 405)
        seen = self.pages.ask("HEAD", METADATA)
        self.assertEqual((seen.status, seen.body), (200, b""))

    def test_webfinger(self) -> None:
        """An address of the domain leads to the issuer, readable from any page (RFC 7033 5)."""
        seen = self.finger("resource=acct%3Aalice%40foo.test")
        self.assertEqual(seen.json()["links"], [{"rel": ISSUER_REL, "href": "https://as.foo.test"}])
        self.assertEqual(seen.headers["content-type"], "application/jrd+json")
        self.assertEqual(seen.headers["access-control-allow-origin"], "*")

    def test_webfinger_refusals(self) -> None:
        """No resource, two resources and garbage are 400; strangers are 404, one body for all (W-08)."""
        for query in ("", "resource=", "resource=acct:a@foo.test&resource=acct:b@foo.test", "resource=acct:foo.test"):
            self.assertEqual(self.finger(query).status, 400, query)
        bodies = {self.finger(f"resource=acct:{name}@bar.test").body for name in ("alice", "bob")}
        self.assertEqual(len(bodies), 1)
        seen = self.finger("resource=acct:alice@bar.test")
        self.assertEqual((seen.status, seen.headers["access-control-allow-origin"]), (404, "*"))

    def test_webfinger_without_a_client_certificate(self) -> None:
        """A domain that has no agent publishes no key and still introduces its users."""
        self.pages = self.publish(self.home.metadata, Agent())
        rels = [link["rel"] for link in self.finger("resource=acct:_rra@foo.test").json()["links"]]
        self.assertEqual(rels, [ISSUER_REL])

    def test_webfinger_of_the_client(self) -> None:
        """The hash of the client's key is published under its name."""
        links = self.finger("resource=acct:_rra@foo.test&rel=public-key").json()["links"]
        self.assertEqual(links[0]["properties"], {"public-key/hash": self.home.certificate.spki.hex})
        self.assertEqual(self.home.client.domain, Domain("foo.test"))

    def test_webfinger_while_the_client_key_is_changed(self) -> None:
        """Both hashes are published under its name, one link each."""
        both = (self.home.certificate, certificate(str(self.home.client), Key("next")))
        self.pages = self.publish(self.home.metadata, Agent(*both))
        links = self.finger("resource=acct:_rra@foo.test&rel=public-key").json()["links"]
        self.assertEqual([link["properties"]["public-key/hash"] for link in links], [each.spki.hex for each in both])
