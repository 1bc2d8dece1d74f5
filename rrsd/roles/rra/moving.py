"""The queue as lines of JSON, to take it to another host: every message of which something has not arrived. No token,
key or password is in it. What is imported is accepted as if it came by mail; a second time nothing happens.
"""

from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, frozen

from rrsd.core.refusals import Conflict, Damaged, Malformed, Unknown
from rrsd.core.values.addresses import Address, parse_address
from rrsd.core.values.calls import Event
from rrsd.core.values.jobs import ENDED, Job, Priority, State
from rrsd.core.values.messages import Message
from rrsd.core.values.operations import Filter
from rrsd.roles.rra import rules
from rrsd.roles.rra.acceptance import Acceptance
from rrsd.roles.rra.acting import OPERATOR, Acts, Given
from rrsd.roles.rra.books import Books
from rrsd.roles.rra.ports import Audit, Blobs, Mailbox

HEADER = {"rrsd": "queue", "version": 1}
"""The first line; another version is not read."""
PAGE = 200
MOST_PAGE_BYTES = 8 << 20


@frozen
class Lines:
    """Some messages, and after which pull to go on; None when that was all. `left_out` are pulls of messages that
    cannot be read here."""

    lines: tuple[dict[str, Any], ...]
    next: int | None
    left_out: tuple[int, ...] = ()


@define(eq=False, kw_only=True)
class Moving:
    """Export and import."""

    books: Books
    mailbox: Mailbox
    blobs: Blobs
    acceptance: Acceptance
    acts: Acts
    audit: Audit

    async def export(self, after: int, who: str = OPERATOR) -> Lines:
        """The messages of the next pulls that have not ended, each once in a page."""
        if not after:
            self._write_down("export", "", who)
        page = await self.books.chosen(Filter(), after, PAGE)
        lines, left_out, seen, size = list[dict[str, Any]](), list[int](), set[tuple[str, str]](), 0
        for job in page.jobs:
            key = (job.recipient.key, job.message)
            if job.state in rules.UNFINISHED and key not in seen:
                seen.add(key)
                line = await self._line(job)
                lines += [line] if line is not None else []
                left_out += [job.job] if line is None else []
                size += len(line["raw"]) if line is not None else 0
            if size > MOST_PAGE_BYTES:
                return Lines(tuple(lines), job.job, tuple(left_out))
        return Lines(tuple(lines), page.next, tuple(left_out))

    async def _line(self, job: Job) -> dict[str, Any] | None:
        """The message of the job; None when its row cannot be read, or its bytes are not here."""
        try:
            message = await self.mailbox.message(job.recipient, job.message)
            raw = b"".join([block async for block in self.blobs.read(message.raw, 0, message.raw_size)])
            pulls = [await self._pull(part.job) for part in message.parts if part.job]
        except (Unknown, Damaged):
            return None
        return {
            "recipient": str(message.recipient),
            "granted": str(job.granted) if job.granted is not None else "",
            "raw": b64encode(raw).decode("ascii"),
            "pulls": pulls,
        }

    async def _pull(self, number: int) -> dict[str, Any]:
        job = await self.acts.find(number)
        return {"index": job.index, "state": job.state.value, "priority": job.priority.value}

    async def take(self, line: Mapping[str, Any], who: str = OPERATOR) -> int:
        """How many pulls began: none for a message that the recipient has. What had ended there is cancelled here, what
        was held is held; everything else begins anew, with a fresh lifetime.

        Raises:
            Malformed: it is no line of an export.
            Unknown, Forbidden: the recipient is none of ours, or is suspended.
            NoSpace: it cannot be stored now.
        """
        recipient, granted, raw, pulls = _read(line)
        self._write_down("import", str(recipient), who)
        accepted = await self.acceptance.accept(raw, [recipient], granted=granted)
        for message in accepted:
            await self._as_it_was(message, pulls, who)
        return sum(len(message.parts) for message in accepted)

    async def _as_it_was(self, message: Message, pulls: Mapping[int, tuple[State, Priority]], who: str) -> None:
        for part in message.parts:
            state, priority = pulls.get(part.index, (State.NEW, Priority.NORMAL))
            verb = "cancel" if state in ENDED else "hold" if state is State.HELD else ""
            try:
                if verb:
                    await self.acts.act(verb, part.job, who)
                if priority is not Priority.NORMAL and verb != "cancel":
                    await self.acts.act("set-priority", part.job, who, Given(priority=priority))
            except Conflict:
                continue  # it has arrived meanwhile

    def _write_down(self, evidence: str, subject: str, who: str) -> None:
        self.audit.record(Event("operate", "granted", who=who, subject=subject, resource="queue", evidence=evidence))


def _read(line: Mapping[str, Any]) -> tuple[Address, Address | None, bytes, dict[int, tuple[State, Priority]]]:
    try:
        recipient, granted = parse_address(line["recipient"]), line.get("granted") or ""
        raw = b64decode(line["raw"], validate=True)
        pulls = {int(each["index"]): (State(each["state"]), Priority(each["priority"])) for each in line["pulls"]}
        return recipient, parse_address(granted) if granted else None, raw, pulls
    except (KeyError, TypeError, ValueError, AttributeError, Error) as error:
        raise Malformed(f"no line of an export: {type(error).__name__}") from error


def require_header(line: Mapping[str, Any] | Sequence[Any]) -> None:
    """Returns None if it is the first line of an export that this version reads; refuses with Malformed."""
    if line != HEADER:
        raise Malformed(f"the first line is not {HEADER}: it is no export, or one of another version")
