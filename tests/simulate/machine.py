"""A machine and the daemon on it: the machine's disk outlives the daemon, as far as the daemon synced it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from itertools import count
from random import Random  # noqa: TID251 (of a seed that is printed)
from typing import Any, cast

from attrs import define, evolve, field
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import Clock
from zope.interface import implementer

from rrsd.app.audit import Audit
from rrsd.app.compose import Composition, compose
from rrsd.app.doors import Doors
from rrsd.app.effects import Effects
from rrsd.app.means import Means
from rrsd.core.refusals import Refusal
from rrsd.core.values.records import Records, RecordType, Verdict
from rrsd.drivers.fetch.client import Outbound
from rrsd.drivers.store.mark import MemoryMark
from rrsd.drivers.store.service import Store, Threads
from rrsd.roles.admin.meters import Meters
from rrsd.runtime.awaits import deferred_of
from rrsd.runtime.timers import Timers
from rrsd.runtime.workers import InlineWorkers
from rrsd.web.site import Site
from rrsd.web.trail import Notes
from tests.crash.disk import State
from tests.simulate import disk
from tests.simulate.homes import Home
from tests.simulate.network import Host, Network
from tests.simulate.ways import Way


@implementer(IReactorTime)
class ProcessClock:
    """The time of one process: it begins at 0, and nothing is called any more once the process has ended."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun = clock.seconds()
        self._calls: dict[int, IDelayedCall] = {}
        self._numbers = count()
        self.alive = True

    def seconds(self) -> float:
        """As `IReactorTime.seconds`."""
        return self._clock.seconds() - self._begun

    def callLater(self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object) -> IDelayedCall:  # noqa: N802
        """As `IReactorTime.callLater`."""
        if not self.alive:
            return Clock().callLater(delay, callable, *args, **kwargs)
        number = next(self._numbers)

        def run() -> None:
            self._calls.pop(number, None)
            if self.alive:
                callable(*args, **kwargs)

        call = self._calls[number] = self._clock.callLater(delay, run)
        if len(self._calls) > 4096:
            self._calls = {key: each for key, each in self._calls.items() if each.active()}
        return call

    def getDelayedCalls(self) -> Sequence[Any]:  # noqa: N802
        """As `IReactorTime.getDelayedCalls`."""
        return list(self._calls.values())

    def end(self) -> None:
        """Nothing is due any more."""
        self.alive = False
        for call in self._calls.values():
            if call.active():
                call.cancel()
        self._calls.clear()


@define(eq=False)
class Names:
    """What DNS says: nothing, for nobody here publishes there; or, for a while, that it cannot say."""

    host: Host

    async def ask(self, name: str, kind: RecordType) -> Records:
        """As `rrsd.drivers.dns.lookup.Lookup.ask`."""
        bad = self.host.sky.over_host().nameless
        verdict = Verdict.TEMPORARY if bad >= 1.0 else Verdict.INSECURE
        return Records(verdict, timedelta(minutes=5), reason="the resolver cannot answer" if bad >= 1.0 else "")

    async def stop(self) -> None:
        """Nothing to stop."""


@define(eq=False)
class Told:
    """An audit trail that goes into the story."""

    say: Callable[[str], None]
    heard: Callable[[Mapping[str, Any]], None]

    def record(self, event: Mapping[str, Any]) -> None:
        """Keep the line."""
        words = (event.get(name) for name in ("who", "subject", "peer", "resource", "refusal", "evidence"))
        self.say(f"{event['what']} {event['outcome']}: " + " | ".join(str(word) for word in words if word))
        self.heard(event)


@define(eq=False)
class Ways:
    """What of `rrsd.app.doors.Doors` the roles use."""

    settings: Any
    keyring: Any
    strangers: Outbound
    agent: Outbound
    names: Names
    policies: Any
    server: Any = None
    watchers: list[Callable[[], None]] = field(factory=list)

    def reload(self, decided: Callable[[Sequence[str]], None] = lambda _: None) -> tuple[str, ...]:
        """Nothing is read again here."""
        return ()

    def present(self) -> None:
        """Keys stay what they are here."""


@define(eq=False)
class Process:
    """One daemon, from its start to its end."""

    clock: ProcessClock
    rows: disk.Rows
    files: disk.Files
    store: Store
    whole: Composition

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.clock.alive


@define(eq=False)
class Machine:
    """One host with its disk. `process` is the daemon that runs there, None between two."""

    home: Home
    network: Network
    host: Host
    random: Random
    unique: Callable[[], int]
    heard: "Callable[[Machine, Mapping[str, Any]], None]"
    troubles: disk.Troubles = field(init=False)
    process: Process | None = field(default=None, init=False)
    kept: State = field(factory=State, init=False)
    data: bytes = field(factory=disk.empty, init=False)
    skew: float = field(default=0.0, init=False)
    boots: int = field(default=0, init=False)
    with_power: bool = field(default=False, init=False)
    down: float = field(default=1.0, init=False)
    graves: list[Process] = field(factory=list, init=False)
    _mark: MemoryMark = field(factory=MemoryMark, init=False)

    def __attrs_post_init__(self) -> None:
        self.troubles = disk.Troubles(random=self.random)

    @property
    def name(self) -> str:
        """The domain."""
        return self.home.name

    def say(self, what: str) -> None:
        """It goes into the story."""
        self.network.story.say(self.name, what)

    # --- the start

    def boot(self, failed: Callable[[Refusal], object]) -> None:
        """Start the daemon on what is on the disk; `failed` is called when it cannot."""
        self.boots += 1
        self.say(f"the daemon starts, for the {self.boots}. time" if self.boots > 1 else "the daemon starts")
        clock = ProcessClock(self.network.clock)
        timers = Timers(clock, lambda: self.network.clock.seconds() + self.skew)
        rows = disk.Rows(self.data, self.troubles, self.unique)
        files = disk.Files(self.kept, timers.now, self.troubles)
        workers = InlineWorkers()
        store = Store(self.home.settings.store, Threads(workers, workers, workers), timers.now, timers.monotonic,
                      files, rows)  # fmt: skip
        store._epoch._mark = self._mark
        whole = compose(self._means(clock, timers, store))
        self.process = Process(clock, rows, files, store, whole)
        self.host.life, self.host.is_dark = clock, False
        deferred_of(self._start(self.process, failed))

    async def _start(self, process: Process, failed: Callable[[Refusal], object]) -> None:
        try:
            await process.store.start()
            await process.whole.serving.collection.start()
            await process.whole.retrieving.agent.start()
        except Refusal as refusal:
            if process.alive:
                self.say(f"the daemon does not start: {refusal}")
                self.die(with_power=False)
                failed(refusal)
            return
        site = Site(process.whole.public, process.clock, notes=Notes(process.whole.means.audit))
        if process.alive:
            self.host.listen = lambda: site.buildProtocol(IPv4Address("TCP", "20.0.9.9", 40000))

    def _means(self, clock: ProcessClock, timers: Timers, store: Store) -> Means:
        settings, keyring, inline = self.home.settings, self.home.keyring, InlineWorkers()
        effects = Effects(
            reactor=clock, timers=timers, writer=inline, readers=inline, disk=inline, passwords=inline, proofs=inline,
            command=_no_command, listed=_nothing_listed, chance=self.random.random,
            unique=lambda: f"unique-{self.unique():08}", secret=b"s" * 32,
        )  # fmt: skip

        def way(certificate: Callable[[], Any], patience: timedelta) -> Outbound:
            network = Way(self.network, clock, self.host, timers, certificate)
            return Outbound(cast(Any, network), evolve(settings.fetch, ask=patience))

        strangers = way(lambda: None, settings.fetch.stranger)
        agent = way(lambda: keyring.agent.certificate, settings.fetch.ask)
        doors = Ways(settings, keyring, strangers, agent, Names(self.host), self.home.policies)
        told = Told(self.say, lambda event: self.heard(self, event))
        return Means(settings, effects, cast(Doors, doors), store, Audit(_While(clock, told), Meters()))

    # --- the end

    def die(self, with_power: bool) -> None:
        """The daemon ends now; with the power what was not synced may be gone too."""
        process, self.process = self.process, None
        if process is None:
            return
        self.data = process.rows.durable()
        if with_power:
            self.kept, loss = disk.after_power_loss(process.files.state, self.random)
            self.say(f"the power fails: {loss}")
        else:
            self.kept = disk.after_kill(process.files.state)
            self.say("kill -9")
        self.bury(process, says_so=not with_power)

    def bury(self, process: Process, says_so: bool) -> None:
        """What the process had is inert from now on, and is let go of when all is over."""
        self.troubles.dies = None
        process.clock.end()
        self.host.is_dark = not says_so
        self.network.hang_up(self.host, process.clock, says_so)
        self.graves.append(process)


@define(eq=False)
class _While:
    """A dead process writes nothing down."""

    clock: ProcessClock
    told: Told

    def record(self, event: Mapping[str, Any]) -> None:
        if self.clock.alive:
            self.told.record(event)


async def _no_command(arguments: Sequence[str]) -> int:
    return 0


async def _nothing_listed(arguments: Sequence[str], words: Sequence[bytes]) -> frozenset[bytes]:
    return frozenset()
