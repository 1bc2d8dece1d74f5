"""rrsctl mail check, about what keeps a message from going twice."""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from rrsd.cli.mail import again as module
from rrsd.cli.mail import programs
from rrsd.cli.mail.again import Doveconf, again
from rrsd.cli.mail.lines import SCRIPT
from rrsd.config.settings import Settings, parse_settings
from tests.cli.test_mail import IN, OUT

BARE = "[domain]\nname = foo.test\nissuer = https://id.foo.test\n[rs]\norigin = https://rs.foo.test\n"


class Again(SynchronousTestCase):
    """A log, a queue, and a Dovecot that is a script."""

    def setUp(self) -> None:
        """All of them are right."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.log, self.sieve = self.folder / "mail.log", self.folder / "rrsd.sieve"
        self.log.touch()
        self.sieve.write_text(SCRIPT)
        self.plugins, self.before, self.queue = " sieve", str(self.sieve), "true"
        self.doveconf = self.folder / "doveconf"

    def found(self, *, log: bool = True, has_doveconf: bool = True) -> Mapping[str, tuple[str, str]]:
        """Level and text by what it is about."""
        self.doveconf.write_text(
            f'#!/bin/sh\ncase "$*" in\n*mail_plugins) echo "{self.plugins}" ;;\n*) echo "{self.before}" ;;\nesac\n'
        )
        self.doveconf.chmod(0o755)
        settings = self.settings(log=log)
        findings = again(settings, Doveconf(str(self.doveconf), "x") if has_doveconf else None)
        return {each.about: (each.level, each.text) for each in findings}

    def settings(self, *, log: bool = True) -> Settings:
        """Both ways."""
        made = parse_settings(BARE)
        mail = evolve(
            made.mail, outbound=OUT, inbound=IN, next_log=str(self.log) if log else None, next_queue=self.queue
        )
        return evolve(made, mail=mail, store=evolve(made.store, path=str(self.folder)))

    def test_all_is_well(self) -> None:
        """The log can be read, the queue answers, the script is there."""
        found = self.found()
        self.assertEqual([level for level, _ in found.values()], ["ok", "ok", "ok"])
        self.before = f"file:{self.sieve};name=x"
        self.assertEqual(self.found()["Dovecot"][0], "ok")

    def test_no_ways(self) -> None:
        """Nothing is looked at that is not used."""
        self.assertEqual(list(again(parse_settings(BARE), None)), [])

    def test_log(self) -> None:
        """None is a choice; one that is not there, or not to be read, is a mistake."""
        found = self.found(log=False)
        self.assertEqual((found["[mail] next_log"][0], "[mail] next_queue" in found), ("note", False))
        nobody = pwd.getpwnam("nobody")
        self.patch(module, "_user_of", lambda _: nobody)
        self.log.chmod(0o640)
        level, text = self.found()["[mail] next_log"]
        self.assertEqual(level, "error")
        self.assertIn("adduser nobody ", text)
        self.log.chmod(0o644)
        self.assertEqual(self.found()["[mail] next_log"][0], "ok")
        self.log.unlink()
        self.assertIn("there is no file", self.found()["[mail] next_log"][1])

    def test_user(self) -> None:
        """Whom the store belongs to."""
        self.assertEqual(module._user_of("/").pw_uid, 0)
        self.assertEqual(module._user_of("/nowhere").pw_uid, os.geteuid())

    def test_queue(self) -> None:
        """A command that is not there, or fails."""
        for self.queue in ("/nowhere/postqueue -j", "false", ""):
            self.assertEqual(self.found()["[mail] next_queue"][0], "error")

    def test_mailboxes(self) -> None:
        """No Sieve, no script, another script, no Dovecot."""
        self.plugins = "quota"
        self.assertIn("runs no sieve_before", self.found()["Dovecot"][1])
        self.plugins, self.before = "sieve", ""
        self.assertIn("runs no sieve_before", self.found()["Dovecot"][1])
        self.before = "/nowhere/x.sieve"
        self.assertIn("cannot be read", self.found()["Dovecot"][1])
        self.before = str(self.sieve)
        self.sieve.write_text('require "fileinto";')
        self.assertIn("another script", self.found()["Dovecot"][1])
        self.assertEqual(self.found(has_doveconf=False)["Dovecot"][0], "note")
        (gone,) = [each for each in again(self.settings(), Doveconf("/nowhere/doveconf")) if each.about == "Dovecot"]
        self.assertIn("run it by hand", gone.text)

    def test_find(self) -> None:
        """The program of this host, if it has one."""
        self.patch(programs, "_PATH", str(self.folder))
        self.doveconf.write_text("#!/bin/sh\n")
        self.doveconf.chmod(0o755)
        found = Doveconf.find("x")
        assert found is not None
        self.assertEqual(found.file, "x")
