"""`rrsctl clients` against a daemon's local endpoint, and the endpoint itself."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import evolve
from klein import Klein
from twisted.trial.unittest import SynchronousTestCase

from rrsd.app.sites import local_site
from rrsd.core.values.addresses import parse_client_identifier
from rrsd.drivers.keys.certificates import self_signed_client
from tests.cli.administrators import Case
from tests.cli.doubles import refusal, reply
from tests.support.callers import Caller, Response
from tests.support.issuer import START
from tests.support.world import World

NAME = "_rra.partner.test"
CLIENT: dict[str, Any] = {
    "name": NAME, "from": "rrsctl", "disabled": False, "auth": "self_signed_tls_client_auth",
    "impersonate": ["partner.test"], "audiences": ["https://api.test"], "targets": ["*"], "introspect": True,
    "mtls": True, "created": "2026-11-20T12:00:00+00:00",
}  # fmt: skip
PEM = self_signed_client(parse_client_identifier(NAME), START).certificate_pem


class Commands(Case):
    """What is typed, and what is sent."""

    def file(self, name: str, data: bytes) -> str:
        """A file to name on the command line."""
        path = self.folder / name
        path.write_bytes(data)
        return str(path)

    def sent(self) -> dict[str, Any]:
        """The body of the last request."""
        found: dict[str, Any] = json.loads(self.table.asked[-1].body)
        return found

    def test_list(self) -> None:
        """Each client on a line, with what it may do; an empty list says what to do."""
        lines = [CLIENT, {**CLIENT, "name": "_x.test", "disabled": True, "impersonate": [], "audiences": [],
                          "introspect": False}, {"name": "_old.test", "from": "rrsctl", "disabled": False}]  # fmt: skip
        self.table.on("GET", "/clients", reply({"clients": lines}))
        status, made = self.rrsctl("clients", "list")
        said = made.out.getvalue()
        self.assertEqual(status, 0)
        for words in (NAME, "impersonate partner.test; audiences https://api.test; introspect", "disabled", "unusable"):
            self.assertIn(words, said)
        status, made = self.rrsctl("clients", "list", is_json=True)
        self.assertEqual(json.loads(made.out.getvalue())["clients"], lines)
        self.table.on("GET", "/clients", reply({"clients": []}))
        self.assertIn("rrsctl clients add", self.rrsctl("clients", "list")[1].out.getvalue())

    def test_show(self) -> None:
        """All about one."""
        self.table.on("GET", f"/clients/{NAME}", reply(CLIENT))
        said = self.rrsctl("clients", "show", NAME)[1].out.getvalue()
        for words in ("self_signed_tls_client_auth", "partner.test", "rrsctl", "2026-11-20"):
            self.assertIn(words, said)

    def test_add(self) -> None:
        """Files are read here; what is not said is not sent."""
        self.table.on("POST", "/clients", reply(CLIENT, 201))
        pem = self.file("client.pem", PEM)
        status, made = self.rrsctl("clients", "add", NAME, "--certificate", pem, "--impersonate", "partner.test")
        self.assertEqual((status, self.sent()), (0, {
            "name": NAME, "auth": "self_signed_tls_client_auth", "certificates": [PEM.decode()],
            "impersonate": ["partner.test"],
        }))  # fmt: skip
        self.assertIn(f"added {NAME}", made.out.getvalue())
        more = ("--audience", "https://a.test", "--target", "https://rs.test", "--introspect", "--no-mtls")
        self.rrsctl("clients", "add", NAME, "--auth", "tls_client_auth", "--ca", pem, "--san-dns", "a.test", *more)
        self.assertEqual(self.sent(), {
            "name": NAME, "auth": "tls_client_auth", "ca": [PEM.decode()], "san_dns": "a.test", "introspect": True,
            "audiences": ["https://a.test"], "targets": ["https://rs.test"], "mtls": False,
        })  # fmt: skip
        keys = self.file("keys.json", b'{"keys": []}')
        self.rrsctl("clients", "add", NAME, "--auth", "private_key_jwt", "--jwks", keys)
        self.assertEqual(self.sent()["jwks"], {"keys": []})

    def test_add_with_files_that_are_none(self) -> None:
        """A file that cannot be read, or holds no key set, says so before anything is sent."""
        for words in (("--certificate", "/nowhere"), ("--jwks", self.file("x", b"[]")),
                      ("--ca", self.file("y", b"\xff\xfe"))):  # fmt: skip
            status, made = self.rrsctl("clients", "add", NAME, *words)
            self.assertEqual(status, os.EX_DATAERR)
            self.assertEqual(self.table.asked, [])
            self.assertNotIn("bug", made.err.getvalue())

    def test_changes(self) -> None:
        """Disable, enable, remove."""
        for act in ("disable", "enable"):
            self.table.on("POST", f"/clients/{NAME}/{act}", reply(CLIENT))
            self.assertIn(f"{act}d", self.rrsctl("clients", act, NAME)[1].out.getvalue())
        self.table.on("DELETE", f"/clients/{NAME}", reply({"name": NAME}))
        self.assertIn("removed", self.rrsctl("clients", "remove", NAME, "--yes")[1].out.getvalue())
        self.assertIn("removed", self.rrsctl("clients", "remove", NAME, given=b"y\n")[1].out.getvalue())
        for answer in (b"n\n", b"\n", b""):
            self.assertEqual(self.rrsctl("clients", "remove", NAME, given=answer)[0], 130)

    def test_nobody_of_that_name(self) -> None:
        """What the daemon says reaches the administrator."""
        self.table.on("POST", f"/clients/{NAME}/disable", refusal("unknown", 404))
        status, made = self.rrsctl("clients", "disable", NAME)
        self.assertNotEqual(status, 0)
        self.assertIn(NAME, made.err.getvalue())


class Endpoint(SynchronousTestCase):
    """The same over a whole domain in memory."""

    def setUp(self) -> None:
        """bar.test's administrator."""
        self.world = World(Path(self.mktemp()))
        self.bar = self.world.domain("bar.test")
        whole = self.bar.whole
        site = local_site(whole.window, whole.retrieving, 1)
        self.caller = Caller(_as_klein(lambda: site))

    def ask(self, method: str, target: str, document: Any = None) -> Response:
        """What the endpoint says."""
        return self.caller.ask(method, target) if document is None else self.caller.send(method, target, document)

    def test_life_of_a_client(self) -> None:
        """Added, shown, listed, disabled, enabled, removed; the trail has each step."""
        made = self.ask("POST", "/clients", {"name": NAME, "certificates": [PEM.decode()], "introspect": True})
        self.assertEqual((made.status, made.json()["auth"]), (201, "self_signed_tls_client_auth"))
        shown = self.ask("GET", f"/clients/{NAME}").json()
        self.assertEqual((shown["document"]["certificates"], shown["introspect"]), ([PEM.decode()], True))
        listed = self.ask("GET", "/clients").json()["clients"]
        names = [(each["name"], each["from"]) for each in listed]
        self.assertEqual(names, [("_rra.bar.test", "own"), (NAME, "rrsctl")])
        self.assertTrue(self.ask("POST", f"/clients/{NAME}/disable", {}).json()["disabled"])
        self.assertFalse(self.ask("POST", f"/clients/{NAME}/enable", {}).json()["disabled"])
        self.assertEqual(self.ask("DELETE", f"/clients/{NAME}").json(), {"name": NAME})
        self.assertEqual(self.ask("GET", f"/clients/{NAME}").status, 404)
        written = [(each["what"], each["who"]) for each in self.bar.trail.lines if each["outcome"] == "granted"]
        acts = ("client_added", "client_disabled", "client_enabled", "client_removed")
        self.assertEqual(written, [(what, "operator") for what in acts])

    def test_wrong_requests(self) -> None:
        """Each is refused with what is wrong, and leaves a line."""
        for method, target, document, status in (
            ("POST", "/clients", {}, 400), ("POST", "/clients", {"name": 7}, 400),
            ("POST", "/clients", {"name": "bob@bar.test", "certificates": [PEM.decode()]}, 400),
            ("POST", "/clients", {"name": "_rra.bar.test", "certificates": []}, 400),
            ("POST", f"/clients/{NAME}/disable", {}, 404), ("POST", f"/clients/{NAME}/enable", {}, 404),
            ("DELETE", f"/clients/{NAME}", None, 404),
        ):  # fmt: skip
            response = self.ask(method, target, document)
            self.assertEqual(response.status, status, response)
            self.assertTrue(response.json()["detail"])
            (line,) = self.bar.trail.lines
            self.assertEqual((line["what"], line["outcome"]), ("administer", "refused"))
            self.bar.trail.lines.clear()

    def test_a_registration_of_another_version(self) -> None:
        """A row that would not be registered today is shown as unusable, and proves nothing."""
        registry = self.bar.whole.people.registry
        self.world.result(registry.add(NAME, {"certificates": [PEM.decode()]}))
        self.world.result(self.bar.store.clients.save(_spoiled(self.world.result(self.bar.store.clients.all())[0])))
        registry._kept = None
        registry._parsed.clear()
        self.assertIsNone(self.world.result(registry.find(NAME)))
        shown = self.ask("GET", f"/clients/{NAME}").json()
        self.assertNotIn("auth", shown)


def _spoiled(row: Any) -> Any:
    return evolve(row, document={"auth": "carrier pigeon"})


def _as_klein(resource: Callable[[], Any]) -> Klein:
    class Site:
        def resource(self) -> Any:
            return resource()

    return Site()  # type: ignore[return-value]
