"""Whether the resolver that is configured validates: asked once, without a reactor."""

import secrets
import socket
from collections.abc import Sequence
from enum import StrEnum

import dns.rcode
from attrs import frozen

from rrsd.core.refusals import Malformed
from rrsd.drivers.dns.messages import PAYLOAD, Answer, read_answer, write_query
from rrsd.drivers.dns.places import Place

PATIENCE = 3.0
"""Seconds that the resolver has for one answer."""


class Found(StrEnum):
    """What the resolver is."""

    VALIDATES = "it validates"
    ANSWERS = "it does not validate"
    SILENT = "that cannot be told now"
    ABSENT = "nobody listens there"


@frozen
class Probe:
    """What was found, and by which word of the resolver."""

    found: Found
    said: str = ""


def probe(server: Place, names: Sequence[str]) -> Probe:
    """Ask for names of which one has to be secure, such as the root, until an answer is."""
    last = Probe(Found.SILENT)
    for name in names:
        last = _asked(server, name, last)
        if last.found in (Found.VALIDATES, Found.ABSENT):
            break
    return last


def _asked(server: Place, name: str, before: Probe) -> Probe:
    try:
        answer = _answer(server, name)
    except ConnectionRefusedError:
        return Probe(Found.ABSENT)
    except (OSError, Malformed):
        return Probe(before.found, "no answer")
    if answer.rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return Probe(before.found, dns.rcode.to_text(dns.rcode.Rcode(answer.rcode)))
    return Probe(Found.VALIDATES if answer.authentic else Found.ANSWERS)


def _answer(server: Place, name: str) -> Answer:
    query = write_query(name, "SOA", secrets.randbits(16))
    with socket.socket(socket.AF_INET6 if ":" in server.address else socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(PATIENCE)
        asking.connect((server.address, server.port))
        asking.send(query.wire)
        return read_answer(query, asking.recv(PAYLOAD))
