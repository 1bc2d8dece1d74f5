"""What every simulated domain is made of and no fault touches: settings, keys, policies. Made once for all seeds."""

from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import evolve, frozen

from rrsd.cli.init import Plan, first_values, make
from rrsd.config.settings import Settings, parse_settings
from rrsd.core.values.addresses import parse_domain
from rrsd.core.values.instants import instant
from rrsd.core.values.settings import Size
from rrsd.drivers.keys.service import Keyring
from rrsd.drivers.policy.engine import Engine
from rrsd.drivers.policy.service import build_engine
from tests.simulate.story import BEGIN

TELL_RECIPIENTS_AFTER, TELL_SENDERS_AFTER = timedelta(minutes=20), timedelta(minutes=45)
"""When people hear that attachments are late; their mail server is not simulated, and takes nothing."""
SMALL = 512
"""Bytes up to which a transfer is kept in memory."""


@frozen
class Home:
    """One domain."""

    name: str
    settings: Settings
    keyring: Keyring
    policies: Engine


def home_of(name: str, active: int = 0) -> Home:
    """The domain of that name; with as many transfers at once as it usually has, or `active`."""
    home = _home_of(name)
    if not active:
        return home
    settings = home.settings
    return evolve(home, settings=evolve(settings, rra=evolve(settings.rra, active=active)))


@lru_cache
def _home_of(name: str) -> Home:
    begin = instant(BEGIN)
    with TemporaryDirectory() as folder:
        plan = Plan(parse_domain(name), Path(folder) / name, authority=Path(folder) / "authority")
        make(plan, begin, first_values(plan))
        read = parse_settings(plan.config.read_text())
        keyring = Keyring(read.keys, lambda: begin)
        keyring.reload()
        policies = build_engine(read.policy)
    store = evolve(read.store, path="/srv/store", keep_free=Size(4096), small=Size(SMALL))
    rs = evolve(read.rs, collect_every=timedelta(hours=2))
    dns = evolve(read.dns, resolver=None)
    rra = evolve(read.rra, notify_recipient_after=TELL_RECIPIENTS_AFTER, notify_sender_after=TELL_SENDERS_AFTER)
    mail = evolve(read.mail, outbound="tcp:10025:interface=127.0.0.1")
    return Home(name, evolve(read, store=store, rs=rs, dns=dns, rra=rra, mail=mail), keyring, policies)
