"""The demo's daemons: real processes of this interpreter, started, watched, killed and started again."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from attrs import define, field

from rrsd.cli.init import Plan, first_values, make
from rrsd.cli.local import Local
from rrsd.core.refusals import Refusal, Unavailable
from rrsd.core.values.addresses import parse_domain
from rrsd.core.values.instants import Instant

_TWISTD = "from twisted.scripts.twistd import run; run()"
_LOOK_AGAIN = 0.05
START_WITHIN = 60.0
STOP_WITHIN = 20.0
_PORTS = range(16384, 32768)
"""Above what servers use, and below what systems give out by themselves (Linux: ip_local_port_range)."""
_MOST_TRIES = 1000
_MOST_SOCKET = 100  # a unix socket's path has 108 bytes on Linux


@define(eq=False)
class Daemon:
    """One domain's daemon. Everything of it is in `plan.folder`."""

    plan: Plan
    port: int
    socket: Path
    audit: Path
    log: Path
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    @property
    def name(self) -> str:
        """The domain."""
        return str(self.plan.domain)

    @property
    def pid(self) -> int:
        """The process, 0 when there is none."""
        return self._process.pid if self._process else 0

    @property
    def origin(self) -> str:
        """Issuer, resource server and API."""
        return f"https://{self.name}"

    def command(self) -> list[str]:
        """How the process is started."""
        return [sys.executable, "-c", _TWISTD, "-n", "--pidfile=", "rrsd", "--config", str(self.plan.config)]

    def local(self) -> Local:
        """The administrator's endpoint."""
        return Local(str(self.socket))

    def start(self) -> None:
        """Start the process; it is not ready yet."""
        with self.log.open("ab") as log:
            # Of a session of its own: Ctrl-C reaches the demo only, which then stops everything in order.
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def wait_ready(self) -> None:
        """Return when the daemon says that it is ready.

        Raises:
            Unavailable: it ended, or took too long.
        """
        end = time.monotonic() + START_WITHIN
        while time.monotonic() < end:
            if self._process is None or self._process.poll() is not None:
                raise Unavailable(f"the daemon of {self.name} ended: {self._last_words()}")
            local = self.local()
            try:
                if local.status("ready")[0]:
                    return
            except Refusal:
                pass  # it is not listening yet
            finally:
                local.close()
            time.sleep(_LOOK_AGAIN)
        raise Unavailable(f"the daemon of {self.name} is not ready after {START_WITHIN:.0f} s: read {self.log}")

    def kill(self) -> None:
        """SIGKILL: nothing is written, closed or said."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when that does not help."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return f"{lines[-1][:300] if lines else 'it said nothing'}: read {self.log}"


def prepare(root: Path, names: tuple[str, ...], now: Instant, sockets: Callable[[str], Path]) -> dict[str, Daemon]:
    """Keys, certificates and INI files of every domain; all know all by a host table."""
    ports = free_ports(len(names))
    hosts = "\n".join(f"{name} = 127.0.0.1 {port}" for name, port in zip(names, ports, strict=True))
    daemons = {}
    for name, port in zip(names, ports, strict=True):
        plan = Plan(parse_domain(name), root / name, port=port, authority=root / "authority")
        data = plan.folder / "data"
        address = sockets(name)
        more = {
            ("front", "listen"): f"tcp:{port}:interface=127.0.0.1",
            ("dns", "hosts"): hosts,
            ("admin", "socket"): str(address),
            ("audit", "claims"): "yes",
        }
        make(plan, now, first_values(plan) | more)
        daemons[name] = Daemon(plan, port, address, data / "audit.jsonl", plan.folder / "daemon.log")
    return daemons


def host_table(daemons: Mapping[str, Daemon]) -> dict[str, str]:
    """The same table for `rrsctl`."""
    return {f"{name}:443": f"127.0.0.1:{daemon.port}" for name, daemon in daemons.items()}


def socket_path(root: Path, name: str, spare: Path) -> Path:
    """Where the administrator's socket goes: beside the rest, or in `spare` where that path would be too long."""
    wanted = root / name / "data" / "admin.sock"
    return wanted if len(os.fsencode(wanted)) <= _MOST_SOCKET else spare / f"{name}.sock"


def free_ports(number: int) -> list[int]:
    """So many loopback ports that nobody listens on. None of those that the system itself gives out: while a daemon is
    killed, another program would be given its port, and it could not start again."""
    probes: list[socket.socket] = []
    for _ in range(_MOST_TRIES):
        if len(probes) < number:
            with suppress(OSError):
                port = _PORTS.start + secrets.randbelow(len(_PORTS))
                probes.append(socket.create_server(("127.0.0.1", port)))
    probes += [socket.create_server(("127.0.0.1", 0)) for _ in range(number - len(probes))]
    ports: list[int] = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports
