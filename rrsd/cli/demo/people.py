"""Alice and Bob: users of the two domains, each with a profile of `rrsctl` and a login of their own."""

import base64
import io
from pathlib import Path

from attrs import define, field

from rrsd.cli.client import Client
from rrsd.cli.demo.daemons import Daemon
from rrsd.cli.login import log_in
from rrsd.cli.output import Console
from rrsd.cli.profile import Profile
from rrsd.cli.session import Session


@define(eq=False)
class Person:
    """A user of one of the domains. `told` is what `rrsctl` would have printed."""

    address: str
    home: Daemon
    session: Session
    client: Client
    password: str = field(repr=False)

    @property
    def profile(self) -> Path:
        """The file with the tokens."""
        return self.session.keeper.path

    @property
    def access_token(self) -> str:
        """The present access token."""
        tokens = self.client.profile.tokens
        return tokens.access if tokens else ""


def settle(address: str, home: Daemon, root: Path, hosts: dict[str, str], session: Session) -> Person:
    """Add the user at their domain and log them in through the login page."""
    password = base64.urlsafe_b64encode(session.random(15)).decode()
    local = home.local()
    if address not in {str(user.get("address")) for user in local.users().get("users", [])}:
        local.add_user(address, password)
    else:
        local.change_user(address, "password", password=password)
    local.close()
    path = root / f"{address.partition('@')[0]}.json"
    quiet = Console(out=io.StringIO(), err=io.StringIO(), is_quiet=True)
    own = Session(profile=str(path), console=quiet, environ=session.environ)
    authority = home.plan.authority
    roots = str(authority / "ca.pem") if authority else ""
    profile = Profile(user=address, issuer=home.origin, api=home.origin, roots=roots, hosts=hosts)
    log_in(own, profile, password)
    return Person(address, home, own, own.client(), password)
