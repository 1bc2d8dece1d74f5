"""Placeholder messages accepted whole, one after the other: parsed, kept, queued, in the trail; synced each time."""

import json
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import IO

from attrs import frozen

from bench.arena import BEGIN, SENDER, done, origin_of
from rrsd.core.values.addresses import Address
from rrsd.core.values.calls import Event
from rrsd.core.values.digests import digest_of
from rrsd.core.values.instants import Instant
from rrsd.core.values.messages import Attachment, Outgoing
from rrsd.core.wire.mime import render_placeholder
from rrsd.drivers.store.service import Store, Threads
from rrsd.drivers.store.settings import Settings as StoreSettings
from rrsd.roles.rra.acceptance import Acceptance
from rrsd.roles.rra.contacts import Contacts
from rrsd.roles.rra.settings import Settings
from rrsd.runtime.workers import InlineWorkers


@frozen
class _Everybody:
    """Every address is a user of ours."""

    async def require_active(self, address: Address) -> None:
        """It is."""

    async def account(self, address: Address) -> Address:
        """Their own."""
        return address


@frozen
class _Moment:
    def now(self) -> Instant:
        """Always the same."""
        return BEGIN

    def monotonic(self) -> float:
        """It passes."""
        return time.monotonic()

    async def sleep(self, delay: timedelta) -> None:
        """Nobody does."""


@frozen
class _Silent:
    def ring(self) -> None:
        """Nobody listens."""

    async def wait(self, delay: timedelta | None) -> None:
        """Nobody does."""


@frozen
class _Trail:
    file: IO[str]

    def record(self, event: Event) -> None:
        """A line, as long as one of the daemon."""
        self.file.write(f"{json.dumps({'what': event.what, 'who': event.who, 'resource': event.resource})}\n")
        self.file.flush()


def accept(folder: Path, recipients: Sequence[Address]) -> tuple[float, float]:
    """Seconds and seconds of processor time for a message of one attachment to each of the recipients."""
    workers = InlineWorkers()
    threads = Threads(workers, workers, workers)
    store = Store(StoreSettings(path=str(folder / "store")), threads, lambda: BEGIN, time.monotonic)
    done(store.start())
    messages = [_placeholder(number, recipient) for number, recipient in enumerate(recipients)]
    try:
        with (folder / "trail").open("w") as trail:
            door = Acceptance(
                queue=store.queue, blobs=store.blobs, subjects=_Everybody(), timers=_Moment(), bell=_Silent(),
                audit=_Trail(trail), settings=Settings(),
                contacts=Contacts(timers=_Moment(), bell=_Silent()),
            )  # fmt: skip
            began, used = time.perf_counter(), time.process_time()
            for raw, recipient in zip(messages, recipients, strict=True):
                done(door.accept(raw, [recipient]))
            return time.perf_counter() - began, time.process_time() - used
    finally:
        done(store.stop())


def _placeholder(number: int, recipient: Address) -> bytes:
    digest, expires = digest_of(str(number).encode()), BEGIN + timedelta(days=7)
    file = Attachment(digest, 100_000, origin_of("good", number % 100), expires, "image/jpeg", "photo.jpg", b"")
    name = f"{number}@{SENDER.domain}"
    return render_placeholder(Outgoing(name, SENDER, (recipient,), "files", "hello", BEGIN, (file,), "b0undary"))
