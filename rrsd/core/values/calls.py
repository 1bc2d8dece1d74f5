"""What goes out over HTTP and what comes back, before any meaning."""

from collections.abc import Mapping

from attrs import field, frozen

from rrsd.core.values.peers import ProvenPeer


@frozen
class Call:
    """One request to a peer that was proved: origin-form `target`, headers in order, the whole body."""

    peer: ProvenPeer
    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)


@frozen
class Answer:
    """One response, whole: `headers` by lower-case name, repeated ones joined by ", "."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)


@frozen
class Event:
    """One decision for the audit trail (fixed names, never a token, secret or assertion).

    `what` was decided (retrieve, exchange, login, pull, accept …), by `who` (client or user), for `subject`, about
    `resource`, from `peer`; `outcome` is granted, refused or failed; `refusal` a reason from the closed list;
    `evidence` names what was believed, `policy` the policies that decided; `took` is seconds. `claims` are those of
    the assertion that was made or believed, without its signature; the trail keeps them only where it is told to.
    """

    what: str
    outcome: str
    who: str = ""
    subject: str = ""
    peer: str = ""
    resource: str = ""
    refusal: str = ""
    evidence: str = ""
    policy: str = ""
    took: float = 0.0
    size: int = 0
    claims: Mapping[str, object] = field(factory=dict)
