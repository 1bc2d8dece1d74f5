"""What policy says about a token that is to be issued (protocol 4, "Policy")."""

from collections.abc import Iterable

from attrs import frozen

from rrsd.core.refusals import WrongTarget
from rrsd.core.values.addresses import Address, ClientIdentifier, Domain
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Origin
from rrsd.core.values.policies import Action, Attribute, Decision, Entity, Question

ANY = "*"


@frozen
class Wish:
    """A client that proved itself asks for a token for `target` in the name of `subject`.

    `evidence` is the kind of subject token; `chain` counts the actors that the token will name, the client included.
    """

    client: ClientIdentifier
    impersonates: Iterable[Domain]
    targets: Iterable[Origin] | None
    subject: Address
    evidence: str
    target: Origin
    now: Instant
    chain: int = 1


def question(wish: Wish) -> Question:
    """What policy is asked; every name and type is one of `schema.cedarschema`."""
    targets = (ANY,) if wish.targets is None else tuple(sorted(str(each) for each in wish.targets))
    client: dict[str, Attribute] = {
        "domain": wish.client.domain.name,
        "impersonates": tuple(sorted(each.name for each in wish.impersonates)),
        "targets": targets,
    }
    server: dict[str, Attribute] = {"origin": str(wish.target), "host": wish.target.host.name}
    context: dict[str, Attribute] = {
        "now": wish.now,
        "subject": wish.subject.key,
        "subject_domain": wish.subject.domain.name,
        "evidence": wish.evidence,
        "chain": wish.chain,
    }
    asked, target = Entity("Client", str(wish.client), client), Entity("Server", str(wish.target), server)
    return Question(asked, Action.EXCHANGE, target, context)


def require_permitted(decision: Decision) -> None:
    """Returns None if policy permits the token.

    Raises:
        WrongTarget: it does not; whoever is unwilling to issue for a target says so (RFC 8693 2.2.2 invalid_target).
    """
    if not decision.is_permitted:
        raise WrongTarget("policy")
