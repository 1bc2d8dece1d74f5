"""What policy would say, for the operator: the same questions as those of the roles, with every reason shown."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from attrs import frozen

from rrsd.core.refusals import Malformed, Unknown
from rrsd.core.values.addresses import (
    Address,
    ClientIdentifier,
    join_client_identifier,
    parse_address,
    parse_client_identifier,
)
from rrsd.core.values.digests import parse_digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.peers import Issuer, Origin, Strength, parse_issuer, parse_origin
from rrsd.core.values.policies import Action, Attribute, Entity, Question
from rrsd.core.values.resources import Grant
from rrsd.drivers.policy.engine import Engine, Explanation
from rrsd.drivers.policy.settings import Settings
from rrsd.roles.rs.flow.permission import MOST_ASKED, Asked, question, renewing, sort_grants
from rrsd.roles.sts import permission as sts
from rrsd.roles.sts.clients import Client

STRENGTHS = {
    "dane": Strength.DNSSEC,
    "webfinger": Strength.TLS,
    "dns-txt": Strength.DNSSEC,
    "issuer": Strength.ISSUER,
}
"""The methods, and what each rests on where it is at its best."""

EVIDENCES = ("impersonation", "access token", "delegation")

_RETRIEVAL = {"user", "resource", "action", "client", "method", "strength", "issuer", "at"}
_EXCHANGE = {"client", "target", "user", "evidence", "chain", "at"}


class Clients(Protocol):
    """The token service's clients."""

    async def find(self, name: str) -> Client | None:
        """The client, None when there is none."""
        ...


AT_THE_RS = (Action.RETRIEVE, Action.QUERY, Action.ACKNOWLEDGE, Action.RENEW)


def _about(action: Action, asked: Asked, grant: Grant) -> Question:
    more = renewing(grant, grant.not_after) if action is Action.RENEW else {}
    return question(action, asked, grant, more)


class Clock(Protocol):
    """The time of day."""

    def now(self) -> Instant: ...


@frozen
class PolicyDesk:
    """Explains decisions of the policies that hold now; `store` has the grants."""

    settings: Settings
    engine: Engine
    store: Any
    clients: Clients
    clock: Clock

    async def explain(self, given: Mapping[str, object]) -> Mapping[str, object]:
        """What policy would say about a request at the resource server, or with `target` at the token service.

        Raises:
            Malformed: a member is missing, unknown or not what it should be.
            Unknown: there is no such client.
        """
        return await (self._exchange(given) if "target" in given else self._retrieval(given))

    async def _retrieval(self, given: Mapping[str, object]) -> Mapping[str, object]:
        _only(given, _RETRIEVAL)
        subject, digest = parse_address(_text(given, "user")), parse_digest(_digest(_text(given, "resource")))
        action = _choice(given, "action", AT_THE_RS, Action.RETRIEVE)
        asked = self._asked(subject, given)
        live, ended = sort_grants(await self.store.grants.naming(digest, subject), None, asked.now)
        seen = [self._look(_about(action, asked, grant), grant, asked.now) for grant in (live or ended)[:MOST_ASKED]]
        answer = "410" if ended and not live else "200"
        return _report(seen, answer, "403", self._note(asked, bool(live or ended)), f"{action} {digest.ni}")

    def _asked(self, subject: Address, given: Mapping[str, object]) -> Asked:
        method = _choice(given, "method", tuple(STRENGTHS), "webfinger")
        strength = Strength(_choice(given, "strength", tuple(Strength), STRENGTHS[method]))
        issuer: Issuer = parse_issuer(_text(given, "issuer", f"https://{subject.domain}"))
        own = str(join_client_identifier("_rra", subject.domain.name))
        client = parse_client_identifier(_text(given, "client", own))
        return Asked(subject, client, method, strength, issuer, self._at(given))

    def _note(self, asked: Asked, has_grants: bool) -> str:
        """What decides before policy is asked."""
        if not has_grants:
            return f"no grant of this resource names {asked.subject}: policy is not asked"
        if self._is_foreign(asked.client, asked.subject):
            section = f"[policy.pair.{asked.subject.domain}]"
            return f"{asked.client} acts for users of its own domain only, and is refused before: list it in {section}"
        return ""

    def _is_foreign(self, client: ClientIdentifier, subject: Address) -> bool:
        listed = any(pair.domain == subject.domain and client in pair.clients for pair in self.settings.pairs)
        return client.domain != subject.domain and not listed

    async def _exchange(self, given: Mapping[str, object]) -> Mapping[str, object]:
        _only(given, _EXCHANGE)
        name, target = _text(given, "client"), parse_origin(_text(given, "target"))
        client = await self.clients.find(name)
        if client is None:
            raise Unknown(f"no client {name} is registered")
        wish = self._wish(client, target, given)
        seen = [self._look(sts.question(wish), None, wish.now)]
        return _report(seen, "200", "400 invalid_target", "", f"exchange for {target}")

    def _wish(self, client: Client, target: Origin, given: Mapping[str, object]) -> sts.Wish:
        chain = given.get("chain", 1)
        if not isinstance(chain, int) or isinstance(chain, bool) or chain < 1:
            raise Malformed("chain is a number of actors")
        evidence = _choice(given, "evidence", EVIDENCES, EVIDENCES[0])
        subject = parse_address(_text(given, "user"))
        return sts.Wish(
            client.identifier, client.impersonate, client.targets, subject, evidence, target, self._at(given), chain
        )

    def _look(self, asked: Question, grant: Grant | None, now: Instant) -> dict[str, Any]:
        said = self.engine.explain(asked)
        return {
            "about": asked.resource.name if grant is None else grant.message_id,
            "state": "" if grant is None else _state(grant, now),
            **_document(said),
            "question": _question(asked),
        }

    def _at(self, given: Mapping[str, object]) -> Instant:
        if "at" not in given:
            return self.clock.now()
        try:
            moment = datetime.fromisoformat(_text(given, "at"))
        except ValueError:
            raise Malformed("at is no instant: write 2026-12-24T18:00:00Z") from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _report(seen: Sequence[Mapping[str, Any]], good: str, bad: str, note: str, asked: str) -> dict[str, object]:
    """The first that policy permits decides, otherwise the first."""
    chosen = next((each for each in seen if each["permitted"]), seen[0] if seen else None)
    is_permitted = chosen is not None and chosen["permitted"] and not note
    return {
        "asked": asked,
        "permitted": is_permitted,
        # A policy that permits is not the reason of a refusal that came before it.
        "because": chosen["because"] if chosen and chosen["permitted"] == is_permitted else "",
        "answer": good if is_permitted else bad,
        "note": note,
        "looked_at": list(seen),
    }


def _state(grant: Grant, now: Instant) -> str:
    if grant.withdrawn:
        return "withdrawn"
    return "live" if grant.not_after > now else "ended"


def _document(said: Explanation) -> dict[str, Any]:
    policies = [{"name": each.name, "file": each.file, "line": each.line, "text": each.text} for each in said.policies]
    decision = said.decision
    return {
        "permitted": decision.is_permitted,
        "because": decision.because,
        "policies": policies,
        "errors": list(said.errors),
    }


def _question(asked: Question) -> dict[str, Any]:
    return {
        "principal": _entity(asked.principal),
        "action": asked.action.value,
        "resource": _entity(asked.resource),
        "context": _plain(asked.context),
    }


def _entity(entity: Entity) -> dict[str, Any]:
    return {"type": entity.kind, "id": entity.name, "attributes": _plain(entity.attributes)}


def _plain(value: Attribute) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _only(given: Mapping[str, object], known: set[str]) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise Malformed(f"unknown member {unknown[0][:40]!r}")


def _text(given: Mapping[str, object], name: str, default: str | None = None) -> str:
    value = given.get(name, default)
    if not isinstance(value, str):
        raise Malformed(f"{name} is missing, or no text")
    return value


def _choice(given: Mapping[str, object], name: str, known: Sequence[str], default: str) -> Any:
    text = _text(given, name, default)
    if text not in known:
        raise Malformed(f"{name} is one of {', '.join(known)}")
    return known[list(known).index(text)]


def _digest(text: str) -> str:
    return text.removeprefix("ni:///sha-256;")
