"""`rrsctl mail`: the lines for the mail servers of this host, and a look at those that run."""

import os
import shlex
from typing import Any

import click
from attrs import asdict

from rrsd.cli.mail.again import Doveconf, again
from rrsd.cli.mail.check import look
from rrsd.cli.mail.lines import DELIMITER, DKIM, DOVECOT, INI, MAIN, MASTER, SIEVE, Around, Line, lines_of
from rrsd.cli.mail.mailboxes import look_into_mailboxes
from rrsd.cli.mail.places import parse_milter, parse_service
from rrsd.cli.mail.postconf import Postconf, borrowed, mend_for
from rrsd.cli.session import Session, pass_session
from rrsd.config.ini import Misconfigured
from rrsd.config.settings import Settings, parse_settings
from rrsd.core.refusals import Malformed

_BEFORE = (
    "# What stands there now: postconf -n; postconf -Mf. Keep it: cp -a /etc/postfix /etc/postfix.before",
    "# main.cf smtpd_milters is added to; every other parameter gets the value below in the place of its own.",
)
_COMMANDS = ("# Dovecot and OpenDKIM have no such program: their lines are in `rrsctl mail setup`.", "postfix reload")
_MISSING = {
    DKIM: (
        "# These are not all: Selector, KeyFile (opendkim-genkey writes the key, and the record for DNS), Socket",
        "# (as --signer and --verifier say), Mode, Canonicalization and InternalHosts are still to be written.",
    )
}
"""What is said of a file before its lines."""


def _services(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(map(parse_service, given)))
    except Malformed as refusal:
        raise click.BadParameter(refusal.detail) from None


def _milter(context: click.Context, parameter: click.Parameter, given: str) -> str:
    try:
        parse_milter(given)
    except Malformed as refusal:
        raise click.BadParameter(refusal.detail) from None
    return given


@click.group(short_help="The mail servers of this host: what to tell them, and whether it works.")
def mail() -> None:
    """rrsd stands between Postfix and the world, and between Postfix and Dovecot.

    \b
      rrsctl mail setup              every line for Postfix, Dovecot and OpenDKIM, and why
      rrsctl mail setup --commands   the same for Postfix as a script of postconf
      rrsctl mail check              what of it is at work, and the line that mends what is not
    """


@mail.command()
@click.option(
    "--submission", "submissions", metavar="SERVICE", multiple=True, callback=_services,
    help="Services of master.cf that users hand their mail to [submission/inet]; may be given more than once.",
)  # fmt: skip
@click.option(
    "--signer",
    metavar="MILTER",
    callback=_milter,
    default=Around().signer,
    show_default=True,
    help="OpenDKIM, for signing.",
)
@click.option(
    "--verifier",
    metavar="MILTER",
    callback=_milter,
    default=Around().verifier,
    show_default=True,
    help="For verifying.",
)
@click.option("--sieve", metavar="FILE", default=Around().sieve, show_default=True, help="The mailboxes' script.")
@click.option("--masters", metavar="FILE", default=Around().masters, show_default=True, help="Dovecot's master users.")
@click.option("--commands", "is_script", is_flag=True, help="A script that tells Postfix all of it.")
@pass_session
def setup(session: Session, /, submissions: tuple[str, ...], is_script: bool, **places: str) -> None:
    """Print the lines that the mail servers of this host need, made of the INI file; each says why it is there.

    Nothing is changed. Lines of master.cf that begin with -o belong to the service above them.
    The script of --commands ends with 69, before it changes anything, when master.cf lacks one of the services that
    users hand their mail to (in Debian's, submission and submissions are commented out), or when main.cf has another
    recipient_delimiter than the INI file. Milters that are in main.cf stay there.

    \b
      rrsctl mail setup --submission submission/inet --submission submissions/inet
      rrsctl mail setup --commands | sh
      rrsctl --json mail setup
    """
    around = Around(submissions or Around().submissions, **places)
    lines = lines_of(settings_of(session), around)
    document = {"lines": [asdict(line) | {"command": line.command} for line in lines]}
    session.console.result(document, script(lines) if is_script else text(lines))


@mail.command()
@click.option("--submission", "submissions", metavar="SERVICE", multiple=True, callback=_services, help="As for setup.")
@click.option(
    "--signer", metavar="MILTER", callback=_milter, default=Around().signer, show_default=True, help="As for setup."
)
@click.option(
    "--verifier", metavar="MILTER", callback=_milter, default=Around().verifier, show_default=True, help="As for setup."
)
@click.option("--sieve", metavar="FILE", default=Around().sieve, show_default=True, help="As for setup.")
@click.option("--masters", metavar="FILE", default=Around().masters, show_default=True, help="As for setup.")
@click.option("--mailbox", metavar="ADDRESS", default="", help="Whose mailbox rrsd tries to enter; any user's else.")
@click.option("--postfix", "folder", metavar="DIR", default="", help="Another configuration of Postfix than the usual.")
@click.option("--dovecot", "file", metavar="FILE", default="", help="Another configuration of Dovecot than the usual.")
@click.option("--selector", default="", help="The selector of our DKIM key, whose record is then looked at.")
@pass_session
def check(
    session: Session,
    /,
    submissions: tuple[str, ...],
    folder: str,
    file: str,
    selector: str,
    mailbox: str,
    **places: str,
) -> int:
    """Look at the running set-up from outside: who answers, what is announced, what Postfix is told, what is published,
    and whether a mailbox can be entered as the swap of placeholders needs it.

    No mail is sent, and nothing is changed. What is wrong comes with the line that mends it.
    Exit status 0: nothing is missing. 69: something is. 65: [mail] has no listener.

    \b
      rrsctl mail check --selector s1
      rrsctl --json mail check --submission submission/inet --submission submissions/inet
    """
    around = Around(submissions or Around().submissions, **places)
    settings, local = settings_of(session), session.local()

    def users() -> list[str]:
        if mailbox:
            return [mailbox]
        return [each["address"] for each in local.users().get("users", []) if not each.get("suspended")]

    findings = look(settings, around, local.verify, Postconf.find(folder), selector)
    findings += [*look_into_mailboxes(settings, around, users), *again(settings, Doveconf.find(file))]
    errors = [each for each in findings if each.level == "error"]
    rows = [(each.level, each.about, each.text) for each in findings]
    document = {"ok": not errors, "findings": [asdict(each) for each in findings]}
    session.console.rows(document, ("", "WHAT", "FOUND"), rows, "nothing to look at")
    return os.EX_UNAVAILABLE if errors else os.EX_OK


def settings_of(session: Session) -> Settings:
    """The INI file.

    Raises:
        Malformed: it cannot be read.
    """
    try:
        return parse_settings(session.config_path.read_text())
    except Misconfigured:
        raise Malformed(f"{session.config_path} has errors: rrsctl check lists them") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed(f"{session.config_path} cannot be read ({error}): name the INI file with --config") from None


def text(lines: tuple[Line, ...]) -> str:
    """The lines as they stand in the files, each after its reason."""
    shown: list[str] = []
    file = service = ""
    for line in sorted(lines, key=_order(lines)):
        if line.file != file:
            file, service = line.file, ""
            shown += ["", f"##### {file}", *_MISSING.get(file, ())]
        owner = "/".join(line.name.split("/")[:2]) if file == MASTER else ""
        if owner and owner != service and line.name.count("/") == 2:
            shown += ["", f"# to the service {owner}, which has to be there:"]
        service = owner
        shown += [f"# {line.why}", _shown(line)]
    return "\n".join(shown[1:])


def script(lines: tuple[Line, ...]) -> str:
    """The commands for Postfix."""
    commands = [f"# {line.why}\n{line.command}" for line in lines if line.command]
    return "\n".join(["set -e", *_BEFORE, *_guards(lines), *commands, *_COMMANDS])


def _guards(lines: tuple[Line, ...]) -> list[str]:
    """Nothing is changed where a service is not there."""
    said = ["# postconf only warns of a service that is not there.", "postconf -h mail_version >/dev/null", "missing="]
    for service in borrowed(lines):
        sentence = shlex.quote(f"master.cf has no service {service}: {mend_for(service)}")
        said += [
            f'if [ -z "$(postconf -M {shlex.quote(service)} 2>/dev/null)" ]; then',
            f"  echo {sentence} >&2", "  missing=yes", "fi",
        ]  # fmt: skip
    for line in lines:
        if (line.file, line.name) == (MAIN, DELIMITER):
            sentence = f"write it into [mail] of the INI file too, or change it by hand: {line.assignment}"
            said += [
                "# Addresses with an extension would not be their users' any more.",
                f'there=$(postconf -h {DELIMITER})',
                f'if [ -n "$there" ] && [ "$there" != {shlex.quote(line.value)} ]; then',
                f'  echo "main.cf {DELIMITER} is $there:" {shlex.quote(sentence)} >&2', "  missing=yes", "fi",
            ]  # fmt: skip
    return [*said, f'[ -z "$missing" ] || exit {os.EX_UNAVAILABLE}']


def _order(lines: tuple[Line, ...]) -> Any:
    files = list(dict.fromkeys([MAIN, MASTER, DOVECOT, *(line.file for line in lines)]))
    owners = list(dict.fromkeys("/".join(line.name.split("/")[:2]) for line in lines if line.file == MASTER))

    def key(line: Line) -> tuple[int, int]:
        owner = "/".join(line.name.split("/")[:2])
        return files.index(line.file), owners.index(owner) if line.file == MASTER else 0

    return key


def _shown(line: Line) -> str:
    if line.file == MASTER:
        return line.value if line.name.count("/") == 1 else f"  -o {line.name.rpartition('/')[2]}={line.value}"
    if line.file == SIEVE:
        return line.value.rstrip()
    if line.file in {MAIN, INI} or (line.file == DOVECOT and not line.value.startswith("{")):
        return f"{line.name} = {line.value}".rstrip()
    return f"{line.name} {line.value}"
