"""Base64 as mail has it: in lines of one length, made from blocks of any length (RFC 2045 6.8)."""

import binascii
import struct
from functools import lru_cache

from attrs import define, field

CRLF = b"\r\n"
LINE = 76
"""Characters of a line, where nothing else was said."""
_AT_ONCE = 1024
"""Lines that one call divides."""


@define(eq=False)
class Base64Lines:
    """Lines of `line` characters, a multiple of four, each ended by CRLF."""

    line: int = LINE
    _rest: bytes = field(default=b"", init=False)

    def feed(self, data: bytes) -> bytes:
        """The lines that `data` completes; what is left waits for more."""
        data = self._rest + data
        whole = len(data) - len(data) % (self.line // 4 * 3)
        self._rest = data[whole:]
        return self._lines(data[:whole])

    def finish(self) -> bytes:
        """The last line, if any."""
        rest, self._rest = self._rest, b""
        return self._lines(rest)

    def _lines(self, data: bytes) -> bytes:
        text = binascii.b2a_base64(data, newline=False)
        many, at = _many(self.line), 0
        lines: list[bytes] = []
        while len(text) - at >= many.size:
            lines += many.unpack_from(text, at)
            at += many.size
        lines += [text[start : start + self.line] for start in range(at, len(text), self.line)]
        return CRLF.join([*lines, b""])


@lru_cache(maxsize=16)
def _many(line: int) -> struct.Struct:
    """Divides so many lines at once: twice as fast as a slice for each."""
    return struct.Struct(f"{line}s" * _AT_ONCE)
