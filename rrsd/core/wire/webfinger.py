"""WebFinger questions and answers: the issuer of a user, the keys of a client (RFC 7033, RFC 7565)."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from attrs import frozen

from rrsd.core.refusals import Malformed, Unproven
from rrsd.core.values.addresses import Address, ClientIdentifier
from rrsd.core.values.digests import Digest, parse_hex_digest
from rrsd.core.values.peers import Issuer, parse_issuer

ISSUER_REL = "http://openid.net/specs/connect/1.0/issuer"
PUBLIC_KEY_REL = "public-key"
HASH_PROPERTY = "public-key/hash"
MOST_RELS = 16
MOST_LINKS = 100
MOST_LENGTH = 1024
_USERPART = "!$&'()*+,;=-._~"  # RFC 7565 7: unreserved and sub-delims stay as they are


@frozen
class Query:
    """What is asked: about whom, and which links; no rels means all."""

    resource: str
    rels: tuple[str, ...] = ()


def parse_query(arguments: Mapping[bytes, Sequence[bytes]]) -> Query:
    """The question in the URL's query, percent-decoded before (RFC 7033 4.1).

    Raises:
        Malformed: not exactly one `resource`, one that is no URI, too many rels, or text that is not UTF-8.
    """
    resources, rels = arguments.get(b"resource", ()), arguments.get(b"rel", ())
    if len(resources) != 1 or len(rels) > MOST_RELS:
        raise Malformed("not exactly one resource, or too many rels")
    resource = _text(resources[0])
    if not resource.partition(":")[1]:
        raise Malformed("resource is not a URI")
    return Query(resource, tuple(map(_text, rels)))


def _text(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("WebFinger query is not UTF-8") from None
    if not 0 < len(text) <= MOST_LENGTH or not text.isprintable():
        raise Malformed("WebFinger query characters")
    return text


def acct(address: Address | str) -> str:
    """The acct URI of an address (RFC 7565 7)."""
    local, _, domain = str(address).rpartition("@")
    return f"acct:{quote(local, safe=_USERPART)}@{domain}"


def client_acct(client: ClientIdentifier) -> str:
    """The acct URI of a client: its OU is the user, its CN the host."""
    return f"acct:{client.unit}@{client.domain}"


def client_acct_literal(client: ClientIdentifier) -> str:
    """The same as earlier deployments write it, which is no acct URI."""
    return f"acct:{client}"


def render_issuer(subject: str, issuer: Issuer) -> dict[str, Any]:
    """The JRD that names the issuer of `subject`."""
    return {"subject": subject, "links": [{"rel": ISSUER_REL, "href": str(issuer)}]}


def render_public_key(subject: str, hashes: Sequence[Digest]) -> dict[str, Any]:
    """The JRD that publishes SubjectPublicKeyInfo hashes of `subject`, one link each so that keys can roll over."""
    links = [{"rel": PUBLIC_KEY_REL, "properties": {HASH_PROPERTY: digest.hex}} for digest in hashes]
    return {"subject": subject, "links": links}


def parse_issuer_link(document: Mapping[str, Any], asked: str) -> Issuer:
    """The issuer that the JRD about `asked` names.

    Raises:
        Unproven: it is about something else, or has not exactly one such link.
        Malformed: it is not a JRD, or the link does not lead to an issuer.
    """
    links = _links(document, asked, ISSUER_REL)
    if len(links) != 1:
        raise Unproven("not exactly one issuer link")
    href = links[0].get("href")
    if not isinstance(href, str):
        raise Malformed("link without href")
    return parse_issuer(href)


def parse_public_keys(document: Mapping[str, Any], asked: str) -> tuple[Digest, ...]:
    """The hashes that the JRD about `asked` publishes: those of its links, and that of the subject itself.

    Raises:
        Unproven: it is about something else.
        Malformed: it is not a JRD, a hash is not 64 lower-case hexadecimal digits, or there are links to keys and no
            hash: a key that cannot be used here is published all the same, and what follows would be weaker (O-10).
    """
    links = _links(document, asked, PUBLIC_KEY_REL)
    holders = [document, *links]
    texts = [_properties(holder)[HASH_PROPERTY] for holder in holders if HASH_PROPERTY in _properties(holder)]
    if links and not texts:
        raise Malformed("public key without a hash")
    return tuple(_hash(text) for text in texts)


def _links(document: Mapping[str, Any], asked: str, rel: str) -> list[Mapping[str, Any]]:
    if document.get("subject") != asked:
        raise Unproven("the JRD is about another subject")
    links = document.get("links", [])
    if not isinstance(links, list) or len(links) > MOST_LINKS or not all(isinstance(link, dict) for link in links):
        raise Malformed("JRD links")
    # A server may ignore the rel that was asked for (RFC 7033 4.3).
    return [link for link in links if link.get("rel") == rel]


def _properties(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = holder.get("properties", {})
    if not isinstance(properties, dict):
        raise Malformed("JRD properties")
    return properties


def _hash(text: object) -> Digest:
    if not isinstance(text, str):
        raise Malformed("public key hash")
    return parse_hex_digest(text)
