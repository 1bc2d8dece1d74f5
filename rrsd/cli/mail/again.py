"""What keeps a message from going twice: the log and the queue that can be asked, the script of the mailboxes."""

import os
import pwd
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import frozen

from rrsd.cli.check import Finding
from rrsd.cli.mail import programs
from rrsd.cli.mail.lines import LOG
from rrsd.config.settings import Settings
from rrsd.roles.mail.offering import FIELD

_AGAIN = "a message whose reply is lost in a crash is sent again"


@frozen
class Doveconf:
    """The program, for the instance of Dovecot with this file, "" for the usual one."""

    program: str
    file: str = ""

    @classmethod
    def find(cls, file: str) -> "Doveconf | None":
        """The program of this host, None when there is none."""
        program = programs.found("doveconf")
        return None if program is None else cls(program, file)

    def value(self, *words: str) -> str | None:
        """What it says of a setting, None when it does not answer."""
        place = ["-c", self.file] if self.file else []
        return _said([self.program, *place, "-h", *words])


def again(settings: Settings, doveconf: Doveconf | None) -> Iterator[Finding]:
    """What was looked at."""
    if settings.mail.outbound is not None:
        yield _log(settings)
        if settings.mail.next_log is not None:
            yield _queue(settings.mail.next_queue)
    if settings.mail.inbound is not None:
        yield _mailboxes(doveconf)


def _log(settings: Settings) -> Finding:
    about, path = "[mail] next_log", settings.mail.next_log
    if path is None:
        return Finding("note", about, f"it is not set: {_AGAIN}; write next_log = {LOG} into the INI file")
    if not Path(path).is_file():
        return Finding("error", about, f"there is no file {path}: name the log of Postfix (maillog_file in main.cf)")
    user = _user_of(settings.store.path)
    if not _may_read(path, user):
        group = Path(path).group()
        return Finding("error", about, f"{user.pw_name} cannot read {path}: adduser {user.pw_name} {group}")
    return Finding("ok", about, f"{user.pw_name} can read {path}")


def _user_of(folder: str) -> pwd.struct_passwd:
    """Whom the store belongs to, which is as whom the daemon runs; ourselves where there is none yet."""
    try:
        return pwd.getpwuid(Path(folder).stat().st_uid)
    except (OSError, KeyError):
        return pwd.getpwuid(os.geteuid())


def _may_read(path: str, user: pwd.struct_passwd) -> bool:
    facts = Path(path).stat()
    if user.pw_uid == 0 or (facts.st_uid == user.pw_uid and facts.st_mode & 0o400):
        return True
    groups = os.getgrouplist(user.pw_name, user.pw_gid)
    return bool(facts.st_mode & 0o004 or (facts.st_gid in groups and facts.st_mode & 0o040))


def _queue(command: str) -> Finding:
    about = "[mail] next_queue"
    if _said(shlex.split(command)) is None:
        return Finding("error", about, f"{command} does not work: name the command that lists the queue as JSON")
    return Finding("ok", about, f"{command} answers")


def _mailboxes(doveconf: Doveconf | None) -> Finding:
    about, mend = "Dovecot", "rrsctl mail setup prints the script and both settings"
    if doveconf is None:
        return Finding("note", about, f"no doveconf here: without the script of rrsctl mail setup {_AGAIN}")
    plugins, before = doveconf.value("-f", "protocol=lmtp", "mail_plugins"), doveconf.value("plugin/sieve_before")
    if plugins is None:
        return Finding("error", about, f"doveconf cannot read {doveconf.file or 'its configuration'}: run it by hand")
    if "sieve" not in plugins.split() or not before:
        return Finding("error", about, f"LMTP runs no sieve_before: {_AGAIN}; {mend}")
    try:
        script = Path(before.removeprefix("file:").partition(";")[0]).read_text()
    except (OSError, UnicodeDecodeError) as problem:
        return Finding("error", about, f"sieve_before = {before} cannot be read ({problem}): {mend}")
    if FIELD not in script or "duplicate" not in script:
        return Finding("error", about, f"sieve_before = {before} is another script: {_AGAIN}; {mend}")
    return Finding("ok", about, f"{before} drops what a recipient has")


def _said(command: Sequence[str]) -> str | None:
    done = programs.ended(command)
    return None if done is None else done.stdout.strip()
