"""A disk in memory that can lose its power before any call, and forgets what was not synced."""

from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred

from rrsd.core.values.instants import Instant
from rrsd.drivers.store.memory import MemoryFiles, Node
from rrsd.runtime.workers import InlineWorkers

T = TypeVar("T")
P = ParamSpec("P")


class PowerLoss(BaseException):
    """The world ends here; nothing may catch this."""


@define(eq=False)
class Fuse:
    """Burns through before call number `calls`."""

    calls: int
    used: int = 0

    @property
    def blown(self) -> bool:
        """Whether the power is gone."""
        return self.used >= self.calls

    def burn(self) -> None:
        """One more call."""
        self.used += 1
        if self.blown:
            raise PowerLoss(f"before call {self.calls}")


@define(eq=False)
class Platter:
    """What is durable: names, and of each file the bytes that were synced last."""

    names: dict[str, Node] = field(factory=dict)
    bytes: dict[Node, bytes] = field(factory=dict)


class FragileWorkers(InlineWorkers):
    """Runs each call at once while there is power; each burns the fuse."""

    def __init__(self, fuse: Fuse) -> None:
        self.fuse = fuse

    def run(self, f: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Deferred[T]":
        """Burns before the call."""
        self.fuse.burn()
        return super().run(f, *args, **kwargs)


class FragileFiles(MemoryFiles):
    """Files whose changes burn a fuse; `platter` holds what survives."""

    def __init__(self, now: Callable[[], Instant], platter: Platter, fuse: Fuse) -> None:
        super().__init__(now)
        self.platter = platter
        self.fuse = fuse
        for name, node in platter.names.items():
            node.data = bytearray(platter.bytes.get(node, b""))
            self.nodes[name] = node

    def create(self, path: str) -> int:
        """Burns."""
        self.fuse.burn()
        return super().create(path)

    def create_nameless(self, folder: str) -> int:
        """Burns."""
        self.fuse.burn()
        return super().create_nameless(folder)

    def write(self, descriptor: int, blocks: Sequence[bytes], offset: int) -> None:
        """Burns half-way: the first half of the bytes is written."""
        self.require_own(descriptor)
        data = b"".join(blocks)
        super().write(descriptor, [data[: len(data) // 2]], offset)
        self.fuse.burn()
        super().write(descriptor, [data], offset)

    def truncate(self, descriptor: int, size: int) -> None:
        """Burns."""
        self.require_own(descriptor)
        self.fuse.burn()
        super().truncate(descriptor, size)

    def sync(self, descriptor: int) -> None:
        """Burns; then the bytes are durable."""
        self.fuse.burn()
        node = self.node(descriptor)
        self.platter.bytes[node] = bytes(node.data)

    def link(self, path: str, name: str) -> None:
        """Burns."""
        self.fuse.burn()
        super().link(path, name)

    def rename(self, path: str, name: str) -> None:
        """Burns."""
        self.fuse.burn()
        super().rename(path, name)

    def unlink(self, path: str) -> None:
        """Burns."""
        self.fuse.burn()
        super().unlink(path)

    def sync_folder(self, path: str) -> None:
        """Burns; then the names of the folder are durable."""
        self.fuse.burn()
        here = {name for name in (*self.nodes, *self.platter.names) if name.rpartition("/")[0] == path}
        for name in here:
            if name in self.nodes:
                self.platter.names[name] = self.nodes[name]
            else:
                del self.platter.names[name]

    def require_own(self, descriptor: int) -> None:
        """What has a final name is never changed."""
        node = self.node(descriptor)
        if any(node is other and "/blobs/" in name for name, other in self.nodes.items()):
            raise AssertionError("a file with a final name is written to")

    def keep_everything(self) -> None:
        """The process was killed and the machine went on: nothing is lost."""
        self.platter.names = dict(self.nodes)
        self.platter.bytes = {node: bytes(node.data) for node in self.nodes.values()}
