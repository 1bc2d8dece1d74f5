"""Listeners of `[mail]` that stand in each other's way, and ways on that lead back to ourselves."""

import re
from collections.abc import Iterator

from attrs import frozen

from rrsd.config.ini import Mistake
from rrsd.roles.mail.settings import Settings

_COLON = re.compile(r"(?<!\\):")
_OURS = ("", "0.0.0.0", "::", "localhost")
_WAYS = (
    ("outbound", "outbound_next"), ("prequeue", "prequeue_next"), ("prequeue", "prequeue_later"),
    ("inbound", "inbound_next"),
)  # fmt: skip
"""A listener, and where what came to it goes on."""


@frozen
class _Place:
    """A port of this host at an address, "" for every one; or the path of a socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def meets(self, other: "_Place") -> bool:
        """Whether both are one place."""
        if self.path or other.path:
            return self.path == other.path
        is_open = self.host in _OURS and (other.host in _OURS or _is_loopback(other.host))
        is_reached = other.host in _OURS and _is_loopback(self.host)
        return 0 != self.port == other.port and (self.host == other.host or is_open or is_reached)


def mistaken_ways(mail: Settings) -> Iterator[Mistake]:
    """Two listeners on one port, and whatever goes on to a listener of ours: it would go round for ever."""
    listens = {name: getattr(mail, name) for name in ("outbound", "prequeue", "inbound", "milter")}
    places = {name: _listener(text) for name, text in listens.items() if text is not None}
    names = list(places)
    for index, name in enumerate(names):
        for other in names[:index]:
            if places[name].meets(places[other]):
                wrong = f"it is where {other} listens"
                yield Mistake("mail", name, 0, wrong, "write another port for each listener")
    for name, following in _WAYS:
        for other in names if name in places else ():
            if _server(getattr(mail, following)).meets(places[other]):
                right = "write where the mail server listens that it goes on to, as conf/rrsd.ini shows it"
                yield Mistake("mail", following, 0, f"it is our own {other}: mail would go round for ever", right)


def _listener(text: str) -> _Place:
    """Of `tcp:10025:interface=127.0.0.1`."""
    kind, plain, named = _read(text)
    first = next(iter(plain), "")
    if kind == "unix":
        return _Place(path=named.get("address", first))
    return _Place(named.get("interface", ""), _number(named.get("port", first)))


def _server(text: str) -> _Place:
    """Of `tcp:127.0.0.1:10026`."""
    kind, plain, named = _read(text)
    first, second = (*plain, "", "")[:2]
    if kind == "unix":
        return _Place(path=named.get("path", first))
    return _Place(named.get("host", first), _number(named.get("port", second)))


def _read(text: str) -> tuple[str, list[str], dict[str, str]]:
    kind, *words = (word.replace("\\:", ":") for word in _COLON.split(text))
    return (
        kind,
        [word for word in words if "=" not in word],
        dict((name, value) for name, _, value in (word.partition("=") for word in words if "=" in word)),
    )


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _is_loopback(host: str) -> bool:
    return host in {"::1", "localhost"} or host.startswith("127.")
