"""`rrsctl deliver`: one message on standard input, as a mail server pipes it."""

from typing import BinaryIO

import click

from rrsd.cli.output import clean
from rrsd.cli.session import Session, pass_session
from rrsd.cli.users import read_address
from rrsd.core.refusals import Malformed, TooLarge

MOST_MESSAGE = 256 * 1024 * 1024
"""More than any daemon accepts; a message without end must not fill the memory."""


@click.command(short_help="Hand a message on standard input to the daemon.")
@click.option("-f", "--from", "sender", metavar="SENDER", default="", help="The envelope sender; empty for a bounce.")
@click.option("-i", "--dots", is_flag=True, hidden=True, help="Accepted for likeness to sendmail.")
@click.argument("recipients", metavar="RECIPIENT...", nargs=-1, required=True)
@pass_session
def deliver(session: Session, sender: str, dots: bool, recipients: tuple[str, ...]) -> None:
    """Hand one message, on standard input, to the local daemon. Exit status 0 means: it is on disk.

    \b
    Postfix, in master.cf, and rrsd_destination_recipient_limit = 1 in main.cf:
      rrsd unix - n n - 10 pipe flags=q user=rrsd argv=/usr/bin/rrsctl deliver -f ${sender} -- ${recipient}
    \b
    Exit statuses (sysexits.h): 65 the message is malformed or too large, 67 no such recipient, 77 the recipient is
    suspended, 75 anything that is worth another try: a mail server keeps the message and comes again.
    """
    to = [str(read_address(each.removeprefix("<").removesuffix(">"))) for each in recipients]
    message = read_message(session.input)
    accepted = session.local().deliver(clean(sender.strip("<>")), to, message)
    found = accepted.get("accepted", [])
    session.console.result(
        accepted, f"accepted for {len(found)} of {len(recipients)}" if session.console.is_json else ""
    )


def read_message(stream: BinaryIO) -> bytes:
    """The message, with CRLF line ends as in transport: pipes of mail servers end lines with LF.

    Raises:
        Malformed: there is none.
        TooLarge: it has no end.
    """
    message = stream.read(MOST_MESSAGE + 1)
    if not message:
        raise Malformed("there is no message on standard input: pipe one into rrsctl deliver")
    if len(message) > MOST_MESSAGE:
        raise TooLarge("the message on standard input is too large: send its attachments with rrsctl send")
    return message if b"\r\n" in message else message.replace(b"\n", b"\r\n")
