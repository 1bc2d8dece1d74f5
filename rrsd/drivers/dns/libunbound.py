"""libunbound in this process: a validating resolver that needs no other daemon, where its Python module is there."""

import importlib
import os
from typing import Any

import dns.rcode
import dns.rdatatype
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from rrsd.core.refusals import Malformed
from rrsd.core.values.records import Records, RecordType, Verdict
from rrsd.drivers.dns.client import nothing
from rrsd.drivers.dns.messages import HEADER, Answer, read_answer, write_query
from rrsd.drivers.dns.settings import Settings

MODULE = "unbound"
MISSING = (
    "[dns] backend = libunbound needs the Python module unbound: install python3-unbound and link its two files into "
    "the site-packages of this Python (see docs/operator/dns.rst), or run Unbound and write [dns] resolver = 127.0.0.1"
)


def open_libunbound(settings: Settings, reactor: Any) -> "Libunbound":
    """The library, ready to be asked; its thread starts with the first question.

    Raises:
        Malformed: its module is not there, or it cannot read its configuration or its trust anchors.
    """
    try:
        module: Any = importlib.import_module(MODULE)
    except ImportError:
        raise Malformed(MISSING) from None
    given = settings.libunbound
    key, path = ("anchors", settings.anchors) if given is None else ("libunbound", given)
    # The library itself would say so to each question only.
    if not os.access(path, os.R_OK):
        raise Malformed(f"[dns] {key}: {path} cannot be read: install dns-root-data, or write another file")
    context = module.ub_ctx()
    context.set_async(True)
    here = os.getcwd()
    try:
        status = context.add_ta_file(path) if given is None else context.config(path)
    finally:
        # A line `directory:` in that file takes the whole process there.
        os.chdir(here)
    if status:
        raise Malformed(f"[dns] {key}: {path} cannot be used: {module.ub_strerror(status)}")
    return Libunbound(reactor, context)


@implementer(IReadDescriptor)
@define(eq=False)
class Libunbound:
    """Questions to the library. The reactor watches its pipe while somebody waits."""

    _log = Logger()

    reactor: Any
    context: Any
    _waiting: dict[int, Deferred[Records]] = field(factory=dict)

    async def ask(self, name: str, kind: RecordType) -> Records:
        """What it says about the name; trouble is a verdict."""
        try:
            write_query(name, kind, 0)
        except Malformed as wrong:
            return nothing(Verdict.BOGUS, wrong.detail)
        key: list[int] = []
        rdtype = int(dns.rdatatype.from_text(kind))
        status, number = self.context.resolve_async(name, (name, kind, key), self._answered, rdtype)
        if status:
            return nothing(Verdict.TEMPORARY, f"libunbound cannot ask (error {status})")
        key.append(number)
        waiting: Deferred[Records] = Deferred(lambda _: self._forget(number))
        self._waiting[number] = waiting
        self.reactor.addReader(self)
        return await waiting

    async def stop(self) -> None:
        """Ask nobody any more; whoever waits is cancelled."""
        for waiting in tuple(self._waiting.values()):
            waiting.cancel()

    def fileno(self) -> int:
        """The pipe that says that there are answers."""
        return int(self.context.get_fd())

    def doRead(self) -> None:  # noqa: N802 (Twisted's name)
        """Take the answers that are there."""
        self.context.process()

    def logPrefix(self) -> str:  # noqa: N802 (Twisted's name)
        """What the reactor calls this in its log."""
        return "libunbound"

    def connectionLost(self, reason: Failure) -> None:  # noqa: N802 (Twisted's name)
        """The pipe is gone: no answer will come."""
        self._log.error("libunbound is gone: {reason}", reason=reason.getErrorMessage())
        for number in tuple(self._waiting):
            self._settle(number, nothing(Verdict.TEMPORARY, "libunbound is gone"))

    def _answered(self, asked: tuple[str, RecordType, list[int]], status: int, result: Any) -> None:
        name, kind, key = asked
        if status or result is None:
            self._settle(key[0], nothing(Verdict.TEMPORARY, f"libunbound failed (error {status})"))
        else:
            self._settle(key[0], verdict_of(name, kind, result))

    def _settle(self, number: int, records: Records) -> None:
        waiting = self._waiting.pop(number, None)
        self._rest()
        if waiting is not None:
            waiting.callback(records)

    def _forget(self, number: int) -> None:
        if self._waiting.pop(number, None) is not None:
            self.context.cancel(number)
        self._rest()

    def _rest(self) -> None:
        if not self._waiting:
            self.reactor.removeReader(self)


def verdict_of(name: str, kind: RecordType, result: Any) -> Records:
    """What a result of the library is worth."""
    if result.bogus:
        return nothing(Verdict.BOGUS, str(result.why_bogus or "validation failed"))
    packet = bytes(result.packet or b"")
    try:
        (number,) = HEADER.unpack_from(packet)[:1]
        answer: Answer = read_answer(write_query(name, kind, number), packet)
    except (Malformed, ValueError):
        return nothing(Verdict.TEMPORARY, "libunbound gave no answer")
    if answer.rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return nothing(Verdict.TEMPORARY, f"libunbound says {dns.rcode.to_text(dns.rcode.Rcode(answer.rcode))}")
    secure = bool(result.secure) and answer.authentic
    return Records(Verdict.SECURE if secure else Verdict.INSECURE, answer.life, answer.records)
