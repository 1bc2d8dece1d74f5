"""Who is at the other end: origins, issuers, certificates, introductions (RFC 6454, RFC 8414, RFC 8705, RFC 9728)."""

import re
from enum import StrEnum
from functools import lru_cache
from urllib.parse import urlsplit

from attrs import field, frozen

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import MOST_REMEMBERED, ClientIdentifier, Domain, parse_domain
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant

_PATH = re.compile(r"(?:/(?!\.\.?(?:/|$))(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*", re.ASCII)


@frozen(order=True)
class Origin:
    """An https origin; its string form is the audience of tokens for a resource server."""

    host: Domain
    port: int = 443

    def __str__(self) -> str:
        return f"https://{self.host}" if self.port == 443 else f"https://{self.host}:{self.port}"


@frozen(order=True)
class Url:
    """An https URL: origin, absolute path (at least "/") and query ("" when there is none); never user or fragment."""

    origin: Origin
    path: str = "/"
    query: str = ""

    def __str__(self) -> str:
        return f"{self.origin}{self.path}" + (f"?{self.query}" if self.query else "")

    @property
    def target(self) -> str:
        """The request target: path and query (RFC 9112 3.2.1)."""
        return self.path + (f"?{self.query}" if self.query else "")


@frozen(order=True)
class Issuer:
    """An issuer identifier, compared code point by code point (RFC 8414 2). Never ends with a slash."""

    url: str
    origin: Origin
    path: str

    def __str__(self) -> str:
        return self.url

    def well_known(self, name: str) -> Url:
        """Where the document `name` about this issuer is: inserted between host and path (RFC 8414 3.1)."""
        return Url(self.origin, f"/.well-known/{name}{self.path}")

    def appended(self, name: str) -> Url:
        """Where OpenID Connect Discovery 4 puts the document `name`: appended to the issuer."""
        return Url(self.origin, f"{self.path}/.well-known/{name}")


@lru_cache(MOST_REMEMBERED)
def parse_url(text: str) -> Url:
    """The https URL that `text` writes in its one canonical form.

    Raises:
        Malformed: another scheme, a user part, a fragment, an IP literal, an upper-case host, a default port spelled
            out, dot segments, white space, or characters outside RFC 3986.
    """
    if not text.isascii() or not text.isprintable() or " " in text or "#" in text or "\\" in text:
        raise Malformed("URL characters")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise Malformed("URL authority") from None
    if parts.scheme != "https" or not text.startswith("https://") or "@" in parts.netloc:
        raise Malformed("URL scheme or user")
    origin = Origin(parse_domain(parts.hostname or ""), 443 if port is None else port)
    if parts.netloc != str(origin).removeprefix("https://") or not 0 < origin.port < 65536:
        raise Malformed("URL authority is not canonical")
    if not _PATH.fullmatch(parts.path) or ("?" in text and not parts.query):
        raise Malformed("URL path")
    return Url(origin, parts.path or "/", parts.query)


def parse_origin(text: str) -> Origin:
    """The origin that `text` writes: `https://host` or `https://host:port`, no slash after it.

    Raises:
        Malformed: it is not exactly that.
    """
    url = parse_url(text)
    if str(url.origin) != text:
        raise Malformed("origin has a path")
    return url.origin


def parse_issuer(text: str) -> Issuer:
    """The issuer that `text` names: an https URL without query, fragment or trailing slash (RFC 8414 2).

    Raises:
        Malformed: it is not one.
    """
    url = parse_url(text)
    if url.query or text.endswith("/"):
        raise Malformed("issuer has a query or a trailing slash")
    return Issuer(text, url.origin, "" if url.path == "/" else url.path)


@frozen
class Certificate:
    """What a TLS connection proved about its other end: possession of the key of this certificate, nothing more.

    `x5t` is the SHA-256 of the DER form (RFC 8705 3.1), `spki` that of the SubjectPublicKeyInfo, `key_pem` the public
    key in PEM. `client` is the subject's OU.CN, or None unless there is exactly one of each. `der` is the certificate
    itself, `chain` the others that came with it, leaf excluded, in their order and unchecked.
    """

    x5t: Digest
    spki: Digest
    key_pem: bytes
    client: ClientIdentifier | None
    not_before: Instant
    not_after: Instant
    der: bytes = field(default=b"", repr=False)
    chain: tuple[bytes, ...] = field(default=(), repr=False)


class Discovery(StrEnum):
    """In which way a domain named its issuer."""

    DNSSEC = "dnssec"
    WEBFINGER = "webfinger"
    WELL_KNOWN = "well-known"
    OURSELVES = "ourselves"


@frozen
class Introduction:
    """Who speaks for a mail domain, as its own records and documents said; good until `until`.

    `agent` is the client that pulls attachments for its users, None where nobody does.
    """

    domain: Domain
    issuer: Issuer
    jwks_uri: Url
    token_endpoint: Url
    protected_resources: tuple[Origin, ...]
    until: Instant
    claims_endpoint: Url | None = None
    found_by: Discovery = Discovery.WEBFINGER
    agent: ClientIdentifier | None = None


@frozen
class ProvenPeer:
    """An origin that may be talked to, and the reason why. Made by `rrsd.core.proof.binding` only."""

    origin: Origin
    proof: str


class Strength(StrEnum):
    """What a proof of a client rests on."""

    DNSSEC = "dnssec"
    TLS = "tls"
    ISSUER = "issuer"
    WEAK = "weak"
    """Unauthenticated DNS: whoever can forge an answer can forge the proof; policy decides whether it is enough."""


@frozen
class ClientProof:
    """That a certificate's key belongs to `client`, by which method, and until when that may be believed."""

    client: ClientIdentifier
    method: str
    until: Instant
    strength: Strength = Strength.TLS
