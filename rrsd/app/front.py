"""The listeners: the public one over TLS, and the operator's on this host. One that cannot bind fails the start."""

import errno
import os
import socket
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from attrs import define, field
from twisted.internet.endpoints import UNIXServerEndpoint, serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.logger import Logger

from rrsd.core.refusals import Unavailable


@define(eq=False)
class Listeners:
    """A room that listens: `doors` are its endpoints by description, `factories` what answers at each."""

    _log = Logger()

    name: str
    reactor: Any
    doors: Sequence[tuple[str, IProtocolFactory]]
    _ports: list[IListeningPort] = field(factory=list, init=False)

    async def start(self) -> None:
        """Listen at every endpoint.

        Raises:
            Unavailable: one of them cannot be had; the others are closed again by `stop`.
        """
        for description, factory in self.doors:
            try:
                port = await self._endpoint(description).listen(factory)
            except (CannotListenError, OSError, ValueError, LookupError) as problem:
                await self.stop()
                fact = "the service manager gave no such socket" if isinstance(problem, LookupError) else problem
                raise Unavailable(f"cannot listen at {description}: {fact}") from None
            self._ports.append(port)
            self._log.info("{name} listens at {where}", name=self.name, where=str(port.getHost()))

    async def stop(self) -> None:
        """Take no new connections."""
        ports, self._ports = self._ports, []
        for port in ports:
            stopped = port.stopListening()
            if stopped is not None:
                await stopped

    def ports(self) -> tuple[IListeningPort, ...]:
        """What is listened at now."""
        return tuple(self._ports)

    def _endpoint(self, description: str) -> IStreamServerEndpoint:
        if description.startswith("/"):
            return _socket(self.reactor, description)
        try:
            endpoint: IStreamServerEndpoint = serverFromString(self.reactor, description)
        except TypeError:  # what the parser says about a part that is missing or not known
            raise ValueError("no such endpoint, or not with these parts") from None
        return endpoint


def _socket(reactor: Any, path: str) -> IStreamServerEndpoint:
    """A unix socket for its owner and group; a stale one of a dead process is replaced, a living one is not."""
    os.makedirs(os.path.dirname(path), mode=0o750, exist_ok=True)
    if _is_stale(path):
        for left in (path, f"{path}.lock"):
            with suppress(FileNotFoundError):
                os.unlink(left)
    return UNIXServerEndpoint(reactor, path, mode=0o660, wantPID=True)


def _is_stale(path: str) -> bool:
    """Whether nobody answers at the socket. The lock beside it cannot tell: it names a process by its number, and after
    a restart in a container that is the number of this very one."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return False
    except FileNotFoundError:
        return True
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(path) == errno.ECONNREFUSED
