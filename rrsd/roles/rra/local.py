"""The operator's routes about pulls, and the delivery of messages by the local MTA; on the local endpoint only."""

from collections.abc import Sequence
from typing import ClassVar

from attrs import frozen
from twisted.web.iweb import IRequest

from rrsd.core.refusals import Malformed
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.jobs import State
from rrsd.core.values.messages import Message
from rrsd.core.values.peers import Origin, parse_origin
from rrsd.roles.rra.acceptance import Acceptance
from rrsd.roles.rra.documents import (
    adjustment_document,
    breaker_document,
    counts_document,
    explanation_document,
    job_document,
    shown_document,
)
from rrsd.roles.rra.operate import VERBS, Operations
from rrsd.web import bodies
from rrsd.web.router import Router, answer
from rrsd.web.trail import reading

MOST_PAGE = 500


@frozen
class Operator:
    """Routes of the operator's view of the queue."""

    routes: ClassVar[Router] = Router(details=True)
    operations: Operations
    acceptance: Acceptance
    most_message: int

    @routes.route("/queue", methods=["GET"])
    async def queue(self, request: IRequest) -> bytes:
        """The queue in numbers."""
        return answer(request, counts_document(await self.operations.counts()))

    @routes.route("/pulls", methods=["GET"])
    async def pulls(self, request: IRequest) -> bytes:
        """A page of jobs by number."""
        most = _number(request, b"most", 100)
        jobs = await self.operations.jobs(
            _state(_first(request, b"state")), _origin(_first(request, b"origin")), _number(request, b"after", 0), most
        )
        page = [job_document(job, await self.operations.done(job)) for job in jobs]
        return answer(request, {"pulls": page, "next": jobs[-1].job if len(jobs) == most else None})

    @routes.route("/destinations", methods=["GET"])
    async def destinations(self, request: IRequest) -> bytes:
        """How many pulls each destination may have at once, when it is asked again, and what led there."""
        name, now = _first(request, b"name"), self.operations.timers.now()
        changes = await self.operations.adjustments(name)
        known = [breaker_document(each, now) for each in self.operations.destinations(name)]
        return answer(request, {"destinations": known, "changes": [adjustment_document(each) for each in changes]})

    @routes.route("/pulls/<int:number>", methods=["GET"])
    async def show(self, request: IRequest, number: int) -> bytes:
        """Everything about one job."""
        return answer(request, shown_document(await self.operations.show(number)))

    @routes.route("/pulls/<int:number>/explain", methods=["GET"])
    async def explain(self, request: IRequest, number: int) -> bytes:
        """Why a job is where it is."""
        return answer(request, explanation_document((await self.operations.show(number)).explanation))

    @routes.route("/pulls/<int:number>/<verb>", methods=["POST"])
    async def act(self, request: IRequest, number: int, verb: str) -> bytes:
        """Change one job."""
        with reading(self.operations.audit, "operate", request):
            job = await self.operations.act(_verb(verb), number)
        return answer(request, {"job": job_document(job, await self.operations.done(job))})

    @routes.route("/pulls/<verb>", methods=["POST"])
    async def act_on_all(self, request: IRequest, verb: str) -> bytes:
        """Change every job that the body chooses; it says "all" so that nobody does it by mistake."""
        with reading(self.operations.audit, "operate", request):
            chosen = bodies.read_object(request)
            if chosen.get("all") is not True:
                raise Malformed("a bulk verb needs all: true")
            state, origin = _state(_text(chosen.get("state"))), _origin(_text(chosen.get("origin")))
            changed, unchanged = await self.operations.act_on_all(_verb(verb), state, origin)
        return answer(request, {"changed": changed, "unchanged": unchanged})

    @routes.route("/delegations", methods=["POST"])
    async def delegate(self, request: IRequest) -> bytes:
        """A delegation for a user at a resource server; the answer holds it, so that nobody may keep a copy."""
        with reading(self.operations.audit, "operate", request):
            given = bodies.read_object(request)
            user, origin = parse_address(_text(given.get("user"))), parse_origin(_text(given.get("resource")))
        text = await self.operations.delegate(user, origin)
        return answer(request, {"user": str(user), "resource": str(origin), "delegation": text}, no_store=True)

    @routes.route("/deliver", methods=["POST"])
    async def deliver(self, request: IRequest) -> bytes:
        """Accept a message for its recipients."""
        with reading(self.acceptance.audit, "accept", request):
            raw = bodies.read(request, self.most_message)
            recipients = [parse_address(_decoded(each)) for each in (request.args or {}).get(b"recipient", ())]
        accepted = await self.acceptance.accept(raw, recipients)
        return answer(request, {"accepted": accepted_document(accepted)})


def accepted_document(messages: Sequence[Message]) -> list[dict[str, object]]:
    """The messages that were new, with the pulls that each began."""
    return [
        {"recipient": str(each.recipient), "message": each.message, "pulls": [part.job for part in each.parts]}
        for each in messages
    ]


def _first(request: IRequest, name: bytes) -> str:
    values = (request.args or {}).get(name, [b""])
    return _decoded(values[0])


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("query") from None


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed("filter")
    return value


def _number(request: IRequest, name: bytes, default: int) -> int:
    text = _first(request, name)
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise Malformed("number")
    return max(1, min(int(text), MOST_PAGE)) if name == b"most" else int(text)


def _state(text: str) -> State | None:
    try:
        return State(text) if text else None
    except ValueError:
        raise Malformed("state") from None


def _origin(text: str) -> Origin | None:
    return parse_origin(text) if text else None


def _verb(text: str) -> str:
    if text not in VERBS:
        raise Malformed("verb")
    return text
