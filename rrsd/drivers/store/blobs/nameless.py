"""Files that have no name of their own: when the process ends, however it ends, they are gone."""

from errno import EINVAL, EISDIR, EOPNOTSUPP

from attrs import frozen

from rrsd.core.refusals import Damaged
from rrsd.drivers.store.blobs.files import Files, refusing
from rrsd.drivers.store.blobs.vault import WHOLE, Vault

NO_NAMELESS = (EOPNOTSUPP, EISDIR, EINVAL)
"""What file systems say that have no O_TMPFILE."""


@frozen
class Nameless:
    """An open file. `path` is what a final name can be linked to; `name` is "" where the file system needs none, else
    what is unlinked at the end, or swept at the next start."""

    files: Files
    descriptor: int
    name: str

    @property
    def path(self) -> str:
        """While it is open."""
        return self.name or self.files.path_of(self.descriptor)

    def read(self, start: int, end: int) -> bytes:
        """The bytes [start, end); refuses with Damaged when there are fewer, NoSpace when the disk fails."""
        with refusing("file without a name"):
            data = self.files.read(self.descriptor, end - start, start)
        if len(data) != end - start:
            raise Damaged(f"a file without a name ends before {end}")
        return data

    def close(self) -> None:
        """Let go of it."""
        with refusing("file without a name"):
            self.files.close(self.descriptor)
            if self.name:
                self.files.unlink(self.name)


def create_nameless(vault: Vault, name: str) -> Nameless:
    """A new one; `name` serves where the file system has no files without names. Refuses with NoSpace."""
    with refusing("file without a name"):
        try:
            return Nameless(vault.files, vault.files.create_nameless(f"{vault.root}/uploads"), "")
        except OSError as error:
            if error.errno not in NO_NAMELESS:
                raise
        path = vault.upload(f"{WHOLE}{name}")
        return Nameless(vault.files, vault.fresh(path), path)
