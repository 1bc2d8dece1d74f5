"""A connection with an IMAP server: one command at a time, messages go out streamed (RFC 3501)."""

import re
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
MOST_BESIDE = 4 << 20
"""Bytes of the responses to one command, beside one literal."""
MOST_SAID = 200
_CODE = re.compile(rb"(?:NO|BAD) (\[[A-Z-]{1,40}\])", re.IGNORECASE)


class Client(Asking[Response]):
    """The connection; literals that come have at most `most` bytes."""

    def __init__(self, most: int) -> None:
        super().__init__("the IMAP server", MOST_WAITING)
        self._responses = Responses(most)
        self._most_heard = most + MOST_BESIDE
        self._heard = 0

    @override
    def dataReceived(self, data: bytes) -> None:
        self._heard += len(data)
        try:
            if self._heard > self._most_heard:
                raise TooLarge("responses to one command")
            self.put(self._responses.take(data))
        except TooLarge as refusal:
            self.fail(Unavailable(f"the IMAP server says too much: {refusal.detail}"))

    def begin(self) -> None:
        """A command begins, and what came before it counts no more."""
        self._heard = 0


@define(eq=False)
class Talk:
    """One conversation with the server. `said` is how the last command ended, as the server wrote it."""

    client: Client
    timers: Timers
    waits: Settings
    said: bytes = field(default=b"", init=False)
    _number: int = field(default=0, init=False)
    _until: float = field(default=0.0, init=False)

    async def greeted(self) -> None:
        """Wait for the greeting; refuses with Unavailable."""
        self._begin_to_wait()
        if not (await self._next()).text.upper().startswith(b"* OK"):
            raise Unavailable("the IMAP server does not greet")

    async def login(self, user: str, master: str, password: str) -> None:
        """Enter the user's mailbox as the master user (RFC 4616); refuses with Forbidden or Unavailable.

        Of a no only the response code is told: servers may repeat what they were told, and that is a secret.
        """
        secret = b64encode(f"{user}\0{master}\0{password}".encode())
        try:
            tag = await self._begin(b"AUTHENTICATE PLAIN")
            await self._continued(tag)
            await self._send(secret + b"\r\n")
            await self._ended(tag)
        except Forbidden:
            code = _CODE.match(self.said)
            told = "" if code is None else f": {code[1].decode()}"
            raise Forbidden(f"the IMAP server does not let the master user in{told}") from None

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
        self._begin_to_wait()
        await self._ended(tag)

    def _begin_to_wait(self) -> None:
        """Whatever comes meanwhile, the end of the command has to come until then."""
        self._until = self.timers.monotonic() + self.waits.command.total_seconds()

    async def _begin(self, line: bytes) -> bytes:
        self._number += 1
        self.client.begin()
        self._begin_to_wait()
        tag = b"r%d" % self._number
        await self._send(b"%s %s\r\n" % (tag, line))
        return tag

    async def _send(self, data: bytes) -> None:
        full = self.client.write(data)
        if full is not None:
            await self._within(self.waits.block, full)

    async def _next(self) -> Response:
        left = timedelta(seconds=max(0.0, self._until - self.timers.monotonic()))
        response: Response = await self._within(left, self.client.answer())
        if response.text.upper().startswith(b"* BYE"):
            raise Unavailable("the IMAP server says goodbye")
        return response

    async def _within(self, wait: timedelta, waiting: Any) -> Any:
        return await self.timers.within(wait, waiting, lambda: Unavailable("the IMAP server is slow"))

    async def _continued(self, tag: bytes) -> None:
        while not (response := await self._next()).text.startswith(b"+"):
            if response.text.startswith(tag + b" "):
                raise self._refused(tag, response)

    async def _ended(self, tag: bytes) -> list[Response]:
        found: list[Response] = []
        while not (response := await self._next()).text.startswith(tag + b" "):
            found.append(response)
            if len(found) > MOST_WAITING:
                raise Unavailable("the IMAP server says too much")
        refusal = self._refused(tag, response)
        if self.said.upper().startswith(b"OK"):
            return found
        raise refusal

    def _refused(self, tag: bytes, response: Response) -> Forbidden:
        self.said = response.text[len(tag) + 1 :]
        text = self.said[:MOST_SAID].decode("ascii", "replace")
        return Forbidden("the IMAP server: " + "".join(each if each.isprintable() else "?" for each in text))
