"""Certificates and keys from files, at the start and again on demand."""

import os

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
