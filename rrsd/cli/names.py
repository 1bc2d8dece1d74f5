"""What `rrsctl check` says about DNS: who validates, and what may not be believed without."""

from rrsd.config.settings import Settings
from rrsd.core.refusals import Malformed
from rrsd.drivers.dns.libunbound import open_libunbound
from rrsd.drivers.dns.places import parse_server
from rrsd.drivers.dns.probe import Found, Probe, probe
from rrsd.drivers.dns.settings import Backend

WEAK = "DANE cannot be used and TXT records prove little"
_LEVELS = {Found.VALIDATES: "ok", Found.ANSWERS: "error", Found.SILENT: "note", Found.ABSENT: "error"}


def look_at_names(settings: Settings) -> tuple[str, str]:
    """How it stands with DNS: a level of findings, and a text."""
    if settings.dns.backend is Backend.LIBUNBOUND:
        return _library(settings)
    if settings.dns.resolver is None:
        return "note", (
            f"no validating resolver, every answer of the servers in {settings.dns.system} is insecure: {WEAK}; "
            "run Unbound on this host and write [dns] resolver = 127.0.0.1 53"
        )
    server = parse_server(settings.dns.resolver)
    found = probe(server, (".", str(settings.domain.name)))
    return _LEVELS[found.found], f"resolver {server.address} port {server.port}: {_told(found)}"


def _told(probe: Probe) -> str:
    if probe.found is Found.ANSWERS:
        return f"{probe.found}, so that {WEAK}: give it the trust anchor of the root"
    if probe.found is Found.ABSENT:
        return f"{probe.found}, no name can be resolved: start it"
    if probe.found is Found.SILENT:
        return f"whether it validates cannot be told now ({probe.said}): look again when this host is online"
    return str(probe.found)


def _library(settings: Settings) -> tuple[str, str]:
    try:
        open_libunbound(settings.dns, None)
    except Malformed as wrong:
        return "error", wrong.detail
    return "ok", f"libunbound validates, with {settings.dns.libunbound or settings.dns.anchors}"
