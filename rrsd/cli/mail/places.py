"""Where mail servers and filters listen, in the words of each program."""

import re
from ipaddress import ip_address

from attrs import frozen

from rrsd.core.refusals import Malformed

_COLON = re.compile(r"(?<!\\):")
_NAME = re.compile(r"[A-Za-z0-9_.:\[\]-]+")
_TYPES = ("inet", "unix", "pass", "fifo", "unix-dgram")
_MILTER = re.compile(r"inet:(?:\[([^\[\]\s,]+)\]|([^:\[\]\s,]+)):([0-9]{1,5})|unix:([^\s,{}]+)")


@frozen
class Place:
    """One listener: a host and a port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def nexthop(self) -> str:
        """As Postfix's SMTP client names it: `[127.0.0.1]:10025`."""
        return f"[{self.host}]:{self.port}"

    @property
    def lmtp(self) -> str:
        """As Postfix's LMTP client names it."""
        return f"unix:{self.path}" if self.path else f"inet:{self.nexthop}"

    @property
    def service(self) -> str:
        """As the first column of master.cf names it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def client(self) -> str:
        """As a client endpoint of Twisted."""
        return f"unix:{self.path}" if self.path else f"tcp:{_escaped(self.host)}:{self.port}"


def listener(description: str) -> Place:
    """The place of a server endpoint, `tcp:10025:interface=127.0.0.1`.

    Raises:
        Malformed: it is neither of tcp nor of unix.
    """
    kind, *words = _words(description)
    options = dict(word.partition("=")[::2] for word in words[1:])
    if kind == "unix" and words and words[0]:
        return Place(path=words[0])
    if kind in {"tcp", "tcp6"} and words and words[0].isdigit():
        return Place(options.get("interface") or ("::1" if kind == "tcp6" else "127.0.0.1"), int(words[0]))
    raise Malformed(f"{description}: write it as tcp:10025:interface=127.0.0.1")


def is_exposed(description: str) -> bool:
    """Whether a listener is reached from other hosts; False for what `listener` refuses to read.

    Twisted listens at every address of this host unless an interface is named.
    """
    kind, *words = _words(description)
    if kind not in {"tcp", "tcp6"}:
        return False
    host = dict(word.partition("=")[::2] for word in words[1:]).get("interface") or "0.0.0.0"
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"


def server(description: str) -> Place:
    """The place of a client endpoint, `tcp:127.0.0.1:10026` or `unix:/run/dovecot/lmtp`.

    Raises:
        Malformed: it is neither.
    """
    kind, *words = _words(description)
    named = dict(word.partition("=")[::2] for word in words if "=" in word)
    plain = [word for word in words if "=" not in word]
    path = named.get("path") or next(iter(plain), "")
    if kind == "unix" and path:
        return Place(path=path)
    host, port = named.get("host") or next(iter(plain), ""), named.get("port") or next(iter(plain[1:]), "")
    if kind == "tcp" and host and port.isdigit():
        return Place(host, int(port))
    raise Malformed(f"{description}: write it as tcp:127.0.0.1:10026 or unix:/run/dovecot/lmtp")


def parse_service(text: str) -> str:
    """A service of master.cf in the words of postconf, `submission/inet`; without a type it is one of the network.

    Raises:
        Malformed: it is none.
    """
    name, slash, kind = text.partition("/")
    if _NAME.fullmatch(name) and (kind in _TYPES if slash else True):
        return f"{name}/{kind or 'inet'}"
    raise Malformed(f"{text!r} is no service: write the first two columns of master.cf, as in submission/inet")


def parse_milter(text: str) -> Place:
    """The place of a milter as Postfix names it, `inet:127.0.0.1:8891`.

    Raises:
        Malformed: Postfix would not take it.
    """
    match = _MILTER.fullmatch(text)
    if match is None or int(match[3] or 1) not in range(1, 65536):
        raise Malformed(f"{text!r} is no milter: write it as inet:127.0.0.1:8891 or unix:/run/opendkim/opendkim.sock")
    return Place(path=match[4]) if match[4] else Place(match[1] or match[2], int(match[3]))


def _words(description: str) -> list[str]:
    return [word.replace("\\:", ":") for word in _COLON.split(description)]


def _escaped(host: str) -> str:
    return host.replace(":", "\\:")
