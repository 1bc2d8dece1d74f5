"""The mail server's side of a milter conversation, as Postfix speaks it."""

import struct

from attrs import define, field

from rrsd.core.wire.milter import Packet, Packets, render_packet

ALL_STEPS = 0x1FFFFF
HEAD, BODY = b"Subject: x\r\nContent-Type: multipart/mixed;\r\n boundary=b\r\n", b"--b\r\n\r\nhello\r\n--b--\r\n"


def negotiation(steps: int = ALL_STEPS, version: int = 6) -> bytes:
    """What the mail server offers."""
    return render_packet(Packet("O", struct.pack("!III", version, 0x1FF, steps)))


def texts(letter: str, *parts: bytes) -> bytes:
    """A packet of texts with a NUL behind each."""
    return render_packet(Packet(letter, b"".join(part + b"\0" for part in parts)))


def fields(head: bytes) -> list[bytes]:
    """The header fields, packets of their own; folded lines end with LF there."""
    found = [line.split(b":", 1) for line in head.replace(b"\r\n ", b"\n ").replace(b"\r\n\t", b"\n\t").split(b"\r\n")]
    return [texts("L", *each) for each in found if len(each) == 2]


def conversation(raw: bytes, sender: bytes = b"<alice@foo.test>", block: int = 65535) -> bytes:
    """One whole message without waiting for a reply."""
    head, _, body = raw.partition(b"\r\n\r\n")
    blocks = [body[at : at + block] for at in range(0, len(body), block)]
    packets = [texts("D", b"Mi", b"4A"), texts("M", sender, b"SIZE=1"), *fields(head + b"\r\n")]
    packets += [render_packet(Packet("N")), *(render_packet(Packet("B", each)) for each in blocks)]
    return b"".join([*packets, render_packet(Packet("E"))])


@define
class Heard:
    """Packets that came back."""

    packets: Packets = field(factory=Packets)

    def take(self, data: bytes) -> list[tuple[str, bytes]]:
        """Those that are whole, as letter and data."""
        self.packets.put(data)
        found = []
        while (packet := self.packets.next()) is not None:
            found.append((packet.letter, packet.data))
        return found
