"""Refusals of requests that reach no flow: they are decisions too, and leave their line."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, cast

from attrs import frozen
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from rrsd.core.refusals import Refusal
from rrsd.core.values.calls import Event
from rrsd.runtime.logs import scrub
from rrsd.web.peers import address_of

MOST_PATH = 200
"""Characters of a path that stand in the audit trail."""


class Audit(Protocol):
    """The audit trail."""

    def record(self, event: Event) -> None:
        """Append one line; refuses with Unavailable when it cannot be written."""
        ...


@contextmanager
def reading(audit: Audit, what: str, request: IRequest, who: str = "") -> Iterator[None]:
    """While a request is read for the decision `what`: a refusal here is that decision, and is written down, with who
    asked where that is known."""
    try:
        yield
    except Refusal as refusal:
        note(audit, what, request, refusal, who)
        raise


def note(audit: Audit, what: str, request: IRequest, refusal: Refusal, who: str = "") -> None:
    """Write down that the request was refused; refuses with Unavailable when that is not possible."""
    peer, resource = address_of(request), name_of(request)
    audit.record(
        Event(what, "refused", who=who, peer=peer, resource=resource, refusal=refusal.reason, evidence=refusal.detail)
    )


@frozen
class Notes:
    """What a site writes down by itself; refuses with Unavailable when it cannot."""

    audit: Audit

    def refused(self, request: IRequest, refusal: Refusal) -> None:
        """It was turned away before any role saw it."""
        note(self.audit, "request", request, refusal)

    def failed(self, request: IRequest, reference: str) -> None:
        """It ended with an error that nobody had foreseen; the log has it under that reference."""
        peer, resource, evidence = address_of(request), name_of(request), f"reference {reference}"
        self.audit.record(Event("fault", "failed", peer=peer, resource=resource, evidence=evidence))


def name_of(request: IRequest) -> str:
    """Method and path; a query may hold what is nobody's business."""
    found = cast(Request, request)
    path = found.path if isinstance(found.path, bytes) else b""
    return f"{found.method.decode('ascii', 'replace')} {scrub(path.decode('ascii', 'replace'))[:MOST_PATH]}"
