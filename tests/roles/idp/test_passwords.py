"""argon2id with small numbers."""

from collections.abc import Callable
from typing import Any

from argon2 import extract_parameters
from argon2.low_level import Type
from attrs import define, field
from twisted.internet.defer import Deferred

from rrsd.core.refusals import Unavailable
from rrsd.core.values.settings import Size
from rrsd.roles.idp.passwords import MOST_WAITING, Argon2Passwords
from rrsd.roles.idp.settings import Settings
from rrsd.runtime.workers import InlineWorkers
from tests.support.domains import FlowCase

SMALL = Settings(password_memory=Size(64 * 1024), password_passes=1)


@define(eq=False)
class Queue:
    """Workers that begin nothing until they are told to."""

    calls: list[tuple[Deferred[Any], Callable[[], Any]]] = field(factory=list)

    def run(self, f: Callable[..., Any], *args: Any, **kwargs: Any) -> Deferred[Any]:
        """Wait in line."""
        self.calls.append((Deferred(), lambda: f(*args, **kwargs)))
        return self.calls[-1][0]


class PasswordTests(FlowCase):
    """A password is known again, and costs what it should."""

    def setUp(self) -> None:
        """Cheap parameters."""
        self.passwords = Argon2Passwords(SMALL, InlineWorkers())

    def test_the_password_and_no_other(self) -> None:
        """The right password matches its hash, another one and a damaged hash do not."""
        phc = self.run_now(self.passwords.hash("correct horse"))
        self.assertTrue(self.run_now(self.passwords.verify(phc, "correct horse")))
        self.assertFalse(self.run_now(self.passwords.verify(phc, "correct horsf")))
        self.assertFalse(self.run_now(self.passwords.verify("plain:correct horse", "correct horse")))

    def test_the_hash_is_argon2id_with_the_configured_cost(self) -> None:
        """The PHC string says what was configured."""
        phc = self.run_now(self.passwords.hash("correct horse"))
        found = extract_parameters(phc)
        self.assertEqual((found.type, found.memory_cost, found.time_cost), (Type.ID, 64, 1))

    def test_t13_nobody_costs_the_same(self) -> None:
        """The check for an unknown user is a real check with the same parameters, and never true."""
        queue = Queue()
        waiting = Argon2Passwords(SMALL, queue)
        known = self.run_now(self.passwords.hash("correct horse"))
        results = [Deferred.fromCoroutine(waiting.verify(phc, "correct horse")) for phc in (known, None)]
        for fired, call in queue.calls:
            fired.callback(call())
        self.assertEqual([self.successResultOf(result) for result in results], [True, False])
        self.assertEqual(extract_parameters(waiting._nobody), extract_parameters(known))

    def test_the_line_is_bounded(self) -> None:
        """Whoever comes when too many wait is asked to come back; a place is free again after each check."""
        queue = Queue()
        waiting = Argon2Passwords(SMALL, queue)
        first, *_ = [Deferred.fromCoroutine(waiting.hash("x")) for _ in range(MOST_WAITING)]
        self.refuse_now(waiting.verify(None, "x"), Unavailable)
        queue.calls[0][0].callback("phc")
        self.assertEqual(self.successResultOf(first), "phc")
        self.assertNoResult(Deferred.fromCoroutine(waiting.verify(None, "x")))
