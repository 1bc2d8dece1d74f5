"""A server that says what a test wants, and a client that asks it."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Unavailable
from rrsd.core.values.calls import Call
from tests.support.calling import Raw, World, get

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


def saying(data: bytes, close: bool = False) -> Callable[[Raw], None]:
    """A server that always says the same."""

    def respond(raw: Raw) -> None:
        raw.transport.write(data)
        if close:
            raw.transport.loseConnection()

    return respond


class Case(SynchronousTestCase):
    """Two hosts; foo.test says what the test wants."""

    def setUp(self) -> None:
        self.world = World()
        self.bar = self.world.internet.host("bar.test", "20.0.0.2")
        self.foo = self.world.internet.host("foo.test", "20.0.0.1")
        self.outbound = self.world.outbound(self.bar)

    def serve(self, respond: Callable[[Raw], None]) -> list[Raw]:
        """Let foo.test respond so."""
        self.made = self.world.serve_raw(self.foo, respond)
        return self.made

    def ask(self, call: Call | None = None, **given: Any) -> Deferred[Any]:
        """A question, pumped."""
        return self.world.internet.run(self.outbound.ask(call or get("foo.test"), **given))

    def fetch(self, target: str = "/") -> Any:
        """An answer's head."""
        return self.successResultOf(self.world.internet.run(self.outbound.fetch(get("foo.test", target))))

    def assert_unavailable(self, result: Deferred[Any], detail: str) -> None:
        """The fact that it came to."""
        self.assertEqual(self.failureResultOf(result, Unavailable).value.detail, detail)
