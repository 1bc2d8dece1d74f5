"""Whole mail domains on loopback, with real servers: Postfix, Dovecot, OpenDKIM, Knot, Unbound, rrsd. Needs root.

hosts = MailHosts(folder, ("foo.test", "bar.test"), plain=("old.test",))     # old.test has no rrsd
hosts.start()                                     # everybody answers
foo = hosts["foo.test"]                           # foo.ports["submission"], foo.ports["imap"], foo.daemon, foo.wire
foo.restart_postfix(); foo.daemon.kill(); hosts.servers.stop("unbound")
hosts.stop()

The way of a message: submission (Postfix) - rrsd out - re-injection, where OpenDKIM signs - the other domain's Postfix,
where OpenDKIM verifies - rrsd in (LMTP) - Dovecot (LMTP) - IMAP. Between two domains `wire` counts bytes.
What Postfix and Dovecot are told of rrsd is what `rrsctl mail setup` prints. Everything is below the folder, with logs.
"""

import base64
import fcntl
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from attrs import define, field
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from rrsd.cli.demo.daemons import Daemon, free_ports, prepare, socket_path
from rrsd.cli.session import clock
from rrsd.core.values.instants import instant
from tests.processes.gate import Gate
from tests.processes.houses import set_key
from tests.support import mailconf
from tests.support.nameservers import Kind, Missing, Nameservers, require_installed
from tests.support.running import Running, greets, require_programs, run, until

PACKAGES = {
    "postfix": "postfix", "postconf": "postfix", "postqueue": "postfix", "dovecot": "dovecot-core",
    "doveadm": "dovecot-core", "sievec": "dovecot-sieve", "opendkim": "opendkim",
}  # fmt: skip
LIBRARIES = {
    "/usr/lib/dovecot/imap": "dovecot-imapd",
    "/usr/lib/dovecot/lmtp": "dovecot-lmtpd",
    "/usr/lib/dovecot/modules/lib90_sieve_plugin.so": "dovecot-sieve",
}
SUBMISSION, HASTY = "submission", "hasty"
"""The two services that users hand their mail to: behind one a filter comes after the queue, behind the other before
it."""
PORTS = (
    "mx", SUBMISSION, HASTY, "prequeue", "reinject", "plain", "later", "out", "in", "lmtp", "imap", "sign", "verify",
)  # fmt: skip
PASSWORD = "loopback-only"
SELECTOR = "s1"
START = 300.0
"""Seconds that all servers of a run may need until they answer, on a machine that others use too."""
USERS = ("alice", "bob", "carol", "dave")


def require_mail_servers() -> None:
    """Raises:
    Missing: a program is not there, or may not be started; the text says what to do.
    """
    if os.geteuid():
        raise Missing("real mail servers change users: run this as root, in a container or a machine of its own")
    absent = {name: package for name, package in LIBRARIES.items() if not Path(name).exists()}
    require_programs(PACKAGES | absent)
    require_installed()


@define(eq=False)
class MailHost:
    """One domain. `retry` are the seconds after which Postfix tries again; `daemon` is None where there is no rrsd."""

    name: str
    folder: Path
    daemon: Daemon | None
    retry: int
    gate: Callable[[int], Gate] = Gate
    ports: dict[str, int] = field(init=False)
    wire: Gate = field(init=False)
    running: Running = field(init=False)
    aliases: dict[str, str] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.wire = self.gate(self.ports["mx"])
        self.running = Running(self.folder)

    @property
    def etc(self) -> Path:
        """Postfix's configuration."""
        return self.folder / "postfix"

    @property
    def log(self) -> Path:
        """What Postfix says."""
        return self.folder / "mail.log"

    def write(self, keys: Path, others: Mapping[str, int]) -> str:
        """Every file but those of rrsd; the text of the TXT record of the signature's key."""
        self.etc.mkdir(parents=True)
        for each in ("spool", "lib", "mail", "dovecot"):
            (self.folder / each).mkdir()
        shutil.chown(self.folder / "lib", "postfix")
        os.chown(self.folder / "mail", 65534, 65534)
        words = {**self.ports, "folder": self.folder, "name": self.name, "retry": self.retry, "keys": keys}
        (self.etc / "main.cf").write_text(mailconf.POSTFIX.format(**words))
        (self.etc / "master.cf").write_text(mailconf.SERVICES.format(**words))
        (self.folder / "transport").write_text("".join(f"{n} smtp:[127.0.0.1]:{p}\n" for n, p in others.items()))
        addresses = [f"{user}@{self.name}" for user in USERS]
        (self.folder / "mailboxes").write_text("".join(f"{each} yes\n" for each in addresses))
        (self.folder / "users").write_text("".join(f"{each}:{{PLAIN}}{PASSWORD}::::::\n" for each in addresses))
        (self.folder / "masters").write_text(f"rrsd:{{PLAIN}}{PASSWORD}\n")
        self._write_aliases()
        self._write_daemons(words)
        return self._write_key()

    def alias(self, **aliases: str) -> None:
        """These are the aliases from now on: a local part, and whom it stands for, with commas between."""
        self.aliases = {f"{name}@{self.name}": whom for name, whom in aliases.items()}
        self._write_aliases()
        run("postfix", "-c", str(self.etc), "reload")

    def start(self) -> None:
        """Everybody answers."""
        for name in ("sign", "verify"):
            self.start_dkim(name)
        self.start_dovecot()
        self.start_postfix()
        if self.daemon is not None:
            self.daemon.start()

    def wait_ready(self) -> None:
        """Returns None when everybody answers."""
        if self.daemon is not None:
            self.daemon.wait_ready()
        logs = [*self.folder.glob("*.log")]
        filters = ("prequeue", "out", "in", "reinject", "plain", "later") if self.daemon else ()
        for name in ("mx", SUBMISSION, HASTY, *filters, "lmtp"):
            until(f"{self.name} {name} answers", lambda name=name: greets(self.ports[name], b"220"), logs)  # type: ignore[misc]
        until(f"{self.name} IMAP answers", lambda: greets(self.ports["imap"], b"* OK"), logs)
        for name in ("sign", "verify"):
            until(f"OpenDKIM answers: {name}", lambda name=name: greets(self.ports[name]), logs)  # type: ignore[misc]

    def add_users(self) -> None:
        """rrsd knows whom it pulls for."""
        if self.daemon is not None:
            with closing(self.daemon.local()) as local:
                for user in USERS:
                    local.add_user(f"{user}@{self.name}", f"{PASSWORD} of {user} here")

    def stop(self) -> None:
        """End everybody."""
        if self.daemon is not None:
            self.daemon.stop()
        self.stop_postfix()
        self.running.stop()
        self.wire.close()

    def start_dkim(self, name: str) -> None:
        """Start OpenDKIM to `sign` or to `verify`."""
        self.running.start(f"dkim-{name}", ["opendkim", "-f", "-x", str(self.folder / f"{name}.conf")])

    def start_dovecot(self) -> None:
        """Mailboxes are open."""
        self.running.start("dovecot", ["dovecot", "-F", "-c", str(self.folder / "dovecot.conf")])

    def revive_dovecot(self) -> None:
        """Start it again after a kill, as docs/operator/mail.rst says: nobody holds a lock then, and one that is left
        makes Dovecot wait for two minutes."""
        self.running.stop("dovecot")
        run("find", str(self.folder / "mail"), "-type", "f", "-name", "*dovecot*.lock", "-delete")
        self.start_dovecot()

    def start_postfix(self) -> None:
        """Mail moves. Postfix says what stops it on a terminal only, until it has its log."""
        run("script", "-qec", f"postfix -c {self.etc} start", "/dev/null")

    def stop_postfix(self) -> None:
        """Mail waits."""
        run("postfix", "-c", str(self.etc), "stop", may_fail=True)

    def tell(self, *keys: tuple[str, str, str]) -> None:
        """rrsd is killed and begins anew with these values: section, key and value."""
        assert self.daemon is not None
        self.daemon.kill()
        for section, key, value in keys:
            set_key(self.daemon, section, key, value)
        self.daemon.start()
        self.daemon.wait_ready()
        self.wait_ready()

    def flush(self) -> None:
        """Try again now whatever waits."""
        run("postqueue", "-c", str(self.etc), "-f")

    def queue(self) -> list[dict[str, object]]:
        """What waits."""
        return [json.loads(line) for line in run("postqueue", "-c", str(self.etc), "-j").splitlines()]

    def postconf(self, *words: str) -> None:
        """Change the configuration of Postfix."""
        run("postconf", "-c", str(self.etc), *words)

    def take_lines(self) -> None:
        """Tell the mail servers what `rrsctl mail setup` says that they must be told, for either service."""
        assert self.daemon is not None
        behind = self.folder / "behind.ini"
        behind.write_text(self.daemon.plan.config.read_text().replace("\nprequeue = ", "\n#prequeue = "))
        lines = self.printed_lines()
        lines += [line for line in self.printed_lines(SUBMISSION, behind) if line not in lines]
        for option, slashes in (("-e", 0), ("-M", 1), ("-P", 2)):
            words = [
                f"{line['name']}={line['value']}"
                for line in lines
                if line["file"] == ("master.cf" if slashes else "main.cf") and line["name"].count("/") == slashes
            ]
            if words:
                self.postconf(option, *words)
        for file, names in (("dovecot.conf", ["dovecot.conf"]), ("opendkim.conf", ["sign.conf", "verify.conf"])):
            mark = " = " if file == "dovecot.conf" else " "
            text = [f"{n}{' ' if v.startswith('{') else mark}{v}\n" for n, v in _pairs(lines, file)]
            for name in names:
                with (self.folder / name).open("a") as config:
                    config.writelines(text)
        for name, script in _pairs(lines, "rrsd.sieve"):
            Path(name).write_text(script)
            run("sievec", "-c", str(self.folder / "dovecot.conf"), name)

    def printed_lines(self, service: str = HASTY, config: Path | None = None) -> list[dict[str, str]]:
        """What `rrsctl mail setup` says for this domain and service."""
        assert self.daemon is not None
        milters = [f"--{n}r=inet:127.0.0.1:{self.ports[p]}" for n, p in (("signe", "sign"), ("verifie", "verify"))]
        command = [sys.executable, "-m", "rrsd.cli.main", "--config", str(config or self.daemon.plan.config), "--json"]
        submission = f"--submission=127.0.0.1:{self.ports[service]}/inet"
        files = [f"--sieve={self.folder / 'rrsd.sieve'}", f"--masters={self.folder / 'masters'}"]
        said = json.loads(run(*command, "mail", "setup", submission, *files, *milters))
        lines: list[dict[str, str]] = said["lines"]
        return lines

    def _write_aliases(self) -> None:
        (self.folder / "aliases").write_text("".join(f"{name} {whom}\n" for name, whom in self.aliases.items()))

    def _write_daemons(self, words: Mapping[str, object]) -> None:
        dovecot = mailconf.DOVECOT + ("" if self.daemon else mailconf.MAILBOXES)
        (self.folder / "dovecot.conf").write_text(dovecot.format(**words))
        (self.folder / "sign.conf").write_text(mailconf.SIGNER.format(**words))
        (self.folder / "verify.conf").write_text(mailconf.VERIFIER.format(**words))
        if self.daemon is None:
            more = f"Domain {self.name}\nAuthservID mx.{self.name}\n"
            for name in ("sign", "verify"):
                with (self.folder / f"{name}.conf").open("a") as config:
                    config.write(more)
            return
        for key, value in (
            ("outbound", f"tcp:{self.ports['out']}:interface=127.0.0.1"),
            ("outbound_next", f"tcp:127.0.0.1:{self.ports['reinject']}"),
            ("prequeue", f"tcp:{self.ports['prequeue']}:interface=127.0.0.1"),
            ("prequeue_next", f"tcp:127.0.0.1:{self.ports['plain']}"),
            ("prequeue_later", f"tcp:127.0.0.1:{self.ports['later']}"),
            ("inbound", f"tcp:{self.ports['in']}:interface=127.0.0.1"),
            ("inbound_next", f"tcp:127.0.0.1:{self.ports['lmtp']}"),
            ("flush", f"postqueue -c {self.etc} -i {{id}}"),
            ("next_log", str(self.log)),
            ("next_queue", f"postqueue -c {self.etc} -j"),
        ):
            set_key(self.daemon, "mail", key, value)
        password = self.folder / "imap-password"
        password.touch(0o600)
        password.write_text(PASSWORD)
        for key, value in (("endpoint", f"tcp:127.0.0.1:{self.ports['imap']}"), ("password", str(password))):
            set_key(self.daemon, "imap", key, value)

    def _write_key(self) -> str:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        (self.folder / "dkim.key").write_bytes(pem)
        (self.folder / "dkim.key").chmod(0o600)
        spki = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        text = f"v=DKIM1; k=rsa; p={base64.b64encode(spki).decode()}"
        return " ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200))


def _pairs(lines: list[dict[str, str]], file: str) -> Iterator[tuple[str, str]]:
    return ((line["name"], line["value"]) for line in lines if line["file"] == file)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """No other process of this machine is here meanwhile."""
    with Path(tempfile.gettempdir(), "rrsd-mail-hosts.lock").open("a") as lock:

        def is_ours() -> bool:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            return False

        until("no other mail servers are starting", is_ours, seconds=START)
        yield


@define(eq=False)
class MailHosts:
    """All of them, and the name servers between them."""

    folder: Path
    names: tuple[str, ...]
    plain: tuple[str, ...] = ()
    retry: int = 1
    gate: Callable[[int], Gate] = Gate
    """What stands between two domains, and counts."""
    hosts: dict[str, MailHost] = field(factory=dict, init=False)
    servers: Nameservers = field(init=False)

    def __getitem__(self, name: str) -> MailHost:
        return self.hosts[name]

    def start(self) -> None:
        """Make everything, start it, and wait until everybody answers.

        Raises:
            Missing: something is not installed.
            AssertionError: a server does not come up; the text says what it said.
        """
        require_mail_servers()
        # The servers' own users come through here.
        self.folder.chmod(0o755)
        try:
            # A port that was free is taken a second or two later: nobody else may find it free meanwhile.
            with one_at_a_time():
                self._prepare()
                for host in self.hosts.values():
                    host.start()
                for host in self.hosts.values():
                    host.wait_ready()
            for host in self.hosts.values():
                host.add_users()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything; the logs stay."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(MailHost.stop, self.hosts.values()))
        if hasattr(self, "servers"):  # it may be over before there were any
            self.servers.stop()

    def logs(self) -> list[Path]:
        """Every log and audit trail."""
        return [*self.folder.rglob("*.log"), *self.folder.rglob("*.jsonl")]

    def _prepare(self) -> None:
        zones = dict.fromkeys((*self.names, *self.plain), Kind.SIGNED)
        (self.folder / "dns").mkdir()
        self.servers = Nameservers(self.folder / "dns", zones=zones)
        self.servers.start()
        daemons = prepare(
            self.folder, self.names, instant(clock()), lambda name: socket_path(self.folder, name, self.folder)
        )
        resolver = f"{self.servers.resolver.address} {self.servers.resolver.port}"
        for name in zones:
            daemon = daemons.get(name)
            if daemon is not None:
                daemon.plan.folder.chmod(0o755)
                set_key(daemon, "dns", "resolver", resolver)
            self.hosts[name] = MailHost(name, self.folder / name, daemon, self.retry, self.gate)
        ways = {name: host.wire.port for name, host in self.hosts.items()}
        keys = self.folder / "keys"
        for name, host in self.hosts.items():
            others = {other: port for other, port in ways.items() if other != name}
            key = host.write(keys, others)
            self.servers.set(name, f"{SELECTOR}._domainkey", 60, "TXT", key)
            with keys.open("a") as file:
                text = key.replace('" "', "").strip('"')
                file.write(f"{SELECTOR}._domainkey.{name} {text}\n")
            if host.daemon is not None:
                host.take_lines()
