"""The server's side of an SMTP or LMTP conversation, without I/O (RFC 5321, RFC 2033, RFC 2920, RFC 3030).

Bytes go in, events and bytes to send come out. The next transaction waits until the last one has its replies.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from attrs import define, field, frozen

from rrsd.core.refusals import Malformed, Refusal, Unsupported
from rrsd.core.values.envelopes import Body, Envelope, ForwardPath, Reply, ReversePath
from rrsd.core.wire import smtp
from rrsd.core.wire.smtp_data import CRLF, Unstuffing, require_lines

Refuses: TypeAlias = Callable[[Mapping[str, str], ReversePath, ForwardPath], Reply | None]
"""What a recipient is refused with, by what XFORWARD said, the sender and the recipient; None who is taken."""


def refuses_nobody(forwarded: Mapping[str, str], sender: ReversePath, recipient: ForwardPath) -> Reply | None:
    """Whoever is to get the message is known with the message."""
    return None


@frozen
class Offer:
    """What the server says of itself. `has_dsn` is announced only where the next hop has it too."""

    name: str
    is_lmtp: bool = False
    has_dsn: bool = False
    has_xforward: bool = False
    most_size: int = 2**40
    most_recipients: int = 1000
    most_errors: int = 20
    refuses: Refuses = refuses_nobody


@frozen
class Began:
    """A message is coming for this envelope."""

    envelope: Envelope


@frozen
class Came:
    """Some of its bytes."""

    block: bytes


@frozen
class Ended:
    """All of it has come; `ServerSession.answer` says what became of it."""


@frozen
class Broken:
    """The rest of it will not come, and it must be forgotten; the client has its reply."""


Event: TypeAlias = Began | Came | Ended | Broken

OK = Reply(250, "2.0.0", ("ok",))
GO_ON = Reply(354, "", ("end with <CR><LF>.<CR><LF>",))
BYE = Reply(221, "2.0.0", ("bye",))
NO_ORDER = Reply(503, "5.5.1", ("commands out of order",))
NO_COMMAND = Reply(500, "5.5.2", ("no such command",))
NO_LINE = Reply(500, "5.5.6", ("line too long",))
BARE = Reply(554, "5.6.0", ("a line of the message ends with a bare CR or LF",))
TOO_BIG = Reply(552, "5.3.4", ("message too big",))
TOO_MANY = Reply(452, "4.5.3", ("too many recipients",))
TOO_WRONG = Reply(421, "4.7.0", ("too many errors",))
NOT_SAID = Reply(252, "2.5.2", ("send it and see",))
CLOSING = Reply(421, "4.3.2", ("closing down",))


@define(eq=False)
class ServerSession:
    """One conversation. `out` is what is to be sent; whoever sends it clears it."""

    offer: Offer
    out: bytearray = field(factory=bytearray, init=False)
    is_over: bool = field(default=False, init=False)
    is_waiting: bool = field(default=False, init=False)
    _buffer: bytearray = field(factory=bytearray, init=False)
    _events: list[Event] = field(factory=list, init=False)
    _helo: str = field(default="", init=False)
    _sender: ReversePath | None = field(default=None, init=False)
    _recipients: list[ForwardPath] = field(factory=list, init=False)
    _forwarded: Mapping[str, str] = field(factory=dict, init=False)
    _errors: int = field(default=0, init=False)
    _data: Unstuffing | None = field(default=None, init=False)
    _chunk: smtp.Chunk | None = field(default=None, init=False)
    _left: int = field(default=0, init=False)  # bytes of the chunk that are still to come
    _cut: bytes = field(default=b"", init=False)  # a CR at the end of a chunk's block
    _size: int = field(default=0, init=False)
    _is_begun: bool = field(default=False, init=False)
    _is_refused: bool = field(default=False, init=False)  # the rest of the message is dropped

    def greet(self) -> None:
        """Say who we are."""
        self._say(Reply(220, "", (f"{self.offer.name} {'LMTP' if self.offer.is_lmtp else 'ESMTP'}",)))

    @property
    def ahead(self) -> int:
        """Bytes that came and are not understood yet, because a message waits for its answer."""
        return len(self._buffer)

    @property
    def is_midway(self) -> bool:
        """Whether the next bytes belong to a message."""
        return self._data is not None or self._chunk is not None

    def receive(self, data: bytes) -> list[Event]:
        """What the bytes mean; nothing is read beyond a message that waits for its answer, or beyond the end."""
        if not self.is_over:
            self._buffer += data
        return self._work()

    def answer(self, replies: Sequence[Reply]) -> list[Event]:
        """Say what became of the message, once for each recipient in LMTP and once in SMTP, and go on.

        Raises:
            ValueError: another number of replies than recipients, or no message waits.
        """
        if not self.is_waiting or len(replies) != self._expected:
            raise ValueError("a message has one reply, and in LMTP one for each recipient")
        for reply in replies:
            self._say(reply)
        self.is_waiting = False
        self._forget()
        return self._work()

    def close(self) -> list[Event]:
        """Leave with a word, in between two replies at the latest."""
        if not self.is_over:
            self._say(CLOSING)
            self._end()
        return self._taken()

    @property
    def _expected(self) -> int:
        return len(self._recipients) if self.offer.is_lmtp else 1

    def _work(self) -> list[Event]:
        while not self.is_over and not self.is_waiting and self._step():
            pass
        return self._taken()

    def _taken(self) -> list[Event]:
        events, self._events = self._events, []
        return events

    def _step(self) -> bool:
        """Take one thing out of the buffer; False when there is not enough of it."""
        if self._data is not None:
            return self._take_data(self._data)
        if self._chunk is not None:
            return self._take_chunk(self._chunk)
        end = self._buffer.find(CRLF)
        if (end if end >= 0 else len(self._buffer)) > smtp.MOST_LINE:
            self._say(NO_LINE)
            self._end()
            return False
        if end >= 0:
            self._obey(self._cut_off(end + len(CRLF))[:end])
        return end >= 0

    def _cut_off(self, size: int) -> bytes:
        block = bytes(self._buffer[:size])
        del self._buffer[:size]  # moves an offset and no bytes, however many commands one block has
        return block

    def _obey(self, line: bytes) -> None:
        try:
            command = smtp.parse_command(line)
            act = _ACTS.get(command.verb)
            if act is None or not self._is_spoken(command.verb):
                return self._fail(NO_COMMAND)
            act(self, command.argument)
        except Refusal as refusal:
            self._fail(_reply_for(refusal))

    def _is_spoken(self, verb: str) -> bool:
        """Whether a command is one of this conversation: SMTP and LMTP greet differently."""
        if verb == "XFORWARD":
            return self.offer.has_xforward
        return verb not in (("EHLO", "HELO") if self.offer.is_lmtp else ("LHLO",))

    def _hello(self, name: str) -> None:
        self._start_over(name)
        offered = ["PIPELINING", "8BITMIME", f"SIZE {self.offer.most_size}", "SMTPUTF8", "CHUNKING",
                   "ENHANCEDSTATUSCODES"]  # fmt: skip
        offered += ["DSN"] if self.offer.has_dsn else []
        # Mailboxes need to know which message it is; each attribute of the first hop beside it would be a command more.
        names = "IDENT" if self.offer.is_lmtp else "NAME ADDR PORT PROTO HELO IDENT SOURCE"
        offered += [f"XFORWARD {names}"] if self.offer.has_xforward else []
        self._say(Reply(250, "", (self.offer.name, *offered)))

    def _old_hello(self, name: str) -> None:
        self._start_over(name)
        self._say(Reply(250, "", (self.offer.name,)))

    def _start_over(self, name: str) -> None:
        if not name or " " in name:
            raise Malformed("no name")
        self._drop()
        self._helo = name

    def _mail(self, argument: str) -> None:
        if not self._helo or self._sender is not None:
            return self._fail(NO_ORDER)
        sender = smtp.parse_mail(argument)
        if sender.body is Body.BINARY or (not self.offer.has_dsn and (sender.ret or sender.envelope_id)):
            raise Unsupported("parameter that is not offered")
        if sender.size is not None and sender.size > self.offer.most_size:
            return self._fail(TOO_BIG)
        self._sender = sender
        return self._say(Reply(250, "2.1.0", ("ok",)))

    def _rcpt(self, argument: str) -> None:
        if self._sender is None or self._is_begun:
            return self._fail(NO_ORDER)
        if len(self._recipients) >= self.offer.most_recipients:
            return self._say(TOO_MANY)
        recipient = smtp.parse_rcpt(argument, is_utf8=self._sender.is_utf8)
        if not self.offer.has_dsn and (recipient.notify or recipient.original):
            raise Unsupported("parameter that is not offered")
        refusal = self.offer.refuses(self._forwarded, self._sender, recipient)
        if refusal is not None:
            return self._say(refusal)
        self._recipients.append(recipient)
        return self._say(Reply(250, "2.1.5", ("ok",)))

    def _forward(self, argument: str) -> None:
        if not self._helo or self._sender is not None:
            return self._fail(NO_ORDER)
        self._forwarded = {**self._forwarded, **smtp.parse_xforward(argument)}
        return self._say(OK)

    def _reset(self, argument: str) -> None:
        self._drop()
        self._say(OK)

    def _nothing(self, argument: str) -> None:
        self._say(OK)

    def _verify(self, argument: str) -> None:
        self._say(NOT_SAID)

    def _quit(self, argument: str) -> None:
        self._say(BYE)
        self._end()

    def _start_data(self, argument: str) -> None:
        if argument:
            raise Malformed("DATA takes nothing")
        if not self._recipients or self._is_begun:
            return self._fail(NO_ORDER)
        self._say(GO_ON)
        self._begin()
        self._data = Unstuffing()
        return None

    def _begin(self) -> None:
        assert self._sender is not None
        self._is_begun = True
        envelope = Envelope(self._helo, self._sender, tuple(self._recipients), self._forwarded)
        self._events.append(Began(envelope))

    def _take_data(self, data: Unstuffing) -> bool:
        if not self._buffer:
            return False
        try:
            taken = data.take(self._cut_off(len(self._buffer)))
        except Malformed:
            # Where such a message ends is anybody's guess, so nothing behind it is read.
            return self._refuse_bare()
        self._buffer += taken.rest
        self._keep(taken.message)
        if taken.is_end:
            self._data = None
            self._finish()
        return taken.is_end

    def _start_chunk(self, argument: str) -> None:
        chunk = smtp.parse_chunk(argument)
        if not self._recipients:
            # What was announced comes all the same (RFC 3030 4.2).
            self._is_refused = True
        elif not self._is_begun:
            self._begin()
        self._chunk, self._left = chunk, chunk.size

    def _take_chunk(self, chunk: smtp.Chunk) -> bool:
        if self._left and not self._buffer:
            return False
        block = self._cut_off(self._left)
        self._left -= len(block)
        if self._is_begun and not self._keep_lines(block, is_last=chunk.is_last and not self._left):
            return self._refuse_bare()
        if not self._left:
            self._chunk = None
            self._end_chunk(chunk)
        return not self._left

    def _keep_lines(self, block: bytes, *, is_last: bool) -> bool:
        text = self._cut + block
        self._cut = b"\r" if text.endswith(b"\r") and not is_last else b""
        text = text[: len(text) - len(self._cut)]
        try:
            require_lines(text)
        except Malformed:
            return False
        self._keep(text)
        return True

    def _end_chunk(self, chunk: smtp.Chunk) -> None:
        if not self._is_begun:
            self._is_refused = False
            self._fail(NO_ORDER)
        elif chunk.is_last:
            self._finish()
        else:
            self._say(Reply(250, "2.0.0", (f"{chunk.size} bytes",)))

    def _keep(self, message: bytes) -> None:
        self._size += len(message)
        if self._is_refused or not message:
            return
        if self._size > self.offer.most_size:
            self._is_refused = True
            self._events.append(Broken())
        else:
            self._events.append(Came(message))

    def _finish(self) -> None:
        if self._is_refused:
            self._say_to_all(TOO_BIG)
            self._forget()
        else:
            self._events.append(Ended())
            self.is_waiting = True

    def _refuse_bare(self) -> bool:
        if not self._is_refused:
            self._events.append(Broken())
        self._say_to_all(BARE)
        self._forget()
        self._end()
        return False

    def _say_to_all(self, reply: Reply) -> None:
        for _ in range(self._expected):
            self._say(reply)

    def _fail(self, reply: Reply) -> None:
        self._errors += 1
        self._say(reply)
        if self._errors >= self.offer.most_errors:
            self._say(TOO_WRONG)
            self._end()

    def _say(self, reply: Reply) -> None:
        self.out += smtp.render_reply(reply)

    def _end(self) -> None:
        self.is_over = True
        self._buffer.clear()
        self._drop()

    def _drop(self) -> None:
        """Forget the transaction, and let the receiver of the message know."""
        if self._is_begun and not self._is_refused:
            self._events.append(Broken())
        self._forget()

    def _forget(self) -> None:
        self._sender, self._recipients, self._is_begun, self._is_refused = None, [], False, False
        self._data, self._chunk, self._left, self._cut, self._size = None, None, 0, b"", 0
        self._forwarded = {}  # what XFORWARD said is about one message


_ACTS: Mapping[str, Callable[[ServerSession, str], None]] = {
    "EHLO": ServerSession._hello, "LHLO": ServerSession._hello, "HELO": ServerSession._old_hello,
    "MAIL": ServerSession._mail, "RCPT": ServerSession._rcpt, "DATA": ServerSession._start_data,
    "BDAT": ServerSession._start_chunk, "RSET": ServerSession._reset, "NOOP": ServerSession._nothing,
    "QUIT": ServerSession._quit, "VRFY": ServerSession._verify, "XFORWARD": ServerSession._forward,
}  # fmt: skip


def _reply_for(refusal: Refusal) -> Reply:
    if isinstance(refusal, Unsupported):
        return Reply(555, "5.5.4", (refusal.detail,))
    return Reply(501, "5.5.4", (refusal.detail,))
