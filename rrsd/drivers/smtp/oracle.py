"""Whether the next mail server, a Postfix of this host, has a message for which it never answered (RFC 1047)."""

import os
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from attrs import define, field, frozen
from twisted.internet.defer import DeferredLock

from rrsd.core.refusals import Refusal, Unavailable
from rrsd.core.values.envelopes import Fate, Offer
from rrsd.core.wire.postfix import Trace
from rrsd.runtime.timers import Timers
from rrsd.runtime.workers import Workers

SETTLE = timedelta(seconds=2)
"""How far behind its events a log may be."""
LINGER = timedelta(seconds=10)
"""How long we look again by ourselves before the mail server is asked to come again, which takes it minutes."""
PAUSE = timedelta(seconds=1)
MOST_READ = 1 << 25
"""Bytes of the log that are read from its end, of the file before it what is left of them."""
_LINES = re.compile(rb"[^\n]+")


@frozen
class Unasked:
    """Where nobody can be asked, what is in doubt is sent again: a double beats a loss."""

    async def fate_of(self, offer: Offer) -> Fate:
        """Not taken, as far as anybody knows."""
        del offer
        return Fate.NOT_TAKEN


@define(eq=False, kw_only=True)
class Oracle:
    """Asks Postfix's log at `path`, and its queue: `listed` says which of some words stand in what `command` says.

    A message was taken if its queue file is in the queue, or qmgr has spoken of it. It was not if the log never names
    it, or if whoever wrote the queue file has left and the file is nowhere.
    """

    path: Path
    command: Sequence[str]
    listed: Callable[[Sequence[str], Sequence[bytes]], Awaitable[frozenset[bytes]]]
    workers: Workers
    timers: Timers
    _one: DeferredLock = field(factory=DeferredLock, init=False)

    async def fate_of(self, offer: Offer) -> Fate:
        """Whether Postfix has the message; never refuses."""
        await self.timers.sleep(offer.at + SETTLE - self.timers.now())
        end = self.timers.monotonic() + LINGER.total_seconds()
        while True:
            try:
                fate = await self._look(offer.delivery)
            except Refusal:
                fate = Fate.UNKNOWN
            if fate is not Fate.UNKNOWN or self.timers.monotonic() >= end:
                return fate
            await self.timers.sleep(PAUSE)

    async def _look(self, delivery: str) -> Fate:
        """Refuses with Unavailable when the log cannot be read, or Postfix does not answer."""
        trace = await self._read(delivery)
        if not trace.is_kept and trace.open:
            if trace.is_being_written:
                return Fate.UNKNOWN
            if await self.listed(self.command, [b'"queue_id": "%s"' % name.encode() for name in trace.open]):
                return Fate.TAKEN
            # It may have left the queue in the moment before we looked there; then the log says so by now.
            await self.timers.sleep(PAUSE)
            trace = await self._read(delivery)
        return Fate.TAKEN if trace.is_kept else Fate.NOT_TAKEN

    async def _read(self, delivery: str) -> Trace:
        await self._one.acquire()
        try:
            return await self.workers.run(trace_of, self.path, delivery)
        finally:
            self._one.release()


def trace_of(path: Path, delivery: str) -> Trace:
    """What the log says of the message; blocks.

    Raises:
        Unavailable: it cannot be read, or is so long that what it says of the message may be further back.
    """
    trace, name, is_whole = Trace(delivery), delivery.encode(), True
    try:
        now = _end_of(path, MOST_READ)
        before = [(each, _end_of(each, MOST_READ - len(now[0]))) for each in _rotated(path)]
    except OSError as problem:
        raise Unavailable(f"{path}: {problem.strerror}") from None
    for data, is_all in (*(end for _, end in before), now):
        is_whole = is_whole and is_all
        at = 0 if trace.open else data.find(name)
        if at >= 0:
            trace.tell(_lines(data, data.rfind(b"\n", 0, at) + 1))
    if not trace.open and not trace.is_kept and not is_whole:
        raise Unavailable(f"{path}: it may be further back")
    return trace


def _lines(data: bytes, start: int) -> Iterator[bytes]:
    return (found[0] for found in _LINES.finditer(data, start))


def _end_of(path: Path, most: int) -> tuple[bytes, bool]:
    """The last bytes of the file, and whether they are all of it."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(max(0, size - most))
        return file.read(most), size <= most


def _rotated(path: Path) -> list[Path]:
    """The file that was the log before, if it is there as it was."""
    others = [each for each in path.parent.glob(f"{path.name}[.-]*") if not each.name.endswith((".gz", ".xz", ".zst"))]
    return sorted(others, key=lambda each: each.stat().st_mtime)[-1:]
