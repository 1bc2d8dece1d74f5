"""Everything that is stored is hashed again; what is damaged is set aside and pulled again; nothing is deleted."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Malformed
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.jobs import State
from rrsd.drivers.store.blobs import shelves
from rrsd.roles.rra.stocktaking import Stocktaking
from tests.roles.rra.agents import Desk
from tests.roles.rra.peers import OTHER, Disk, served
from tests.roles.rra.samples import RS
from tests.roles.rra.scheduling import files


class Case(SynchronousTestCase):
    """An agent that has three resources."""

    def setUp(self) -> None:
        """They have arrived."""
        self.desk = Desk()
        self.addCleanup(self.desk.close)
        self.desk.accept(*files(3))
        self.desk.start()
        self.desk.advance(1)
        self.assertEqual(set(self.desk.states()), {State.RECEIPTED})

    def path(self, digest: Digest) -> str:
        """Its final name."""
        (found,) = [name for name in self.desk.files.nodes if name.endswith(f"/{digest.b64}")]
        return found

    def spoil(self, data: bytes) -> None:
        """Other bytes under the final name."""
        node = self.desk.files.nodes[self.path(digest_of(data))]
        node.data[:] = b"X" * len(node.data)

    def verify(self, seconds: float = 5) -> Stocktaking:
        """A whole run."""
        run = self.desk.stock.verify()
        self.desk.advance(seconds, 0.05)
        assert run.ended is not None
        return run


class Verifying(Case):
    """`verify-store`."""

    def test_what_is_good_stays(self) -> None:
        """Everything is looked at, and nothing is said."""
        run = self.verify()
        self.assertEqual((run.looked, run.folders, run.bytes, run.damaged, run.failed), (3, 256, 30, [], ""))
        self.assertEqual(self.desk.trail.of("check"), [])

    def test_what_is_damaged_is_set_aside_and_pulled_again(self) -> None:
        """By a new pull in the place of the old one; the damaged bytes are kept in quarantine."""
        self.spoil(files(3)[1])
        run = self.verify()
        self.assertEqual(run.damaged, [{"digest": digest_of(files(3)[1]).ni, "pulls": [2], "again": [4]}])
        self.assertEqual((self.desk.job(4).again, self.desk.state(4)), (2, State.RECEIPTED))
        self.assertEqual(self.desk.state(2), State.RECEIPTED)
        aside = [node for name, node in self.desk.files.nodes.items() if "/quarantine/" in name]
        self.assertEqual([bytes(node.data) for node in aside], [b"X" * 10])
        self.assertIn("set aside", self.desk.trail.of("check")[0].evidence)
        self.assertEqual(self.verify().damaged, [])

    def test_what_the_sender_keeps_no_more_is_named(self) -> None:
        """No pull is made in vain."""
        self.desk.accept(b"old", name="m2", not_after=self.desk.timers.now() + timedelta(seconds=2))
        self.desk.advance(4)
        self.spoil(b"old")
        self.assertEqual([each["again"] for each in self.verify().damaged], [[]])

    def test_several_pulls_of_one_resource_come_again_together(self) -> None:
        """Each recipient's; one that was done over already is not done over twice."""
        self.desk.accept(files(3)[0], name="m2")
        self.desk.accept(files(3)[0], name="m3", origin=OTHER)
        self.desk.advance(1)
        self.spoil(files(3)[0])
        self.assertEqual([len(each["again"]) for each in self.verify().damaged], [3])

    def test_who_found_it_good_a_moment_before_it_went_is_sent_for_it_as_well(self) -> None:
        """Pulls are looked for when it is gone, and all of them: however many messages show it."""
        self.desk.accept(files(3)[0], name="m2")
        self.desk.accept(files(3)[0], name="m3", origin=OTHER)
        self.desk.advance(1)
        self.patch(shelves, "MOST_PULLS", 1)
        looking = Looking(self.desk.stock.shelves, lambda: self.desk.has(digest_of(files(3)[0])))
        self.patch(self.desk.stock, "shelves", looking)
        self.spoil(files(3)[0])
        self.assertEqual([len(each["again"]) for each in self.verify().damaged], [3])
        self.assertEqual(looking.there, [False] * 4)

    def test_a_disk_that_fails_names_what_it_does_not_give(self) -> None:
        """Nothing is set aside for that; the run goes on."""
        bad = self.path(digest_of(files(3)[2]))
        real = Disk.open

        def open_(disk: Disk, path: str) -> int:
            if path == bad:
                raise OSError(5, "input/output error")
            return real(disk, path)

        self.patch(Disk, "open", open_)
        run = self.verify()
        self.assertEqual((run.unreadable, run.looked), ([digest_of(files(3)[2]).ni], 3))
        self.patch(Disk, "names", _failing)
        self.assertIn("input/output", self.verify().failed)

    def test_it_keeps_to_its_rate(self) -> None:
        """So many bytes a second, whatever the disk could do; a second call while it runs changes nothing."""
        self.desk.accept(b"z" * 3_000_000, name="m2")
        self.desk.peers.always("GET", RS, served(b"z" * 3_000_000))
        self.desk.advance(2)
        run = self.desk.stock.verify(1_000_000)
        self.desk.advance(2, 0.05)
        self.assertIs(self.desk.stock.verify(), run)
        self.assertIsNone(run.ended)
        self.assertLessEqual(run.bytes, 3_200_000)
        self.desk.advance(3, 0.05)
        self.assertIsNotNone(run.ended)
        with self.assertRaises(Malformed):
            self.desk.stock.verify(1)


def _failing(disk: Disk, path: str) -> list[str]:
    raise OSError(5, "input/output error")


class Looking:
    """Shelves that note whether it was still there when pulls were looked for."""

    def __init__(self, real: Any, is_there: Callable[[], bool]) -> None:
        self.real, self.is_there, self.there = real, is_there, list[bool]()

    def __getattr__(self, name: str) -> Any:
        """All else is as it is."""
        return getattr(self.real, name)

    async def pulls_of(self, digest: Digest, after: int) -> Sequence[int]:
        """As the real ones."""
        self.there.append(self.is_there())
        found: Sequence[int] = await self.real.pulls_of(digest, after)
        return found


class Removing(Case):
    """`gc --dry-run`."""

    def test_what_would_go_and_nothing_goes(self) -> None:
        """What a message shows stays; what nothing refers to goes after its grace, with its reason."""
        self.desk.result(self.desk.store.blobs.put(b"nobody's"))
        self.assertEqual(self.desk.result(self.desk.stock.removable(9))["count"], 0)
        self.desk.peers.always("GET", RS, served(b"z" * 2_000_000, still=1_000_000))
        self.desk.accept(b"z" * 2_000_000, name="m2")
        self.desk.advance(1)
        self.desk.result(self.desk.operations.act("cancel", 4))
        self.desk.advance(90_000 - 82_800, 600)
        found = self.desk.result(self.desk.stock.removable(9))
        self.assertEqual(([each["size"] for each in found["partials"]], found["resources"]), ([1_000_000], []))
        self.desk.agent.scheduler.stop()
        self.desk.advance(86_400, 3600)
        found = self.desk.result(self.desk.stock.removable(9))
        self.assertEqual([each["digest"] for each in found["resources"]], [digest_of(b"nobody's").ni])
        self.assertEqual((found["count"], found["bytes"]), (1, 8))
        self.desk.result(self.desk.store.blobs.put(b"nobody's either"))
        self.desk.advance(2 * 86_400, 3600)
        found = self.desk.result(self.desk.stock.removable(1))
        self.assertEqual((found["count"], found["bytes"], len(found["resources"])), (2, 23, 1))
        self.assertTrue(self.desk.has(digest_of(b"nobody's")))
