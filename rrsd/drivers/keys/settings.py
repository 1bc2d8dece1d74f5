"""What the key room can be told."""

from datetime import timedelta

from attrs import frozen

from rrsd.core.values.settings import key


@frozen
class Settings:
    """The `[keys]` section."""

    path: str = key(
        "folder of the private keys; nobody but the daemon's user may read the files in it", "/var/lib/rrsd/keys"
    )
    grace: timedelta = key(
        "how long a retired signing key stays published, at least the life of what it signed", timedelta(days=1)
    )
