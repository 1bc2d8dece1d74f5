"""What the daemon takes from outside its own memory: time, chance, threads, names that cannot be guessed."""

import random  # noqa: TID251 (this is where chance comes from)
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from attrs import frozen
from twisted.internet.base import ReactorBase

from rrsd.runtime.processes import Processes
from rrsd.runtime.timers import Timers, steady_timers
from rrsd.runtime.workers import ThreadWorkers, Workers


@frozen
class Effects:
    """Everything that is not the same in every run; tests bring their own.

    `reactor` makes and takes connections. `writer` and `proofs` (one thread each), `readers`, `disk` and
    `passwords` run what blocks. `command` runs a program of this host and returns its exit status, `listed` which of
    some words it says.
    `chance` is uniform in [0, 1), `unique` a fresh name of 128 bits, `secret` random for the life of the process.
    """

    reactor: Any
    timers: Timers
    writer: Workers
    readers: Workers
    disk: Workers
    passwords: Workers
    proofs: Workers
    command: Callable[[Sequence[str]], Awaitable[int]]
    listed: Callable[[Sequence[str], Sequence[bytes]], Awaitable[frozenset[bytes]]]
    chance: Callable[[], float]
    unique: Callable[[], str]
    secret: bytes
    threads: tuple[ThreadWorkers, ...] = ()


def real(reactor: Any, password_threads: int) -> Effects:
    """The effects of a daemon on this machine."""
    go_forward(reactor)
    sizes = {"writer": 1, "readers": 2, "disk": 8, "proofs": 1, "passwords": password_threads}
    threads = {name: ThreadWorkers(reactor, size, name) for name, size in sizes.items()}
    timers = steady_timers(reactor)
    processes = Processes(reactor, timers)
    return Effects(
        reactor=reactor,
        timers=timers,
        command=processes.run,
        listed=processes.find,
        **threads,
        chance=random.Random(secrets.token_bytes(16)).random,
        unique=lambda: secrets.token_urlsafe(16),
        secret=secrets.token_bytes(32),
        threads=tuple(threads.values()),
    )


def go_forward(reactor: Any) -> None:
    """Let the reactor wait by a clock that only goes forward (promise R10): its own follows the time of day, so that a
    clock set back by a day would stop every loop for that day. Not once something waits by the old one."""
    if isinstance(reactor, ReactorBase) and not reactor.getDelayedCalls():
        reactor.seconds = time.monotonic
