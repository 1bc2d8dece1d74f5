"""The queue as lines of JSON: out of one daemon, into another."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from rrsd.cli.exits import EXITS, exit_of, sentence_of
from rrsd.cli.local import Local
from rrsd.cli.session import Session, pass_session
from rrsd.core.refusals import Conflict, Damaged, Malformed, Refusal
from rrsd.roles.rra.moving import require_header


@click.command("export")
@click.option("-o", "--output", "place", metavar="FILE", required=True, help="A new file, readable by you alone.")
@pass_session
def export(session: Session, place: str) -> int:
    """Write every message of which something has not arrived, as lines of JSON.

    The first line says what it is and of which version. No token, key or password is in it; the messages are, so that
    the file is nobody else's business. Drain first, so that nothing arrives here that begins anew there. A message
    that cannot be read is named by one of its pulls, and all others are written.

    \b
      rrsctl pulls drain --reason "moves to another host"
      rrsctl pulls export -o queue.jsonl
    """
    try:
        descriptor = os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        raise Conflict(f"{place} is there already: remove it, or say another name") from None
    try:
        count, left_out = _write(session.local(), descriptor)
    except BaseException:
        os.unlink(place)  # half of a queue would be taken for all of it
        raise
    text = f"{count} messages in {place}" + "".join(f"\nleft out, it cannot be read: pull {each}" for each in left_out)
    session.console.result({"messages": count, "file": place, "left_out": left_out}, text)
    return EXITS[Damaged] if left_out else os.EX_OK


def _write(local: Local, descriptor: int) -> tuple[int, list[int]]:
    """How many messages there are in the file, and a pull of each that cannot be read."""
    count, left_out = 0, list[int]()
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        after: int | None = 0
        while after is not None:
            page = local.export(after)
            rows = page["lines"] if after else [page["header"], *page["lines"]]
            count, left_out = count + len(page["lines"]), [*left_out, *page.get("left_out", ())]
            file.writelines(json.dumps(row) + "\n" for row in rows)
            after = page.get("next")
        file.flush()
        os.fsync(file.fileno())
    return count, left_out


@click.command("import")
@click.argument("place", metavar="FILE", type=click.Path(exists=True, dir_okay=False))
@pass_session
def take(session: Session, place: str) -> int:
    """Take up what `export` wrote on another host.

    Each message is accepted as if it came by mail: a recipient who has it already keeps it as it is, so that a second
    time nothing happens. Pulls begin anew, with a fresh lifetime; what was held is held, what had ended is cancelled.
    A message that cannot be taken up is named, and the others go on.

    \b
      rrsctl pulls import queue.jsonl
    """
    local, new, known, refused, status = session.local(), 0, 0, list[str](), os.EX_OK
    for number, line in enumerate(_lines(place), 2):
        try:
            pulls = int(local.take(line).get("pulls", 0))
            new, known = new + bool(pulls), known + (not pulls)
        except Refusal as refusal:
            status = exit_of(refusal)
            refused.append(f"line {number}, for {line.get('recipient')}: {sentence_of(refusal)}")
    text = "\n".join([f"{new} messages taken up, {known} were here already, {len(refused)} refused", *refused])
    session.console.result({"new": new, "known": known, "refused": refused}, text)
    return status


def _lines(place: str) -> Iterator[dict[str, Any]]:
    if not Path(place).stat().st_size:
        raise Malformed(f"{place} is empty: it is no export")
    with Path(place).open("rb") as file:
        for number, text in enumerate(file, 1):
            try:
                line = json.loads(text.decode("utf-8"))
            except ValueError:  # bytes that are no UTF-8 too
                raise Malformed(f"line {number} of {place} is not JSON: the export was cut off, or changed") from None
            if number == 1:
                require_header(line)
            elif not isinstance(line, dict):
                raise Malformed(f"line {number} of {place} is no message")
            else:
                yield line


COMMANDS = (export, take)
