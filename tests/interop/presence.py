"""What is missing is said, and fails: nothing here passes because nobody was there."""

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.interop.case import did
from tests.interop.peers import NPM, all_peers


class Presence(SynchronousTestCase):
    """Everybody is here."""

    def test_nothing_is_missing(self) -> None:
        """Every peer is installed in the version that is pinned; what is not is named with the way to get it."""
        missing = [
            f"{each.name} {each.pin} ({f'{each.found} is here' if each.found else 'not here'}): {each.install}"
            for each in all_peers()
            if not each.is_here
        ]
        self.assertEqual(missing, [], "\n" + "\n".join(missing))

    def test_lock_file_is_for_everybody(self) -> None:
        """The lock file names versions and checksums only: no address of anybody's package server stands in it."""
        packages = json.loads((NPM / "package-lock.json").read_text())["packages"]
        self.assertEqual([name for name, one in packages.items() if "resolved" in one], [])
        self.assertEqual([name for name, one in packages.items() if name and "integrity" not in one], [])
        did("npm", "installed what the lock file names, by its checksums")
