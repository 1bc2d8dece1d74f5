"""Threads that run when the test says so."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred

from rrsd.runtime.workers import InlineWorkers

T = TypeVar("T")
P = ParamSpec("P")


@define(eq=False)
class ManualWorkers:
    """Keeps each call until `step`."""

    waiting: list[Callable[[], None]] = field(factory=list)

    def run(self, f: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Deferred[T]":
        """Remember the call."""
        result: Deferred[Any] = Deferred()

        def call() -> None:
            InlineWorkers().run(f, *args, **kwargs).chainDeferred(result)

        self.waiting.append(call)
        return result

    def step(self, which: int = 0) -> None:
        """Run one call: the one that has waited longest, unless told otherwise."""
        self.waiting.pop(which)()

    def flush(self) -> None:
        """Run what waits, and what comes of it."""
        while self.waiting:
            self.step()
