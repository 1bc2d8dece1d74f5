"""The service manager's notification socket (sd_notify(3)): one datagram, no answer."""

import os
import socket


def notify(state: str) -> bool:
    """Tell the service manager, as in `READY=1`; False where there is none that listens."""
    place = os.environ.get("NOTIFY_SOCKET")
    if not place:
        return False
    address = f"\0{place[1:]}" if place.startswith("@") else place
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
        line.settimeout(1.0)
        try:
            line.connect(address)
            line.sendall(state.encode("ascii"))
        except OSError:
            return False
    return True
