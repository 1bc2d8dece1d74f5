"""Mail servers on the memory internet: what they are sent is kept, and what they say can be told to them."""

from collections.abc import AsyncIterator, Callable, Sequence

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from typing_extensions import override

from rrsd.config.settings import Settings
from rrsd.core.refusals import Refusal
from rrsd.core.values.envelopes import Envelope, Reply
from rrsd.core.wire.smtp_server import Offer
from rrsd.drivers.smtp.server import smtp_factory
from rrsd.drivers.smtp.settings import Settings as Waits
from rrsd.roles.mail.offering import FIELD
from rrsd.runtime.loops import Nursery
from tests.support.world import MemoryDomain, World

HERE = "127.0.0.1"
KEPT = Reply(250, "2.0.0", ("kept",))


@define(eq=False)
class Post:
    """The next mail server: keeps every message that it says yes to. `says` are the replies for the recipients; while
    `slow` waits, so does whoever comes. `names` are those that messages had on top, in order."""

    says: Callable[[Envelope], Sequence[Reply]]
    kept: list[tuple[Envelope, bytes]] = field(factory=list)
    begun: int = 0
    broken: int = 0
    slow: Deferred[None] | None = None
    names: list[bytes] = field(factory=list)

    async def receive(self, envelope: Envelope, message: AsyncIterator[bytes]) -> Sequence[Reply]:
        """Keep it."""
        self.begun += 1
        try:
            data = b"".join([block async for block in message])
        except Refusal:
            self.broken += 1
            raise
        if self.slow is not None:
            await self.slow
        replies = self.says(envelope)
        self.keep(envelope, data, replies)
        return replies

    def keep(self, envelope: Envelope, data: bytes, replies: Sequence[Reply]) -> None:
        """Everything, if it was a yes for anybody."""
        if any(reply.is_good for reply in replies):
            self.kept.append((envelope, data))


@define(eq=False)
class Inboxes(Post):
    """Mailboxes that do what the script of `rrsctl mail setup` does: what a recipient has under the same name is
    dropped. The field with the name is taken off what is kept."""

    have: set[tuple[bytes, str]] = field(factory=set)

    @override
    def keep(self, envelope: Envelope, data: bytes, replies: Sequence[Reply]) -> None:
        top, _, rest = data.partition(b"\r\n")
        if not top.startswith(FIELD.encode() + b": "):
            super().keep(envelope, data, replies)
            return
        self.names.append(top)
        good = [each for each, reply in zip(envelope.recipients, replies, strict=True) if reply.is_good]
        new = tuple(each for each in good if (top, each.path) not in self.have)
        self.have |= {(top, each.path) for each in new}
        if new:
            size = None if envelope.sender.size is None else envelope.sender.size - len(top) - 2
            sender = evolve(envelope.sender, size=size)
            self.kept.append((evolve(envelope, sender=sender, recipients=new), rest))


def serve(world: World, port: int, *, is_lmtp: bool = False, has_dsn: bool = False) -> Post:
    """A mail server at the port of 127.0.0.1."""
    post = (Inboxes if is_lmtp else Post)(lambda envelope: [KEPT] * (len(envelope.recipients) if is_lmtp else 1))
    offer = Offer("mx.test", is_lmtp=is_lmtp, has_dsn=has_dsn, has_xforward=True)
    world.internet.listeners[HERE, port] = smtp_factory(offer, post, Waits(), world.clock, Nursery().spawn)
    return post


def with_mail(settings: Settings) -> Settings:
    """Both filters at work: the way out from 10025 to 10026, the way in from 2425 to 2426."""
    mail = evolve(
        settings.mail,
        outbound=f"tcp:10025:interface={HERE}",
        outbound_next=f"tcp:{HERE}:10026",
        inbound=f"tcp:2425:interface={HERE}",
        inbound_next=f"tcp:{HERE}:2426",
    )
    return evolve(settings, mail=mail)


def start_mail(domain: MemoryDomain) -> None:
    """Listen, on the memory internet, and begin to work."""
    domain.whole.mail.begin()
    for description, factory in domain.whole.mail.listeners.doors:
        port = int(description.split(":")[1])
        domain.world.internet.listeners[HERE, port] = factory


@define(eq=False, slots=False)
class Sender(Protocol):
    """A mail server's client that says what it is told."""

    said: bytearray = field(factory=bytearray)
    is_lost: bool = False

    @override
    def dataReceived(self, data: bytes) -> None:
        self.said += data

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_lost = True


@define(eq=False)
class Way:
    """One connection to a port of 127.0.0.1."""

    world: World
    sender: Sender

    @classmethod
    def to(cls, world: World, port: int) -> "Way":
        """A new one."""
        sender = Sender()
        world.internet.connect("127.0.0.9", HERE, port, sender)
        world.internet.pump()
        return cls(world, sender)

    def say(self, data: bytes) -> list[int]:
        """The codes of the replies to the bytes, last lines only."""
        self.sender.transport.write(data)  # type: ignore[union-attr]
        self.world.internet.pump()
        return self.heard()

    def heard(self) -> list[int]:
        """The codes that came since."""
        lines = bytes(self.sender.said).split(b"\r\n")[:-1]
        self.sender.said.clear()
        return [int(line[:3]) for line in lines if line[3:4] == b" "]

    def cut(self) -> None:
        """Go away without a word."""
        self.sender.transport.abortConnection()  # type: ignore[union-attr]
        self.world.internet.pump()
