"""What the embedded OpenID Provider remembers: users, and the grants behind codes and refresh tokens."""

from attrs import field, frozen

from rrsd.core.values.addresses import Address
from rrsd.core.values.instants import Instant


@frozen
class User:
    """One of the domain's own users; `password` is an argon2id hash in PHC form.

    `created` is when the user got this password: logins from before it have ended.
    """

    address: Address
    password: str = field(repr=False)
    suspended: bool
    created: Instant


@frozen
class Code:
    """An authorization code's grant; the code itself is known to the client only, `key` is its SHA-256 in hex."""

    key: str
    client_id: str
    redirect_uri: str
    challenge: str
    subject: Address
    scope: str
    nonce: str
    auth_time: Instant
    expires: Instant


@frozen
class RefreshGrant:
    """One link of a refresh token's chain; `key` is the token's SHA-256 in hex, `family` is shared by the chain."""

    key: str
    family: str
    client_id: str
    subject: Address
    scope: str
    auth_time: Instant
    expires: Instant
