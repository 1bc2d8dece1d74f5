"""Metadata of authorization servers and of resource servers (RFC 8414, RFC 8705 5, RFC 9728)."""

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import ClientIdentifier, parse_client_identifier
from rrsd.core.values.peers import Issuer, Origin, Url, parse_issuer, parse_origin, parse_url

MOST_LISTED = 1000
AGENT = "rrs_retrieval_agent"


@frozen
class IssuerMetadata:
    """What an issuer says about itself. `protected_resources` are those that are plain origins (RFC 9728 4).

    `agent` is the client that pulls attachments for the issuer's users, None where nobody does.
    """

    issuer: Issuer
    jwks_uri: Url
    token_endpoint: Url
    protected_resources: tuple[Origin, ...] = ()
    authorization_endpoint: Url | None = None
    claims_endpoint: Url | None = None
    introspection_endpoint: Url | None = None
    agent: ClientIdentifier | None = None


@frozen
class ResourceMetadata:
    """What a resource server says about itself."""

    resource: Origin
    authorization_servers: tuple[Issuer, ...]


def parse_issuer_metadata(document: Mapping[str, Any]) -> IssuerMetadata:
    """The metadata in a document; endpoints for mutual TLS stand in for the others (RFC 8705 5).

    Raises:
        Malformed: `issuer`, `jwks_uri` or `token_endpoint` is missing, or something is not of its form.
    """
    aliases = document.get("mtls_endpoint_aliases", {})
    if not isinstance(aliases, dict):
        raise Malformed("metadata mtls_endpoint_aliases")
    return IssuerMetadata(
        issuer=parse_issuer(_text(document, "issuer")),
        jwks_uri=parse_url(_text(document, "jwks_uri")),
        token_endpoint=parse_url(_text({**document, **aliases}, "token_endpoint")),
        protected_resources=_origins(document),
        authorization_endpoint=_endpoint(document, "authorization_endpoint"),
        claims_endpoint=_endpoint(document, "claims_endpoint"),
        introspection_endpoint=_endpoint({**document, **aliases}, "introspection_endpoint"),
        agent=_client(document, AGENT),
    )


def render_issuer_metadata(metadata: IssuerMetadata) -> dict[str, Any]:
    """The members of the document that the metadata decides; empty ones are left out (RFC 8414 3.2)."""
    endpoints = {
        "authorization_endpoint": metadata.authorization_endpoint,
        "claims_endpoint": metadata.claims_endpoint,
        "introspection_endpoint": metadata.introspection_endpoint,
    }
    document: dict[str, Any] = {
        "issuer": str(metadata.issuer),
        "jwks_uri": str(metadata.jwks_uri),
        "token_endpoint": str(metadata.token_endpoint),
    }
    document |= {name: str(url) for name, url in endpoints.items() if url is not None}
    if metadata.agent is not None:
        document[AGENT] = str(metadata.agent)
    if metadata.protected_resources:
        document["protected_resources"] = [str(origin) for origin in metadata.protected_resources]
    return {**document, "tls_client_certificate_bound_access_tokens": True}


def parse_resource_metadata(document: Mapping[str, Any]) -> ResourceMetadata:
    """The metadata in a document.

    Raises:
        Malformed: `resource` is no origin or missing, or an authorization server is no issuer.
    """
    servers = _texts(document, "authorization_servers")
    return ResourceMetadata(parse_origin(_text(document, "resource")), tuple(map(parse_issuer, servers)))


def render_resource_metadata(metadata: ResourceMetadata) -> dict[str, Any]:
    """The document of a resource server that takes bound tokens in the header only."""
    document: dict[str, Any] = {"resource": str(metadata.resource)}
    if metadata.authorization_servers:
        document["authorization_servers"] = [str(issuer) for issuer in metadata.authorization_servers]
    return {**document, "bearer_methods_supported": ["header"], "tls_client_certificate_bound_access_tokens": True}


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        raise Malformed(f"metadata {name}")
    return value


def _texts(document: Mapping[str, Any], name: str) -> list[str]:
    values = document.get(name, [])
    if not isinstance(values, list) or len(values) > MOST_LISTED or not all(isinstance(each, str) for each in values):
        raise Malformed(f"metadata {name}")
    return values


def _endpoint(document: Mapping[str, Any], name: str) -> Url | None:
    return parse_url(_text(document, name)) if name in document else None


def _client(document: Mapping[str, Any], name: str) -> ClientIdentifier | None:
    if name not in document:
        return None
    client = parse_client_identifier(_text(document, name))
    if str(client) != document[name]:
        raise Malformed(f"metadata {name} is not in its canonical form")
    return client


def _origins(document: Mapping[str, Any]) -> tuple[Origin, ...]:
    # A resource identifier may be any https URL; those with a path are not resource servers of this protocol.
    found = [_origin(text) for text in _texts(document, "protected_resources")]
    return tuple(origin for origin in found if origin is not None)


def _origin(text: str) -> Origin | None:
    try:
        return parse_origin(text)
    except Malformed:
        return None
