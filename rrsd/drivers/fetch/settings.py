"""What the way out can be told."""

from datetime import timedelta

from attrs import frozen

from rrsd.core.values.settings import key


@frozen
class Settings:
    """Section `[fetch]`."""

    allowed: tuple[str, ...] = key(
        "Networks that may be called although they are private, one per line.", (), example="10.20.0.0/16"
    )
    forbidden: tuple[str, ...] = key(
        "More addresses and networks that are never called, such as our own public address, one per line.",
        (),
        example="192.0.2.1",
    )
    per_host: int = key("Connections to one host that are kept for the next call.", 16)
    keep: timedelta = key("How long a connection is kept.", timedelta(seconds=30))
    connect: timedelta = key("How long a connection may take, all addresses together.", timedelta(seconds=15))
    handshake: timedelta = key("How long a TLS handshake may take.", timedelta(seconds=15))
    head: timedelta = key("How long the head of an answer may take.", timedelta(seconds=60))
    idle: timedelta = key("How long a body may stand still.", timedelta(seconds=60))
    progress: timedelta = key("How long a body may go on without 64 KiB of progress.", timedelta(seconds=120))
    ask: timedelta = key("How long a small question may take, from name to answer.", timedelta(seconds=10))
    stranger: timedelta = key(
        "The same for a question about who a stranger is, each redirect on its own.", timedelta(seconds=5)
    )
