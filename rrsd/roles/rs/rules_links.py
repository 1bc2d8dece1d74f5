"""What personal links and their codes are made of; no waiting, no clock, no chance."""

import hashlib
import hmac
import re
from base64 import urlsafe_b64encode
from datetime import timedelta

from rrsd.core.refusals import Unknown
from rrsd.core.values.addresses import Address
from rrsd.core.values.digests import Digest, digest_of
from rrsd.core.values.links import Link, OneTimeCode
from rrsd.core.values.notices import Notice

PATH = "/rrs/links"
CODE_LIFE = timedelta(minutes=10)
SESSION_LIFE = timedelta(hours=2)
MOST_TRIES = 5
MOST_PER_LINK = 5
MOST_PER_RECIPIENT = 10
WINDOW = timedelta(hours=1)
"""So many codes for one link, and for one address, within this time."""
LINK_RATE, LINK_BURST = 1 / 30, 20
"""Codes asked for, codes entered and links that lead nowhere, per second and at once, from one network address."""
MOST_ENTERED = 64

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Without letters that are taken for digits or for each other; 40 bits in eight of them."""
_SECRET = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)
_ALIKE = str.maketrans("OIL", "011")


def secret_of(name: str) -> str:
    """22 characters of base64url that are as hard to guess as `name`."""
    return digest_of(name.encode()).b64[:22]


def link_secret(seed: bytes, message_id: str, sender: Address, recipient: Address) -> str:
    """The secret of the link to one recipient's files of one message: the same each time, for whoever has the seed."""
    text = "\0".join(("link", message_id, sender.key, recipient.key))
    return urlsafe_b64encode(hmac.digest(seed, text.encode(), "sha256")).decode()[:22]


def key_of(secret: str) -> Digest:
    """What is kept of a secret."""
    return digest_of(secret.encode())


def require_key(secret: str) -> Digest:
    """The key of a secret that somebody brings.

    Raises:
        Unknown: it has not the form of one.
    """
    if not _SECRET.fullmatch(secret):
        raise Unknown("no secret of ours")
    return key_of(secret)


def code_of(name: str) -> str:
    """Eight characters that are as hard to guess as 40 bits of `name`."""
    bits = int.from_bytes(hashlib.sha256(b"code " + name.encode()).digest()[:5], "big")
    return "".join(_ALPHABET[bits >> shift & 31] for shift in range(35, -1, -5))


def shown_code(code: str) -> str:
    """The code as a person reads it."""
    return f"{code[:4]}-{code[4:]}"


def normal_code(text: str) -> str:
    """What a person meant who typed this: case, spaces, hyphens and letters that look like digits do not matter."""
    kept = "".join(each for each in text[:MOST_ENTERED].upper() if each.isascii() and each.isalnum())
    return kept.translate(_ALIKE)


def code_digest(link: Link, code: str) -> Digest:
    """What is kept of the link's code."""
    return digest_of(link.key.raw + code.encode())


def masked(address: Address) -> str:
    """The address so that its owner knows it and nobody else learns it."""
    return f"{address.local[:1]}•••@{address.domain}"


def notice_of(link: Link, text: str, code: OneTimeCode) -> Notice:
    """The message that brings the code. Nothing in it was written by the sender or by whoever asked."""
    lines = [
        "Your code is", "", f"    {shown_code(text)}", "",
        "Enter it on the page that asked for it. It opens the files that were sent",
        "to you, and is good for ten minutes.", "",
        "Nobody else needs it. If you did not ask for it, do nothing: somebody has",
        "opened the link to your files, and cannot get them without this code.",
    ]  # fmt: skip
    return Notice(
        key=f"code {code.code.b64}", recipient=link.recipient, subject="The code for your files",
        text="\n".join(lines), expires=code.expires, message_id=link.message_id, sender=link.sender,
    )  # fmt: skip
