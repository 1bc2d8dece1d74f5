"""Real name servers on loopback: Knot with zones of every kind, and Unbound, which validates them. No root is needed.

servers = Nameservers(folder)
servers.start()
servers.set("bar.test", "_rra", 60, "TXT", '"v=RRA1; …"')      # signed anew and heard at once
settings = f"[dns]\nresolver = {servers.resolver.address} {servers.resolver.port}\n"
servers.stop()
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import dns.dnssec
import dns.dnssectypes
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.zone
from attrs import define, field
from cryptography.hazmat.primitives.asymmetric import rsa

from rrsd.drivers.dns.places import Place
from tests.support.pace import slowness

PACKAGES = {
    "knotd": "knot", "knotc": "knot", "keymgr": "knot", "unbound": "unbound", "unbound-control": "unbound",
}  # fmt: skip
PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
"""Where they are: servers are not on everybody's path."""
LOOPBACK = "127.0.0.1"
PATIENCE = 20.0
"""Seconds that a server has to come up on a slow machine."""
DAY = 86400


class Kind(StrEnum):
    """How a zone is signed."""

    SIGNED = "signed"
    UNSIGNED = "unsigned"
    BOGUS = "bogus"
    """Signed with another key than its parent names."""
    EXPIRED = "expired"
    """Signed until yesterday."""
    WEAK = "weak"
    """Signed with RSA and SHA-1."""


ZONES: Mapping[str, Kind] = {
    "foo.test": Kind.SIGNED,
    "bar.test": Kind.SIGNED,
    "plain.test": Kind.UNSIGNED,
    "bogus.test": Kind.BOGUS,
    "expired.test": Kind.EXPIRED,
    "weak.test": Kind.WEAK,
}
_STATIC = frozenset({Kind.EXPIRED, Kind.WEAK})
"""Signed here, since no server would do it; they cannot be changed."""

_RECORDS = """\
$TTL 60
@ SOA ns.test. hostmaster.test. 1 3600 600 86400 60
@ NS ns.test.
_proof TXT "v=proof"
_proof TLSA 3 1 1 0c72ac70b745ac19998811b131d662c9ac69dbdbe7cb23e5b514b56664c5d3d6
_rrs._tcp SRV 0 5 8443 RS.{zone}.
rs A 20.0.0.9
rs AAAA 2a00::9
alias CNAME _proof.{zone}.
elsewhere CNAME _proof.plain.test.
*.wild TXT "v=proof"
large TXT {large}
many TXT {many}
"""

_KNOT = """\
server:
    rundir: "{folder}/run"
    listen: [ {address}@{port} ]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: info
database:
    storage: "{folder}/db"
    journal-db-max-size: 20M
    kasp-db-max-size: 20M
    timer-db-max-size: 1M
policy:
  - id: quick
    algorithm: ecdsap256sha256
    single-type-signing: on
    nsec3: off
    rrsig-lifetime: 14d
template:
  - id: default
    storage: "{folder}/zones"
    file: "%s.zone"
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
    dnssec-policy: quick
zone:
"""

_VALIDATION = """\
server:
    directory: "{folder}"
    do-ip6: no
    ede: {extended}
    do-not-query-localhost: no
    module-config: "validator iterator"
    trust-anchor-file: "{folder}/test.anchor"
    local-zone: "test." nodefault
    qname-minimisation: no
    cache-max-negative-ttl: 1
    val-bogus-ttl: 1
    infra-host-ttl: 1
"""

_UNBOUND = """\
server:
    chroot: ""
    username: ""
    pidfile: "{folder}/unbound.pid"
    use-syslog: no
    logfile: ""
    interface: {address}@{port}
    num-threads: 1
    access-control: 127.0.0.0/8 allow
    msg-cache-size: 4m
    rrset-cache-size: 8m
remote-control:
    control-enable: yes
    control-interface: "{folder}/control"
    control-use-cert: no
"""


class Missing(AssertionError):
    """A program that the tests need is not installed."""


@define(eq=False)
class Nameservers:
    """The servers of `zones`, all below `test.`, in a folder of their own.

    `extended`: Unbound says with extended errors why it fails, which is not its default.
    """

    folder: Path
    zones: Mapping[str, Kind] = field(factory=lambda: dict(ZONES))
    extended: bool = True
    authority: Place = field(factory=lambda: Place(LOOPBACK, _free_port()))
    resolver: Place = field(factory=lambda: Place(LOOPBACK, _free_port()))
    _running: dict[str, "subprocess.Popen[bytes]"] = field(factory=dict)
    _static: dict[str, str] = field(factory=dict)

    def start(self) -> None:
        """Both servers answer, and every zone has the DS record that its kind asks for.

        Raises:
            Missing: something is not installed; it says what to install.
        """
        require_installed()
        self._write()
        self._run("knot", ["knotd", "-c", str(self._knot)])
        signed = [name for name, kind in self.zones.items() if kind is not Kind.UNSIGNED]
        for name in ("test", *signed):
            self._until(f"{name} is signed", lambda name=name: self._has_key(name))  # type: ignore[misc]
        (self.folder / "test.anchor").write_text(self._keymgr("test") + "\n")
        self._change("test", [["set", name.removesuffix(".test"), "60", "DS", *self._ds(name)] for name in signed])
        self.start_resolver()

    def start_resolver(self) -> None:
        """Unbound answers; what it knew is forgotten."""
        self._run("unbound", ["unbound", "-d", "-p", "-c", str(self.folder / "unbound.conf")])
        self._until("unbound validates", lambda: self._is_secure("test"))

    def pid(self, name: str) -> int:
        """The process of `knot` or `unbound`."""
        return self._running[name].pid

    def set(self, zone: str, name: str, ttl: int, kind: str, *data: str) -> None:
        """These are the records of that name and type in the zone, from now on and for everybody; none removes them."""
        add = [["set", name, str(ttl), kind, each] for each in data]
        self._change(zone, [["unset", name, kind], *add])
        self.forget(zone)

    def forget(self, zone: str) -> None:
        """The resolver asks again for what is in the zone."""
        self._do("unbound-control", "-c", str(self.folder / "unbound.conf"), "flush_zone", zone)

    def stop(self, *names: str) -> None:
        """End those of `knot` and `unbound`, or both."""
        for name in names or tuple(self._running):
            process = self._running.pop(name)
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    @property
    def library(self) -> Path:
        """The file that libunbound in another process validates with."""
        return self.folder / "library.conf"

    @property
    def _knot(self) -> Path:
        return self.folder / "knot.conf"

    def _write(self) -> None:
        for each in ("zones", "run", "db"):
            (self.folder / each).mkdir(parents=True, exist_ok=True)
        place: dict[str, Any] = {"folder": self.folder, "address": LOOPBACK}
        extended = "yes" if self.extended else "no"
        parent = "".join(f"{name.removesuffix('.test')} NS ns.test.\n" for name in self.zones)
        records = _RECORDS.format(zone="test", large='"x"', many='"x"')
        (self.folder / "zones" / "test.zone").write_text(f"$ORIGIN test.\n{records}ns A {LOOPBACK}\n{parent}")
        lines = ["  - domain: test\n    dnssec-signing: on\n"]
        for name, kind in self.zones.items():
            (self.folder / "zones" / f"{name}.zone").write_text(self._zone(name, kind))
            signing = "off" if kind is Kind.UNSIGNED or kind in _STATIC else "on"
            lines.append(f"  - domain: {name}\n    dnssec-signing: {signing}\n")
        self._knot.write_text(_KNOT.format(port=self.authority.port, **place) + "".join(lines))
        stubs = "".join(
            f'stub-zone:\n    name: "{name}."\n    stub-addr: {LOOPBACK}@{self.authority.port}\n'
            for name in ("test", *self.zones)
        )
        validation = _VALIDATION.format(extended=extended, **place)
        (self.folder / "library.conf").write_text(validation + stubs)
        unbound = _UNBOUND.format(port=self.resolver.port, **place)
        (self.folder / "unbound.conf").write_text(validation + unbound + stubs)

    def _zone(self, name: str, kind: Kind) -> str:
        large = " ".join(f'"{"x" * 250}"' for _ in range(12))
        many = "\n".join(["", *(f'many TXT "{number}"' for number in range(40))])
        text = f"$ORIGIN {name}.\n" + _RECORDS.format(zone=name, large=large, many=f'"many"{many}')
        return self._signed(name, kind, text) if kind in _STATIC else text

    def _signed(self, name: str, kind: Kind, text: str) -> str:
        """The zone, signed until three days ago or with SHA-1."""
        zone = dns.zone.from_text(text, f"{name}.", relativize=False)
        algorithm = dns.dnssectypes.Algorithm.RSASHA1 if kind is Kind.WEAK else dns.dnssectypes.Algorithm.RSASHA256
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = dns.dnssec.make_dnskey(private.public_key(), algorithm, flags=257)
        now = int(time.time())  # noqa: TID251 (the resolver looks at the real clock)
        until = now - 3 * DAY if kind is Kind.EXPIRED else now + DAY  # Unbound forgives a day
        dns.dnssec.sign_zone(
            zone, keys=[(private, public)], inception=now - 30 * DAY, expiration=until,
            add_dnskey=True, dnskey_ttl=60, policy=dns.dnssec.allow_all_policy,
        )  # fmt: skip
        self._static[name] = dns.dnssec.make_ds(f"{name}.", public, "SHA256").to_text()
        return zone.to_text(relativize=False)

    def delegation(self, name: str) -> str:
        """The data of the DS record that makes the zone secure."""
        return " ".join(self._ds(name))

    def _ds(self, name: str) -> list[str]:
        """The data of the DS record that the parent publishes."""
        if name in self._static:
            return self._static[name].split()
        other = name if self.zones[name] is not Kind.BOGUS else "foo.test"
        return self._keymgr(other).split(" DS ")[1].split()

    def _keymgr(self, zone: str) -> str:
        lines = self._do("keymgr", "-c", str(self._knot), zone, "ds").splitlines()
        return next(line for line in lines if line.split()[-2] == "2")

    def _change(self, zone: str, steps: list[list[str]]) -> None:
        self._knotc("zone-begin", zone)
        for verb, *words in steps:
            self._knotc(f"zone-{verb}", zone, *words, may_fail=verb == "unset")
        self._knotc("zone-commit", zone)

    def _knotc(self, *words: str, may_fail: bool = False) -> None:
        self._do("knotc", "-c", str(self._knot), "-b", *words, may_fail=may_fail)

    def _do(self, *command: str, may_fail: bool = False) -> str:
        environment = {**os.environ, "PATH": PATH}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE)
        if done.returncode and not may_fail:
            raise AssertionError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def _run(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            environment = {**os.environ, "PATH": PATH}
            self._running[name] = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def _until(self, what: str, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE * slowness()
        while not holds():
            dead = [name for name, process in self._running.items() if process.poll() is not None]
            if dead or time.monotonic() > end:
                logs = "".join(path.read_text() for path in sorted(self.folder.glob("*.log")))
                raise AssertionError(f"not so: {what}; ended: {dead}\n{logs}")
            time.sleep(0.01)

    def _has_key(self, zone: str) -> bool:
        answer = _asked(self.authority, zone, "DNSKEY")
        return answer is not None and bool(answer.answer)

    def _is_secure(self, zone: str) -> bool:
        answer = _asked(self.resolver, zone, "SOA")
        return answer is not None and bool(answer.flags & dns.flags.AD)


def require_installed() -> None:
    """Raises:
    Missing: a program is not there.
    """
    missing = {package for program, package in PACKAGES.items() if shutil.which(program, path=PATH) is None}
    if missing:
        raise Missing(f"install {' '.join(sorted(missing))} to run this test, as in apt-get install knot unbound")


def _asked(server: Place, name: str, kind: str) -> dns.message.Message | None:
    query = dns.message.make_query(f"{name}.", kind, want_dnssec=True)
    try:
        answer = dns.query.udp(query, server.address, timeout=0.5, port=server.port)
    except (dns.exception.DNSException, OSError):
        return None
    return answer if answer.rcode() == dns.rcode.NOERROR else None


def _free_port() -> int:
    """A port that is free for datagrams and streams."""
    while True:
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
            stream.bind((LOOPBACK, 0))
            port: int = stream.getsockname()[1]
            try:
                datagram.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
