"""The names that the domain gives itself."""

from rrsd.config.settings import Settings
from rrsd.core.values.addresses import ClientIdentifier, join_client_identifier


def api_origin(settings: Settings) -> str:
    """The audience of our users' access tokens."""
    return str(settings.rra.origin or settings.domain.issuer.origin)


def agent_name(settings: Settings) -> ClientIdentifier:
    """The global client identifier of the domain's agent."""
    return settings.rra.client or join_client_identifier("_rra", settings.domain.name.name)
