"""What the connection with the mailboxes can be told."""

from datetime import timedelta

from attrs import frozen

from rrsd.core.values.settings import key


@frozen
class Settings:
    """Section `[imap]`. Without an endpoint no placeholder is swapped in a mailbox, and none is asked what it has."""

    endpoint: str | None = key(
        "The IMAP server of the mailboxes, as a client endpoint; there delivered placeholders become complete, and a "
        "mailbox that died before it said yes is asked what it has.",
        None,
        example="tcp:127.0.0.1:143",
    )
    tls: str | None = key(
        "The name that the server proves by TLS from the first byte, under [tls] roots; without it the connection is "
        "not encrypted and must not leave this host.",
        None,
        example="imap.foo.test",
    )
    master: str = key("The master user, who may enter every mailbox (SASL PLAIN, RFC 4616).", "rrsd")
    password: str = key(
        "The file with the master user's password, which nobody else may read.", "/etc/rrsd/imap-password"
    )
    folders: tuple[str, ...] = key("Where placeholders are looked for; by default in all of a user's folders.", ())
    most_folders: int = key("How many folders of one user are looked into.", 500)
    connect: timedelta = key("How long a connection may take.", timedelta(seconds=30))
    command: timedelta = key("How long the server may take for a command.", timedelta(minutes=2))
    block: timedelta = key("How long a message may stand still.", timedelta(minutes=3))
