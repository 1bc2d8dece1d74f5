"""What the key room can be told."""

from datetime import timedelta
from enum import StrEnum

from attrs import frozen

from rrsd.core.values.settings import key


class Signing(StrEnum):
    """What tokens are signed with."""

    ES256 = "ES256"
    RS256 = "RS256"


@frozen
class Settings:
    """The `[keys]` section."""

    path: str = key(
        "folder of the private keys; nobody but the daemon's user may read the files in it", "/var/lib/rrsd/keys"
    )
    algorithm: Signing = key(
        "what new signing keys are for, ES256 or RS256; peers of this protocol verify both, some clients RS256 only",
        Signing.ES256,
    )
    grace: timedelta = key(
        "how long a retired signing key stays published, at least the life of what it signed, and an old client key",
        timedelta(days=1),
    )
    rotate_every: timedelta = key(
        "the signing key is changed by itself when it has signed for so long; 0s for never", timedelta(days=90)
    )
    record_ttl: timedelta = key(
        "the TTL of the TXT and TLSA records of the client key: others may remember them that long", timedelta(hours=1)
    )
