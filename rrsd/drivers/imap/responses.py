"""What an IMAP server says, one response at a time (RFC 3501 7)."""

import re
from collections.abc import Iterator

from attrs import frozen

from rrsd.core.refusals import Malformed, TooLarge

MOST_TEXT = 1 << 20
"""Bytes of a response without its literals."""
MOST_LITERALS = 100
_LITERAL = re.compile(rb"\{([0-9]{1,10})\}$")


@frozen
class Response:
    """The text without its line ends, a literal's `{size}` in its place, and the literals in order."""

    text: bytes
    literals: tuple[bytes, ...] = ()


class Responses:
    """Takes bytes in any division; literals have at most `most` bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._buffer = bytearray()
        self._text = bytearray()
        self._literals: list[bytes] = []
        self._weight = 0
        self._left: int | None = None
        self._looked = 0

    def take(self, data: bytes) -> Iterator[Response]:
        """The responses that are whole now; refuses with TooLarge or Malformed."""
        self._buffer += data
        while True:
            if self._left is not None:
                if len(self._buffer) < self._left:
                    return
                self._literals.append(self._cut(self._left))
                self._left = None
            end = self._buffer.find(b"\r\n", self._looked)
            if len(self._text) + (end if end >= 0 else len(self._buffer)) > MOST_TEXT:
                raise TooLarge("a response of the IMAP server")
            if end < 0:
                self._looked = max(0, len(self._buffer) - 1)
                return
            response = self._line(self._cut(end + 2)[:-2])
            if response is not None:
                yield response

    def _line(self, line: bytes) -> Response | None:
        self._text += line
        literal = _LITERAL.search(line)
        if literal is None:
            response = Response(bytes(self._text), tuple(self._literals))
            self._text, self._literals, self._weight = bytearray(), [], 0
            return response
        self._left = int(literal[1])
        self._weight += self._left
        if self._weight > self._most or len(self._literals) >= MOST_LITERALS:
            raise TooLarge("a literal of the IMAP server")
        return None

    def _cut(self, size: int) -> bytes:
        self._looked = 0
        cut = bytes(self._buffer[:size])
        del self._buffer[:size]
        return cut


def quoted(text: str) -> bytes:
    """The quoted string (RFC 3501 9); refuses with Malformed what cannot be one."""
    if not (text.isascii() and text.isprintable()):
        raise Malformed("no quoted string of IMAP")
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode("ascii") + b'"'
