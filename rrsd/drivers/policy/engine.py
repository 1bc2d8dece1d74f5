"""Decisions by Cedar: what no policy permits is refused, and so is what cannot be decided."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import cedarpy
from attrs import define, field, frozen

from rrsd.core.values.policies import Attribute, Decision, Entity, Question
from rrsd.drivers.policy.texts import EVERYTHING, Policy, Schema, names_in

ERROR = "error:"
"""Stands in a decision before the name of a policy that could not be evaluated; no name of a policy has a colon."""

QUESTION = f"{ERROR}question"
"""Stands in a decision on a question that Cedar could not even read."""

MOST_KEPT = 2048
"""Pairs of principal and resource that are kept as Cedar's own, about 4 kB each, and decisions that are remembered.

Cedar decides the same question in the same way, and a question holds only what some policy looks at: the time is part
of it as soon as a policy names the time.
"""


@frozen
class Policies:
    """Policies that hold together, parsed once; `by_name` finds where each stands.

    `names` are all attributes that any of them looks at: only these are handed over, since Cedar reads every value.
    """

    by_name: Mapping[str, Policy]
    handle: cedarpy.PolicySet
    names: frozenset[str]

    def chosen(self, attributes: Mapping[str, Attribute]) -> Mapping[str, Attribute]:
        """Those that are looked at."""
        return {name: value for name, value in attributes.items() if name in self.names}


def compile_policies(policies: Sequence[Policy]) -> Policies:
    """The policies as one set, each under its own name."""
    static = {policy.name: policy.form for policy in policies}
    document = {"templates": {}, "templateLinks": [], "staticPolicies": static}
    handle = cedarpy.PolicySet.from_json_str(json.dumps(document))
    names = frozenset(name for policy in policies for name in names_in(policy.form))
    return Policies({policy.name: policy for policy in policies}, handle, names)


@frozen
class Explanation:
    """A decision with all that can be said about it; `errors` also when the question does not fit the schema."""

    decision: Decision
    policies: tuple[Policy, ...]
    errors: tuple[str, ...]


@define(eq=False)
class Engine:
    """Decides by the policies that hold now.

    Questions are not checked against the schema each time: that costs 0.03 ms beside 0.1, and the roles' questions
    always have the same form, which their tests check. One of another form makes a policy fail, and that refuses.
    """

    schema: Schema
    policies: Policies
    _known: Any = field(init=False)
    _decided: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._known = lru_cache(MOST_KEPT)(cedarpy.Entities.from_json_str)
        self._decided = lru_cache(MOST_KEPT)(self._evaluate)

    def replace(self, policies: Policies) -> None:
        """Decide by these from now on."""
        self.policies = policies
        self._decided.cache_clear()

    def decide(self, question: Question) -> Decision:
        """Whether it is permitted, and which policies say so.

        Where one of them cannot be evaluated nothing is permitted, and it is named with `ERROR` before it: Cedar alone
        would leave it out, and a forbid that is left out permits.
        """
        try:
            known = self._short(question)
            whole = [_entity(known.principal), _entity(known.resource), _request(known)]
            decision: Decision = self._decided(json.dumps(whole))
        except (ValueError, TypeError):
            return Decision(False, (QUESTION,))
        return decision

    def _evaluate(self, whole: str) -> Decision:
        *entities, request = json.loads(whole)
        known = self._known(json.dumps(entities))
        return self._decision(cedarpy.is_authorized(request, self.policies.handle, known))

    def explain(self, question: Question) -> Explanation:
        """The decision, checked against the schema, with the texts of the policies and of every error."""
        decision = self.decide(question)
        errors: tuple[str, ...] = ()
        try:
            document = json.dumps([_entity(question.principal), _entity(question.resource)])
            entities = cedarpy.Entities.from_json_str(document, self.schema.handle)
            result = cedarpy.is_authorized(_request(question), self.policies.handle, entities, self.schema.handle)
            errors = tuple(result.diagnostics.errors)
        except (ValueError, TypeError) as problem:
            errors = (str(problem),)
        named = (name.removeprefix(ERROR) for name in decision.policies)
        return Explanation(
            decision, tuple(self.policies.by_name[name] for name in named if name in self.policies.by_name), errors
        )

    def _short(self, question: Question) -> Question:
        """The question without what no policy looks at."""
        principal, resource, chosen = question.principal, question.resource, self.policies.chosen
        return Question(
            Entity(principal.kind, principal.name, chosen(principal.attributes)),
            question.action,
            Entity(resource.kind, resource.name, chosen(resource.attributes)),
            question.context if EVERYTHING in self.policies.names else chosen(question.context),
        )

    def _decision(self, result: cedarpy.AuthzResult) -> Decision:
        errors = result.diagnostics.errors
        if not errors and result.decision is not cedarpy.Decision.NoDecision:
            return Decision(result.allowed, tuple(sorted(result.diagnostics.reasons)))
        failed = [name for name in self.policies.by_name if any(f"policy `{name}`" in error for error in errors)]
        forbids = () if result.allowed else sorted(result.diagnostics.reasons)
        return Decision(False, (*forbids, *(f"{ERROR}{name}" for name in failed)) if failed else (QUESTION,))


def _request(question: Question) -> dict[str, Any]:
    """Names as they are, in members of their own: never as text that would be parsed as Cedar."""
    return {
        "principal": {"type": question.principal.kind, "id": question.principal.name},
        "action": {"type": "Action", "id": question.action.value},
        "resource": {"type": question.resource.kind, "id": question.resource.name},
        "context": {name: _value(value) for name, value in question.context.items()},
    }


def _entity(entity: Entity) -> dict[str, Any]:
    attributes = {name: _value(value) for name, value in entity.attributes.items()}
    return {"uid": {"type": entity.kind, "id": entity.name}, "attrs": attributes, "parents": []}


def _value(value: Attribute) -> Any:
    if isinstance(value, datetime):
        return {"__extn": {"fn": "datetime", "arg": f"{value:%Y-%m-%dT%H:%M:%SZ}"}}
    if isinstance(value, Mapping):
        return {name: _value(each) for name, each in value.items()}
    return value
