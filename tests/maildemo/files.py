"""Alice's message: written in pieces, whatever the size of what is attached."""

import base64
import hashlib
from collections.abc import Callable, Iterator, Sequence

from attrs import define, field

from rrsd.cli.demo.files import Attached
from tests.mail.letters import LINE

_BLOCK = LINE // 4 * 3 * 16384
_TYPES = {".png": "image/png", ".mp4": "video/mp4"}
TEXT = """\
Dear Bob, dear Carol,\r
\r
the film of the holiday is attached, and a photograph.\r
\r
Alice\r
"""


@define(eq=False)
class Letter:
    """What her mail program submits. `sha256` and `size` are those of what was written so far."""

    sender: str
    recipients: Sequence[str]
    subject: str
    attached: Sequence[Attached]
    progress: Callable[[int], None]
    size: int = field(default=0, init=False)
    _digest: "hashlib._Hash" = field(factory=hashlib.sha256, init=False)

    @property
    def first(self) -> bytes:
        """The line that it begins with."""
        return f"From: Alice <{self.sender}>\r\n".encode()

    @property
    def sha256(self) -> str:
        """In hexadecimal."""
        return self._digest.hexdigest()

    def blocks(self) -> Iterator[bytes]:
        """The message."""
        for block in self._blocks():
            self._digest.update(block)
            self.size += len(block)
            self.progress(self.size)
            yield block

    def _blocks(self) -> Iterator[bytes]:
        yield (
            self.first
            + (
                f"To: {', '.join(self.recipients)}\r\nSubject: {self.subject}\r\n"
                "Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <holiday.1@foo.test>\r\nMIME-Version: 1.0\r\n"
                'Content-Type: multipart/mixed; boundary="holiday"\r\n\r\n'
                f"--holiday\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n{TEXT}"
            ).encode()
        )
        for each in self.attached:
            yield b"--holiday\r\n"
            yield from _part(each)
        yield b"--holiday--\r\n"


def _part(file: Attached) -> Iterator[bytes]:
    name = file.path.name
    yield (
        f'Content-Type: {_TYPES[file.path.suffix]}; name="{name}"\r\n'
        f'Content-Disposition: attachment; filename="{name}"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    ).encode()
    with file.path.open("rb") as source:
        while block := source.read(_BLOCK):
            lines = base64.b64encode(block)
            yield b"".join(lines[at : at + LINE] + b"\r\n" for at in range(0, len(lines), LINE))
