"""What policy says about the grants of a requester who was proved (protocol 4, "Policy")."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from attrs import frozen

from rrsd.core.refusals import Forbidden, Withdrawn
from rrsd.core.values.addresses import Address, ClientIdentifier
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Issuer, Strength
from rrsd.core.values.policies import Action, Attribute, Decision, Entity, Question
from rrsd.core.values.resources import Grant, Receipt
from rrsd.roles.rs.flow.admission import Trace
from rrsd.roles.rs.flow.proofs import Proved
from rrsd.roles.rs.ports import Policies, Timers

NOTHING: Mapping[str, Attribute] = MappingProxyType({})
MOST_ASKED = 8
"""Grants of one resource to one address that policy is asked about for one request."""


def sort_grants(
    grants: Sequence[Grant], message_ids: frozenset[str] | None, now: Instant
) -> tuple[list[Grant], list[Grant]]:
    """Those grants that are live and those that have ended, within the delegation's messages, longest-lived first."""
    named = sorted(
        (grant for grant in grants if message_ids is None or grant.message_id in message_ids),
        key=lambda grant: grant.not_after,
        reverse=True,
    )
    has_ended = [grant.withdrawn or grant.not_after <= now for grant in named]
    paired = list(zip(named, has_ended, strict=True))
    return [grant for grant, ended in paired if not ended], [grant for grant, ended in paired if ended]


@frozen
class Asked:
    """Who asks for a resource: a user, through a client that was proved, on the word of an issuer, at an instant."""

    subject: Address
    client: ClientIdentifier
    method: str
    strength: Strength
    issuer: Issuer
    now: Instant


def renewing(grant: Grant, until: Instant) -> Mapping[str, Attribute]:
    """What a question about a renewal says besides."""
    return {"until": until, "promised": grant.promised or grant.not_after}


def question(action: Action, asked: Asked, grant: Grant, more: Mapping[str, Attribute] = NOTHING) -> Question:
    """What policy is asked about one grant; every name and type is one of `schema.cedarschema`."""
    user: dict[str, Attribute] = {
        "address": asked.subject.key,
        "domain": asked.subject.domain.name,
        "client": {"name": str(asked.client), "domain": asked.client.domain.name},
    }
    about: dict[str, Attribute] = {
        "digest": grant.digest.b64,
        "message": grant.message_id,
        "sender": {"name": grant.sender.key, "domain": grant.sender.domain.name},
        "recipient": grant.recipient.key,
        "size": grant.size,
        "media_type": grant.media_type,
        "filename": grant.filename,
        "not_after": grant.not_after,
    }
    context: dict[str, Attribute] = {
        "now": asked.now,
        "proof": {"method": asked.method, "strength": asked.strength.value},
        "issuer": str(asked.issuer),
        "size": grant.size,
        **more,
    }
    name = f"{grant.message_id} {grant.digest.b64}"
    return Question(Entity("User", asked.subject.key, user), action, Entity("Grant", name, about), context)


def grants_of(grants: Sequence[Grant], receipts: Sequence[Receipt]) -> list[Grant]:
    """The grants that the receipts are about."""
    named = {(receipt.message_id, receipt.digest) for receipt in receipts}
    return [grant for grant in grants if (grant.message_id, grant.digest) in named]


@frozen
class Permission:
    """Asks policy about grants, a bounded number of times for one request."""

    policies: Policies
    timers: Timers

    def require(self, action: Action, proved: Proved, grants: Sequence[Grant], trace: Trace) -> Grant:
        """The grant that the request rests on: of the live ones the longest-lived that policy permits.

        `grants` are those of the requester, dead ones too. Whoever policy would not have let in while a grant was live
        does not learn that there was one.

        Raises:
            Forbidden: no grant names the requester within the delegation, or policy permits none.
            Withdrawn: all have ended.
        """
        now = self.timers.now()
        live, ended = sort_grants(grants, proved.delegation.message_ids, now)
        for grant in (live or ended)[:MOST_ASKED]:
            decision = self.decide(action, proved, grant)
            if decision.is_permitted:
                trace.policy = decision.because
                if not live:
                    raise Withdrawn("every grant has ended")
                return grant
            trace.policy = trace.policy or decision.because
        raise Forbidden(f"policy; {proved.evidence}" if live or ended else "no grant names the requester")

    def select(self, action: Action, proved: Proved, grants: Sequence[Grant], trace: Trace) -> list[Grant]:
        """Those of the grants that policy permits."""
        decisions = [self.decide(action, proved, grant) for grant in grants]
        trace.policy = " ".join(dict.fromkeys(each.because for each in decisions))
        return [grant for grant, decision in zip(grants, decisions, strict=True) if decision.is_permitted]

    def decide(self, action: Action, proved: Proved, grant: Grant, more: Mapping[str, Attribute] = NOTHING) -> Decision:
        """What policy says about one of them."""
        delegation, client = proved.delegation, proved.client
        asked = Asked(
            delegation.subject, client.client, client.method, client.strength, delegation.issuer, self.timers.now()
        )
        return self.policies.decide(question(action, asked, grant, more))
