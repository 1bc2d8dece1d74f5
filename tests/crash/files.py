"""The store's port to its files, over a disk that forgets; every call is counted, may fail, and is a crash point."""

from collections.abc import Callable, Iterable, Sequence
from errno import EBADF, EEXIST, EIO, ENOENT, EOPNOTSUPP

from attrs import define, evolve, field, frozen

from rrsd.core.values.instants import Instant
from rrsd.drivers.store.blobs.files import Facts
from tests.crash.disk import FOLDER, NOTHING, Content, Cut, Edit, Naming, State, Write, exists, joined, renamed

_DESCRIPTORS = "descriptor:"
_CAPACITY = 1 << 30
_EMPTY = Content()


class Broken(Exception):
    """A promise was not kept: its name, and what was seen."""

    def __init__(self, promise: str, seen: str) -> None:
        super().__init__(f"{promise}: {seen}")
        self.promise = promise


@frozen
class Fault:
    """Call number `call` fails with `error`, once."""

    call: int
    error: int


@define(eq=False)
class Calls:
    """Counts the calls of one process; `changed` hears of each that may have changed what a crash leaves."""

    fault: Fault | None = None
    changed: Callable[[str], None] | None = None
    trace: Callable[[str], object] | None = None
    made: int = 0

    def fails(self, what: str) -> bool:
        """Whether this call is the one that fails."""
        self.made += 1
        fails = self.fault is not None and self.fault.call == self.made
        if self.trace is not None:
            self.trace(f"{self.made:5} {what}{' fails' if fails else ''}")
        return fails

    def require(self, what: str) -> None:
        """Raise what the call fails with, if it does."""
        if self.fails(what):
            raise self.error()

    def error(self) -> OSError:
        """What a failing call raises."""
        assert self.fault is not None
        return OSError(self.fault.error, "injected")

    def note(self, what: str) -> None:
        """Something is different now."""
        if self.changed is not None:
            self.changed(what)


@define(eq=False)
class AmnesiacFiles:
    """Satisfies `Files`. `state` is the disk as it is at this moment."""

    state: State
    _now: Callable[[], Instant]
    calls: Calls
    has_nameless: bool = True
    collects: bool = False
    _open: dict[int, int] = field(factory=dict, init=False)
    _next: int = field(default=1, init=False)

    def __attrs_post_init__(self) -> None:
        self._next = max(self.state.contents, default=0) + 1

    # --- names

    def _name(self, what: str, *namings: Naming) -> None:
        seen = self.state.seen
        for naming in namings:
            seen = renamed(seen, naming)
        self.state = evolve(self.state, seen=seen, namings=(*self.state.namings, *namings))
        self.calls.note(what)

    def _number(self, path: str) -> int:
        if path.startswith(_DESCRIPTORS):
            return self._opened(int(path.removeprefix(_DESCRIPTORS)))
        folder, _, name = path.rpartition("/")
        number = self.state.seen.get(folder, NOTHING).get(name)
        if number is None:
            raise FileNotFoundError(ENOENT, "no such file")
        return number

    def _require_folder(self, folder: str) -> None:
        if not exists(self.state.seen, folder):
            raise FileNotFoundError(ENOENT, "no such folder")

    def _require_new(self, folder: str, name: str) -> None:
        self._require_folder(folder)
        if name in self.state.seen.get(folder, NOTHING):
            raise FileExistsError(EEXIST, "exists")

    def _fresh(self) -> int:
        number, self._next = self._next, self._next + 1
        self.state = evolve(self.state, contents={**self.state.contents, number: _EMPTY})
        return number

    def _opened(self, descriptor: int) -> int:
        if descriptor not in self._open:
            raise OSError(EBADF, "not open")
        return self._open[descriptor]

    def _descriptor(self, number: int) -> int:
        descriptor = len(self._open) + 3
        while descriptor in self._open:
            descriptor += 1
        self._open[descriptor] = number
        return descriptor

    def create(self, path: str) -> int:
        """As `Files.create`."""
        self.calls.require("create")
        folder, _, name = path.rpartition("/")
        self._require_new(folder, name)
        number = self._fresh()
        self._name("create", Naming(folder, ((name, number),)))
        return self._descriptor(number)

    def create_nameless(self, folder: str) -> int:
        """As `Files.create_nameless`."""
        self.calls.require("create without a name")
        if not self.has_nameless:
            raise OSError(EOPNOTSUPP, "not supported")
        self._require_folder(folder)
        return self._descriptor(self._fresh())

    def path_of(self, descriptor: int) -> str:
        """As `Files.path_of`."""
        return f"{_DESCRIPTORS}{descriptor}"

    def link(self, path: str, name: str) -> None:
        """As `Files.link`."""
        self.calls.require("link")
        number = self._number(path)
        folder, _, last = name.rpartition("/")
        self._require_new(folder, last)
        self._name("link", Naming(folder, ((last, number),)))

    def rename(self, path: str, name: str) -> None:
        """As `Files.rename`; two names of one file stay as they are (rename(2))."""
        self.calls.require("rename")
        number = self._number(path)
        (old, _, before), (new, _, after) = path.rpartition("/"), name.rpartition("/")
        self._require_folder(new)
        if self.state.seen.get(new, NOTHING).get(after) == number:
            return
        if old == new:
            self._name("rename", Naming(old, ((before, None), (after, number))))
        else:
            given = Naming(new, ((after, number),))
            self._name("rename", given, Naming(old, ((before, None),), given))

    def unlink(self, path: str) -> None:
        """As `Files.unlink`."""
        self.calls.require("unlink")
        self._number(path)
        folder, _, name = path.rpartition("/")
        if _is_final(folder) and not self.collects:
            raise Broken("R3", f"the final name {name} is taken away")
        self._name("unlink", Naming(folder, ((name, None),)))

    def make_folder(self, path: str) -> None:
        """As `Files.make_folder`: the ones above it too."""
        if exists(self.state.seen, path):
            return
        self.calls.require("mkdir")
        parent, _, name = path.rpartition("/")
        self.make_folder(parent)
        self._name("mkdir", Naming(parent, ((name, FOLDER),)))

    def sync_folder(self, path: str) -> None:
        """As `Files.sync_folder`."""
        fails = self.calls.fails("fsync of a folder")
        path = path.rstrip("/")
        self._require_folder(path)
        mine = self._with_what_they_need(naming for naming in self.state.namings if naming.folder == path)
        if mine:
            kept = self.state.kept
            for naming in self.state.namings:
                kept = renamed(kept, naming) if naming in mine and not fails else kept
            rest = tuple(naming for naming in self.state.namings if naming not in mine)
            self.state = evolve(self.state, kept=kept, namings=rest, doomed=self.state.doomed or fails)
            self.calls.note("fsync of a folder")
        if fails:
            raise self.calls.error()

    def _with_what_they_need(self, some: Iterable[Naming]) -> list[Naming]:
        """What is kept together with these: the other half of a rename, and what was done in its folder before it."""
        found: list[Naming] = []
        for naming in some:
            found.append(naming)
            if naming.after in self.state.namings:
                before = self.state.namings[: self.state.namings.index(naming.after) + 1]
                found += [each for each in before if each.folder == naming.after.folder]
        return found

    def names(self, path: str) -> list[str]:
        """As `Files.names`."""
        self._require_folder(path)
        seen = self.state.seen
        return [*seen.get(path, NOTHING), *seen.get(f"{path}/", NOTHING)]

    def facts(self, path: str) -> Facts:
        """As `Files.facts`."""
        number = self._number(path)
        names = sum(each == number for folder in self.state.seen.values() for each in folder.values())
        content = self.state.contents[number]
        return Facts(len(content.seen), content.touched, names)

    def touch(self, path: str) -> None:
        """As `Files.touch`."""
        self.calls.require("touch")
        number = self._number(path)
        content = self.state.contents[number]
        touched = evolve(content, touched=self._now().timestamp())
        self.state = evolve(self.state, contents={**self.state.contents, number: touched})

    def free(self, path: str) -> int:
        """As `Files.free`."""
        return _CAPACITY

    def total(self, path: str) -> int:
        """As `Files.total`."""
        return _CAPACITY

    # --- content

    def open(self, path: str) -> int:
        """As `Files.open`."""
        self.calls.require("open")
        return self._descriptor(self._number(path))

    def close(self, descriptor: int) -> None:
        """As `Files.close`; the descriptor is gone even when this fails."""
        self._opened(descriptor)
        del self._open[descriptor]
        self.calls.require("close")

    def _edit(self, number: int, edit: Edit) -> None:
        if any(_is_final(folder) and number in names.values() for folder, names in self.state.seen.items()):
            raise Broken("R3", "a file with a final name is written to")
        content = self.state.contents[number].edited(edit, self._now().timestamp())
        self.state = evolve(self.state, contents={**self.state.contents, number: content})
        self.calls.note("write" if isinstance(edit, Write) else "truncate")

    def write(self, descriptor: int, blocks: Sequence[bytes], offset: int) -> None:
        """As `Files.write`; when it fails, half of the bytes are written."""
        number, data = self._opened(descriptor), joined(blocks)
        fails = self.calls.fails("write")
        self._edit(number, Write(offset, data[: len(data) // 2] if fails else data))
        if fails:
            raise self.calls.error()

    def read(self, descriptor: int, size: int, offset: int) -> bytes:
        """As `Files.read`."""
        if self.calls.fails("read"):
            raise OSError(EIO, "injected")
        return self.state.contents[self._opened(descriptor)].seen[offset : offset + size]

    def truncate(self, descriptor: int, size: int) -> None:
        """As `Files.truncate`."""
        self.calls.require("truncate")
        number = self._opened(descriptor)
        if len(self.state.contents[number].seen) != size:
            self._edit(number, Cut(size))

    def sync(self, descriptor: int) -> None:
        """As `Files.sync`."""
        number = self._opened(descriptor)
        fails = self.calls.fails("fsync")
        content = self.state.contents[number]
        if content.pending:
            after = content.doomed() if fails else content.synced()
            contents = {**self.state.contents, number: after}
            self.state = evolve(self.state, contents=contents, doomed=self.state.doomed or fails)
            self.calls.note("fsync")
        if fails:
            raise self.calls.error()


def _is_final(folder: str) -> bool:
    return folder[-9:-2] == "/blobs/"
