"""A connection on which one asks: what is written waits while the socket is full, answers are handed out one by one."""

from collections import deque
from collections.abc import Iterable
from typing import Any, Generic, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from rrsd.core.refusals import Refusal, Unavailable
from rrsd.runtime.promptly import write_promptly

T = TypeVar("T")


@implementer(IPushProducer)
class Asking(Protocol, Generic[T]):
    """The connection with `peer`, of whose answers at most `most` wait to be asked for; None where a subclass puts no
    more than its questions have.

    `trouble` is why there will be no more of them; those that came before it are still handed out.
    """

    def __init__(self, peer: str, most: int | None = None) -> None:
        self.trouble: Refusal | None = None
        self._peer = peer
        self._most = most
        self._ready: deque[T] = deque()
        self._asked: Deferred[T] | None = None
        self._shut = False
        self._opened: Deferred[None] | None = None

    @property
    def has_answers(self) -> bool:
        """Whether something came that nobody has been given yet."""
        return bool(self._ready)

    @override
    def connectionMade(self) -> None:
        cast(Any, self.transport).registerProducer(self, True)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.fail(Unavailable(f"{self._peer} closed the connection"))

    def pauseProducing(self) -> None:  # noqa: N802 - IPushProducer
        """The socket is full."""
        self._shut = True

    def resumeProducing(self) -> None:  # noqa: N802 - IPushProducer
        """It takes more."""
        self._shut = False
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.callback(None)

    def stopProducing(self) -> None:  # noqa: N802 - IPushProducer
        """It is gone; `connectionLost` says so."""

    def answer(self) -> Deferred[T]:
        """The next answer; fails with the refusal of `fail` when there will be none."""
        self._asked = asked = Deferred[T]()
        self._hand_out()
        return asked

    def ready(self) -> T | None:
        """The next answer if it is here; None when it has to be waited for, and nobody waits for one."""
        return self._ready.popleft() if self._ready and self._asked is None else None

    def put(self, answers: Iterable[T]) -> None:
        """These have come, all of them before one is handed out: who gets it may write, and what came before that is no
        answer to it. Whatever the iterable refuses is raised; what it gave before is kept."""
        try:
            self._ready.extend(answers)
            if self._most is not None and len(self._ready) > self._most:
                self.fail(Unavailable(f"{self._peer} says too much"))
        finally:
            self._hand_out()

    def write(self, data: bytes) -> Deferred[None] | None:
        """Send; what comes back fires when more may be sent, None is now.

        Raises:
            Unavailable: the connection is gone.
        """
        self.require_up()
        write_promptly(self.transport, data)
        self._opened = Deferred() if self._shut else None
        return self._opened

    def require_up(self) -> None:
        """Returns None while the connection is there; refuses with what it failed with."""
        if self.trouble is not None:
            raise self.trouble.with_traceback(None)

    def fail(self, refusal: Refusal, *, is_aborted: bool = True) -> None:
        """There will be no more answers. A connection that is aborted leaves half a message without an end."""
        if self.trouble is None:
            self.trouble = refusal
            if is_aborted:
                cast(Any, self.transport).abortConnection()
        self._hand_out()
        self.resumeProducing()

    def _hand_out(self) -> None:
        if self._asked is None or not (self._ready or self.trouble):
            return
        asked, self._asked = self._asked, None
        if self._ready:
            asked.callback(self._ready.popleft())
        else:
            asked.errback(cast(Refusal, self.trouble))
