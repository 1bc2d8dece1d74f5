"""Messages that are signed as a domain's mail server signs them (RFC 6376), by dkimpy."""

import base64
from typing import Any

import dkim
from attrs import define, field
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.core import signing

SIGNED = (b"from", b"to", b"subject", b"date", b"message-id", b"mime-version", b"content-type")


def record_of(key: Any, *more: str) -> str:
    """The key record, with further tags before p=."""
    if isinstance(key, rsa.RSAPrivateKey):
        kind, der = "rsa", key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        kind, der = "ed25519", key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return "; ".join(["v=DKIM1", f"k={kind}", *more, f"p={base64.b64encode(der).decode()}"])


class _Undated(dkim.DKIM):  # type: ignore[misc]
    """Signs with t=1: the time of the real clock may lie in a world's future."""

    def gen_header(self, fields: list[tuple[bytes, bytes]], *more: Any, **options: Any) -> Any:
        """The field."""
        dated = [(name, b"1" if name == b"t" else value) for name, value in fields]
        return super().gen_header(dated, *more, **options)


@define
class Signer:
    """Who signs for a domain, with one key."""

    domain: str = "foo.test"
    selector: str = "s1"
    key: Any = field(factory=signing.rsa_key)

    @property
    def name(self) -> str:
        """Where the key is."""
        return f"{self.selector}._domainkey.{self.domain}"

    def record(self, *more: str) -> str:
        """The key's record."""
        return record_of(self.key, *more)

    def sign(self, raw: bytes, **options: Any) -> bytes:
        """The message with the signature on top."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            private = self.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
            algorithm = b"rsa-sha256"
        else:
            private = base64.b64encode(self.key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))
            algorithm = b"ed25519-sha256"
        given = {"include_headers": list(SIGNED), "signature_algorithm": algorithm, **options}
        return bytes(_Undated(raw).sign(self.selector.encode(), self.domain.encode(), private, **given)) + raw
