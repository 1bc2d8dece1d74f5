"""The way to an IMAP server that proves its name by TLS from the first byte (RFC 8314)."""

from datetime import timedelta
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IReactorTime, IStreamClientEndpoint
from zope.interface import implementer

from rrsd.runtime.secure import SecureFactory

ALPN = b"imap"
"""What is spoken there, for servers that look at it (RFC 7301, and its registry)."""


@implementer(IStreamClientEndpoint)
@frozen
class SecureEndpoint:
    """`endpoint` with TLS; `creator` makes connections to one name."""

    endpoint: IStreamClientEndpoint
    creator: Any
    clock: IReactorTime
    handshake: timedelta

    def connect(self, protocolFactory: IProtocolFactory) -> "Deferred[IProtocol]":  # noqa: N803 - Twisted's names
        """The protocol, connected; the handshake goes on while it waits for the greeting."""
        seconds = self.handshake.total_seconds()
        secure = SecureFactory(self.creator, protocolFactory, self.clock, is_client=True, handshake_timeout=seconds)
        return self.endpoint.connect(secure).addCallback(_inner)


def _inner(outer: Any) -> IProtocol:
    inner: IProtocol = outer.gathered.inner
    return inner
