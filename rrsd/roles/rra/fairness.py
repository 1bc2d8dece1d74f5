"""Who is next among all that could run (pure, no I/O).

Bytes are shared out over class, then recipient, then destination: at each level the one that was served least for its
weight goes first. The shares are those of deficit round robin with bytes as cost, without its rounds: a resource of any
size is taken in one step, and its share pays for it afterwards. What cannot run now (its destination has all its
transfers, its recipient too, …) is put aside at the gate that is shut, and comes back when that opens; it is not looked
at meanwhile. Those whose time will hardly do are a class of their own, the earliest deadline first.
"""

from bisect import insort
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from datetime import timedelta
from heapq import heapify, heappop, heappush, heapreplace
from itertools import count

from attrs import define, field

from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Candidate, Priority
from rrsd.core.values.peers import Origin

WEIGHTS = (8.0, 4.0, 1.0, 4.0)
"""Interactive, normal, bulk; and urgent: those whose time will hardly do, whatever their class."""
URGENT = 3
"""The class of those. Its share is as bounded as any other, so that nobody starves who writes no short deadlines."""
IN_LINE = (0, URGENT, 1, 2)
"""Who goes first of classes that were served alike."""
RANKS = {Priority.INTERACTIVE: 0, Priority.NORMAL: 1, Priority.BULK: 2}
AGEING = timedelta(minutes=30)
"""Who has waited so long belongs to the next better class."""
LEAST_COST = 64 << 10
"""Bytes that the smallest resource counts as: a request costs something too."""
SMALL = 8 << 20
"""Resources up to this size have a share of the slots for themselves."""
FEW = 32
"""How many that were put aside come back when a gate that many wait at opens."""

Gate = Hashable
Shut = Callable[[Candidate], Gate | None]
Presses = Callable[[Candidate, Instant], bool]


def rank_of(candidate: Candidate, now: Instant) -> int:
    """The class that it belongs to by now; 0 is the best."""
    return max(0, RANKS[candidate.priority] - max(0, (now - candidate.due) // AGEING))


def _deadline_of(each: Candidate) -> Instant:
    return each.deadline


def _line_up(flow: "_Node", each: Candidate) -> None:
    """At the end, or, where everybody is urgent, before those who have more time."""
    if flow.by_deadline and flow.jobs and each.deadline < flow.jobs[-1].deadline:
        insort(flow.jobs, each, key=_deadline_of)
    else:
        flow.jobs.append(each)


@define(eq=False)
class _Node:
    """A class, a recipient or a destination of one: bytes served for its weight, and its children by the same.

    `number` is its place in the line of equals: since it has something, or was served last.
    """

    weight: float = 1.0
    served: float = 0.0
    floor: float = 0.0
    heap: "list[tuple[float, int, _Node]]" = field(factory=list)
    parent: "_Node | None" = None
    origin: Origin | None = None
    is_in: bool = False
    number: int = 0
    by_deadline: bool = False
    jobs: deque[Candidate] = field(factory=deque)


def nothing_presses(_: Candidate, __: Instant) -> bool:
    """No candidate is urgent."""
    return False


@define(eq=False)
class Fair:
    """Candidates, at most as many as are put in; each is taken once. `presses` says whether one is urgent by now."""

    presses: Presses = nothing_presses
    _classes: list[_Node] = field(init=False)
    _people: dict[tuple[int, str], _Node] = field(factory=dict, init=False)
    _flows: dict[tuple[int, str, Origin, bool], _Node] = field(factory=dict, init=False)
    _known: dict[int, Candidate] = field(factory=dict, init=False)
    _by_origin: dict[Origin, set[int]] = field(factory=dict, init=False)
    _aside: dict[Gate, list[tuple[int, _Node]]] = field(factory=dict, init=False)
    _floor: float = field(default=0.0, init=False)
    _numbers: "count[int]" = field(factory=count, init=False)

    def __attrs_post_init__(self) -> None:
        self._classes = [_Node(weight) for weight in WEIGHTS]

    def __len__(self) -> int:
        return len(self._known)

    def known(self, origin: Origin) -> frozenset[int]:
        """The jobs of the destination that wait here."""
        return frozenset(self._by_origin.get(origin, ()))

    def count(self, origin: Origin) -> int:
        """How many they are."""
        return len(self._by_origin.get(origin, ()))

    @property
    def destinations(self) -> int:
        """How many destinations have something waiting here."""
        return len(self._by_origin)

    def add(self, candidates: Iterable[Candidate], now: Instant) -> None:
        """More that could run; one that is here already takes the place of its earlier self."""
        for each in candidates:
            self._known[each.job] = each
            self._by_origin.setdefault(each.origin, set()).add(each.job)
            flow = self._flow(each, now)
            _line_up(flow, each)
            if not flow.is_in:
                flow.number = next(self._numbers)
                self._enter(flow)

    def _flow(self, each: Candidate, now: Instant) -> _Node:
        waits_here = each.priority is Priority.INTERACTIVE
        rank = URGENT if not waits_here and self.presses(each, now) else rank_of(each, now)
        key = (rank, each.recipient, each.origin, each.size > SMALL)
        flow = self._flows.get(key)
        if flow is None:
            person = self._people.get(key[:2])
            if person is None:
                person = self._people[key[:2]] = _Node(parent=self._classes[rank])
            flow = self._flows[key] = _Node(parent=person, origin=each.origin, by_deadline=rank == URGENT)
        return flow

    def _enter(self, node: _Node) -> None:
        """The node has something again: nobody is owed for the time in which there was nothing."""
        node.is_in = True
        parent = node.parent
        if parent is None:
            node.served = max(node.served, self._floor)
            return
        node.served = max(node.served, parent.floor)
        heappush(parent.heap, (node.served, node.number, node))
        if not parent.is_in:
            parent.number = node.number
            self._enter(parent)

    def take(self, shut: Shut) -> Candidate | None:
        """The next one, gone from here; None when nothing can run. `shut` names the gate that keeps one back."""
        rings = [self._classes[rank] for rank in IN_LINE if self._classes[rank].heap]
        for ring in sorted(rings, key=lambda ring: ring.served):  # of equals, the better class
            found = self._take(ring, shut)
            if found is not None:
                return found
        return None

    def _take(self, ring: _Node, shut: Shut) -> Candidate | None:
        while ring.heap:
            person = ring.heap[0][2]
            flow = person.heap[0][2]
            head = self._head(flow)
            gate = None if head is None else shut(head)
            if head is not None and gate is None:
                self._serve(ring, person, flow, head)
                return head
            if gate is not None:
                heappush(self._aside.setdefault(gate, []), (flow.number, flow))
            self._leave(ring, person, flow, aside=gate is not None)
        ring.is_in = False
        return None

    def _head(self, flow: _Node) -> Candidate | None:
        while flow.jobs:
            if self._known.get(flow.jobs[0].job) is flow.jobs[0]:
                return flow.jobs[0]
            flow.jobs.popleft()
        return None

    def _leave(self, ring: _Node, person: _Node, flow: _Node, aside: bool) -> None:
        """The flow at the top has nothing, or nothing that may run: it counts as in while it stands aside."""
        heappop(person.heap)
        flow.is_in = aside
        if not person.heap:
            heappop(ring.heap)
            person.is_in = False

    def _serve(self, ring: _Node, person: _Node, flow: _Node, head: Candidate) -> None:
        flow.jobs.popleft()
        self._forget(head)
        cost = float(max(head.size, LEAST_COST))
        self._floor, ring.floor, person.floor = ring.served, person.served, flow.served
        for node in (ring, person, flow):
            node.served += cost / node.weight
            node.number = next(self._numbers)
        heapreplace(person.heap, (flow.served, flow.number, flow))
        heapreplace(ring.heap, (person.served, person.number, person))

    def refund(self, each: Candidate, now: Instant) -> None:
        """It was taken and could not run after all: its share is as if it had not been."""
        rank, cost = rank_of(each, now), float(max(each.size, LEAST_COST))
        ring, person = self._classes[rank], self._people.get((rank, each.recipient))
        flow = self._flows.get((rank, each.recipient, each.origin, each.size > SMALL))
        if person is None or flow is None:
            return
        for node, floor in ((ring, self._floor), (person, ring.floor), (flow, person.floor)):
            node.served = max(floor, node.served - cost / node.weight)
        for parent in (person, ring):
            parent.heap[:] = [(node.served, number, node) for _, number, node in parent.heap]
            heapify(parent.heap)

    def _forget(self, each: Candidate) -> None:
        del self._known[each.job]
        jobs = self._by_origin[each.origin]
        jobs.discard(each.job)
        if not jobs:
            del self._by_origin[each.origin]

    def open(self, gate: Gate, most: int = FEW) -> None:
        """Who was put aside at the gate may be looked at again, at most so many, those in line for longest."""
        waiting = self._aside.get(gate, [])
        while waiting and most > 0:
            most -= 1
            self._enter(heappop(waiting)[1])
        if not waiting:
            self._aside.pop(gate, None)

    def release(self, gate: Gate, origin: Origin) -> None:
        """What was put aside there of the destination may be looked at again: the gate is none for it any more."""
        waiting = self._aside.pop(gate, [])
        left = [(number, flow) for number, flow in waiting if flow.origin != origin]
        if left:
            self._aside[gate] = left
            heapify(left)
        for _, flow in waiting:
            if flow.origin == origin:
                self._enter(flow)

    @property
    def gates(self) -> tuple[Gate, ...]:
        """Where somebody was put aside."""
        return tuple(self._aside)

    def drop(self, origin: Origin) -> None:
        """Forget what waits here for the destination: it is on disk, and comes again."""
        for job in self._by_origin.pop(origin, ()):
            del self._known[job]

    def age(self, now: Instant) -> None:
        """Sort all anew, by what they have become with waiting; forget who has nothing."""
        waiting = sorted(self._known.values(), key=lambda each: (each.due, each.job))
        pressed = {each.job for each in waiting if self.presses(each, now)}
        if pressed:
            waiting.sort(key=lambda each: each.deadline if each.job in pressed else now)
        for ring in self._classes:
            ring.heap.clear()
            ring.is_in = False
        self._people.clear()
        self._flows.clear()
        self._aside.clear()
        self.add(waiting, now)
