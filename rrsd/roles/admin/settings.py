"""What the operator's window can be told."""

from attrs import frozen

from rrsd.core.values.settings import key


@frozen
class Settings:
    """Section `[admin]`."""

    socket: str = key(
        "The unix socket of the administrator's endpoint; whoever may open it may do everything.",
        "/run/rrsd/admin.sock",
    )
    listen: str | None = key(
        "A second, read-only endpoint for health and metrics, as in tcp:9180:interface=127.0.0.1.", None
    )
