"""What is left out of a question changes no decision: the engine beside Cedar with the whole question."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import cedarpy
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.addresses import parse_address, parse_client_identifier
from rrsd.core.values.digests import digest_of
from rrsd.core.values.instants import Instant, instant
from rrsd.core.values.peers import Strength, parse_issuer
from rrsd.core.values.policies import Action, Attribute, Entity, Question
from rrsd.core.values.resources import Grant
from rrsd.drivers.policy.engine import Engine, compile_policies
from rrsd.drivers.policy.service import find_policies, read_schema
from rrsd.drivers.policy.settings import Settings
from rrsd.drivers.policy.texts import Policy, parse_policies
from rrsd.roles.rs.flow.permission import Asked, question
from tests.support.examples import documented

SCHEMA = read_schema()
NOW = instant(1_790_000_000)
USER = "(principal is User, action, resource is Grant)"
CONDITIONS = (
    "resource.size > 1073741824", 'principal.domain == "bar.test"', 'context.proof.strength == "weak"',
    'resource.filename like "*.exe"', 'context has issuer && context.issuer == "https://bar.test"',
    'resource has sender.domain && resource["sender"].domain == "foo.test"', "context.size != resource.size",
    'context.now > resource.not_after', '[context] == [context]', 'principal.client.domain != principal.domain',
    '{"filename": resource.media_type}.filename == "video/mp4"', "resource.size * 9223372 > 9223372036854775806",
    'if principal.domain == "evil.test" then true else resource.message == "m"',
)  # fmt: skip
"""What policies may look at, in every way that there is."""


def own(text: str) -> tuple[Policy, ...]:
    """The policies of the text."""
    policies, flaws = parse_policies(text, "own.cedar", SCHEMA)
    assert not flaws, flaws
    return policies


SHIPPED = find_policies(Settings(), SCHEMA)[0]
EXAMPLES = own("".join(documented().values()))


def whole(asked: Question, policies: tuple[Policy, ...]) -> bool:
    """What Cedar says about everything, an error being a no."""
    request = {
        "principal": _name(asked.principal), "action": {"type": "Action", "id": asked.action.value},
        "resource": _name(asked.resource), "context": _plain(asked.context),
    }  # fmt: skip
    entities = [
        {"uid": _name(each), "attrs": _plain(each.attributes), "parents": []}
        for each in (asked.principal, asked.resource)
    ]
    result = cedarpy.is_authorized(request, "\n".join(each.text for each in policies), entities, SCHEMA.handle)
    return result.allowed and not result.diagnostics.errors


def _name(entity: Entity) -> dict[str, str]:
    return {"type": entity.kind, "id": entity.name}


def _plain(value: Attribute) -> Any:
    if isinstance(value, Instant):
        return {"__extn": {"fn": "datetime", "arg": value.strftime("%Y-%m-%dT%H:%M:%SZ")}}
    return {name: _plain(each) for name, each in value.items()} if isinstance(value, Mapping) else value


WORDS = st.sampled_from(["", "m", "a.exe", 'x"', "video/mp4"])
GRANTS = st.builds(
    Grant, WORDS, st.just(digest_of(b"x")), st.sampled_from([0, 1, 2**31, 2**41, 2**62]),
    st.sampled_from([parse_address("alice@foo.test"), parse_address("eve@evil.test")]),
    st.sampled_from([parse_address("bob@bar.test"), parse_address("carol@evil.test")]),
    st.sampled_from([NOW, NOW + timedelta(days=7)]), WORDS, WORDS,
)  # fmt: skip
ASKED = st.builds(
    Asked, st.sampled_from([parse_address("bob@bar.test"), parse_address("carol@evil.test")]),
    st.sampled_from([parse_client_identifier("_rra.bar.test"), parse_client_identifier("_rra.evil.test")]),
    st.sampled_from(["dane", "dns-txt"]), st.sampled_from(Strength), st.just(parse_issuer("https://bar.test")),
    st.integers(0, 47).map(lambda hours: NOW + timedelta(hours=hours)),
)  # fmt: skip
QUESTIONS = st.builds(question, st.sampled_from(list(Action)[:3]), ASKED, GRANTS)
OWN = st.lists(st.tuples(st.sampled_from(["permit", "forbid"]), st.sampled_from(CONDITIONS)), max_size=4)


class Short(SynchronousTestCase):
    """The same answer as by the whole question."""

    @settings(max_examples=300, deadline=None)
    @given(QUESTIONS, OWN)
    def test_any_policies(self, asked: Question, wanted: list[tuple[str, str]]) -> None:
        """Whatever the policies look at."""
        text = "".join(f'@id("p{n}") {effect} {USER} when {{ {when} }};\n' for n, (effect, when) in enumerate(wanted))
        for policies in ((*SHIPPED, *own(text)), own(text)):
            decision = Engine(SCHEMA, compile_policies(policies)).decide(asked)
            self.assertEqual(decision.is_permitted, whole(asked, policies), decision)

    @settings(max_examples=200, deadline=None)
    @given(QUESTIONS)
    def test_documented(self, asked: Question) -> None:
        """With the defaults and every example of the operator's page."""
        policies = (*SHIPPED, *EXAMPLES)
        decision = Engine(SCHEMA, compile_policies(policies)).decide(asked)
        self.assertEqual(decision.is_permitted, whole(asked, policies), decision)
