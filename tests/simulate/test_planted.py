"""The simulation finds what it is there for: each planted defect within few seeds, by the promise that it breaks."""

import contextlib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import count, islice
from typing import Any

from attrs import evolve
from twisted.python.monkey import MonkeyPatcher
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import Instant
from rrsd.core.values.jobs import Candidate, Job, Priority
from rrsd.core.values.notices import Plight, Said
from rrsd.core.values.peers import parse_origin
from rrsd.drivers.fetch.bodies import _Watch
from rrsd.drivers.store.blobs.blobs import Blobs
from rrsd.drivers.store.blobs.partial import Stream
from rrsd.drivers.store.blobs.small import Writer
from rrsd.drivers.store.blobs.vault import FolderSync
from rrsd.drivers.store.sql.facts import Facts
from rrsd.drivers.store.sql.queue import Queue
from rrsd.roles.rra import breakers, letters, rules
from rrsd.roles.rra.acceptance import Acceptance
from rrsd.roles.rra.acting import Acts
from rrsd.roles.rra.circumstances import Circumstances
from rrsd.roles.rra.fairness import Fair
from rrsd.roles.rra.flow import _Attempt
from rrsd.roles.rra.health import Health
from rrsd.roles.rra.house import House
from rrsd.roles.rra.notifier import Notifier
from rrsd.roles.rra.picker import Picker
from rrsd.roles.rra.rules import Outcome, Planned
from tests.crash.files import Broken
from tests.simulate.checks import PROMPT, Witness, require_bytes_once
from tests.simulate.disk import Files
from tests.simulate.letters import GOOD, Item
from tests.simulate.operators import verb_of
from tests.simulate.plan import CROWDS, NEIGHBOURS, SENDERS, plan_of
from tests.simulate.runner import simulate

MOST_SEEDS = 60


def _damages_bodies(seed: int) -> bool:
    """Whether bytes of resources are likely to be changed on their way."""
    found = [each.details["weather"] for each in plan_of(seed).incidents if each.kind == "weather"]
    return any(each.damaged >= 0.4 and "/.well-known/ni".startswith(each.path) for each in found)


def _has_orders(seed: int) -> bool:
    """Whether an operator holds or cancels a single pull."""
    orders = [verb_of(each.details) for each in plan_of(seed).incidents if each.kind == "operate"]
    return "hold" in orders or "cancel" in orders


class Planted(SynchronousTestCase):
    """Every test changes one thing of the daemon for the worse."""

    def setUp(self) -> None:
        """Nothing is planted yet."""
        self.plants: list[MonkeyPatcher] = []

    def plant(self, place: Any, name: str, worse: Any) -> None:
        """So it is from now on, until a seed has found it."""
        self.plants.append(self.patch(place, name, worse))

    def finds(self, *promises: str, step: int = 1, seeds: Iterable[int] = ()) -> None:
        """Some seed breaks one of these promises, and none another before; without the defect it keeps them all."""
        for seed in seeds or range(step, MOST_SEEDS * step, step):
            outcome = simulate(seed)
            self.flushLoggedErrors()
            if outcome.broken:
                self.assertIn(outcome.broken.partition(":")[0], promises, outcome.broken)
                for each in self.plants:
                    each.restore()
                self.assertEqual(simulate(seed).broken, "")
                self.flushLoggedErrors()
                return
        self.fail(f"{MOST_SEEDS} seeds do not see it")

    def test_explanations_name_slots_that_are_free(self) -> None:
        """Whatever a pull waits for, its resource server is said to have all the transfers that it may have."""
        self.plant(Circumstances, "_gate", lambda *_: "destination")
        self.finds("R7")

    def test_content_is_not_synced(self) -> None:
        """fsync does nothing."""
        self.plant(Files, "sync", lambda self, descriptor: None)
        self.finds("R2", "R3")

    def test_folder_is_not_synced(self) -> None:
        """A name counts as durable before its folder is synced."""
        self.plant(FolderSync, "sync", lambda self, folder: None)
        self.finds("R2", "R3")

    def test_bytes_are_not_compared(self) -> None:
        """What came gets its final name whatever it is."""

        class Right(bytes):
            def __ne__(self, other: object) -> bool:
                return False

        store = Writer.store

        def hasty(self: Writer, blocks: Sequence[bytes], digest: Digest | None, size: int, *more: Any) -> Any:
            return store(self, blocks, None, sum(map(len, blocks)), *more)

        self.plant(Stream, "_digest", lambda self: Right())
        self.plant(Writer, "store", hasty)
        self.finds("R2", seeds=islice(filter(_damages_bodies, count(1)), MOST_SEEDS))

    def test_granted_bytes_are_collected(self) -> None:
        """The sender's domain does not wait for receipts."""

        async def collect(
            self: Blobs, now: Instant, grace_seconds: float, most: int, keep_seconds: float = 0.0
        ) -> Sequence[Digest]:
            vault, gone = self._desk.vault, []
            for path, _ in [*vault.files.state.files()]:  # type: ignore[attr-defined]
                if "/blobs/" in path:
                    with contextlib.suppress(FileNotFoundError):  # its name was lost, or given and not synced
                        vault.files.unlink(path)
                    gone.append(Digest(b"0" * 32))
            return gone

        self.plant(Blobs, "collect", collect)
        self.finds("R2", "R3", "R8")

    def test_pushed_back_for_ever(self) -> None:
        """A job that a server pushed back has no next step."""
        plan = rules._PLANS[Outcome.PUSHED_BACK]

        def forgotten(*given: Any) -> Planned:
            planned = plan(*given)
            return evolve(planned, job=evolve(planned.job, due=None, condition=""))

        self.plant(rules, "_PLANS", {**rules._PLANS, Outcome.PUSHED_BACK: forgotten})
        self.finds("R7")

    def test_restart_takes_nothing_up(self) -> None:
        """What was leased when the daemon was killed stays leased."""

        async def recover(self: Queue, *given: Any) -> int:
            return 0

        self.plant(Queue, "recover", recover)
        self.finds("R7", "R5")

    def test_a_refusal_is_final(self) -> None:
        """A broken connection fails the pull for good."""
        self.plant(rules, "_PLANS", {**rules._PLANS, Outcome.BROKEN: rules._failed})
        self.finds("R8")

    def test_nothing_is_durable_before_the_end(self) -> None:
        """A transfer that breaks begins at byte 0 again."""

        async def checkpoint(self: Queue, *given: Any) -> None:
            return None

        self.plant(Queue, "checkpoint", checkpoint)
        self.finds("R4")

    def test_nobody_is_told(self) -> None:
        """Attachments are lost, and those who wait for them do not hear of it."""

        async def silent(self: Notifier, *given: Any) -> None:
            return None

        self.plant(Notifier, "_say", silent)
        self.finds("R8")

    def test_the_same_is_said_again(self) -> None:
        """What was said is not remembered, and each notice has a key of its own."""
        numbers = count(1)

        async def looked(self: Facts, plight: Plight, said: Said, look: Instant | None) -> None:
            return None

        self.plant(Facts, "looked", looked)
        self.plant(letters, "_again", lambda plight: f" {next(numbers)}")
        self.finds("R8")

    def test_senders_are_told_whom_nothing_proves(self) -> None:
        """Whoever is named in From hears of it."""
        accept = Acceptance.accept

        async def credulous(self: Acceptance, *given: Any, **named: Any) -> Any:
            return await accept(self, *given, **{**named, "is_proved": True})

        self.plant(Acceptance, "accept", credulous)
        self.finds("R8")

    def test_what_was_fetched_is_forgotten_at_a_start(self) -> None:
        """After a crash a transfer begins at byte 0 again."""
        recover = Queue.recover

        async def forgetful(self: Queue, now: Instant) -> int:
            recovered = await recover(self, now)
            await self._engine.write(lambda connection: connection.execute("DELETE FROM checkpoints"))
            return recovered

        self.plant(Queue, "recover", forgetful)
        self.finds("R4")

    def test_bytes_that_are_here_are_fetched_again(self) -> None:
        """Each recipient's pull brings them anew."""

        async def never(self: _Attempt) -> bool:
            return False

        self.plant(_Attempt, "_is_here", never)
        self.finds("R4")

    def test_bytes_that_come_twice_are_seen(self) -> None:
        """What the check of R4 says no to, and what not."""
        item = Item(bytes(20_000), GOOD)
        require_bytes_once(item, 20_500, 1)
        broken = self.assertRaises(Broken, require_bytes_once, item, 39_000, 2)
        self.assertEqual(broken.promise, "R4")

    def test_a_refused_attempt_is_repeated_at_once(self) -> None:
        """No back-off, and no breaker."""
        self.plant(rules, "back_off", lambda first, cap, n, chance: timedelta(seconds=1))
        self.plant(breakers, "is_open", lambda breaker, now: False)
        self.plant(Health, "not_before", lambda self, job, outcome: None)
        self.finds("R5")

    def test_who_drips_may_have_every_slot(self) -> None:
        """A silent transfer is waited for without end, and a sender that delivers nothing may have every slot."""
        self.plant(_Watch, "start", lambda self: None)
        self.plant(Picker, "limit", lambda self, origin, now: 16)
        self.plant(House, "keeps_back", lambda self, candidate, is_unproved: None)
        self.finds("R6", "R7", step=NEIGHBOURS)

    def test_all_wait_in_one_line(self) -> None:
        """Who came first goes first, whoever's pulls they are."""
        flow = Fair._flow
        first = parse_origin(f"https://{SENDERS[0]}")

        def line(self: Fair, each: Candidate, now: Instant) -> Any:
            return flow(self, evolve(each, recipient="everybody", origin=first, size=1), now)

        self.plant(Fair, "_flow", line)
        self.finds("R6", step=CROWDS)

    def test_a_verb_is_acknowledged_and_not_written(self) -> None:
        """What an operator was told of a pull is forgotten: in memory it was so."""
        change = Acts.change

        async def say(self: Acts, job: Job, event: str, priority: Priority) -> Job | None:
            if event in ("held", "cancelled"):
                return rules.moved(job, event, self.timers.now())
            return await change(self, job, event, priority)

        self.plant(Acts, "change", say)
        self.finds("R8", seeds=islice(filter(_has_orders, count(1)), MOST_SEEDS))

    def test_nobody_makes_room_for_others(self) -> None:
        """A sender has as many transfers while others wait as when it is alone."""
        self.plant(Picker, "is_contended", lambda self, origin: False)
        self.finds("R6", step=NEIGHBOURS)

    def test_a_pull_that_waits_for_others_is_seen(self) -> None:
        """What the check of R6 says no to, and what not."""
        letter = plan_of(NEIGHBOURS).letters[-1]
        letter.accepted_at = 100.0
        stored = {(str(each), letter.items[0].digest.b64): 100.0 + PROMPT for each in letter.recipients}
        Witness([letter], dict(stored)).require_prompt(letter)
        for late in (dict.fromkeys(stored, 101.0 + PROMPT), {}):
            broken = self.assertRaises(Broken, Witness([letter], late).require_prompt, letter)
            self.assertEqual(broken.promise, "R6")
