"""The hash of a body in its relaxed form (RFC 6376 3.4.4), block by block: the body may be of any size."""

import hashlib
import re

from attrs import define, field

_BLANKS = re.compile(rb"[\t ]+")
_LINE = b"\r\n"
_MOST_LINES = 1 << 15
"""Empty lines that are hashed at once when it turns out that they were not the last."""


@define
class RelaxedBody:
    """Feed it a body whose lines end with CR LF, in any division."""

    _hash: "hashlib._Hash" = field(factory=hashlib.sha256, init=False)
    _lines: int = field(default=0, init=False)
    """Line ends that are the last of the body unless something follows."""
    _rest: bytes = field(default=b"", init=False)
    """Of the last line a blank, or CR, that may belong to its end."""
    _has_any: bool = field(default=False, init=False)

    def feed(self, data: bytes) -> None:
        """The next bytes."""
        data = self._rest + data
        is_cut = data.endswith(b"\r")
        known = (data[:-1] if is_cut else data).rstrip(b" \t")
        self._rest = b" " * (len(known) + is_cut < len(data)) + b"\r" * is_cut
        if b" " in known or b"\t" in known:
            known = _BLANKS.sub(b" ", known).replace(b" \r\n", _LINE)
        ends = _line_ends(known)
        if len(known) > 2 * ends:
            self._add(known[: len(known) - 2 * ends])
        self._lines += ends

    def digest(self) -> bytes:
        """The hash of everything that was fed."""
        if self._rest:
            self._add(self._rest)
            self._rest, self._lines = b"", 0
        result = self._hash.copy()
        if self._has_any:
            result.update(_LINE)
        return result.digest()

    def _add(self, data: bytes) -> None:
        while self._lines:
            some = min(self._lines, _MOST_LINES)
            self._hash.update(_LINE * some)
            self._lines -= some
        self._has_any = True
        self._hash.update(data)


def _line_ends(data: bytes) -> int:
    """How many line ends the data ends with."""
    end = data[len(data.rstrip(_LINE)) :]
    if end == _LINE * (len(end) // 2):
        return len(end) // 2
    count, at = 0, len(end)
    while end.endswith(_LINE, 0, at):
        count, at = count + 1, at - 2
    return count
