"""What the embedded OpenID Provider can be told."""

from datetime import timedelta

from attrs import frozen

from rrsd.core.values.peers import Issuer
from rrsd.core.values.settings import Size, key
from rrsd.roles.idp.clients import Client, register


@frozen
class ClientSettings:
    """One `[idp.client.NAME]` section: a program that users of this domain may log in with; a public client."""

    client_id: str
    title: str = key("what the login page calls the program", example="Mailbox on the web")
    redirects: tuple[str, ...] = key(
        "where the user may be sent back to, each exactly; http://127.0.0.1/PATH matches any port there",
        example="https://mail.foo.test/login",
    )

    def __attrs_post_init__(self) -> None:
        self.client()

    def client(self) -> Client:
        """The registration; refuses with Malformed where the name or a redirect URI cannot be registered."""
        return register(self.client_id, self.title, self.redirects)


@frozen
class Settings:
    """Section `[idp]`."""

    issuer: Issuer | None = key(
        "the OpenID Provider that logs this domain's users in, if it is not this daemon", None,
        example="https://login.foo.test/realms/foo",
    )  # fmt: skip
    form_life: timedelta = key("a login page can be sent this long after it was shown", timedelta(minutes=15))
    code_life: timedelta = key("an authorization code can be redeemed this long", timedelta(seconds=60))
    access_life: timedelta = key("an access token is good this long", timedelta(minutes=10))
    refresh_life: timedelta = key("a refresh token that is not used ends after this time", timedelta(days=30))
    login_life: timedelta = key("the password is asked for again after this time at the latest", timedelta(days=365))
    attempts_per_address: int = key("logins that one network address may try in a minute", 20)
    attempts_per_user: int = key("logins that may be tried for one user in a minute, wherever from", 30)
    password_memory: Size = key("what one password check takes, so that guessing is dear (argon2id)", Size(64 << 20))
    password_passes: int = key("how often a password check passes over that memory", 3)
    password_threads: int = key("how many password checks run at the same time", 2)
    clients: tuple[ClientSettings, ...] = ()
