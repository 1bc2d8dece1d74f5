"""Who is at the other end of a request: what TLS proved, and nothing that a header claims (M-11)."""

import socket
import struct
from itertools import islice
from typing import Any, cast

from attrs import evolve
from OpenSSL.crypto import FILETYPE_ASN1, dump_certificate
from twisted.internet.interfaces import ISSLTransport
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from rrsd.core.values.peers import Certificate
from rrsd.core.wire.x509 import parse_certificate

MOST_CHAIN = 6
"""Certificates that are kept beside the leaf: one more than any proof takes, so that a longer chain is seen as such."""
MOST_CHAIN_BYTES = 32768


def certificate_of(request: IRequest) -> Certificate | None:
    """The client certificate of the request's connection, None if it has none.

    Parsed once per connection where the channel keeps it (`rrsd.web.site.Channel`).

    Raises:
        Malformed: it is not a certificate that can be understood.
    """
    channel: Any = getattr(request, "channel", None)
    if channel is None:
        return None
    if not hasattr(channel, "client_certificate"):
        return read_certificate(channel.transport)
    if channel.client_certificate is None:
        channel.client_certificate = read_certificate(channel.transport)
    found: Certificate | None = channel.client_certificate
    return found


def read_certificate(transport: object) -> Certificate | None:
    """The certificate that the other end of the TLS connection proved to hold the key of."""
    if not ISSLTransport.providedBy(transport) and not hasattr(transport, "getPeerCertificate"):
        return None
    certificate = transport.getPeerCertificate()
    if certificate is None:
        return None
    leaf = parse_certificate(dump_certificate(FILETYPE_ASN1, certificate))
    return evolve(leaf, chain=_read_chain(transport, leaf.der))


def _read_chain(transport: Any, leaf: bytes) -> tuple[bytes, ...]:
    """What came with the leaf; OpenSSL lists the leaf too on the client's side, but not on the server's.

    Nothing is parsed: OpenSSL takes certificates that nobody else would, and whoever proves a chain refuses those.
    """
    handle = getattr(transport, "getHandle", None)
    connection = None if handle is None else handle()
    found: Any = getattr(connection, "get_peer_cert_chain", list)() or ()
    kept: list[bytes] = []
    for each in islice(found, MOST_CHAIN + 1):
        der = dump_certificate(FILETYPE_ASN1, each)
        if der != leaf and len(kept) < MOST_CHAIN and sum(map(len, kept)) + len(der) <= MOST_CHAIN_BYTES:
            kept.append(der)
    return tuple(kept)


def operator_of(request: IRequest) -> str:
    """Who speaks through the administrator's socket: "operator", with the user's number where the kernel says it
    (unix(7), SO_PEERCRED)."""
    channel: Any = getattr(request, "channel", None)
    found: Any = getattr(getattr(channel, "transport", None), "socket", None)
    if found is None or getattr(found, "family", None) != socket.AF_UNIX:
        return "operator"
    _, user, _ = struct.unpack("3i", found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return f"operator uid {user}"


def address_of(request: IRequest) -> str:
    """The network address that the connection comes from."""
    return str(getattr(cast(Request, request).client, "host", ""))
