"""A daemon starts, says so, stops when told, and refuses to start with one line that says what to do."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

from typing_extensions import override

from rrsd.app.tree import ROOMS
from rrsd.cli.demo.daemons import Daemon, prepare
from rrsd.cli.session import clock
from rrsd.core.refusals import Refusal
from rrsd.core.values.instants import instant
from tests.processes.case import ProcessCase
from tests.processes.houses import set_key
from tests.support.pace import slowness

_TWIST = "from twisted.application.twist._twist import Twist; Twist.main()"
_STOP_WITHIN = 5.0


class _OneDomain(ProcessCase):
    """foo.test alone."""

    @override
    def setUp(self) -> None:
        super().setUp()
        sockets = self.root / "admin.sock"
        self.foo = prepare(self.root, ("foo.test",), instant(clock()), lambda _: sockets)["foo.test"]
        self.addCleanup(self.foo.stop)

    def start_with(self, command: list[str], **more: object) -> "subprocess.Popen[bytes]":
        """A daemon by another command; it is killed at the end of the test."""
        with self.foo.log.open("ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **more)  # type: ignore[call-overload]
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.until("it is ready", lambda: process.poll() is not None or is_ready(self.foo))
        self.assertIs(process.poll(), None, self.foo.log.read_text())
        found: subprocess.Popen[bytes] = process
        return found

    def refusal_to_start(self, status: int = os.EX_UNAVAILABLE) -> str:
        """The one line with which the daemon ends."""
        done = self.run_to_end(self.foo.command())
        said = done.stderr.decode()
        self.assertEqual(done.returncode, status, said)
        self.assertNotIn("Traceback", said)
        lines = [each for each in said.splitlines() if "rrsd: " in each]
        self.assertEqual(len(lines), 1, said)
        line: str = json.loads(lines[0])["message"] if lines[0].startswith("{") else lines[0]
        return line


class StartAndStop(_OneDomain):
    """The ways to start it."""

    def test_twistd(self) -> None:
        """Under `twistd` the rooms start in order; SIGTERM stops them in reverse and the status is 0."""
        process = self.start_with(self.foo.command())
        self._require_good_end(process)
        lines = [json.loads(line) for line in self.foo.log.read_text().splitlines()]
        said = [line["message"] for line in lines]
        self.assertEqual([each.removesuffix(" started") for each in said if each.endswith(" started")], list(ROOMS))
        stops = [each.removesuffix(" stopped") for each in said if each.endswith(" stopped")]
        self.assertEqual(stops, list(reversed(ROOMS)))

    def test_twist(self) -> None:
        """Under `twist` it is the same daemon."""
        process = self.start_with([sys.executable, "-c", _TWIST, "--log-format=text", *self.foo.command()[-3:]])
        self._require_good_end(process)
        stops = re.findall(r"(\w+) stopped$", self.foo.log.read_text(), re.MULTILINE)
        self.assertEqual(stops, list(reversed(ROOMS)))

    def test_start_again_after_kill(self) -> None:
        """What SIGKILL leaves behind, the socket and the lock among it, keeps nobody from starting."""
        process = self.start_with(self.foo.command())
        process.kill()
        process.wait()
        self._require_good_end(self.start_with(self.foo.command()))

    def _require_good_end(self, process: "subprocess.Popen[bytes]") -> None:
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(_STOP_WITHIN * slowness()), 0)
        self.assertFalse(is_ready(self.foo))


class RefusalToStart(_OneDomain):
    """Each ends the process with a status that is not 0 and a line that says what is wrong."""

    def test_port_in_use(self) -> None:
        """A listener that cannot bind fails the start."""
        with socket.create_server(("127.0.0.1", self.foo.port)):
            line = self.refusal_to_start()
        self.assertRegex(line, rf"^rrsd: front did not start: .*cannot listen at tcp:{self.foo.port}.*in use")

    def test_z02_two_daemons_on_one_store(self) -> None:
        """The second daemon does not start; the first goes on."""
        process = self.start_with(self.foo.command())
        line = self.refusal_to_start()
        self.assertRegex(line, rf"^rrsd: store did not start: .*{self.foo.plan.folder}/data is in use by process")
        self.assertIn(str(process.pid), line)
        self.assertTrue(is_ready(self.foo))

    def test_z07_every_mistake_in_the_ini_file(self) -> None:
        """All mistakes are listed at once, each with section and key."""
        text = self.foo.plan.config.read_text()
        self.foo.plan.config.write_text(text.replace("[rs]", "[rs]\ncolour = red") + "\n[kitchen]\nsink = yes\n")
        set_key(self.foo, "store", "keep_free", "plenty")
        done = self.run_to_end(self.foo.command())
        self.assertEqual(done.returncode, os.EX_CONFIG)
        said = done.stderr.decode()
        self.assertNotIn("Traceback", said)
        for wanted in (r"\[rs\].*colour", r"\[kitchen\]", r"\[store\].*keep_free"):
            self.assertRegex(said, wanted)

    def test_z05_readable_key(self) -> None:
        """A key that others may read stops the start and names the command that helps."""
        for path in (self._key("signing.json"), self._key("client.key")):
            path.chmod(0o640)
            self.assertRegex(self.refusal_to_start(os.EX_CONFIG), rf"{path}: readable by others .*chmod 600 {path}$")
            path.chmod(0o600)

    def test_z05_readable_server_key(self) -> None:
        """So does a key of the public listener that everybody may read; a group may share it."""
        self.foo.plan.key.chmod(0o644)
        line = self.refusal_to_start(os.EX_CONFIG)
        self.assertRegex(line, rf"{self.foo.plan.key}: readable by everybody .*chmod 640 {self.foo.plan.key}$")

    def test_damaged_keys(self) -> None:
        """A key file that is no key, or cannot be read, is named."""
        for path in (self._key("signing.json"), self._key("client.key"), self.foo.plan.key):
            good = path.read_bytes()
            path.write_bytes(good[: len(good) // 2])
            self.assertIn(str(path), self.refusal_to_start(os.EX_CONFIG))
            path.write_bytes(good)
        self._key("client.key").unlink()
        self._key("client.key").mkdir(mode=0o700)
        self.assertIn(str(self._key("client.key")), self.refusal_to_start(os.EX_CONFIG))

    def test_damaged_database(self) -> None:
        """A file that is no database, or half of one, is named with what to do; it is not touched."""
        place = self.foo.plan.folder / "data" / "rrsd.sqlite"
        place.write_bytes(b"not a database, but longer than the header of one is: " * 100)
        line = self.refusal_to_start()
        self.assertRegex(line, rf"store did not start: damaged: database {place} .*backup")
        self.assertTrue(place.read_bytes().startswith(b"not a database"))

    def test_newer_schema(self) -> None:
        """A database of a newer rrsd is left alone."""
        process = self.start_with(self.foo.command())
        process.terminate()
        process.wait(_STOP_WITHIN * slowness())
        place = self.foo.plan.folder / "data" / "rrsd.sqlite"
        connection = sqlite3.connect(place)
        connection.execute("PRAGMA user_version = 9999")
        connection.close()
        self.assertRegex(self.refusal_to_start(), r"schema 9999, .*install the newer rrsd")

    def _key(self, name: str) -> Path:
        return self.foo.plan.folder / "keys" / name


def is_ready(daemon: Daemon) -> bool:
    """Whether the administrator's endpoint says that the daemon is ready."""
    local = daemon.local()
    try:
        return local.status("ready")[0]
    except Refusal:
        return False
    finally:
        local.close()
