"""What was used once stays used: after a restart and a kill, for many at once, and where the store cannot answer."""

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from requests.adapters import HTTPAdapter
from typing_extensions import override

from rrsd.cli.session import clock
from rrsd.core.proof.tokens import impersonation_claims
from rrsd.core.values.addresses import parse_address, parse_client_identifier
from rrsd.core.values.digests import digest_of
from rrsd.core.values.instants import instant
from rrsd.core.values.peers import parse_issuer
from rrsd.core.values.tokens import Kind
from tests.processes.houses import RECIPIENT, HouseCase
from tests.support.forgery import EXCHANGE, JWT, jws


class Replays(HouseCase):
    """bar.test's token service, and the key of its own agent in the hands of the test."""

    @override
    def setUp(self) -> None:
        super().setUp()
        self.keys = Path(self.bar.plan.folder, "keys")
        self.start(self.bar)
        self.settle(RECIPIENT)

    def line(self) -> requests.Session:
        """A connection of its own, with the agent's certificate."""
        session, adapter = requests.Session(), HTTPAdapter()
        adapter.init_poolmanager(4, 4, server_hostname=self.bar.name, assert_hostname=self.bar.name)
        session.mount("https://", adapter)
        session.trust_env = False
        session.verify = str(self.root / "authority" / "ca.pem")
        session.cert = (str(self.keys / "client.pem"), str(self.keys / "client.key"))
        return session

    def assertion(self, name: str) -> str:
        """An impersonation assertion called `name`."""
        der = load_pem_x509_certificate((self.keys / "client.pem").read_bytes()).public_bytes(Encoding.DER)
        claims = impersonation_claims(
            parse_client_identifier("_rra.bar.test"), parse_address(RECIPIENT), parse_issuer("https://bar.test"),
            digest_of(der), instant(clock()), name,
        )  # fmt: skip
        key = load_pem_private_key((self.keys / "client.key").read_bytes(), None)
        return jws({"alg": "ES256", "typ": str(Kind.IMPERSONATION)}, claims, key)

    def exchange(self, token: str) -> tuple[int, Any]:
        """Status and document of an exchange."""
        form = {
            "grant_type": EXCHANGE, "client_id": "_rra.bar.test", "subject_token": token, "subject_token_type": JWT,
            "requested_token_type": JWT, "resource": "https://foo.test",
        }  # fmt: skip
        response = self.line().post(
            f"https://127.0.0.1:{self.bar.port}/token", data=form, headers={"Host": self.bar.name}, timeout=30
        )
        return response.status_code, json.loads(response.content)

    def test_z01_after_a_restart(self) -> None:
        """An assertion that was used before the daemon was stopped, or killed, is used after its next start."""
        for number, end in enumerate((self.bar.stop, self.bar.kill)):
            token = self.assertion(f"once-{number}")
            self.assertEqual(self.exchange(token)[0], 200)
            end()
            self.start(self.bar)
            self.assertEqual(self.exchange(token), (400, {"error": "invalid_request", "reason": "malformed"}))
        self.assertEqual(self.exchange(self.assertion("new"))[0], 200)

    def test_z02_many_at_once(self) -> None:
        """Of twelve connections that bring one assertion at the same time one wins."""
        token = self.assertion("contested")
        with ThreadPoolExecutor(12) as threads:
            statuses = sorted(status for status, _ in threads.map(self.exchange, [token] * 12))
        self.assertEqual(statuses, [200] + [400] * 11)

    def test_z03_locked_store(self) -> None:
        """While another program holds the database nothing is handed out; afterwards the same assertion is good."""
        token = self.assertion("patient")
        connection = sqlite3.connect(self.store / "rrsd.sqlite", isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        status, document = self.exchange(token)
        self.assertIn((status, document["reason"]), ((503, "unavailable"), (507, "no_space")))
        self.assertEqual({*document}, {"error", "reason"})
        connection.execute("ROLLBACK")
        connection.close()
        self.assertEqual(self.exchange(token)[0], 200)
        self.assertEqual(self.exchange(token)[0], 400)
