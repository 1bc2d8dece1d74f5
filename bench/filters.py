"""What a mail filter costs when it changes nothing: processor time for each message of 20 kB that goes through.

One process has the filters, between a client and a mail server that only say what they must:

    python -m bench.filters [MESSAGES]
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import click
from twisted.internet.defer import Deferred, DeferredLock, DeferredSemaphore
from twisted.internet.endpoints import TCP4ClientEndpoint

from bench import machine, readings
from bench.figures import Sheet, in_one_table, shown
from rrsd.cli.demo.daemons import free_ports
from rrsd.core.refusals import Unavailable
from rrsd.core.values.addresses import parse_domain
from rrsd.core.values.calls import Event
from rrsd.core.wire.smtp_server import Offer
from rrsd.drivers.smtp.relay import Relay
from rrsd.drivers.smtp.server import Receiver, smtp_factory
from rrsd.drivers.smtp.settings import Settings
from rrsd.drivers.store.service import Store, Threads
from rrsd.drivers.store.settings import Settings as Stored
from rrsd.roles.mail.flow.dispatch import Dispatch
from rrsd.roles.mail.flow.inbound import Inbound
from rrsd.roles.mail.flow.ledger import Ledger
from rrsd.roles.mail.flow.lost import Lost
from rrsd.roles.mail.flow.mailboxes import ToMailboxes, Turns
from rrsd.roles.mail.flow.outbound import Outbound
from rrsd.roles.mail.flow.partly import Partly
from rrsd.roles.mail.flow.prequeue import Prequeue, Ways
from rrsd.roles.mail.flow.reinjection import Reinjection
from rrsd.roles.mail.settings import Settings as Mail
from rrsd.runtime.loops import Nursery
from rrsd.runtime.timers import Timers
from rrsd.runtime.workers import ThreadWorkers

NAME = "messages of 20 kB through a filter that changes nothing"
AHEAD, SMTP, LMTP = "way out, before the queue", "way out, behind the queue", "way in (LMTP)"
MOST_MS = 2.0
"""Milliseconds for the way out before the queue and the way in together."""
BODY = (b"y" * 72 + b"\r\n") * 276 + b".\r\n"
MESSAGE = b"From: carol@elsewhere.test\r\nSubject: x\r\n\r\n" + BODY
OURS = (
    b"From: alice@foo.test\r\nTo: bob@bar.test\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@foo.test>\r\n"
    b"Subject: x\r\n\r\n" + BODY
)
_AT_ONCE = 4  # what a mail server's own settings allow, by the lines of `rrsctl mail setup`
_HELLO = b"250-mx\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-XFORWARD IDENT\r\n250 SIZE\r\n"


class Nowhere:
    """An audit trail that keeps nothing: what writing costs is measured elsewhere."""

    def record(self, event: Event) -> None:
        """Forget it."""


def serve(ports: Sequence[int], folder: str) -> None:
    """The process that is measured: what comes in at three ports goes to the fourth. `folder` is its store's."""
    from twisted.internet import reactor as installed

    reactor: Any = installed
    workers = {name: ThreadWorkers(reactor, size, name) for name, size in (("writer", 1), ("readers", 2), ("disk", 1))}
    timers = Timers(reactor, time.time)
    store = Store(Stored(path=folder), Threads(**workers), timers.now, timers.monotonic)

    async def listen() -> None:
        started: list[Any] = [*workers.values(), store]
        for each in started:
            await each.start()
        for port, name in zip(ports[:3], (AHEAD, SMTP, LMTP), strict=True):
            endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", ports[3])
            relay = Relay(endpoint, "us.test", timers, Settings(), name == LMTP)
            receiver = _receiver(name, relay, store, timers)
            offer = Offer("us.test", is_lmtp=name == LMTP, has_xforward=True)
            factory = smtp_factory(offer, receiver, Settings(), reactor, Nursery().spawn)
            reactor.listenTCP(port, factory, interface="127.0.0.1")

    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(listen()))
    reactor.run()


def _receiver(name: str, relay: Relay, store: Store, timers: Timers) -> Receiver:
    if name == LMTP:
        return _inbound(relay, timers)
    return _outbound(relay, store, timers) if name == SMTP else _prequeue(relay, timers)


def _prequeue(relay: Relay, timers: Timers) -> Prequeue:
    """For small messages of ours."""
    none, way = cast(Any, None), Reinjection(relay, cast(Any, None), timers)
    return Prequeue(
        ours=parse_domain("foo.test"), settings=Mail(), domains=none, deposits=none, spools=none, blobs=none,
        grants=none, writer=none, ways=Ways(way, way, way), timers=timers, audit=Nowhere(),
    )  # fmt: skip


def _inbound(relay: Relay, timers: Timers) -> Inbound:
    """For messages that are no placeholders."""
    none, audit = cast(Any, None), Nowhere()
    lost = Lost(contents=None, timers=timers, audit=audit, patience=Mail().doubt_wait, delimiters="+")
    mailboxes = ToMailboxes(relay, audit, Turns(DeferredLock), lost, "+")
    return Inbound(mailboxes=mailboxes, placeholders=none, places=DeferredSemaphore(16), audit=audit, most=1 << 22)


def _outbound(relay: Relay, store: Store, timers: Timers) -> Outbound:
    """For messages of strangers it needs the relay and the ledger, which is on the disk."""
    none, domain, audit = cast(Any, None), parse_domain("foo.test"), Nowhere()
    ledger = Ledger(
        next=relay,
        passages=store.passages,
        doubts=none,
        timers=timers,
        audit=audit,
        patience=Mail().doubt_wait,
        partly=Partly(timers),
    )
    dispatch = Dispatch(
        ledger=ledger, writer=none, grants=none, passages=store.passages, links=none,
        timers=timers, audit=audit,
    )  # fmt: skip
    return Outbound(
        ours=domain, settings=Mail(), domains=none, deposits=none, spools=none, blobs=none, dispatch=dispatch,
        audit=audit,
    )  # fmt: skip


def measure(sheet: Sheet, messages: int) -> None:
    """Processor time and rate, for each filter."""
    sink = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=_accept, args=(sink,), daemon=True).start()
    ports = [*free_ports(3), sink.getsockname()[1]]
    clients: tuple[Callable[[int, int, list[str]], None], ...] = (
        _proxy,
        partial(_client, b"EHLO a\r\n"),
        partial(_client, b"LHLO a\r\n"),
    )
    with _served(ports) as pid:
        for port, contestant, client in zip(ports[:3], (AHEAD, SMTP, LMTP), clients, strict=True):
            _send(client, port, max(_AT_ONCE, messages // 10))
            used, began = readings.cpu_seconds([pid]), time.monotonic()
            _send(client, port, messages)
            took, used = time.monotonic() - began, readings.cpu_seconds([pid]) - used
            sheet.add(NAME, contestant, {
                "processor time": (used / messages * 1000, "ms each"), "rate": (messages / took, "/s"),
                "peak memory": (readings.peak_mib(pid), "MiB"),
            })  # fmt: skip
    sink.close()
    found = [sheet.find(NAME, each, "processor time") for each in (AHEAD, LMTP)]
    total = sum(each.median for each in found if each is not None)
    sheet.judge(
        f"{NAME}: before the queue and on the way in within {MOST_MS:.0f} ms", f"{shown(total)} ms", total <= MOST_MS
    )


@contextmanager
def _served(ports: Sequence[int]) -> Iterator[int]:
    folder = tempfile.mkdtemp(prefix="rrsd-")
    command = [sys.executable, "-m", "bench.filters", "--serve", *map(str, ports), folder]
    with subprocess.Popen(command) as served:
        try:
            for port in ports[:3]:
                _wait_for(port)
            yield served.pid
        finally:
            served.terminate()
            shutil.rmtree(folder, ignore_errors=True)


def _wait_for(port: int, within: float = 20.0) -> None:
    late = time.monotonic() + within
    while time.monotonic() < late:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise Unavailable("the filters do not start")


def _send(client: Callable[[int, int, list[str]], None], port: int, messages: int) -> None:
    """As the mail server does: some connections at a time."""
    failed: list[str] = []
    senders = [threading.Thread(target=client, args=(port, messages // _AT_ONCE, failed)) for _ in range(_AT_ONCE)]
    for each in senders:
        each.start()
    for each in senders:
        each.join()
    if failed:
        raise Unavailable(f"a message was not taken: {failed[0]}")


def _proxy(port: int, messages: int, failed: list[str]) -> None:
    """As Postfix's smtpd: a connection for each message, and one command after the other."""
    commands = (
        b"EHLO a\r\n", b"XFORWARD NAME=[UNAVAILABLE] ADDR=127.0.0.1 PORT=4242\r\n",
        b"XFORWARD PROTO=ESMTP HELO=there.test IDENT=[UNAVAILABLE] SOURCE=REMOTE\r\n",
        b"MAIL FROM:<alice@foo.test>\r\n", b"RCPT TO:<bob@bar.test>\r\n", b"DATA\r\n", OURS, b"QUIT\r\n",
    )  # fmt: skip
    for _ in range(messages):
        with socket.create_connection(("127.0.0.1", port)) as sock, sock.makefile("rb") as lines:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _reply(lines)
            said = []
            for each in commands:
                sock.sendall(each)
                said.append(_reply(lines))
            if said != ["250"] * 5 + ["354", "250", "221"]:
                failed.append(" ".join(said))
                return


def _client(hello: bytes, port: int, messages: int, failed: list[str]) -> None:
    """As Postfix's SMTP client: one connection, pipelined as far as it goes."""
    with socket.create_connection(("127.0.0.1", port)) as sock, sock.makefile("rb") as lines:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begun = b"MAIL FROM:<carol@elsewhere.test> SIZE=20000\r\nRCPT TO:<bob@bar.test>\r\nDATA\r\n"
        _reply(lines)
        sock.sendall(hello)
        _reply(lines)
        for number in range(messages):
            # Each is another message, as the queue's names say.
            name = f"{threading.get_ident():X}{number:X}"
            sock.sendall(f"XFORWARD IDENT={name}\r\n".encode() + begun)
            _reply(lines)
            said = [_reply(lines) for _ in range(3)]
            sock.sendall(MESSAGE)
            said.append(_reply(lines))
            if said != ["250", "250", "354", "250"]:
                failed.append(" ".join(said))
                return


def _reply(lines: Any) -> str:
    line = lines.readline()
    while line[3:4] == b"-":
        line = lines.readline()
    return str(line[:3].decode())


def _accept(sink: socket.socket) -> None:
    while True:
        try:
            sock, _ = sink.accept()
        except OSError:
            return
        threading.Thread(target=_swallow, args=(sock,), daemon=True).start()


def _swallow(sock: socket.socket) -> None:
    """A mail server that takes everything."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(b"220 mx\r\n")
    rest = b""
    while data := sock.recv(65536):
        rest += data
        while True:
            line, found, after = rest.partition(b"\r\n")
            if not found:
                break
            if line == b"DATA":
                sock.sendall(b"354 go on\r\n")
                rest = _body(sock, after)
                sock.sendall(b"250 kept\r\n")
                continue
            rest = after
            sock.sendall(_HELLO if line[1:] == b"HLO us.test" else b"250 ok\r\n")


def _body(sock: socket.socket, data: bytes) -> bytes:
    while (end := data.find(b"\r\n.\r\n")) < 0:
        more = sock.recv(65536)
        if not more:
            return b""
        data += more
    return data[end + 5 :]


def main(messages: int, say: Callable[[str], None]) -> Sheet:
    """Measure, and say what was found."""
    sheet = Sheet(machine.describe(os.getcwd()))
    measure(sheet, messages)
    say(in_one_table(sheet))
    return sheet


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("messages", default=2000, type=click.IntRange(min=100))
def command(messages: int) -> None:
    """Measure what a message of 20 kB without attachments costs on its way through, with MESSAGES of them."""
    main(messages, click.echo)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve([int(each) for each in sys.argv[2:6]], sys.argv[6])
    else:
        command()
