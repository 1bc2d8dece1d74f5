"""The store without a disk: the same rows over SQLite in memory, the same blobs over files in memory."""

from collections.abc import Callable, Sequence
from errno import EBADF, EEXIST, ENOENT
from itertools import count

from attrs import define, field

from rrsd.core.values.instants import Instant
from rrsd.core.values.settings import Size
from rrsd.drivers.store.blobs.files import Facts
from rrsd.drivers.store.service import Store, Threads
from rrsd.drivers.store.settings import Settings
from rrsd.drivers.store.sql.database import MemoryDatabase
from rrsd.runtime.workers import InlineWorkers

_DESCRIPTORS = "descriptor:"
CAPACITY = 1 << 40  # bytes of an imaginary disk


@define(eq=False)
class Node:
    """A file, whatever its names."""

    data: bytearray = field(factory=bytearray)
    touched: float = 0.0


@define(eq=False)
class MemoryFiles:
    """Files in memory; satisfies `Files`. Folders are prefixes and need not be made."""

    _now: Callable[[], Instant]
    capacity: int = CAPACITY
    nodes: dict[str, Node] = field(factory=dict)
    _open: dict[int, Node] = field(factory=dict, init=False)
    _numbers: "count[int]" = field(factory=lambda: count(3), init=False)

    def create(self, path: str) -> int:
        """As `Files.create`."""
        if path in self.nodes:
            raise FileExistsError(EEXIST, "exists")
        self.nodes[path] = Node(touched=self._now().timestamp())
        return self.open(path)

    def create_nameless(self, folder: str) -> int:
        """As `Files.create_nameless`."""
        descriptor = next(self._numbers)
        self._open[descriptor] = Node(touched=self._now().timestamp())
        return descriptor

    def path_of(self, descriptor: int) -> str:
        """As `Files.path_of`."""
        return f"{_DESCRIPTORS}{descriptor}"

    def open(self, path: str) -> int:
        """As `Files.open`."""
        descriptor = next(self._numbers)
        self._open[descriptor] = self._node(path)
        return descriptor

    def _node(self, path: str) -> Node:
        if path.startswith(_DESCRIPTORS):
            return self.node(int(path.removeprefix(_DESCRIPTORS)))
        if path not in self.nodes:
            raise FileNotFoundError(ENOENT, "no such file")
        return self.nodes[path]

    def node(self, descriptor: int) -> Node:
        """The file that is open."""
        if descriptor not in self._open:
            raise OSError(EBADF, "not open")
        return self._open[descriptor]

    def close(self, descriptor: int) -> None:
        """As `Files.close`."""
        self.node(descriptor)
        del self._open[descriptor]

    def write(self, descriptor: int, blocks: Sequence[bytes], offset: int) -> None:
        """As `Files.write`."""
        node = self.node(descriptor)
        data = b"".join(blocks)
        node.data.extend(bytes(max(0, offset - len(node.data))))
        node.data[offset : offset + len(data)] = data
        node.touched = self._now().timestamp()

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        """As `Files.read`."""
        return bytes(self.node(descriptor).data[offset : offset + size])

    def truncate(self, descriptor: int, size: int) -> None:
        """As `Files.truncate`."""
        del self.node(descriptor).data[size:]

    def sync(self, descriptor: int) -> None:
        """Nothing is durable here."""
        self.node(descriptor)

    def link(self, path: str, name: str) -> None:
        """As `Files.link`."""
        node = self._node(path)
        if name in self.nodes:
            raise FileExistsError(EEXIST, "exists")
        self.nodes[name] = node

    def rename(self, path: str, name: str) -> None:
        """As `Files.rename`."""
        self.nodes[name] = self._node(path)
        del self.nodes[path]

    def unlink(self, path: str) -> None:
        """As `Files.unlink`."""
        self._node(path)
        del self.nodes[path]

    def sync_folder(self, path: str) -> None:
        """Nothing is durable here."""

    def make_folder(self, path: str) -> None:
        """There are no folders."""

    def names(self, path: str) -> list[str]:
        """As `Files.names`."""
        start = f"{path}/"
        return [name[len(start) :] for name in self.nodes if name.startswith(start) and "/" not in name[len(start) :]]

    def facts(self, path: str) -> Facts:
        """As `Files.facts`."""
        node = self._node(path)
        return Facts(len(node.data), node.touched, sum(other is node for other in self.nodes.values()))

    def touch(self, path: str) -> None:
        """As `Files.touch`."""
        self._node(path).touched = self._now().timestamp()

    def free(self, path: str) -> int:
        """As `Files.free`."""
        return self.capacity - sum(len(node.data) for node in set(self.nodes.values()))

    def total(self, path: str) -> int:
        """As `Files.total`."""
        return self.capacity


class MemoryStore(Store):
    """A store that ends with its process and does everything at once, on the caller's thread."""

    def __init__(self, now: Callable[[], Instant], files: MemoryFiles | None = None) -> None:
        workers = InlineWorkers()
        super().__init__(
            Settings(path="/memory", keep_free=Size(0)),
            Threads(workers, workers, workers),
            now,
            lambda: now().timestamp(),
            files or MemoryFiles(now),
            MemoryDatabase(),
        )
