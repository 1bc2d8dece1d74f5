"""A backup that was put back revives nothing that was used up."""

import os
import sqlite3
from pathlib import Path

from rrsd.core.refusals import NoSpace, NotGranted, Unavailable
from rrsd.drivers.store.mark import FileMark
from rrsd.drivers.store.service import Store, Threads
from rrsd.drivers.store.settings import Settings
from rrsd.drivers.store.sql.replays import QUIET
from rrsd.runtime.workers import InlineWorkers
from tests.drivers.store.contract import StoreCase
from tests.drivers.store.people_contract import code, link
from tests.drivers.store.samples import later


class Restored(StoreCase):
    """A store on disk, its database replaced by an older copy while nobody works in the folder."""

    def open(self) -> Store:
        """A store in a new folder."""
        self.folder = self.mktemp()
        return self.again()

    def again(self) -> Store:
        """A store in the same folder."""
        workers = InlineWorkers()
        threads = Threads(workers, workers, workers)
        return Store(Settings(path=self.folder), threads, self.clock, lambda: self.clock().timestamp())

    def back_up(self) -> None:
        """As the operator's page says."""
        source, target = (sqlite3.connect(f"{self.folder}/{name}.sqlite") for name in ("rrsd", "backup"))
        source.backup(target)
        source.close()
        target.close()

    def put_back(self) -> None:
        """Stop, replace the database, start."""
        self.done(self.store.stop())
        for name in ("rrsd.sqlite-wal", "rrsd.sqlite-shm"):
            Path(self.folder, name).unlink(missing_ok=True)
        Path(self.folder, "rrsd.sqlite").write_bytes(Path(self.folder, "backup.sqlite").read_bytes())
        self.start()

    def restart(self) -> None:
        """Stop and start."""
        self.done(self.store.stop())
        self.start()

    def start(self) -> None:
        """A new process in the same folder."""
        self.store = self.again()
        self.done(self.store.start())

    def test_z10_codes_and_refresh_tokens(self) -> None:
        """Neither a code nor a refresh token that was used after the backup is good again, nor any other of then."""
        logins = self.store.logins
        self.done(logins.add_code(code("c")))
        for key in ("r1", "r2"):
            self.done(logins.add_refresh(link(key, key)))
        self.back_up()
        self.done(logins.take_code("c"))
        self.done(logins.take_refresh("r1"))
        self.put_back()
        self.refused(NotGranted, self.store.logins.take_code("c"))
        for key in ("r1", "r2"):
            self.refused(NotGranted, self.store.logins.take_refresh(key))
        self.done(self.store.logins.add_refresh(link("r3", "r3")))
        self.restart()
        self.done(self.store.logins.take_refresh("r3"))

    def test_z10_logout(self) -> None:
        """A login that was ended after the backup stays ended."""
        self.done(self.store.logins.add_refresh(link("r")))
        self.back_up()
        self.done(self.store.logins.revoke_family("f"))
        self.put_back()
        self.refused(NotGranted, self.store.logins.take_refresh("r"))

    def test_z10_other_folder(self) -> None:
        """A database in a folder that never had one is a backup, too: the mark is not part of it."""
        self.done(self.store.logins.add_refresh(link("r1")))
        self.done(self.store.logins.take_refresh("r1"))
        self.done(self.store.logins.add_refresh(link("r2", "g")))
        for spoilt in (None, b"", b"no number\n", b"\xff"):
            self.done(self.store.stop())
            mark = Path(self.folder, "epoch")
            mark.unlink() if spoilt is None else mark.write_bytes(spoilt)
            self.start()
            self.refused(NotGranted, self.store.logins.take_refresh("r2"))
            self.done(self.store.logins.add_refresh(link("r2", "g")))

    def test_z10_what_is_used_once(self) -> None:
        """No assertion is believed until those that were used since the backup have expired."""
        self.done(self.store.logins.add_refresh(link("r")))
        self.back_up()
        self.done(self.store.replays.first_use("a", "1", later(60)))
        self.done(self.store.logins.take_refresh("r"))
        self.put_back()
        refusal = self.refused(Unavailable, self.store.replays.first_use("a", "1", later(60)))
        assert isinstance(refusal, Unavailable)
        self.assertEqual(refusal.retry_after, QUIET + 1)
        self.pass_seconds(QUIET)
        self.assertTrue(self.done(self.store.replays.first_use("a", "2", later(QUIET + 60))))

    def test_z01_a_restart_is_no_backup(self) -> None:
        """What was there is there after a restart: logins, and the memory of what was used."""
        self.done(self.store.logins.add_refresh(link("r1")))
        self.done(self.store.logins.take_refresh("r1"))
        self.done(self.store.logins.add_refresh(link("r2")))
        self.done(self.store.replays.first_use("a", "1", later(60)))
        for _ in range(2):
            self.restart()
        self.assertFalse(self.done(self.store.replays.first_use("a", "1", later(60))))
        self.done(self.store.logins.take_refresh("r2"))

    def test_z03_no_mark_no_use(self) -> None:
        """Where the mark cannot be written nothing is handed out."""
        self.done(self.store.logins.add_refresh(link("r")))
        os.mkdir(f"{self.folder}/epoch.new")
        self.refused(NoSpace, self.store.logins.take_refresh("r"))

    def test_marks_only_grow(self) -> None:
        """Two threads may come in either order."""
        mark = FileMark(f"{self.folder}/other")
        for number, marked in ((5, 5), (4, 5), (6, 6)):
            mark.write(number)
            self.assertEqual(FileMark(mark.path).read(), marked)
