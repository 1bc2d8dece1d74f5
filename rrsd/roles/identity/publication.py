"""The documents about this domain that anybody may read."""

from typing import Any

from attrs import frozen

from rrsd.core.refusals import Unknown
from rrsd.core.wire.jose import render_key_set
from rrsd.core.wire.metadata import ResourceMetadata, render_issuer_metadata, render_resource_metadata
from rrsd.core.wire.webfinger import Query
from rrsd.roles.identity import rules
from rrsd.roles.identity.home import Home
from rrsd.roles.identity.ports import OwnAgent, OwnKeys
from rrsd.roles.identity.settings import Settings


@frozen
class Publication:
    """What we say about ourselves; it follows the configuration alone, never a header of the request."""

    settings: Settings
    home: Home
    own_keys: OwnKeys
    agent: OwnAgent

    @property
    def seconds(self) -> int:
        """For how long others may keep it."""
        return int(self.settings.max_age.total_seconds())

    def issuer_metadata(self, path: str) -> dict[str, Any]:
        """The RFC 8414 document of the issuer with that path ("" for none).

        Raises:
            Unknown: no issuer of ours has it.
        """
        metadata = self.home.metadata
        if path != metadata.issuer.path:
            raise Unknown("no such issuer")
        return {**render_issuer_metadata(metadata), **self.home.more}

    def key_set(self) -> dict[str, Any]:
        """The JWK set, public members only (RFC 7517 5)."""
        return render_key_set(self.own_keys.published())

    def resource_metadata(self) -> dict[str, Any]:
        """The RFC 9728 document of our resource server."""
        return render_resource_metadata(ResourceMetadata(self.home.resource, (self.home.metadata.issuer,)))

    def webfinger(self, query: Query) -> dict[str, Any]:
        """The JRD that answers the query (RFC 7033 4.2); refuses with Malformed or Unknown."""
        home = self.home
        return rules.answer_webfinger(query, home.domain, home.metadata.issuer, home.client, self.agent.published())
