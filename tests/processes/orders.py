"""The API of examples/orders_api.py as a process of its own, for tests with real domains."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from attrs import define, field

from rrsd.cli.init import Plan
from tests.architecture.tree import ROOT

API = "api.baz.test"
_TWISTD = "from twisted.scripts.twistd import run; run()"


@define(eq=False)
class OrdersApi:
    """The process, its files in `root`; it believes the domains of `hosts`, which is a host table."""

    root: Path
    plan: Plan
    port: int
    hosts: str
    is_under_twistd: bool = False
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)

    @property
    def config(self) -> Path:
        """Its INI file."""
        return self.root / "orders.ini"

    @property
    def trail(self) -> Path:
        """Its audit trail."""
        return self.root / "orders.jsonl"

    @property
    def log(self) -> Path:
        """What it said."""
        return self.root / "orders.log"

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The running process."""
        assert self._process is not None
        return self._process

    @property
    def command(self) -> list[str]:
        """How it is started."""
        if self.is_under_twistd:
            tac = str(ROOT / "examples" / "orders.tac")
            return [sys.executable, "-c", _TWISTD, "--nodaemon", "--pidfile=", "--python", tac]
        return [sys.executable, str(ROOT / "examples" / "orders_api.py"), str(self.config)]

    @property
    def environ(self) -> dict[str, str]:
        """With this checkout's rrsd."""
        return {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'examples'}"}

    def start(self) -> None:
        """Write the INI file and start; it does not listen yet."""
        self.config.write_text(self.ini())
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environ, cwd=self.root
            )

    def listens(self) -> bool:
        """Whether it does by now; AssertionError when it has ended instead."""
        assert self.process.poll() is None, self.log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def end(self) -> None:
        """Kill it if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def ini(self) -> str:
        """What it is told."""
        return f"""\
[api]
origin = https://{API}
listen = tcp:{self.port}:interface=127.0.0.1
certificate = {self.plan.certificate}
key = {self.plan.key}
audit = {self.trail}
[tls]
roots = {self.root / "authority" / "ca.pem"}
[dns]
hosts = {self.hosts}
[identity]
allow_reserved = yes
"""
