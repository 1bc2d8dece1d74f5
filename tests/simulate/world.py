"""One seed: its world is built, lives through its plan, comes to rest, and is looked at all the time."""

from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from random import Random  # noqa: TID251 (of a seed that is printed)
from typing import Any, TypeVar, cast

from attrs import define, field
from twisted.logger import ILogObserver, LogLevel, globalLogPublisher
from twisted.python.failure import Failure

from rrsd.core.refusals import Refusal
from rrsd.core.values.addresses import parse_address
from rrsd.core.values.instants import instant
from rrsd.roles.idp.ports import User
from rrsd.roles.rra.rules import TERMINAL
from rrsd.runtime.awaits import deferred_of
from tests.crash.files import Broken
from tests.simulate.checks import (
    Witness,
    durable,
    fate_wrong,
    is_over,
    overdue,
    require_aim,
    require_bytes_once,
)
from tests.simulate.clock import Heaped
from tests.simulate.hearing import hearing_of
from tests.simulate.homes import home_of
from tests.simulate.incidents import PASSING
from tests.simulate.letters import GOOD, MISSING, Letter
from tests.simulate.machine import Machine, Process
from tests.simulate.network import Network
from tests.simulate.operators import ALL, HARMLESS, operate, take_back, verb_of
from tests.simulate.plan import GONE, RECEIVER, USERS, Incident, Plan
from tests.simulate.story import BEGIN, Story

T = TypeVar("T")
AGAIN = 60.0
TO_BE_SAID = 660.0
"""After the end of the last pull, until everybody has heard of it: what was lost is said once the last of the others
has come, which nobody rings for."""
EXPLAINED = 5
"""Live pulls that are explained at each look."""
LOOK_EVERY = 1800.0
MOST_STEPS = 20_000
LEAST_TIME = 5.0
PATIENCE = 9 * 3600.0
"""How long after the last trouble everything must be over: a receipt waits for six hours at most, and so does a pull
whose authorization was refused."""


@define(eq=False)
class World:
    """Machines, a network, a plan."""

    plan: Plan
    clock: Heaped = field(factory=Heaped)
    story: Story = field(init=False)
    network: Network = field(init=False)
    machines: dict[str, Machine] = field(factory=dict)
    witness: Witness = field(init=False)
    touched: set[tuple[str, str]] = field(factory=set)
    broken: list[Broken] = field(factory=list)
    dying: bool = False
    pulls: int = 0
    _steps: int = 0
    _since: float = 0.0
    _numbers: Any = field(factory=lambda: count(1))

    def __attrs_post_init__(self) -> None:
        self.clock.rightNow = float(BEGIN)
        self.story = Story(self.clock)
        self.network = Network(self.clock, Random(f"network of {self.plan.seed}"), self.story)
        self.witness = Witness(list(self.plan.letters))
        self.network.probed = self.witness.effort.probed
        for name in (RECEIVER, *self.plan.senders):
            random = Random(f"{name} of {self.plan.seed}")
            host = self.network.host(name)
            active = self.plan.active if name == RECEIVER else 0
            machine = Machine(
                home_of(name, active), self.network, host, random, lambda: next(self._numbers), self._heard
            )
            machine.troubles.died = self._died(machine)
            self.machines[name] = machine

        self.network.host(GONE).is_dark = True

    @property
    def receiver(self) -> Machine:
        """The machine to which all letters go."""
        return self.machines[RECEIVER]

    # --- the whole life

    def run(self) -> None:
        """Live through the plan. Raises Broken."""
        observer = cast(ILogObserver, self._logged)
        globalLogPublisher.addObserver(observer)
        try:
            self._live()
        finally:
            globalLogPublisher.removeObserver(observer)
            self._bury()

    def _live(self) -> None:
        for machine in self.machines.values():
            self._boot(machine)
            self._people(machine)
        for each in self.plan.incidents:
            self.clock.callLater(each.at, self._happen, each)
        self.clock.callLater(self.plan.calm, self._calm)
        self._until(BEGIN + self.plan.calm)
        self._until_over(BEGIN + self.plan.calm + PATIENCE)
        self._until(self.clock.seconds() + TO_BE_SAID)
        self._look()
        self._end()

    def _until(self, end: float) -> None:
        look = self.clock.seconds() + LOOK_EVERY
        while self.clock.step(end):
            self.dying = False
            self._require_time_to_pass()
            if self.broken:
                raise self.broken[0]
            if self.clock.seconds() >= look:
                look += LOOK_EVERY
                self._look()

    def _require_time_to_pass(self) -> None:
        """Nothing may go round and round while the clock stands still (R5)."""
        self._steps += 1
        if self._steps < MOST_STEPS:
            return
        if self.clock.seconds() - self._since < LEAST_TIME:
            raise Broken("R5", f"{MOST_STEPS} steps within {LEAST_TIME} s: something loops")
        self._steps, self._since = 0, self.clock.seconds()

    def _until_over(self, end: float) -> None:
        while self.clock.seconds() < end and not self._is_over():
            self._until(min(end, self.clock.seconds() + LOOK_EVERY))

    def _is_over(self) -> bool:
        return is_over(durable(self.receiver).jobs, self.plan.letters)

    def _end(self) -> None:
        for letter in self.plan.letters:
            self._require_effort(letter)
            if letter.sender in self.plan.well:
                self.witness.require_prompt(letter)
        jobs = durable(self.receiver).jobs
        letters = {letter.message_id: letter for letter in self.plan.letters}
        for job in jobs:
            was_touched, damaged = (job.recipient, job.digest) in self.touched, self.network.damaged[job.digest]
            wrong = fate_wrong(job, letters[job.message_id], was_touched, damaged)
            if wrong:
                raise Broken("R7" if overdue([job]) else "R8", wrong)
        hearing_of(self.plan).require_all_said(durable(self.receiver))
        self.story.say("world", f"over: {len(jobs)} pulls")

    def _require_effort(self, letter: Letter) -> None:
        network = self.network
        for item in letter.items:
            digest = item.digest.b64
            if item.kind == GOOD and not self.receiver.troubles.failed and digest not in network.excused:
                require_bytes_once(item, network.carried[digest], network.requests[digest])

    def _look(self) -> None:
        self.witness.look(self.machines, self.receiver)
        hearing_of(self.plan).look(durable(self.receiver))
        process = self.receiver.process
        if process is not None and self.receiver.host.listen is not None:
            jobs = durable(self.receiver).jobs
            require_aim(self.receiver)
            self._explained(process)
            lanes = process.whole.retrieving.agent.scheduler._lanes.values()
            ours = {number for lane in lanes for number in lane.held.values()}
            lost = [job.job for job in jobs if job.state == "leased" and job.job not in ours]
            if lost and not process.whole.retrieving.agent.scheduler._behind:
                raise Broken("R7", f"leased, and nobody works on them: {lost}")

    def _explained(self, process: Process) -> None:
        for job in [each for each in durable(self.receiver).jobs if each.state not in TERMINAL][:EXPLAINED]:
            wrong = self._now(process.whole.retrieving.operations.circumstances.check(job.job))
            if wrong:
                raise Broken("R7", f"pull {job.job}, {job.state}, is not explained: {wrong}")

    @staticmethod
    def _now(work: Awaitable[T]) -> T:
        """What comes of work that does not wait."""
        found: list[Any] = []
        deferred_of(work).addBoth(found.append)
        if isinstance(found[0], Failure):
            found[0].raiseException()
        result: T = found[0]
        return result

    # --- machines

    def _boot(self, machine: Machine) -> None:
        if machine.process is None:
            machine.boot(lambda refusal: self._refused(machine, refusal))

    def _refused(self, machine: Machine, refusal: Refusal) -> None:
        """A daemon that cannot start is started again, as its manager does; a full disk is no reason."""
        if machine.boots > 1 and not machine.troubles.chance + machine.troubles.chance_of_sync:
            self.broken.append(Broken("R7", f"the daemon of {machine.name} does not start: {refusal}"))
        self.clock.callLater(AGAIN, self._boot, machine)

    def _people(self, machine: Machine) -> None:
        assert machine.process is not None
        for name in USERS if machine is self.receiver else ("alice",):
            user = User(parse_address(f"{name}@{machine.name}"), "", False, instant(BEGIN))
            self._now(machine.process.store.users.save(user))

    def _died(self, machine: Machine) -> Callable[[], None]:
        def died() -> None:
            self.dying = True
            self._crash(machine, machine.with_power)

        return died

    def _crash(self, machine: Machine, with_power: bool) -> None:
        machine.die(with_power)
        self.clock.callLater(machine.down, self._boot, machine)
        self.clock.callLater(0, self._look)

    def _bury(self) -> None:
        """Nothing of this world moves any more."""
        for machine in self.machines.values():
            if machine.process is not None:
                machine.process.clock.end()

    def _logged(self, event: Mapping[str, Any]) -> None:
        failure = event.get("log_failure")
        if failure is not None and not self.dying and not failure.check(Refusal):
            self.story.say("log", failure.getTraceback())
            known = failure.value if isinstance(failure.value, Broken) else None
            self.broken.append(known or Broken("log", f"an unexpected failure: {failure.getErrorMessage()}"))
        elif event.get("log_level") is LogLevel.critical and str(event.get("log_format")).startswith("rra:"):
            self.broken.append(Broken("R7", f"the self-check has found something: {event['log_format']}"))

    def _heard(self, machine: Machine, event: Mapping[str, Any]) -> None:
        if event["what"] != "pull":
            return
        self.pulls += 1
        subject, digest = str(event["subject"]), str(event["resource"]).rpartition(";")[2]
        if event["outcome"] != "granted":
            require_aim(self.receiver)
            self.witness.effort.attempted(subject, digest, self.clock.seconds())
        elif not self.dying:
            self.witness.stored.setdefault((subject, digest), self.clock.seconds())

    # --- what happens

    def _happen(self, incident: Incident) -> None:
        if incident.kind != "send":
            self.story.say("plan", str(incident))
        _INCIDENTS[incident.kind](self, incident)

    def _letter(self, incident: Incident) -> Letter:
        place: int = incident.details["letter"] - 1
        return self.plan.letters[place]

    def send(self, incident: Incident) -> None:
        """The sender's domain keeps and grants; then the message travels."""
        letter, machine = self._letter(incident), self.machines.get(incident.where)
        if machine is None:
            letter.written(instant(self.clock.seconds()))
            self.clock.callLater(0.5, self._deliver, letter)
            return
        if machine.process is not None:
            deferred_of(self._grant(letter, machine, machine.process)).addErrback(self._unexpected)
        if letter.granted:
            self.clock.callLater(0.5, self._deliver, letter)
        else:
            self.clock.callLater(AGAIN, self.send, incident)

    async def _grant(self, letter: Letter, machine: Machine, process: Process) -> None:
        now = instant(self.clock.seconds())
        letter.written(now)
        try:
            for item in letter.items:
                if item.kind != MISSING:
                    await process.store.blobs.put(item.data)
            await process.store.grants.add(letter.grants(now))
        except Refusal as refusal:
            self.story.say(machine.name, f"letter {letter.number} is not granted: {refusal}")
            return
        if process.alive:
            letter.granted = True
            self.story.say(machine.name, f"letter {letter.number} is granted")

    def _deliver(self, letter: Letter) -> None:
        process = self.receiver.process
        if process is not None:
            deferred_of(self._accept(letter, process)).addErrback(self._unexpected)
        if not letter.accepted:
            self.clock.callLater(AGAIN, self._deliver, letter)

    async def _accept(self, letter: Letter, process: Process) -> None:
        letter.deliveries += 1
        try:
            await process.whole.retrieving.acceptance.accept(letter.raw, letter.recipients, is_proved=letter.is_proved)
        except Refusal as refusal:
            self.story.say(RECEIVER, f"letter {letter.number} is not taken: {refusal}")
            return
        if process.alive:
            letter.accepted_at = letter.accepted_at or self.clock.seconds()
            letter.is_ahead = letter.is_ahead or self.receiver.skew > 0
            letter.accepted = True
            self.story.say(RECEIVER, f"letter {letter.number} is taken")

    def deliver_again(self, incident: Incident) -> None:
        """The mail server did not hear the answer."""
        letter = self._letter(incident)
        if letter.accepted:
            self._deliver(letter)

    def _unexpected(self, failure: Failure) -> None:
        if not self.dying:
            known = failure.value if isinstance(failure.value, Broken) else None
            self.broken.append(known or Broken("log", f"an unexpected failure: {failure.getTraceback()}"))

    def passing(self, incident: Incident) -> None:
        """Something is wrong with a machine, or on the way to it, for a while."""
        PASSING[incident.kind](self.clock, self.machines[incident.where], incident)

    def crash(self, incident: Incident) -> None:
        """The machine, or its daemon, ends: now, or at one of its next calls to the disk."""
        machine, details = self.machines[incident.where], incident.details
        machine.with_power, machine.down = details["power"], details["down"]
        if "calls" in details:
            machine.troubles.dies = details["calls"]
        elif machine.process is not None:
            self._crash(machine, machine.with_power)

    def skew(self, incident: Incident) -> None:
        """The machine's clock is wrong for a while. Once it is put right the daemon is started again, as its log asks
        for."""
        machine, details = self.machines[incident.where], incident.details
        machine.skew = details["seconds"]
        self.clock.callLater(details["lasts"], self._put_right, machine)

    def _put_right(self, machine: Machine) -> None:
        machine.skew = 0.0
        if machine.process is not None:
            machine.down = 1.0
            self._crash(machine, False)

    def operate(self, incident: Incident) -> None:
        """An operator does something to one of the pulls."""
        process = self.receiver.process
        if process is not None:
            deferred_of(self._act(process, incident.details)).addErrback(self._unexpected)

    async def _act(self, process: Process, details: Mapping[str, Any]) -> None:
        jobs = durable(self.receiver).jobs
        if not jobs:
            return
        job, verb = jobs[int(details["pick"] * len(jobs))], verb_of(details)
        meant = [each for each in jobs if each is job or (verb.endswith(ALL) and each.origin == job.origin)]
        if verb.removesuffix(ALL) not in HARMLESS:
            self.touched.update((each.recipient, each.digest) for each in meant)
        numbers, orders = [each.job for each in meant], self.witness.orders
        orders.begin(numbers)
        said = await operate(process.whole.retrieving.operations, verb, job.job, job.origin)
        orders.end(numbers, verb, said)
        self.story.say(RECEIVER, f"operator: {verb} {job.job}: {said or 'done'}")

    def withdraw(self, incident: Incident) -> None:
        """A sender takes a message back."""
        machine = self.machines[incident.where]
        mine = [letter for letter in self.plan.letters if letter.sender == machine.name and letter.granted]
        if machine.process is not None and mine:
            letter = mine[int(incident.details["pick"] * len(mine))]
            letter.withdrawn = True
            taken = deferred_of(machine.process.store.grants.withdraw(letter.author, letter.message_id))
            taken.addErrback(lambda failure: failure.trap(Refusal)).addErrback(self._unexpected)

    def _calm(self) -> None:
        """All troubles end; what an operator held is released."""
        self.story.say("plan", "all troubles end")
        for machine in self.machines.values():
            machine.host.sky.layers.clear()
            machine.troubles.is_full, machine.troubles.dies = False, None
            machine.troubles.end()
        self.clock.callLater(AGAIN * 15, self._release)

    def _release(self) -> None:
        process = self.receiver.process
        if process is None:
            self.clock.callLater(AGAIN, self._release)
            return
        held = [job.job for job in durable(self.receiver).jobs if job.state == "held"]
        self.witness.orders.begin(held)
        deferred_of(take_back(process.whole.retrieving.operations, held)).addErrback(self._unexpected)


_INCIDENTS: Mapping[str, Callable[[World, Incident], None]] = {
    "send": World.send,
    "deliver again": World.deliver_again,
    "crash": World.crash,
    **dict.fromkeys(PASSING, World.passing),
    "skew": World.skew,
    "operate": World.operate,
    "withdraw": World.withdraw,
}
