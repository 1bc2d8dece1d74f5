"""Chunk lists: the digests of a resource's parts, so that a damaged transfer costs one part (RFC 6920 3)."""

from collections.abc import Mapping
from typing import Any

from rrsd.core.refusals import Malformed
from rrsd.core.values.digests import Digest, parse_digest
from rrsd.core.values.resources import CHUNK, Blob

MOST_SIZE = 2**63 - 1


def render_chunks(blob: Blob) -> dict[str, Any]:
    """The chunk list of a resource."""
    return {
        "resource": blob.digest.ni,
        "size": blob.size,
        "chunk_size": CHUNK,
        "chunks": [digest.b64 for digest in blob.chunks],
    }


def parse_chunks(document: Mapping[str, Any], digest: Digest) -> Blob:
    """The chunk list of the resource `digest`; what it says about the content is a claim until the whole is compared.

    Raises:
        Malformed: it is about another resource, in chunks of another size, or has not as many as the size needs.
    """
    size, chunks = document.get("size"), document.get("chunks")
    if document.get("resource") != digest.ni or document.get("chunk_size") != CHUNK:
        raise Malformed("chunk list of another resource or chunk size")
    if type(size) is not int or not 0 <= size <= MOST_SIZE or not isinstance(chunks, list):
        raise Malformed("chunk list size")
    if len(chunks) != -(-size // CHUNK) or not all(isinstance(each, str) for each in chunks):
        raise Malformed("chunk list length")
    return Blob(digest, size, tuple(map(parse_digest, chunks)))
