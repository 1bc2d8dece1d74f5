"""A disk in memory that forgets: what each call leaves for sure, and what it leaves only if nothing goes wrong.

The strictest reading of POSIX: fsync(2) of a file keeps its bytes and its length, never a name; fsync of a folder keeps
the names in that folder, and the folder itself only when its own parent is synced. What was not synced may be kept or
lost, each change for itself and in any order; a write may be torn. rename(2) within a folder is one change. After an
fsync that failed, what it was to keep is never kept, although it is still seen: the next fsync says that all is well.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from attrs import evolve, field, frozen

FOLDER = 0
"""What a name stands for when it is a folder's."""


@frozen
class Write:
    """Bytes that were put at `offset`."""

    offset: int
    data: bytes

    def on(self, content: bytes) -> bytes:
        """The content after it."""
        before = content[: self.offset].ljust(self.offset, b"\0")
        return before + self.data + content[self.offset + len(self.data) :]


@frozen
class Cut:
    """The file was cut to `size` bytes."""

    size: int

    def on(self, content: bytes) -> bytes:
        """The content after it."""
        return content[: self.size].ljust(self.size, b"\0")


Edit: TypeAlias = Write | Cut


@frozen
class Content:
    """A file: what reading shows, what survives, and what was done since to what survives."""

    seen: bytes = b""
    kept: bytes = b""
    pending: tuple[Edit, ...] = ()
    touched: float = 0.0

    def edited(self, edit: Edit, now: float) -> "Content":
        """With one more change that is not synced."""
        return Content(edit.on(self.seen), self.kept, (*self.pending, edit), now)

    def synced(self) -> "Content":
        """With all that is pending kept."""
        kept = self.kept
        for edit in self.pending:
            kept = edit.on(kept)
        return Content(self.seen, kept, (), self.touched)

    def doomed(self) -> "Content":
        """With all that is pending seen and never kept."""
        return evolve(self, pending=())


@frozen(eq=False)
class Naming:
    """Names of one folder that were given (to the file of that number) or taken away (None): all of them or none.

    `after` is the change in another folder without which this one does not happen.
    """

    folder: str
    names: tuple[tuple[str, int | None], ...]
    after: "Naming | None" = None


Folders: TypeAlias = Mapping[str, Mapping[str, int]]
"""By folder, the files in it; by folder and a slash, the folders in it. What is empty may be left out."""
NOTHING: Mapping[str, int] = {}


@frozen(eq=False)
class State:
    """Everything about the disk at one moment. Nothing in it ever changes."""

    seen: Folders = field(factory=dict)
    kept: Folders = field(factory=dict)
    namings: tuple[Naming, ...] = ()
    contents: Mapping[int, Content] = field(factory=dict)
    doomed: bool = False
    """Whether something is seen that never reaches the disk, so that only a loss of power shows what there is."""

    def units(self) -> "list[Naming | tuple[int, int]]":
        """What may be kept or lost, each for itself: changes of names, and (file, position) of changes of content."""
        edits = [
            (number, position)
            for number, content in sorted(self.contents.items())
            for position in range(len(content.pending))
        ]
        return [*self.namings, *edits]

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Path and content of every file that survives for sure."""
        for folder, names in self.kept.items():
            if names and folder[-1:] != "/":
                for name, number in names.items():
                    yield f"{folder}/{name}", self.contents[number].kept

    def whole_key(self) -> int:
        """Equal for disks of which crashes leave the same."""
        places = {naming: place for place, naming in enumerate(self.namings)}
        namings = [(each.folder, each.names, places.get(each.after) if each.after else None) for each in self.namings]
        contents = [(number, each.kept, each.pending) for number, each in sorted(self.contents.items())]
        kept = [(folder, tuple(names.items())) for folder, names in sorted(self.kept.items()) if names]
        return hash((tuple(namings), tuple(contents), tuple(kept)))

    def key(self) -> int:
        """Equal for disks with the same files and folders, on which nothing is pending."""
        folders = [(folder, tuple(names)) for folder, names in self.kept.items() if folder[-1:] == "/"]
        return hash((tuple(sorted(self.files())), tuple(sorted(folders))))


def exists(folders: Folders, folder: str) -> bool:
    """Whether there is such a folder."""
    parent, _, name = folder.rpartition("/")
    return not folder or name in folders.get(f"{parent}/", NOTHING)


def renamed(folders: Folders, naming: Naming) -> Folders:
    """The folders after a change of names."""
    files, inner = dict(folders.get(naming.folder, NOTHING)), dict(folders.get(f"{naming.folder}/", NOTHING))
    for name, number in naming.names:
        if number is None:
            files.pop(name, None)
        elif number == FOLDER:
            inner[name] = number
        else:
            files[name] = number
    return {**folders, naming.folder: files, f"{naming.folder}/": inner}


def numbers(folders: Folders) -> set[int]:
    """The files that have a name."""
    return {number for folder, names in folders.items() if folder[-1:] != "/" for number in names.values()}


@frozen
class Loss:
    """What a crash takes of the `units` of a state, by their positions; and of the file's change at `torn`, if that is
    not lost, only the sectors in `sectors` reach the disk, the file being as long as if all had; and so many of the
    commits that are not synced."""

    lost: frozenset[int] = frozenset()
    torn: int | None = None
    sectors: frozenset[int] = frozenset()
    commits: int = 0

    def __str__(self) -> str:
        words = ["-" + ".".join(map(str, sorted(self.lost)))]
        if self.torn is not None:
            words.append(f"~{self.torn}:" + ".".join(map(str, sorted(self.sectors))))
        if self.commits:
            words.append(f"c{self.commits}")
        return "".join(words)


SECTOR = 16
"""Bytes of this disk that are written whole or not at all."""


def crashed(state: State, loss: Loss) -> State:
    """What the next process finds."""
    units = state.units()
    kept, gone = state.kept, set()
    for position, naming in enumerate(state.namings):
        if position in loss.lost or naming.after in gone:
            gone.add(naming)
        else:
            kept = renamed(kept, naming)
    if any(number == FOLDER for each in state.namings for _, number in each.names):
        kept = {key: names for key, names in kept.items() if _is_reached(kept, key.removesuffix("/"))}
    first = len(state.namings)
    positions = {unit: place for place, unit in enumerate(units[first:], first)}
    contents = {number: _survived(number, state.contents[number], loss, positions) for number in numbers(kept)}
    return State(kept, kept, (), contents)


def _is_reached(kept: Folders, folder: str) -> bool:
    while folder and exists(kept, folder):
        folder = folder.rpartition("/")[0]
    return not folder


def _survived(number: int, content: Content, loss: Loss, positions: Mapping[Naming | tuple[int, int], int]) -> Content:
    data = content.kept
    for position, edit in enumerate(content.pending):
        place = positions[(number, position)]
        if place in loss.lost:
            continue
        data = _torn(edit, loss.sectors, data) if place == loss.torn and isinstance(edit, Write) else edit.on(data)
    return Content(data, data, (), content.touched)


def _torn(write: Write, sectors: Iterable[int], data: bytes) -> bytes:
    end = write.offset + len(write.data)
    data = data.ljust(end, b"\0")
    for sector in sectors:
        part = Write(write.offset + sector * SECTOR, write.data[sector * SECTOR : (sector + 1) * SECTOR])
        data = part.on(data)
    return data


def sectors_of(edit: Edit) -> int:
    """How many pieces a change can be torn into."""
    return -(-len(edit.data) // SECTOR) if isinstance(edit, Write) else 1


def joined(blocks: Sequence[bytes]) -> bytes:
    """One block of many."""
    return blocks[0] if len(blocks) == 1 else b"".join(blocks)


def killed(state: State) -> State:
    """What the next process finds when only the process ended: everything, synced or not; nameless files are gone."""
    named = numbers(state.seen) | numbers(state.kept)
    named |= {number for naming in state.namings for _, number in naming.names if number}
    return evolve(state, contents={number: each for number, each in state.contents.items() if number in named})
