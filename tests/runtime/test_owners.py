"""Rooms, loops and threads have an owner that ends them."""

from collections.abc import Callable
from threading import Event
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rrsd.runtime.awaits import deferred_of
from rrsd.runtime.loops import Nursery
from rrsd.runtime.tree import OrderedTree
from rrsd.runtime.workers import InlineWorkers, ThreadWorkers


@define(eq=False)
class Lodger:
    """A room that writes down what happens to it and waits for the test."""

    name: str
    diary: list[str]
    gates: dict[str, Deferred[None]] = field(factory=dict)
    problems: dict[str, Exception] = field(factory=dict)

    async def start(self) -> None:
        """Begin."""
        await self._do("start")

    async def stop(self) -> None:
        """End."""
        await self._do("stop")

    async def _do(self, what: str) -> None:
        self.diary.append(f"{what} {self.name}")
        if what in self.gates:
            await self.gates[what]
        if what in self.problems:
            raise self.problems[what]
        self.diary.append(f"{what}ed {self.name}")


class Trees(SynchronousTestCase):
    """`OrderedTree` starts in order and stops in reverse."""

    def setUp(self) -> None:
        self.diary: list[str] = []
        self.lines: list[str] = []
        self.rooms = [Lodger(name, self.diary) for name in ("store", "fetch", "front")]
        self.tree = OrderedTree("rrsd", self.rooms, self.lines.append)

    def test_each_waits_for_the_one_before(self) -> None:
        """The second room is not told to start until the first has started."""
        gate: Deferred[None] = Deferred()
        self.rooms[0].gates["start"] = gate
        self.tree.startService()
        self.assertEqual(self.diary, ["start store"])
        gate.callback(None)
        self.assertEqual(self.tree.started, ("store", "fetch", "front"))
        self.assertEqual(self.tree.names, self.tree.started)

    def test_stop_in_reverse_each_awaited(self) -> None:
        """The store is not told to stop until the front has."""
        self.tree.startService()
        self.diary.clear()
        gate: Deferred[None] = Deferred()
        self.rooms[2].gates["stop"] = gate
        stopping = self.tree.stopService()
        self.assertEqual(self.diary, ["stop front"])
        gate.callback(None)
        self.assertIsNone(self.successResultOf(stopping))
        self.assertEqual(self.diary[1:], ["stoped front", "stop fetch", "stoped fetch", "stop store", "stoped store"])

    def test_failed_start_ends_the_process(self) -> None:
        """A room that cannot start stops those before it, says why in one line and ends the process."""
        self.rooms[2].problems["start"] = OSError("port 443 is taken")
        self.tree.startService()
        self.assertEqual(self.lines, ["front did not start: port 443 is taken"])
        self.assertEqual(self.diary[-4:], ["stop fetch", "stoped fetch", "stop store", "stoped store"])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_stop_while_starting(self) -> None:
        """A stop in the middle of the start ends what has started, the half-started room included."""
        self.rooms[1].gates["start"] = Deferred()
        self.tree.startService()
        self.successResultOf(self.tree.stopService())
        self.assertEqual(self.diary[-4:], ["stop fetch", "stoped fetch", "stop store", "stoped store"])
        self.assertEqual(self.lines, [])

    def test_failing_stop_does_not_spare_the_others(self) -> None:
        """A room that fails to stop is logged, and the rest stop."""
        self.tree.startService()
        self.rooms[2].problems["stop"] = ValueError()
        self.successResultOf(self.tree.stopService())
        self.assertEqual(self.diary[-1], "stoped store")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class Nurseries(SynchronousTestCase):
    """`Nursery` owns coroutines."""

    def setUp(self) -> None:
        self.nursery = Nursery(lambda: "ref")

    def test_bug_is_never_lost(self) -> None:
        """What a coroutine raises unexpectedly is logged."""

        async def failing() -> None:
            raise ValueError

        self.nursery.spawn(failing(), "loop")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(len(self.nursery), 0)

    def test_stop_cancels_and_waits(self) -> None:
        """Stopping cancels, and returns when the last coroutine has cleaned up."""
        cleaning: Deferred[None] = Deferred()
        done: list[str] = []

        async def loop() -> None:
            try:
                await Deferred()
            finally:
                await cleaning
                done.append("clean")

        self.nursery.spawn(loop(), "loop")
        stopping = deferred_of(self.nursery.stop())
        self.assertNoResult(stopping)
        cleaning.callback(None)
        self.assertIsNone(self.successResultOf(stopping))
        self.assertEqual(done, ["clean"])

    def test_spawn_after_stop(self) -> None:
        """After the end nothing begins."""
        self.successResultOf(deferred_of(self.nursery.stop()))
        ran: list[int] = []

        async def late() -> None:
            ran.append(1)

        self.nursery.spawn(late(), "late")
        self.assertEqual(ran, [])


@define(eq=False)
class FromThreads:
    """A reactor's mail box: calls from threads wait until the test takes them."""

    calls: list[Callable[[], Any]] = field(factory=list)
    came: Event = field(factory=Event)

    def callFromThread(self, f: Callable[..., Any], *args: Any, **kw: Any) -> None:  # noqa: N802
        """Keep the call."""
        self.calls.append(lambda: f(*args, **kw))
        self.came.set()

    def take(self) -> None:
        """Wait for a call and run what has come."""
        self.came.wait(10)
        self.came.clear()
        while self.calls:
            self.calls.pop(0)()


class Threads(SynchronousTestCase):
    """`Workers` run calls elsewhere."""

    def test_inline(self) -> None:
        """The stand-in for tests gives results and failures at once."""
        workers = InlineWorkers()
        self.assertEqual(self.successResultOf(workers.run(divmod, 7, 2)), (3, 1))
        self.failureResultOf(workers.run(divmod, 7, 0), ZeroDivisionError)

    def test_stop_waits_for_accepted_calls(self) -> None:
        """Threads end only when every accepted call has ended."""
        reactor = FromThreads()
        workers = ThreadWorkers(reactor, 2, "test")  # type: ignore[arg-type]
        self.successResultOf(deferred_of(workers.start()))
        results = [workers.run(divmod, 7, 2), workers.run(divmod, 7, 0)]
        stopping = deferred_of(workers.stop())
        self.assertNoResult(stopping)
        while not all(result.called for result in results):
            reactor.take()
        self.assertIsNone(self.successResultOf(stopping))
        self.assertEqual(self.successResultOf(results[0]), (3, 1))
        self.failureResultOf(results[1], ZeroDivisionError)
