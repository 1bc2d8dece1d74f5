"""What the strangers' tests share: domains as real daemons, a registered client, scripts of Node, the record."""

import base64
import json
import os
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from attrs import evolve, frozen
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from typing_extensions import override

from rrsd.cli.demo.daemons import prepare
from rrsd.cli.forms import Visitor
from rrsd.cli.init import Plan
from rrsd.cli.issuer import IssuerClient
from rrsd.cli.session import clock
from rrsd.core.values.addresses import join_client_identifier
from rrsd.core.values.instants import instant
from rrsd.drivers.keys.certificates import self_signed_client
from rrsd.drivers.keys.service import CLIENT_CERTIFICATE, CLIENT_KEY
from tests.interop.peers import NPM
from tests.processes.houses import HouseCase, change, set_key

RECORD = "RRSD_INTEROP_RECORD"
"""Names the file that tests write down in who did what."""

FOO, BAR = "foo.test", "bar.test"
BOB = "bob@bar.test"


@frozen
class Program:
    """A client of bar.test's STS that is not rrsd's agent: its certificate and key on disk."""

    name: str
    certificate: Path
    key: Path

    @property
    def x5t(self) -> str:
        """What its tokens are bound to (RFC 8705 3.1)."""
        found = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        return base64.urlsafe_b64encode(found.fingerprint(SHA256())).rstrip(b"=").decode()


class InteropCase(HouseCase):
    """foo.test and bar.test, both real daemons that are not started yet, and strangers."""

    seconds = 120

    @override
    def setUp(self) -> None:
        super().setUp()
        self.ports = {FOO: self.foo.port, BAR: self.bar.port}

    def did(self, peer: str, what: str) -> None:
        """Write down what a peer has done."""
        did(peer, what)

    # --- domains

    def stand_in(self, name: str) -> Plan:
        """A host name with certificate, key and port for a stranger; bar.test finds it there."""
        daemon = prepare(self.root, (name,), instant(clock()), lambda _: self.root / name)[name]
        self.ports[name] = daemon.port
        line = f"bar.test = 127.0.0.1 {self.bar.port}"
        change(self.bar, line, f"{line}\n    {name} = 127.0.0.1 {daemon.port}")
        return daemon.plan

    @property
    def authority(self) -> Path:
        """The root of every server's certificate."""
        return self.root / "authority" / "ca.pem"

    def add_user(self, address: str) -> str:
        """A user of one of the domains; the password."""
        password = secrets.token_urlsafe(15)
        with self.local(self.foo if address.endswith(f"@{FOO}") else self.bar) as local:
            local.add_user(address, password)
        self.secrets.add(password)
        return password

    def say(self, section: str, **entries: str) -> None:
        """Give keys of a section of bar.test's INI file a value, or add the section."""
        path = self.bar.plan.config
        if f"\n[{section}]\n" in path.read_text():
            for key, value in entries.items():
                set_key(self.bar, section, key, value)
        else:
            lines = "".join(f"{key} = {value}\n" for key, value in entries.items())
            path.write_text(f"{path.read_text()}\n[{section}]\n{lines}")

    def agent(self, name: str) -> Program:
        """The domain's own agent."""
        keys = (self.foo if name == FOO else self.bar).plan.folder / "keys"
        return Program(f"_rra.{name}", keys / CLIENT_CERTIFICATE, keys / CLIENT_KEY)

    def register(self, unit: str, **more: str) -> Program:
        """A program at bar.test, in the INI file of its STS: for users of bar.test, with or without their tokens."""
        made = _credential(unit, self.root / unit)
        given = {"certificate": str(made.certificate), "impersonate": BAR, "audiences": f"https://{BAR}", **more}
        given = {key: value for key, value in given.items() if value}
        self.say(f"sts.client.{made.name}", **given)
        self.secrets.add(made.key.read_text().splitlines()[1])
        return made

    # --- strangers

    def node(self, script: str, program: Program | None = None, **job: Any) -> Any:
        """What a script of tests/interop/npm answers to a job."""
        given: dict[str, Any] = {"hosts": self.ports, "ca": self.authority.read_text(), **job}
        if program is not None:
            more = {"cert": program.certificate.read_text(), "key": program.key.read_text()}
            given = {"client": program.name, "x5t": program.x5t, **given, **more}
        done = self.run_to_end(["node", str(NPM / script)], input=json.dumps(given).encode())
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.did("node", "ran the npm peers")
        self.did("undici", "carried what the npm clients said, over TLS with and without a certificate")
        return json.loads(done.stdout)

    def log_in(self, issuer: str, user: str, password: str, client: str = "rrsctl", resource: str = "") -> Any:
        """The answer of an issuer's token endpoint to openid-client, after somebody filled the login page in."""
        table = {f"{name}:443": f"127.0.0.1:{port}" for name, port in self.ports.items()}
        known = IssuerClient(issuer, table, str(self.authority))
        redirect = f"{issuer}/rrs/code"
        asked = known.ask(redirect, user, self.session.random)
        more = f"&{urlencode({'resource': resource})}" if resource else ""
        asked = evolve(asked, url=asked.url.replace("client_id=rrsctl", f"client_id={client}") + more)
        answer = Visitor(known).log_in(asked, user, password)
        said = self.node(
            "login.mjs", issuer=issuer, client=client, resource=resource, verifier=asked.verifier, state=asked.state,
            callback=f"{redirect}?{urlencode(answer)}",
        )  # fmt: skip
        self.assertNotIn("refused", said)
        self.secrets |= {said["access_token"], said["id_token"]}
        return said

    def curl(self, *words: str, program: Program | None = None) -> "subprocess.CompletedProcess[bytes]":
        """curl that finds the domains; with a certificate if there is a program."""
        command = ["curl", "--silent", "--show-error", "--max-time", "60", "--cacert", str(self.authority)]
        for name, port in self.ports.items():
            command += ["--connect-to", f"{name}:443:127.0.0.1:{port}"]
        if program is not None:
            command += ["--cert", str(program.certificate), "--key", str(program.key)]
        return self.run_to_end([*command, *words])

    def api(self, name: str, token: str) -> tuple[int, dict[str, Any]]:
        """The status of a domain's client API for an access token, and the refusal's document."""
        done = self.curl("-w", "\n%{http_code}", "-H", f"Authorization: Bearer {token}", f"https://{name}/api/messages")
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        body, _, status = done.stdout.decode().rpartition("\n")
        return int(status), json.loads(body)


def did(peer: str, what: str) -> None:
    """Write down what a peer has done, if somebody wants to know."""
    place = os.environ.get(RECORD)
    if place:
        with Path(place).open("a") as file:
            file.write(json.dumps([peer, what]) + "\n")


def _credential(unit: str, folder: Path) -> Program:
    folder.mkdir()
    pair = self_signed_client(join_client_identifier(unit, BAR), instant(clock()))
    program = Program(str(pair.certificate.client), folder / "client.pem", folder / "client.key")
    program.certificate.write_bytes(pair.certificate_pem)
    program.key.write_bytes(pair.key_pem)
    return program


def tampered(token: str, claims: Mapping[str, Any]) -> str:
    """The same header and signature over other claims."""
    header, _, signature = token.split(".")
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{header}.{body}.{signature}"


def claims_of(token: str) -> dict[str, Any]:
    """The claims, unproved."""
    body = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return found
