"""What operators do at random to a running queue, and how everything that they laid down is taken back."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from attrs import define, field

from rrsd.core.refusals import Refusal
from rrsd.core.values.jobs import Priority
from rrsd.core.values.operations import Filter
from rrsd.core.values.peers import parse_origin
from rrsd.roles.rra.acting import Given
from rrsd.roles.rra.bulk import Bulk, Order
from rrsd.roles.rra.operate import Operations
from rrsd.roles.rra.verbs import OF_A_JOB

HARMLESS = frozenset({"hold", "release", "retry-now", "extend", "set-priority"})
"""Verbs that change nothing of how a pull ends."""
GOVERNING = ("drain", "undrain", "pause", "resume", "limit", "retry-destination", "retry-issuer")
ALL = " --all"
OF_MANY = tuple(verb + ALL for verb in ("cancel", "expire-now", "extend", "hold", "release", "requeue-fresh",
                                        "retry-now", "set-priority"))  # fmt: skip
"""Verbs that are said of all pulls from one destination, and confirmed."""
VERBS = (*sorted(OF_A_JOB), "retry-now", "hold", "hold", "release", *GOVERNING, *OF_MANY)
_GIVEN = {"extend": Given(within=timedelta(hours=1)), "set-priority": Given(priority=Priority.BULK)}


TOLD = {"hold": "held", "cancel": "cancelled", "expire-now": "expired"}
"""What a pull is once such a verb was said of it and acknowledged, until somebody says another one."""


@define(eq=False)
class Orders:
    """What operators were told of pulls: whatever crashes, that is so as long as nobody says anything else of them."""

    told: dict[int, str] = field(factory=dict)
    _begun: Counter[int] = field(factory=Counter, init=False)
    _ended: Counter[int] = field(factory=Counter, init=False)

    def begin(self, jobs: Iterable[int]) -> None:
        """Something is said of these."""
        for job in jobs:
            self.told.pop(job, None)
            self._begun[job] += 1

    def end(self, jobs: Iterable[int], verb: str, refused: str) -> None:
        """It was answered. Where two spoke at the same time nobody knows whose word was the last."""
        for job in jobs:
            self._ended[job] += 1
            if verb in TOLD and not refused and self._begun[job] == self._ended[job]:
                self.told[job] = TOLD[verb]


def verb_of(details: Mapping[str, Any]) -> str:
    """The verb that the plan has drawn."""
    return VERBS[int(details["verb"] * len(VERBS))]


async def operate(operations: Operations, verb: str, job: int, origin: str) -> str:
    """Say the verb, about the job, its destination, or all pulls from there; the refusal, if there was one."""
    try:
        if verb.endswith(ALL):
            return await _operate_all(operations.bulk, verb.removesuffix(ALL), origin)
        if verb in GOVERNING:
            await _govern(operations, verb, origin)
        else:
            await operations.act(verb, job, given=_GIVEN.get(verb))
    except Refusal as refusal:
        return str(refusal)
    return ""


async def _operate_all(bulk: Bulk, verb: str, origin: str) -> str:
    order = Order(verb, Filter(origin=parse_origin(origin)), _GIVEN.get(verb, Given()))
    asked = await bulk.ask(order)
    step = await bulk.carry_out(order, asked.token, 0)
    return f"{asked.jobs} are meant, {step.changed} changed, {step.unchanged} did not allow it"


async def _govern(operations: Operations, verb: str, origin: str) -> None:
    governing, place = operations.governing, parse_origin(origin)
    if verb == "limit":
        await governing.limit(place, 1, "simulated")
    elif verb in ("pause", "resume"):
        await getattr(governing, verb)(place)
    elif verb == "retry-destination":
        await governing.retry(place)
    elif verb == "retry-issuer":
        await governing.retry_issuer()
    else:
        await getattr(governing, verb)()


async def take_back(operations: Operations, held: list[int]) -> None:
    """Nothing is held, paused, limited or drained any more. Refuses where that cannot be written."""
    for job in held:
        await operate(operations, "release", job, "")
    governing = operations.governing
    for ruling in governing.rulings:
        if ruling.name:
            await governing.resume(parse_origin(ruling.name))
            await governing.limit(parse_origin(ruling.name), 0)
        else:
            await governing.undrain()
