"""The filter's side of the milter protocol, version 6, without I/O: what Postfix speaks of Sendmail's libmilter.

A packet is its length in four bytes, one letter and data. Everything about the connection and the recipients is
declined in the negotiation; what comes all the same is waved on.
"""

import re
import struct
from collections.abc import Callable, Mapping
from enum import IntFlag

from attrs import define, field, frozen

from rrsd.core.refusals import Malformed, TooLarge
from rrsd.core.values.envelopes import Reply

MOST_PACKET = 1 << 20
"""Bytes of a packet: Postfix sends bodies by 64 KiB, and header fields of 100 KiB at most."""
VERSION = 6
LEAST_VERSION = 2


class Step(IntFlag):
    """What a filter may decline (NO_…), not answer (NR_…) or have otherwise (libmilter/mfdef.h, SMFIP_…)."""

    NO_CONNECT = 0x01
    NO_HELO = 0x02
    NO_RCPT = 0x08
    NO_UNKNOWN = 0x100
    NO_DATA = 0x200
    NR_HEADER = 0x80
    LEADING_SPACE = 0x100000


WANTED = (
    Step.NO_CONNECT | Step.NO_HELO | Step.NO_RCPT | Step.NO_UNKNOWN | Step.NO_DATA | Step.NR_HEADER
    | Step.LEADING_SPACE
)  # fmt: skip

_NAME = re.compile(rb"[!-9;-~]+")  # RFC 5322 2.2
_OPTIONS = struct.Struct("!III")
_LENGTH = struct.Struct("!I")


@frozen
class Packet:
    """One packet: `letter` says what it is about."""

    letter: str
    data: bytes = b""


@frozen
class Options:
    """What a side can: its version, what it may change in messages, and which steps it has or wants."""

    version: int
    actions: int
    steps: int


@frozen
class Whole:
    """A message has come, as it was sent: `sender` is its reverse-path; `MilterSession.answer` says what of it."""

    sender: str
    raw: bytes


def parse_options(data: bytes) -> Options:
    """The negotiation; what stands behind it is not ours.

    Raises:
        Malformed: it is cut short, or of a version before `LEAST_VERSION`.
    """
    if len(data) < _OPTIONS.size:
        raise Malformed("milter negotiation")
    options = Options(*_OPTIONS.unpack_from(data))
    if options.version < LEAST_VERSION:
        raise Malformed("milter version")
    return options


def parse_header(data: bytes) -> tuple[bytes, bytes]:
    """Name and value of a header field, line breaks inside as CRLF.

    Raises:
        Malformed: it is not two texts with a NUL behind each, or the name is none.
    """
    name, value = _texts(data, 2)
    if not _NAME.fullmatch(name):
        raise Malformed("milter header name")
    return name, value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def parse_sender(data: bytes) -> str:
    """The reverse-path of MAIL without its angle brackets; what is not UTF-8 in it is replaced.

    Raises:
        Malformed: there is none.
    """
    first, nul, _ = data.partition(b"\0")
    if not nul:
        raise Malformed("milter sender")
    return first.decode("utf-8", "replace").removeprefix("<").removesuffix(">")


def _texts(data: bytes, count: int) -> list[bytes]:
    texts = data.split(b"\0")
    if len(texts) != count + 1 or texts[-1]:
        raise Malformed("milter texts")
    return texts[:-1]


def render_packet(packet: Packet) -> bytes:
    """The packet as it goes over the wire."""
    return _LENGTH.pack(len(packet.data) + 1) + packet.letter.encode("ascii") + packet.data


def render_options(options: Options) -> Packet:
    """The negotiation."""
    return Packet("O", _OPTIONS.pack(options.version, options.actions, options.steps))


def render_verdict(reply: Reply | None) -> Packet:
    """What the client of the mail server hears instead of its yes; None lets the message pass."""
    if reply is None:
        return ACCEPT
    # libmilter's replies are formats: a percent sign is written twice.
    text = f"{reply.code} {reply.status} {' '.join(reply.lines)}".replace("%", "%%")
    return Packet("y", text.encode("utf-8") + b"\0")


GO_ON, ACCEPT = Packet("c"), Packet("a")


@define(eq=False)
class Packets:
    """Packets out of bytes, over any division into blocks."""

    _buffer: bytearray = field(factory=bytearray, init=False)

    def put(self, block: bytes) -> None:
        """Bytes came."""
        self._buffer += block

    @property
    def held(self) -> int:
        """Bytes that are not taken yet."""
        return len(self._buffer)

    def next(self) -> Packet | None:
        """The next packet, None when it has not come whole.

        Raises:
            Malformed: it has no letter.
            TooLarge: it is longer than `MOST_PACKET`.
        """
        if len(self._buffer) < _LENGTH.size:
            return None
        (size,) = _LENGTH.unpack_from(self._buffer)
        if size > MOST_PACKET:
            raise TooLarge("milter packet")
        end = _LENGTH.size + size
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        if not body or not body[:1].isalpha():
            raise Malformed("milter packet")
        return Packet(body[:1].decode("ascii"), body[1:])


@define(eq=False)
class MilterSession:
    """One conversation with a mail server. `out` is what is to be sent; whoever sends it clears it.

    `wants` says of a header section whether the message is to be looked at. Messages of more than `most` bytes are not.
    """

    wants: Callable[[bytes], bool]
    most: int
    out: bytearray = field(factory=bytearray, init=False)
    is_over: bool = field(default=False, init=False)
    is_waiting: bool = field(default=False, init=False)
    _packets: Packets = field(factory=Packets, init=False)
    _steps: int | None = field(default=None, init=False)
    _sender: str = field(default="", init=False)
    _raw: bytearray | None = field(default=None, init=False)

    @property
    def ahead(self) -> int:
        """Bytes that came behind a message that waits for its answer."""
        return self._packets.held

    def receive(self, data: bytes) -> Whole | None:
        """The message that is complete with these bytes, if one is; the next comes after its answer.

        A mail server that breaks the protocol is left: `is_over`.
        """
        if self.is_over:
            return None
        self._packets.put(data)
        return self._work()

    def answer(self, reply: Reply | None) -> Whole | None:
        """Say what becomes of the message, and go on; as `receive`.

        Raises:
            ValueError: no message waits.
        """
        if not self.is_waiting:
            raise ValueError("no message waits")
        self.is_waiting = False
        self._say(render_verdict(reply))
        return self._work()

    def _work(self) -> Whole | None:
        whole = None
        try:
            while not self.is_waiting and not self.is_over and (packet := self._packets.next()) is not None:
                whole = self._obey(packet)
        except (Malformed, TooLarge):
            self.is_over = True
        return whole

    def _obey(self, packet: Packet) -> Whole | None:
        if packet.letter == "E" and self._steps is not None:
            return self._end(packet.data)
        act = self._acts.get(packet.letter)
        if act is None or (self._steps is None and packet.letter not in "OQ"):
            raise Malformed("milter command")
        act(packet.data)
        return None

    @property
    def _acts(self) -> Mapping[str, Callable[[bytes], None]]:
        return {
            "O": self._negotiate, "M": self._begin, "L": self._header, "N": self._end_header, "B": self._body,
            "A": self._forget, "K": self._forget, "Q": self._quit, "D": lambda _: None,
            **dict.fromkeys("CHRTU", lambda _: self._say(GO_ON)),
        }  # fmt: skip

    def _negotiate(self, data: bytes) -> None:
        offered = parse_options(data)
        self._steps = offered.steps & WANTED
        self._say(render_options(Options(min(VERSION, offered.version), 0, self._steps)))

    def _begin(self, data: bytes) -> None:
        self._sender, self._raw = parse_sender(data), bytearray()
        self._say(GO_ON)

    def _header(self, data: bytes) -> None:
        name, value = parse_header(data)
        has_space = bool((self._steps or 0) & Step.LEADING_SPACE)
        self._keep(name + (b":" if has_space else b": ") + value + b"\r\n")
        if not (self._steps or 0) & Step.NR_HEADER:
            self._say(GO_ON)

    def _end_header(self, data: bytes) -> None:
        self._keep(b"\r\n")
        if self._raw is not None and not self.wants(bytes(self._raw)):
            self._raw = None
        self._say(GO_ON if self._raw is not None else ACCEPT)

    def _body(self, data: bytes) -> None:
        self._keep(data)
        self._say(GO_ON if self._raw is not None else ACCEPT)

    def _end(self, data: bytes) -> Whole | None:
        self._keep(data)
        raw, self._raw = self._raw, None
        if raw is None:
            self._say(ACCEPT)
            return None
        self.is_waiting = True
        return Whole(self._sender, bytes(raw))

    def _keep(self, data: bytes) -> None:
        """One that has become too large is forgotten."""
        if self._raw is not None and len(self._raw) + len(data) <= self.most:
            self._raw += data
        else:
            self._raw = None

    def _forget(self, data: bytes) -> None:
        self._raw = None

    def _quit(self, data: bytes) -> None:
        self.is_over = True

    def _say(self, packet: Packet) -> None:
        self.out += render_packet(packet)
