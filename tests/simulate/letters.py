"""What is sent, by whom and to whom, and what everybody outside has been told about it."""

from datetime import timedelta
from random import Random  # noqa: TID251 (of a seed that is printed)

from attrs import define, field, frozen

from rrsd.core.values.addresses import Address, parse_address
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.instants import Instant
from rrsd.core.values.messages import Attachment, Outgoing
from rrsd.core.values.peers import parse_origin
from rrsd.core.values.resources import Grant
from rrsd.core.wire.mime import render_placeholder

GOOD, MISSING, LYING, FORBIDDEN, DEAD = "good", "missing", "lying", "forbidden", "dead"
"""What an attachment is: granted; of a resource that is nowhere; with another size than it says; granted to nobody; of
a domain that nobody can reach any more."""

REFUSED = frozenset({MISSING, FORBIDDEN})
"""What the sender's domain says no to: it does not tell the two apart, and is asked every six hours."""


@frozen
class Item:
    """One attachment."""

    data: bytes = field(repr=False)
    kind: str
    digest: Digest = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "digest", digest_of(self.data))

    def cut(self, most: int) -> "Item":
        """One of at most so many bytes."""
        return Item(self.data[:most], self.kind)

    @property
    def said(self) -> int:
        """The size that the message says."""
        return len(self.data) + (7 if self.kind == LYING else 0)


@define(eq=False)
class Letter:
    """One message. `granted` and `accepted` are what the two domains have acknowledged."""

    number: int
    sender: str
    recipients: tuple[Address, ...]
    items: tuple[Item, ...]
    lifetime: timedelta
    is_proved: bool = True
    """Whether the mail server has seen whose address the sender's is."""
    granted: bool = False
    accepted: bool = False
    withdrawn: bool = False
    accepted_at: float = 0.0
    is_ahead: bool = False
    """Whether the clock that its deadline was reckoned by ran ahead."""
    deliveries: int = 0
    raw: bytes = field(default=b"", repr=False)

    @property
    def message_id(self) -> str:
        """Its Message-ID."""
        return f"{self.number}@{self.sender}"

    @property
    def message(self) -> str:
        """The name under which the recipients' domain keeps it."""
        return digest_of(self.raw).b64

    @property
    def author(self) -> Address:
        """Who wrote it."""
        return parse_address(f"alice@{self.sender}")

    def written(self, now: Instant) -> None:
        """It is written now; later tries send the same bytes."""
        if self.raw:
            return
        attachments = tuple(
            Attachment(
                each.digest, each.said, parse_origin(f"https://{self.sender}"), now + self.lifetime,
                "application/octet-stream", f"{place}.bin", b"",
            )
            for place, each in enumerate(self.items)
        )  # fmt: skip
        self.raw = render_placeholder(
            Outgoing(self.message_id, self.author, self.recipients, "files", "hello", now, attachments, "b0undary")
        )

    def grants(self, now: Instant) -> list[Grant]:
        """What the sender's domain permits."""
        return [
            Grant(self.message_id, item.digest, len(item.data), self.author, recipient, now + self.lifetime)
            for item in self.items
            if item.kind in (GOOD, LYING)
            for recipient in self.recipients
        ]


def drawn_item(random: Random, kind: str, heavy: bool = False) -> Item:
    """An attachment: tiny, usual, or large for this world, as `heavy` ones always are."""
    usual = (random.randrange(500, 9000) for _ in range(4))
    size = random.choice((0, 1, random.randrange(500), *usual, random.randrange(9000, 40000)))
    if heavy:
        size = random.randrange(20_000, 40_000)
    if kind != GOOD:
        size += 16  # as nothing else is
    return Item(random.randbytes(size), kind)
