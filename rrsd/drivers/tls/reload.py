"""Certificates that are read again on demand; what is open goes on undisturbed."""

from collections.abc import Callable

from twisted.logger import Logger

from rrsd.core.refusals import Malformed
from rrsd.drivers.tls.credentials import Credential, parse_credential


def read_credential(certificate: str, private_key: str) -> Credential:
    """The credential in two PEM files.

    Raises:
        Malformed: a file cannot be read or parsed; the detail says which and why.
    """
    return parse_credential(read_file(certificate), read_file(private_key))


def read_file(path: str) -> bytes:
    """The bytes of a small file.

    Raises:
        Malformed: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError as problem:
        raise Malformed(f"{path}: {problem.strerror}") from None


class Reloading:
    """Reads a credential again and hands it to those who use it; a bad one changes nothing."""

    _log = Logger()

    def __init__(self, read: Callable[[], Credential], *users: Callable[[Credential], None]) -> None:
        self._read = read
        self._users = users

    def reload(self) -> bool:
        """Whether the new credential is in use; if not, the log says why and the old one stays."""
        try:
            credential = self._read()
        except Malformed as problem:
            self._log.error("certificate not reloaded, the old one stays: {problem}", problem=str(problem))
            return False
        for use in self._users:
            use(credential)
        self._log.info("certificate reloaded")
        return True
