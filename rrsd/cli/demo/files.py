"""Real input for the demo: a large file of noise, a photograph, a letter."""

import hashlib
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

_BLOCK = 8 * 1024 * 1024
_WIDTH, _HEIGHT = 1280, 800
_SUN = (880, 300, 90)  # column, row, radius
_NIGHT, _DUSK, _HILLS = (24, 38, 84), (250, 160, 90), (22, 30, 44)

LETTER = """\
Dear Bob,

the film of the holiday is too large for any mail server, so it is not in this mail.
Your own domain is fetching it from mine right now, and will keep it.

Alice
"""


@frozen
class Attached:
    """A file that alice sends."""

    path: Path
    size: int
    sha256: str


def write_noise(path: Path, size: int, progress: Callable[[int], None]) -> Attached:
    """A file of `size` bytes, as fast as the disk takes them; no two blocks of it are alike."""
    hasher, done, noise = hashlib.sha256(), 0, os.urandom(_BLOCK)
    with path.open("wb") as file:
        while done < size:
            block = memoryview(struct.pack(">Q", done) + noise[8:])[: size - done]
            file.write(block)
            hasher.update(block)
            done += len(block)
            progress(done)
    return Attached(path, size, hasher.hexdigest())


def write_photograph(path: Path) -> Attached:
    """A sunset over hills, as a PNG (RFC 2083) with the grain of a real sensor."""
    rows = b"".join(b"\x00" + _grained(_row(y)) for y in range(_HEIGHT))
    header = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 3)), (b"IEND", b""))
    return write_bytes(path, b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks))


def write_bytes(path: Path, data: bytes) -> Attached:
    """A small file."""
    path.write_bytes(data)
    return Attached(path, len(data), hashlib.sha256(data).hexdigest())


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _row(y: int) -> bytearray:
    share = y / _HEIGHT
    row = bytearray(bytes(int(a + (b - a) * share) for a, b in zip(_NIGHT, _DUSK, strict=True)) * _WIDTH)
    column, middle, radius = _SUN
    reach = radius * radius - (y - middle) ** 2
    if reach > 0:
        half = int(reach**0.5)
        row[(column - half) * 3 : (column + half) * 3] = bytes((255, 236, 170)) * (2 * half)
    for x in range(0, _WIDTH, 4):
        if y > _ridge(x):
            row[x * 3 : x * 3 + 12] = bytes(_HILLS) * 4
    return row


def _ridge(x: int) -> int:
    """The hills' outline: two parabolas, the nearer one lower."""
    far = 520 + (x - 300) ** 2 // 900
    near = 640 + (x - 1050) ** 2 // 1600
    return min(far, near, 720)


def _grained(row: bytearray) -> bytes:
    mask = int.from_bytes(b"\x03" * len(row), "big")
    grain = int.from_bytes(os.urandom(len(row)), "big") & mask
    return (int.from_bytes(row, "big") ^ grain).to_bytes(len(row), "big")
