"""What the mail role can be told."""

from attrs import frozen

from rrsd.core.values.settings import Size, key


@frozen
class Settings:
    """Section `[mail]`. Without a listener nothing of it is at work."""

    outbound: str | None = key(
        "The endpoint of the content filter that our users' mail goes through after it is queued.",
        None,
        example="tcp:10025:interface=127.0.0.1",
    )
    outbound_next: str = key(
        "Where it goes on: the re-injection smtpd of the mail server, as a client endpoint.",
        "tcp:127.0.0.1:10026",
    )
    inbound: str | None = key(
        "The endpoint of the LMTP proxy in front of the mailboxes, after alias expansion.",
        None,
        example="tcp:2425:interface=127.0.0.1",
    )
    inbound_next: str = key("The LMTP server of the mailboxes, as a client endpoint.", "unix:/run/dovecot/lmtp")
    most_message: Size = key("The largest message that is taken from the mail server.", Size(100 * 2**30))
    most_recipients: int = key("Recipients of one message.", 1000)
