"""Parts on their way to this disk: into a .part file that a later call continues, verified before it gets its name."""

import hashlib
import os
from collections.abc import Callable, Mapping
from http.client import HTTPResponse
from pathlib import Path
from typing import IO

from attrs import define, field, frozen

from rrsd.cli.client import Client
from rrsd.core.refusals import Damaged, NoSpace, TooMany, Unavailable, Unsatisfiable
from rrsd.core.values.calls import Answer
from rrsd.core.values.digests import Digest

BLOCK = 1024 * 1024
MOST_TRIES = 8
WAIT = 60
"""Seconds that the server is asked to hold an answer back for bytes that have not arrived (RFC 7240 4.3)."""


@frozen
class Wanted:
    """Something to download; `digest` None where it is known by its length only, `size` None where not even that."""

    target: str
    what: str
    size: int | None = None
    digest: Digest | None = None


@define(eq=False)
class _File:
    """The .part file, and the digest of what is in it."""

    file: IO[bytes]
    offset: int = 0
    hasher: "hashlib._Hash" = field(factory=hashlib.sha256)

    def resume(self) -> None:
        """Count and hash what an earlier call left."""
        while block := self.file.read(BLOCK):
            self.hasher.update(block)
            self.offset += len(block)

    def restart(self) -> None:
        """Forget everything."""
        self.file.seek(0)
        self.file.truncate()
        self.offset, self.hasher = 0, hashlib.sha256()

    def add(self, block: bytes) -> None:
        """Write the next bytes.

        Raises:
            NoSpace: the disk does not take them.
        """
        try:
            self.file.write(block)
        except OSError as error:
            raise NoSpace(
                f"{self.file.name} cannot be written ({error.strerror}): make space or choose -o FILE"
            ) from None
        self.hasher.update(block)
        self.offset += len(block)


@define(eq=False)
class Downloader:
    """Fetches from the user's API."""

    client: Client
    sleep: Callable[[float], None]

    def fetch(self, wanted: Wanted, path: Path, progress: Callable[[int], None], waiting: Callable[[str], None]) -> str:
        """Put what is `wanted` under `path`; the SHA-256 in hex of what is there now.

        `progress` hears bytes, `waiting` the state of a part that has not arrived.

        Raises:
            Damaged: the bytes are not the ones that the digest names; the .part file is gone.
            NoSpace: this disk cannot take them.
            Unavailable: it failed `MOST_TRIES` times in a row.
        """
        partial = path.with_name(path.name + ".part")
        try:
            with open(partial, "r+b", opener=_private) as raw:
                into = _File(raw)
                into.resume()
                self._fill(wanted, into, progress, waiting)
                raw.flush()
                os.fsync(raw.fileno())
            self._require_right(wanted, into, partial)
            partial.replace(path)
        except OSError as error:
            raise NoSpace(f"{partial} cannot be written ({error.strerror}): make space or choose -o FILE") from None
        return into.hasher.hexdigest()

    def _fill(
        self, wanted: Wanted, into: _File, progress: Callable[[int], None], waiting: Callable[[str], None]
    ) -> None:
        tries = 0
        while wanted.size is None or into.offset < wanted.size or wanted.size == 0:
            before = into.offset
            try:
                if self._once(wanted, into, progress, waiting):
                    return
            except Unsatisfiable:
                into.restart()
                tries += 1
            except (Unavailable, TooMany) as refusal:
                # What came stays; only failures in a row without a byte of progress count.
                tries = 1 if into.offset > before else tries + 1
                if tries >= MOST_TRIES:
                    raise
                self.sleep(min(max(2 ** (tries - 1) / 4, _asked(refusal)), 10.0))

    def _once(
        self, wanted: Wanted, into: _File, progress: Callable[[int], None], waiting: Callable[[str], None]
    ) -> bool:
        """Whether all of it is there after one request; a state that has not arrived yet is a no."""
        with self.client.opened(wanted.target, _request(wanted, into)) as response:
            if response.status == 202:
                waiting(response.read(65536).decode("utf-8", "replace"))
                self.sleep(1.0)
                return False
            if response.status not in (200, 206):
                self.client.good(_answer(response), f"give {wanted.what}")
            if response.status == 200 and into.offset:
                into.restart()
            self._pour(wanted, into, response, progress)
        return wanted.size is None or into.offset >= wanted.size

    def _pour(self, wanted: Wanted, into: _File, response: HTTPResponse, progress: Callable[[int], None]) -> None:
        announced = response.length
        start = into.offset
        while block := response.read(BLOCK):
            into.add(block)
            progress(into.offset)
            if wanted.size is not None and into.offset > wanted.size:
                raise Damaged(f"{wanted.what} is longer than it should be: tell the administrator")
        if announced is not None and into.offset - start < announced:
            raise Unavailable(f"the connection broke while {wanted.what} came: run the same command again")

    def _require_right(self, wanted: Wanted, into: _File, partial: Path) -> None:
        if wanted.digest is not None and into.hasher.digest() != wanted.digest.raw:
            partial.unlink()
            raise Damaged(f"{wanted.what} does not have the right SHA-256 and was thrown away: run the command again")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _request(wanted: Wanted, into: _File) -> Mapping[str, str]:
    headers = {"Accept-Encoding": "identity", "Prefer": f"wait={WAIT}"}
    if into.offset and wanted.digest is not None:
        headers |= {"Range": f"bytes={into.offset}-", "If-Range": f'"sha-256:{wanted.digest.b64}"'}
    elif into.offset:
        into.restart()  # without a digest nobody knows whether the bytes are still of the same thing
    return headers


def _asked(refusal: Unavailable | TooMany) -> float:
    return float(refusal.retry_after) if isinstance(refusal, TooMany) else 0.0


def _answer(response: HTTPResponse) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status, headers, response.read(65536))
