"""What happens to a recipient's pulls, as it happens, to whoever listens; slow listeners lose the oldest news."""

from collections import deque
from collections.abc import AsyncIterator, Callable

from attrs import define, field

from rrsd.core.values.addresses import Address
from rrsd.core.values.jobs import Job, State
from rrsd.roles.rra.ports import Bell

MOST_NEWS = 256
"""News kept for one listener; progress is a state, so the oldest can go."""

News = dict[str, object]


@define(eq=False)
class _Listener:
    bell: Bell
    news: deque[News] = field(factory=lambda: deque(maxlen=MOST_NEWS))


@define(eq=False)
class Feed:
    """Publishes changes of jobs by recipient."""

    make_bell: Callable[[], Bell]
    watchers: list[Callable[[Job], None]] = field(factory=list)
    """Told of every job that changed, whoever its recipient is; they return at once and refuse nothing."""
    _listeners: dict[Address, list[_Listener]] = field(factory=dict, init=False)

    def started(self, job: Job) -> None:
        """An attempt begins."""
        self.tell(job.recipient, news_of(job, "arriving", 0))

    def changed(self, job: Job) -> None:
        """An attempt ended, or somebody changed the job."""
        done = job.size if job.state in (State.STORED, State.RECEIPTED) else 0
        self.tell(job.recipient, news_of(job, job.state, done))
        for watcher in self.watchers:
            watcher(job)

    def tell(self, recipient: Address, news: News) -> None:
        """Hand the news to everyone who listens for the recipient."""
        for listener in self._listeners.get(recipient, ()):
            listener.news.append(news)
            listener.bell.ring()

    def listened(self, recipient: Address) -> bool:
        """Whether anybody listens."""
        return recipient in self._listeners

    async def subscribe(self, recipient: Address) -> AsyncIterator[News]:
        """News from now on, until the listener goes."""
        listener = _Listener(self.make_bell())
        self._listeners.setdefault(recipient, []).append(listener)
        try:
            while True:
                while listener.news:
                    yield listener.news.popleft()
                await listener.bell.wait(None)
        finally:
            self._listeners[recipient].remove(listener)
            if not self._listeners[recipient]:
                del self._listeners[recipient]


def news_of(job: Job, state: str, done: int) -> News:
    """One piece of news, as the client reads it."""
    return {
        "message": job.message,
        "part": job.index,
        "job": job.job,
        "state": str(state),
        "done": done,
        "size": job.size,
    }
