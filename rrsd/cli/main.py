"""`rrsctl`: the global options, every verb, and the one place where a failure becomes a line and an exit status."""

import errno
import importlib
import os
import sys
from collections.abc import Sequence

import click
from typing_extensions import override

import rrsd
from rrsd.cli.exits import delivery_exit_of, exit_of, sentence_of
from rrsd.cli.output import Console
from rrsd.cli.session import Session
from rrsd.core.refusals import Refusal

_HELP = """\
Speak with an rrsd daemon, as its administrator or as one of its users.

\b
A domain, from nothing:
  rrsctl init foo.test --folder /etc/rrsd
  rrsctl --config /etc/rrsd/rrsd.ini check
  rrsctl --config /etc/rrsd/rrsd.ini users add alice@foo.test
\b
A user:
  rrsctl login alice@foo.test
  rrsctl send --to bob@bar.test --subject Holiday --attach film.mp4 --submit "sendmail -i -f {sender} {}"
  rrsctl sent
  rrsctl inbox
  rrsctl get last 0 -o film.mp4
\b
What is being pulled, and why it waits:
  rrsctl pulls list
  rrsctl pulls explain 17

Tables are for people; --json, before the verb or behind it, gives every result as one JSON document.
Exit statuses are those of sysexits.h.
"""


VERBS = {
    "init": "rrsd.cli.init",
    "check": "rrsd.cli.check",
    "users": "rrsd.cli.users",
    "login": "rrsd.cli.login",
    "logout": "rrsd.cli.login",
    "send": "rrsd.cli.send",
    "sent": "rrsd.cli.sent",
    "withdraw": "rrsd.cli.sent",
    "deliver": "rrsd.cli.deliver",
    "inbox": "rrsd.cli.mailbox",
    "get": "rrsd.cli.mailbox",
    "pulls": "rrsd.cli.pulls.verb",
    "clients": "rrsd.cli.clients",
    "keys": "rrsd.cli.keys",
    "identity": "rrsd.cli.identity",
    "policy": "rrsd.cli.policy",
    "mail": "rrsd.cli.mail.verb",
    "delegate": "rrsd.cli.delegate",
    "demo": "rrsd.cli.demo.verb",
}
"""Every verb and the module that has a command of that name, imported when it is asked for: mail servers start
`rrsctl deliver` once per message."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""What a disk says that takes nothing more; the name of the file is not in it."""


class Verbs(click.Group):
    """The verbs, in the order in which a domain meets them."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every name."""
        return list(VERBS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of that name."""
        module = VERBS.get(cmd_name)
        return None if module is None else with_json(getattr(importlib.import_module(module), cmd_name))


def with_json(command: click.Command) -> click.Command:
    """The command, and all below it, that take `--json` too: it may stand before the verb or behind it."""
    if not any("--json" in each.opts for each in command.params):
        help_text = "The result as JSON."
        command.params.append(
            click.Option(["--json"], is_flag=True, is_eager=True, expose_value=False, callback=_as_json, help=help_text)
        )
    for each in command.commands.values() if isinstance(command, click.Group) else ():
        with_json(each)
    return command


def _as_json(context: click.Context, parameter: click.Parameter, is_wanted: bool) -> None:
    if is_wanted:
        context.ensure_object(Session).console.is_json = True


@click.group(cls=Verbs, help=_HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--config", metavar="FILE", default="", help="The daemon's INI file [$RRSD_CONFIG, /etc/rrsd/rrsd.ini].")
@click.option("--profile", metavar="NAME", default="", help="The user's profile: a name or a path [$RRSD_CLIENT].")
@click.option("--json", "is_json", is_flag=True, help="Results as JSON.")
@click.option("--quiet", "-q", is_flag=True, help="No progress, no notes.")
@click.version_option(rrsd.__version__, prog_name="rrsctl")
@click.pass_context
def rrsctl(context: click.Context, config: str, profile: str, is_json: bool, quiet: bool) -> None:
    """Remember the global options for the verb."""
    if context.obj is None:
        context.obj = Session()
    session = context.ensure_object(Session)
    session.config, session.profile = config, profile
    session.console.is_json, session.console.is_quiet = is_json, quiet


def run(arguments: Sequence[str], session: Session | None = None) -> int:
    """Run one command line; the exit status. Nothing leaves here as an exception."""
    session = session or Session()
    is_delivery = verb_of(arguments) == "deliver"
    failure = delivery_exit_of if is_delivery else exit_of
    try:
        return _status(rrsctl.main(list(arguments), "rrsctl", standalone_mode=False, obj=session))
    except Refusal as refusal:
        return _fail(session.console, sentence_of(refusal), failure(refusal))
    except click.exceptions.NoArgsIsHelpError as shown:
        shown.show(session.console.err)
        return os.EX_USAGE
    except click.ClickException as error:
        return _fail(session.console, _usage(error), os.EX_TEMPFAIL if is_delivery else os.EX_USAGE)
    except (click.Abort, KeyboardInterrupt):
        return _fail(session.console, "interrupted", 130)
    except BrokenPipeError:
        _forget_output()
        return 0
    except Exception as error:  # the edge of the program: a bug is a line too, and never loses a delivery
        if session.environ.get("RRSCTL_DEBUG"):
            raise
        status, text = _unexpected(error)
        return _fail(session.console, text, os.EX_TEMPFAIL if is_delivery else status)


def _unexpected(error: Exception) -> tuple[int, str]:
    """The exit status and the words for what nobody caught: a file that somebody named is theirs to mend."""
    if isinstance(error, OSError) and error.filename is not None:
        named = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename)
        return os.EX_NOINPUT, f"{named}: {error.strerror}: mend that, or name another one"
    if isinstance(error, OSError) and error.errno in _FULL:
        return os.EX_IOERR, f"{error.strerror}: make room, or name another place"
    name = type(error).__name__
    return os.EX_SOFTWARE, f"this is a bug ({name}): run it again with RRSCTL_DEBUG=1 and report what it says"


def verb_of(arguments: Sequence[str]) -> str:
    """The verb of a command line, "" when there is none: a delivery that fails early is one all the same."""
    words = iter(arguments)
    for word in words:
        if word in ("--config", "--profile"):
            next(words, "")
        elif not word.startswith("-"):
            return word
    return ""


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def _status(value: object) -> int:
    return value if isinstance(value, int) else os.EX_OK


def _usage(error: click.ClickException) -> str:
    hint = ""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f" Try: {error.ctx.command_path} --help"
    return " ".join(error.format_message().split()) + hint


def _fail(console: Console, text: str, status: int) -> int:
    if console.is_json:
        console.document({"error": text, "status": status})
    console.err.write(f"rrsctl: {text}\n")
    return status


def _forget_output() -> None:
    # Whoever read the output went away; Python's own flush at exit must not complain about it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
