"""An IMAP server of one user on the memory internet: what the driver is told is true, unless a test says otherwise.

imap = serve_imap(world.internet, 143)            # world.internet.listeners["127.0.0.1", 143]
imap.put(b"...", folder="INBOX", flags={"\\\\Seen"})
imap.before = lambda verb, line: b"* BYE\\r\\n"     # said in place of everything; None lets the command run
imap.cut = 5                                      # the fifth command takes effect and its answer never comes
imap.lost = 5                                     # the fifth command never comes
"""

import re
from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime

from attrs import define, field
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.python.failure import Failure
from typing_extensions import override

from tests.support.internet import Internet

HERE = "127.0.0.1"
BOB, MASTER, PASSWORD = "bob@bar.test", "rrsd", "of-the-master"
DATE = '"01-Feb-2024 03:04:05 +0100"'
EVERY = r"(\Answered \Flagged \Deleted \Seen \Draft \*)"

_APPEND = re.compile(rb'APPEND ("(?:[^"\\]|\\.)*"|\S+) \(([^)]*)\) ("[^"]*") \{([0-9]+)\}$')
_STORE = re.compile(rb"UID STORE ([0-9]+) (?:\(UNCHANGEDSINCE ([0-9]+)\) )?(\+?)FLAGS(\.SILENT)? \(([^)]*)\)$")
_SEARCH = re.compile(rb"UID SEARCH (?:SINCE (\S+) )?HEADER (\S+) (.+)$")
_PARTIAL = re.compile(rb"BODY\.PEEK\[\](?:<0\.([0-9]+)>)?")


@define(eq=False)
class Kept:
    """A message in a folder."""

    uid: int
    flags: set[str]
    date: str
    raw: bytes
    _was: set[str] = field(factory=set, init=False)
    _changes: int = field(default=1, init=False)

    @property
    def modseq(self) -> int:
        """Another number for other flags (RFC 7162)."""
        if self.flags != self._was:
            self._was, self._changes = set(self.flags), self._changes + 1
        return self._changes

    @property
    def is_live(self) -> bool:
        """Whether a mail program shows it."""
        return r"\Deleted" not in self.flags


@define(eq=False)
class Folder:
    """Messages by arrival; `permanent` is what SELECT says can be kept, None where it says nothing."""

    permanent: str | None = EVERY
    attributes: str = r"\HasNoChildren"
    refusal: str = ""
    is_read_only: bool = False
    full: str = ""
    """Why nothing can be added."""
    messages: list[Kept] = field(factory=list)
    following: int = 1

    def put(self, raw: bytes, flags: set[str], date: str) -> Kept:
        """One more."""
        kept = Kept(self.following, set(flags), date, raw)
        self.following += 1
        self.messages.append(kept)
        return kept

    def find(self, uid: int) -> Kept | None:
        """The one with the UID."""
        return next((each for each in self.messages if each.uid == uid), None)


@define(eq=False)
class Imap:
    """The mailbox, and how its server behaves. `after` is called once a command has had its effect."""

    folders: dict[str, Folder] = field(factory=lambda: {"INBOX": Folder()})
    offers: str = "IMAP4rev1 UIDPLUS CONDSTORE AUTH=PLAIN"
    greeting: bytes = b"* OK here\r\n"
    room: int | None = None
    before: Callable[[str, bytes], bytes | None] = lambda verb, line: None
    after: Callable[[str, bytes], None] = lambda verb, line: None
    beside: bytes = b""
    """What nobody asked for: said before the end of each command."""
    conflict: str = "OK"
    """How a conditional STORE ends that did nothing; some servers say NO."""
    cut: int | None = None
    lost: int | None = None
    """This command never arrives, and the connection ends."""
    literal: int | None = None
    """The connection ends after so many bytes of a message."""
    heard: list[bytes] = field(factory=list)
    sessions: "list[Session]" = field(factory=list)

    def put(self, raw: bytes, flags: set[str] | None = None, folder: str = "INBOX", date: str = DATE) -> Kept:
        """A message is there."""
        there = self.folders.setdefault(folder, Folder())
        return there.put(raw, flags if flags is not None else {r"\Seen", "work"}, date)

    def all(self) -> list[Kept]:
        """Every message of every folder."""
        return [each for folder in self.folders.values() for each in folder.messages]

    def verbs(self) -> list[str]:
        """What was done, in order."""
        return [verb_of(each) for each in self.heard]


@define(eq=False)
class _Coming:
    """A message on its way in."""

    tag: bytes
    folder: Folder
    flags: set[str]
    date: str
    size: int


def verb_of(line: bytes) -> str:
    """The command without its tag and arguments."""
    words = line.split(b" ")
    return b" ".join(words[1:3] if words[1:2] == [b"UID"] else words[1:2]).decode()


class Session(Protocol):
    """One connection."""

    def __init__(self, imap: Imap) -> None:
        self.imap = imap
        self._buffer = b""
        self._coming: _Coming | None = None
        self._secret_for = b""
        self._is_deaf = False
        self._here: Folder | None = None
        self.is_over = False

    @override
    def connectionMade(self) -> None:
        self.imap.sessions.append(self)
        self.say(self.imap.greeting)

    def say(self, data: bytes) -> None:
        """To the client."""
        self.transport.write(data)  # type: ignore[union-attr]

    def cut(self) -> None:
        """Gone without a word."""
        self.is_over = True
        self.transport.abortConnection()  # type: ignore[union-attr]

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_over = True

    @override
    def dataReceived(self, data: bytes) -> None:
        self._buffer += data
        while not (self.is_over or self._is_deaf):
            if self._coming is not None:
                if not self._has_come(self._coming):
                    return
                continue
            line, end, rest = self._buffer.partition(b"\r\n")
            if not end:
                return
            self._buffer = rest
            self._line(line)

    def _line(self, line: bytes) -> None:
        imap = self.imap
        if self._secret_for:
            tag, self._secret_for = self._secret_for, b""
            self._authenticated(tag, line)
            return
        imap.heard.append(line)
        if imap.lost is not None and len(imap.heard) >= imap.lost:
            self.cut()
            return
        said = imap.before(verb_of(line), line)
        if said is not None:
            # What comes after such a word is no command.
            self._is_deaf = said.startswith(b"+") and verb_of(line) == "APPEND"
            self.say(said.replace(b"TAG", line.split(b" ")[0]))
            return
        tag, _, command = line.partition(b" ")
        verb = verb_of(line)
        done = getattr(self, "_" + verb.lower().replace(" ", "_"))(tag, command)
        if done is not None:
            self._end(tag, verb, line, done)

    def _end(self, tag: bytes, verb: str, line: bytes, done: str) -> None:
        self.imap.after(verb, line)
        if self.imap.cut is not None and len(self.imap.heard) >= self.imap.cut:
            self.cut()
            return
        self.say(self.imap.beside + tag + b" " + done.encode() + b"\r\n")

    # --- the commands: what they return ends them

    def _authenticate(self, tag: bytes, _: bytes) -> None:
        self._secret_for = tag
        self.say(b"+ \r\n")

    def _authenticated(self, tag: bytes, line: bytes) -> None:
        right = b64decode(line).decode().split("\0") == [BOB, MASTER, PASSWORD]
        self._end(tag, "AUTHENTICATE", b"", "OK in" if right else f"NO [AUTHENTICATIONFAILED] not with {line.decode()}")

    def _capability(self, _: bytes, __: bytes) -> str:
        self.say(f"* CAPABILITY {self.imap.offers}\r\n".encode())
        return "OK done"

    def _noop(self, _: bytes, __: bytes) -> str:
        return "OK done"

    def _list(self, _: bytes, __: bytes) -> str:
        for name, folder in self.imap.folders.items():
            self.say(f'* LIST ({folder.attributes}) "/" {quote(name)}\r\n'.encode())
        return "OK done"

    def _select(self, _: bytes, command: bytes) -> str:
        self._here = None
        folder = self.imap.folders.get(unquote(command.partition(b" ")[2]))
        if folder is None or folder.refusal:
            return f"NO {folder.refusal if folder else 'no such folder'}"
        self._here = folder
        self.say(b"* %d EXISTS\r\n* OK [UIDVALIDITY 1] valid\r\n" % len(folder.messages))
        if folder.permanent is not None:
            self.say(f"* OK [PERMANENTFLAGS {folder.permanent}] limited\r\n".encode())
        return "OK [READ-ONLY] look" if folder.is_read_only else "OK [READ-WRITE] in"

    def _examine(self, tag: bytes, command: bytes) -> str:
        return self._select(tag, command)

    def _logout(self, _: bytes, __: bytes) -> str:
        self.say(b"* BYE\r\n")
        return "OK done"

    def _uid_search(self, _: bytes, command: bytes) -> str:
        assert self._here is not None
        asked = _SEARCH.match(command)
        assert asked is not None, command
        header, value, day = asked[2], unquote(asked[3]).encode(), day_of((asked[1] or b"1-Jan-1970").decode())
        recent = [each for each in self._here.messages if day_of(each.date.strip('"').split(" ")[0]) >= day]
        found = [each.uid for each in recent if value in header_of(each.raw, header)]
        self.say("* SEARCH{}\r\n".format("".join(f" {uid}" for uid in found)).encode())
        return "OK done"

    def _uid_fetch(self, _: bytes, command: bytes) -> str:
        assert self._here is not None
        words = command.split(b" ", 3)
        for number, each in enumerate(self._here.messages, 1):
            if str(each.uid).encode() in words[2].split(b","):
                self.say(f"* {number} FETCH ".encode() + told(each, words[3]) + b"\r\n")
        return "OK done"

    def _uid_store(self, _: bytes, command: bytes) -> str:
        assert self._here is not None
        found = _STORE.match(command)
        assert found is not None, command
        message = self._here.find(int(found[1]))
        if message is not None:
            flags = set(found[5].decode().split())
            if found[2] is not None and int(found[2]) < message.modseq:
                return f"{self.imap.conflict} [MODIFIED {message.uid}] changed since"
            message.flags = message.flags | flags if found[3] else flags
        return "OK done"

    def _uid_expunge(self, _: bytes, command: bytes) -> str:
        assert self._here is not None
        message = self._here.find(int(command.split(b" ")[2]))
        if message is not None and not message.is_live:
            self._here.messages.remove(message)
        return "OK done"

    def _append(self, tag: bytes, command: bytes) -> str | None:
        found = _APPEND.match(command)
        assert found is not None, command
        folder = self.imap.folders.get(unquote(found[1]))
        if folder is None or folder.full:
            return f"NO {folder.full if folder else '[TRYCREATE] no such folder'}"
        self._coming = _Coming(tag, folder, set(found[2].decode().split()), found[3].decode(), int(found[4]))
        self.say(b"+ go on\r\n")
        return None

    def _has_come(self, coming: "_Coming") -> bool:
        """Whether the literal and the line's end are there; then the message is."""
        if self.imap.literal is not None and len(self._buffer) >= self.imap.literal:
            self.cut()
        if self.is_over or len(self._buffer) < coming.size + 2:
            return False
        raw, end = self._buffer[: coming.size], self._buffer[coming.size : coming.size + 2]
        assert end == b"\r\n", end
        self._buffer, self._coming = self._buffer[coming.size + 2 :], None
        if self.imap.room is not None and sum(len(each.raw) for each in self.imap.all()) + len(raw) > self.imap.room:
            self._end(coming.tag, "APPEND", b"", "NO [OVERQUOTA] full")
            return True
        kept = coming.folder.put(raw, coming.flags, coming.date)
        self._end(coming.tag, "APPEND", b"", f"OK [APPENDUID 1 {kept.uid}] there")
        return True


def told(message: Kept, what: bytes) -> bytes:
    """What FETCH says."""
    said = [b"UID %d" % message.uid]
    if b"FLAGS" in what:
        said.append(b"FLAGS (%s)" % " ".join(sorted(message.flags)).encode())
    if b"MODSEQ" in what:
        said.append(b"MODSEQ (%d)" % message.modseq)
    if b"INTERNALDATE" in what:
        said.append(b"INTERNALDATE " + message.date.encode())
    if b"RFC822.SIZE" in what:
        said.append(b"RFC822.SIZE %d" % len(message.raw))
    found = _PARTIAL.search(what)
    if found is not None:
        part = message.raw if found[1] is None else message.raw[: int(found[1])]
        said.append(b"BODY[]%s {%d}\r\n%s" % (b"" if found[1] is None else b"<0>", len(part), part))
    return b"(" + b" ".join(said) + b")"


def day_of(text: str) -> datetime:
    """The day that a date of IMAP names (RFC 3501 9)."""
    return datetime.strptime(text, "%d-%b-%Y").replace(tzinfo=UTC)


def header_of(raw: bytes, name: bytes) -> bytes:
    """The values of a field, joined."""
    head = raw.partition(b"\r\n\r\n")[0]
    return b"\n".join(re.findall(rb"(?im)^" + re.escape(name) + rb":(.*)$", head))


def quote(name: str) -> str:
    """As the server writes it."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: bytes) -> str:
    """A quoted string, or an atom."""
    said = text.decode()
    return re.sub(r"\\(.)", r"\1", said[1:-1]) if said.startswith('"') else said


class Sessions(ServerFactory):
    """Makes them."""

    noisy = False

    def __init__(self, imap: Imap) -> None:
        self.imap = imap

    @override
    def buildProtocol(self, addr: object) -> Session:
        return Session(self.imap)


def serve_imap(internet: Internet, port: int = 143) -> Imap:
    """A server at the port of 127.0.0.1."""
    imap = Imap()
    internet.listeners[HERE, port] = Sessions(imap)
    return imap
