"""Attachments taken out of a message while it passes: what stays, stays to the byte; what goes can be put back to it.

A part is taken only if its base64 has one form: full lines of one length, a last one that may be shorter, and nothing
but empty lines behind it. So its bytes and the length of its lines say all that there was.
"""

import binascii
from collections.abc import Sequence
from typing import TypeAlias

from attrs import define, field, frozen

from rrsd.core.wire.mime_fields import Field, decode_words, first_text, named, parse_media, parse_word, safe_filename
from rrsd.core.wire.mime_split import CRLF, Content, Delimiter, Header, Splitter, Token

MOST_PARTS = 10_000
"""Parts that are looked at; behind so many of them nothing is taken any more."""
MOST_LINE = 996
MOST_TAIL = 64
"""Bytes of empty lines that may stand behind the last line of a part."""
MOST_HELD = 1 << 18
"""Encoded bytes of a part that are decoded at a time."""

_COMPOSITE = ("multipart/", "message/")
_OPAQUE = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime", "application/pkcs7-signature",
                     "application/x-pkcs7-signature", "application/pgp-signature"})  # fmt: skip


@frozen
class Keep:
    """Bytes that stay where they are."""

    data: bytes


@frozen
class Begin:
    """A part is taken from here on. `line` is how many characters a full line of it has; `header` ends with the
    empty line."""

    header: bytes
    media_type: str
    filename: str
    line: int


@frozen
class Some:
    """Bytes of the part, decoded."""

    data: bytes


@frozen
class End:
    """The part is whole: `size` bytes, encoded in lines and followed by `tail`, are what came."""

    size: int
    tail: bytes


@frozen
class GiveBack:
    """The part has to stay after all: its bytes so far, encoded in lines, are what came up to here."""


@frozen
class Close:
    """The last delimiter of the outermost multipart/mixed comes next: the place for one more part."""

    boundary: bytes


Step: TypeAlias = Keep | Begin | Some | End | GiveBack | Close


@define(eq=False)
class Taker:
    """Takes parts of more than `threshold` encoded bytes.

    A message that `is_one_file` has no parts: its own header is that of a file in base64, which is not taken.
    """

    threshold: int
    is_one_file: bool = field(default=False, init=False)
    _splitter: Splitter = field(factory=Splitter, init=False)
    _steps: list[Step] = field(factory=list, init=False)
    _parts: int = field(default=0, init=False)
    _is_mixed: bool = field(default=False, init=False)
    _first: bool = field(default=True, init=False)
    _part: "_Part | None" = field(default=None, init=False)

    def feed(self, block: bytes) -> list[Step]:
        """What becomes of the message as far as it is certain."""
        return self._work(self._splitter.feed(block))

    def finish(self) -> list[Step]:
        """What becomes of the rest; a part without an end is not taken."""
        steps = self._work(self._splitter.finish())
        if self._part is not None:
            steps += self._part.leave()
        return steps

    def _work(self, tokens: Sequence[Token]) -> list[Step]:
        self._steps = []
        for token in tokens:
            if isinstance(token, Content):
                self._content(token.data)
            elif isinstance(token, Header):
                self._header(token)
            else:
                self._delimiter(token)
        return self._steps

    def _header(self, header: Header) -> None:
        if self._first:
            text = first_text(header.fields, "content-type").lower()
            self._is_mixed = header.is_multipart and text.startswith("multipart/mixed")
            self.is_one_file = not header.is_multipart and _part_of(header, self.threshold) is not None
        elif not header.is_multipart and self._parts < MOST_PARTS:
            self._parts += 1
            self._part = _part_of(header, self.threshold)
        self._first = False
        if self._part is None:
            self._steps.append(Keep(header.data))

    def _content(self, data: bytes) -> None:
        if self._part is None:
            self._steps.append(Keep(data))
            return
        self._steps += self._part.feed(data)
        if self._part.is_left:
            self._part = None

    def _delimiter(self, delimiter: Delimiter) -> None:
        if self._part is not None:
            self._steps += self._part.end()
            self._part = None
        if delimiter.closes and delimiter.depth == 1 and self._is_mixed:
            self._steps.append(Close(delimiter.boundary))
        self._steps.append(Keep(delimiter.data))


def _part_of(header: Header, threshold: int) -> "_Part | None":
    """The part that begins with the header, None for one that is never taken."""
    fields = header.fields
    encodings = [each.text.lower() for each in named(fields, "content-transfer-encoding")]
    types = named(fields, "content-type")
    media = parse_media(types[0].text) if types else None
    if encodings != ["base64"] or len(types) != 1 or media is None or not header.data.endswith(b"\r\n\r\n"):
        return None
    if media.value.startswith(_COMPOSITE) or media.value in _OPAQUE:
        return None
    filename = _filename(fields, media.parameters.get("name", ""))
    if media.value.startswith("text/") and not filename:
        return None
    return _Part(header.data, media.value, filename, threshold)


def _filename(fields: Sequence[Field], name: str) -> str:
    disposition = parse_word(first_text(fields, "content-disposition"))
    given = "" if disposition is None else disposition.parameters.get("filename", "")
    return safe_filename(decode_words(given or name))


@define(eq=False)
class _Part:
    """One part that may be taken: held back up to the threshold, decoded beyond it."""

    header: bytes
    media_type: str
    filename: str
    threshold: int
    is_left: bool = field(default=False, init=False)
    _held: bytearray = field(factory=bytearray, init=False)
    _line: int = field(default=0, init=False)  # characters of a full line, 0 while nothing is taken
    _size: int = field(default=0, init=False)
    _is_padded: bool = field(default=False, init=False)

    def feed(self, data: bytes) -> list[Step]:
        """More of its body."""
        self._held += data
        if not self._line:
            return self._decide() if len(self._held) > self.threshold else []
        return self._decode() if len(self._held) >= MOST_HELD else []

    def end(self) -> list[Step]:
        """The body is complete."""
        if not self._line:
            return self.leave()
        steps = self._decode()
        return steps if self.is_left else [*steps, *self._last()]

    def leave(self) -> list[Step]:
        """Whatever it is, it stays."""
        self.is_left = True
        rest = bytes(self._held)
        self._held.clear()
        if self._line:
            return [GiveBack(), Keep(rest)]
        return [Keep(self.header + rest)]

    def _decide(self) -> list[Step]:
        """Take it, if the first line is one of base64."""
        line = self._held.find(CRLF)
        if line < 0 and len(self._held) <= MOST_LINE + 1:
            return []
        if not 0 < line <= MOST_LINE or line % 4:
            return self.leave()
        self._line = line
        return [Begin(self.header, self.media_type, self.filename, line), *self._decode()]

    def _decode(self) -> list[Step]:
        """Decode the full lines that are there; what is no full line waits for the end of the body, if it is short."""
        width = self._line + len(CRLF)
        plain = _plain_lines(self._held, self._line)
        if plain is not None and not self._is_padded:
            del self._held[: len(self._held) // width * width]
            self._size += len(plain)
            return [Some(plain)]
        count = _full_lines(self._held, self._line)
        text = bytes(self._held[: count * width]).replace(CRLF, b"")
        data = _decoded(text)
        if data is None or (text and self._is_padded) or len(self._held) - count * width > width + MOST_TAIL:
            return self.leave()
        self._is_padded = self._is_padded or text.endswith(b"=")
        del self._held[: count * width]
        self._size += len(data)
        return [Some(data)] if data else []

    def _last(self) -> list[Step]:
        """The last line, which may be a short one, and the empty ones behind it."""
        text = bytes(self._held)
        last, _, tail = text.partition(CRLF) if not text.startswith(CRLF) else (b"", b"", text)
        data = _decoded(last) if len(last) <= self._line else None
        if data is None or (last and self._is_padded) or tail.replace(CRLF, b""):
            return self.leave()
        self._size += len(data)
        self._held.clear()
        return [*([Some(data)] if data else []), End(self._size, tail)]


def _plain_lines(held: bytearray, line: int) -> bytes | None:
    """The bytes of all lines that are whole, if they are full, without padding and nothing else; None to look closer.

    What is no base64 is passed over by the decoder and not counted, so that the number of bytes says that there was
    none: one pass over what nearly every block of a large part is.
    """
    width = line + len(CRLF)
    count = len(held) // width
    block = bytes(held[: count * width])
    if not count or not block[line::width].count(b"\r") == block[line + 1 :: width].count(b"\n") == count:
        return None
    try:
        data = binascii.a2b_base64(block)
    except binascii.Error:
        return None
    return data if len(data) == count * line // 4 * 3 else None


def _full_lines(held: bytearray, line: int) -> int:
    """How many full lines stand at the beginning."""
    width = line + len(CRLF)
    count = len(held) // width
    block = bytes(held[: count * width])
    if block[line::width].count(b"\r") == block[line + 1 :: width].count(b"\n") == count == block.count(CRLF):
        return count
    return next(at for at in range(count) if block.find(CRLF, at * width) != at * width + line)


def _decoded(text: bytes) -> bytes | None:
    """The bytes that the characters stand for; None unless they are the only way to write them (RFC 4648 3.5)."""
    if len(text) % 4:
        return None  # such as padding behind what needs none, which the decoder passes over
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
        last = binascii.b2a_base64(binascii.a2b_base64(text[-4:], strict_mode=True), newline=False)
    except binascii.Error:
        return None
    return data if text.endswith(last) and (last or not text) else None
