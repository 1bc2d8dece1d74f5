"""Files on their way to the user's domain, in pieces; a broken upload goes on where the server has it durable."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from attrs import define, frozen

from rrsd.cli.client import Client
from rrsd.core.refusals import Conflict, Damaged, Malformed, NoSpace, Refusal, TooMany, Unavailable, Unknown
from rrsd.core.values.calls import Answer
from rrsd.core.values.digests import Digest, parse_digest

PIECE = 8 * 1024 * 1024
MOST_TRIES = 8
"""Failures in a row, without a byte of progress, after which an upload is given up."""


@frozen
class Stored:
    """A file that the domain keeps now."""

    digest: Digest
    size: int
    took: float


@define(eq=False)
class Uploader:
    """Stores files at the user's domain."""

    client: Client
    sleep: Callable[[float], None]
    monotonic: Callable[[], float]

    def store(self, path: Path, progress: Callable[[int], None]) -> Stored:
        """Store one file; `progress` hears how many bytes are durable at the server.

        Raises:
            Malformed: the file cannot be read, or changed meanwhile.
            Damaged: the server has other bytes than were read.
            Unavailable: it failed `MOST_TRIES` times in a row.
        """
        start = self.monotonic()
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                digest = self._store(file, size, progress)
        except (IsADirectoryError, FileNotFoundError, PermissionError) as error:
            raise Malformed(f"{path} cannot be read ({error.strerror}): name a file that you may read") from None
        return Stored(digest, size, self.monotonic() - start)

    def _store(self, file: IO[bytes], size: int, progress: Callable[[int], None]) -> Digest:
        answer = self.client.post("/api/uploads", {"size": size}, "take a file")
        where, said = urlsplit(answer.headers.get("location", "")).path, _said(answer)
        if not where:
            raise Malformed(f"{self.client.name} did not say where to upload to: is it an rrsd?")
        hasher, offset = hashlib.sha256(), 0
        while offset < size or (size == 0 and said is None):
            piece = file.read(min(PIECE, size - offset))
            if len(piece) < min(PIECE, size - offset):
                raise Malformed("the file became shorter while it was read: try again when nobody writes to it")
            stored, said = self._send(where, offset, piece)
            hasher.update(piece[: stored - offset])
            offset = file.seek(stored)
            progress(offset)
            if size == 0:
                break
        digest = Digest(hasher.digest())
        if said not in (None, digest):
            raise Damaged("the server has other bytes than were sent: send the message again")
        return digest

    def _send(self, where: str, offset: int, piece: bytes) -> tuple[int, Digest | None]:
        """Where the upload is after some or all of `piece`; after a failure the server is asked how far it is."""
        refusal: Refusal = Unavailable()
        for attempt in range(MOST_TRIES):
            try:
                if attempt:
                    self.sleep(_pause(refusal, attempt))
                    there = self._offset(where, offset, offset + len(piece))
                    if there > offset:
                        return there, None
                headers = {"Content-Type": "application/partial-upload", "Upload-Offset": str(offset)}
                answer = self.client.good(self.client.ask("PATCH", where, headers, piece), "take a piece of a file")
                return offset + len(piece), _said(answer)
            except (Unavailable, TooMany, Conflict) as again:
                refusal = again
        raise refusal

    def _offset(self, where: str, least: int, most: int) -> int:
        try:
            answer = self.client.good(self.client.ask("HEAD", where), "say how far a file is")
        except Unknown:
            raise NoSpace("the server has forgotten the upload: send the message again") from None
        text = answer.headers.get("upload-offset", "")
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise Damaged("the server lost bytes that it had said it has: send the message again")
        return int(text)


def _pause(refusal: Refusal, attempt: int) -> float:
    asked = refusal.retry_after if isinstance(refusal, TooMany) else 0
    return float(min(max(asked, 2 ** (attempt - 1) / 4), 10.0))


def _said(answer: Answer) -> Digest | None:
    """The digest that the server computed, once it has every byte."""
    try:
        document = json.loads(answer.body)
        return parse_digest(document["digest"])
    except (ValueError, KeyError, TypeError, Malformed):
        return None
