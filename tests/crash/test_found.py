"""Defects of the store that the checker has found. Each stays mended."""

import contextlib
from errno import EIO

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.refusals import Refusal
from tests.crash.disk import Loss, crashed, killed
from tests.crash.explore import Explorer
from tests.crash.files import Fault
from tests.crash.promises import Promises
from tests.crash.scenarios import BY_NAME
from tests.crash.world import ROOT, Moment, World, recorded


class Found(SynchronousTestCase):
    """Each test tells the story of one defect."""

    def begin(self, name: str) -> Moment:
        """What the scenario's first process finds."""
        self.scenario = BY_NAME[name]
        self.explorer = Explorer(self.scenario, 1)
        self.versions = self.explorer._versions
        return self.explorer.beginning()

    def live(self, moment: Moment, fault: Fault | None = None) -> World:
        """A process that runs to its end."""
        world = recorded(self.scenario.traits, self.versions, moment, fault)
        self.scenario.run(world)
        return world

    def calls(self, moment: Moment) -> list[str]:
        """What a process calls that runs to its end, in order."""
        names: list[str] = []
        world = recorded(self.scenario.traits, self.versions, moment)
        world.calls.trace = lambda line: names.append(line[6:])
        self.scenario.run(world)
        return names

    def moment(self, world: World, what: str, last: bool = False) -> Moment:
        """The first, or last, moment after such a call."""
        return [each for each in world.moments if each.what == what][-1 if last else 0]

    def kill(self, moment: Moment) -> Moment:
        """What is found when only the process ended."""
        return evolve(moment, disk=killed(moment.disk))

    def cut_power(self, moment: Moment) -> Moment:
        """What is found when everything that was not synced is gone."""
        return evolve(moment, disk=crashed(moment.disk, Loss(frozenset(range(len(moment.disk.units()))))))

    def require(self, moment: Moment) -> None:
        """Every promise holds there."""
        Promises(self.versions).hold(moment.disk, moment.version, moment.facts)

    def test_name_that_is_seen_is_not_durable(self) -> None:
        """R2. Killed between the final name and the sync of its folder, the next process saw the name, took the bytes
        for here, and committed STORED; a power cut then took the name."""
        first = self.live(self.begin("small"))
        link = [each for each in first.moments if each.what == "link"][1]  # the first is the message's
        second = self.live(self.kill(link))
        self.require(self.cut_power(second.moments[-1]))

    def test_sync_of_a_folder_is_not_tried_again(self) -> None:
        """R9. After EIO from the sync of a blob's folder the blob was stored again, its name was found taken, and the
        folder was synced once more, with success and without effect."""
        moment = self.begin("bodies")
        calls = self.calls(moment)
        sync = calls.index("fsync of a folder", calls.index("link"))
        world = self.live(moment, Fault(sync + 1, EIO))
        self.require(self.cut_power(world.moments[-1]))

    def test_folder_of_the_store_has_a_name(self) -> None:
        """R1. The store's own folder was made, and its name in the folder above was never synced."""
        world = self.live(self.begin("first"))
        after = self.cut_power(world.moments[-1])
        self.assertIn("store", after.disk.kept["/srv/"])
        self.require(after)

    def test_folders_that_a_killed_start_made(self) -> None:
        """R2. Killed between the making of the 256 folders and their sync, the next start found all of them and did not
        sync them."""
        world = self.live(self.begin("first"))
        made = self.moment(world, "mkdir", last=True)
        self.assertEqual(len(made.disk.seen[f"{ROOT}/blobs/"]), 256)
        self.require(self.cut_power(self.live(self.kill(made)).moments[-1]))

    def test_file_of_an_upload_without_a_row(self) -> None:
        """A power cut that took the end of an upload's file, and not that of its row, left the file for ever."""
        left = self.cut_power(self.live(self.begin("upload")).moments[-1])
        self.assertTrue(left.disk.seen[f"{ROOT}/uploads"])
        after = self.live(left).moments[-1]
        self.assertFalse(after.disk.seen[f"{ROOT}/uploads"])

    def test_checkpoints_outlive_a_final_name_that_failed(self) -> None:
        """R4. When the final name could not be made durable the next attempt took its own file for somebody else's and
        began at byte 0."""
        moment = self.begin("large")
        calls = self.calls(moment)
        link = len(calls) - 1 - calls[::-1].index("link")
        self.assertEqual(calls[link + 1], "fsync of a folder")
        world = self.live(moment, Fault(link + 2, EIO))
        self.require(self.cut_power(world.moments[-1]))

    def test_descriptor_of_a_transfer_that_cannot_begin(self) -> None:
        """A partial file whose name could not be synced, or whose bytes could not be read again, stayed open."""
        moment = self.begin("broken")
        for call in range(1, self.live(moment).calls.made + 1):
            world = recorded(self.scenario.traits, self.versions, moment, Fault(call, EIO))
            with contextlib.suppress(Refusal):
                self.scenario.run(world)
            self.assertEqual(world.files._open, {}, f"call {call}")
