"""Lines of Postfix's log, as far as they say what became of a message: who opened a queue file, and if it was kept.

smtpd names the queue file when it opens it, with the name that XFORWARD gave the message (IDENT): before it answers to
RCPT. The file is in the queue when cleanup has synchronized it, before smtpd says yes; qmgr names it when it takes it
up, and when it is done with it. What is in front of the program's name, a time and a host, is not looked at.
"""

import re
from collections.abc import Iterable
from enum import StrEnum

from attrs import define, field, frozen

_LINE = re.compile(rb"[^\[\]]*?/([a-z]{1,32})\[([0-9]{1,10})\]: (.*)", re.DOTALL)
_OPENED = re.compile(rb"([0-9A-Za-z]{1,64}): (?:client=|uid=)")
_IDENT = re.compile(rb", orig_queue_id=([^,\s]{1,255})(?:,|\s|$)")
_ACTIVE = re.compile(rb"([0-9A-Za-z]{1,64}): (?:from=<.*> ?, size=.*\(queue active\)|removed|requeued)\s*$", re.DOTALL)
_GONE = re.compile(rb"warning: process \S+ pid ([0-9]{1,10}) (?:killed|exit)")
_STARTED = b"daemon started"
_LEFT = (b"disconnect from ", b"fatal: ", b"panic: ")


class Step(StrEnum):
    """What a line says."""

    OPENED = "opened"
    """A process writes a queue file."""
    KEPT = "kept"
    """It is in the queue, or was."""
    LEFT = "left"
    """The process writes none any more."""
    ENDED = "ended"
    """No process does that had begun before."""


@frozen
class Noted:
    """One line: the queue file, the process, and what the client calls the message; empty where it names none."""

    step: Step
    queue: str = ""
    process: int = 0
    ident: str = ""


def parse_log_line(line: bytes) -> Noted | None:
    """What the line says; None when it is about something else."""
    found = _LINE.match(line)
    if found is None:
        return None
    program, process, text = found[1], int(found[2]), found[3]
    if program in (b"smtpd", b"pickup"):
        return _of_writer(process, text)
    if program in (b"qmgr", b"postsuper"):
        kept = _ACTIVE.match(text)
        return None if kept is None else Noted(Step.KEPT, kept[1].decode())
    if program == b"master":
        gone = _GONE.match(text)
        if gone is not None:
            return Noted(Step.LEFT, process=int(gone[1]))
        return Noted(Step.ENDED) if text.startswith(_STARTED) else None
    return None


def _of_writer(process: int, text: bytes) -> Noted | None:
    opened = _OPENED.match(text)
    if opened is not None:
        ident = _IDENT.search(text)
        said = "" if ident is None else ident[1].decode("utf-8", "replace")
        return Noted(Step.OPENED, opened[1].decode(), process, said)
    return Noted(Step.LEFT, process=process) if text.startswith(_LEFT) else None


@define
class Trace:
    """One message's way through the log, under the name that the client gave it. Lines are told in their order.

    `is_kept` when a queue file of it is in the queue or was; `open` are its queue files, each with the process that may
    be writing it still, None when that one has left.
    """

    ident: str
    is_kept: bool = field(default=False, init=False)
    open: dict[str, int | None] = field(factory=dict, init=False)

    @property
    def is_being_written(self) -> bool:
        """Whether a process may be at work on it."""
        return any(process is not None for process in self.open.values())

    def tell(self, lines: Iterable[bytes]) -> None:
        """The next lines."""
        for line in lines:
            noted = parse_log_line(line)
            if noted is not None:
                self._take(noted)

    def _take(self, noted: Noted) -> None:
        match noted.step:
            case Step.OPENED:
                # A name that is given to another file says no more of ours.
                self.open.pop(noted.queue, None)
                if noted.ident == self.ident:
                    self.open[noted.queue] = noted.process
            case Step.KEPT:
                self.is_kept = self.is_kept or noted.queue in self.open
            case Step.LEFT:
                self.open = {queue: None if of == noted.process else of for queue, of in self.open.items()}
            case _:
                self.open = dict.fromkeys(self.open)
