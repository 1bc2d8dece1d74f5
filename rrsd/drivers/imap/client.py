"""A connection with an IMAP server: one command at a time, messages go out streamed (RFC 3501)."""

from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from attrs import define, field
from typing_extensions import override

from rrsd.core.refusals import Forbidden, Malformed, TooLarge, Unavailable
from rrsd.drivers.imap.responses import Response, Responses
from rrsd.drivers.imap.settings import Settings
from rrsd.runtime.asking import Asking
from rrsd.runtime.timers import Timers

MOST_WAITING = 10_000
"""Responses to one command."""
MOST_SAID = 200


class Client(Asking[Response]):
    """The connection; literals that come have at most `most` bytes."""

    def __init__(self, most: int) -> None:
        super().__init__("the IMAP server", MOST_WAITING)
        self._responses = Responses(most)

    @override
    def dataReceived(self, data: bytes) -> None:
        try:
            self.put(self._responses.take(data))
        except TooLarge as refusal:
            self.fail(Unavailable(f"the IMAP server says too much: {refusal.detail}"))


@define(eq=False)
class Talk:
    """One conversation with the server."""

    client: Client
    timers: Timers
    waits: Settings
    _number: int = field(default=0, init=False)

    async def greeted(self) -> None:
        """Wait for the greeting; refuses with Unavailable."""
        if not (await self._next()).text.upper().startswith(b"* OK"):
            raise Unavailable("the IMAP server does not greet")

    async def login(self, user: str, master: str, password: str) -> None:
        """Enter the user's mailbox as the master user (RFC 4616); refuses with Forbidden or Unavailable."""
        secret = b64encode(f"{user}\0{master}\0{password}".encode())
        tag = await self._begin(b"AUTHENTICATE PLAIN")
        await self._continued(tag)
        await self._send(secret + b"\r\n")
        await self._ended(tag)

    async def command(self, line: bytes) -> list[Response]:
        """The untagged responses to a command; refuses with Forbidden when the server says no, or Unavailable."""
        return await self._ended(await self._begin(line))

    async def append(self, line: bytes, size: int, message: AsyncIterator[bytes]) -> None:
        """Add a message of `size` bytes; whatever fails before its end breaks the connection, and nothing was added.

        Refuses with Forbidden, Unavailable, and what `message` refuses.
        """
        tag = await self._begin(b"%s {%d}" % (line, size))
        await self._continued(tag)
        try:
            left = size
            async for block in message:
                left -= len(block)
                if left < 0:
                    break
                await self._send(block)
            if left:
                raise Malformed("the message is not of its size")
        except BaseException:
            self.client.fail(Unavailable("we have broken the connection"))
            raise
        await self._send(b"\r\n")
        await self._ended(tag)

    async def _begin(self, line: bytes) -> bytes:
        self._number += 1
        tag = b"r%d" % self._number
        await self._send(b"%s %s\r\n" % (tag, line))
        return tag

    async def _send(self, data: bytes) -> None:
        full = self.client.write(data)
        if full is not None:
            await self._within(self.waits.block, full)

    async def _next(self) -> Response:
        response: Response = await self._within(self.waits.command, self.client.answer())
        if response.text.upper().startswith(b"* BYE"):
            raise Unavailable("the IMAP server says goodbye")
        return response

    async def _within(self, wait: timedelta, waiting: Any) -> Any:
        return await self.timers.within(wait, waiting, lambda: Unavailable("the IMAP server is slow"))

    async def _continued(self, tag: bytes) -> None:
        while not (response := await self._next()).text.startswith(b"+"):
            if response.text.startswith(tag + b" "):
                raise Forbidden(_said(response))

    async def _ended(self, tag: bytes) -> list[Response]:
        found: list[Response] = []
        while not (response := await self._next()).text.startswith(tag + b" "):
            found.append(response)
            if len(found) > MOST_WAITING:
                raise Unavailable("the IMAP server says too much")
        if response.text[len(tag) + 1 :].upper().startswith(b"OK"):
            return found
        raise Forbidden(_said(response))


def _said(response: Response) -> str:
    text = response.text.partition(b" ")[2][:MOST_SAID].decode("ascii", "replace")
    return "the IMAP server: " + "".join(each if each.isprintable() else "?" for each in text)
