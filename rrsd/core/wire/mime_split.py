"""A message cut into headers, bodies and delimiters while it comes, in flat memory (RFC 2046 5.1).

Nothing is lost: what the tokens hold, joined in order, is the message to the byte.
"""

import re
from typing import TypeAlias

from attrs import define, field, frozen

from rrsd.core.refusals import Malformed, TooLarge
from rrsd.core.wire.mime_fields import Field, parse_fields
from rrsd.core.wire.mime_parts import MOST_DEPTH, boundary_of

MOST_HEADER = 1 << 18
"""Bytes of one header section; a longer one is body."""
MOST_DELIMITER = 256
"""Bytes of one delimiter line, white space at its end included."""
CRLF = b"\r\n"
NOTHING = re.compile(rb"(?!)")


@frozen
class Header:
    """A whole header section with the empty line after it, if there is one; no fields where it is none."""

    data: bytes
    fields: tuple[Field, ...]
    depth: int
    is_multipart: bool


@frozen
class Content:
    """Bytes of a body, of what stands before the first part or behind the last one."""

    data: bytes


@frozen
class Delimiter:
    """A delimiter line with its end. `depth` is that of the multipart that it divides, 1 for the outermost."""

    data: bytes
    boundary: bytes
    depth: int
    closes: bool


Token: TypeAlias = Header | Content | Delimiter


@define(eq=False)
class Splitter:
    """Makes tokens; as `rrsd.core.wire.mime_parts` it looks into no signed or encrypted part."""

    _buffer: bytes = field(default=b"", init=False)
    _at: int = field(default=0, init=False)  # what comes before it in the buffer has its tokens
    _boundaries: list[bytes] = field(factory=list, init=False)
    _wanted: re.Pattern[bytes] = field(default=NOTHING, init=False)
    _in_header: bool = field(default=True, init=False)
    _at_line: bool = field(default=True, init=False)  # a line begins here
    _header: list[bytes] = field(factory=list, init=False)
    _header_size: int = field(default=0, init=False)
    _tokens: list[Token] = field(factory=list, init=False)

    def feed(self, block: bytes) -> list[Token]:
        """The tokens that are certain now."""
        self._buffer = self._buffer[self._at :] + block
        self._at = 0
        while self._header_line() if self._in_header else self._body():
            pass
        return self._taken()

    def finish(self) -> list[Token]:
        """What is left; a line may end with the message."""
        rest = self._buffer[self._at :]
        self._buffer, self._at = b"", 0
        if self._in_header:
            self._header.append(rest)
            self._end_header()
        elif rest:
            self._line(rest, rest if self._at_line else b"")
        return self._taken()

    def _taken(self) -> list[Token]:
        tokens, self._tokens = self._tokens, []
        return tokens

    def _header_line(self) -> bool:
        """Take one line of a header; False when there is none yet."""
        end = self._buffer.find(CRLF, self._at)
        size = self._header_size + (len(self._buffer) if end < 0 else end) - self._at
        if size > MOST_HEADER:
            self._begin_body((), is_multipart=False)
            return True
        if end < 0:
            return False
        line = self._buffer[self._at : end + 2]
        self._at = end + 2
        if line.startswith(b"--") and self._known(line[:-2]) is not None:
            self._end_header()
            self._line(line, line[:-2])
            return True
        self._header.append(line)
        self._header_size += len(line)
        if line == CRLF:
            self._end_header()
        return True

    def _end_header(self) -> None:
        data = b"".join(self._header)
        try:
            fields, _ = parse_fields(data, 0, len(data))
            boundary = boundary_of(fields) if len(self._boundaries) < MOST_DEPTH else None
        except (Malformed, TooLarge):
            fields, boundary = (), None
        if boundary is not None:
            self._boundaries.append(boundary.encode("ascii"))
            self._look_for()
        self._begin_body(fields, is_multipart=boundary is not None)

    def _look_for(self) -> None:
        """Lines that may be delimiters from now on; whatever else begins with dashes costs nothing."""
        names = b"|".join(re.escape(each) for each in self._boundaries)
        self._wanted = re.compile(rb"\r\n--(?:%b)" % names) if names else NOTHING

    def _begin_body(self, fields: tuple[Field, ...], *, is_multipart: bool) -> None:
        self._tokens.append(Header(b"".join(self._header), fields, len(self._boundaries), is_multipart))
        self._header, self._header_size, self._in_header, self._at_line = [], 0, False, True

    def _body(self) -> bool:
        """Take body up to the next line that may be a delimiter, or that line; False when more is needed."""
        if self._at_line and self._buffer.startswith(b"--", self._at):
            return self._dashes()
        rest = len(self._buffer) - self._at
        if rest == 0 or (self._at_line and rest == 1 and self._buffer.endswith(b"-")):
            return False
        found = self._wanted.search(self._buffer, self._at) if self._boundaries and self._has_dash() else None
        if found is not None:
            self._content(found.start() + 2)
            self._at_line = True
            return True
        # The last bytes may be the beginning of a delimiter.
        cut = self._buffer.rfind(b"\r", max(self._at, len(self._buffer) - MOST_DELIMITER))
        end = cut if cut >= 0 and self._boundaries else len(self._buffer)
        if end > self._at:
            self._content(end)
            self._at_line = False
        return False

    def _has_dash(self) -> bool:
        """Whether a delimiter can be in sight at all; base64 has no dash, and one byte is found at the speed of
        memory."""
        return self._buffer.find(b"-", self._at) >= 0

    def _dashes(self) -> bool:
        """Take a line that begins with two dashes; False when its end has not come."""
        end = self._buffer.find(CRLF, self._at, self._at + MOST_DELIMITER + 2)
        if end < 0 and len(self._buffer) - self._at < MOST_DELIMITER + 2:
            return False
        line = b"" if end < 0 else self._buffer[self._at : end]
        if self._known(line) is None:
            # It is content, and the end of the line may begin a delimiter.
            self._content(self._at + 2 if end < 0 else end)
            self._at_line = False
        else:
            self._at = end + 2
            self._line(line + CRLF, line)
        return True

    def _content(self, end: int) -> None:
        self._tokens.append(Content(self._buffer[self._at : end]))
        self._at = end

    def _known(self, line: bytes) -> tuple[int, bool] | None:
        """The depth of the multipart that the line divides, and whether it closes it; outer ones go first."""
        text = line.rstrip(b" \t")
        for depth, boundary in enumerate(self._boundaries, 1):
            if text in (b"--" + boundary, b"--" + boundary + b"--"):
                return depth, len(text) == len(boundary) + 4
        return None

    def _line(self, data: bytes, line: bytes) -> None:
        """The token of a line that may be a delimiter; `line` is without its end."""
        known = self._known(line)
        if known is None:
            self._tokens.append(Content(data))
            return
        depth, closes = known
        boundary = self._boundaries[depth - 1]
        del self._boundaries[depth - closes :]
        self._look_for()
        self._tokens.append(Delimiter(data, boundary, depth, closes))
        self._in_header, self._at_line = not closes, True
