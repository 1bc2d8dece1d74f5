"""Two pairs of mail domains, side by side: one with rrsd between its Postfix and Dovecot, one with these alone."""

import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from attrs import define, field, frozen
from typing_extensions import override

from bench import readings
from bench.wire import Counter
from tests.processes.houses import change
from tests.support.mailhosts import SELECTOR, SUBMISSION, MailHost, MailHosts
from tests.support.running import run, until

RRSD, ALONE = "rrsd with Postfix and Dovecot", "Postfix and Dovecot alone"
PAIRS = {RRSD: ("foo.test", "bar.test"), ALONE: ("foo-alone.test", "bar-alone.test")}
RETRY = 300
"""Seconds after which Postfix tries again by itself, as without being told: what is held waits for rrsd to say so."""
SAME = (
    "message_size_limit=0", "mailbox_size_limit=0", "virtual_mailbox_limit=0", "in_flow_delay=0",
    "smtp_connection_cache_on_demand=yes", "lmtp_connection_cache_on_demand=yes",
)  # fmt: skip
"""What every Postfix is told beside what the fixture says: no limits, no pauses for a client that is fast, and
connections used again, as Postfix does by itself."""


@define(eq=False)
class Side:
    """One pair: mail goes from `foo` to `bar`. `gates` is everything between the two."""

    name: str
    foo: MailHost
    bar: MailHost
    gates: Sequence[Counter]
    door: str = SUBMISSION
    """The service that users hand their mail to."""
    has_dkim: bool = False

    @property
    def wire(self) -> int:
        """Bytes that went between the two so far, in both directions."""
        return sum(each.total for each in self.gates)

    def roots(self) -> Iterator[tuple[str, int]]:
        """Whose process it is, and the process that the others are below."""
        for place, host in (("foo", self.foo), ("bar", self.bar)):
            master = host.folder / "spool" / "pid" / "master.pid"
            yield f"Postfix, {place}", int(master.read_text())
            yield f"Dovecot, {place}", host.running.pid("dovecot")
            if self.has_dkim or host.daemon is not None:
                yield f"OpenDKIM, {place}", host.running.pid("dkim-sign" if place == "foo" else "dkim-verify")
            if host.daemon is not None:
                yield f"rrsd, {place}", host.daemon.pid

    def processes(self) -> dict[str, list[int]]:
        """The processes that work for the pair now."""
        return {name: readings.tree(pid) for name, pid in self.roots()}

    def set_dkim(self, has_dkim: bool) -> None:
        """Whether OpenDKIM signs and verifies where there is no rrsd; with rrsd it always does."""
        self.has_dkim = has_dkim
        for host in (self.foo, self.bar) if self.foo.daemon is None else ():
            sign, verify = (f"unix:{host.folder}/{name}.sock" if has_dkim else "" for name in ("sign", "verify"))
            host.postconf("-e", f"smtpd_milters={verify}")
            host.postconf("-P", f"127.0.0.1:{host.ports[SUBMISSION]}/inet/smtpd_milters={sign}")
            run("postfix", "-c", str(host.etc), "reload")


@define(eq=False)
class Counted(MailHosts):
    """The domains, with a counter on every way between two of them."""

    speed: float = 0.0
    counters: dict[str, Counter] = field(factory=dict, init=False)

    @override
    def _prepare(self) -> None:
        super()._prepare()
        names = PAIRS[RRSD]
        for name, other in (names, names[::-1]):
            here, there = self[name].daemon, self[other].daemon
            assert here is not None and there is not None
            counter = self.counters[name] = Counter(there.port, speed=self.speed)
            change(here, f"{other} = 127.0.0.1 {there.port}", f"{other} = 127.0.0.1 {counter.port}")
        keys = "".join(f"{SELECTOR}._domainkey.{name} {_key(host)}\n" for name, host in self.hosts.items())
        for host in self.hosts.values():
            _know_keys(host, keys)

    @override
    def stop(self) -> None:
        super().stop()
        for each in self.counters.values():
            each.close()


@frozen
class Sides:
    """Everything that runs."""

    hosts: Counted
    rrsd: Side
    alone: Side


def start(folder: Path, *, speed: float, door: str) -> Sides:
    """Start the four domains, with wires of so many bytes a second between them, or of any number for 0.

    `door` is the service of the domain with rrsd: `HASTY` has the filter before its queue, `SUBMISSION` behind it.
    Missing says what is not installed.
    """
    gate = partial(Counter, speed=speed)
    hosts = Counted(folder, PAIRS[RRSD], plain=PAIRS[ALONE], retry=RETRY, gate=gate, speed=speed)
    hosts.start()
    sides = [_side(hosts, name) for name in (RRSD, ALONE)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(_configure, hosts.hosts.values()))
    sides[1].set_dkim(False)
    sides[0].door = door
    return Sides(hosts, sides[0], sides[1])


def _side(hosts: Counted, name: str) -> Side:
    pair = PAIRS[name]
    gates = [hosts[each].wire for each in pair] + [hosts.counters[each] for each in pair if each in hosts.counters]
    return Side(name, hosts[pair[0]], hosts[pair[1]], [each for each in gates if isinstance(each, Counter)])


def _use_sockets(host: MailHost) -> None:
    """OpenDKIM listens where Debian's does, on sockets of the file system: over TCP each message waits 80 ms for
    acknowledgements that nobody hurries to send."""
    names = ("sign", "verify")
    host.running.stop(*(f"dkim-{name}" for name in names))
    for name in names:
        there, here = host.ports[name], host.folder / f"{name}.sock"
        _replace(host.folder / f"{name}.conf", f"Socket inet:{there}@127.0.0.1", f"Socket local:{here}\nUMask 000")
        for file in ("main.cf", "master.cf"):
            _replace(host.etc / file, f"inet:127.0.0.1:{there}", f"unix:{here}")
        host.start_dkim(name)
        until(f"{host.name} {name} listens", here.exists)


def _replace(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def _know_keys(host: MailHost, keys: str) -> None:
    """OpenDKIM takes the keys from a file: with libunbound, which reads its configuration for each message, it ends by
    a fault of protection when many messages come at once (2.11.0~beta2)."""
    (host.folder / "dkim.keys").write_text(keys)
    config = host.folder / "verify.conf"
    asked = re.sub(
        r"^ResolverConfiguration .*$", f"TestPublicKeys {host.folder}/dkim.keys", config.read_text(), flags=re.M
    )
    config.write_text(asked)


def _key(host: MailHost) -> str:
    """The public key of its signatures, as it is in DNS."""
    pem = run("openssl", "pkey", "-in", str(host.folder / "dkim.key"), "-pubout")
    return f"v=DKIM1; k=rsa; p={''.join(pem.splitlines()[1:-1])}"


def _configure(host: MailHost) -> None:
    """STARTTLS between the domains, as it is between most mail servers, and what `SAME` says."""
    _use_sockets(host)
    key, certificate = host.folder / "tls.key", host.folder / "tls.pem"
    subject = ("-subj", f"/CN=mx.{host.name}", "-keyout", str(key), "-out", str(certificate))
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-days", "30", *subject)  # fmt: skip
    host.postconf(
        "-e", *SAME, "smtpd_tls_security_level=may", f"smtpd_tls_cert_file={certificate}",
        f"smtpd_tls_key_file={key}", "smtp_tls_security_level=encrypt",
    )  # fmt: skip
    run("postfix", "-c", str(host.etc), "reload")
