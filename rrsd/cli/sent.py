"""`rrsctl sent` and `withdraw`: what became of what was sent, and what proves it."""

import base64
import re
from collections.abc import Sequence
from typing import Any

import click

from rrsd.cli.client import Client
from rrsd.cli.output import clean, facts, size, table, when
from rrsd.cli.session import Session, pass_session
from rrsd.cli.transport import document_of
from rrsd.core.refusals import Damaged, Malformed, Unknown

_PLAIN = re.compile(r"[A-Za-z0-9._@=+-]+", re.ASCII)
_WORDS = {
    "kept": "kept by their domain",
    "downloaded": "downloaded by link",
    "waiting": "not fetched yet",
    "withdrawn": "withdrawn",
    "expired": "expired, never fetched",
}
"""What each state is for a person; also in docs/operator/troubles.rst."""


@click.command(short_help="What became of the messages that you sent.")
@click.argument("message", required=False)
@click.option("--most", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many messages.")
@click.option("--receipts", is_flag=True, help="What recipients' domains signed for MESSAGE, to be shown to anybody.")
@pass_session
def sent(session: Session, message: str | None, most: int, receipts: bool) -> None:
    """What became of the messages that you sent, newest first.

    Of each attachment: which recipient's domain holds a copy of its own and since when, who downloaded it by a link,
    who has not fetched it yet.

    MESSAGE is a Message-ID, the beginning of one, or `last`. Once everybody's domain has signed for its copy, your
    domain lets its own go. What was signed is kept for more than a year: --receipts prints each receipt, a signed JWT,
    with the certificate that checks it.

    \b
      rrsctl sent
      rrsctl sent last
      rrsctl --json sent last --receipts > proof.json
    """
    client = session.client()
    if receipts and message is None:
        raise Malformed("whose receipts? Name a message: rrsctl sent MESSAGE --receipts")
    if message is None:
        _list(session, _messages(client)[:most])
    elif receipts:
        _receipts(session, client, _find(client, message))
    else:
        _one(session, _find(client, message))


@click.command(short_help="End what you have sent: nobody can fetch it any more.")
@click.argument("message")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def withdraw(session: Session, message: str, yes: bool) -> None:
    """Withdraw the attachments of a message that you sent.

    Whoever has not fetched them yet cannot any more. Copies that were fetched before stay where they are, and so does
    the text of the message.

    \b
      rrsctl sent
      rrsctl withdraw last
    """
    client = session.client()
    found = _find(client, message)
    waiting = sum(each.get("state") == "waiting" for each in _grants(found))
    if not yes:
        session.confirm(f"withdraw {clean(_name(found))}? {waiting} of {len(_grants(found))} are not fetched yet")
    client.good(client.ask("DELETE", _place(_name(found))), f"withdraw {_name(found)}")
    session.console.result({"message_id": _name(found)}, f"withdrawn: {clean(_name(found))}")


def _messages(client: Client) -> list[dict[str, Any]]:
    found = client.get("/api/outgoing", "list what was sent").get("messages")
    if not isinstance(found, list):
        raise Damaged(f"{client.name} did not answer with messages: is it an rrsd?")
    return found


def _find(client: Client, text: str) -> dict[str, Any]:
    """The message that was sent; refuses with Unknown when there is none, Malformed when there are several."""
    wanted = text.strip("<>")
    if "@" in wanted:  # perhaps all of it: one that is too old for the list is found by its name
        answer = client.ask("GET", _place(wanted))
        if answer.status == 200:
            return document_of(answer, client.name)
    found = _messages(client)
    if text == "last":
        found = found[:1]
    else:
        found = [m for m in found if _name(m) == wanted] or [m for m in found if _name(m).startswith(wanted)]
    if not found:
        raise Unknown(f"you sent no message {clean(text)}: see `rrsctl sent`")
    if len(found) > 1:
        raise Malformed(f"{len(found)} messages begin with {clean(text)}: write more of the Message-ID")
    return found[0]


def _name(message: dict[str, Any]) -> str:
    return str(message.get("message_id") or "")


def _place(name: str) -> str:
    """Where the message of that name is; a path holds no slash and no percent sign of its own."""
    if not _PLAIN.fullmatch(name):
        name = "b64:" + base64.urlsafe_b64encode(name.encode()).decode().rstrip("=")
    return f"/api/outgoing/{name}"


def _grants(message: dict[str, Any]) -> list[dict[str, Any]]:
    grants = message.get("grants")
    return [each for each in grants if isinstance(each, dict)] if isinstance(grants, list) else []


def _list(session: Session, messages: Sequence[dict[str, Any]]) -> None:
    rows = [
        (
            _name(message),
            ", ".join(dict.fromkeys(str(each.get("filename") or "-") for each in _grants(message))),
            to,
            _summary([each for each in _grants(message) if each.get("recipient") == to]),
        )
        for message in messages
        for to in dict.fromkeys(str(each.get("recipient")) for each in _grants(message))
    ]
    blank = [("", "", *row[2:]) if number and rows[number - 1][0] == row[0] else row for number, row in enumerate(rows)]
    columns = ("MESSAGE", "FILES", "RECIPIENT", "STATE")
    session.console.rows({"messages": list(messages)}, columns, blank, "you have sent nothing that is kept here")


def _summary(grants: Sequence[dict[str, Any]]) -> str:
    """All attachments of one recipient in a few words."""
    states = [str(each.get("state")) for each in grants]
    if len(set(states)) == 1:
        since = max((str(each.get("receipted") or "") for each in grants), default="")
        words = _WORDS.get(states[0], states[0])
        return f"{words} since {when(since)}" if states[0] == "kept" else words
    counted = {state: states.count(state) for state in _WORDS if state in states}
    return "; ".join(f"{number} {_WORDS[state]}" for state, number in counted.items())


def _one(session: Session, message: dict[str, Any]) -> None:
    rows = [
        (
            each.get("recipient"),
            each.get("filename") or "-",
            size(int(each.get("size") or 0)),
            _WORDS.get(str(each.get("state")), each.get("state")),
            when(each.get("receipted") or each.get("downloaded")),
            when(each.get("not_after")),
        )
        for each in _grants(message)
    ]
    columns = ("RECIPIENT", "FILE", "SIZE", "STATE", "SINCE (UTC)", "UNTIL (UTC)")
    session.console.result(message, f"{clean(_name(message))}\n\n{table(columns, rows)}")


def _receipts(session: Session, client: Client, message: dict[str, Any]) -> None:
    document = client.get(f"{_place(_name(message))}/receipts", f"show the receipts of {_name(message)}")
    kept = [each for each in document.get("receipts", []) if isinstance(each, dict)]
    shown = [
        facts(
            {
                "recipient": each.get("recipient"),
                "file": each.get("filename"),
                "SHA-256": each.get("digest"),
                "since": when(each.get("receipted")),
                "proved by": each.get("proof"),
            }
        )
        + f"\n\n{clean(each.get('receipt'))}\n\n{_lines(str(each.get('certificate') or ''))}"
        for each in kept
    ]
    none = "nobody has signed for it, or it was too long ago"
    session.console.result(document, "\n\n".join(shown) or none)


def _lines(text: str) -> str:
    """A certificate, line by line."""
    return "\n".join(clean(line) for line in text.strip().splitlines())
