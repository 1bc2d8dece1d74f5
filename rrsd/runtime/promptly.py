"""Bytes that go out at once: what a socket takes now need not wait for the reactor's next turn."""

from typing import Any

from twisted.internet.tcp import Connection


def write_promptly(transport: Any, data: bytes) -> None:
    """Write; what the socket does not take now goes out as after any other write. An error is met by the reactor, when
    it tries the rest."""
    if isinstance(transport, Connection) and transport.connected and not _is_behind(transport):
        taken = transport.writeSomeData(data)
        if isinstance(taken, int) and taken > 0:
            data = data[taken:]
    if data:
        transport.write(data)


def _is_behind(transport: Any) -> bool:
    """Whether something was written that has not gone out, nothing may be any more, or TLS comes between."""
    waits = transport.dataBuffer or transport._tempDataLen
    return bool(waits or transport.disconnecting or transport._writeDisconnecting or transport.TLS)
