"""Certificates that are read again on demand; what is open goes on undisturbed."""

import os
from collections.abc import Callable

from twisted.logger import Logger

from rrsd.core.refusals import Forbidden, Malformed
from rrsd.drivers.tls.credentials import Credential, parse_credential


def read_credential(certificate: str, private_key: str) -> Credential:
    """The credential in two PEM files.

    Raises:
        Forbidden: everybody may read the key (Z-05); its group may, as is usual where servers share certificates.
        Malformed: a file cannot be read or parsed; the detail says which and why.
    """
    chain, key = read_file(certificate), _read_private(private_key)
    try:
        return parse_credential(chain, key)
    except Malformed as problem:
        raise Malformed(f"{certificate} and {private_key}: {problem.detail}") from None


def _read_private(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & 0o007:
                raise Forbidden(f"{path}: readable by everybody (mode {mode & 0o777:04o}); run: chmod 640 {path}")
            return file.read(1 << 20)
    except OSError as problem:
        raise Malformed(f"{path}: {problem.strerror}") from None


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
        except (Forbidden, Malformed) as problem:
            self._log.error("certificate not reloaded, the old one stays: {problem}", problem=str(problem))
            return False
        for use in self._users:
            use(credential)
        self._log.info("certificate reloaded")
        return True
