"""Chains of ARC sets (RFC 8617) made and judged by dkimpy alone, which knows nothing of ours."""

import re
from collections.abc import Mapping
from typing import Any

import dkim
from attrs import define, field, frozen
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.core import signing
from tests.support.dkims import SIGNED, Signer

_METHOD = re.compile(r"([a-z]+)=([a-z]+)")


@frozen
class _Result:
    method: str
    result: str
    text: str

    def __str__(self) -> str:
        return self.text


@frozen
class _Results:
    authserv_id: str
    results: tuple[_Result, ...]


class _Reader:
    """So much of the package authres as dkimpy asks for; its own is not installed here."""

    class core:  # noqa: N801 (its name there)
        """Its errors."""

        SyntaxError = ValueError

    class AuthenticationResultsHeader:
        """Its parser."""

        @staticmethod
        def parse(text: str) -> _Results:
            """The field."""
            service, *results = (each.strip() for each in text.partition(":")[2].split(";"))
            found = [(_METHOD.match(each), each) for each in results]
            return _Results(service, tuple(_Result(it[1], it[2], text) for it, text in found if it))


@define
class Sealer(Signer):
    """Somebody who forwards, and seals what passes."""

    domain: str = "list.test"
    selector: str = "arc"
    key: Any = field(factory=signing.rsa_key)

    @property
    def pem(self) -> bytes:
        """The key."""
        return bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))

    def seal(self, raw: bytes, said: str = "dkim=pass header.d=foo.test", **options: Any) -> bytes:
        """The message with results and a set on top."""
        raw = f"Authentication-Results: {self.domain}; {said}\r\n".encode() + raw
        dkim.authres = _Reader
        try:
            engine = dkim.ARC(raw)
            given = {"include_headers": list(SIGNED), **options}
            fields = engine.sign(self.selector.encode(), self.domain.encode(), self.pem, self.domain.encode(), **given)
        finally:
            del dkim.authres
        assert fields
        return b"".join(fields) + raw


def verdict(message: bytes, zone: Mapping[str, str]) -> tuple[Any, int]:
    """What dkimpy says of the chain, and how many sets it has looked at."""

    def ask(name: bytes, timeout: int = 5) -> bytes:
        return zone[name.decode().removesuffix(".")].encode()

    validation, results, _ = dkim.arc_verify(message, dnsfunc=ask)
    return validation and validation.decode(), len(results)
