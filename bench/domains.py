"""foo.test and bar.test as real daemons: alice's domain keeps what it has, bob's begins anew before every run."""

import json
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha1
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from bench import readings
from rrsd.cli.demo.daemons import Daemon, free_ports, host_table, socket_path
from rrsd.cli.demo.people import Person, settle
from rrsd.cli.init import Plan, first_values, make
from rrsd.cli.session import Session
from rrsd.cli.uploads import Stored, Uploader
from rrsd.core.refusals import Unavailable
from rrsd.core.values.addresses import parse_domain
from rrsd.core.values.instants import instant
from rrsd.drivers.keys.service import CLIENT_CERTIFICATE, CLIENT_KEY

ALICE, BOB = "alice@foo.test", "bob@bar.test"
CHANGED = {
    ("sts", "exchanges_per_second"): "1000000",
    ("rs", "rate"): "1000000",
    ("rs", "burst"): "1000000",
    ("rs", "longest"): "90d",
    ("rs", "grace"): "7d",
}
"""What the INI files say beside the defaults: no limits for a load generator, and the sender keeps."""
_UPLOADERS = 4
_ARRIVED = ("stored", "receipted")
_OVER = ("failed", "expired", "cancelled", "quarantined", "held", "needs_auth", "no_space")


@frozen
class Delivered:
    """A message that bar.test has accepted."""

    pulls: tuple[int, ...]
    began: float
    accepted: float


@define(eq=False)
class Domains:
    """The two daemons and who lives there. `spare` holds sockets whose own path would be too long."""

    root: Path
    spare: Path
    session: Session
    foo: Daemon = field(init=False)
    bar: Daemon = field(init=False)
    alice: Person = field(init=False)
    _runs: int = field(default=0, init=False)

    def prepare(self) -> None:
        """Keys, certificates, configuration; alice's domain runs and she is logged in."""
        ports = free_ports(2)
        hosts = "\n".join(f"{name} = 127.0.0.1 {port}" for name, port in zip(_NAMES, ports, strict=True))
        self.foo, self.bar = (self._made(name, port, hosts) for name, port in zip(_NAMES, ports, strict=True))
        self.foo.start()
        self.foo.wait_ready()
        table = host_table({each.name: each for each in (self.foo, self.bar)})
        self.alice = settle(ALICE, self.foo, self.root, table, self.session)

    def stop(self) -> None:
        """Stop both."""
        for name in ("bar", "foo"):
            daemon = getattr(self, name, None)
            if daemon is not None:
                daemon.stop()

    @property
    def certificate(self) -> Path:
        """The client certificate of bar.test's agent."""
        return self.bar.plan.folder / "keys" / CLIENT_CERTIFICATE

    @property
    def key(self) -> Path:
        """The key of that certificate."""
        return self.bar.plan.folder / "keys" / CLIENT_KEY

    @property
    def roots(self) -> Path:
        """The authority of the servers' certificates."""
        return self.root / "authority" / "ca.pem"

    @property
    def fingerprint(self) -> str:
        """SHA-1 of the client certificate, the only one that nginx can be told."""
        return sha1(load_pem_x509_certificate(self.certificate.read_bytes()).public_bytes(Encoding.DER)).hexdigest()

    def fresh_receiver(self, keep: bool = False) -> None:
        """Start bar.test with an empty store; `keep` leaves the old one aside, many files are slow to remove."""
        self.bar.stop()
        data, self._runs = self.bar.plan.folder / "data", self._runs + 1
        if keep:
            data.rename(data.with_name(f"data-{self._runs}"))
        else:
            shutil.rmtree(data)
        data.mkdir(mode=0o700)
        self.bar.start()
        self.bar.wait_ready()
        local = self.bar.local()
        local.add_user(BOB, "correct horse battery staple")
        local.close()

    def store(self, paths: Sequence[Path]) -> list[Stored]:
        """Upload files to alice's domain, several at once."""
        with ThreadPoolExecutor(_UPLOADERS) as pool:
            shares = [paths[start::_UPLOADERS] for start in range(_UPLOADERS)]
            done = list(pool.map(self._store_share, shares))
        by_path = {
            path: stored
            for share, found in zip(shares, done, strict=True)
            for path, stored in zip(share, found, strict=True)
        }
        return [by_path[path] for path in paths]

    def message(self, stored: Sequence[Stored]) -> bytes:
        """A new placeholder message for bob with these files."""
        attachments = [
            {"digest": each.digest.b64, "media_type": "application/octet-stream", "filename": f"{number}.bin"}
            for number, each in enumerate(stored)
        ]
        draft = {"to": [BOB], "cc": [], "bcc": [], "subject": "Bench", "text": "", "days": 90}
        document = {**draft, "attachments": attachments}
        self.alice.client.close()  # the server has closed what was kept for longer than its idle time
        return self.alice.client.post("/api/outgoing", document, "make the message").body

    def deliver(self, message: bytes) -> Delivered:
        """Hand it to bar.test as its mail server would."""
        local = self.bar.local()
        began = time.monotonic()
        said = local.deliver(ALICE, [BOB], message)
        accepted = time.monotonic()
        local.close()
        return Delivered(tuple(int(pull) for pull in said["accepted"][0]["pulls"]), began, accepted)

    def wait(self, number: int, within: float, states: Sequence[str] = _ARRIVED) -> float:
        """When so many pulls of bar.test are in one of the states.

        Raises:
            Unavailable: one of them failed, or it takes too long.
        """
        local, end = self.bar.local(), time.monotonic() + within
        while time.monotonic() < end:
            counts: dict[str, int] = local.queue().get("by_state", {})
            if sum(counts.get(state, 0) for state in states) >= number:
                local.close()
                return time.monotonic()
            if any(counts.get(state) for state in _OVER):
                raise Unavailable(f"a pull ended otherwise: {counts}; {self._why()}")
            time.sleep(_LOOK_AGAIN)
        raise Unavailable(f"{number} pulls did not end in {within:.0f} s: {local.queue()}")

    def count(self, what: str) -> int:
        """How many such decisions bar.test's audit trail has."""
        lines = (json.loads(line) for line in self.bar.audit.read_text().splitlines())
        return sum(line.get("what") == what and line.get("outcome") == "granted" for line in lines)

    def used(self) -> dict[str, float]:
        """Processor seconds of each daemon so far."""
        return {each.name: readings.cpu_seconds([each.pid]) for each in (self.foo, self.bar)}

    def _made(self, name: str, port: int, hosts: str) -> Daemon:
        plan = Plan(parse_domain(name), self.root / name, port=port, authority=self.root / "authority")
        address = socket_path(self.root, name, self.spare)
        more = {
            ("front", "listen"): f"tcp:{port}:interface=127.0.0.1",
            ("dns", "hosts"): hosts,
            ("admin", "socket"): str(address),
            **CHANGED,
        }
        make(plan, instant(self.session.now()), first_values(plan) | more)
        return Daemon(plan, port, address, plan.folder / "data" / "audit.jsonl", plan.folder / "daemon.log")

    def _store_share(self, paths: Sequence[Path]) -> list[Stored]:
        client = self.alice.session.client()
        uploader = Uploader(client, time.sleep, time.monotonic)
        stored = [uploader.store(path, lambda _: None) for path in paths]
        client.close()
        return stored

    def _why(self) -> Any:
        pulls = self.bar.local().pulls()["pulls"]
        return next((each.get("evidence") for each in pulls if each["state"] in _OVER), "")


_NAMES = ("foo.test", "bar.test")
_LOOK_AGAIN = 0.02
