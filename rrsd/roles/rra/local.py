"""The operator's routes about pulls, and the delivery of messages by the local MTA; on the local endpoint only."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar

from attrs import frozen
from twisted.web.iweb import IRequest

from rrsd.core.refusals import Malformed, Unknown
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.jobs import State
from rrsd.core.values.messages import Message
from rrsd.core.values.operations import Kind
from rrsd.core.values.peers import parse_origin
from rrsd.roles.rra.acceptance import Acceptance
from rrsd.roles.rra.bulk import Order
from rrsd.roles.rra.documents import (
    adjustment_document,
    asked_document,
    breaker_document,
    counts_document,
    explanation_document,
    job_document,
    ruling_document,
    shape_document,
    shown_document,
    stock_document,
)
from rrsd.roles.rra.moving import HEADER, Moving
from rrsd.roles.rra.openapi_verbs import PATH, verbs_document
from rrsd.roles.rra.operate import AGES, Operations
from rrsd.roles.rra.questions import (
    FILTERS,
    decoded,
    first,
    given_of,
    named,
    needed_origin,
    number_of,
    require_asked,
    require_known,
    text_of,
    verb_of,
    wanted_by,
    wanted_of,
    whole,
)
from rrsd.roles.rra.stocktaking import RATE, Stock
from rrsd.roles.rra.verbs import BY_NAME
from rrsd.web import bodies
from rrsd.web.peers import operator_of
from rrsd.web.router import Router, answer
from rrsd.web.trail import reading


@frozen
class Operator:
    """Routes of the operator's view of the queue."""

    routes: ClassVar[Router] = Router(details=True)
    operations: Operations
    acceptance: Acceptance
    stock: Stock
    moving: Moving
    most_message: int

    @contextmanager
    def _said(self, request: IRequest) -> Iterator[str]:
        """Who says it; a refusal leaves its line, with the same name."""
        who = operator_of(request)
        with reading(self.operations.audit, "operate", request, who):
            yield who

    @routes.route("/queue", methods=["GET"])
    async def queue(self, request: IRequest) -> bytes:
        """The queue in numbers, and what operators have laid down."""
        counts = counts_document(await self.operations.counts())
        rulings = [ruling_document(each) for each in self.operations.governing.rulings]
        return answer(request, {**counts, "rulings": rulings})

    @routes.route(PATH, methods=["GET"])
    def described(self, request: IRequest) -> bytes:
        """All of it in the words of OpenAPI."""
        return answer(request, verbs_document())

    @routes.route("/queue/drain", methods=["POST"])
    async def drain(self, request: IRequest) -> bytes:
        """Start nothing new."""
        with self._said(request) as who:
            await self.operations.governing.drain(text_of(_body(request).get("reason"), "reason"), who)
        return self._rulings(request)

    @routes.route("/queue/undrain", methods=["POST"])
    async def undrain(self, request: IRequest) -> bytes:
        """Undo it."""
        with self._said(request) as who:
            await self.operations.governing.undrain(who)
        return self._rulings(request)

    @routes.route("/queue/export", methods=["POST"])
    async def export(self, request: IRequest) -> bytes:
        """Messages of which something has not arrived, a page of them."""
        with self._said(request) as who:
            page = await self.moving.export(whole(_body(request).get("after"), name="after"), who)
        lines, left_out = list(page.lines), list(page.left_out)
        return answer(request, {"header": HEADER, "lines": lines, "left_out": left_out, "next": page.next})

    @routes.route("/queue/import", methods=["POST"])
    async def take(self, request: IRequest) -> bytes:
        """Take up one of them."""
        with self._said(request) as who:
            pulls = await self.moving.take(bodies.read_object(request, 2 * self.most_message), who)
        return answer(request, {"pulls": pulls})

    @routes.route("/store/verify", methods=["POST"])
    def verify(self, request: IRequest) -> bytes:
        """Hash again everything that is stored, in the background."""
        with self._said(request) as who:
            rate = whole(_body(request).get("rate"), RATE, "rate")
            return answer(request, stock_document(self.stock.verify(rate, who)), 202)

    @routes.route("/store/verify", methods=["GET"])
    def verifying(self, request: IRequest) -> bytes:
        """How far that is."""
        if self.stock.run is None:
            raise Unknown("nobody has asked for it since the daemon started: rrsctl pulls verify-store")
        return answer(request, stock_document(self.stock.run))

    @routes.route("/store/gc", methods=["GET"])
    async def removable(self, request: IRequest) -> bytes:
        """What the next collection would remove, and why."""
        require_asked(request, "most")
        return answer(request, await self.stock.removable(number_of(request, b"most", 100)))

    @routes.route("/pulls", methods=["GET"])
    async def pulls(self, request: IRequest) -> bytes:
        """A page of jobs by number; it may be empty and not the last one."""
        require_asked(request, *FILTERS, "after", "most")
        wanted = wanted_by(request, self.operations.timers.now())
        page = await self.operations.jobs(wanted, number_of(request, b"after", 0), number_of(request, b"most", 100))
        shown = [job_document(job, await self.operations.done(job)) for job in page.jobs]
        rulings = [ruling_document(each) for each in self.operations.governing.rulings]
        return answer(request, {"pulls": shown, "next": page.next, "rulings": rulings})

    @routes.route("/shape", methods=["GET"])
    async def shape(self, request: IRequest) -> bytes:
        """How many live jobs of each destination are how old."""
        require_asked(request, "most")
        rows = await self.operations.shape(number_of(request, b"most", 20))
        return answer(request, shape_document(rows, AGES))

    @routes.route("/destinations", methods=["GET"])
    async def destinations(self, request: IRequest) -> bytes:
        """How many pulls each destination may have at once, when it is asked again, and what led there."""
        require_asked(request, "name")
        name, now = first(request, b"name"), self.operations.timers.now()
        changes = await self.operations.adjustments(name)
        ruled = self.operations.governing.rulings
        limits = {each.name: each for each in ruled if each.kind is Kind.LIMIT}
        known = [breaker_document(each, now, limits.get(each.name)) for each in self.operations.destinations(name)]
        rulings = [ruling_document(each) for each in ruled if name in ("", each.name)]
        document = {"destinations": known, "changes": [adjustment_document(each) for each in changes]}
        return answer(request, {**document, "rulings": rulings})

    @routes.route("/destinations/<verb>", methods=["POST"])
    async def govern(self, request: IRequest, verb: str) -> bytes:
        """Pause, resume, limit or probe a destination; or ask our token service at once."""
        with self._said(request) as who:
            body, governing = _body(request), self.operations.governing
            if verb == "retry-issuer":
                return answer(request, {"asked": await governing.retry_issuer(who)})
            origin, reason = needed_origin(body.get("name")), text_of(body.get("reason"), "reason")
            match verb:
                case "retry":
                    wait, waits_for = governing.wait(origin), list(governing.waits_for(origin))
                    woken = await governing.retry(origin, who)
                    return answer(request, {"woken": woken, "wait": wait, "waits_for": waits_for})
                case "pause":
                    await governing.pause(origin, reason, who)
                case "resume":
                    await governing.resume(origin, who)
                case "limit":
                    await governing.limit(origin, whole(body.get("most"), name="most"), reason, who)
                case _:
                    raise Malformed("verb: one of retry, retry-issuer, pause, resume, limit")
        return self._rulings(request)

    def _rulings(self, request: IRequest) -> bytes:
        return answer(request, {"rulings": [ruling_document(each) for each in self.operations.governing.rulings]})

    @routes.route("/pulls/<int:number>", methods=["GET"])
    async def show(self, request: IRequest, number: int) -> bytes:
        """Everything about one job."""
        return answer(request, shown_document(await self.operations.show(number)))

    @routes.route("/pulls/<int:number>/explain", methods=["GET"])
    async def explain(self, request: IRequest, number: int) -> bytes:
        """Why a job is where it is."""
        return answer(request, explanation_document(await self.operations.explain(number)))

    @routes.route("/pulls/<int:number>/<verb>", methods=["POST"])
    async def act(self, request: IRequest, number: int, verb: str) -> bytes:
        """Change one job."""
        with self._said(request) as who:
            given = given_of(_body(request))
            acted = await self.operations.acts.acted(verb_of(verb), number, who, given)
        job = acted.job
        begins = verb == "retry-now" and job.state in (State.NEW, State.READY)
        waits_for = list(self.operations.governing.waits_for(job.origin)) if begins else []
        document = {"job": job_document(job, await self.operations.done(job)), "changed": acted.is_changed}
        return answer(request, {**document, "waits_for": waits_for})

    @routes.route("/pulls/<verb>", methods=["POST"])
    async def act_on_all(self, request: IRequest, verb: str) -> bytes:
        """Change every job that the body chooses. It says "all" so that nobody does it by mistake; without a token it
        is told how many that are, and the token that confirms it."""
        with self._said(request) as who:
            body, bulk = bodies.read_object(request), self.operations.bulk
            if body.get("all") is not True or not BY_NAME[verb_of(verb)].is_bulk:
                raise Malformed("a bulk verb needs all: true, and is none of those that are for one pull only")
            require_known(body)
            order = Order(
                verb, wanted_of(body, self.operations.timers.now()), given_of(body), whole(body.get("age"), name="age")
            )
            token, after = text_of(body.get("token"), "token"), whole(body.get("after"), name="after")
            if not token:
                return answer(request, asked_document(await bulk.ask(order)))
            step = await bulk.carry_out(order, token, after, who)
        waits_for = self.operations.governing.waits_for(order.wanted.origin) if verb == "retry-now" else ()
        counted = {"changed": step.changed, "unchanged": step.unchanged, "next": step.next}
        return answer(request, {**counted, "waits_for": list(waits_for)} if waits_for else counted)

    @routes.route("/delegations", methods=["POST"])
    async def delegate(self, request: IRequest) -> bytes:
        """A delegation for a user at a resource server; the answer holds it, so that nobody may keep a copy."""
        with self._said(request) as who:
            given = bodies.read_object(request)
            user = named("user", parse_address, text_of(given.get("user"), "user"))
            origin = named("resource", parse_origin, text_of(given.get("resource"), "resource"))
        text = await self.operations.delegate(user, origin, who)
        return answer(request, {"user": str(user), "resource": str(origin), "delegation": text}, no_store=True)

    @routes.route("/deliver", methods=["POST"])
    async def deliver(self, request: IRequest) -> bytes:
        """Accept a message for its recipients."""
        with reading(self.acceptance.audit, "accept", request):
            raw = bodies.read(request, self.most_message)
            recipients = [
                named("recipient", parse_address, decoded(each)) for each in (request.args or {}).get(b"recipient", ())
            ]
        accepted = await self.acceptance.accept(raw, recipients)
        return answer(request, {"accepted": accepted_document(accepted)})


def accepted_document(messages: Sequence[Message]) -> list[dict[str, object]]:
    """The messages that were new, with the pulls that each began."""
    return [
        {"recipient": str(each.recipient), "message": each.message, "pulls": [part.job for part in each.parts]}
        for each in messages
    ]


def _body(request: IRequest) -> Mapping[str, object]:
    """The object of the body; an empty one for none."""
    return bodies.read_object(request) if bodies.has_body(request) else {}
