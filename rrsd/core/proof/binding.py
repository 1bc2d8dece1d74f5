"""Who may be talked to and why: the only maker of `ProvenPeer` (protocol 2 and 3).

Nothing talks to a host that is not a domain's own, its issuer's, or listed by its issuer.
"""

from collections.abc import Sequence

from rrsd.core.proof.chains import prove_chain
from rrsd.core.refusals import Malformed, Unproven
from rrsd.core.values.addresses import ClientIdentifier, Domain
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import (
    Certificate,
    ClientProof,
    Discovery,
    Introduction,
    Issuer,
    Origin,
    ProvenPeer,
    Strength,
    Url,
)
from rrsd.core.values.records import Tlsa
from rrsd.core.wire import tlsa
from rrsd.core.wire.metadata import IssuerMetadata
from rrsd.core.wire.x509 import dns_names


def stranger(domain: Domain) -> ProvenPeer:
    """The domain's own host: the one peer that a bare name leads to, asked for what it publishes about itself."""
    return ProvenPeer(Origin(domain), f"the domain {domain} itself")


def issuer_of(domain: Domain, issuer: Issuer) -> ProvenPeer:
    """The host of the issuer that the domain's WebFinger names, asked for its metadata."""
    return ProvenPeer(issuer.origin, f"issuer that {domain} names")


def configured(origin: Origin) -> ProvenPeer:
    """An origin that the operator named."""
    return ProvenPeer(origin, "configured")


def speaks_for(introduction: Introduction, origin: Origin) -> ProvenPeer:
    """The resource server `origin`, listed by the domain's issuer (RFC 9728 4).

    Raises:
        Unproven: it is not.
    """
    if origin not in introduction.protected_resources:
        raise Unproven(f"{origin} is not a resource server of {introduction.domain}")
    return ProvenPeer(origin, f"protected resource of {introduction.issuer} for {introduction.domain}")


def token_endpoint(introduction: Introduction) -> ProvenPeer:
    """The host of the issuer's token endpoint."""
    return ProvenPeer(introduction.token_endpoint.origin, f"token endpoint of {introduction.issuer}")


def host_of(introduction: Introduction, url: Url) -> ProvenPeer:
    """The host of `url`, which is the issuer's own.

    Raises:
        Unproven: it is another host.
    """
    _require_same_host(introduction.issuer, url)
    return ProvenPeer(url.origin, f"host of {introduction.issuer}")


def redirected(domain: Domain, url: Url) -> ProvenPeer:
    """The host that the domain's WebFinger redirects to (RFC 7033 4.2), asked for that document only."""
    return ProvenPeer(url.origin, f"where the WebFinger of {domain} redirects to")


def prove_introduction(
    domain: Domain,
    asked_issuer: Issuer,
    metadata: IssuerMetadata,
    until: Instant,
    found_by: Discovery = Discovery.WEBFINGER,
) -> Introduction:
    """Who speaks for `domain`, which names `asked_issuer` in the way `found_by`, whose metadata is `metadata`.

    Raises:
        Unproven: the metadata is of another issuer (RFC 8414 3.3), or its keys are kept on another host.
    """
    if metadata.issuer.url != asked_issuer.url:
        raise Unproven("metadata of another issuer")
    _require_same_host(asked_issuer, metadata.jwks_uri)
    return Introduction(
        domain=domain,
        issuer=metadata.issuer,
        jwks_uri=metadata.jwks_uri,
        token_endpoint=metadata.token_endpoint,
        protected_resources=metadata.protected_resources,
        until=until,
        claims_endpoint=metadata.claims_endpoint,
        found_by=found_by,
        agent=metadata.agent,
    )


def prove_client_by_issuer(certificate: Certificate, issuer: Issuer, until: Instant) -> ClientProof:
    """That the client is the issuer's own, whose host is the client's domain.

    Raises:
        Unproven: it is another domain's, or the certificate names no client.
    """
    client = _named(certificate)
    if client.domain != issuer.origin.host:
        raise Unproven("the client is not of the issuer's host")
    return ClientProof(client, "issuer", until, Strength.ISSUER)


def prove_client_by_webfinger(certificate: Certificate, hashes: Sequence[Digest], until: Instant) -> ClientProof:
    """That the client's domain publishes the certificate's key under the client's name.

    Raises:
        Unproven: it publishes other keys only, or the certificate names no client.
    """
    return ClientProof(_listed(certificate, hashes), "webfinger", until, Strength.TLS)


def prove_client_by_txt(
    certificate: Certificate, hashes: Sequence[Digest], until: Instant, strength: Strength
) -> ClientProof:
    """That a TXT record at the client's name publishes the certificate's key; DNS is as good as `strength` says.

    Raises:
        Unproven: it publishes other keys only, or the certificate names no client.
    """
    return ClientProof(_listed(certificate, hashes), "dns-txt", until, strength)


def prove_client_by_dane(
    certificate: Certificate, records: Sequence[Tlsa], now: Instant, until: Instant
) -> ClientProof:
    """That a secure TLSA record at the client's name is about the certificate, or about an authority above it.

    For usage 3 the certificate's names and dates mean nothing (RFC 7671 5.1). For usage 2 the chain that came with it
    ends in the authority, and the client is one of its dNSNames, for an authority may have other clients too (5.2).

    Raises:
        Unproven: no record can be used here, or none of those is about the certificate (RFC 7671 4.1).
    """
    client = _named(certificate)
    records = tlsa.usable(records)
    if not records:
        raise Unproven("the client's TLSA records are of no use here")
    if any(each.usage == tlsa.END_ENTITY and _is_about(each, certificate) for each in records):
        return ClientProof(client, "dane", until, Strength.DNSSEC)
    anchors = _anchors(certificate, [each for each in records if each.usage == tlsa.TRUST_ANCHOR])
    if not anchors:
        raise Unproven("the client's TLSA records are about other certificates")
    if str(client) not in _dns_names(certificate):
        raise Unproven("the certificate does not have the client as a dNSName")
    prove_chain(certificate, anchors, now)
    return ClientProof(client, "dane", until, Strength.DNSSEC)


def _is_about(record: Tlsa, certificate: Certificate) -> bool:
    if record.matching == tlsa.SHA256:
        digest = certificate.x5t if record.selector == tlsa.WHOLE_CERTIFICATE else certificate.spki
        return record.data == digest.raw
    return tlsa.matches(record, certificate.der)


def _anchors(certificate: Certificate, records: Sequence[Tlsa]) -> list[bytes]:
    """The authorities that the records name: those of the chain, and whole certificates that a record holds."""
    whole = (tlsa.WHOLE_CERTIFICATE, tlsa.EXACT)
    held = [each.data for each in records if (each.selector, each.matching) == whole]
    sent = [der for der in certificate.chain if any(tlsa.matches(each, der) for each in records)]
    return [*sent, *(der for der in held if der not in sent)]


def _dns_names(certificate: Certificate) -> tuple[str, ...]:
    try:
        return dns_names(certificate.der)
    except Malformed as refusal:
        raise Unproven(refusal.detail) from None


def _listed(certificate: Certificate, hashes: Sequence[Digest]) -> ClientIdentifier:
    client = _named(certificate)
    if certificate.spki not in hashes:
        raise Unproven("the client's domain publishes other keys")
    return client


def _named(certificate: Certificate) -> ClientIdentifier:
    if certificate.client is None:
        raise Unproven("the certificate names no client")
    return certificate.client


def _require_same_host(issuer: Issuer, url: Url) -> None:
    if url.origin.host != issuer.origin.host:
        raise Unproven(f"{url.origin} is not the host of {issuer}")
