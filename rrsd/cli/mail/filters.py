"""The milters that Postfix asks, and whether each of them answers."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import evolve

from rrsd.cli.check import Finding
from rrsd.cli.mail.lines import Around
from rrsd.cli.mail.places import Place, listener, parse_milter
from rrsd.cli.mail.postconf import Postconf
from rrsd.cli.mail.talk import negotiated
from rrsd.config.settings import Settings
from rrsd.core.refusals import Forbidden, Malformed, Unavailable

_QUEUE = "/var/spool/postfix"
_LISTS = ("smtpd_milters", "non_smtpd_milters")


def spoken_with(settings: Settings, around: Around, postconf: Postconf | None) -> Iterator[Finding]:
    """One finding for each place: ours, OpenDKIM's, and those that main.cf names beside them."""
    queue = " ".join(postconf.words("queue_directory")) if postconf is not None else ""
    for place, about in _places(settings, around, postconf).items():
        reached = _reached(place, queue or _QUEUE)
        where = reached.path or reached.nexthop
        try:
            version = negotiated(reached)
        except Forbidden as refusal:
            yield Finding("note", about, f"{where}: not looked at: {refusal.detail}: say it as root")
        except Unavailable as refusal:
            whose = "the daemon is not running" if about == "[mail] milter" else "start it, or name another place"
            yield Finding("error", about, f"{where}: {refusal.detail}: mail waits while no milter answers: {whose}")
        else:
            yield Finding("ok", about, f"{where} answers: milter protocol {version}")


def _places(settings: Settings, around: Around, postconf: Postconf | None) -> Mapping[Place, str]:
    """What each is called where it is named first."""
    mail = settings.mail
    found: dict[Place, str] = {}
    if mail.milter is not None:
        found[listener(mail.milter)] = "[mail] milter"
    if mail.outbound is not None:
        found.setdefault(parse_milter(around.signer), "OpenDKIM --signer")
    if mail.inbound is not None:
        found.setdefault(parse_milter(around.verifier), "OpenDKIM --verifier")
    for name, word in _named(postconf):
        try:
            found.setdefault(parse_milter(word.strip("{}")), f"main.cf {name}")
        except Malformed:
            continue  # a word of a milter's own parameters
    return found


def _named(postconf: Postconf | None) -> Iterator[tuple[str, str]]:
    if postconf is not None:
        yield from ((name, word) for name in _LISTS for word in postconf.words(name))


def _reached(place: Place, queue: str) -> Place:
    """Where Postfix finds the socket of the file system: below its queue when the name says so, or its smtpd sees
    nothing else."""
    inside = Path(queue, place.path.lstrip("/"))
    is_outside = place.path.startswith("/") and Path(place.path).exists()
    return place if not place.path or is_outside else evolve(place, path=str(inside))
