"""A daemon's local endpoint, and the administrator's command lines against it."""

import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from twisted.trial.unittest import SynchronousTestCase

from rrsd.cli.main import run
from tests.cli.doubles import Bench, Table, bench, unix_daemon

JOB: dict[str, Any] = {
    "job": 17, "message": "m1", "index": 0, "recipient": "bob@bar.test", "sender": "foo.test",
    "message_id": "<1@foo.test>",
    "origin": "https://foo.test", "digest": "ni:///sha-256;" + "A" * 43, "size": 1000, "state": "deferred", "due": None,
    "condition": "space", "attempts": 2, "blame": "ourselves", "evidence": "disk full", "done": 250,
    "deadline": "2026-11-27T12:00:00+00:00",
}  # fmt: skip
ROW = {"at": "2026-11-20T12:00:00+00:00", "before": "new", "after": "leased", "event": "leased", "evidence": ""}


class Case(SynchronousTestCase):
    """A daemon on a unix socket, and an INI file that names it."""

    def setUp(self) -> None:
        """Start it."""
        found = tempfile.TemporaryDirectory(prefix="rrsd-")  # a trial folder's path is too long for a socket
        self.addCleanup(found.cleanup)
        self.folder = Path(found.name)
        self.config = self.folder / "rrsd.ini"
        self.config.write_text(f"[admin]\nsocket = {self.folder}/admin.sock\n")
        self.table = Table()

    def rrsctl(self, *words: str, given: bytes = b"", is_json: bool = False) -> tuple[int, Bench]:
        """Run one command line against the daemon."""
        made = bench(self.folder, given)
        options = ["--json"] if is_json else []
        with unix_daemon(f"{self.folder}/admin.sock", self.table):
            status = run(["--config", str(self.config), *options, *words], made.session)
        return status, made

    def query(self) -> list[tuple[str, str]]:
        """The query of the last request."""
        return parse_qsl(urlsplit(self.table.asked[-1].target).query, keep_blank_values=True)
