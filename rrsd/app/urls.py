"""Which role answers at which path."""

from collections.abc import Mapping
from functools import lru_cache
from typing import cast

from attrs import frozen
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from typing_extensions import override

from rrsd.web.router import answer

MOST_PATHS = 1024
"""Paths whose resource is remembered."""


class Switchboard(Resource):
    """Hands each request to the resource with the longest prefix of its path; a prefix ends where a segment does."""

    isLeaf = True  # noqa: N815 (Twisted's name)

    def __init__(self, table: Mapping[str, IResource]) -> None:
        super().__init__()
        self._table = sorted(table.items(), key=lambda row: -len(row[0]))
        self._find = lru_cache(MOST_PATHS)(self._look)

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Every prefix, longest first."""
        return tuple(prefix for prefix, _ in self._table)

    @override
    def render(self, request: IRequest) -> bytes | int:
        resource = self._find(cast(bytes, request.path))
        if resource is not None:
            return cast("bytes | int", resource.render(request))
        return answer(request, {"error": "invalid_request", "reason": "unknown"}, 404)

    def _look(self, path: bytes) -> IResource | None:
        text = path.decode("latin-1")
        for prefix, resource in self._table:
            if text == prefix or text.startswith(prefix if prefix.endswith("/") else f"{prefix}/"):
                return resource
        return None


@frozen
class Mount:
    """A role's resource and the prefixes of the paths that are its own."""

    resource: IResource
    prefixes: tuple[str, ...]


def switchboard(mounts: tuple[Mount, ...]) -> Switchboard:
    """All mounts in one resource.

    Raises:
        ValueError: two mounts claim one prefix.
    """
    table: dict[str, IResource] = {}
    for mount in mounts:
        for prefix in mount.prefixes:
            if prefix in table:
                raise ValueError(f"two roles answer at {prefix}")
            table[prefix] = mount.resource
    return Switchboard(table)
