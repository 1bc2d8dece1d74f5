"""What this domain says about itself."""

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from rrsd.core.values.addresses import ClientIdentifier, Domain
from rrsd.core.values.peers import Issuer, Origin
from rrsd.core.wire.metadata import IssuerMetadata


@frozen
class Home:
    """Our own domain as others shall see it.

    `access_issuer` issues the access tokens of our users: our own issuer, or an external OpenID Provider. `audiences`
    are the values of `aud` that such a token may have. `more` are further members of the metadata document.
    """

    domain: Domain
    metadata: IssuerMetadata
    resource: Origin
    client: ClientIdentifier
    access_issuer: Issuer
    audiences: frozenset[str]
    more: Mapping[str, Any] = field(factory=dict)

    @property
    def hosts(self) -> frozenset[Domain]:
        """The names that are served here, for others and not for ourselves."""
        return frozenset({self.domain, self.metadata.issuer.origin.host, self.resource.host})
