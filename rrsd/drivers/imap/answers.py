"""What the untagged responses to commands mean (RFC 3501 7). Nothing that comes unasked is taken for an answer."""

import re
from collections.abc import Iterable

from attrs import evolve, frozen

from rrsd.core.refusals import Malformed
from rrsd.drivers.imap.responses import Response, quoted

DELETED = b"\\deleted"

_LIST = re.compile(rb'\* LIST \(([^)]*)\) (?:"(?:[^"\\]|\\.)*"|NIL) (.+)$', re.IGNORECASE | re.DOTALL)
_FETCH = re.compile(rb"\* [0-9]+ FETCH \(", re.IGNORECASE)
_UID = re.compile(rb"\bUID ([0-9]{1,10})\b", re.IGNORECASE)
_FLAGS = re.compile(rb"\bFLAGS \(([^()]*)\)", re.IGNORECASE)
_DATE = re.compile(rb'\bINTERNALDATE ("[^"\\]*")', re.IGNORECASE)
_SIZE = re.compile(rb"\bRFC822\.SIZE ([0-9]{1,19})\b", re.IGNORECASE)
_MODSEQ = re.compile(rb"\bMODSEQ \(([0-9]{1,19})\)", re.IGNORECASE)
_PERMANENT = re.compile(rb"\* OK \[PERMANENTFLAGS \(([^()]*)\)\]", re.IGNORECASE)


@frozen
class Seen:
    """What was said of one message; None is what was not. `flags` are as the server writes them."""

    flags: tuple[bytes, ...] | None = None
    date: bytes | None = None
    size: int | None = None
    body: bytes | None = None
    modseq: int | None = None

    @property
    def is_deleted(self) -> bool:
        """Whether it is marked for deletion."""
        return any(each.lower() == DELETED for each in self.flags or ())


def seen_in(responses: Iterable[Response]) -> dict[int, Seen]:
    """Messages by UID. What is said of one in several responses, asked for or not, is put together."""
    found: dict[int, Seen] = {}
    for response in responses:
        uid = _UID.search(response.text)
        if uid is None or not _FETCH.match(response.text):
            continue
        number = int(uid[1])
        found[number] = _with(found.get(number, Seen()), response)
    return found


def _with(seen: Seen, response: Response) -> Seen:
    flags, date, size, modseq = (each.search(response.text) for each in (_FLAGS, _DATE, _SIZE, _MODSEQ))
    return evolve(
        seen,
        flags=seen.flags if flags is None else tuple(flags[1].split()),
        date=seen.date if date is None else date[1],
        size=seen.size if size is None else int(size[1]),
        body=response.literals[0] if response.literals else seen.body,
        modseq=seen.modseq if modseq is None else int(modseq[1]),
    )


def uids_in(responses: Iterable[Response]) -> list[int]:
    """What SEARCH has found."""
    answers = [each.text for each in responses if each.text[:8].upper() == b"* SEARCH"]
    return sorted({int(each) for answer in answers for each in answer.split()[2:] if each.isdigit() and len(each) < 11})


def words_in(responses: Iterable[Response]) -> frozenset[bytes]:
    """What CAPABILITY announces, in capitals."""
    answers = [each.text.upper().split() for each in responses]
    return frozenset(word for answer in answers if answer[:2] == [b"*", b"CAPABILITY"] for word in answer[2:])


def permanent_in(responses: Iterable[Response]) -> frozenset[bytes] | None:
    """The flags that can be kept, in small letters; None for all of them, which is what no word about it means."""
    for response in responses:
        found = _PERMANENT.match(response.text)
        if found is not None:
            return frozenset(found[1].lower().split())
    return None


def folder_of(response: Response) -> bytes | None:
    """The name of a folder that can be selected, as it may be sent; empty where we cannot send it."""
    found = _LIST.match(response.text)
    if found is None or {b"\\noselect", b"\\nonexistent"} & set(found[1].lower().split()):
        return None
    if response.literals:
        try:
            return quoted(response.literals[-1].decode("ascii"))
        except (UnicodeDecodeError, Malformed):
            return b""
    return found[2]
