"""The message inside an SMTP transaction, over any division into blocks (RFC 5321 4.5.2, RFC 3030).

A line ends with CR LF and with nothing else: who takes a bare LF for an end sees two messages where others see one.
"""

from attrs import define, field, frozen

from rrsd.core.refusals import Malformed

CRLF = b"\r\n"
END = b"\r\n.\r\n"
DOT = b"."
"""Base64 has none: a block is asked for it once, at the speed of memory, before anything that costs more."""
NO_LINE_ENDS = bytes(octet for octet in range(256) if octet not in CRLF)


@frozen
class Taken:
    """What one block brought: bytes of the message, whether it has ended, and what came behind its end."""

    message: bytes
    is_end: bool
    rest: bytes = b""


@define(eq=False)
class Unstuffing:
    """Takes a message out of DATA: undoes the doubled dots and finds the end.

    What may be part of the end is held back, four bytes at most.
    """

    _held: bytes = field(default=CRLF, init=False)
    _skip: int = field(default=len(CRLF), init=False)  # the line end that nobody sent, before the first line

    def take(self, block: bytes) -> Taken:
        """The message's bytes as far as they are certain.

        Raises:
            Malformed: a bare CR or LF came.
        """
        text = self._held + block
        end = text.find(END) if DOT in text else -1
        if end >= 0:
            return Taken(self._unstuffed(text[: end + len(CRLF)]), True, text[end + len(END) :])
        kept = _overlap(text)
        self._held = text[len(text) - kept :]
        return Taken(self._unstuffed(text[: len(text) - kept]), False)

    def _unstuffed(self, text: bytes) -> bytes:
        require_lines(text)
        message = (text.replace(b"\r\n.", CRLF) if DOT in text else text)[self._skip :]
        self._skip = max(0, self._skip - len(text))
        return message


def _overlap(text: bytes) -> int:
    """How many bytes at the end of `text` may be the beginning of the end."""
    return next((size for size in range(min(len(END) - 1, len(text)), 0, -1) if text.endswith(END[:size])), 0)


def require_lines(text: bytes) -> None:
    """Returns None if CR and LF stand together only; `text` must not be cut between them.

    Raises:
        Malformed: one stands alone.
    """
    if has_even_lines(text):
        return
    if _line_ends(text) != 2 * text.count(CRLF):
        raise Malformed("bare CR or LF")


def has_even_lines(text: bytes) -> bool:
    """Whether CR and LF stand in pairs only, at one distance: True proves it, False says nothing.

    Two strides over the text find a CR and a LF at each end of a line, and there are no more of them. This is what
    nearly every block of an attachment is, and it takes a third of the time of counting.
    """
    first = text.find(CRLF)
    second = text.find(CRLF, first + 2)
    if second < 0:
        return False
    returns, feeds = text[first :: second - first], text[first + 1 :: second - first]
    count = len(returns)
    if returns != b"\r" * count or feeds != b"\n" * count:
        return False
    return _line_ends(text) == 2 * count


def _line_ends(text: bytes) -> int:
    """How many CR and LF there are together."""
    return len(text.translate(None, NO_LINE_ENDS))


@define(eq=False)
class Stuffing:
    """Puts a message into DATA: doubles the dots and writes the end."""

    _held: bytes = field(default=b"", init=False)  # a CR whose LF is in the next block
    _at_start: bool = field(default=True, init=False)

    def put(self, block: bytes) -> bytes:
        """The block as it goes over the wire; a CR at its end waits for the next one.

        Raises:
            Malformed: a bare CR or LF came.
        """
        text = self._held + block
        self._held = b"\r" if text.endswith(b"\r") else b""
        text = text[: len(text) - len(self._held)]
        if not text:
            return b""
        require_lines(text)
        before = CRLF if self._at_start else b""
        self._at_start = text.endswith(CRLF)
        if DOT not in text:
            return text
        return (before + text).replace(b"\r\n.", b"\r\n..")[len(before) :]

    def end(self) -> bytes:
        """The end of the message, after a line end of its own if it has none.

        Raises:
            Malformed: the message ends with a bare CR.
        """
        require_lines(self._held)
        return END[len(CRLF) :] if self._at_start else END
