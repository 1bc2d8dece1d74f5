"""The systemd files agree with each other and with the configuration."""

import re

from twisted.trial.unittest import SynchronousTestCase

from rrsd.config.settings import parse_settings
from rrsd.tap import DEFAULT_CONFIG
from tests.architecture.tree import ROOT

Unit = dict[str, dict[str, list[str]]]


def unit(name: str) -> Unit:
    """A unit file: its sections, and each key with every value that it was given."""
    sections: Unit = {}
    for line in (ROOT / "conf" / name).read_text().splitlines():
        if line.startswith("["):
            keys = sections.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            keys.setdefault(key, []).append(value)
    return sections


class Service(SynchronousTestCase):
    """conf/rrsd.service."""

    def setUp(self) -> None:
        self.unit = unit("rrsd.service")
        self.service = self.unit["Service"]

    def test_command_and_configuration(self) -> None:
        """It runs in the foreground with the file that is the default."""
        (command,) = self.service["ExecStart"]
        self.assertTrue(command.endswith(f"twistd --nodaemon --pidfile= rrsd --config {DEFAULT_CONFIG}"), command)

    def test_notifies_and_reloads(self) -> None:
        """It says when it is ready, and SIGHUP reads certificates again."""
        self.assertEqual(self.service["Type"], ["notify"])
        self.assertEqual(self.service["NotifyAccess"], ["main"])
        self.assertEqual(self.service["ExecReload"], ["kill -HUP $MAINPID"])

    def test_bad_configuration_is_not_tried_again(self) -> None:
        """The exit status of a configuration error ends the restarts."""
        self.assertEqual(self.service["RestartPreventExitStatus"], ["78"])

    def test_hardened(self) -> None:
        """It runs without capabilities, sees a read-only system and its own folder."""
        self.assertEqual(self.service["CapabilityBoundingSet"], [""])
        self.assertEqual(self.service["ProtectSystem"], ["strict"])
        self.assertEqual(self.service["SystemCallFilter"][0], "@system-service")
        for name in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices", "RestrictSUIDSGID"):
            self.assertIn(self.service[name][0], ("yes", "true", "strict"))

    def test_folders_are_those_of_the_configuration(self) -> None:
        """Everything that the defaults write to lies in the state folder or the runtime folder."""
        (state,) = self.service["StateDirectory"]
        (runtime,) = self.service["RuntimeDirectory"]
        text = (ROOT / "conf" / "rrsd.ini").read_text()
        paths = set(re.findall(r"^#?(?:\w*path|\w*socket|\w*file) = (?:unix:)?(/\S+)", text, re.MULTILINE))
        self.assertTrue(paths)
        wrong = [
            path for path in paths if not path.startswith((f"/var/lib/{state}/", f"/run/{runtime}/", "/etc/rrsd/"))
        ]
        self.assertEqual(wrong, [])


class Socket(SynchronousTestCase):
    """conf/rrsd.socket."""

    def test_is_the_socket_of_the_service(self) -> None:
        """The service needs it, installs it, and takes it by its index."""
        service = unit("rrsd.service")
        self.assertIn("rrsd.socket", service["Unit"]["Requires"])
        self.assertEqual(service["Install"]["Also"], ["rrsd.socket"])
        self.assertEqual(unit("rrsd.socket")["Socket"]["ListenStream"], ["[::]:443"])

    def test_endpoint_of_the_socket_is_a_configuration(self) -> None:
        """The endpoint that takes it can be written."""
        listen = "systemd:domain=INET6:index=0"
        text = (ROOT / "conf" / "rrsd.ini").read_text().replace("#listen = tcp6:443", f"listen = {listen}")
        self.assertEqual(parse_settings(text).front.listen, (listen,))


class Accounts(SynchronousTestCase):
    """conf/rrsd.sysusers and conf/rrsd.tmpfiles."""

    def test_one_user(self) -> None:
        """The user that is made is the one that the service runs as and the folders belong to."""
        (user,) = unit("rrsd.service")["Service"]["User"]
        lines = [line for line in (ROOT / "conf" / "rrsd.sysusers").read_text().splitlines() if line[:1] not in "#"]
        self.assertEqual([line.split()[1] for line in lines], [user])
        for line in (ROOT / "conf" / "rrsd.tmpfiles").read_text().splitlines():
            if not line.startswith("#"):
                kind, _, mode, owner, group, *_ = line.split()
                self.assertEqual((kind, group), ("d", user))
                self.assertIn(owner, ("root", user))
                self.assertEqual(mode[-1], "0")
