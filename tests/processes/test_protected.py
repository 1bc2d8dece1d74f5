"""Propagation beyond mail with real processes: a domain, the API of examples/orders_api.py, `rrsctl delegate`."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

from rrsd.cli.demo.daemons import prepare
from rrsd.cli.session import clock
from rrsd.core.values.instants import instant
from tests.architecture.tree import ROOT
from tests.processes.houses import HouseCase

API = "api.baz.test"


class Orders(HouseCase):
    """The API knows bob, whom it never met, and takes nobody else."""

    def setUp(self) -> None:
        """bar.test runs and has bob; the API runs with files of its own."""
        super().setUp()
        stand_in = prepare(self.root, (API,), instant(clock()), lambda _: self.root / "unused.sock")[API]
        self.port, self.plan = stand_in.port, stand_in.plan
        self.trail = self.root / "orders.jsonl"
        self.config = self.root / "orders.ini"
        self.config.write_text(self._ini())
        self.start(self.bar)
        with self.local(self.bar) as local:
            local.add_user("bob@bar.test", "correct horse battery")
        self._launch()

    def _ini(self) -> str:
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
hosts = bar.test = 127.0.0.1 {self.bar.port}
[identity]
allow_reserved = yes
"""

    def _launch(self) -> None:
        command = [sys.executable, str(ROOT / "examples" / "orders_api.py"), str(self.config)]
        with (self.root / "orders.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": str(ROOT)}
            )
        self.addCleanup(self._end)
        self.until("the API listens", self._listens)

    def _listens(self) -> bool:
        self.assertIsNone(self.process.poll(), (self.root / "orders.log").read_text())
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def delegation(self) -> str:
        """The field that `rrsctl delegate` wrote for curl."""
        place = self.root / "bob.header"
        words = ("delegate", "--user", "bob@bar.test", "--resource", f"https://{API}", "--header", str(place))
        self.assertEqual(self.rrsctl(self.bar, *words), (0, ""))
        self.assertEqual(place.stat().st_mode & 0o777, 0o600)
        field = place.read_text().strip().removeprefix("Authorization: ")
        self.secrets.add(field.removeprefix("Bearer "))
        return field

    def ask(self, method: str, field: str = "", body: object = None, keys: Path | None = None) -> tuple[int, Any]:
        """One request over a new connection, with the agent's certificate where `keys` says so."""
        context = ssl.create_default_context(cafile=str(self.root / "authority" / "ca.pem"))
        if keys is not None:
            context.load_cert_chain(keys / "client.pem", keys / "client.key")
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        connection = http.client.HTTPSConnection(API, timeout=10)
        connection.sock = context.wrap_socket(raw, server_hostname=API)
        headers = {"Content-Type": "application/json", **({"Authorization": field} if field else {})}
        connection.request(method, "/orders", json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        found = response.status, json.loads(response.read())
        connection.close()
        return found

    def test_bob_orders(self) -> None:
        """Over the agent's certificate; without it the same delegation is worth nothing, nor is no delegation."""
        field, keys = self.delegation(), self.bar.plan.folder / "keys"
        self.assertEqual(self.ask("POST", field, {"what": "tea"}, keys), (201, {"orders": 1}))
        shown = {"user": "bob@bar.test", "client": "_rra.bar.test", "orders": [{"what": "tea"}]}
        self.assertEqual(self.ask("GET", field, keys=keys), (200, shown))
        self.assertEqual(self.ask("GET", field)[0], 401)
        self.assertEqual(self.ask("GET", keys=keys)[0], 401)
        lines = [json.loads(line) for line in self.trail.read_text().splitlines()]
        self.assertEqual([line["outcome"] for line in lines], ["granted", "granted", "refused", "refused"])
        self.assertEqual({line.get("subject") for line in lines[:2]}, {"bob@bar.test"})

    def test_hang_up_and_terminate(self) -> None:
        """SIGHUP begins a new file for the trail; SIGTERM ends it with status 0."""
        self.trail.rename(self.root / "old.jsonl")
        self.process.send_signal(signal.SIGHUP)
        self.until("a new trail", self.trail.exists)
        self.ask("GET")
        self.assertEqual(len(self.trail.read_text().splitlines()), 1)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(20), 0)

    def test_mistakes(self) -> None:
        """An INI file that cannot be used ends it with status 78 and a line for each mistake."""
        self.config.write_text(self._ini().replace("origin = https", "origin = http").replace("audit", "autit"))
        command = [sys.executable, str(ROOT / "examples" / "orders_api.py"), str(self.config)]
        done = self.run_to_end(command, env={**os.environ, "PYTHONPATH": str(ROOT)})
        self.assertEqual(done.returncode, os.EX_CONFIG)
        said = done.stderr.decode()
        self.assertIn("[api] origin (line 2)", said)
        self.assertIn("did you mean audit?", said)
