"""Messages with attachments: written in pieces, whatever their size, and compared with what arrived in pieces too."""

import base64
import hashlib
import struct
from collections.abc import Iterable, Iterator

from attrs import frozen
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

LINE = 76
_ROW = LINE // 4 * 3
_BLOCK = _ROW * 16384
_ZEROS = bytes(_BLOCK)


@frozen
class Attachment:
    """So many octets that no compression helps with; the seed tells one from another."""

    name: str
    size: int
    seed: int = 1

    def blocks(self) -> Iterator[bytes]:
        """The file."""
        left, number = self.size, 0
        while left:
            block = _noise(self.seed, number)[: min(left, _BLOCK)]
            yield block
            left -= len(block)
            number += 1

    @property
    def sha256(self) -> str:
        """In hexadecimal."""
        digest = hashlib.sha256()
        for block in self.blocks():
            digest.update(block)
        return digest.hexdigest()

    def part(self) -> Iterator[bytes]:
        """The part of a message: header lines and base64."""
        yield (
            f'Content-Type: application/octet-stream; name="{self.name}"\r\n'
            f'Content-Disposition: attachment; filename="{self.name}"\r\n'
            "Content-Transfer-Encoding: base64\r\n\r\n"
        ).encode()
        for block in self.blocks():
            yield _lines(base64.b64encode(block))


def with_attachments(head: bytes, text: bytes, *attachments: Attachment) -> Iterator[bytes]:
    """A multipart message below these header fields."""
    yield head + b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="=_mail"\r\n\r\n'
    yield b"This is a preamble.\r\n--=_mail\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text
    for each in attachments:
        yield b"--=_mail\r\n"
        yield from each.part()
    yield b"--=_mail--\r\nThis is an epilogue.\r\n"


def lines_of(size: int, seed: int, line: int = LINE) -> bytes:
    """A small file in lines of base64, which may be of another length."""
    text = base64.b64encode(b"".join(Attachment("", size, seed).blocks()))
    return b"".join(text[at : at + line] + b"\r\n" for at in range(0, len(text), line))


def digest_of(blocks: Iterable[bytes]) -> tuple[str, int]:
    """SHA-256 in hexadecimal, and the number of octets."""
    digest, size = hashlib.sha256(), 0
    for block in blocks:
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size


def after(blocks: Iterable[bytes], mark: bytes, most: int = 1 << 20) -> Iterator[bytes]:
    """What follows `mark`, which begins a line within the first `most` octets; the mark too."""
    head, source = b"", iter(blocks)
    for block in source:
        head += block
        at = head.find(b"\n" + mark)
        if at >= 0:
            yield head[at + 1 :]
            yield from source
            return
        assert len(head) < most, head[:2000]
    raise AssertionError(f"{mark!r} does not begin a line of {head[:2000]!r}")


def _lines(text: bytes) -> bytes:
    """In lines; gigabytes of them take their time one by one."""
    whole, rest = divmod(len(text), LINE)
    lines = struct.unpack(f"{LINE}s" * whole + f"{rest}s" * bool(rest), text)
    return b"\r\n".join((*lines, b""))


def _noise(seed: int, number: int) -> bytes:
    """Faster than any hash."""
    key = hashlib.sha256(b"%d %d" % (seed, number)).digest()
    return Cipher(AES(key), CTR(bytes(16))).encryptor().update(_ZEROS)
