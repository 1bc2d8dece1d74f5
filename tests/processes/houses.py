"""Two domains as real processes, made and started as the demo does it, and what a test does to them."""

import contextlib
import hashlib
import io
import json
import re
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typing_extensions import override

from rrsd.cli.demo.daemons import Daemon, host_table, prepare, socket_path
from rrsd.cli.demo.files import Attached, write_noise
from rrsd.cli.demo.people import Person, settle
from rrsd.cli.demo.trail import read_trail
from rrsd.cli.output import Console
from rrsd.cli.send import compose
from rrsd.cli.session import Session, clock
from rrsd.cli.uploads import Stored, Uploader
from rrsd.core.refusals import Refusal
from rrsd.core.values.digests import Digest
from rrsd.core.values.instants import instant
from tests.processes.case import ProcessCase
from tests.processes.gate import Gate

MIB = 1024 * 1024
SENDER, RECIPIENT = "alice@foo.test", "bob@bar.test"
_FETCHED = re.compile(r"(\d+) of them in this attempt")


class HouseCase(ProcessCase):
    """foo.test sends, bar.test pulls through a gate."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.session = Session(console=Console(out=io.StringIO(), err=io.StringIO(), is_quiet=True))
        daemons = prepare(self.root, ("foo.test", "bar.test"), instant(clock()), self._socket_of)
        self.foo, self.bar = daemons["foo.test"], daemons["bar.test"]
        self.hosts = host_table(daemons)
        self.store = self.bar.plan.folder / "data"
        self.gate = Gate(self.foo.port)
        self.addCleanup(self.gate.close)
        change(self.bar, f"foo.test = 127.0.0.1 {self.foo.port}", f"foo.test = 127.0.0.1 {self.gate.port}")
        for each in (self.foo, self.bar):
            self.secrets |= keys_of(each)
            self.addCleanup(each.stop)

    def start(self, *daemons: Daemon) -> None:
        """Start both, or those given, and wait until they are ready."""
        for each in daemons or (self.foo, self.bar):
            each.start()
        for each in daemons or (self.foo, self.bar):
            each.wait_ready()

    def settle(self, address: str) -> Person:
        """A user, logged in."""
        home = self.foo if address.endswith("@foo.test") else self.bar
        person = settle(address, home, self.root, self.hosts, self.session)
        tokens = person.client.profile.tokens
        self.secrets |= {person.password, tokens.access, tokens.refresh} if tokens else {person.password}
        return person

    def send(self, alice: Person, *sizes: int) -> tuple[bytes, list[Attached]]:
        """The placeholder message that alice's files of these sizes become, and the files."""
        files = [write_noise(self.root / f"film{n}.bin", size, lambda _: None) for n, size in enumerate(sizes)]
        stored = [self._upload(alice, each) for each in files]
        draft = {"to": [RECIPIENT], "cc": [], "bcc": [], "subject": f"{len(sizes)}", "text": "Look.\n"}
        return compose(alice.client, draft, [each.path for each in files], stored), files

    def deliver(self, message: bytes) -> list[int]:
        """Hand the message to bar.test; the numbers of its pulls."""
        with self.local(self.bar) as local:
            accepted = local.deliver(SENDER, [RECIPIENT], message)["accepted"]
        return [int(number) for each in accepted for number in each["pulls"]]

    @contextlib.contextmanager
    def local(self, daemon: Daemon) -> Iterator[Any]:
        """The administrator's endpoint."""
        local = daemon.local()
        try:
            yield local
        finally:
            local.close()

    def job(self, number: int) -> dict[str, Any]:
        """A pull of bar.test: the job's fields, and `durable`."""
        with self.local(self.bar) as local:
            shown = local.pull(number)
        return {**shown["job"], "durable": int((shown.get("fetch") or {}).get("offset") or 0)}

    def await_state(self, number: int, *states: str, seconds: float = 60.0) -> dict[str, Any]:
        """The job, as soon as it is in one of the states."""

        def there() -> dict[str, Any]:
            with contextlib.suppress(Refusal):
                job = self.job(number)
                if job["state"] in states:
                    return job
            return {}

        found: dict[str, Any] = self.until(f"pull {number} is {' or '.join(states)}", there, seconds)
        return found

    def require_kept(self, file: Attached) -> None:
        """bar.test keeps the file under its digest, once, with every byte; nothing half-done is left."""
        store = self.store
        digest = Digest(bytes.fromhex(file.sha256))
        found = [path for path in store.rglob("*") if path.is_file() and path.stat().st_size == file.size]
        self.assertEqual(found, [store / "blobs" / digest.hex[:2] / digest.b64])
        self.assertEqual(sum_of(found[0]), file.sha256)
        self.until("nothing partial is left", lambda: not list((store / "partial").iterdir()), 5)

    def fetched(self, number: int) -> int:
        """How many bytes the attempt that completed the pull took from the network, by the job's history."""
        with self.local(self.bar) as local:
            evidence = [str(row["evidence"]) for row in local.pull(number)["history"] if row["event"] == "stored"]
        self.assertEqual(len(evidence), 1, "stored exactly once")
        found = _FETCHED.search(evidence[0])
        assert found is not None, evidence
        return int(found.group(1))

    @contextlib.contextmanager
    def rows(self) -> Iterator[sqlite3.Connection]:
        """The database of bar.test while its daemon is stopped."""
        self.bar.stop()
        connection = sqlite3.connect(self.store / "rrsd.sqlite")
        try:
            yield connection
            connection.commit()
        finally:
            connection.close()
        self.start(self.bar)

    def rrsctl(self, daemon: Daemon, *words: str, given: bytes = b"") -> tuple[int, str]:
        """The exit status of `rrsctl`, and what it complained about."""
        command = [sys.executable, "-m", "rrsd.cli.main", "--config", str(daemon.plan.config), *words]
        done = self.run_to_end(command, input=given)
        return done.returncode, done.stderr.decode()

    def _upload(self, alice: Person, file: Attached) -> Stored:
        return Uploader(alice.client, time.sleep, time.monotonic).store(file.path, lambda _: None)

    def _socket_of(self, name: str) -> Path:
        return socket_path(self.root, name, self.root)


def change(daemon: Daemon, old: str, new: str) -> None:
    """Edit the INI file."""
    text = daemon.plan.config.read_text()
    assert old in text, old
    daemon.plan.config.write_text(text.replace(old, new))


def set_key(daemon: Daemon, section: str, key: str, value: str) -> None:
    """Give a key of the INI file a value; it stands there with another or commented out."""
    head, mark, tail = daemon.plan.config.read_text().partition(f"[{section}]")
    tail, count = re.subn(rf"^#?{key} =.*$", f"{key} = {value}", tail, count=1, flags=re.MULTILINE)
    assert mark and count, key
    daemon.plan.config.write_text(head + mark + tail)


def keys_of(daemon: Daemon) -> set[str]:
    """What must never be seen of the private keys."""
    signing = json.loads((daemon.plan.folder / "keys" / "signing.json").read_text())
    found = set(re.findall(r'"d": "([^"]+)"', json.dumps(signing)))
    assert found
    for path in (daemon.plan.folder / "keys" / "client.key", daemon.plan.key):
        found.add(path.read_text().splitlines()[1])
    return found


def sum_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def ni_of(file: Attached) -> str:
    """The file's ni name."""
    return Digest(bytes.fromhex(file.sha256)).ni


def trail_of(daemon: Daemon, what: str) -> list[dict[str, Any]]:
    """The audit trail's lines about one thing."""
    return [line for line in read_trail(daemon.audit.read_text()) if line.get("what") == what]
