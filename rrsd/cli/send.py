"""`rrsctl send`: store the files, get the placeholder, print it or hand it to a mail program."""

import email.parser
import email.policy
import mimetypes
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from rrsd.cli.client import Client
from rrsd.cli.output import Console
from rrsd.cli.session import Session, pass_session
from rrsd.cli.uploads import Stored, Uploader
from rrsd.cli.users import read_address
from rrsd.core.refusals import Malformed, Unavailable

OCTETS = "application/octet-stream"


@click.command(short_help="Store files and send a message that names them.")
@click.option(
    "--to", "to", metavar="ADDRESS", multiple=True, required=True, help="A recipient; more than once for more."
)
@click.option("--cc", metavar="ADDRESS", multiple=True, help="A recipient of a copy.")
@click.option("--bcc", metavar="ADDRESS", multiple=True, help="A recipient whom the others do not see.")
@click.option("--subject", default="", help="The subject.")
@click.option("--text", default="", help="The text; - reads it from standard input.")
@click.option(
    "--attach", "files", metavar="FILE", multiple=True, type=click.Path(path_type=Path), help="A file, of any size."
)
@click.option("--days", type=click.IntRange(1), default=None, help="How long the recipients may fetch the files.")
@click.option(
    "--submit", metavar="COMMAND", default="", help="Hand the message to this command instead of printing it."
)
@pass_session
def send(session: Session, /, text: str, files: tuple[Path, ...], submit: str, **given: Any) -> None:
    """Store the files at your domain and make the small message that stands for them.

    The message is printed, ready for any mail program, or handed to a command on its standard input. In COMMAND, {} is
    every recipient and {sender} the sender, each a word of its own; no shell is involved.

    \b
      rrsctl send --to bob@bar.test --subject Holiday --attach film.mp4 > message.eml
      rrsctl send --to bob@bar.test --attach film.mp4 --submit "sendmail -i -f {sender} -- {}"
      date | rrsctl send --to bob@bar.test --cc carol@bar.test --text - --submit "sendmail -i -f {sender} -- {}"
    """
    lists = {name: [str(read_address(each)) for each in given[name]] for name in ("to", "cc", "bcc")}
    recipients = list(dict.fromkeys(lists["to"] + lists["cc"] + lists["bcc"]))
    _require_submittable(submit, lists["bcc"])
    draft = {**lists, "subject": given["subject"], "text": session.input.read().decode() if text == "-" else text}
    if given["days"]:
        draft["days"] = given["days"]
    client = session.client()
    stored = store_all(session, client, files)
    message = compose(client, draft, files, stored)
    if submit:
        hand_over(submit, message, sender_of(message) or client.profile.user, recipients)
    _report(session.console, message, files, stored, recipients, submit)


def store_all(session: Session, client: Client, files: Sequence[Path]) -> list[Stored]:
    """Store every file, with a progress line for each."""
    uploader = Uploader(client, session.sleep, session.monotonic)
    stored = []
    for path in files:
        total = path.stat().st_size if path.is_file() else 0
        with session.console.progress(path.name, total, session.monotonic) as progress:
            stored.append(uploader.store(path, progress.at))
    return stored


def compose(client: Client, draft: dict[str, Any], files: Sequence[Path], stored: Sequence[Stored]) -> bytes:
    """The placeholder message; from now on the recipients may fetch the files."""
    attachments = [
        {"digest": each.digest.b64, "media_type": media_type_of(path), "filename": path.name}
        for path, each in zip(files, stored, strict=True)
    ]
    return client.post("/api/outgoing", {**draft, "attachments": attachments}, "make the message").body


def media_type_of(path: Path) -> str:
    """The media type that a file's name suggests."""
    found, encoding = mimetypes.guess_type(path.name)
    return OCTETS if found is None or encoding is not None else found


def hand_over(command: str, message: bytes, sender: str, recipients: Sequence[str]) -> None:
    """Give the message to `command` on its standard input.

    Raises:
        Malformed: there is no such command.
        Unavailable: it failed; the message is not lost, its files are stored.
    """
    words = [part for word in _words(command) for part in (recipients if word == "{}" else [word])]
    words = [sender if word == "{sender}" else word for word in words]
    try:
        done = subprocess.run(words, input=message, check=False)
    except OSError as error:
        raise Malformed(f"{words[0]} cannot be run ({error.strerror}): name another command with --submit") from None
    if done.returncode:
        raise Unavailable(f"{words[0]} ended with status {done.returncode}: the message was not sent, send it again")


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words:
        raise Malformed('--submit is no command: write --submit "sendmail -i -f {sender} -- {}"')
    return words


def _require_submittable(submit: str, bcc: Sequence[str]) -> None:
    if submit and bcc and "{}" not in _words(submit):
        raise Malformed(
            "nobody tells the command who the --bcc recipients are: add {} to --submit, as in `sendmail -i {}`"
        )


def sender_of(message: bytes) -> str:
    """The address in a message's From field."""
    parsed = email.parser.BytesHeaderParser(policy=email.policy.default).parsebytes(message)
    addresses = getattr(parsed["From"], "addresses", ())
    return addresses[0].addr_spec if addresses else ""


def _report(
    console: Console, message: bytes, files: Sequence[Path], stored: Sequence[Stored], to: Sequence[str], submit: str
) -> None:
    if console.is_json:
        parsed = email.parser.BytesHeaderParser(policy=email.policy.default).parsebytes(message)
        sums = [
            {"file": str(path), "size": each.size, "sha256": each.digest.hex, "ni": each.digest.ni}
            for path, each in zip(files, stored, strict=True)
        ]
        shown = {} if submit else {"message": message.decode("utf-8", "replace")}
        console.document({"message_id": str(parsed["Message-ID"]), "recipients": list(to), "files": sums, **shown})
    elif submit:
        console.result(None, f"sent to {', '.join(to)}")
    else:
        console.octets(message)
