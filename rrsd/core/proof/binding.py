"""Who may be talked to and why: the only maker of `ProvenPeer` (protocol 2 and 3).

Nothing talks to a host that is not a domain's own, its issuer's, or listed by its issuer.
"""

from collections.abc import Sequence

from rrsd.core.refusals import Unproven
from rrsd.core.values.addresses import Domain
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Certificate, ClientProof, Introduction, Issuer, Origin, ProvenPeer, Strength, Url
from rrsd.core.wire.metadata import IssuerMetadata


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


def prove_introduction(domain: Domain, asked_issuer: Issuer, metadata: IssuerMetadata, until: Instant) -> Introduction:
    """Who speaks for `domain`, whose WebFinger names `asked_issuer`, whose metadata is `metadata`.

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
    )


def prove_client_by_issuer(certificate: Certificate, issuer: Issuer, until: Instant) -> ClientProof | None:
    """That the client is the issuer's own, whose host is the client's domain; None if it is not."""
    client = certificate.client
    if client is None or client.domain != issuer.origin.host:
        return None
    return ClientProof(client, "issuer", until, Strength.ISSUER)


def prove_client_by_webfinger(certificate: Certificate, hashes: Sequence[Digest], until: Instant) -> ClientProof:
    """That the client's domain publishes the certificate's key under the client's name.

    Raises:
        Unproven: it publishes other keys only, or the certificate names no client.
    """
    if certificate.client is None:
        raise Unproven("the certificate names no client")
    if certificate.spki not in hashes:
        raise Unproven("the client's domain publishes other keys")
    return ClientProof(certificate.client, "webfinger", until)


def _require_same_host(issuer: Issuer, url: Url) -> None:
    if url.origin.host != issuer.origin.host:
        raise Unproven(f"{url.origin} is not the host of {issuer}")
