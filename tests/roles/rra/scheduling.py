"""An agent at work, and a gate that its requests wait at."""

from collections.abc import Awaitable

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Unavailable
from rrsd.core.values.calls import Call
from rrsd.core.values.jobs import State
from rrsd.roles.rra.settings import Settings
from tests.roles.rra.agents import Desk
from tests.roles.rra.peers import Told, served

DOWN = Unavailable("connect: refused")
ARRIVED = (State.STORED, State.RECEIPTED)


def files(number: int, start: int = 0) -> list[bytes]:
    """As many different small resources."""
    return [b"resource %d" % each for each in range(start, start + number)]


class Gate:
    """A resource server that lets each request wait until the test lets it go on."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.waiting: list[tuple[Call, Deferred[Told]]] = []
        self.most = 0

    def __call__(self, call: Call) -> Awaitable[Told]:
        answer: Deferred[Told] = Deferred()
        self.waiting.append((call, answer))
        self.most = max(self.most, len(self.waiting))
        return answer

    def let_go(self, number: int = 1) -> None:
        """Answer the oldest requests well."""
        for _ in range(number):
            call, answer = self.waiting.pop(0)
            answer.callback(served(self.desk.peers.content[call.target]))

    def all(self) -> None:
        """Answer until nobody asks any more."""
        while self.waiting:
            self.let_go()


class SchedulerCase(SynchronousTestCase):
    """An agent at work."""

    settings = Settings(active_per_destination=4)

    def setUp(self) -> None:
        """Nothing is due yet."""
        self.desk = Desk(self.settings)
        self.addCleanup(self.desk.close)
        self.peers = self.desk.peers
        self.gate = Gate(self.desk)

    def flush(self) -> None:
        """Forget reports that the test has provoked."""
        self.flushLoggedErrors()
