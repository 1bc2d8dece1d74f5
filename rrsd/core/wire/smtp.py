"""Commands and replies of SMTP and LMTP, line by line (RFC 5321 4.1 and 4.2, RFC 2033, RFC 3461, RFC 6531).

Paths and parameters are other people's: they are read strictly enough to have one meaning and carried as they came.
"""

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import TypeVar

from attrs import define, evolve, field, frozen

from rrsd.core.refusals import Malformed, TooLarge, Unsupported
from rrsd.core.values.envelopes import Body, Envelope, ForwardPath, Notify, Reply, Return, ReversePath

E = TypeVar("E", bound=StrEnum)

MOST_LINE = 8192
"""Bytes of a command or reply line. RFC 5321 4.5.3.1 and the extensions together ask for less than 2,000, but XFORWARD
has what a stranger called itself, 2,048 octets at Postfix, in xtext: with three for each."""
MOST_TEXT = 512
"""Characters of a line of our replies (RFC 5321 4.5.3.1.5)."""
MOST_PATH = 1024
MOST_REPLY_LINES = 100
MOST_SIZE = 2**53

_ATOM = r"[^\x00-\x20\x7f()<>@,;:\\\".\[\]]+"
_LOCAL = rf'(?:{_ATOM}(?:\.{_ATOM})*|"(?:[^\x00-\x1f\x7f"\\]|\\[\x20-\x7e])*")'
_DOMAIN = r"(?:[^\x00-\x20\x7f()<>@,;:\\\".\[\]]+(?:\.[^\x00-\x20\x7f()<>@,;:\\\".\[\]]+)*|\[[!-Z^-~]+\])"
_ROUTE = rf"(?:@{_DOMAIN}(?:,@{_DOMAIN})*:)?"  # RFC 5321 appendix C: accepted and ignored
_MAILBOX = re.compile(rf"<{_ROUTE}({_LOCAL}@{_DOMAIN})>")
_POSTMASTER = re.compile(r"<(postmaster)>", re.IGNORECASE)
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00-\x20\x7f=]+))?")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*", re.ASCII)
_NOTHING_ESCAPED = re.compile(r"[!-*,-<>-~]*")
_ESCAPED = re.compile(r"\+([0-9A-F]{2})", re.ASCII)
_ORIGINAL = re.compile(r"[A-Za-z0-9-]+;[^\x00-\x20\x7f]+")
_NUMBER = re.compile(r"[0-9]{1,16}", re.ASCII)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_REPLY = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_STATUS = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$)", re.ASCII)
_VERB = re.compile(r"[A-Za-z]{1,16}", re.ASCII)


@frozen
class Command:
    """One command line: the verb in capitals, and what follows it without the spaces around."""

    verb: str
    argument: str


@frozen
class Chunk:
    """What BDAT announces: so many bytes, and whether they are the last (RFC 3030 2)."""

    size: int
    is_last: bool


@frozen
class ReplyLine:
    """One line of a reply, and whether more follow."""

    code: int
    text: str
    is_last: bool


def parse_command(line: bytes) -> Command:
    """The command in a line without its end.

    Raises:
        TooLarge: more than `MOST_LINE` bytes.
        Malformed: it is no command, or has controls or bytes that are not UTF-8.
    """
    if len(line) > MOST_LINE:
        raise TooLarge("command line")
    text = _text(line)
    verb, _, argument = text.partition(" ")
    if not _VERB.fullmatch(verb):
        raise Malformed("no command")
    return Command(verb.upper(), argument.strip(" "))


def _text(line: bytes) -> str:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("line is not UTF-8") from None
    if _CONTROLS.search(text):
        raise Malformed("controls in a line")
    return text


def parse_mail(argument: str) -> ReversePath:
    """The sender in `FROM:<…>` with its parameters.

    Raises:
        Malformed: it is not of that form, or a parameter comes twice or has a value that it cannot have.
        Unsupported: a parameter that is not spoken here.
    """
    path, parameters = _split(argument, "FROM:", allow_empty=True)
    _require_known(parameters, {"SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH"})
    sender = ReversePath(
        path,
        size=_number(parameters["SIZE"]) if "SIZE" in parameters else None,
        body=_one_of(Body, parameters["BODY"]) if "BODY" in parameters else None,
        is_utf8=_flag(parameters, "SMTPUTF8"),
        ret=_one_of(Return, parameters["RET"]) if "RET" in parameters else None,
        envelope_id=_xtext(parameters.get("ENVID", "")),
    )
    _require_ascii(argument, sender.is_utf8)
    return sender


def parse_rcpt(argument: str, *, is_utf8: bool) -> ForwardPath:
    """The recipient in `TO:<…>` with its parameters, of a transaction that is or is not one of RFC 6531.

    Raises: as `parse_mail`.
    """
    path, parameters = _split(argument, "TO:", allow_empty=False)
    _require_known(parameters, {"NOTIFY", "ORCPT"})
    _require_ascii(argument, is_utf8)
    original = parameters.get("ORCPT", "")
    if original and not _ORIGINAL.fullmatch(original):
        raise Malformed("ORCPT")
    return ForwardPath(path, _notify(parameters), original)


def _split(argument: str, word: str, *, allow_empty: bool) -> tuple[str, dict[str, str]]:
    if argument[: len(word)].upper() != word:
        raise Malformed(f"no {word}")
    rest = argument[len(word) :].lstrip(" ")
    if allow_empty and rest.startswith("<>"):
        return "", _parameters(rest[2:])
    found = _MAILBOX.match(rest) or (None if allow_empty else _POSTMASTER.match(rest))
    if found is None or len(found[1]) > MOST_PATH:
        raise Malformed("path")
    return found[1], _parameters(rest[found.end() :])


def _parameters(text: str) -> dict[str, str]:
    if text and not text.startswith(" "):
        raise Malformed("no space before parameters")
    found: dict[str, str] = {}
    for word in text.split():
        parsed = _PARAMETER.fullmatch(word)
        if parsed is None or parsed[1].upper() in found:
            raise Malformed("parameter")
        found[parsed[1].upper()] = parsed[2] or ""
    return found


def _require_known(parameters: Mapping[str, str], known: set[str]) -> None:
    if parameters.keys() - known:
        raise Unsupported("parameter that is not spoken here")


def _require_ascii(argument: str, is_utf8: bool) -> None:
    if not is_utf8 and not argument.isascii():
        raise Malformed("UTF-8 without SMTPUTF8")


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) > MOST_SIZE:
        raise Malformed("number")
    return int(text)


def _flag(parameters: Mapping[str, str], name: str) -> bool:
    if parameters.get(name):
        raise Malformed(f"{name} takes no value")
    return name in parameters


def _one_of(kind: type[E], text: str) -> E:
    try:
        return kind(text.upper())
    except ValueError:
        raise Malformed("parameter value") from None


def _notify(parameters: Mapping[str, str]) -> frozenset[Notify]:
    if "NOTIFY" not in parameters:
        return frozenset()
    words = parameters["NOTIFY"].split(",")
    found = frozenset(_one_of(Notify, word) for word in words)
    if len(found) != len(words) or (Notify.NEVER in found and len(found) > 1):
        raise Malformed("NOTIFY")
    return found


def _xtext(text: str) -> str:
    if not _XTEXT.fullmatch(text):
        raise Malformed("xtext")
    return text


def decode_xtext(text: str) -> str:
    """What xtext stands for (RFC 3461 4).

    Raises:
        Malformed: it is none, or stands for controls or for bytes that are not UTF-8.
    """
    plain = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), _xtext(text)).encode("latin-1")
    return _text(plain)


def encode_xtext(text: str) -> str:
    """`text` as xtext."""
    if _NOTHING_ESCAPED.fullmatch(text):
        return text
    return "".join(chr(each) if _is_plain(each) else f"+{each:02X}" for each in text.encode("utf-8"))


def _is_plain(byte: int) -> bool:
    return 0x21 <= byte <= 0x7E and byte not in b"+="


def parse_chunk(argument: str) -> Chunk:
    """What BDAT announces.

    Raises:
        Malformed: it is no size, or is followed by something else than LAST.
    """
    size, _, last = argument.partition(" ")
    if last.upper() not in ("", "LAST"):
        raise Malformed("BDAT")
    return Chunk(_number(size), bool(last))


def parse_xforward(argument: str) -> dict[str, str]:
    """The attributes of an XFORWARD command by name in capitals; unavailable ones are left out.

    Raises:
        Malformed: one is not NAME=value in xtext, or comes twice.
    """
    found: dict[str, str] = {}
    for word in argument.split():
        name, equals, value = word.partition("=")
        if not equals or not _VERB.fullmatch(name) or name.upper() in found:
            raise Malformed("XFORWARD")
        found[name.upper()] = decode_xtext(value)
    return {name: value for name, value in found.items() if value.upper() not in ("[UNAVAILABLE]", "[TEMPUNAVAIL]")}


def parse_reply_line(line: bytes) -> ReplyLine:
    """One line of a reply, without its end; text that is not UTF-8 is read as far as it is.

    Raises:
        TooLarge: more than `MOST_LINE` bytes.
        Malformed: it has no reply code.
    """
    if len(line) > MOST_LINE:
        raise TooLarge("reply line")
    found = _REPLY.fullmatch(line)
    if found is None:
        raise Malformed("no reply code")
    text = _CONTROLS.sub("?", (found[3] or b"").decode("utf-8", "replace"))
    return ReplyLine(int(found[1]), text, found[2] != b"-")


def join_reply(lines: Sequence[ReplyLine]) -> Reply:
    """The reply that the lines make up, the enhanced status taken off where every line begins with it.

    Raises:
        Malformed: they have several codes, or none is there.
        TooLarge: more than `MOST_REPLY_LINES`.
    """
    if len(lines) > MOST_REPLY_LINES:
        raise TooLarge("reply of too many lines")
    if len({line.code for line in lines}) != 1:
        raise Malformed("a reply of several codes, or none")
    code, texts = lines[0].code, [line.text for line in lines]
    found = _STATUS.match(texts[0])
    if found is None or int(found[1][0]) != code // 100 or not all(text.startswith(found[1]) for text in texts):
        return Reply(code, "", tuple(texts))
    return Reply(code, found[1], tuple(text[len(found[1]) :].lstrip(" ") for text in texts))


@lru_cache(maxsize=64)
def render_reply(reply: Reply) -> bytes:
    """The reply as it goes over the wire; controls in its text become question marks."""
    status = f"{reply.status} " if reply.status else ""
    texts = [_CONTROLS.sub("?", line)[:MOST_TEXT] for line in reply.lines] or [""]
    marks = ["-"] * (len(texts) - 1) + [" "]
    return "".join(f"{reply.code}{m}{status}{t}\r\n" for m, t in zip(marks, texts, strict=True)).encode("utf-8")


def extensions_of(reply: Reply) -> dict[str, str]:
    """What a server offers after EHLO or LHLO: the parameters by keyword in capitals (RFC 5321 4.1.1.1)."""
    words = [line.partition(" ") for line in reply.lines[1:]]
    return {keyword.upper(): rest.strip(" ") for keyword, _, rest in words if keyword}


def render_mail(sender: ReversePath, extensions: Mapping[str, str]) -> bytes:
    """The MAIL command for a server that offers the extensions; what it does not offer stays away.

    Raises:
        Unsupported: the message needs SMTPUTF8 or BINARYMIME, and the server offers none.
    """
    words = [f"MAIL FROM:<{sender.path}>"]
    if sender.is_utf8:
        _require_offered("SMTPUTF8", extensions)
        words.append("SMTPUTF8")
    if sender.body is Body.BINARY:
        _require_offered("BINARYMIME", extensions)
    if sender.body is not None and (sender.body is Body.BINARY or "8BITMIME" in extensions):
        words.append(f"BODY={sender.body}")
    if sender.size is not None and "SIZE" in extensions:
        words.append(f"SIZE={sender.size}")
    if "DSN" in extensions:
        words += [f"RET={sender.ret}"] if sender.ret is not None else []
        words += [f"ENVID={sender.envelope_id}"] if sender.envelope_id else []
    return f"{' '.join(words)}\r\n".encode()


def for_mailboxes(envelope: Envelope, extensions: Mapping[str, str]) -> Envelope:
    """The envelope for an LMTP server: SMTPUTF8 is not asked for where only header fields have UTF-8 and the server
    does not offer it (RFC 6531 3.2 is about addresses and relays; a mailbox keeps octets). Otherwise reports about such
    messages, which have no sender, would be lost.
    """
    addresses = [envelope.sender.path, *(each.path for each in envelope.recipients)]
    if "SMTPUTF8" in extensions or not all(each.isascii() for each in addresses):
        return envelope
    return evolve(envelope, sender=evolve(envelope.sender, is_utf8=False))


def render_rcpt(recipient: ForwardPath, extensions: Mapping[str, str]) -> bytes:
    """The RCPT command for a server that offers the extensions."""
    words = [f"RCPT TO:<{recipient.path}>"]
    if "DSN" in extensions:
        words += [f"NOTIFY={','.join(sorted(recipient.notify))}"] if recipient.notify else []
        words += [f"ORCPT={recipient.original}"] if recipient.original else []
    return f"{' '.join(words)}\r\n".encode()


def _require_offered(keyword: str, extensions: Mapping[str, str]) -> None:
    if keyword not in extensions:
        raise Unsupported(f"the next server has no {keyword}")


@define(eq=False)
class Replies:
    """Replies out of bytes, over any division into blocks; a server cannot make it keep more than one reply."""

    _buffer: bytes = field(default=b"", init=False)
    _lines: list[ReplyLine] = field(factory=list, init=False)

    def take(self, block: bytes) -> list[Reply]:
        """The replies that are complete now, in order.

        Raises:
            Malformed, TooLarge: as `parse_reply_line` and `join_reply`.
        """
        *lines, self._buffer = (self._buffer + block).split(b"\n")
        if len(self._buffer) > MOST_LINE:
            raise TooLarge("reply line")
        found = []
        for line in lines:
            self._lines.append(parse_reply_line(line.removesuffix(b"\r")))
            if self._lines[-1].is_last or len(self._lines) > MOST_REPLY_LINES:
                found.append(join_reply(self._lines))
                self._lines = []
        return found
