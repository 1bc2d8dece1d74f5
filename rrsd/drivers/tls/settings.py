"""What TLS can be told."""

from datetime import timedelta
from enum import StrEnum

from attrs import frozen

from rrsd.core.values.settings import key


class Version(StrEnum):
    """The lowest version of TLS that is spoken."""

    TLS13 = "1.3"
    TLS12 = "1.2"


@frozen
class Settings:
    """Section `[tls]`: both directions."""

    minimum: Version = key("The lowest version of TLS that is spoken, 1.3 or 1.2.", Version.TLS13)
    roots: str | None = key(
        "A PEM file of the certificate authorities that servers are verified against; by default those of the system.",
        None,
        example="/etc/rrsd/tls/roots.pem",
    )
    handshake: timedelta = key("How long a TLS handshake may take.", timedelta(seconds=15))
