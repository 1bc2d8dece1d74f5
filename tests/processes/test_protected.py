"""Propagation beyond mail with real processes: a domain, the API of examples/orders_api.py, `rrsctl delegate`."""

import http.client
import json
import os
import signal
import socket
import ssl
from pathlib import Path
from typing import Any

from typing_extensions import override

from rrsd.cli.demo.daemons import prepare
from rrsd.cli.session import clock
from rrsd.core.values.instants import instant
from tests.processes.houses import HouseCase
from tests.processes.orders import API, OrdersApi


class Orders(HouseCase):
    """The API knows bob, whom it never met, and takes nobody else."""

    @override
    def setUp(self) -> None:
        super().setUp()
        stand_in = prepare(self.root, (API,), instant(clock()), lambda _: self.root / "unused.sock")[API]
        self.api = OrdersApi(self.root, stand_in.plan, stand_in.port, f"bar.test = 127.0.0.1 {self.bar.port}")
        self.start(self.bar)
        with self.local(self.bar) as local:
            local.add_user("bob@bar.test", "correct horse battery")
        self.api.start()
        self.addCleanup(self.api.end)
        self.until("the API listens", self.api.listens)

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
        raw = socket.create_connection(("127.0.0.1", self.api.port), timeout=10)
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
        lines = [json.loads(line) for line in self.api.trail.read_text().splitlines()]
        self.assertEqual([line["outcome"] for line in lines], ["granted", "granted", "refused", "refused"])
        self.assertEqual({line.get("subject") for line in lines[:2]}, {"bob@bar.test"})

    def test_hang_up_and_terminate(self) -> None:
        """SIGHUP begins a new file for the trail; SIGTERM ends it with status 0."""
        self.api.trail.rename(self.root / "old.jsonl")
        self.api.process.send_signal(signal.SIGHUP)
        self.until("a new trail", self.api.trail.exists)
        self.ask("GET")
        self.assertEqual(len(self.api.trail.read_text().splitlines()), 1)
        self.api.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.api.process.wait(20), 0)

    def test_twistd(self) -> None:
        """Under twistd it is the same API."""
        self.api.end()
        self.api.is_under_twistd = True
        self.api.start()
        self.until("the API listens", self.api.listens)
        self.assertEqual(self.ask("GET")[0], 401)
        self.api.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.api.process.wait(20), 0)

    def test_mistakes(self) -> None:
        """An INI file that cannot be used ends it with status 78 and a line for each mistake."""
        self.api.config.write_text(self.api.ini().replace("origin = https", "origin = http").replace("audit", "autit"))
        done = self.run_to_end(self.api.command, env=self.api.environ)
        self.assertEqual(done.returncode, os.EX_CONFIG)
        said = done.stderr.decode()
        self.assertIn("[api] origin (line 2)", said)
        self.assertIn("did you mean audit?", said)
