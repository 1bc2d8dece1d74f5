"""The verbs that change pulls: one by its number, or many, which the daemon counts before anything happens."""

import os
import shlex
from collections.abc import Mapping
from typing import Any

import click

from rrsd.cli.exits import EXITS
from rrsd.cli.pulls.choosing import chosen, seconds_of, wanted_of, words_of
from rrsd.cli.session import Session, pass_session
from rrsd.core.refusals import Malformed, Unavailable
from rrsd.core.values.jobs import Priority
from rrsd.roles.rra.verbs import BY_NAME

_DONE = {
    "retry-now": "will be tried now",
    "hold": "held",
    "release": "released",
    "cancel": "cancelled",
    "expire-now": "expired",
    "extend": "extended",
    "set-priority": "ranked",
    "requeue-fresh": "queued anew",
    "quarantine-release": "queued anew",
}

_ALREADY = {
    "hold": "is held already",
    "release": "is not held",
    "cancel": "was cancelled already",
    "expire-now": "has expired already",
    "extend": "has more time than that already, and keeps it",
    "set-priority": "has that class already",
    "requeue-fresh": "went on already",
    "quarantine-release": "went on already",
}
"""Of a verb that finds its work done."""

_TAKEN_BACK = {
    "drained": "the daemon is drained (rrsctl pulls undrain)",
    "paused": "{origin} is paused (rrsctl pulls resume {origin})",
}
"""What has to be taken back before anything is tried."""

_MORE = {
    "retry-now": "With --destination and without --all the resource server is probed and whatever waits for it runs; "
    "with --issuer our own token service is asked. However often it is said, that happens once in 10 seconds: to "
    "flush a queue into a server that is down makes it worse.",
    "extend": "So long from now at least. The sender may have promised less: then the bytes may be gone before.",
    "requeue-fresh": "The old pull stays as it ended; the message shows the new one.",
    "quarantine-release": "None of the wrong bytes are kept, so that there is nothing to let through: it is pulled "
    "once more, and the digest of the message is checked as ever.",
    "cancel": "Nothing that is stored is ever removed by it.",
}

_CHOSEN = (
    "Say NUMBER for one pull, or --all, with options that choose; the daemon says how many that are, and does it when "
    "that is confirmed: here, or with --yes TOKEN."
)


def _command(name: str, *options: Any) -> click.Command:
    verb = BY_NAME[name]

    @click.argument("job", type=click.IntRange(1), required=False)
    @click.option("--yes", metavar="TOKEN", default="", help="Confirms what was counted; needs --all.")
    @click.option("--all", "is_all", is_flag=True, help="More than one pull is meant.")
    @chosen
    @pass_session
    def command(session: Session, /, job: int | None, is_all: bool, yes: str, **given: Any) -> int:
        needed, is_issuer = _needed(name, given), bool(given.pop("issuer", False))
        wanted = wanted_of(**given)
        if job is None and not is_all and (status := _special(session, name, wanted, is_issuer)) is not None:
            return status
        if is_issuer or (job is None) != is_all or (job is not None and (wanted or yes)):
            raise Malformed(f"say which: rrsctl pulls {name} NUMBER, or rrsctl pulls {name} --all [--state …]")
        if job is not None:
            return _one(session, name, job, needed)
        return _many(session, name, {**wanted, **needed, "all": True}, yes)

    for option in options:
        command = option(command)
    return click.command(name, help="\n\n".join(filter(None, (verb.does, _MORE.get(name), _CHOSEN))))(command)


def _one(session: Session, name: str, job: int, needed: dict[str, Any]) -> int:
    document = session.local().act(job, name, needed)
    origin = str((document.get("job") or {}).get("origin", ""))
    session.console.result(document, _one_text(name, job, document) + _waits(document, origin))
    return _status(document)


def _one_text(name: str, job: int, document: Mapping[str, Any]) -> str:
    after = (document.get("job") or {}).get("job")
    is_done = document.get("changed", True) or name not in _ALREADY
    said = "waits" if document.get("waits_for") else _DONE[name] if is_done else _ALREADY[name]
    return f"pull {job} {said}" + (f" as pull {after}" if after not in (None, job) else "")


def _waits(document: Mapping[str, Any], origin: str) -> str:
    """What keeps it from being tried, if an operator has laid that down."""
    named = [_TAKEN_BACK[each].format(origin=origin) for each in document.get("waits_for", ()) if each in _TAKEN_BACK]
    return f": {' and '.join(named)}" if named else ""


def _status(document: Mapping[str, Any]) -> int:
    """EX_TEMPFAIL for what cannot be tried before something is taken back."""
    return EXITS[Unavailable] if document.get("waits_for") else os.EX_OK


def _special(session: Session, name: str, wanted: dict[str, Any], is_issuer: bool) -> int | None:
    """The exit status if it was about a destination or the issuer as such; None if it is about pulls."""
    if is_issuer and not wanted:
        document = session.local().govern("retry-issuer", {})
        said = "is asked now" if document.get("asked") else "answers, or was asked a moment ago"
        session.console.result(document, f"our token service {said}")
        return os.EX_OK
    if name == "retry-now" and not is_issuer and set(wanted) == {"origin"}:
        document = session.local().govern("retry", {"name": wanted["origin"]})
        wait = document.get("wait")
        said = f"{document.get('woken', 0)} pulls run now; a closed one is probed"
        said = f"it was asked a moment ago: say it again in {wait} s" if wait else said
        waits = _waits(document, wanted["origin"])
        session.console.result(document, f"nothing is tried{waits}" if waits else said)
        return _status(document)
    return None


def _needed(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """What the verb needs beside the pulls."""
    span, priority = given.pop("span", ""), given.pop("priority", "")
    needed: dict[str, Any] = {}
    if name == "extend":
        needed["for"] = seconds_of(span)
    if priority:
        needed["priority"] = priority
    return needed


def _many(session: Session, name: str, order: dict[str, Any], token: str) -> int:
    local = session.local()
    if not token:
        asked = local.act_all(name, order)
        count, token = int(asked.get("jobs", 0)), str(asked.get("token", ""))
        again = shlex.join([*_called(session), name, "--all", *words_of(order), "--yes", token])
        if session.console.is_json:
            session.console.document(asked)
            return os.EX_OK
        if not count:
            session.console.result(asked, "no pull is meant")
            return os.EX_OK
        session.console.note(f"`{name}` would change {count} pulls; for 5 minutes also: {again}")
        session.confirm("Go on?")
    changed = unchanged = after = 0
    while True:
        step = local.act_all(name, {**order, "token": token, "after": after})
        changed, unchanged = changed + int(step.get("changed", 0)), unchanged + int(step.get("unchanged", 0))
        after = step.get("next") or 0
        if not after:
            break
        session.console.note(f"{changed} done, going on after pull {after}")
    waits, waits_for = _waits(step, str(order.get("origin", ""))), step.get("waits_for")
    text = f"{changed} pulls {'wait' if waits else _DONE[name]}{waits}"
    text += f", {unchanged} did not allow or need it" if unchanged else ""
    more = {"waits_for": waits_for} if waits_for else {}
    session.console.result({"changed": changed, "unchanged": unchanged, **more}, text)
    return _status(step)


def _called(session: Session) -> list[str]:
    """How the same daemon is spoken with again."""
    return ["rrsctl", *(["--config", session.config] if session.config else []), "pulls"]


def _quarantine_release() -> click.Command:
    @click.argument("job", type=click.IntRange(1))
    @pass_session
    def command(session: Session, job: int) -> int:
        return _one(session, "quarantine-release", job, {})

    words = f"{BY_NAME['quarantine-release'].does}\n\n{_MORE['quarantine-release']}"
    return click.command("quarantine-release", help=words)(command)


COMMANDS = (
    _command("retry-now", click.option("--issuer", is_flag=True, help="Our own token service, not a pull.")),
    _command("hold"),
    _command("release"),
    _command("cancel"),
    _command("expire-now"),
    _command("extend", click.option("--for", "span", metavar="SPAN", required=True, help="As in 12h or 3d.")),
    _command(
        "set-priority",
        click.option(
            "--to", "priority", type=click.Choice([each.value for each in Priority]), required=True, help="The class."
        ),
    ),
    _command("requeue-fresh"),
    _quarantine_release(),
)
