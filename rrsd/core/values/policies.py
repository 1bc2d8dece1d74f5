"""Questions to the policy engine and its decisions: principal, action, resource, context."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from attrs import field, frozen

Attribute: TypeAlias = str | int | bool | datetime | tuple[str, ...] | Mapping[str, "Attribute"]
"""What an attribute may be: a text, a whole number, a truth, an instant, a set of texts, or a record of these."""


class Action(StrEnum):
    """What may be asked for, at the resource server and at the token service."""

    RETRIEVE = "retrieve"
    QUERY = "query"
    ACKNOWLEDGE = "acknowledge"
    RENEW = "renew"
    EXCHANGE = "exchange"


@frozen
class Entity:
    """A party of a question: its type in the schema (`User`, `Client`, `Grant`, `Server`), its name, its attributes."""

    kind: str
    name: str
    attributes: Mapping[str, Attribute] = field(factory=dict)


@frozen
class Question:
    """May `principal` do `action` to `resource`, things being as `context` says?"""

    principal: Entity
    action: Action
    resource: Entity
    context: Mapping[str, Attribute] = field(factory=dict)


@frozen
class Decision:
    """The answer, and the identifiers of the policies that decided; none when no policy permits."""

    is_permitted: bool
    policies: tuple[str, ...] = ()

    @property
    def because(self) -> str:
        """The deciding policies in one line, for the audit trail."""
        return " ".join(self.policies) or "no policy permits"
