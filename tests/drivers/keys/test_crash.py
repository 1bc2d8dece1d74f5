"""Whatever happens between two steps on the disk, the folder of keys can be used afterwards."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from rrsd.core.values.addresses import parse_client_identifier
from rrsd.core.values.instants import instant
from rrsd.drivers.keys.service import CLIENT_CERTIFICATE, CLIENT_KEY, Keyring
from rrsd.drivers.keys.settings import Settings
from rrsd.drivers.keys.walk import Step

CLIENT = parse_client_identifier("_rra.bar.test")
NOW = instant(1_700_000_000)
DIED, DONE = 9, 0
ON_DISK = frozenset({"open", "os.mkdir", "os.remove", "os.rename", "os.truncate", "os.chmod"})
"""What Python tells its audit hooks before it does it (PEP 578)."""


def dies_before(number: int, act: Callable[[], object]) -> bool:
    """Whether a process that dies before its `number`-th access to the disk comes so far while it does `act`."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == DIED
    left = [number]

    def hook(event: str, _: object) -> None:
        if event in ON_DISK:
            left[0] -= 1
            if left[0] < 0:
                os._exit(DIED)

    sys.addaudithook(hook)
    try:
        act()
    finally:
        os._exit(DONE)


class Crashes(SynchronousTestCase):
    """A process dies in the middle of each command, at each place in turn."""

    def setUp(self) -> None:
        """A folder with keys that walk."""
        self.folder = Path(self.mktemp())
        self.keyring().create(CLIENT)

    def keyring(self) -> Keyring:
        """A keyring over the folder, as after a restart."""
        return Keyring(Settings(path=str(self.folder)), lambda: NOW)

    def deaths(self, act: Callable[[Keyring], object]) -> int:
        """Let a process die at each place of `act`; at how many places that was. Each time the keys are whole."""
        kept = self.folder.with_name("kept")
        shutil.copytree(self.folder, kept)
        number = 0
        while dies_before(number, lambda: act(self.keyring())):
            self.require_whole(act)
            shutil.rmtree(self.folder)
            shutil.copytree(kept, self.folder)
            number += 1
        shutil.rmtree(kept)
        return number

    def require_whole(self, act: Callable[[Keyring], object]) -> None:
        """It can be started with, and the command given again."""
        before, again = self.keyring(), self.keyring()
        before.reload()
        self.assertTrue(before.signer.is_ready)
        presented = before.agent.certificate
        act(again)
        again.reload()
        self.assertTrue(again.signer.is_ready)
        self.assertIn(presented, again.agent.certificates)

    def test_client_keys(self) -> None:
        """Publish, use and withdraw."""
        for step in (Step.PUBLISH, Step.USE, Step.WITHDRAW):
            with self.subTest(step):

                def act(keyring: Keyring, step: Step = step) -> None:
                    keyring.take_step(step)

                self.assertGreater(self.deaths(act), 5)
                act(self.keyring())
        self.assertFalse((self.folder / CLIENT_KEY).exists() or (self.folder / CLIENT_CERTIFICATE).exists())

    def test_signing_keys(self) -> None:
        """A rotation."""
        self.assertGreater(self.deaths(lambda keyring: keyring.rotate()), 5)
