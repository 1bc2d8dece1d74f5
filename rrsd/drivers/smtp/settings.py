"""What connections with mail servers can be told."""

from datetime import timedelta

from attrs import frozen

from rrsd.core.values.settings import key


@frozen
class Settings:
    """Section `[smtp]`. The waits are those of RFC 5321 4.5.3.2."""

    connections: int = key("Connections that a listener takes at a time.", 200)
    connect: timedelta = key("How long a connection to the next mail server may take.", timedelta(seconds=30))
    command: timedelta = key("How long either side may take for a command or its reply.", timedelta(minutes=5))
    block: timedelta = key("How long a message may stand still.", timedelta(minutes=3))
    done: timedelta = key("How long the next mail server may take to accept a whole message.", timedelta(minutes=20))
    idle: timedelta = key(
        "How long a connection to the next mail server waits for another message; 0s closes it after each.",
        timedelta(seconds=5),
    )
